/* An alarm while a smoothed score is above a limit. */
#ifndef MQ_DECIDE_ANOMALY_H
#define MQ_DECIDE_ANOMALY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    bool is_alarm;
    int32_t score; /* smoothed score */
} mq_verdict_t;

#endif
