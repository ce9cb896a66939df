/* Softmax over rows: exp(x - max) divided by its sum. */
#ifndef MQ_SOFTMAX_H
#define MQ_SOFTMAX_H

#include "mq_fixed_point.h"

typedef struct {
    int32_t rows, depth; /* int8: at most 8191 deep; int16: 65536 */
    int32_t m, shift;    /* factor from a difference to Q5.26 (int8) or to steps of the table (int16) */
    int32_t diff_min;    /* int8: smaller differences give nothing */
    int32_t act_min, act_max;
} mq_softmax_t;

MQ_KERNEL int32_t mq_softmax_max_s8(const mq_softmax_t *p, const int8_t *x)
{
    int32_t best = INT8_MIN;
    for (int32_t i = 0; i < p->depth; i++) {
        best = mq_max(best, x[i]);
    }
    return best;
}

MQ_KERNEL int32_t mq_softmax_max_s16(const mq_softmax_t *p, const int16_t *x)
{
    int32_t best = INT16_MIN;
    for (int32_t i = 0; i < p->depth; i++) {
        best = mq_max(best, x[i]);
    }
    return best;
}

/* exp of a difference, Q0.31. */
MQ_KERNEL int32_t mq_softmax_exp_s8(const mq_softmax_t *p, int32_t difference)
{
    return difference < p->diff_min ? 0 : mq_exp_negative(mq_requantize_call(difference, p->m, p->shift));
}

/* Sum of a row's exponentials, Q12.19. */
MQ_KERNEL uint32_t mq_softmax_sum_s8(const mq_softmax_t *p, const int8_t *x, int32_t max)
{
    uint32_t sum = 0;
    for (int32_t i = 0; i < p->depth; i++) {
        sum += (uint32_t)mq_round_shift(mq_softmax_exp_s8(p, x[i] - max), 12);
    }
    return sum;
}

/* Results have y_bits fraction bits. A value so small that all its bits would be shifted out is 0. */
#define MQ_DEFINE_SOFTMAX(name, y_t, y_bits)                                                                           \
    MQ_KERNEL void name(const mq_softmax_t *p, const int8_t *x, y_t *y)                                                \
    {                                                                                                                  \
        for (int32_t row = 0; row < p->rows; row++, x += p->depth, y += p->depth) {                                    \
            const int32_t max = mq_softmax_max_s8(p, x);                                                               \
            const uint32_t sum = mq_softmax_sum_s8(p, x, max);                                                         \
            const int32_t headroom = __builtin_clz(sum);                                                               \
            const int32_t inverse = mq_reciprocal_one_plus((int32_t)((sum << headroom) - (UINT32_C(1) << 31)));        \
            const int32_t shift = 12 - headroom + 31 - y_bits;                                                         \
            for (int32_t i = 0; i < p->depth; i++) {                                                                   \
                const int32_t share = mq_product(inverse, mq_softmax_exp_s8(p, x[i] - max));                           \
                const int32_t v = shift > 31 ? 0 : mq_round_shift(share, shift);                                       \
                y[i] = (y_t)mq_clamp(v + p->act_min, p->act_min, p->act_max);                                          \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_DEFINE_SOFTMAX(mq_softmax_s8, int8_t, 8)
MQ_DEFINE_SOFTMAX(mq_softmax_s8_s16, int16_t, 16)

#undef MQ_DEFINE_SOFTMAX

/* A curve of 513 samples at a position of int16: 9 bits select the sample, 7 bits interpolate. */
MQ_KERNEL int32_t mq_softmax_lookup(const int16_t *table, int32_t position)
{
    const int32_t index = 256 + (position >> 7);
    const int32_t slope = table[index + 1] - table[index];
    return table[index] + ((slope * (position & 0x7F) + 64) >> 7);
}

/* exp of a difference, Q0.15. The table spans 65536 positions that end at the difference 0. */
MQ_KERNEL int32_t mq_softmax_exp_s16(const mq_softmax_t *p, const int16_t *exp, int32_t difference)
{
    const int32_t below = mq_requantize(difference, p->m, p->shift);
    return mq_softmax_lookup(exp, mq_stored(below, INT16_MAX, INT16_MIN, INT16_MAX));
}

/* 1 / (sum / 2^(31 - headroom)), Q0.15. */
MQ_KERNEL int32_t mq_softmax_inverse_s16(const int16_t *reciprocal, int32_t sum, int32_t headroom)
{
    const int32_t normal = (int32_t)((((uint32_t)sum << (headroom - 1)) + (UINT32_C(1) << 13)) >> 14);
    return mq_softmax_lookup(reciprocal, mq_clamp(normal - (1 << 15) - (1 << 16), INT16_MIN, INT16_MAX));
}

/* `exp` holds exp(x) for x in [-10, 0], `reciprocal` 1 / (1 + x) for x in [0, 1], both Q0.15. */
MQ_KERNEL void mq_softmax_s16(const mq_softmax_t *p, const int16_t *x, const int16_t *exp, const int16_t *reciprocal,
                              int16_t *y)
{
    for (int32_t row = 0; row < p->rows; row++, x += p->depth, y += p->depth) {
        const int32_t max = mq_softmax_max_s16(p, x);
        int32_t sum = 0;
        for (int32_t i = 0; i < p->depth; i++) {
            sum += mq_softmax_exp_s16(p, exp, x[i] - max);
        }
        const int32_t headroom = __builtin_clz((uint32_t)sum);
        const int32_t inverse = mq_softmax_inverse_s16(reciprocal, sum, headroom);
        const int32_t shift = 31 - headroom;
        for (int32_t i = 0; i < p->depth; i++) {
            const int32_t share = mq_softmax_exp_s16(p, exp, x[i] - max) * inverse;
            y[i] = (int16_t)mq_clamp((share + (1 << (shift - 1))) >> shift, 0, INT16_MAX);
        }
    }
}

#endif
