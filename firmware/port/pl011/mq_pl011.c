#include "port/pl011/mq_pl011.h"

#include "port/cortexm/mq_chip.h"

enum { EIGHT_BITS = 3, FRACTION_BITS = 6, DIVIDER_MIN = 1 << FRACTION_BITS, DIVIDER_MAX = 0xFFFF << FRACTION_BITS };

/* The divider for 16 times the rate, in 1/64. */
static uint64_t divider(uint32_t clock_hz, uint32_t baud)
{
    return ((uint64_t)mq_pl011_clock_hz(clock_hz) * 4u + baud / 2u) / baud;
}

bool mq_uart_can(uint32_t clock_hz, uint32_t baud)
{
    return divider(clock_hz, baud) >= DIVIDER_MIN && divider(clock_hz, baud) <= DIVIDER_MAX;
}

/* The FIFO holds what comes while the core is at work. A lone byte raises the timeout's interrupt 32 bits later. */
void mq_uart_init(uint32_t clock_hz, uint32_t baud)
{
    const uint32_t divided = (uint32_t)divider(clock_hz, baud);
    UART0_UARTCR = 0;
    UART0_UARTIBRD = divided >> FRACTION_BITS;
    UART0_UARTFBRD = divided & (DIVIDER_MIN - 1u);
    UART0_UARTLCR_H = MQ_IN(UART0_UARTLCR_H_WLEN, EIGHT_BITS) | UART0_UARTLCR_H_FEN; /* also activates the divider */
    UART0_UARTIMSC = UART0_UARTIMSC_RXIM | UART0_UARTIMSC_RTIM;
    UART0_UARTCR = UART0_UARTCR_UARTEN | UART0_UARTCR_TXE | UART0_UARTCR_RXE;
}

bool mq_uart_readable(void)
{
    return (UART0_UARTFR & UART0_UARTFR_RXFE) == 0;
}

uint8_t mq_uart_read(void)
{
    const uint8_t byte = (uint8_t)UART0_UARTDR;
    UART0_UARTICR = UART0_UARTICR_RXIC | UART0_UARTICR_RTIC;
    return byte;
}

void mq_uart_write(uint8_t byte)
{
    while ((UART0_UARTFR & UART0_UARTFR_TXFF) != 0) {
    }
    UART0_UARTDR = byte;
}

void mq_uart_flush(void)
{
    while ((UART0_UARTFR & UART0_UARTFR_BUSY) != 0) {
    }
}
