/* Transposes matrices of bytes in blocks of 4 x 4. The input is read by words: its columns are whole words. */
#ifndef MQ_TRANSPOSE_H
#define MQ_TRANSPOSE_H

#include "mq_copy.h"
#include "mq_dsp.h"

#define MQ_TRANSPOSE_RANK 4

/* Matrices of `rows` x `columns` bytes in the output. Neighbors are in a row of the output and in a column of the
   input; x_column is the distance of the columns of the input, y_row that of the rows of the output. The other axes
   are looped over as in mq_copy. */
typedef struct {
    int32_t size[MQ_TRANSPOSE_RANK];
    int32_t x_step[MQ_TRANSPOSE_RANK];
    int32_t y_step[MQ_TRANSPOSE_RANK];
    int32_t rows, columns; /* 1 or more, as all sizes */
    int32_t x_column, y_row;
    int32_t y_words; /* whether all rows of the output are whole words */
} mq_transpose_t;

/* The bytes of `a` where the mask is clear, and of `b` where it is set. */
MQ_KERNEL uint32_t mq_transpose_select(uint32_t a, uint32_t b, uint32_t mask)
{
    return a ^ ((a ^ b) & mask);
}

/* Four columns of the input, four bytes each, to four rows of the output. */
MQ_KERNEL void mq_transpose_words(const uint32_t x[4], uint8_t *y, int32_t y_row)
{
    const uint32_t even = 0x00FF00FFu;
    const uint32_t p = mq_pkhbt16(x[0], x[2]), q = mq_pkhtb16(x[2], x[0]);
    const uint32_t r = mq_pkhbt16(x[1], x[3]), s = mq_pkhtb16(x[3], x[1]);
    *(mq_word_t *)(void *)y = mq_transpose_select(p, r << 8, ~even);
    *(mq_word_t *)(void *)(y + y_row) = mq_transpose_select(r, p >> 8, even);
    *(mq_word_t *)(void *)(y + 2 * y_row) = mq_transpose_select(q, s << 8, ~even);
    *(mq_word_t *)(void *)(y + 3 * y_row) = mq_transpose_select(s, q >> 8, even);
}

MQ_KERNEL uint32_t mq_transpose_word(const uint8_t *x)
{
    return *(const mq_word_t *)(const void *)x;
}

/* The four bytes of a column of the input, to a column of the output. */
MQ_KERNEL void mq_transpose_column(uint32_t x, uint8_t *y, int32_t y_row)
{
    y[0] = (uint8_t)x;
    y[y_row] = (uint8_t)(x >> 8);
    y[2 * y_row] = (uint8_t)(x >> 16);
    y[3 * y_row] = (uint8_t)(x >> 24);
}

/* Four rows, four columns: the words of the input are read before anything is written. */
MQ_KERNEL void mq_transpose_block(const mq_transpose_t *p, const uint8_t *x, uint8_t *y)
{
    const uint32_t in[4] = {mq_transpose_word(x), mq_transpose_word(x + p->x_column),
                            mq_transpose_word(x + 2 * p->x_column), mq_transpose_word(x + 3 * p->x_column)};
    if (p->y_words) {
        mq_transpose_words(in, y, p->y_row);
        return;
    }
    mq_transpose_column(in[0], y, p->y_row);
    mq_transpose_column(in[1], y + 1, p->y_row);
    mq_transpose_column(in[2], y + 2, p->y_row);
    mq_transpose_column(in[3], y + 3, p->y_row);
}

/* The columns after the last four, from `column`. */
MQ_KERNEL void mq_transpose_last(const mq_transpose_t *p, int32_t column, const uint8_t *x, uint8_t *y)
{
    for (; column < p->columns; column++) {
        const uint8_t *from = x + column * p->x_column, *const end = from + p->rows;
        for (uint8_t *to = y + column; from != end; from += 4, to += 4 * p->y_row) {
            mq_transpose_column(mq_transpose_word(from), to, p->y_row);
        }
    }
}

MQ_KERNEL void mq_transpose_matrix(const mq_transpose_t *p, const uint8_t *x, uint8_t *y)
{
    const int32_t whole = p->columns / 4 * 4;
    for (int32_t row = 0; whole && row < p->rows; row += 4) {
        const uint8_t *from = x + row;
        uint8_t *to = y + row * p->y_row, *const end = to + whole;
        for (; to != end; to += 4, from += 4 * p->x_column) {
            mq_transpose_block(p, from, to);
        }
    }
    mq_transpose_last(p, whole, x, y);
}

typedef void mq_transpose_matrix_t(const mq_transpose_t *p, const uint8_t *x, uint8_t *y);

/* All matrices, each with `matrix`, which is inlined. */
MQ_KERNEL void mq_transpose_each(const mq_transpose_t *p, const void *x, void *y, mq_transpose_matrix_t *matrix)
{
    uint8_t *const out = mq_apart(y);
    const int32_t *xs = p->x_step;
    const int32_t *ys = p->y_step;
    for (int32_t i0 = 0; i0 < p->size[0]; i0++) {
        for (int32_t i1 = 0; i1 < p->size[1]; i1++) {
            for (int32_t i2 = 0; i2 < p->size[2]; i2++) {
                for (int32_t i3 = 0; i3 < p->size[3]; i3++) {
                    const int32_t from = i0 * xs[0] + i1 * xs[1] + i2 * xs[2] + i3 * xs[3];
                    const int32_t to = i0 * ys[0] + i1 * ys[1] + i2 * ys[2] + i3 * ys[3];
                    matrix(p, (const uint8_t *)x + from, out + to);
                }
            }
        }
    }
}

MQ_KERNEL void mq_transpose(const mq_transpose_t *p, const void *x, void *y)
{
    mq_transpose_each(p, x, y, mq_transpose_matrix);
}

#endif
