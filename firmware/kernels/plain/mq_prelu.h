/* ReLU with a tensor of slopes for negative values, which is broadcast to the input. */
#ifndef MQ_PRELU_H
#define MQ_PRELU_H

#include "mq_broadcast.h"

typedef struct {
    mq_broadcast_t shape;
    int32_t x_zero, slope_zero, y_zero;
    int32_t above_m, above_shift; /* x scale / y scale; 31 bits, -31..31 to the left */
    int32_t below_m, below_shift; /* x scale * slope scale / y scale */
    int32_t act_min, act_max;     /* the output type's range */
} mq_prelu_t;

MQ_KERNEL int32_t mq_prelu_element(const mq_prelu_t *p, int32_t x, int32_t slope)
{
    const int32_t centred = x - p->x_zero;
    const int32_t product = (int32_t)((uint32_t)centred * (uint32_t)(slope - p->slope_zero));
    const int32_t v = centred >= 0 ? mq_requantize_call(centred, p->above_m, p->above_shift)
                                   : mq_requantize_call(product, p->below_m, p->below_shift);
    return mq_stored(v, p->y_zero, p->act_min, p->act_max);
}

MQ_KERNEL void mq_prelu_s8(const mq_prelu_t *p, const int8_t *x, const int8_t *slope, int8_t *y)
{
    MQ_BROADCAST(p->shape, y[i] = (int8_t)mq_prelu_element(p, x[ia], slope[ib]))
}

MQ_KERNEL void mq_prelu_s16(const mq_prelu_t *p, const int16_t *x, const int16_t *slope, int16_t *y)
{
    MQ_BROADCAST(p->shape, y[i] = (int16_t)mq_prelu_element(p, x[ia], slope[ib]))
}

#endif
