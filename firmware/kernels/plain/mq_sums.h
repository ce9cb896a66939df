/* Sums of several tensors, and along an axis. */
#ifndef MQ_SUMS_H
#define MQ_SUMS_H

#include "mq_common.h"

/* Each element goes to a finer scale, requantize((x - x_zero) << 20, x_m, x_shift); the sum of them goes to the output's,
   requantize(sum, y_m, y_shift) + y_zero. Sums wrap around, and start with the element of a stored 0. */
typedef struct {
    int32_t x_zero, x_m, x_shift;
    int32_t y_zero, y_m, y_shift;
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_sum_t;

MQ_KERNEL uint32_t mq_sum_wide(const mq_sum_t *p, int32_t x)
{
    return (uint32_t)mq_requantize((x - p->x_zero) * (1 << 20), p->x_m, p->x_shift);
}

MQ_KERNEL int32_t mq_sum_stored(const mq_sum_t *p, uint32_t sum)
{
    return mq_stored(mq_requantize((int32_t)sum, p->y_m, p->y_shift), p->y_zero, p->act_min, p->act_max);
}

/* `inputs` tensors of `count` elements; both are 1 or more. */
typedef struct {
    mq_sum_t sum;
    int32_t inputs, count;
} mq_add_n_t;

MQ_KERNEL void mq_add_n_s8(const mq_add_n_t *p, const void *const *x, int8_t *y)
{
    for (int32_t i = 0; i < p->count; i++) {
        uint32_t sum = mq_sum_wide(&p->sum, 0);
        for (int32_t k = 0; k < p->inputs; k++) {
            sum += mq_sum_wide(&p->sum, ((const int8_t *)x[k])[i]);
        }
        y[i] = (int8_t)mq_sum_stored(&p->sum, sum);
    }
}

/* Element k of the axis is k * inner from the first; `outer` counts what lies before the axis. All are 1 or more.
   exclusive: 1 leaves the element itself out; reverse: 1 begins at the end. */
typedef struct {
    mq_sum_t sum;
    int32_t outer, size, inner;
    int32_t exclusive, reverse;
} mq_cum_sum_t;

MQ_KERNEL void mq_cum_sum_s8(const mq_cum_sum_t *p, const int8_t *x, int8_t *y)
{
    for (int32_t o = 0; o < p->outer; o++, x += p->size * p->inner, y += p->size * p->inner) {
        for (int32_t i = 0; i < p->inner; i++) {
            uint32_t sum = mq_sum_wide(&p->sum, 0);
            for (int32_t k = 0; k < p->size; k++) {
                const int32_t at = (p->reverse ? p->size - 1 - k : k) * p->inner + i;
                const uint32_t before = sum;
                sum += mq_sum_wide(&p->sum, x[at]);
                y[at] = (int8_t)mq_sum_stored(&p->sum, p->exclusive ? before : sum);
            }
        }
    }
}

#endif
