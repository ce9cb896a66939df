/* Means, sums and averages over the rows of a stream, four channels at a time, on cores with SXTAB16. Channels are whole
   words, and x is aligned to 4 bytes. */
#ifndef MQ_RUNNING_WORDS_H
#define MQ_RUNNING_WORDS_H

#include "mq_pool_words.h"
#include "mq_running_sum.h"

/* Adds four channels of the rows `from` to `to` - 1. */
MQ_KERNEL void mq_running_words_add(const mq_running_rows_t *p, const uint32_t *x, int32_t from, int32_t to,
                                    int32_t *sums)
{
    const int32_t words = p->channels / 4;
    mq_pool_words_add(x + from * p->pixels * words, (to - from) * p->pixels, words, sums);
}

#define MQ_DEFINE_RUNNING_WORDS(name, params_t, result)                                                                \
    MQ_KERNEL void name(const params_t *p, const int8_t *x, const int32_t *kept, int8_t *y, int32_t *later)            \
    {                                                                                                                  \
        const mq_running_rows_t *const s = &p->shape;                                                                  \
        const uint32_t *four = (const uint32_t *)(const void *)x;                                                      \
        for (int32_t c = 0; c < s->channels; c += 4, four++) {                                                         \
            int32_t sums[4] = {kept[c], kept[c + 1], kept[c + 2], kept[c + 3]}, leaving[4] = {0, 0, 0, 0};             \
            mq_running_words_add(s, four, s->stop, s->stop + s->step, sums);                                           \
            mq_running_words_add(s, four, s->start, s->start + s->step, leaving);                                      \
            for (int32_t i = 0; i < 4; i++) {                                                                          \
                later[c + i] = sums[i] - leaving[i];                                                                   \
            }                                                                                                          \
            mq_running_words_add(s, four, 0, s->start, sums);                                                          \
            mq_running_words_add(s, four, s->stop + s->step, s->rows, sums);                                           \
            for (int32_t i = 0; i < 4; i++) {                                                                          \
                y[c + i] = (int8_t)result(p, sums[i]);                                                                 \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_DEFINE_RUNNING_WORDS(mq_running_mean_words_s8, mq_running_mean_t, mq_running_mean_of)
MQ_DEFINE_RUNNING_WORDS(mq_running_pool_words_s8, mq_running_pool_t, mq_running_pool_of)

#undef MQ_DEFINE_RUNNING_WORDS

#endif
