/* The real transform of mq_rfft16.h with SMLAD and its relatives: a complex number is a word, its real part low. */
#ifndef MQ_RFFT16_WORDS_H
#define MQ_RFFT16_WORDS_H

#include "mq_dsp_pairs.h"
#include "mq_fft16.h"

typedef uint32_t __attribute__((may_alias)) mq_fft_word_t;

/* x / divisor, 2 or 4. Twice the factor leaves the rounded quotient in the upper half of the product. */
MQ_KERNEL uint32_t mq_fft_word_divided(uint32_t x, int32_t divisor)
{
    const uint32_t factor = 2u * (uint32_t)(INT16_MAX / divisor);
    return mq_pkhtb16((uint32_t)mq_smlatb(x, factor, 1 << 15), (uint32_t)mq_smlabb(x, factor, 1 << 15));
}

MQ_KERNEL uint32_t mq_fft_word_product(uint32_t a, uint32_t b)
{
    return mq_pkhtb15(mq_smladx(a, b, 1u << 14), mq_smlsd(a, b, 1u << 14));
}

MQ_KERNEL uint32_t mq_fft_word_conjugate(uint32_t x)
{
    return mq_pkhbt(x, mq_ssub16(0, x));
}

/* Four elements `span` apart, from values that are divided by 4 and turned. */
MQ_KERNEL void mq_fft_word_four(mq_fft_word_t *x, int32_t span, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    const uint32_t low = mq_ssub16(a, c), high = mq_sadd16(a, c);
    const uint32_t even = mq_sadd16(b, d), odd = mq_ssub16(b, d);
    x[0] = mq_sadd16(high, even);
    x[span] = mq_ssax(low, odd);
    x[2 * span] = mq_ssub16(high, even);
    x[3 * span] = mq_sasx(low, odd);
}

/* The stage of one span; `turns` are three factors of each place. */
#define MQ_DEFINE_FFT_STAGE(span)                                                                                      \
    MQ_SHARED __attribute__((unused)) static void mq_fft_words_##span(mq_fft_word_t *x, int32_t half,                  \
                                                                      const uint32_t *turns)                           \
    {                                                                                                                  \
        for (int32_t k = 0; k < span; k++, turns += 3) {                                                               \
            const uint32_t one = turns[0], two = turns[1], three = turns[2];                                           \
            for (mq_fft_word_t *y = x + k; y < x + half; y += 4 * span) {                                              \
                const uint32_t b = mq_fft_word_product(mq_fft_word_divided(y[span], 4), one);                          \
                const uint32_t c = mq_fft_word_product(mq_fft_word_divided(y[2 * span], 4), two);                      \
                const uint32_t d = mq_fft_word_product(mq_fft_word_divided(y[3 * span], 4), three);                    \
                mq_fft_word_four(y, span, mq_fft_word_divided(y[0], 4), b, c, d);                                      \
            }                                                                                                          \
        }                                                                                                              \
    }
MQ_DEFINE_FFT_STAGE(2)
MQ_DEFINE_FFT_STAGE(4)
MQ_DEFINE_FFT_STAGE(8)
MQ_DEFINE_FFT_STAGE(16)
MQ_DEFINE_FFT_STAGE(32)
MQ_DEFINE_FFT_STAGE(64)
MQ_DEFINE_FFT_STAGE(128)
MQ_DEFINE_FFT_STAGE(256)
MQ_DEFINE_FFT_STAGE(512)

#undef MQ_DEFINE_FFT_STAGE

/* The first stage: elements of the input that are half / radix apart, zeros behind its `pairs`; no factors. */
MQ_SHARED __attribute__((unused)) static void mq_fft_words_first(const mq_fft_word_t *x, int32_t pairs, int32_t half,
                                                                 const uint16_t *order, mq_fft_word_t *y)
{
    const int32_t quarter = half / 4;
    for (int32_t i = 0; i < half; i += 4) {
        const int32_t from = order[i];
        const uint32_t c = from + 2 * quarter < pairs ? x[from + 2 * quarter] : 0;
        const uint32_t d = from + 3 * quarter < pairs ? x[from + 3 * quarter] : 0;
        const uint32_t b = from + quarter < pairs ? x[from + quarter] : 0;
        const uint32_t a = from < pairs ? x[from] : 0;
        mq_fft_word_four(y + i, 1, mq_fft_word_divided(a, 4), mq_fft_word_divided(b, 4), mq_fft_word_divided(c, 4),
                         mq_fft_word_divided(d, 4));
    }
}

