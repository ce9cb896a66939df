/* Text and bytes over the serial port. All that is put is also added to a running CRC-32. */
#ifndef MQ_SERIAL_H
#define MQ_SERIAL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    MQ_COMMAND_SIZE = 80,    /* characters of a command, without its % */
    MQ_SILENCE_US = 20000,   /* a line this long silent carries nothing more of what was being sent */
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
/* Text of unknown origin: what is not printable ASCII becomes '?'. */
void mq_put_foreign(const char *text);
/* "\r\n" */
void mq_put_end(void);

/* The CRC so far, to begin with and to read. */
void mq_put_crc_set(uint32_t crc);
uint32_t mq_put_crc(void);

typedef enum {
    MQ_LINE_COMPLETE,
    MQ_LINE_TOO_LONG,
    MQ_LINE_BROKEN, /* a checked request stopped in the middle */
    MQ_LINE_NONE,   /* nothing came for the time allowed */
} mq_line_t;

/* A command, up to its %, which is taken and not kept; carriage returns and line feeds are left out. Waits for the first
 * character `timeout_us`, or as long as it takes when that is 0; for the others of a checked request MQ_BYTE_TIMEOUT_US. */
mq_line_t mq_get_command(char command[MQ_COMMAND_SIZE + 1], uint32_t timeout_us);
/* `count` raw bytes. False when the sender pauses for MQ_BYTE_TIMEOUT_US. */
bool mq_get_bytes(void *data, uint32_t count);
/* Throws away what comes until the line is silent. */
void mq_get_silence(void);

#endif
