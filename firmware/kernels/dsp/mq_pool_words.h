/* Averages, means and maxima of int8, four channels at a time, on cores with SXTAB16 and SEL. Channels are whole words. */
#ifndef MQ_POOL_WORDS_H
#define MQ_POOL_WORDS_H

#include "mq_dsp.h"
#include "mq_mean.h"
#include "mq_pool.h"

/* Number of bytes whose sum always fits 16 bits. */
#define MQ_POOL_WORDS_MOST 256

/* Adds four channels of `count` pixels, `step` words apart, to sums. */
MQ_KERNEL void mq_pool_words_add(const uint32_t *x, int32_t count, int32_t step, int32_t *sums)
{
    while (count > 0) {
        uint32_t even = 0, odd = 0;
        const uint32_t *end = x + mq_min(count, MQ_POOL_WORDS_MOST) * step;
        const uint32_t *end4 = x + mq_min(count, MQ_POOL_WORDS_MOST) / 4 * 4 * step;
        for (; x != end4; x += 4 * step) {
            const uint32_t a = x[0], b = x[step], c = x[2 * step], d = x[3 * step];
            even = mq_sxtab16(mq_sxtab16(mq_sxtab16(mq_sxtab16(even, a), b), c), d);
            odd = mq_sxtab16_ror8(mq_sxtab16_ror8(mq_sxtab16_ror8(mq_sxtab16_ror8(odd, a), b), c), d);
        }
        for (; x != end; x += step) {
            even = mq_sxtab16(even, *x);
            odd = mq_sxtab16_ror8(odd, *x);
        }
        sums[0] += (int16_t)even;
        sums[1] += (int16_t)odd;
        sums[2] += (int16_t)(even >> 16);
        sums[3] += (int16_t)(odd >> 16);
        count -= MQ_POOL_WORDS_MOST;
    }
}

/* The mean of a box rounded to nearest, halves away from zero; x is the image at the first of four channels. */
MQ_KERNEL void mq_avg_pool_words_four(const mq_pool_t *p, const uint32_t *x, mq_box_t box, int8_t *y)
{
    const int32_t words = p->channels / 4;
    const int32_t width = box.right - box.left, count = (box.bottom - box.top) * width;
    int32_t sums[4] = {0, 0, 0, 0};
    if (width == p->in_w) {
        mq_pool_words_add(x + box.top * p->in_w * words, count, words, sums);
    } else {
        for (int32_t iy = box.top; iy < box.bottom; iy++) {
            mq_pool_words_add(x + (iy * p->in_w + box.left) * words, width, words, sums);
        }
    }
    for (int32_t i = 0; i < 4; i++) {
        const int32_t half = sums[i] > 0 ? count / 2 : -(count / 2);
        y[i] = (int8_t)mq_rescale(&p->rescale, (sums[i] + half) / count);
    }
}

MQ_KERNEL void mq_max_pool_words_four(const mq_pool_t *p, const uint32_t *x, mq_box_t box, int8_t *y)
{
    const int32_t words = p->channels / 4;
    uint32_t best = 0x80808080u;
    for (int32_t iy = box.top; iy < box.bottom; iy++) {
        const uint32_t *pixel = x + (iy * p->in_w + box.left) * words;
#pragma GCC unroll 4
        for (int32_t ix = box.left; ix < box.right; ix++, pixel += words) {
            best = mq_max8(best, *pixel);
        }
    }
    if (p->rescale.identity && p->rescale.act_min == INT8_MIN && p->rescale.act_max == INT8_MAX) {
        memcpy(__builtin_assume_aligned(y, 4), &best, sizeof best);
        return;
    }
    for (int32_t i = 0; i < 4; i++, best >>= 8) {
        y[i] = (int8_t)mq_rescale(&p->rescale, (int8_t)best);
    }
}

