/* Arm MPS2 and MPS3 FPGA images: fixed clock, CMSDK APB UART (Arm DDI 0479, section 4.3). */
#include "port/cortexm/mq_chip.h"

#include "board.h"

typedef struct {
    volatile uint32_t data;
    volatile uint32_t state;
    volatile uint32_t ctrl;
    volatile uint32_t interrupt; /* status when read, cleared by ones written */
    volatile uint32_t bauddiv;
} cmsdk_uart_t;

enum { STATE_TX_FULL = 1, STATE_RX_FULL = 2 };
enum { CTRL_TX = 1, CTRL_RX = 2, CTRL_RX_INTERRUPT = 8 };
enum { INTERRUPT_RX = 2 };
enum { BAUDDIV_MIN = 16, BAUDDIV_MAX = 0xFFFFF };

#define UART ((cmsdk_uart_t *)MQ_BOARD_UART_BASE)

uint32_t mq_chip_init(void)
{
    return MQ_BOARD_CLOCK_HZ;
}

static uint32_t divider(uint32_t clock_hz, uint32_t baud)
{
    return (clock_hz + baud / 2u) / baud;
}

bool mq_uart_can(uint32_t clock_hz, uint32_t baud)
{
    return divider(clock_hz, baud) >= BAUDDIV_MIN && divider(clock_hz, baud) <= BAUDDIV_MAX;
}

void mq_uart_init(uint32_t clock_hz, uint32_t baud)
{
    UART->bauddiv = divider(clock_hz, baud);
    UART->ctrl = CTRL_TX | CTRL_RX | CTRL_RX_INTERRUPT;
}

bool mq_uart_readable(void)
{
    return (UART->state & STATE_RX_FULL) != 0;
}

uint8_t mq_uart_read(void)
{
    const uint8_t byte = (uint8_t)UART->data;
    UART->interrupt = INTERRUPT_RX;
    return byte;
}

void mq_uart_write(uint8_t byte)
{
    while ((UART->state & STATE_TX_FULL) != 0) {
    }
    UART->data = byte;
}

/* The UART does not say when its shift register is empty: once the buffer is, one frame more is enough. A pass of the
 * loop takes at least one clock, a frame ten divided ones. */
void mq_uart_flush(void)
{
    while ((UART->state & STATE_TX_FULL) != 0) {
    }
    for (uint32_t clocks = UART->bauddiv * 10u; clocks > 0; clocks--) {
        __asm volatile("");
    }
}
