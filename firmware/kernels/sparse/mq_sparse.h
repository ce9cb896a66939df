/* Products with weights of which most are 0: only the others are stored, each with how far it is from the one before.
 *
 * An entry is a gap of zeros and a weight: in 8 bits the gap above and the index of the weight in a codebook below, or in
 * 16 bits the gap and the weight itself. A gap that is too long is parted by weights of 0. Each output has its entries in
 * a row and the count of them elsewhere. The input's zero point is in the biases; sums are modulo 2^32, where the compiler
 * proves that the whole fits.
 *
 * Up to four rows of inputs at a time, so that an entry is decoded once for all of them: 10 cycles per entry for one
 * row and 5 for each of four, on Cortex-M4.
 */
#ifndef MQ_SPARSE_H
#define MQ_SPARSE_H

#include "mq_common.h"

#define MQ_SPARSE_ROWS 4

/* rows, depth and outputs: 1 or more. value_bits: 0 to 6; wide_counts and step: 0 or 1. y_zero: -128 to 127; -128 <=
   act_min <= act_max <= 127. x: [rows][depth], y: [rows][outputs]. */
typedef struct {
    int32_t rows, depth, outputs;
    int32_t value_bits;  /* low bits of an 8-bit entry that are an index; 0: entries have 16 bits */
    int32_t wide_counts; /* whether counts have 16 bits, not 8 */
    int32_t step;        /* distance of the factors of outputs: 0 for equal factors */
    int32_t y_zero;
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_sparse_t;

/* codebook: 1 to 63 values behind a 0, where value_bits is not 0. multiplier: 1 to 255. m: 2^30 to 2^31 - 1, or 0;
   shift: -31 to 31. bias, m and shift are aligned to their type, and have one entry for each output, or one where
   step is 0 (bias: always one for each output). */
typedef struct {
    const uint8_t *entries;
    const int8_t *codebook;
    const uint8_t *counts;     /* number of entries of each output */
    const uint8_t *multiplier; /* multiplier of each output; null: 1 */
    const int32_t *bias;
    const int32_t *m;    /* 31 bits */
    const int8_t *shift; /* to the left */
} mq_sparse_weights_t;

MQ_KERNEL int32_t mq_sparse_count(const mq_sparse_t *p, const mq_sparse_weights_t *w, int32_t o)
{
    return p->wide_counts ? w->counts[2 * o] | w->counts[2 * o + 1] << 8 : w->counts[o];
}

/* The weight of the entry at `*at`, which moves to the next one; `*x` moves to its input. */
MQ_KERNEL int32_t mq_sparse_next(const mq_sparse_t *p, const mq_sparse_weights_t *w, const uint8_t **at,
                                 const int8_t **x)
{
    const uint32_t first = *(*at)++;
    if (p->value_bits == 0) {
        *x += first;
        return (int8_t) *(*at)++;
    }
    *x += first >> p->value_bits;
    return w->codebook[first & ((1u << p->value_bits) - 1u)];
}

/* The products of `count` entries with one row of inputs. Returns the end of the entries. */
MQ_KERNEL const uint8_t *mq_sparse_one(const mq_sparse_t *p, const mq_sparse_weights_t *w, const uint8_t *at,
                                       int32_t count, const int8_t *x, uint32_t *sum)
{
    uint32_t total = 0;
#pragma GCC unroll 4
    for (int32_t i = 0; i < count; i++) {
        const int32_t value = mq_sparse_next(p, w, &at, &x);
        total += (uint32_t)(*x++ * value);
    }
    *sum = total;
    return at;
}

/* The same for MQ_SPARSE_ROWS rows, with one sum each. */
MQ_KERNEL const uint8_t *mq_sparse_four(const mq_sparse_t *p, const mq_sparse_weights_t *w, const uint8_t *at,
                                        int32_t count, const int8_t *x, uint32_t *sums)
{
    uint32_t a = 0, b = 0, c = 0, d = 0;
    for (int32_t i = 0; i < count; i++) {
        const int32_t value = mq_sparse_next(p, w, &at, &x);
        a += (uint32_t)(x[0] * value);
        b += (uint32_t)(x[p->depth] * value);
        c += (uint32_t)(x[2 * p->depth] * value);
        d += (uint32_t)(x[3 * p->depth] * value);
        x++;
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
    return at;
}

/* All outputs of `rows` rows, 1 or MQ_SPARSE_ROWS. */
MQ_KERNEL void mq_sparse_rows(const mq_sparse_t *p, const mq_sparse_weights_t *w, const int8_t *x, int32_t rows,
                              int8_t *y)
{
    const uint8_t *at = w->entries;
    for (int32_t o = 0; o < p->outputs; o++) {
        uint32_t sums[MQ_SPARSE_ROWS];
        const int32_t count = mq_sparse_count(p, w, o);
        at = rows == 1 ? mq_sparse_one(p, w, at, count, x, sums) : mq_sparse_four(p, w, at, count, x, sums);
        for (int32_t row = 0; row < rows; row++) {
            const uint32_t sum = (uint32_t)w->bias[o] + (w->multiplier ? w->multiplier[o] * sums[row] : sums[row]);
            const int32_t v = mq_requantize((int32_t)sum, w->m[o * p->step], w->shift[o * p->step]);
            y[row * p->outputs + o] = (int8_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);
        }
    }
}

/* Fully connected layer, or pointwise convolution of `rows` pixels. */
MQ_KERNEL void mq_sparse_s8(const mq_sparse_t *p, const int8_t *x, const mq_sparse_weights_t *w, int8_t *y)
{
    int32_t left = p->rows;
    for (; left >= MQ_SPARSE_ROWS; left -= MQ_SPARSE_ROWS) {
        mq_sparse_rows(p, w, x, MQ_SPARSE_ROWS, y);
        x += MQ_SPARSE_ROWS * p->depth;
        y += MQ_SPARSE_ROWS * p->outputs;
    }
    for (; left > 0; left--) {
        mq_sparse_rows(p, w, x, 1, y);
        x += p->depth;
        y += p->outputs;
    }
}

#endif
