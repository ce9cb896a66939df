/* Fully connected layer whose weights are partly 0: one bit per weight marks nonzero ones, which are stored one per
 * byte.
 *
 * It runs on any core. The biases are corrected for the input's zero point; sums are modulo 2^32, where the compiler
 * proves that the total fits.
 */
#ifndef MQ_BITMAP_H
#define MQ_BITMAP_H

#include "mq_common.h"

/* rows, depth and outputs: 1 or more; step: 0 or 1. y_zero: -128 to 127; -128 <= act_min <= act_max <= 127. x:
   [rows][depth], y: [rows][outputs]. */
typedef struct {
    int32_t rows, depth, outputs;
    int32_t step; /* distance of the factors of outputs: 0 for equal factors */
    int32_t y_zero;
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_bitmap_t;

/* bits: (depth + 31) / 32 words for each output. multiplier: 1 to 255. m: 2^30 to 2^31 - 1, or 0; shift: -31 to 31;
   both have one entry for each output, or one where step is 0. */
typedef struct {
    const uint32_t *bits;      /* for each output whole words, the first weight in the highest bit */
    const int8_t *kept;        /* nonzero weights of all outputs, one after the other */
    const uint8_t *multiplier; /* multiplier of each output; null: 1 */
    const int32_t *bias;
    const int32_t *m;    /* 31 bits */
    const int8_t *shift; /* to the left */
} mq_bitmap_weights_t;

/* Products of an output with one row. Returns the end of its nonzero weights. */
MQ_KERNEL const int8_t *mq_bitmap_sum(const uint32_t *bits, int32_t depth, const int8_t *kept, const int8_t *x,
                                      uint32_t *total)
{
    uint32_t sum = 0;
    for (int32_t i = 0; i < depth; i += 32) {
        for (uint32_t left = *bits++; left;) {
            const int32_t at = __builtin_clz(left);
            sum += (uint32_t)(*kept++ * x[i + at]);
            left &= ~(0x80000000u >> at);
        }
    }
    *total = sum;
    return kept;
}

MQ_KERNEL void mq_bitmap_s8(const mq_bitmap_t *p, const int8_t *x, const mq_bitmap_weights_t *w, int8_t *y)
{
    const int32_t words = (p->depth + 31) / 32;
    for (int32_t row = 0; row < p->rows; row++, x += p->depth) {
        const int8_t *kept = w->kept;
        for (int32_t o = 0; o < p->outputs; o++) {
            uint32_t products;
            kept = mq_bitmap_sum(w->bits + o * words, p->depth, kept, x, &products);
            const uint32_t sum = (uint32_t)w->bias[o] + (w->multiplier ? w->multiplier[o] * products : products);
            const int32_t v = mq_requantize((int32_t)sum, w->m[o * p->step], w->shift[o * p->step]);
            *y++ = (int8_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);
        }
    }
}

#endif
