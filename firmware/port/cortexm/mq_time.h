/* Time: SysTick for sleeping, the cycle counter for counting where it works, else SysTick for both. A family whose core has
 * no SysTick has a mq_time.c of its own. */
#ifndef MQ_TIME_H
#define MQ_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* Clocks between two interrupts of the timer without an alarm. */
enum { MQ_TIME_PERIOD = 1 << 24 };

void mq_time_init(void);
uint64_t mq_time_ticks(void);
/* The counter, in the terms of mq_port_ticks_source(). */
const char *mq_time_source(void);

/* Clocks of the core until the alarm, below 2^24. Counting continues, except for the few clocks of the set-up. */
void mq_alarm_set(uint32_t clocks);
bool mq_alarm_is_due(void);
void mq_alarm_end(void);

#endif
