/* What each chip family gives port/cortexm: its clock and its UART, nothing else. */
#ifndef MQ_CHIP_H
#define MQ_CHIP_H

#include <stdbool.h>
#include <stdint.h>

/* Brings the clock up (every wait bounded) and returns the frequency of the core that came of it. */
uint32_t mq_chip_init(void);

/* Whether `baud`, not 0, can be had from this clock. */
bool mq_uart_can(uint32_t clock_hz, uint32_t baud);
/* 8N1, with the receive interrupt (MQ_BOARD_UART_IRQ) on. */
void mq_uart_init(uint32_t clock_hz, uint32_t baud);
bool mq_uart_readable(void);
/* The byte received; clears the interrupt. Only when readable. */
uint8_t mq_uart_read(void);
void mq_uart_write(uint8_t byte);
/* Returns when the last stop bit has left. */
void mq_uart_flush(void);

#endif
