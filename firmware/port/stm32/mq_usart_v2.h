/* The USART and LPUART of STM32F7, G0, H7, L4, L4+ and U5, without FIFO. */
#ifndef MQ_USART_V2_H
#define MQ_USART_V2_H

#include "board.h"
#include "port/cortexm/mq_register.h"

#define USART_CR1 MQ_REGISTER(MQ_BOARD_UART_BASE + 0x00u)
#define USART_CR1_UE MQ_BIT(0)
#define USART_CR1_RE MQ_BIT(2)
#define USART_CR1_TE MQ_BIT(3)
#define USART_CR1_RXNEIE MQ_BIT(5)
#define USART_CR3 MQ_REGISTER(MQ_BOARD_UART_BASE + 0x08u)
#define USART_CR3_OVRDIS MQ_BIT(12)
#define USART_BRR MQ_REGISTER(MQ_BOARD_UART_BASE + 0x0Cu)
#define USART_ISR MQ_REGISTER(MQ_BOARD_UART_BASE + 0x1Cu)
#define USART_ISR_RXNE MQ_BIT(5)
#define USART_ISR_TC MQ_BIT(6)
#define USART_ISR_TXE MQ_BIT(7)
#define USART_RDR MQ_REGISTER(MQ_BOARD_UART_BASE + 0x24u)
#define USART_TDR MQ_REGISTER(MQ_BOARD_UART_BASE + 0x28u)

/* Defined by the family: the USART's clock. */
uint32_t mq_usart_clock_hz(uint32_t clock_hz);

#endif
