/* Product of two tensors' last two axes in int8 on cores with SMLAD; see mq_dot.h.
 *
 * Up to 32 columns of b at a time go to scratch as weights of outputs; then each row of a is a window. With sums over k,
 * (a - a_zero) * (b - b_zero) is a * b - a_zero * b + depth * a_zero * b_zero, which begins each sum of a column, less
 * b_zero * a, which is added to all of them for a row.
 */
#ifndef MQ_MATMUL_DOT_H
#define MQ_MATMUL_DOT_H

#include "mq_broadcast.h"
#include "mq_dot.h"

#define MQ_MATMUL_DOT_COLUMNS 32

/* rows, depth and columns: 1 or more; a_zero and b_zero: -128 to 127. Steps are as in mq_matmul.h; m, round and shift
   requantize as in mq_dot.h. */
typedef struct {
    mq_broadcast_t matrices;
    int32_t rows, depth, columns;
    int32_t a_row, a_column;
    int32_t b_row, b_column;
    int32_t a_zero, b_zero;
    int32_t m, round, shift;
} mq_matmul_dot_t;

/* The sum of a word's bytes. */
MQ_KERNEL int32_t mq_matmul_dot_sum(uint32_t word, int32_t sum)
{
    return mq_smlad(mq_sxtb16(word), 0x00010001u, mq_smlad(mq_sxtb16_ror8(word), 0x00010001u, sum));
}

/* Copies `count` bytes, `stride` apart, to words that are `step` apart; the last word is padded with 0. Returns their
   sum. */
MQ_KERNEL int32_t mq_matmul_dot_gather(const int8_t *from, int32_t stride, int32_t count, uint32_t *to, int32_t step)
{
    int32_t sum = 0;
    for (; count >= 4; count -= 4, from += 4 * stride, to += step) {
        const uint32_t low = (uint32_t)(uint8_t)from[0] | (uint32_t)(uint8_t)from[stride] << 8;
        const uint32_t high = (uint32_t)(uint8_t)from[2 * stride] | (uint32_t)(uint8_t)from[3 * stride] << 8;
        *to = low | high << 16;
        sum = mq_matmul_dot_sum(*to, sum);
    }
    if (count > 0) {
        uint32_t word = 0;
        for (int32_t i = 0; i < count; i++) {
            word |= (uint32_t)(uint8_t)from[i * stride] << 8 * i;
        }
        *to = word;
        sum = mq_matmul_dot_sum(word, sum);
    }
    return sum;
}

/* Copies weights and scale of `columns` columns at b. */
MQ_KERNEL void mq_matmul_dot_pack(const mq_matmul_dot_t *p, const int8_t *b, int32_t columns, uint32_t *w, int32_t *scale)
{
    const int32_t words = (p->depth + 3) / 4;
    while (columns > 0) {
        const int32_t count = columns >= 4 ? 4 : columns >= 2 ? 2 : 1;
        for (int32_t i = 0; i < count; i++, b += p->b_column) {
            const int32_t sum = mq_matmul_dot_gather(b, p->b_row, p->depth, w + i, count);
            scale[i] = p->a_zero * (p->depth * p->b_zero - sum);
            scale[count + 3 * i] = p->m;
            scale[count + 3 * i + 1] = p->round;
            scale[count + 3 * i + 2] = p->shift;
        }
        w += count * words;
        scale += count * MQ_DOT_SCALE;
        columns -= count;
    }
}

/* Changes the initial value of all sums. */
MQ_KERNEL void mq_matmul_dot_add(int32_t *scale, int32_t columns, int32_t value)
{
    for (; columns >= 4; columns -= 4, scale += 4 * MQ_DOT_SCALE) {
        scale[0] += value;
        scale[1] += value;
        scale[2] += value;
        scale[3] += value;
    }
    if (columns >= 2) {
        scale[0] += value;
        scale[1] += value;
        scale += 2 * MQ_DOT_SCALE;
    }
    if (columns % 2 != 0) {
        scale[0] += value;
    }
}

/* A row of a as whole words: in place, or copied to `room`. */
MQ_KERNEL const uint32_t *mq_matmul_dot_row(const mq_matmul_dot_t *p, const int8_t *a, uint32_t *room, int32_t *sum)
{
    const int32_t words = p->depth / 4, rest = p->depth % 4;
    const uint32_t *row = (const uint32_t *)(const void *)a;
    if (p->a_column != 1) {
        *sum = mq_matmul_dot_gather(a, p->a_column, p->depth, room, 1);
        return room;
    }
    if ((uintptr_t)a % 4u != 0 || rest != 0) {
        mq_dot_copy(a, p->depth, room);
        row = room;
    }
    int32_t total = 0;
#pragma GCC unroll 4
    for (int32_t k = 0; k < words; k++) {
        total = mq_matmul_dot_sum(row[k], total);
    }
    if (rest != 0) {
        room[words] &= (1u << 8 * rest) - 1u;
        total = mq_matmul_dot_sum(room[words], total);
    }
    *sum = total;
    return row;
}

MQ_KERNEL void mq_matmul_dot_matrix(const mq_matmul_dot_t *p, const int8_t *a, const int8_t *b, int32_t *scratch, int8_t *y)
{
    const int32_t words = (p->depth + 3) / 4;
    int32_t *scale = scratch;
    uint32_t *room = (uint32_t *)scratch + MQ_MATMUL_DOT_COLUMNS * MQ_DOT_SCALE, *w = room + words;
    for (int32_t c = 0; c < p->columns; c += MQ_MATMUL_DOT_COLUMNS) {
        const int32_t columns = mq_min(MQ_MATMUL_DOT_COLUMNS, p->columns - c);
        int32_t before = 0;
        mq_matmul_dot_pack(p, b + c * p->b_column, columns, w, scale);
        for (int32_t r = 0; r < p->rows; r++) {
            int32_t sum;
            const uint32_t *row = mq_matmul_dot_row(p, a + r * p->a_row, room, &sum);
            if (p->b_zero != 0) {
                mq_matmul_dot_add(scale, columns, p->b_zero * (before - sum));
                before = sum;
            }
            mq_dot(row, words, w, scale, columns, y + r * p->columns + c);
        }
    }
}

MQ_KERNEL void mq_matmul_dot_s8(const mq_matmul_dot_t *p, const int8_t *a, const int8_t *b, int32_t *scratch, int8_t *y)
{
    MQ_BROADCAST(p->matrices, mq_matmul_dot_matrix(p, a + ia, b + ib, scratch, y + i * p->rows * p->columns))
}

#endif
