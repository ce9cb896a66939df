/* Squared difference of two tensors with different scales, with broadcast. */
#ifndef MQ_SQUARED_DIFFERENCE_H
#define MQ_SQUARED_DIFFERENCE_H

#include "mq_broadcast.h"

/* Both inputs are converted to a common scale, twice the larger of the two, with `left_shift` additional bits. */
typedef struct {
    mq_broadcast_t shape;
    int32_t a_zero, a_m, a_shift; /* multipliers of 31 bits, shifts -31..0 */
    int32_t b_zero, b_m, b_shift;
    int32_t y_zero, y_m, y_shift;
    int32_t left_shift;       /* 7 for int8, 0 for int16 */
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_squared_difference_t;

MQ_KERNEL int32_t mq_squared_difference_element(const mq_squared_difference_t *p, int32_t a, int32_t b)
{
    const int32_t scale = INT32_C(1) << p->left_shift;
    const int32_t difference = mq_requantize_call((a - p->a_zero) * scale, p->a_m, p->a_shift) -
                               mq_requantize_call((b - p->b_zero) * scale, p->b_m, p->b_shift);
    const int32_t square = (int32_t)((uint32_t)difference * (uint32_t)difference);
    return mq_stored(mq_requantize_call(square, p->y_m, p->y_shift), p->y_zero, p->act_min, p->act_max);
}

MQ_KERNEL void mq_squared_difference_s8(const mq_squared_difference_t *p, const int8_t *a, const int8_t *b, int8_t *y)
{
    MQ_BROADCAST(p->shape, y[i] = (int8_t)mq_squared_difference_element(p, a[ia], b[ib]))
}

MQ_KERNEL void mq_squared_difference_s16(const mq_squared_difference_t *p, const int16_t *a, const int16_t *b,
                                         int16_t *y)
{
    MQ_BROADCAST(p->shape, y[i] = (int16_t)mq_squared_difference_element(p, a[ia], b[ib]))
}

#endif
