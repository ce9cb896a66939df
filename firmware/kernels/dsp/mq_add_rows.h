/* Sum or difference of int8 rows, where one operand is repeated along or across rows, on cores with SMLAWB; the
   arithmetic is that of mq_add_words.h. */
#ifndef MQ_ADD_ROWS_H
#define MQ_ADD_ROWS_H

#include "mq_dsp.h"

/* rows, depth: 1 or more. a_row, b_row: distance of rows; a_step, b_step: 1, or 0 for one value per row. */
typedef struct {
    int32_t rows, depth;
    int32_t a_row, a_step;
    int32_t b_row, b_step;
    int32_t a_factor, b_factor; /* scales of the inputs relative to that of the output, times 2^28 */
    int32_t offset;
} mq_add_rows_t;

MQ_KERNEL int32_t mq_add_rows_term(int32_t factor, int32_t x, int32_t sum)
{
    return mq_smlawb(factor, (uint32_t)x << 8, sum);
}

/* A row with a single value, whose term `offset` includes. */
MQ_KERNEL void mq_add_rows_one(int32_t depth, int32_t factor, const int8_t *x, int32_t offset, int8_t *y)
{
#pragma GCC unroll 4
    for (int32_t i = 0; i < depth; i++) {
        y[i] = (int8_t)mq_ssat8_asr20(mq_add_rows_term(factor, x[i], offset));
    }
}

MQ_KERNEL void mq_add_rows_both(const mq_add_rows_t *p, const int8_t *a, const int8_t *b, int8_t *y)
{
    const int32_t a_factor = p->a_factor, b_factor = p->b_factor, offset = p->offset, depth = p->depth;
#pragma GCC unroll 4
    for (int32_t i = 0; i < depth; i++) {
        y[i] = (int8_t)mq_ssat8_asr20(mq_add_rows_term(b_factor, b[i], mq_add_rows_term(a_factor, a[i], offset)));
    }
}

MQ_KERNEL void mq_add_rows_s8(const mq_add_rows_t *p, const int8_t *a, const int8_t *b, int8_t *y)
{
    for (int32_t row = 0; row < p->rows; row++, a += p->a_row, b += p->b_row, y += p->depth) {
        if (p->b_step == 0) {
            mq_add_rows_one(p->depth, p->a_factor, a, mq_add_rows_term(p->b_factor, *b, p->offset), y);
        } else if (p->a_step == 0) {
            mq_add_rows_one(p->depth, p->b_factor, b, mq_add_rows_term(p->a_factor, *a, p->offset), y);
        } else {
            mq_add_rows_both(p, a, b, y);
        }
    }
}

#endif
