/* The watchdog of the main loop: a program that gives no sign of life for too long is a crash, reported like one, with what
 * it was at. It stands on the timer's interrupt, so it does not see code that hangs with interrupts off. */
#include "app/mq_port.h"
#include "board.h"
#include "port/cortexm/mq_cortexm.h"
#include "port/cortexm/mq_time.h"

static volatile uint32_t quiet_periods;
static uint32_t limit_periods;

void mq_watchdog_init(uint32_t clock_hz)
{
    const uint64_t clocks = (uint64_t)(clock_hz / 1000u) * MQ_BOARD_WATCHDOG_MS;
    limit_periods = (uint32_t)(clocks / MQ_TIME_PERIOD) + 1u;
}

void mq_watchdog_alive(void)
{
    quiet_periods = 0;
}

void mq_watchdog_look(void)
{
    quiet_periods++;
    if (quiet_periods > limit_periods) {
        mq_fault_raise(MQ_FAULT_WATCHDOG);
    } else if (!mq_stack_is_whole()) {
        mq_fault_raise(MQ_FAULT_STACK);
    }
}
