/* Product of int8 rows, where an operand may be repeated along or across rows, on cores with SMMULR. */
#ifndef MQ_MUL_ROWS_H
#define MQ_MUL_ROWS_H

#include "mq_dsp.h"

/* Steps are those of mq_add_rows.h. m, round and shift (1..22) are TFLite's requantization, as in mq_dot.h. */
typedef struct {
    int32_t rows, depth;
    int32_t a_row, a_step;
    int32_t b_row, b_step;
    int32_t a_zero, b_zero;
    int32_t m, round, shift;
} mq_mul_rows_t;

MQ_KERNEL int8_t mq_mul_rows_scaled(const mq_mul_rows_t *p, int32_t product)
{
    const int32_t high = mq_smmulr(2 * product, p->m);
    return (int8_t)mq_ssat8((high + (high >> 31) + p->round) >> p->shift);
}

/* One row times one value. */
MQ_KERNEL void mq_mul_rows_one(const mq_mul_rows_t *of, const int8_t *x, int32_t zero, int32_t factor, int8_t *y)
{
    const mq_mul_rows_t p = *of;
    const int32_t less = zero * factor;
#pragma GCC unroll 4
    for (int32_t i = 0; i < p.depth; i++) {
        y[i] = mq_mul_rows_scaled(&p, x[i] * factor - less);
    }
}

MQ_KERNEL void mq_mul_rows_both(const mq_mul_rows_t *of, const int8_t *a, const int8_t *b, int8_t *y)
{
    const mq_mul_rows_t p = *of;
#pragma GCC unroll 2
    for (int32_t i = 0; i < p.depth; i++) {
        y[i] = mq_mul_rows_scaled(&p, (a[i] - p.a_zero) * (b[i] - p.b_zero));
    }
}

MQ_KERNEL void mq_mul_rows_s8(const mq_mul_rows_t *p, const int8_t *a, const int8_t *b, int8_t *y)
{
    for (int32_t row = 0; row < p->rows; row++, a += p->a_row, b += p->b_row, y += p->depth) {
        if (p->b_step == 0) {
            mq_mul_rows_one(p, a, p->a_zero, *b - p->b_zero, y);
        } else if (p->a_step == 0) {
            mq_mul_rows_one(p, b, p->b_zero, *a - p->a_zero, y);
        } else {
            mq_mul_rows_both(p, a, b, y);
        }
    }
}

#endif
