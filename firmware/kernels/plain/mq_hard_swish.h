/* Hard swish of int16 values: x * clamp(x + 3, 0, 6) / 6. The second factor is in 1/256 of the input's units. */
#ifndef MQ_HARD_SWISH_H
#define MQ_HARD_SWISH_H

#include "mq_common.h"

/* Zero points are 0. */
typedef struct {
    int64_t three, six; /* in 1/256 of the input's units; six is at most 2^32 */
    int32_t m, shift;   /* factor from the product to the output; 31 bits, -31..14 to the left */
} mq_hard_swish_t;

MQ_KERNEL void mq_hard_swish_s16(const mq_hard_swish_t *p, int32_t count, const int16_t *x, int16_t *y)
{
    for (int32_t i = 0; i < count; i++) {
        const int64_t gate = (int64_t)x[i] * 256 + p->three;
        const int64_t product = x[i] * (gate < 0 ? 0 : gate > p->six ? p->six : gate);
        y[i] = (int16_t)mq_clamp(mq_requantize64(product, p->m, p->shift), INT16_MIN, INT16_MAX);
    }
}

#endif
