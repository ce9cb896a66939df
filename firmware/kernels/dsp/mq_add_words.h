/* Sum or difference of two int8 tensors of one shape, four elements at a time, on cores with SMLAWB.
 *
 * An input byte times 256 is half of a word after a mask; SMLAWB and SMLAWT multiply it by a factor of 32 bits. What
 * TFLite computes in three roundings is one sum, rounded down once:
 *
 *     y = SSAT8((offset + floor(a_factor * a / 256) + floor(b_factor * b / 256)) >> 20)
 *
 * The compiler uses it where it finds constants that are right for all 65,536 pairs of inputs.
 */
#ifndef MQ_ADD_WORDS_H
#define MQ_ADD_WORDS_H

#include "mq_dsp.h"

/* count: 1 or more. The factors: -2^31 to 2^31 - 1. a, b and y are aligned to 4 bytes. */
typedef struct {
    int32_t count;
    int32_t a_factor, b_factor; /* scales of the inputs relative to that of the output, times 2^28 */
    int32_t offset;
} mq_add_words_t;

MQ_KERNEL int8_t mq_add_words_low(const mq_add_words_t *p, uint32_t a, uint32_t b)
{
    return (int8_t)mq_ssat8_asr20(mq_smlawb(p->b_factor, b, mq_smlawb(p->a_factor, a, p->offset)));
}

MQ_KERNEL int8_t mq_add_words_high(const mq_add_words_t *p, uint32_t a, uint32_t b)
{
    return (int8_t)mq_ssat8_asr20(mq_smlawt(p->b_factor, b, mq_smlawt(p->a_factor, a, p->offset)));
}

/* mask: 0xFF00FF00. */
MQ_KERNEL void mq_add_words_four(const mq_add_words_t *p, uint32_t mask, uint32_t a, uint32_t b, int8_t *y)
{
    const uint32_t a_odd = a & mask, a_even = (a << 8) & mask;
    const uint32_t b_odd = b & mask, b_even = (b << 8) & mask;
    y[0] = mq_add_words_low(p, a_even, b_even);
    y[1] = mq_add_words_low(p, a_odd, b_odd);
    y[2] = mq_add_words_high(p, a_even, b_even);
    y[3] = mq_add_words_high(p, a_odd, b_odd);
}

MQ_KERNEL void mq_add_words_s8(const mq_add_words_t *p, const int8_t *a, const int8_t *b, int8_t *y)
{
    const uint32_t *a_word = (const uint32_t *)(const void *)a, *b_word = (const uint32_t *)(const void *)b;
    const int8_t *y_end = y + p->count / 8 * 8;
    const uint32_t mask = mq_in_register(0xFF00FF00u);
    for (; y != y_end; y += 8, a_word += 2, b_word += 2) {
        mq_add_words_four(p, mask, a_word[0], b_word[0], y);
        mq_add_words_four(p, mask, a_word[1], b_word[1], y + 4);
    }
    if (p->count & 4) {
        mq_add_words_four(p, mask, *a_word++, *b_word++, y);
        y += 4;
    }
    for (int32_t i = 0; i < p->count % 4; i++) {
        const uint32_t a_last = (uint32_t)((const int8_t *)a_word)[i] << 8, b_last = (uint32_t)((const int8_t *)b_word)[i] << 8;
        y[i] = mq_add_words_low(p, a_last, b_last);
    }
}

#endif
