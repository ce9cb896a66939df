#include "node/mq_node.h"

#include <string.h>

#include "app/mq_app.h"
#include "app/mq_crc.h"
#include "app/mq_element.h"
#include "app/mq_serial.h"
#include "node/mq_normalise.h"

static const mq_normal_t normals[MQ_NODE_CHANNELS] = {MQ_NODE_NORMALS};

/* The last MQ_NODE_WINDOW samples as the network stores them; `oldest` is where the next one goes. */
static mq_node_stored_t window[MQ_NODE_WINDOW][MQ_NODE_CHANNELS];
static uint32_t oldest;
static uint32_t missing = MQ_NODE_WINDOW; /* samples until the next inference */
static mq_node_count_t count;

static int32_t candidate, decided;
static uint32_t agreeing; /* inferences in a row that gave the candidate, at most MQ_NODE_DEBOUNCE */

void mq_node_reset(void)
{
    mq_app_reset();
    oldest = 0;
    missing = MQ_NODE_WINDOW;
    count = (mq_node_count_t){0};
    candidate = decided = MQ_NODE_NO_CLASS;
    agreeing = 0;
}

mq_node_count_t mq_node_count(void)
{
    return count;
}

static void store(const int16_t sample[MQ_NODE_CHANNELS])
{
    for (uint32_t i = 0; i < MQ_NODE_CHANNELS; i++) {
        window[oldest][i] = (mq_node_stored_t)mq_normalise(sample[i], &normals[i], MQ_NODE_LOW, MQ_NODE_HIGH);
    }
    oldest = oldest + 1u < MQ_NODE_WINDOW ? oldest + 1u : 0;
    count.samples++;
}

static void feed(void)
{
    uint8_t *const input = mq_input(mq_app_model, mq_app_arena, 0);
    const uint32_t behind = oldest * (uint32_t)sizeof window[0]; /* bytes of the newer part, which lies first */
    memcpy(input, window[oldest], sizeof window - behind);
    memcpy(input + sizeof window - behind, window[0], behind);
}

/* The first of the largest elements of the first output. */
static mq_decision_t largest(void)
{
    const mq_tensor_t *const output = &mq_app_model->outputs[0];
    const mq_node_score_t *const scores = mq_output(mq_app_model, mq_app_arena, 0);
    int32_t best = 0;
    for (uint32_t i = 1; i < mq_element_count(output); i++) {
        best = scores[i] > scores[best] ? (int32_t)i : best;
    }
    const int32_t score = scores[best];
    return (mq_decision_t){.label = score >= MQ_NODE_THRESHOLD ? best : MQ_NODE_NO_CLASS, .score = score};
}

static bool decide(const mq_decision_t *found)
{
    agreeing = found->label != candidate ? 1u : agreeing < MQ_NODE_DEBOUNCE ? agreeing + 1u : agreeing;
    candidate = found->label;
    if (agreeing < MQ_NODE_DEBOUNCE || candidate == decided) {
        return false;
    }
    decided = candidate;
    return true;
}

bool mq_node_take(const int16_t sample[MQ_NODE_CHANNELS], mq_decision_t *made)
{
    store(sample);
    if (--missing > 0) {
        return false;
    }
    missing = MQ_NODE_STRIDE;
    feed();
    (void)mq_app_compute(0);
    count.inferences++;
    count.outputs_crc =
        mq_crc32(count.outputs_crc, mq_output(mq_app_model, mq_app_arena, 0), mq_app_model->outputs[0].bytes);
    *made = largest();
    if (!decide(made)) {
        return false;
    }
    made->number = ++count.decisions;
    made->sample = count.samples - 1u;
    return true;
}

static void put(const char *name, uint32_t value)
{
    mq_put_text(name);
    mq_put_u64(value);
}

static void put_signed(int32_t value)
{
    mq_put_text(value < 0 ? "-" : "");
    mq_put_u64(value < 0 ? 0u - (uint32_t)value : (uint32_t)value);
}

void mq_node_put(const mq_decision_t *decision)
{
    put("{\"decision\":", decision->number);
    put(",\"sample\":", decision->sample);
    if (decision->label == MQ_NODE_NO_CLASS) {
        mq_put_text(",\"class\":null");
    } else {
        put(",\"class\":", (uint32_t)decision->label);
    }
    mq_put_text(",\"score\":");
    mq_put_fixed3(mq_dequantize(&mq_app_model->outputs[0], decision->score));
    mq_put_text(",\"stored\":");
    put_signed(decision->score);
    mq_put_text("}\r\n");
}
