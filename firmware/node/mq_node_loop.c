/* The node's part of the loop: it asks the sensor, tells decisions, and sleeps in between. And the command that the supplied
 * sensor lives on: `samples STREAM START COUNT`, followed by raw bytes as `in` is.
 *
 * A stream, under a number that the sender makes up, begins with a node that knows nothing. START is the position of the first
 * sample in it. The decisions come before the reply, which has the CRC-32 of their lines in `lines`; a request that is sent again
 * is answered by the same, and changes nothing. */
#include <stddef.h>

#include "app/mq_app.h"
#include "app/mq_call.h"
#include "app/mq_port.h"
#include "app/mq_serial.h"
#include "node/mq_node.h"
#include "node/mq_replay.h"
#include "node/node_sensor.h"

enum { SAMPLE_BYTES = MQ_NODE_CHANNELS * sizeof(int16_t), SAMPLES_MAX = MQ_CALL_CHUNK_BYTES / SAMPLE_BYTES };
enum { DECISIONS_MAX = 8 }; /* most decisions of one request */
enum { QUIET_US = 500000 }; /* longer than a computer needs between two requests of one conversation */

static int16_t queue[SAMPLES_MAX][MQ_NODE_CHANNELS];
static uint32_t queued, taken;

static bool has_stream;
static uint32_t stream, start; /* the last request */
static mq_decision_t made[DECISIONS_MAX];
static uint32_t made_count;

bool mq_replay_take(int16_t sample[MQ_NODE_CHANNELS])
{
    if (taken == queued) {
        return false;
    }
    for (uint32_t i = 0; i < MQ_NODE_CHANNELS; i++) {
        sample[i] = queue[taken][i];
    }
    taken++;
    return true;
}

/* The next sample, and the decision that it leads to. Returns whether the sensor had one. */
static bool take_sample(void)
{
    int16_t sample[MQ_NODE_CHANNELS];
    mq_decision_t decision;
    if (!mq_sensor_read(sample)) {
        return false;
    }
    if (mq_node_take(sample, &decision)) {
        mq_node_put(&decision);
        if (made_count < DECISIONS_MAX) {
            made[made_count++] = decision;
        }
    }
    return true;
}

/* Takes all available samples, until a byte of a command is available: a sensor that always has a sample must not keep commands
 * waiting. Returns whether there is such a byte. */
static bool poll(void)
{
    while (!mq_port_await(0)) {
        if (!take_sample()) {
            return false;
        }
    }
    return true;
}

static void reply(const mq_call_t *call, uint32_t lines_crc)
{
    const mq_node_count_t count = mq_node_count();
    mq_call_ok(call);
    mq_call_put_u64("samples", count.samples);
    mq_call_put_u64("inferences", count.inferences);
    mq_call_put_u64("decisions", count.decisions);
    mq_call_put_hex("outputs", count.outputs_crc);
    mq_call_put_hex("lines", lines_crc);
    (void)mq_call_end();
}

static bool is_repeated(uint32_t number, uint32_t from, uint32_t count)
{
    return has_stream && number == stream && from == start && count == queued;
}

/* A new request, not a repeated one. */
static void go_on(uint32_t number, uint32_t from, uint32_t count)
{
    if (from == 0) {
        mq_node_reset();
    }
    has_stream = true;
    stream = number;
    start = from;
    queued = count;
    taken = 0;
    made_count = 0;
    for (uint32_t i = 0; i < count && take_sample(); i++) {
    }
}

static void tell_again(void)
{
    for (uint32_t i = 0; i < made_count; i++) {
        mq_node_put(&made[i]);
    }
}

static void samples(mq_call_t *call)
{
    uint32_t number, from, count;
    const bool understood = call->request->checked && mq_word_hex(call->request, call->first, &number) &&
                            mq_call_u32(call, 1, &from) && mq_call_u32(call, 2, &count);
    if (!understood) {
        mq_call_error(call, "arguments");
        return;
    }
    if (count == 0 || count > SAMPLES_MAX || count > DECISIONS_MAX * MQ_NODE_STRIDE) {
        mq_get_silence();
        mq_call_error(call, "range");
        return;
    }
    const bool repeated = is_repeated(number, from, count);
    const bool in_order = from == 0 || (has_stream && number == stream && from == mq_node_count().samples);
    if (!repeated && !in_order) {
        mq_get_silence();
        mq_call_error(call, "order");
        return;
    }
    if (!mq_call_take(call, queue, count * SAMPLE_BYTES)) {
        return;
    }
    mq_put_crc_set(0);
    if (repeated) {
        tell_again();
    } else {
        go_on(number, from, count);
    }
    if (taken == queued) {
        reply(call, mq_put_crc());
    } else {
        mq_call_error(call, "sensor"); /* this sensor does not replay */
    }
}

/* node: its progress. */
static void node(mq_call_t *call)
{
    reply(call, 0);
}

const mq_verb_t mq_app_verbs[] = {{"samples", samples}, {"node", node}, {NULL, NULL}};

void mq_app_start(void)
{
    mq_node_reset();
    mq_sensor_start();
}

/* After a command, the node takes no sample until the serial port has been silent for QUIET_US: its inferences would replace the
 * outputs that the next command asks for. */
void mq_app_idle(void)
{
    static bool has_command;
    if (has_command && mq_port_await(QUIET_US)) {
        return;
    }
    has_command = true;
    while (!poll() && mq_sensor_poll_us != 0 && !mq_port_await(mq_sensor_poll_us)) {
    }
    mq_port_wait();
}
