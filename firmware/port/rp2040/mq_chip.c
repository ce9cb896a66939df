/* RP2040: the system PLL, UART0. */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/pl011/mq_pl011.h"
#include "port/rp2040/mq_registers.h"
#include "port/rp/mq_rp.h"

uint32_t mq_chip_init(void)
{
    const uint32_t clock_hz = mq_rp_start_clock();
    mq_rp_start_uart();
    return clock_hz;
}

uint32_t mq_pl011_clock_hz(uint32_t clock_hz)
{
    return clock_hz;
}
