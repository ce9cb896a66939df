#include "port/stm32/mq_usart_v2.h"

#include "port/cortexm/mq_chip.h"

/* MQ_CHIP_UART_IS_LP: an LPUART, whose divider counts 1/256 of a clock and must be at least 768. */
enum { DIVIDER_MIN = MQ_CHIP_UART_IS_LP ? 0x300 : 16, DIVIDER_MAX = MQ_CHIP_UART_IS_LP ? 0xFFFFF : 0xFFFF };
enum { CLOCK_SHIFT = MQ_CHIP_UART_IS_LP ? 8 : 0 };

static uint64_t divider(uint32_t clock_hz, uint32_t baud)
{
    return (((uint64_t)mq_usart_clock_hz(clock_hz) << CLOCK_SHIFT) + baud / 2u) / baud;
}

bool mq_uart_can(uint32_t clock_hz, uint32_t baud)
{
    return divider(clock_hz, baud) >= DIVIDER_MIN && divider(clock_hz, baud) <= DIVIDER_MAX;
}

void mq_uart_init(uint32_t clock_hz, uint32_t baud)
{
    USART_CR1 = 0;
    USART_CR3 = USART_CR3_OVRDIS;
    USART_BRR = (uint32_t)divider(clock_hz, baud);
    USART_CR1 = USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
    USART_CR1 |= USART_CR1_UE;
}

bool mq_uart_readable(void)
{
    return (USART_ISR & USART_ISR_RXNE) != 0;
}

uint8_t mq_uart_read(void)
{
    return (uint8_t)USART_RDR;
}

void mq_uart_write(uint8_t byte)
{
    while ((USART_ISR & USART_ISR_TXE) == 0) {
    }
    USART_TDR = byte;
}

void mq_uart_flush(void)
{
    while ((USART_ISR & USART_ISR_TC) == 0) {
    }
}
