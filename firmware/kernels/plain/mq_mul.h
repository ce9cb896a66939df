/* Product of two tensors, with broadcast. */
#ifndef MQ_MUL_H
#define MQ_MUL_H

#include "mq_broadcast.h"

typedef struct {
    mq_broadcast_t shape;
    int32_t a_zero, b_zero, y_zero;
    int32_t m, shift;         /* 31 bits; -31..31, to the left */
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_mul_t;

MQ_KERNEL int32_t mq_mul_element(const mq_mul_t *p, int32_t a, int32_t b)
{
    const int32_t product = (int32_t)((uint32_t)(a - p->a_zero) * (uint32_t)(b - p->b_zero));
    return mq_stored(mq_requantize(product, p->m, p->shift), p->y_zero, p->act_min, p->act_max);
}

MQ_KERNEL void mq_mul_s8(const mq_mul_t *p, const int8_t *a, const int8_t *b, int8_t *y)
{
    MQ_BROADCAST(p->shape, y[i] = (int8_t)mq_mul_element(p, a[ia], b[ib]))
}

MQ_KERNEL void mq_mul_s16(const mq_mul_t *p, const int16_t *a, const int16_t *b, int16_t *y)
{
    MQ_BROADCAST(p->shape, y[i] = (int16_t)mq_mul_element(p, a[ia], b[ib]))
}

#endif
