/* An exponential moving average in fixed point. */
#ifndef MQ_AVERAGE_H
#define MQ_AVERAGE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t state; /* with 16 fraction bits */
    bool is_started;
} mq_average_t;

/* Adds a value and returns the average, rounded down. The first average is the first value. `weight` of the newest value is
 * in units of 2^-15, 1 to 2^15. */
static inline int32_t mq_average(mq_average_t *average, int32_t value, int32_t weight)
{
    const int64_t newest = value * (INT64_C(1) << 16);
    average->state += average->is_started ? (newest - average->state) * weight >> 15 : newest;
    average->is_started = true;
    return (int32_t)(average->state >> 16);
}

#endif
