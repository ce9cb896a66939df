#include "node/mq_node.h"

#include <string.h>

#include "app/mq_app.h"
#include "app/mq_crc.h"
#include "app/mq_serial.h"
#include "node/mq_normalise.h"

static const mq_normal_t normals[MQ_NODE_CHANNELS] = {MQ_NODE_NORMALS};

/* The last MQ_NODE_WINDOW samples as stored by the network; `oldest` is the place of the next sample. */
static mq_node_stored_t window[MQ_NODE_WINDOW][MQ_NODE_CHANNELS];
static uint32_t oldest;
static uint32_t missing = MQ_NODE_WINDOW; /* samples until the next inference */
static mq_node_count_t count;

void mq_node_reset(void)
{
    mq_app_reset();
    oldest = 0;
    missing = MQ_NODE_WINDOW;
    count = (mq_node_count_t){0};
    mq_decide_reset();
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
    const uint32_t behind = oldest * (uint32_t)sizeof window[0]; /* bytes of the newer part, which comes first in the ring */
    memcpy(input, window[oldest], sizeof window - behind);
    memcpy(input + sizeof window - behind, window[0], behind);
}

const mq_node_stored_t *mq_node_rows(uint32_t first, uint32_t *rows)
{
    const uint32_t behind = MQ_NODE_WINDOW - oldest; /* rows up to the end of the ring */
    const uint32_t row = first < behind ? oldest + first : first - behind;
    const uint32_t whole = MQ_NODE_WINDOW - row;
    *rows = *rows < whole ? *rows : whole;
    return window[row];
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
    const bool is_decision = mq_decide(&made->verdict);
    count.outputs_crc = mq_decide_crc(count.outputs_crc);
    if (!is_decision) {
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

void mq_node_put(const mq_decision_t *decision)
{
    put("{\"decision\":", decision->number);
    put(",\"sample\":", decision->sample);
    mq_decide_put(&decision->verdict);
    mq_put_text("}\r\n");
}
