/* Converts stored values to another tensor's units: QUANTIZE between integers, and the last step of other kernels. */
#ifndef MQ_RESCALE_H
#define MQ_RESCALE_H

#include "mq_common.h"

typedef struct {
    int32_t identity; /* 1: equal scales and zero points; values are only clamped */
    int32_t x_zero, y_zero;
    int32_t m, shift;         /* 31 bits; -31..31, to the left */
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_rescale_t;

MQ_KERNEL int32_t mq_rescale(const mq_rescale_t *p, int32_t v)
{
    if (p->identity) {
        return mq_clamp(v, p->act_min, p->act_max);
    }
    return mq_stored(mq_requantize(v - p->x_zero, p->m, p->shift), p->y_zero, p->act_min, p->act_max);
}

#define MQ_DEFINE_RESCALE(name, x_t, y_t)                                                                              \
    MQ_KERNEL void name(const mq_rescale_t *p, int32_t count, const x_t *x, y_t *y)                                    \
    {                                                                                                                  \
        for (int32_t i = 0; i < count; i++) {                                                                          \
            y[i] = (y_t)mq_rescale(p, x[i]);                                                                           \
        }                                                                                                              \
    }

MQ_DEFINE_RESCALE(mq_rescale_s8_s16, int8_t, int16_t)
MQ_DEFINE_RESCALE(mq_rescale_s16_s8, int16_t, int8_t)
MQ_DEFINE_RESCALE(mq_rescale_s8_s32, int8_t, int32_t)
MQ_DEFINE_RESCALE(mq_rescale_s16_s32, int16_t, int32_t)
MQ_DEFINE_RESCALE(mq_rescale_s32_s8, int32_t, int8_t)
MQ_DEFINE_RESCALE(mq_rescale_s32_s16, int32_t, int16_t)
MQ_DEFINE_RESCALE(mq_rescale_s16_s16, int16_t, int16_t)

#undef MQ_DEFINE_RESCALE

#endif
