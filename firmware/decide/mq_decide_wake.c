#include "decide/mq_decide.h"

#include "app/mq_app.h"
#include "app/mq_crc.h"
#include "app/mq_serial.h"
#include "decide/mq_decimal.h"
#include "node/node_config.h"

static const int32_t no_sum = INT32_MIN;
static const mq_decimal_t decimal = MQ_DECIDE_DECIMAL;

static mq_node_score_t scores[MQ_DECIDE_AVERAGE]; /* a ring; `next` is the oldest score */
static uint32_t next, count;
static uint32_t agreeing; /* consecutive inferences above the limit */
static uint32_t ignored;  /* inferences that are still ignored */
static int32_t sum;

static void forget(void)
{
    next = 0;
    count = 0;
    agreeing = 0;
}

void mq_decide_reset(void)
{
    forget();
    ignored = 0;
    sum = no_sum;
}

/* The sum of the last scores with this one, or no_sum. */
static int32_t sum_with(mq_node_score_t score)
{
    scores[next] = score;
    next = next + 1u < MQ_DECIDE_AVERAGE ? next + 1u : 0;
    count += count < MQ_DECIDE_AVERAGE;
    if (count < MQ_DECIDE_AVERAGE) {
        return no_sum;
    }
    int32_t total = 0;
    for (uint32_t i = 0; i < MQ_DECIDE_AVERAGE; i++) {
        total += scores[i];
    }
    return total;
}

bool mq_decide(mq_verdict_t *verdict)
{
    if (ignored > 0) {
        ignored--;
        sum = no_sum;
        return false;
    }
    const mq_node_score_t *const output = mq_output(mq_app_model, mq_app_arena, 0);
    sum = sum_with(*output);
    agreeing = sum > MQ_DECIDE_LIMIT ? agreeing + 1u : 0;
    if (agreeing < MQ_DECIDE_DEBOUNCE) {
        return false;
    }
    *verdict = (mq_verdict_t){.sum = sum};
    forget();
    ignored = MQ_DECIDE_COOL_DOWN;
    return true;
}

uint32_t mq_decide_crc(uint32_t crc)
{
    return mq_crc32(crc, &sum, sizeof sum);
}

void mq_decide_put(const mq_verdict_t *verdict)
{
    mq_put_text(",\"wake\":true,\"score\":");
    mq_put_decimal(verdict->sum, &decimal);
}
