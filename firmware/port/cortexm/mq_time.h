/* Time: SysTick for sleeping, the cycle counter for counting where it works, else SysTick for both. */
#ifndef MQ_TIME_H
#define MQ_TIME_H

#include <stdbool.h>
#include <stdint.h>

void mq_time_init(void);
uint64_t mq_time_ticks(void);
bool mq_time_has_cyccnt(void);

/* The core's clocks until the alarm, below 2^24. Counting goes on, but for the few clocks it takes to set it. */
void mq_alarm_set(uint32_t clocks);
bool mq_alarm_is_due(void);
void mq_alarm_end(void);

#endif
