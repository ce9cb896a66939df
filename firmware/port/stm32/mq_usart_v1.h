/* The USART of STM32F1 and F4. */
#ifndef MQ_USART_V1_H
#define MQ_USART_V1_H

#include "board.h"
#include "port/cortexm/mq_register.h"

#define USART_SR MQ_REGISTER(MQ_BOARD_UART_BASE + 0x00u)
#define USART_SR_RXNE MQ_BIT(5)
#define USART_SR_TC MQ_BIT(6)
#define USART_SR_TXE MQ_BIT(7)
#define USART_DR MQ_REGISTER(MQ_BOARD_UART_BASE + 0x04u)
#define USART_BRR MQ_REGISTER(MQ_BOARD_UART_BASE + 0x08u)
#define USART_CR1 MQ_REGISTER(MQ_BOARD_UART_BASE + 0x0Cu)
#define USART_CR1_RE MQ_BIT(2)
#define USART_CR1_TE MQ_BIT(3)
#define USART_CR1_RXNEIE MQ_BIT(5)
#define USART_CR1_UE MQ_BIT(13)

/* Defined by the family: the USART's clock. */
uint32_t mq_usart_clock_hz(uint32_t clock_hz);

#endif
