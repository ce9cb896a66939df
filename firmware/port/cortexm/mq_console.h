/* Bytes to and from the host: mq_port.h's getc, putc, wait, await, can_baud, set_baud and reset are in mq_console.c. */
#ifndef MQ_CONSOLE_H
#define MQ_CONSOLE_H

#include <stdint.h>

/* At MQ_BOARD_BAUD, from the core clock that actually runs. */
void mq_console_init(uint32_t core_clock_hz);

#endif
