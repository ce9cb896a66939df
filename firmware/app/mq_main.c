/* Boot lines, then one command after the other. */
#include "app/mq_app.h"
#include "app/mq_dialogue.h"
#include "app/mq_port.h"
#include "app/mq_serial.h"

enum { TRIAL_US = 1000000 }; /* without a valid request at a new rate for this time, the default rate returns */

static bool on_trial;

/* Bytes after a damaged request may belong to it: they must not be read as commands. */
static void complain(const char *before, const char *what)
{
    mq_get_silence();
    mq_put_text("e-[");
    mq_put_text(before);
    mq_put_foreign(what);
    mq_put_text("]\r\n");
}

static mq_then_t answer(char *command, uint32_t *baud)
{
    mq_request_t request;
    if (!mq_parse_request(command, &request)) {
        complain("Damaged request", "");
        return MQ_THEN_NOTHING;
    }
    on_trial = on_trial && !request.checked;
    if (request.checked || mq_word_is(&request, 0, "mq")) {
        return mq_remote(&request, request.checked ? 0 : 1, baud);
    }
    if (request.count != 0 && !mq_mlperf(&request)) {
        complain("Unknown command: ", request.words[0]);
    }
    return MQ_THEN_NOTHING;
}

static void carry_out(mq_then_t then, uint32_t baud)
{
    if (then == MQ_THEN_REBOOT) {
        mq_port_reset();
    }
    if (then == MQ_THEN_SET_BAUD) {
        mq_port_set_baud(baud);
        on_trial = baud != MQ_BOARD_BAUD;
    }
}

static void serve(void)
{
    char command[MQ_COMMAND_SIZE + 1];
    mq_then_t then = MQ_THEN_NOTHING;
    uint32_t baud = MQ_BOARD_BAUD;
    const mq_line_t line = mq_get_command(command, on_trial ? TRIAL_US : 0);
    if (line == MQ_LINE_COMPLETE) {
        then = answer(command, &baud);
    } else if (line == MQ_LINE_TOO_LONG) {
        complain("Command too long", "");
    } else if (line == MQ_LINE_BROKEN) {
        complain("Incomplete request", "");
    }
    if (line != MQ_LINE_NONE) {
        mq_put_text("m-ready\r\n");
    }
    if (on_trial) {
        then = MQ_THEN_SET_BAUD;
        baud = MQ_BOARD_BAUD;
    }
    carry_out(then, baud);
}

/* A network with changed weights must not answer. This reply to every command says so. */
static void refuse(const mq_image_t *image)
{
    mq_put_text("e-[Corrupted flash: CRC ");
    mq_put_hex(image->found_crc);
    mq_put_text(" of ");
    mq_put_u64(image->bytes);
    mq_put_text(" bytes from ");
    mq_put_hex(image->start);
    mq_put_text(", built with ");
    mq_put_hex(image->stored_crc);
    mq_put_text("]\r\nm-ready\r\n");
}

static void check_image(void)
{
    const mq_image_t *const image = mq_port_image();
    while (image->found_crc != image->stored_crc) {
        refuse(image);
        do {
            mq_port_wait();
        } while (mq_port_getc(0) != '%');
        mq_get_silence();
    }
}

int main(void)
{
    mq_port_init();
    check_image();
    mq_put_text("m-timestamp-mode-performance\r\n");
    mq_put_lap(mq_app_now_us());
    mq_app_start();
    mq_put_text("m-init-done\r\nm-ready\r\n");
    for (;;) {
        serve();
    }
}
