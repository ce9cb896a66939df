/* Commands of our own, "mq VERB ARGUMENTS". Every reply is one line, for the same request under the same number:
 *
 *     mq #SSSSSSSS ok NAME=VALUE ... *CCCCCCCC
 *     mq #SSSSSSSS error CODE *CCCCCCCC
 *
 * and, by `out` alone, `bytes` raw bytes and their CRC-32 after it (little endian, continued from that of the line).
 * Without a number, as a person types it, the number is "-". */
#include "app/mq_app.h"
#include "app/mq_crc.h"
#include "app/mq_dialogue.h"
#include "app/mq_fault_fields.h"
#include "app/mq_port.h"
#include "app/mq_serial.h"
#include "digest.h"

#include <string.h>

enum { PROTOCOL_VERSION = 1, CHUNK_BYTES = 512, PAINT = 0xA5 };

typedef struct {
    const mq_request_t *request;
    uint32_t first; /* word of the first argument */
    mq_then_t then;
    uint32_t baud;
} mq_call_t;

static void begin(const mq_call_t *call, const char *status)
{
    mq_put_crc_set(0);
    mq_put_text("mq #");
    if (call->request->checked) {
        mq_put_hex(call->request->number);
    } else {
        mq_put_char('-');
    }
    mq_put_text(status);
}

/* Returns the line's CRC. */
static uint32_t end(void)
{
    const uint32_t crc = mq_put_crc();
    mq_put_text(" *");
    mq_put_hex(crc);
    mq_put_end();
    return crc;
}

static void begin_ok(const mq_call_t *call)
{
    begin(call, " ok");
}

static void error(const mq_call_t *call, const char *code)
{
    begin(call, " error ");
    mq_put_text(code);
    (void)end();
}

static void put_name(const char *name)
{
    mq_put_char(' ');
    mq_put_text(name);
    mq_put_char('=');
}

static void put_u64(const char *name, uint64_t value)
{
    put_name(name);
    mq_put_u64(value);
}

static void put_hex(const char *name, uint32_t value)
{
    put_name(name);
    mq_put_hex(value);
}

static void put_text(const char *name, const char *value)
{
    put_name(name);
    mq_put_text(value);
}

static void put_sizes(const char *name, const mq_tensor_t *tensors, uint32_t count)
{
    put_name(name);
    for (uint32_t i = 0; i < count; i++) {
        mq_put_text(i == 0 ? "" : ",");
        mq_put_u64(tensors[i].bytes);
    }
}

/* TYPE:BYTES, separated by commas */
static void put_tensors(const char *name, const mq_tensor_t *tensors, uint32_t count)
{
    static const char *const types[] = {"float32", "int8", "int16", "int32", "int64"};
    put_name(name);
    for (uint32_t i = 0; i < count; i++) {
        mq_put_text(i == 0 ? "" : ",");
        mq_put_text(types[tensors[i].type]);
        mq_put_char(':');
        mq_put_u64(tensors[i].bytes);
    }
}

static bool argument(const mq_call_t *call, uint32_t i, uint32_t *value)
{
    return mq_word_u32(call->request, call->first + i, value);
}

static uint32_t input_crc(void)
{
    return mq_crc32(0, mq_app_wire, mq_app_input_bytes);
}

/* Ticks of an empty measurement, the least of some: where a tick is coarse, its edge may fall into one. */
static uint64_t counter_overhead(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 8; i++) {
        const uint64_t before = mq_port_ticks();
        const uint64_t ticks = mq_port_ticks() - before;
        least = ticks < least ? ticks : least;
    }
    return least;
}

