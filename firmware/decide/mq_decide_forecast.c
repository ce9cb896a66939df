#include "decide/mq_decide.h"

#include <string.h>

#include "app/mq_app.h"
#include "app/mq_crc.h"
#include "app/mq_serial.h"
#include "decide/mq_decimal.h"
#include "decide/mq_error_sum.h"
#include "node/mq_node.h"

enum { NO_ERROR = -1 };

static const mq_decimal_t decimals[MQ_NODE_CHANNELS] = {MQ_DECIDE_DECIMALS};
static const mq_decimal_t error_decimal = MQ_DECIDE_DECIMAL;
static mq_node_score_t forecast[MQ_DECIDE_ROWS][MQ_NODE_CHANNELS]; /* forecast of the preceding inference */
static bool has_forecast;
static int32_t error;

void mq_decide_reset(void)
{
    has_forecast = false;
}

bool mq_decide(mq_verdict_t *verdict)
{
    error = has_forecast ? mq_error_sum(forecast[0]) : NO_ERROR;
    has_forecast = true;
    memcpy(forecast, mq_output(mq_app_model, mq_app_arena, 0), sizeof forecast);
    verdict->from = mq_node_count().samples;
    verdict->error = error;
    memcpy(verdict->values, forecast, sizeof forecast);
    return true;
}

uint32_t mq_decide_crc(uint32_t crc)
{
    return mq_crc32(crc, &error, sizeof error);
}

static void put_row(const mq_node_score_t row[MQ_NODE_CHANNELS])
{
    for (uint32_t i = 0; i < MQ_NODE_CHANNELS; i++) {
        mq_put_char(i == 0 ? '[' : ',');
        mq_put_decimal(row[i], &decimals[i]);
    }
    mq_put_char(']');
}

void mq_decide_put(const mq_verdict_t *verdict)
{
    mq_put_text(",\"from\":");
    mq_put_u64(verdict->from);
    mq_put_text(",\"forecast\":[");
    for (uint32_t i = 0; i < MQ_DECIDE_ROWS; i++) {
        mq_put_text(i == 0 ? "" : ",");
        put_row(verdict->values[i]);
    }
    mq_put_text("],\"error\":");
    if (verdict->error == NO_ERROR) {
        mq_put_text("null");
    } else {
        mq_put_decimal(verdict->error, &error_decimal);
    }
}
