/* Time: SysTick for sleeping, the cycle counter for counting where it works, else SysTick for both. A family whose core has
 * no SysTick has a mq_time.c of its own. */
#ifndef MQ_TIME_H
#define MQ_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* Clocks between two interrupts of the timer while no alarm is set. */
enum { MQ_TIME_PERIOD = 1 << 24 };

void mq_time_init(void);
uint64_t mq_time_ticks(void);
/* What counts, as mq_port_ticks_source() has it. */
const char *mq_time_source(void);

/* The core's clocks until the alarm, below 2^24. Counting goes on, but for the few clocks it takes to set it. */
void mq_alarm_set(uint32_t clocks);
bool mq_alarm_is_due(void);
void mq_alarm_end(void);

#endif
