/* Time by TIMER0, which counts the core's clocks in 32 bits: an nRF51's core has no SysTick. It never stops; its compare
 * register 0 gives the period or the alarm, and register 1 what it stands at. */
#include "port/cortexm/mq_time.h"

#include "board.h"
#include "port/cortexm/mq_cortexm.h"
#include "port/nrf51/mq_registers.h"

enum { BITMODE_32 = 3, MODE_TIMER = 0, LEAST_AHEAD = 64 /* clocks that setting an alarm takes, and more */ };

static volatile uint32_t wraps, last;
static volatile bool has_alarm, alarm_due;

static uint32_t now(void)
{
    TIMER0_TASKS_CAPTURE1 = 1;
    return TIMER0_CC1;
}

uint64_t mq_time_ticks(void)
{
    const uint32_t mask = mq_interrupts_off();
    const uint32_t low = now();
    if (low < last) {
        wraps++;
    }
    last = low;
    const uint64_t ticks = (uint64_t)wraps << 32 | low;
    mq_interrupts_restore(mask);
    return ticks;
}

static void next_interrupt(uint32_t clocks)
{
    TIMER0_CC0 = now() + (clocks < LEAST_AHEAD ? LEAST_AHEAD : clocks);
}

/* It comes often enough to see every wrap. */
void mq_time_entry(void)
{
    TIMER0_EVENTS_COMPARE0 = 0;
    (void)TIMER0_EVENTS_COMPARE0;
    (void)mq_time_ticks();
    alarm_due = has_alarm;
    next_interrupt(MQ_TIME_PERIOD);
    mq_watchdog_look();
}

void mq_time_init(void)
{
    TIMER0_MODE = MODE_TIMER;
    TIMER0_BITMODE = BITMODE_32;
    TIMER0_PRESCALER = 0;
    TIMER0_TASKS_CLEAR = 1;
    TIMER0_TASKS_START = 1;
    next_interrupt(MQ_TIME_PERIOD);
    TIMER0_INTENSET = TIMER0_INTENSET_COMPARE0;
    NVIC_ISER(MQ_CHIP_TIMER_IRQ) = MQ_BIT(MQ_CHIP_TIMER_IRQ);
}

const char *mq_time_source(void)
{
    return "timer";
}

void mq_alarm_set(uint32_t clocks)
{
    const uint32_t mask = mq_interrupts_off();
    alarm_due = false;
    has_alarm = true;
    next_interrupt(clocks);
    mq_interrupts_restore(mask);
}

bool mq_alarm_is_due(void)
{
    return alarm_due;
}

void mq_alarm_end(void)
{
    const uint32_t mask = mq_interrupts_off();
    has_alarm = false;
    alarm_due = false;
    next_interrupt(MQ_TIME_PERIOD);
    mq_interrupts_restore(mask);
}
