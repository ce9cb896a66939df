/* Commands of mcuquant, "mq VERB ARGUMENTS". Every reply is one line, for the same request under the same number:
 *
 *     mq #SSSSSSSS ok NAME=VALUE ... *CCCCCCCC
 *     mq #SSSSSSSS error CODE *CCCCCCCC
 *
 * and, by `out` alone, `bytes` raw bytes and their CRC-32 after it (little endian, continued from that of the line).
 * Without a number, as a person types it, the number is "-". */
#include "app/mq_app.h"
#include "app/mq_call.h"
#include "app/mq_crc.h"
#include "app/mq_dialogue.h"
#include "app/mq_fault_fields.h"
#include "app/mq_port.h"
#include "app/mq_serial.h"
#include "digest.h"

#include <string.h>

enum { PROTOCOL_VERSION = 1, PAINT = 0xA5 };

static void put_sizes(const char *name, const mq_tensor_t *tensors, uint32_t count)
{
    mq_call_put_name(name);
    for (uint32_t i = 0; i < count; i++) {
        mq_put_text(i == 0 ? "" : ",");
        mq_put_u64(tensors[i].bytes);
    }
}

/* TYPE:BYTES, separated by commas */
static void put_tensors(const char *name, const mq_tensor_t *tensors, uint32_t count)
{
    static const char *const types[] = {"float32", "int8", "int16", "int32", "int64", "bool"};
    mq_call_put_name(name);
    for (uint32_t i = 0; i < count; i++) {
        mq_put_text(i == 0 ? "" : ",");
        mq_put_text(types[tensors[i].type]);
        mq_put_char(':');
        mq_put_u64(tensors[i].bytes);
    }
}

static uint32_t input_crc(void)
{
    return mq_crc32(0, mq_app_wire, mq_app_input_bytes);
}

/* Ticks of an empty measurement: the minimum of several, because an edge of a coarse tick may fall into one. */
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
    mq_call_ok(call);
    mq_call_put_u64("protocol", PROTOCOL_VERSION);
    mq_call_put_text("digest", MQ_DIGEST);
    mq_call_put_text("board", MQ_BOARD_NAME);
    mq_call_put_text("core", MQ_BOARD_CORE);
    mq_call_put_hex("cpuid", mq_port_cpuid());
    mq_call_put_u64("clock_hz", mq_port_clock_hz());
    mq_call_put_text("counter", mq_port_ticks_source());
    mq_call_put_u64("counter_hz", mq_port_ticks_hz());
    mq_call_put_u64("counter_overhead", counter_overhead());
    put_tensors("inputs", mq_app_model->inputs, mq_app_model->input_count);
    put_tensors("outputs", mq_app_model->outputs, mq_app_model->output_count);
    mq_call_put_u64("steps", mq_app_model->step_count);
    mq_call_put_u64("arena", mq_app_model->arena_bytes);
#if MQ_APP_STATE_BYTES
    mq_call_put_u64("state", MQ_APP_STATE_BYTES);
#endif
    mq_call_put_u64("crashed", mq_port_crashed());
    (void)mq_call_end();
}

/* in OFFSET BYTES, followed by as many raw bytes and their CRC-32, continued from the request's. They go where they belong
 * at once: damaged ones are there until sent again, which `run` is told by the CRC of the whole input. */
static void in(mq_call_t *call)
{
    uint32_t offset, count;
    if (!call->request->checked || !mq_call_u32(call, 0, &offset) || !mq_call_u32(call, 1, &count)) {
        mq_call_error(call, "arguments");
        return;
    }
    if (count > MQ_CALL_CHUNK_BYTES || offset > mq_app_input_bytes || count > mq_app_input_bytes - offset) {
        mq_get_silence();
        mq_call_error(call, "range");
        return;
    }
    mq_app_wire_changed(MQ_FORM_STORED);
    if (mq_call_take(call, mq_app_wire + offset, count)) {
        mq_call_ok(call);
        (void)mq_call_end();
    }
}

static void seed(mq_call_t *call)
{
    uint32_t value;
    if (!mq_call_u32(call, 0, &value)) {
        mq_call_error(call, "arguments");
        return;
    }
    mq_app_seed(value);
    mq_call_ok(call);
    mq_call_put_hex("crc", input_crc());
    (void)mq_call_end();
}