static void info(mq_call_t *call)
{
    begin_ok(call);
    put_u64("protocol", PROTOCOL_VERSION);
    put_text("digest", MQ_DIGEST);
    put_text("board", MQ_BOARD_NAME);
    put_text("core", MQ_BOARD_CORE);
    put_hex("cpuid", mq_port_cpuid());
    put_u64("clock_hz", mq_port_clock_hz());
    put_text("counter", mq_port_ticks_source());
    put_u64("counter_hz", mq_port_ticks_hz());
    put_u64("counter_overhead", counter_overhead());
    put_tensors("inputs", mq_app_model->inputs, mq_app_model->input_count);
    put_tensors("outputs", mq_app_model->outputs, mq_app_model->output_count);
    put_u64("steps", mq_app_model->step_count);
    put_u64("arena", mq_app_model->arena_bytes);
    put_u64("crashed", mq_port_crashed());
    (void)end();
}

/* in OFFSET BYTES, followed by as many raw bytes and their CRC-32, continued from the request's. They go where they belong
 * at once: damaged ones are there until sent again, which `run` is told by the CRC of the whole input. */
static void in(mq_call_t *call)
{
    uint32_t offset, count, crc;
    if (!call->request->checked || !argument(call, 0, &offset) || !argument(call, 1, &count)) {
        error(call, "arguments");
        return;
    }
    if (count > CHUNK_BYTES || offset > mq_app_input_bytes || count > mq_app_input_bytes - offset) {
        mq_get_silence();
        error(call, "range");
        return;
    }
    mq_app_wire_changed(MQ_FORM_STORED);
    if (!mq_get_bytes(mq_app_wire + offset, count) || !mq_get_bytes(&crc, sizeof crc)) {
        error(call, "silence");
        return;
    }
    if (crc != mq_crc32(call->request->crc, mq_app_wire + offset, count)) {
        mq_get_silence();
        error(call, "crc");
        return;
    }
    begin_ok(call);
    (void)end();
}

static void seed(mq_call_t *call)
{
    uint32_t value;
    if (!argument(call, 0, &value)) {
        error(call, "arguments");
        return;
    }
    mq_app_seed(value);
    begin_ok(call);
    put_hex("crc", input_crc());
    (void)end();
}

/* Whether the input is the one that argument i says by its CRC; without the argument, any is. */
static bool input_agrees(const mq_call_t *call, uint32_t i)
{
    uint32_t crc;
    if (call->request->count <= call->first + i) {
        return true;
    }
    return mq_word_hex(call->request, call->first + i, &crc) && mq_app_form == MQ_FORM_STORED && crc == input_crc();
}

static void put_result(const mq_call_t *call, uint64_t ticks)
{
    const mq_tensor_t *const tensors = mq_app_result.tensors;
    uint32_t crc = 0;
    for (uint32_t i = 0; i < mq_app_result.count; i++) {
        crc = mq_crc32(crc, (const uint8_t *)mq_app_arena + tensors[i].offset, tensors[i].bytes);
    }
    begin_ok(call);
    put_u64("ticks", ticks);
    put_sizes("bytes", tensors, mq_app_result.count);
    put_hex("crc", crc);
    (void)end();
}

/* run [INPUT_CRC] */
static void run(mq_call_t *call)
{
    if (!input_agrees(call, 0)) {
        error(call, "input");
        return;
    }
    put_result(call, mq_app_infer(call->request->number));
}

/* step I [INPUT_CRC] */
static void step(mq_call_t *call)
{
    uint32_t i;
    if (!argument(call, 0, &i) || i >= mq_app_model->step_count) {
        error(call, "arguments");
    } else if (!input_agrees(call, 1)) {
        error(call, "input");
    } else {
        put_result(call, mq_app_step(i, call->request->number));
    }
}

static uint32_t result_bytes(void)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < mq_app_result.count; i++) {
        sum += mq_app_result.tensors[i].bytes;
    }
    return sum;
}

