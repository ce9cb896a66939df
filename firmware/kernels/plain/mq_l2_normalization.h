/* Rows divided by their length. */
#ifndef MQ_L2_NORMALIZATION_H
#define MQ_L2_NORMALIZATION_H

#include "mq_fixed_point.h"

/* depth: 1 to 33,025, so that sums of squares fit 32 bits; the output has the scale 1/128. */
typedef struct {
    int32_t rows, depth;
    int32_t x_zero;
} mq_l2_normalization_t;

typedef struct {
    int32_t m, shift; /* 31 bits; to the left */
} mq_root_t;

/* 1 / sqrt(x) for x >= 0, of 0 as of 1: five Newton-Raphson steps, TFLite's GetInvSqrtQuantizedMultiplierExp. */
MQ_SMALL_CALL mq_root_t mq_inverse_sqrt(int32_t x)
{
    if (x <= 1) {
        return (mq_root_t){INT32_MAX, 0};
    }
    int32_t shift = 11;
    while (x >= 1 << 29) {
        x /= 4;
        shift++;
    }
    const int32_t pairs = (__builtin_clz((uint32_t)x) - 1) / 2 - 1;
    x <<= 2 * pairs;
    shift -= pairs;
    const int32_t half = mq_round_shift(x >> 1, 1);
    int32_t root = 1 << 28; /* Q3.28 */
    for (int32_t i = 0; i < 5; i++) {
        const int32_t cube = mq_shift_left(mq_product(mq_product(root, root), root), 6);
        root = mq_shift_left(mq_product((1 << 28) + (1 << 27), root) - mq_product(half, cube), 3);
    }
    const int32_t m = mq_product(root, 1518500250); /* sqrt(2) / 2 as Q0.31 */
    return shift < 0 ? (mq_root_t){(int32_t)((uint32_t)m << -shift), 0} : (mq_root_t){m, -shift};
}

MQ_KERNEL void mq_l2_normalization_s8(const mq_l2_normalization_t *p, const int8_t *x, int8_t *y)
{
    for (int32_t row = 0; row < p->rows; row++, x += p->depth, y += p->depth) {
        int32_t sum = 0;
        for (int32_t i = 0; i < p->depth; i++) {
            const int32_t v = x[i] - p->x_zero;
            sum += v * v;
        }
        const mq_root_t factor = mq_inverse_sqrt(sum);
        for (int32_t i = 0; i < p->depth; i++) {
            const int32_t v = mq_requantize(x[i] - p->x_zero, factor.m, factor.shift + 7);
            y[i] = (int8_t)mq_clamp(v, INT8_MIN, INT8_MAX);
        }
    }
}

#endif
