/* nRF51: the core always runs at 16 MHz; the crystal in place of the internal oscillator makes the UART's rate exact. */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/nrf/mq_uart.h"
#include "port/nrf51/mq_registers.h"

_Static_assert(MQ_BOARD_CLOCK_HZ == 16000000, "an nRF51 runs at 16 MHz");

uint32_t mq_chip_init(void)
{
    CLOCK_TASKS_HFCLKSTART = 1;
    (void)mq_await(&CLOCK_EVENTS_HFCLKSTARTED, UINT32_MAX, 1);
    return MQ_BOARD_CLOCK_HZ;
}
