/* Between real and stored values: QUANTIZE of floats, DEQUANTIZE. */
#ifndef MQ_QUANTIZE_H
#define MQ_QUANTIZE_H

#include "mq_common.h"

typedef struct {
    float scale;
    int32_t zero;             /* zero point of the integer side */
    int32_t act_min, act_max; /* clamp of the stored output; not used by dequantization */
} mq_affine_t;

/* Nearest integer, halves away from zero, saturated; the smallest one for NaN. */
MQ_KERNEL int32_t mq_round_float(float v)
{
    if (v >= 2147483648.0f) {
        return INT32_MAX;
    }
    if (!(v > -2147483648.0f)) {
        return INT32_MIN;
    }
    const int32_t whole = (int32_t)v;
    const float rest = v - (float)whole;
    return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

/* A real number that may share memory with integers, because the output may overlap the input. */
typedef float __attribute__((may_alias)) mq_float_t;

#define MQ_DEFINE_QUANTIZE(name, y_t)                                                                                  \
    MQ_KERNEL void name(const mq_affine_t *p, int32_t count, const mq_float_t *x, y_t *y)                              \
    {                                                                                                                  \
        for (int32_t i = 0; i < count; i++) {                                                                          \
            y[i] = (y_t)mq_stored(mq_round_float(x[i] / p->scale), p->zero, p->act_min, p->act_max);                   \
        }                                                                                                              \
    }

/* The difference has at most 17 bits, so that its product with the scale is rounded once, as in double precision. */
#define MQ_DEFINE_DEQUANTIZE(name, x_t)                                                                                \
    MQ_KERNEL void name(const mq_affine_t *p, int32_t count, const x_t *x, mq_float_t *y)                              \
    {                                                                                                                  \
        for (int32_t i = 0; i < count; i++) {                                                                          \
            y[i] = p->scale * (float)(x[i] - p->zero);                                                                 \
        }                                                                                                              \
    }

MQ_DEFINE_QUANTIZE(mq_quantize_s8, int8_t)
MQ_DEFINE_QUANTIZE(mq_quantize_s16, int16_t)
MQ_DEFINE_DEQUANTIZE(mq_dequantize_s8, int8_t)
MQ_DEFINE_DEQUANTIZE(mq_dequantize_s16, int16_t)

#undef MQ_DEFINE_QUANTIZE
#undef MQ_DEFINE_DEQUANTIZE

#endif
