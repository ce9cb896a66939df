#include "port/stm32/mq_usart_v1.h"

#include "port/cortexm/mq_chip.h"

enum { DIVIDER_MIN = 16, DIVIDER_MAX = 0xFFFF };

static uint32_t divider(uint32_t clock_hz, uint32_t baud)
{
    return (mq_usart_clock_hz(clock_hz) + baud / 2u) / baud;
}

bool mq_uart_can(uint32_t clock_hz, uint32_t baud)
{
    return divider(clock_hz, baud) >= DIVIDER_MIN && divider(clock_hz, baud) <= DIVIDER_MAX;
}

void mq_uart_init(uint32_t clock_hz, uint32_t baud)
{
    USART_CR1 = 0;
    USART_BRR = divider(clock_hz, baud);
    USART_CR1 = USART_CR1_UE | USART_CR1_TE | USART_CR1_RE | USART_CR1_RXNEIE;
}

bool mq_uart_readable(void)
{
    return (USART_SR & USART_SR_RXNE) != 0;
}

/* Together with the status read before it, this clears an overrun too. */
uint8_t mq_uart_read(void)
{
    return (uint8_t)USART_DR;
}

void mq_uart_write(uint8_t byte)
{
    while ((USART_SR & USART_SR_TXE) == 0) {
    }
    USART_DR = byte;
}

void mq_uart_flush(void)
{
    while ((USART_SR & USART_SR_TC) == 0) {
    }
}
