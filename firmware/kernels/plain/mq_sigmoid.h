/* Logistic and hyperbolic tangent of int16 values, from a table of the sigmoid with linear interpolation. */
#ifndef MQ_SIGMOID_H
#define MQ_SIGMOID_H

#include "mq_common.h"

/* x * multiplier / 2^shift is the argument in 1/12288 (2^-12 / 3): 512 of these to a step of the sigmoid's table. */
typedef struct {
    int32_t multiplier;
    int32_t shift; /* 0..31 */
} mq_sigmoid_t;

MQ_KERNEL int32_t mq_sigmoid_argument(const mq_sigmoid_t *p, int32_t x)
{
    const uint32_t half = (UINT32_C(1) << p->shift) >> 1;
    return (int32_t)((uint32_t)x * (uint32_t)p->multiplier + half) >> p->shift;
}

/* The sigmoid of |t| with 16 + fraction_bits fraction bits; `beyond` for all arguments past the table, whose entries
   are sigmoids of arguments 2^fraction_bits apart, as Q0.16. */
MQ_KERNEL int32_t mq_sigmoid_curve(int32_t t, const uint16_t *table, int32_t fraction_bits, int32_t beyond)
{
    const uint32_t position = t < 0 ? 0u - (uint32_t)t : (uint32_t)t;
    const uint32_t step = position >> fraction_bits;
    if (step >= 255u) {
        return beyond;
    }
    const int32_t rest = (int32_t)(position & ((UINT32_C(1) << fraction_bits) - 1u));
    return (int32_t)table[step] * (INT32_C(1) << fraction_bits) + rest * (table[step + 1u] - table[step]);
}

/* y in 2^-15, x and y may be the same. */
MQ_KERNEL void mq_logistic_s16(const mq_sigmoid_t *p, int32_t count, const int16_t *x, const uint16_t *table,
                               int16_t *y)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t t = mq_sigmoid_argument(p, x[i]);
        const int32_t curve = mq_sigmoid_curve(t, table, 9, 0x7FFF << 10);
        y[i] = (int16_t)((t >= 0 ? curve + (1 << 9) : (1 << 25) - curve + (1 << 9) - 1) >> 10);
    }
}

/* tanh(x) = 2 * logistic(2x) - 1; the multiplier holds the first factor by half as many fraction bits. */
MQ_KERNEL void mq_tanh_s16(const mq_sigmoid_t *p, int32_t count, const int16_t *x, const uint16_t *table, int16_t *y)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t t = mq_sigmoid_argument(p, x[i]);
        const int32_t curve = mq_sigmoid_curve(t, table, 8, 0xFFFF << 8) - (1 << 23);
        y[i] = (int16_t)(((t >= 0 ? curve : -curve - 1) + (1 << 7)) >> 8);
    }
}

#endif
