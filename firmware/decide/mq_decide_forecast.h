/* The samples that follow, and the error of the preceding forecast. */
#ifndef MQ_DECIDE_FORECAST_H
#define MQ_DECIDE_FORECAST_H

#include <stdint.h>

#include "decide/decision_config.h"
#include "node/node_config.h"

typedef struct {
    uint32_t from; /* first sample of the forecast, from 0 */
    int32_t error; /* -1: no preceding forecast */
    mq_node_score_t values[MQ_DECIDE_ROWS][MQ_NODE_CHANNELS];
} mq_verdict_t;

#endif
