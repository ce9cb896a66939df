/* Leaky ReLU of int16 values: one factor above zero, another below. */
#ifndef MQ_LEAKY_RELU_H
#define MQ_LEAKY_RELU_H

#include "mq_common.h"

typedef struct {
    int32_t x_zero, y_zero;
    int32_t above_m, above_shift; /* x scale / y scale; 31 bits, -31..31 to the left */
    int32_t below_m, below_shift; /* |slope| times that; m < 0: the factor of the absolute value of x */
    int32_t below_sign;           /* -1 where the slope is negative, else 1 */
    int32_t act_min, act_max;     /* clamp of the stored output */
} mq_leaky_relu_t;

MQ_KERNEL void mq_leaky_relu_s16(const mq_leaky_relu_t *p, int32_t count, const int16_t *x, int16_t *y)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t centred = x[i] - p->x_zero;
        const int32_t v = centred >= 0 ? mq_requantize(centred, p->above_m, p->above_shift)
                                       : mq_requantize(centred, p->below_m, p->below_shift) * p->below_sign;
        y[i] = (int16_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);
    }
}

#endif
