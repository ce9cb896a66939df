/* RP2350, one Arm core in the secure state: the system PLL, UART0. */
#include "port/cortexm/mq_chip.h"

#include "board.h"
#include "port/pl011/mq_pl011.h"
#include "port/rp2350/mq_registers.h"
#include "port/rp/mq_rp.h"

/* After a reset pads are cut off from the pins, and do not hear. */
static void connect(uint32_t pin)
{
    PADS_BANK0_GPIO(pin) |= PADS_BANK0_GPIO0_IE;
    PADS_BANK0_GPIO(pin) &= ~PADS_BANK0_GPIO0_ISO;
}

uint32_t mq_chip_init(void)
{
    const uint32_t clock_hz = mq_rp_start_clock();
    mq_rp_start_uart();
    connect(MQ_BOARD_TX_PIN);
    connect(MQ_BOARD_RX_PIN);
    return clock_hz;
}

uint32_t mq_pl011_clock_hz(uint32_t clock_hz)
{
    return clock_hz;
}
