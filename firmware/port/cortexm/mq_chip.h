/* The interface of a chip family to port/cortexm: its clock and its UART. */
#ifndef MQ_CHIP_H
#define MQ_CHIP_H

#include <stdbool.h>
#include <stdint.h>

/* Starts the clock (every wait has a limit) and returns the resulting frequency of the core. */
uint32_t mq_chip_init(void);

/* Whether the clock can generate `baud`, which is not 0. */
bool mq_uart_can(uint32_t clock_hz, uint32_t baud);
/* 8N1, with the receive interrupt (MQ_BOARD_UART_IRQ) enabled. */
void mq_uart_init(uint32_t clock_hz, uint32_t baud);
bool mq_uart_readable(void);
/* The received byte; clears the interrupt. Only if readable. */
uint8_t mq_uart_read(void);
void mq_uart_write(uint8_t byte);
/* Returns after the last stop bit is sent. */
void mq_uart_flush(void);

#endif