/* Whether the input has the CRC of argument i. Without the argument, any input is accepted. */
static bool input_agrees(const mq_call_t *call, uint32_t i)
{
    uint32_t crc;
    if (call->request->count <= call->first + i) {
        return true;
    }
    return mq_word_hex(call->request, call->first + i, &crc) && mq_app_form == MQ_FORM_STORED && crc == input_crc();
}

/* For a network with states, argument i is the number of the inference since its reset. */
typedef enum { MQ_TURN_NEXT, MQ_TURN_DONE, MQ_TURN_OTHER } mq_turn_t;

static mq_turn_t turn_of(const mq_call_t *call, uint32_t i)
{
#if MQ_APP_STATE_BYTES
    uint32_t turn;
    if (call->request->count <= call->first + i) {
        return MQ_TURN_NEXT;
    }
    if (!mq_call_u32(call, i, &turn) || (turn != mq_app_turn && turn + 1u != mq_app_turn)) {
        return MQ_TURN_OTHER;
    }
    return turn == mq_app_turn ? MQ_TURN_NEXT : MQ_TURN_DONE;
#else
    (void)call;
    (void)i;
    return MQ_TURN_NEXT;
#endif
}

static const uint8_t *data_of(const mq_tensor_t *tensor)
{
#if MQ_APP_STATE_BYTES
    return mq_tensor_data(mq_app_model, mq_app_arena, tensor);
#else
    return (const uint8_t *)mq_app_arena + tensor->offset;
#endif
}

static void put_result(const mq_call_t *call, uint64_t ticks)
{
    const mq_tensor_t *const tensors = mq_app_result.tensors;
    uint32_t crc = 0;
    for (uint32_t i = 0; i < mq_app_result.count; i++) {
        crc = mq_crc32(crc, data_of(&tensors[i]), tensors[i].bytes);
    }
    mq_call_ok(call);
    mq_call_put_u64("ticks", ticks);
    put_sizes("bytes", tensors, mq_app_result.count);
    mq_call_put_hex("crc", crc);
    (void)mq_call_end();
}

/* A repeated request for an inference whose results are present gets these results again: states must not change
   twice. */
static void tell_again(const mq_call_t *call, const mq_tensor_t *tensors)
{
#if MQ_APP_STATE_BYTES
    if (mq_app_result.count != 0 && mq_app_result.tensors == tensors) {
        mq_app_result.id = call->request->number;
        put_result(call, mq_app_result.ticks);
        return;
    }
#endif
    (void)tensors;
    mq_call_error(call, "order");
}

/* run [INPUT_CRC [TURN]] */
static void run(mq_call_t *call)
{
    const mq_turn_t turn = turn_of(call, 1);
    if (!input_agrees(call, 0)) {
        mq_call_error(call, "input");
    } else if (turn == MQ_TURN_OTHER) {
        mq_call_error(call, "order");
    } else if (turn == MQ_TURN_DONE) {
        tell_again(call, mq_app_model->outputs);
    } else {
        put_result(call, mq_app_infer(call->request->number));
    }
}

/* step I [INPUT_CRC [TURN]] */
static void step(mq_call_t *call)
{
    uint32_t i;
    const mq_turn_t turn = turn_of(call, 2);
    if (!mq_call_u32(call, 0, &i) || i >= mq_app_model->step_count) {
        mq_call_error(call, "arguments");
    } else if (!input_agrees(call, 1)) {
        mq_call_error(call, "input");
    } else if (turn == MQ_TURN_OTHER || (turn == MQ_TURN_DONE && i + 1u != mq_app_model->step_count)) {
        mq_call_error(call, "order");
    } else if (turn == MQ_TURN_DONE) {
        tell_again(call, mq_app_model->steps[i].outputs);
    } else {
        put_result(call, mq_app_step(i, call->request->number));
    }
}

#if MQ_APP_STATE_BYTES
/* reset: sets the network's states to their initial values. */
static void reset(mq_call_t *call)
{
    mq_app_reset();
    mq_call_ok(call);
    mq_call_put_u64("state", MQ_APP_STATE_BYTES);
    (void)mq_call_end();
}
#endif

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
        mq_put_bytes(data_of(tensor) + offset, part);
        count -= part;
        offset = 0;
    }
}

