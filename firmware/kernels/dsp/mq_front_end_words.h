/* Steps of an audio front end on two 16-bit values at a time; x, w and y are aligned to 4 bytes. */
#ifndef MQ_FRONT_END_WORDS_H
#define MQ_FRONT_END_WORDS_H

#include "mq_dsp_pairs.h"
#include "mq_energy.h"
#include "mq_fft_auto_scale.h"
#include "mq_window_samples.h"

typedef uint32_t __attribute__((may_alias)) mq_front_end_word_t;

/* As mq_window_samples, with a shift of 12 and an even number of samples; x and y may be the same. */
MQ_KERNEL void mq_window_words(const mq_window_samples_t *p, const int16_t *x, const int16_t *w, int16_t *y)
{
    const mq_front_end_word_t *from = (const mq_front_end_word_t *)(const void *)x;
    mq_front_end_word_t *to = (mq_front_end_word_t *)(void *)y;
    for (int32_t row = 0; row < p->rows; row++) {
        const mq_front_end_word_t *factor = (const mq_front_end_word_t *)(const void *)w;
        MQ_UNROLL_SMALL
        for (int32_t i = 0; i < p->size / 2; i++) {
            const uint32_t a = *from++, b = *factor++;
            const int32_t low = mq_ssat16_asr12(mq_smulbb(a, b)), high = mq_ssat16_asr12(mq_smultt(a, b));
            *to++ = mq_pkhbt16((uint32_t)low, (uint32_t)high);
        }
    }
}

/* As mq_fft_auto_scale, with an even number of samples; x and y may be the same. */
MQ_KERNEL void mq_fft_auto_scale_words(const mq_fft_auto_scale_t *p, const int16_t *x, int16_t *y, int32_t *shift)
{
    const mq_front_end_word_t *from = (const mq_front_end_word_t *)(const void *)x;
    mq_front_end_word_t *to = (mq_front_end_word_t *)(void *)y;
    uint32_t most = 0, least = 0;
    MQ_UNROLL_SMALL
    for (int32_t i = 0; i < p->count / 2; i++) {
        most = mq_max16(most, from[i]);
        least = mq_min16(least, from[i]);
    }
    const int32_t high = mq_max((int16_t)most, (int16_t)(most >> 16));
    const int32_t low = mq_min((int16_t)least, (int16_t)(least >> 16));
    const int32_t largest = mq_max(high, -low);
    int32_t bits = largest > 0 || p->ignores_lowest ? 15 - mq_bits((uint32_t)largest) : 0;
    if (low == INT16_MIN) {
        bits = mq_free_bits(p, x);
    }
    MQ_UNROLL_SMALL
    for (int32_t i = 0; i < p->count / 2; i++) {
        const uint32_t a = from[i];
        to[i] = mq_pkhbt(a << bits, (a & 0xFFFF0000u) << bits);
    }
    *shift = bits;
}

/* As mq_energy. */
MQ_KERNEL void mq_energy_words(const mq_energy_t *p, const int16_t *x, uint32_t *y)
{
    const mq_front_end_word_t *from = (const mq_front_end_word_t *)(const void *)x;
    memset(y, 0, (size_t)p->start * sizeof *y);
    MQ_UNROLL_SMALL
    for (int32_t i = p->start; i < p->end; i++) {
        y[i] = mq_smuad(from[i], from[i]);
    }
    memset(y + p->end, 0, (size_t)(p->bins - p->end) * sizeof *y);
}

#endif
