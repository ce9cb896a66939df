/* Product of two tensors' last two axes in int8 on cores with SMLAD: two rows by two columns at a time.
 *
 * Up to 32 columns of b at a time go to scratch as 16-bit numbers, less the zero point; then two rows of a each. Four
 * elements along the depth are two words, of elements 0 and 2 and of elements 1 and 3; words of two rows, or of two
 * columns, lie in turn. 19 cycles for 16 MACs on Cortex-M4, and about 15 an output.
 */
#ifndef MQ_MATMUL_PAIRS_H
#define MQ_MATMUL_PAIRS_H

#include "mq_matmul_dot.h"

/* Four elements `stride` apart as a byte each; from `count` on they are `zero`. */
MQ_KERNEL uint32_t mq_matmul_pairs_bytes(const int8_t *from, int32_t stride, int32_t count, int32_t zero)
{
    if (count >= 4) {
        const uint32_t low = (uint32_t)(uint8_t)from[0] | (uint32_t)(uint8_t)from[stride] << 8;
        const uint32_t high = (uint32_t)(uint8_t)from[2 * stride] | (uint32_t)(uint8_t)from[3 * stride] << 8;
        return low | high << 16;
    }
    uint32_t word = 0;
    for (int32_t i = 0; i < 4; i++) {
        word |= (uint32_t)(uint8_t)(i < count ? from[i * stride] : zero) << 8 * i;
    }
    return word;
}

