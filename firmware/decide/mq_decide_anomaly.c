#include "decide/mq_decide.h"

#include "app/mq_app.h"
#include "app/mq_crc.h"
#include "app/mq_serial.h"
#include "decide/mq_average.h"
#include "decide/mq_debounce.h"
#include "decide/mq_decimal.h"
#include "node/node_config.h"
#if MQ_DECIDE_HAS_ERROR
#include <string.h>

#include "decide/mq_error_sum.h"
#endif

enum { NO_SCORE = -1 };

static const mq_decimal_t decimal = MQ_DECIDE_DECIMAL;
static mq_debounce_t alarm;
static mq_average_t average;
static int32_t smoothed;

#if MQ_DECIDE_IS_DELAYED
static mq_node_score_t forecast[MQ_ERROR_ROWS * MQ_NODE_CHANNELS]; /* error of the preceding inference */
static bool has_forecast;
#endif

void mq_decide_reset(void)
{
    alarm = (mq_debounce_t){0};
    average = (mq_average_t){0};
    smoothed = NO_SCORE;
#if MQ_DECIDE_IS_DELAYED
    has_forecast = false;
#endif
}

/* False if there is no error yet. */
static bool score_of(const mq_node_score_t *output, int32_t *score)
{
#if MQ_DECIDE_IS_DELAYED
    const bool has_score = has_forecast;
    *score = has_score ? mq_error_sum(forecast) : 0;
    memcpy(forecast, output, sizeof forecast);
    has_forecast = true;
    return has_score;
#elif MQ_DECIDE_HAS_ERROR
    *score = mq_error_sum(output);
    return true;
#else
    *score = *output * (1 << MQ_DECIDE_VALUE_BITS);
    return true;
#endif
}

bool mq_decide(mq_verdict_t *verdict)
{
    int32_t score;
    if (!score_of(mq_output(mq_app_model, mq_app_arena, 0), &score)) {
        return false;
    }
    smoothed = mq_average(&average, score, MQ_DECIDE_WEIGHT);
    const bool is_high = smoothed >= (alarm.state != 0 ? MQ_DECIDE_OFF : MQ_DECIDE_ON);
    *verdict = (mq_verdict_t){.is_alarm = is_high, .score = smoothed};
    return mq_debounce(&alarm, is_high);
}

uint32_t mq_decide_crc(uint32_t crc)
{
    return mq_crc32(crc, &smoothed, sizeof smoothed);
}

void mq_decide_put(const mq_verdict_t *verdict)
{
    mq_put_text(verdict->is_alarm ? ",\"alarm\":true,\"score\":" : ",\"alarm\":false,\"score\":");
    mq_put_decimal(verdict->score, &decimal);
}
