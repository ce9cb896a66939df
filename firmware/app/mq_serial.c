#include "app/mq_serial.h"

#include "app/mq_app.h"
#include "app/mq_crc.h"
#include "app/mq_format.h"
#include "app/mq_port.h"
#include "app/mq_request.h"

static uint32_t put_crc;

void mq_put_char(char c)
{
    put_crc = mq_crc32(put_crc, &c, 1);
    mq_port_putc((uint8_t)c);
}

void mq_put_bytes(const void *data, uint32_t count)
{
    const char *const byte = data;
    for (uint32_t i = 0; i < count; i++) {
        mq_put_char(byte[i]);
    }
}

void mq_put_text(const char *text)
{
    while (*text != 0) {
        mq_put_char(*text++);
    }
}

void mq_put_u64(uint64_t value)
{
    char text[MQ_NUMBER_SIZE];
    (void)mq_format_u64(text, value);
    mq_put_text(text);
}

void mq_put_hex(uint32_t value)
{
    char text[MQ_NUMBER_SIZE];
    (void)mq_format_hex(text, value);
    mq_put_text(text);
}

void mq_put_fixed3(float value)
{
    char text[MQ_NUMBER_SIZE];
    (void)mq_format_fixed3(text, value);
    mq_put_text(text);
}

void mq_put_foreign(const char *text)
{
    for (; *text != 0; text++) {
        mq_put_char(*text >= ' ' && *text <= '~' ? *text : '?');
    }
}

void mq_put_end(void)
{
    mq_put_text("\r\n");
}

void mq_put_crc_set(uint32_t crc)
{
    put_crc = crc;
}

uint32_t mq_put_crc(void)
{
    return put_crc;
}

/* The next character of a command, or -1. A person may pause between two characters, a program does not. */
static int next_char(const char *command, uint32_t count, uint32_t timeout_us)
{
    if (count >= MQ_REQUEST_MARK_SIZE && mq_is_checked(command)) {
        return mq_port_getc(MQ_BYTE_TIMEOUT_US);
    }
    if (count == 0 && timeout_us != 0) {
        return mq_port_getc(timeout_us);
    }
    mq_app_idle();
    return mq_port_getc(MQ_BYTE_TIMEOUT_US);
}

mq_line_t mq_get_command(char command[MQ_COMMAND_SIZE + 1], uint32_t timeout_us)
{
    uint32_t count = 0;
    for (;;) {
        const int c = next_char(command, count, timeout_us);
        if (c < 0) {
            return count == 0 ? MQ_LINE_NONE : MQ_LINE_BROKEN;
        }
        if (c == '%') {
            command[count < MQ_COMMAND_SIZE ? count : MQ_COMMAND_SIZE] = 0;
            return count > MQ_COMMAND_SIZE ? MQ_LINE_TOO_LONG : MQ_LINE_COMPLETE;
        }
        if (c == '\r' || c == '\n') {
            continue;
        }
        if (count < MQ_COMMAND_SIZE) {
            command[count] = (char)c;
        }
        count += count <= MQ_COMMAND_SIZE;
    }
}

bool mq_get_bytes(void *data, uint32_t count)
{
    uint8_t *const byte = data;
    for (uint32_t i = 0; i < count; i++) {
        const int c = mq_port_getc(MQ_BYTE_TIMEOUT_US);
        if (c < 0) {
            return false;
        }
        byte[i] = (uint8_t)c;
    }
    return true;
}

void mq_get_silence(void)
{
    while (mq_port_getc(MQ_SILENCE_US) >= 0) {
    }
}
