/* Firmware of a network that is fed by rows: one more command takes the rows of an image as they come.
 *
 * `feed OFFSET BYTES`, followed by raw bytes of the image as `in` is. Every row that they complete goes through the network at once;
 * OFFSET 0 begins an image. The reply has the rows so far and, after the last one, the fields of `run`. */
#include <stddef.h>

#include "app/mq_app.h"
#include "app/mq_call.h"
#include "app/mq_crc.h"
#include "app/mq_port.h"
#include "app/mq_serial.h"
#include MQ_APP_MODEL_HEADER

uint32_t mq_app_fed_rows;
static uint32_t received_bytes;
static uint64_t image_ticks;

static void take_rows(uint32_t rows)
{
    const uint32_t row_bytes = MQ_APP_INPUT_BYTES / MQ_APP_ROWS;
    const uint64_t start = mq_port_ticks();
    (void)MQ_APP_FEED(mq_app_arena, (const void *)(mq_app_wire + mq_app_fed_rows * row_bytes), (int)rows);
    image_ticks += mq_port_ticks() - start;
    mq_app_fed_rows += rows;
}

static void put_result(void)
{
    const mq_tensor_t *const outputs = mq_app_model->outputs;
    uint32_t crc = 0;
    mq_call_put_u64("ticks", image_ticks);
    mq_call_put_name("bytes");
    for (uint32_t i = 0; i < mq_app_model->output_count; i++) {
        mq_put_text(i == 0 ? "" : ",");
        mq_put_u64(outputs[i].bytes);
        crc = mq_crc32(crc, mq_output(mq_app_model, mq_app_arena, (int)i), outputs[i].bytes);
    }
    mq_call_put_hex("crc", crc);
}

static void answer(const mq_call_t *call)
{
    mq_app_result = (mq_result_t){.id = call->request->number};
    mq_call_ok(call);
    mq_call_put_u64("rows", mq_app_fed_rows);
    if (mq_app_fed_rows == MQ_APP_ROWS) {
        mq_app_result.tensors = mq_app_model->outputs;
        mq_app_result.count = mq_app_model->output_count;
        put_result();
    }
    (void)mq_call_end();
}

static void begin_image(void)
{
    MQ_APP_RESTART();
    mq_app_fed_rows = 0;
    received_bytes = 0;
    image_ticks = 0;
}

/* A repeated request feeds no row twice. */
static void feed(mq_call_t *call)
{
    uint32_t offset, count;
    if (!call->request->checked || !mq_call_u32(call, 0, &offset) || !mq_call_u32(call, 1, &count)) {
        mq_call_error(call, "arguments");
        return;
    }
    if (count > MQ_CALL_CHUNK_BYTES || offset > MQ_APP_INPUT_BYTES || count > MQ_APP_INPUT_BYTES - offset) {
        mq_get_silence();
        mq_call_error(call, "range");
        return;
    }
    mq_app_wire_changed(MQ_FORM_STORED);
    if (!mq_call_take(call, mq_app_wire + offset, count)) {
        return;
    }
    if (offset == 0) {
        begin_image();
    }
    const uint32_t end = offset + count, rows = end / (MQ_APP_INPUT_BYTES / MQ_APP_ROWS);
    if (offset > received_bytes || mq_app_fed_rows > MQ_APP_ROWS) {
        mq_call_error(call, "order");
        return;
    }
    received_bytes = end > received_bytes ? end : received_bytes;
    if (rows > mq_app_fed_rows) {
        take_rows(rows - mq_app_fed_rows);
    }
    answer(call);
}

const mq_verb_t mq_app_verbs[] = {{"feed", feed}, {NULL, NULL}};

void mq_app_start(void)
{
}

void mq_app_idle(void)
{
    mq_port_wait();
}
