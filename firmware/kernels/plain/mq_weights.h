/* Common parts of kernels with weights: reading a weight, and the forms of kernels. */
#ifndef MQ_WEIGHTS_H
#define MQ_WEIGHTS_H

#include "mq_common.h"

/* Weights of 8 bits. */
MQ_KERNEL int32_t mq_weight_8(const int8_t *w, int32_t i, int32_t o)
{
    (void)o;
    return w[i];
}

/* Multiplier of unpacked weights. */
MQ_KERNEL int32_t mq_weight_16(const int16_t *w, int32_t i, int32_t o)
{
    (void)o;
    return w[i];
}

/* Packed weights: a stream of `bits` bits each (1 to 8), the first in the lowest bits of the first byte, without
   gaps. They are values in two's complement, or indices into the codebook of the output channel's group. */
typedef struct {
    const uint8_t *stream;
    int32_t bits;
    int32_t entries;           /* entries of a group's codebook; 0: the stream contains values */
    const int8_t *codebook;    /* [group][entries] */
    const uint8_t *group;      /* group of each output channel; null: all use the first */
    int32_t zero;              /* zero point of all channels */
    const int8_t *zeros;       /* zero point of each; null: `zero` */
    const uint8_t *multiplier; /* multiplier of each; null: 1 */
} mq_packed_t;

/* Entry i of the stream, as stored. */
MQ_KERNEL uint32_t mq_packed_raw(const mq_packed_t *w, int32_t i)
{
    const uint32_t at = (uint32_t)i * (uint32_t)w->bits;
    const uint32_t shift = at % 8u;
    uint32_t bits = (uint32_t)w->stream[at / 8u] >> shift;
    if (shift + (uint32_t)w->bits > 8u) {
        bits |= (uint32_t)w->stream[at / 8u + 1u] << (8u - shift);
    }
    return bits & ((1u << w->bits) - 1u);
}

/* Weight i before zero point and multiplier. */
MQ_KERNEL int32_t mq_packed_stored(const mq_packed_t *w, int32_t i, int32_t o)
{
    const uint32_t raw = mq_packed_raw(w, i);
    if (w->entries == 0) {
        const uint32_t sign = 1u << (w->bits - 1);
        return (int32_t)(raw ^ sign) - (int32_t)sign;
    }
    return w->codebook[(w->group ? w->group[o] * w->entries : 0) + (int32_t)raw];
}

/* Weight i, which is of output channel o: multiplier * (stored value - zero point). */
MQ_KERNEL int32_t mq_weight_packed(const mq_packed_t *w, int32_t i, int32_t o)
{
    const int32_t centred = mq_packed_stored(w, i, o) - (w->zeros ? w->zeros[o] : w->zero);
    return w->multiplier ? w->multiplier[o] * centred : centred;
}

/* define(name, type of activations, type of weights, weight reader, type of accumulator and bias, requantization) for
   every form: 8-bit activations, and 16-bit ones with 64-bit sums; each with weights of 8 bits, or packed. The compiler
   refuses layers whose sums could overflow. Shifts are -31..31, with 64-bit sums -31..14, to the left. */
#define MQ_WEIGHTED_FORMS(define, kernel)                                                                              \
    define(kernel##_s8, int8_t, int8_t, mq_weight_8, int32_t, mq_requantize)                                           \
    define(kernel##_packed_s8, int8_t, mq_packed_t, mq_weight_packed, int32_t, mq_requantize)                          \
    define(kernel##_s16, int16_t, int8_t, mq_weight_8, int64_t, mq_requantize64)                                       \
    define(kernel##_packed_s16, int16_t, mq_packed_t, mq_weight_packed, int64_t, mq_requantize64)

/* 16-bit activations with 32-bit sums, where the bias has 32. */
#define MQ_WEIGHTED_FORMS_B32(define, kernel)                                                                          \
    define(kernel##_s16_b32, int16_t, int8_t, mq_weight_8, int32_t, mq_requantize)                                     \
    define(kernel##_packed_s16_b32, int16_t, mq_packed_t, mq_weight_packed, int32_t, mq_requantize)

#endif
