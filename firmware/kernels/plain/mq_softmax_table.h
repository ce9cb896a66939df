/* Softmax over rows of int8 with a table of exponentials: exp(x - max) divided by its sum. */
#ifndef MQ_SOFTMAX_TABLE_H
#define MQ_SOFTMAX_TABLE_H

#include "mq_fixed_point.h"

typedef struct {
    int32_t rows, depth; /* at most 8191 deep */
    int32_t act_min, act_max;
} mq_softmax_table_t;

MQ_KERNEL int32_t mq_softmax_table_max(const mq_softmax_table_t *p, const int8_t *x)
{
    int32_t best = INT8_MIN;
#pragma GCC unroll 4
    for (int32_t i = 0; i < p->depth; i++) {
        best = mq_max(best, x[i]);
    }
    return best;
}

/* Results have 8 fraction bits. `exp` ends with exp(0), Q0.31: 256 entries by difference. */
MQ_KERNEL void mq_softmax_table_s8(const mq_softmax_table_t *p, const int8_t *x, const int32_t *exp, int8_t *y)
{
    for (int32_t row = 0; row < p->rows; row++, x += p->depth, y += p->depth) {
        const int32_t *of = exp + 255 - mq_softmax_table_max(p, x);
        uint32_t sum = 0;
#pragma GCC unroll 4
        for (int32_t i = 0; i < p->depth; i++) {
            sum += ((uint32_t)of[x[i]] + (1u << 11)) >> 12; /* Q12.19, exponentials are not negative */
        }
        const int32_t headroom = __builtin_clz(sum);
        const int32_t inverse = mq_reciprocal_one_plus((int32_t)((sum << headroom) - (UINT32_C(1) << 31)));
        const int32_t shift = 12 - headroom + 31 - 8; /* 16 and more */
        const uint32_t half = shift > 31 ? 0 : 1u << (shift - 1);
        const int32_t most = p->act_max - p->act_min;
        for (int32_t i = 0; i < p->depth; i++) {
            const int32_t share = mq_product(inverse, of[x[i]]);
            const int32_t v = shift > 31 ? 0 : (int32_t)(((uint32_t)share + half) >> shift);
            y[i] = (int8_t)(mq_min(v, most) + p->act_min);
        }
    }
}

#endif
