/* Mean over axes, rescaled. */
#ifndef MQ_MEAN_H
#define MQ_MEAN_H

#include "mq_reduce.h"

typedef struct {
    mq_reduce_t shape;
    int32_t x_zero, y_zero;
    int32_t m, shift;         /* x scale / y scale / elements of a mean; 31 bits, -31..31 to the left */
    int32_t act_min, act_max; /* the output type's range */
} mq_mean_t;

/* The compiler rejects means whose sum could overflow. */
#define MQ_DEFINE_MEAN(name, x_t)                                                                                      \
    MQ_KERNEL void name(const mq_mean_t *p, const x_t *x, x_t *y)                                                      \
    {                                                                                                                  \
        MQ_EACH_KEPT(p->shape, {                                                                                       \
            int32_t sum = 0;                                                                                           \
            MQ_EACH_REDUCED(p->shape, at, { sum += x[i] - p->x_zero; })                                                   \
            *y++ = (x_t)mq_stored(mq_requantize(sum, p->m, p->shift), p->y_zero, p->act_min, p->act_max);              \
        })                                                                                                             \
    }

MQ_DEFINE_MEAN(mq_mean_s8, int8_t)
MQ_DEFINE_MEAN(mq_mean_s16, int16_t)

#undef MQ_DEFINE_MEAN

#endif