#define MQ_DEFINE_POOL_WORDS(name, four)                                                                               \
    MQ_KERNEL void name(const mq_pool_t *p, const int8_t *x, int8_t *y)                                                \
    {                                                                                                                  \
        const uint32_t *image = (const uint32_t *)(const void *)x;                                                     \
        for (int32_t n = 0; n < p->batch; n++, image += p->in_h * p->in_w * p->channels / 4) {                         \
            for (int32_t oy = 0; oy < p->out_h; oy++) {                                                                \
                for (int32_t ox = 0; ox < p->out_w; ox++) {                                                            \
                    const mq_box_t box = mq_pool_box(p, oy, ox);                                                       \
                    for (int32_t c = 0; c < p->channels / 4; c++, y += 4) {                                            \
                        four(p, image + c, box, y);                                                                    \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_DEFINE_POOL_WORDS(mq_avg_pool_words_s8, mq_avg_pool_words_four)
MQ_DEFINE_POOL_WORDS(mq_max_pool_words_s8, mq_max_pool_words_four)

#undef MQ_DEFINE_POOL_WORDS

/* Means of kept[2] rows, one after the other, of reduced[2] elements each, a multiple of 4. x is aligned to 4 bytes. */
MQ_KERNEL void mq_mean_rows_s8(const mq_mean_t *p, const int8_t *x, int8_t *y)
{
    const int32_t words = p->shape.reduced[2] / 4, count = p->shape.reduced[2];
    const uint32_t *word = (const uint32_t *)(const void *)x;
    for (int32_t row = 0; row < p->shape.kept[2]; row++) {
        int32_t sum = -count * p->x_zero;
#pragma GCC unroll 4
        for (int32_t i = 0; i < words; i++, word++) {
            sum = mq_smlad(mq_sxtb16(*word), 0x00010001u, mq_smlad(mq_sxtb16_ror8(*word), 0x00010001u, sum));
        }
        *y++ = (int8_t)mq_stored(mq_requantize(sum, p->m, p->shift), p->y_zero, p->act_min, p->act_max);
    }
}

/* Means over all but the last axis: kept[2] channels, reduced[2] pixels. Four pixels are as many words as a pixel has
   channels: words that lie so far apart are added up first, then the sums of each channel. scratch: a word a channel. */
MQ_KERNEL void mq_mean_flat_s8(const mq_mean_t *p, const int8_t *x, int32_t *scratch, int8_t *y)
{
    const int32_t channels = p->shape.kept[2], count = p->shape.reduced[2], fours = count / 4;
    for (int32_t c = 0; c < channels; c++) {
        scratch[c] = -count * p->x_zero;
    }
    int32_t channel = 0;
    for (int32_t word = 0; word < channels; word++) {
        int32_t sums[4] = {0, 0, 0, 0};
        mq_pool_words_add((const uint32_t *)(const void *)x + word, fours, channels, sums);
        for (int32_t i = 0; i < 4; i++) {
            scratch[channel] += sums[i];
            channel = channel + 1 == channels ? 0 : channel + 1;
        }
    }
    for (int32_t i = 4 * fours; i < count; i++) {
        for (int32_t c = 0; c < channels; c++) {
            scratch[c] += x[i * channels + c];
        }
    }
    for (int32_t c = 0; c < channels; c++) {
        *y++ = (int8_t)mq_stored(mq_requantize(scratch[c], p->m, p->shift), p->y_zero, p->act_min, p->act_max);
    }
}

/* Means over all but the last axis: kept[2] channels, reduced[2] pixels. */
MQ_KERNEL void mq_mean_words_s8(const mq_mean_t *p, const int8_t *x, int8_t *y)
{
    const int32_t words = p->shape.kept[2] / 4, count = p->shape.reduced[2];
    for (int32_t c = 0; c < words; c++, y += 4) {
        int32_t sums[4] = {0, 0, 0, 0};
        mq_pool_words_add((const uint32_t *)(const void *)x + c, count, words, sums);
        for (int32_t i = 0; i < 4; i++) {
            const int32_t v = mq_requantize(sums[i] - count * p->x_zero, p->m, p->shift);
            y[i] = (int8_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);
        }
    }
}

#endif
