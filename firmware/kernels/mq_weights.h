/* What the kernels with weights share: how a weight is read, and the forms they come in. */
#ifndef MQ_WEIGHTS_H
#define MQ_WEIGHTS_H

#include "mq_common.h"

MQ_KERNEL int32_t mq_weight_8(const int8_t *w, int32_t i)
{
    return w[i];
}

/* Weights of 4 bits lie two a byte, the first in the low half, without gaps between rows. */
MQ_KERNEL int32_t mq_weight_4(const int8_t *w, int32_t i)
{
    const uint32_t byte = (uint8_t)w[i >> 1];
    const uint32_t bits = (i & 1) != 0 ? byte >> 4 : byte & 15u;
    return (int32_t)(bits ^ 8u) - 8;
}

/* define(name, type of activations, weight reader, type of accumulator and bias, requantization) for every form: 8-bit
   activations, and 16-bit ones with 64-bit sums; each with weights of 8 or of 4 bits. The compiler refuses layers whose
   sums could overflow. Shifts are -31..31, with 64-bit sums -31..14, to the left. */
#define MQ_WEIGHTED_FORMS(define, kernel)                                                                              \
    define(kernel##_s8, int8_t, mq_weight_8, int32_t, mq_requantize)                                                   \
    define(kernel##_s8_w4, int8_t, mq_weight_4, int32_t, mq_requantize)                                                \
    define(kernel##_s16, int16_t, mq_weight_8, int64_t, mq_requantize64)                                               \
    define(kernel##_s16_w4, int16_t, mq_weight_4, int64_t, mq_requantize64)

/* 16-bit activations with 32-bit sums, where the bias has 32. */
#define MQ_WEIGHTED_FORMS_B32(define, kernel)                                                                          \
    define(kernel##_s16_b32, int16_t, mq_weight_8, int32_t, mq_requantize)                                             \
    define(kernel##_s16_w4_b32, int16_t, mq_weight_4, int32_t, mq_requantize)

#endif
