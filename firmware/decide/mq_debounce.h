/* A state changes when another one was observed in several consecutive inferences. */
#ifndef MQ_DEBOUNCE_H
#define MQ_DEBOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "decide/decision_config.h"

typedef struct {
    int32_t state, candidate;
    uint32_t agreeing; /* consecutive inferences with the candidate, at most MQ_DECIDE_DEBOUNCE */
} mq_debounce_t;

/* Returns true if the state changes with this inference. */
static inline bool mq_debounce(mq_debounce_t *debounce, int32_t observed)
{
    if (observed != debounce->candidate) {
        debounce->candidate = observed;
        debounce->agreeing = 0;
    }
    debounce->agreeing += debounce->agreeing < MQ_DECIDE_DEBOUNCE;
    if (debounce->agreeing < MQ_DECIDE_DEBOUNCE || observed == debounce->state) {
        return false;
    }
    debounce->state = observed;
    return true;
}

#endif
