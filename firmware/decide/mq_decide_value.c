#include "decide/mq_decide.h"

#include "app/mq_app.h"
#include "app/mq_crc.h"
#include "app/mq_serial.h"
#include "decide/mq_average.h"
#include "decide/mq_debounce.h"
#include "decide/mq_decimal.h"
#include "node/node_config.h"

enum { NORMAL, HIGH, LOW };

static const mq_decimal_t decimal = MQ_DECIDE_DECIMAL;
static mq_debounce_t alarms[MQ_DECIDE_OUTPUTS];
static mq_average_t averages[MQ_DECIDE_OUTPUTS];
static int32_t smoothed[MQ_DECIDE_OUTPUTS];

void mq_decide_reset(void)
{
    for (uint32_t i = 0; i < MQ_DECIDE_OUTPUTS; i++) {
        alarms[i] = (mq_debounce_t){0};
        averages[i] = (mq_average_t){0};
    }
}

static int32_t level(int32_t value, int32_t state)
{
    if (value >= (state == HIGH ? MQ_DECIDE_HIGH_OFF : MQ_DECIDE_HIGH_ON)) {
        return HIGH;
    }
    return value <= (state == LOW ? MQ_DECIDE_LOW_OFF : MQ_DECIDE_LOW_ON) ? LOW : NORMAL;
}

bool mq_decide(mq_verdict_t *verdict)
{
    const mq_node_score_t *const outputs = mq_output(mq_app_model, mq_app_arena, 0);
    for (uint32_t i = 0; i < MQ_DECIDE_OUTPUTS; i++) {
        smoothed[i] = mq_average(&averages[i], outputs[i] * (1 << MQ_DECIDE_VALUE_BITS), MQ_DECIDE_WEIGHT);
        (void)mq_debounce(&alarms[i], level(smoothed[i], alarms[i].state));
        verdict->values[i] = smoothed[i];
        verdict->alarms[i] = (uint8_t)alarms[i].state;
    }
    return true;
}

uint32_t mq_decide_crc(uint32_t crc)
{
    return mq_crc32(crc, smoothed, sizeof smoothed);
}

void mq_decide_put(const mq_verdict_t *verdict)
{
    static const char *const names[] = {[NORMAL] = "null", [HIGH] = "\"high\"", [LOW] = "\"low\""};
    for (uint32_t i = 0; i < MQ_DECIDE_OUTPUTS; i++) {
        mq_put_text(i == 0 ? ",\"values\":[" : ",");
        mq_put_decimal(verdict->values[i], &decimal);
    }
    for (uint32_t i = 0; i < MQ_DECIDE_OUTPUTS; i++) {
        mq_put_text(i == 0 ? "],\"alarms\":[" : ",");
        mq_put_text(names[verdict->alarms[i]]);
    }
    mq_put_text("]" MQ_DECIDE_UNIT_FIELD);
}
