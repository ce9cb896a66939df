/* A wake word: the mean of the last scores is above a limit. */
#ifndef MQ_DECIDE_WAKE_H
#define MQ_DECIDE_WAKE_H

#include <stdint.h>

typedef struct {
    int32_t sum; /* sum of the last scores, as stored by the network */
} mq_verdict_t;

#endif
