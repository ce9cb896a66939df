/* nRF52: the core always runs at 64 MHz; the crystal in place of the internal oscillator makes the UART's rate exact. */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/nrf/mq_uart.h"
#include "port/nrf52/mq_registers.h"

_Static_assert(MQ_BOARD_CLOCK_HZ == 64000000, "an nRF52 runs at 64 MHz");

uint32_t mq_chip_init(void)
{
    CLOCK_EVENTS_HFCLKSTARTED = 0;
    CLOCK_TASKS_HFCLKSTART = 1;
    (void)mq_await(&CLOCK_EVENTS_HFCLKSTARTED, UINT32_MAX, 1);
    NVMC_ICACHECNF |= NVMC_ICACHECNF_CACHEEN;
    return MQ_BOARD_CLOCK_HZ;
}