MQ_SHARED __attribute__((unused)) static void mq_fft_words_first_two(const mq_fft_word_t *x, int32_t pairs, int32_t half,
                                                                     const uint16_t *order, mq_fft_word_t *y)
{
    for (int32_t i = 0; i < half; i += 2) {
        const int32_t from = order[i], to = from + half / 2;
        const uint32_t a = mq_fft_word_divided(from < pairs ? x[from] : 0, 2);
        const uint32_t b = mq_fft_word_product(mq_fft_word_divided(to < pairs ? x[to] : 0, 2), INT16_MAX);
        y[i] = mq_sadd16(a, b);
        y[i + 1] = mq_ssub16(a, b);
    }
}

/* mq_fft16_parted in words. */
MQ_SHARED __attribute__((unused)) static void mq_fft_words_parted(mq_fft_word_t *x, int32_t half,
                                                                  const uint32_t *half_turns)
{
    const uint32_t first = mq_fft_word_divided(x[0], 2);
    x[0] = (first + (first >> 16)) & 0xFFFFu;
    x[half] = (first - (first >> 16)) & 0xFFFFu;
    mq_fft_word_t *low = x + 1, *high = x + half - 1;
    for (; low <= high; low++, high--, half_turns++) {
        const uint32_t a = mq_fft_word_divided(*low, 2);
        const uint32_t b = mq_fft_word_divided(mq_fft_word_conjugate(*high), 2);
        const uint32_t sum = mq_sadd16(a, b);
        const uint32_t turned = mq_fft_word_product(mq_ssub16(a, b), *half_turns);
        *low = mq_shadd16(sum, turned);
        *high = mq_pkhbt(mq_shsub16(sum, turned), mq_shsub16(turned, sum));
    }
}

/* Stages behind the first, each four times as wide as the one before. `turns` hold those of all stages. */
MQ_KERNEL void mq_fft_words_stages(mq_fft_word_t *x, int32_t half, const uint32_t *turns)
{
#define MQ_FFT_STAGE(span)                                                                                             \
    do {                                                                                                               \
        if (half >= 4 * span && ((half & 0x55555555) == 0) == ((span & 0x55555555) == 0)) {                            \
            mq_fft_words_##span(x, half, turns);                                                                       \
            turns += 3 * span;                                                                                         \
        }                                                                                                              \
    } while (0)
    MQ_FFT_STAGE(2);
    MQ_FFT_STAGE(4);
    MQ_FFT_STAGE(8);
    MQ_FFT_STAGE(16);
    MQ_FFT_STAGE(32);
    MQ_FFT_STAGE(64);
    MQ_FFT_STAGE(128);
    MQ_FFT_STAGE(256);
    MQ_FFT_STAGE(512);
#undef MQ_FFT_STAGE
}

/* As mq_rfft16, with an even number of samples; x and y are aligned to 4 bytes. `turns` are exp(-2 pi i k m / (4 span)),
   m = 1, 2, 3 of each k below the span of each stage behind the first; `order` and `half_turns` are those of mq_rfft16. */
MQ_KERNEL void mq_rfft16_words(const mq_fft16_t *p, const int16_t *x, const uint16_t *order, const uint32_t *turns,
                               const uint32_t *half_turns, int16_t *y)
{
    const mq_fft_word_t *from = (const mq_fft_word_t *)(const void *)x;
    mq_fft_word_t *to = (mq_fft_word_t *)(void *)y;
    if ((p->half & 0x55555555) == 0) {
        mq_fft_words_first_two(from, p->samples / 2, p->half, order, to);
    } else {
        mq_fft_words_first(from, p->samples / 2, p->half, order, to);
    }
    mq_fft_words_stages(to, p->half, turns);
    mq_fft_words_parted(to, p->half, half_turns);
}

#endif
