/* Quotient of two int8 tensors, with broadcast. */
#ifndef MQ_DIV_H
#define MQ_DIV_H

#include "mq_broadcast.h"
#include "mq_fixed_point.h"

typedef struct {
    mq_broadcast_t shape;
    int32_t a_zero, b_zero, y_zero;
    int32_t m, shift;         /* a scale / b scale / y scale; 31 bits, -31..22 to the left */
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_div_t;

/* A divisor of 0 counts as one unit. Shifts beyond 31 are those of the reference on x86. */
MQ_KERNEL int32_t mq_div_element(const mq_div_t *p, int32_t a, int32_t b)
{
    const int32_t divisor = b - p->b_zero;
    const int32_t dividend = divisor < 0 ? p->a_zero - a : a - p->a_zero;
    const uint32_t magnitude = divisor == 0 ? 1u : (uint32_t)(divisor < 0 ? -divisor : divisor);
    const int32_t zeros = __builtin_clz(magnitude);
    const int32_t inverse = mq_reciprocal_one_plus((int32_t)((magnitude << zeros) - (UINT32_C(1) << 31)));
    const int32_t headroom = __builtin_clz((uint32_t)(dividend < 0 ? -2 * dividend - 1 : 2 * dividend + 1));
    const int32_t quotient = mq_high_mul((int32_t)((uint32_t)dividend << headroom), inverse);
    const int32_t right = headroom + 31 - zeros - p->shift;
    const int32_t scaled = mq_high_mul(quotient, p->m);
    const int32_t v = right > 31 ? (scaled >> (right & 31)) + (scaled >= 0) : mq_round_shift(scaled, right);
    return mq_stored(v, p->y_zero, p->act_min, p->act_max);
}

MQ_KERNEL void mq_div_s8(const mq_div_t *p, const int8_t *a, const int8_t *b, int8_t *y)
{
    MQ_BROADCAST(p->shape, y[i] = (int8_t)mq_div_element(p, a[ia], b[ib]))
}

#endif