/* Bytes [offset, offset + count) of the result's tensors laid end to end. */
static void put_result_bytes(uint32_t offset, uint32_t count)
{
    for (uint32_t i = 0; i < mq_app_result.count && count > 0; i++) {
        const mq_tensor_t *const tensor = &mq_app_result.tensors[i];
        if (offset >= tensor->bytes) {
            offset -= tensor->bytes;
            continue;
        }
        const uint32_t part = count < tensor->bytes - offset ? count : tensor->bytes - offset;
        mq_put_bytes((const uint8_t *)mq_app_arena + tensor->offset + offset, part);
        count -= part;
        offset = 0;
    }
}

/* out RESULT OFFSET BYTES: RESULT is the number of the request that made it. */
static void out(mq_call_t *call)
{
    uint32_t id, offset, count;
    const bool understood = call->request->checked && mq_word_hex(call->request, call->first, &id) &&
                            argument(call, 1, &offset) && argument(call, 2, &count);
    if (!understood) {
        error(call, "arguments");
    } else if (mq_app_result.count == 0 || mq_app_result.id != id) {
        error(call, "result");
    } else if (count > CHUNK_BYTES || offset > result_bytes() || count > result_bytes() - offset) {
        error(call, "range");
    } else {
        begin_ok(call);
        put_u64("bytes", count);
        const uint32_t line_crc = end();
        mq_put_crc_set(line_crc);
        put_result_bytes(offset, count);
        const uint32_t crc = mq_put_crc();
        mq_put_bytes(&crc, sizeof crc);
        mq_put_end();
    }
}

/* One inference over a painted arena and stack. `arena_used` counts up to the last byte that was written. */
static void memory(mq_call_t *call)
{
    uint8_t *const arena = mq_app_arena;
    memset(arena, PAINT, mq_app_model->arena_bytes);
    mq_port_stack_paint();
    const uint32_t depth = mq_port_stack_depth_bytes();
    (void)mq_app_infer(call->request->number);
    const uint32_t used = mq_port_stack_used_bytes();
    uint32_t arena_used = mq_app_model->arena_bytes;
    while (arena_used > 0 && arena[arena_used - 1u] == PAINT) {
        arena_used--;
    }
    begin_ok(call);
    put_u64("stack", mq_port_stack_bytes());
    put_u64("stack_peak", mq_port_stack_peak_bytes());
    put_u64("stack_inference", used > depth ? used - depth : 0);
    put_u64("arena", mq_app_model->arena_bytes);
    put_u64("arena_used", arena_used);
    (void)end();
}

/* fault [clear] */
static void fault(mq_call_t *call)
{
    if (mq_word_is(call->request, call->first, "clear")) {
        mq_port_fault_clear();
    }
    const mq_fault_t *const record = mq_port_fault();
    begin_ok(call);
    put_u64("recorded", record != NULL);
    if (record != NULL) {
        mq_put_fault_fields(record);
    }
    (void)end();
}

static void baud(mq_call_t *call)
{
    if (!argument(call, 0, &call->baud) || !mq_port_can_baud(call->baud)) {
        error(call, "baud");
        return;
    }
    call->then = MQ_THEN_SET_BAUD;
    begin_ok(call);
    (void)end();
}

static void reboot(mq_call_t *call)
{
    call->then = MQ_THEN_REBOOT;
    begin_ok(call);
    (void)end();
}

static const struct {
    const char *verb;
    void (*handle)(mq_call_t *call);
} verbs[] = {{"info", info}, {"in", in},         {"seed", seed},   {"run", run},   {"step", step},
             {"out", out},   {"memory", memory}, {"fault", fault}, {"baud", baud}, {"reboot", reboot}};

mq_then_t mq_remote(const mq_request_t *request, uint32_t verb, uint32_t *baud_out)
{
    mq_call_t call = {.request = request, .first = verb + 1u, .then = MQ_THEN_NOTHING};
    for (uint32_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (mq_word_is(request, verb, verbs[i].verb)) {
            verbs[i].handle(&call);
            *baud_out = call.baud;
            return call.then;
        }
    }
    mq_get_silence();
    error(&call, "verb");
    return MQ_THEN_NOTHING;
}
