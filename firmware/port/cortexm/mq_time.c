#include "port/cortexm/mq_time.h"

#include "port/cortexm/mq_cortexm.h"

enum { SYSTICK_BITS = 24 /* MQ_TIME_PERIOD */, SYSTICK_RELOAD = (1 << SYSTICK_BITS) - 1 };
#define DWT_UNLOCK 0xC5ACCE55u

static bool has_cyccnt;
static volatile uint32_t wraps; /* ticks of SysTick, or of CYCCNT */
static volatile uint32_t last_cyccnt;
static uint64_t before_ticks; /* SysTick's count before its last start */
static uint32_t alarm_clocks; /* 0: no alarm */
static volatile bool alarm_due;

static uint64_t cyccnt_ticks(void)
{
    const uint32_t mask = mq_interrupts_off();
    const uint32_t now = DWT_CYCCNT;
    if (now < last_cyccnt) {
        wraps++;
    }
    last_cyccnt = now;
    const uint64_t ticks = (uint64_t)wraps << 32 | now;
    mq_interrupts_restore(mask);
    return ticks;
}

/* SysTick raises its interrupt on reaching 0, so 0 is the first tick of a period, and the reload value the second. */
static uint64_t systick_ticks(void)
{
    uint32_t high, value;
    do {
        high = wraps;
        value = SYST_CVR;
    } while (high != wraps);
    const uint32_t low = (SYSTICK_RELOAD + 1u - value) & SYSTICK_RELOAD;
    return before_ticks + ((uint64_t)high << SYSTICK_BITS | low);
}

/* Counting, it comes often enough to see every wrap of CYCCNT: 2^24 clocks apart. */
void mq_time_entry(void)
{
    mq_watchdog_look();
    if (alarm_clocks != 0) {
        alarm_due = true;
    } else if (has_cyccnt) {
        (void)cyccnt_ticks();
    } else {
        wraps++;
    }
}

static void start_systick(uint32_t reload)
{
    SYST_RVR = reload;
    SYST_CVR = 0;
    SYST_CSR = SYST_CSR_ENABLE | SYST_CSR_TICKINT | SYST_CSR_CORE_CLOCK;
}

/* Whether CYCCNT is there and runs: Armv6-M has none, a part may leave it out, emulators answer 0. */
static bool start_cyccnt(void)
{
    if (mq_is_armv6m()) {
        return false;
    }
    SCB_DEMCR |= 1u << 24; /* TRCENA */
    DWT_LAR = DWT_UNLOCK;  /* Cortex-M7; a reserved address elsewhere */
    DWT_CYCCNT = 0;
    DWT_CTRL |= 1u;
    const uint32_t first = DWT_CYCCNT;
    mq_barrier();
    return DWT_CYCCNT != first;
}

void mq_time_init(void)
{
    has_cyccnt = start_cyccnt();
    start_systick(SYSTICK_RELOAD);
}

uint64_t mq_time_ticks(void)
{
    return has_cyccnt ? cyccnt_ticks() : systick_ticks();
}

const char *mq_time_source(void)
{
    return has_cyccnt ? "cyccnt" : "systick";
}

void mq_alarm_set(uint32_t clocks)
{
    before_ticks = systick_ticks();
    SYST_CSR = 0;
    alarm_due = false;
    alarm_clocks = clocks;
    start_systick(clocks);
}

bool mq_alarm_is_due(void)
{
    return alarm_due;
}

void mq_alarm_end(void)
{
    const uint32_t left = SYST_CVR;
    SYST_CSR = 0;
    mq_barrier(); /* an alarm that is just due counts as due */
    before_ticks += alarm_due ? alarm_clocks : alarm_clocks - left;
    alarm_clocks = 0;
    alarm_due = false;
    if (!has_cyccnt) {
        wraps = 0;
    }
    start_systick(SYSTICK_RELOAD);
}
