#include "decide/mq_decide.h"

#include "app/mq_app.h"
#include "app/mq_element.h"
#include "app/mq_serial.h"
#include "decide/mq_debounce.h"
#include "node/node_config.h"

static mq_debounce_t label;

void mq_decide_reset(void)
{
    label = (mq_debounce_t){.state = MQ_NO_CLASS, .candidate = MQ_NO_CLASS};
}

/* The first of the largest elements. */
bool mq_decide(mq_verdict_t *verdict)
{
    const mq_node_score_t *const scores = mq_output(mq_app_model, mq_app_arena, 0);
    const uint32_t count = mq_element_count(&mq_app_model->outputs[0]);
    int32_t best = 0;
    for (uint32_t i = 1; i < count; i++) {
        best = scores[i] > scores[best] ? (int32_t)i : best;
    }
    const int32_t score = scores[best];
    *verdict = (mq_verdict_t){.label = score >= MQ_DECIDE_THRESHOLD ? best : MQ_NO_CLASS, .score = score};
    return mq_debounce(&label, verdict->label);
}

uint32_t mq_decide_crc(uint32_t crc)
{
    return crc; /* the outputs alone: the rule keeps no score */
}

void mq_decide_put(const mq_verdict_t *verdict)
{
    if (verdict->label == MQ_NO_CLASS) {
        mq_put_text(",\"class\":null");
    } else {
        mq_put_text(",\"class\":");
        mq_put_u64((uint32_t)verdict->label);
    }
    mq_put_text(",\"score\":");
    mq_put_fixed3(mq_dequantize(&mq_app_model->outputs[0], verdict->score));
    mq_put_text(verdict->score < 0 ? ",\"stored\":-" : ",\"stored\":");
    mq_put_u64(verdict->score < 0 ? 0u - (uint32_t)verdict->score : (uint32_t)verdict->score);
}
