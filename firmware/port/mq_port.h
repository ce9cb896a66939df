/* What the application needs of a chip: port/cortexm and one folder of port/ implement it together. */
#ifndef MQ_PORT_H
#define MQ_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clocks, counter, serial port at MQ_BOARD_BAUD. Called once, before anything else here. */
void mq_port_init(void);

/* The core clock actually running. */
uint32_t mq_port_clock_hz(void);

/* Counter that only goes up, from boot on; it never wraps. */
uint64_t mq_port_ticks(void);
uint32_t mq_port_ticks_hz(void);
/* "cyccnt" (DWT cycle counter) or "systick". */
const char *mq_port_ticks_source(void);

/* The next byte, or -1 when none came for `timeout_us`. */
int mq_port_getc(uint32_t timeout_us);
/* Sleeps until there is a byte. */
void mq_port_wait(void);
void mq_port_putc(uint8_t byte);
/* Returns when the last bit has left; the rate may change then. Rates out of the UART's reach give false. */
bool mq_port_set_baud(uint32_t baud);

/* Bytes of stack: all of it, the most ever used, the most used since mq_port_stack_paint(). */
uint32_t mq_port_stack_bytes(void);
uint32_t mq_port_stack_peak_bytes(void);
uint32_t mq_port_stack_used_bytes(void);
void mq_port_stack_paint(void);

/* Part number and revision of the core (SCB CPUID). */
uint32_t mq_port_cpuid(void);

_Noreturn void mq_port_reset(void);

#endif