/* Copies `depth` elements of a row or column, less `zero`, to every second word at `to`. */
MQ_KERNEL void mq_matmul_pairs_expand(const int8_t *from, int32_t stride, int32_t depth, int32_t zero, uint32_t *to)
{
    const uint32_t less = ((uint32_t)-zero & 0xFFFFu) * 0x00010001u;
    const int whole_words = stride == 1 && (uintptr_t)from % 4u == 0;
    for (; depth > 0; depth -= 4, from += 4 * stride, to += 4) {
        const uint32_t word = whole_words && depth >= 4 ? *(const uint32_t *)(const void *)from
                                                        : mq_matmul_pairs_bytes(from, stride, depth, zero);
        to[0] = mq_sxtab16(less, word);
        to[2] = mq_sxtab16_ror8(less, word);
    }
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Four elements of two rows and two columns: 19 cycles. */
#define MQ_MATMUL_PAIRS_STEP                                                                                           \
    "ldmia  %[a]!, {r4, r5, r6, r8}\n"                                                                                 \
    "ldmia  %[b]!, {r9, r10}\n"                                                                                        \
    "smlad  %[first], r4, r9, %[first]\n"                                                                              \
    "smlad  %[second], r4, r10, %[second]\n"                                                                           \
    "smlad  %[third], r5, r9, %[third]\n"                                                                              \
    "smlad  %[fourth], r5, r10, %[fourth]\n"                                                                           \
    "ldmia  %[b]!, {r9, r10}\n"                                                                                        \
    "smlad  %[first], r6, r9, %[first]\n"                                                                              \
    "smlad  %[second], r6, r10, %[second]\n"                                                                           \
    "smlad  %[third], r8, r9, %[third]\n"                                                                              \
    "smlad  %[fourth], r8, r10, %[fourth]\n"

/* Sums of the products of `groups` times four elements: first row by both columns, second row by both. */
MQ_KERNEL void mq_matmul_pairs_sums(const uint32_t *a, const uint32_t *b, int32_t groups, int32_t *sums)
{
    int32_t first = 0, second = 0, third = 0, fourth = 0;
    __asm__ volatile("b      2f\n"
                     "1:\n" MQ_MATMUL_PAIRS_STEP "subs   %[groups], %[groups], #1\n"
                     "2:\n"
                     "tst    %[groups], #3\n"
                     "bne    1b\n"
                     "cmp    %[groups], #0\n"
                     "beq.w  4f\n"
                     "3:\n" MQ_MATMUL_PAIRS_STEP MQ_MATMUL_PAIRS_STEP MQ_MATMUL_PAIRS_STEP MQ_MATMUL_PAIRS_STEP
                     "subs   %[groups], %[groups], #4\n"
                     "bne    3b\n"
                     "4:\n"
                     : [a] "+r"(a), [b] "+r"(b), [groups] "+r"(groups), [first] "+r"(first), [second] "+r"(second),
                       [third] "+r"(third), [fourth] "+r"(fourth)
                     :
                     : "r4", "r5", "r6", "r8", "r9", "r10", "cc", "memory");
    sums[0] = first;
    sums[1] = second;
    sums[2] = third;
    sums[3] = fourth;
}

#undef MQ_MATMUL_PAIRS_STEP

#else

MQ_KERNEL void mq_matmul_pairs_sums(const uint32_t *a, const uint32_t *b, int32_t groups, int32_t *sums)
{
    memset(sums, 0, 4 * sizeof *sums);
    for (int32_t i = 0; i < 2 * groups; i++, a += 2, b += 2) {
        sums[0] = mq_smlad(a[0], b[0], sums[0]);
        sums[1] = mq_smlad(a[0], b[1], sums[1]);
        sums[2] = mq_smlad(a[1], b[0], sums[2]);
        sums[3] = mq_smlad(a[1], b[1], sums[3]);
    }
}

#endif

/* Two rows and two columns, of which `rows` and `columns` exist. */
MQ_KERNEL void mq_matmul_pairs_four(const mq_matmul_dot_t *p, const uint32_t *a, const uint32_t *b, int32_t rows,
                                    int32_t columns, int8_t *y)
{
    const int32_t scale[] = {p->m, p->round, p->shift};
    int32_t sums[4];
    mq_matmul_pairs_sums(a, b, (p->depth + 3) / 4, sums);
    y[0] = mq_dot_requantize(sums[0], scale);
    if (columns > 1) {
        y[1] = mq_dot_requantize(sums[1], scale);
    }
    if (rows > 1) {
        y[p->columns] = mq_dot_requantize(sums[2], scale);
        if (columns > 1) {
            y[p->columns + 1] = mq_dot_requantize(sums[3], scale);
        }
    }
}

/* Rows or columns from `at` on, of which `count` exist, in pairs of `length` words each; a missing one is left as it is:
   nothing that is computed from it is written. */
MQ_KERNEL void mq_matmul_pairs_pack(const int8_t *from, int32_t step, int32_t stride, int32_t count, int32_t depth,
                                    int32_t zero, uint32_t *to)
{
    const int32_t length = (depth + 3) / 4 * 4;
    for (int32_t i = 0; i < count; i++) {
        mq_matmul_pairs_expand(from + i * step, stride, depth, zero, to + i / 2 * length + i % 2);
    }
}

MQ_KERNEL void mq_matmul_pairs_matrix(const mq_matmul_dot_t *p, const int8_t *a, const int8_t *b, uint32_t *scratch,
                                      int8_t *y)
{
    const int32_t length = (p->depth + 3) / 4 * 4;
    uint32_t *const rows = scratch, *const columns = scratch + length;
    memset(rows, 0, (size_t)length * sizeof *rows);
    for (int32_t c = 0; c < p->columns; c += MQ_MATMUL_DOT_COLUMNS) {
        const int32_t count = mq_min(MQ_MATMUL_DOT_COLUMNS, p->columns - c);
        memset(columns + count / 2 * length, 0, count % 2 != 0 ? (size_t)length * sizeof *columns : 0);
        mq_matmul_pairs_pack(b + c * p->b_column, p->b_column, p->b_row, count, p->depth, p->b_zero, columns);
        for (int32_t r = 0; r < p->rows; r += 2) {
            const int32_t left = mq_min(2, p->rows - r);
            mq_matmul_pairs_pack(a + r * p->a_row, p->a_row, p->a_column, left, p->depth, p->a_zero, rows);
            for (int32_t i = 0; i < count; i += 2) {
                mq_matmul_pairs_four(p, rows, columns + i / 2 * length, left, mq_min(2, count - i),
                                     y + r * p->columns + c + i);
            }
        }
    }
}

/* scratch: 4 bytes for each element of two rows, the depth being a multiple of 4, and of half as many columns. */
MQ_KERNEL void mq_matmul_pairs_s8(const mq_matmul_dot_t *p, const int8_t *a, const int8_t *b, int32_t *scratch,
                                  int8_t *y)
{
    MQ_BROADCAST(p->matrices,
                 mq_matmul_pairs_matrix(p, a + ia, b + ib, (uint32_t *)scratch, y + i * p->rows * p->columns))
}

#endif
