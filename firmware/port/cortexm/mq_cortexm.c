/* Functions of the port that are the same on every Cortex-M, for the chip's clock. */
#include "port/cortexm/mq_cortexm.h"

#include "app/mq_port.h"
#include "board.h"
#include "port/cortexm/mq_chip.h"
#include "port/cortexm/mq_console.h"
#include "port/cortexm/mq_time.h"

static uint32_t clock_hz;

void mq_port_init(void)
{
    clock_hz = mq_chip_init();
    mq_image_init();
    mq_watchdog_init(clock_hz);
    mq_time_init();
    mq_console_init(clock_hz);
}

uint32_t mq_port_clock_hz(void)
{
    return clock_hz;
}

uint32_t mq_port_cpuid(void)
{
    return SCB_CPUID;
}

uint64_t mq_port_ticks(void)
{
    return mq_time_ticks();
}

uint32_t mq_port_ticks_hz(void)
{
    return clock_hz;
}

const char *mq_port_ticks_source(void)
{
    return mq_time_source();
}
