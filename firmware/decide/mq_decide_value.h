/* The outputs as numbers, each with an alarm outside its limits. */
#ifndef MQ_DECIDE_VALUE_H
#define MQ_DECIDE_VALUE_H

#include <stdint.h>

#include "decide/decision_config.h"

typedef struct {
    int32_t values[MQ_DECIDE_OUTPUTS]; /* smoothed, with MQ_DECIDE_VALUE_BITS fraction bits */
    uint8_t alarms[MQ_DECIDE_OUTPUTS];
} mq_verdict_t;

#endif