/* out RESULT OFFSET BYTES: RESULT is the number of the request that made it. */
static void out(mq_call_t *call)
{
    uint32_t id, offset, count;
    const bool understood = call->request->checked && mq_word_hex(call->request, call->first, &id) &&
                            mq_call_u32(call, 1, &offset) && mq_call_u32(call, 2, &count);
    if (!understood) {
        mq_call_error(call, "arguments");
    } else if (mq_app_result.count == 0 || mq_app_result.id != id) {
        mq_call_error(call, "result");
    } else if (count > MQ_CALL_CHUNK_BYTES || offset > result_bytes() || count > result_bytes() - offset) {
        mq_call_error(call, "range");
    } else {
        mq_call_ok(call);
        mq_call_put_u64("bytes", count);
        const uint32_t line_crc = mq_call_end();
        mq_put_crc_set(line_crc);
        put_result_bytes(offset, count);
        const uint32_t crc = mq_put_crc();
        mq_put_bytes(&crc, sizeof crc);
        mq_put_end();
    }
}

/* One inference over a painted arena and stack, the first and the last of a stream. `arena_used` extends to the last byte
 * that changed. */
static void memory(mq_call_t *call)
{
    uint8_t *const arena = mq_app_arena;
    memset(arena, PAINT, mq_app_model->arena_bytes);
    mq_port_stack_paint();
    const uint32_t depth = mq_port_stack_depth_bytes();
    mq_app_reset();
    (void)mq_app_infer(call->request->number);
    mq_app_reset();
    const uint32_t used = mq_port_stack_used_bytes();
    uint32_t arena_used = mq_app_model->arena_bytes;
    while (arena_used > 0 && arena[arena_used - 1u] == PAINT) {
        arena_used--;
    }
    mq_call_ok(call);
    mq_call_put_u64("stack", mq_port_stack_bytes());
    mq_call_put_u64("stack_peak", mq_port_stack_peak_bytes());
    mq_call_put_u64("stack_inference", used > depth ? used - depth : 0);
    mq_call_put_u64("arena", mq_app_model->arena_bytes);
    mq_call_put_u64("arena_used", arena_used);
    (void)mq_call_end();
}

/* fault [clear] */
static void fault(mq_call_t *call)
{
    if (mq_word_is(call->request, call->first, "clear")) {
        mq_port_fault_clear();
    }
    const mq_fault_t *const record = mq_port_fault();
    mq_call_ok(call);
    mq_call_put_u64("recorded", record != NULL);
    if (record != NULL) {
        mq_put_fault_fields(record);
    }
    (void)mq_call_end();
}

static void baud(mq_call_t *call)
{
    if (!mq_call_u32(call, 0, &call->baud) || !mq_port_can_baud(call->baud)) {
        mq_call_error(call, "baud");
        return;
    }
    call->then = MQ_THEN_SET_BAUD;
    mq_call_ok(call);
    (void)mq_call_end();
}

static void reboot(mq_call_t *call)
{
    call->then = MQ_THEN_REBOOT;
    mq_call_ok(call);
    (void)mq_call_end();
}

static const mq_verb_t verbs[] = {{"info", info}, {"in", in},         {"seed", seed},   {"run", run},   {"step", step},
#if MQ_APP_STATE_BYTES
                                   {"reset", reset},
#endif
                                   {"out", out},   {"memory", memory}, {"fault", fault}, {"baud", baud}, {"reboot", reboot},
                                   {NULL, NULL}};

/* The row for a word in a table that ends with an empty row, or null. */
static const mq_verb_t *find(const mq_verb_t *row, const mq_request_t *request, uint32_t verb)
{
    while (row->name != NULL && !mq_word_is(request, verb, row->name)) {
        row++;
    }
    return row->name != NULL ? row : NULL;
}

mq_then_t mq_remote(const mq_request_t *request, uint32_t verb, uint32_t *baud_out)
{
    mq_call_t call = {.request = request, .first = verb + 1u, .then = MQ_THEN_NOTHING};
    const mq_verb_t *row = find(verbs, request, verb);
    row = row != NULL ? row : find(mq_app_verbs, request, verb);
    if (row != NULL) {
        row->handle(&call);
    } else {
        mq_get_silence();
        mq_call_error(&call, "verb");
    }
    *baud_out = call.baud;
    return call.then;
}
