/* Text and bytes over the serial port. All sent bytes are also added to a running CRC-32. */
#ifndef MQ_SERIAL_H
#define MQ_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MQ_COMMAND_SIZE = 80,    /* characters of a command, without its % */
    MQ_SILENCE_US = 20000,   /* after this silence the rest of a damaged request is complete */
    MQ_BYTE_TIMEOUT_US = 200000, /* longest pause inside a request */
};

void mq_put_char(char c);
void mq_put_bytes(const void *data, uint32_t count);
void mq_put_text(const char *text);
void mq_put_u64(uint64_t value);
/* Eight hexadecimal digits. */
void mq_put_hex(uint32_t value);
/* As "%0.3f". */
void mq_put_fixed3(float value);
/* Text of unknown origin: characters other than printable ASCII become '?'. */
void mq_put_foreign(const char *text);
/* "\r\n" */
void mq_put_end(void);

/* The running CRC, for initialization and reading. */
void mq_put_crc_set(uint32_t crc);
uint32_t mq_put_crc(void);

typedef enum {
    MQ_LINE_COMPLETE,
    MQ_LINE_TOO_LONG,
    MQ_LINE_BROKEN, /* a checked request that stopped before its end */
    MQ_LINE_NONE,   /* no character within the timeout */
} mq_line_t;

/* Reads a command up to its %, which is not stored; carriage returns and line feeds are ignored. The timeout of the first
 * character is `timeout_us`, 0 for none; that of the others in a checked request is MQ_BYTE_TIMEOUT_US. */
mq_line_t mq_get_command(char command[MQ_COMMAND_SIZE + 1], uint32_t timeout_us);
/* Reads `count` raw bytes. False after a pause of MQ_BYTE_TIMEOUT_US. */
bool mq_get_bytes(void *data, uint32_t count);
/* Discards received bytes until the line is silent. */
void mq_get_silence(void);

#endif
