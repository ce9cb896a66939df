/* Long short-term memory with SMLAD: inputs and hidden values in whole words, the four gates of a unit together. */
#ifndef MQ_LSTM_WORDS_H
#define MQ_LSTM_WORDS_H

#include "mq_dsp.h"
#include "mq_lstm.h"

typedef uint32_t __attribute__((may_alias)) mq_lstm_word_t;

/* Adds the products of one row to the sums of four gates; the weights are a word of each gate in turn. */
MQ_KERNEL void mq_lstm_sums(const int8_t *x, const int32_t *w, int32_t words, int32_t *sum)
{
    const mq_lstm_word_t *from = (const mq_lstm_word_t *)(const void *)x;
    int32_t a = sum[0], b = sum[1], c = sum[2], d = sum[3];
    for (int32_t i = 0; i < words; i++, w += 4) {
        const uint32_t even = mq_sxtb16(from[i]), odd = mq_sxtb16_ror8(from[i]);
        const uint32_t w0 = (uint32_t)w[0], w1 = (uint32_t)w[1], w2 = (uint32_t)w[2], w3 = (uint32_t)w[3];
        a = mq_smlad(mq_sxtb16_ror8(w0), odd, mq_smlad(mq_sxtb16(w0), even, a));
        b = mq_smlad(mq_sxtb16_ror8(w1), odd, mq_smlad(mq_sxtb16(w1), even, b));
        c = mq_smlad(mq_sxtb16_ror8(w2), odd, mq_smlad(mq_sxtb16(w2), even, c));
        d = mq_smlad(mq_sxtb16_ror8(w3), odd, mq_smlad(mq_sxtb16(w3), even, d));
    }
    sum[0] = a, sum[1] = b, sum[2] = c, sum[3] = d;
}

/* The same of int16; the bytes of a word of weights are those of the inputs 0, 2, 1, 3. */
MQ_KERNEL void mq_lstm_wide_sums(const int16_t *x, const int32_t *w, int32_t words, int32_t *sum)
{
    const mq_lstm_word_t *from = (const mq_lstm_word_t *)(const void *)x;
    int32_t a = sum[0], b = sum[1], c = sum[2], d = sum[3];
    for (int32_t i = 0; i < words; i++, w += 4) {
        const uint32_t first = from[2 * i], second = from[2 * i + 1];
        const uint32_t w0 = (uint32_t)w[0], w1 = (uint32_t)w[1], w2 = (uint32_t)w[2], w3 = (uint32_t)w[3];
        a = mq_smlad(mq_sxtb16_ror8(w0), second, mq_smlad(mq_sxtb16(w0), first, a));
        b = mq_smlad(mq_sxtb16_ror8(w1), second, mq_smlad(mq_sxtb16(w1), first, b));
        c = mq_smlad(mq_sxtb16_ror8(w2), second, mq_smlad(mq_sxtb16(w2), first, c));
        d = mq_smlad(mq_sxtb16_ror8(w3), second, mq_smlad(mq_sxtb16(w3), first, d));
    }
    sum[0] = a, sum[1] = b, sum[2] = c, sum[3] = d;
}

/* Weights are [unit][word][gate], biases [unit][gate]; x, y and last_h are aligned to 4 bytes, their rows whole words. The
   rest is as for mq_lstm_s8. */
#define MQ_DEFINE_LSTM_WORDS(name, x_t, sums, requantize)                                                              \
    MQ_KERNEL void name(const mq_lstm_t *p, const x_t *x, const int32_t *w, const int32_t *r,                          \
                                    const int32_t *bias, const int32_t *hidden_bias, const uint16_t *table, const x_t *h, \
                                    const int16_t *c, x_t *y, x_t *last_h, int16_t *last_c)                            \
    {                                                                                                                  \
        const int32_t units = p->units;                                                                                \
        memcpy(last_c, c, (size_t)units * sizeof *c);                                                                  \
        memcpy(last_h, h, (size_t)units * sizeof *h);                                                                  \
        const x_t *before = last_h;                                                                                    \
        for (int32_t step = 0; step < p->steps; step++, x += p->inputs, y += units) {                                  \
            for (int32_t unit = 0; unit < units; unit++) {                                                             \
                int32_t sum[4], hidden[4];                                                                             \
                memcpy(sum, bias + 4 * unit, sizeof sum);                                                              \
                memcpy(hidden, hidden_bias + 4 * unit, sizeof hidden);                                                 \
                sums(x, w + unit * p->inputs, p->inputs / 4, sum);                                                     \
                sums(before, r + unit * units, units / 4, hidden);                                                     \
                MQ_UNROLL_SMALL                                                                                        \
                for (int32_t gate = 0; gate < 4; gate++) {                                                             \
                    const int32_t a = mq_clamp16(requantize(sum[gate], p->input[gate].m, p->input[gate].shift));       \
                    const int32_t b = mq_clamp16(requantize(hidden[gate], p->hidden[gate].m, p->hidden[gate].shift));  \
                    sum[gate] = mq_clamp16(a + b);                                                                     \
                }                                                                                                      \
                y[unit] = (x_t)mq_lstm_unit(p, sum, table, &last_c[unit]);                                             \
            }                                                                                                          \
            before = y;                                                                                                \
        }                                                                                                              \
        memcpy(last_h, before, (size_t)units * sizeof *h);                                                             \
    }

MQ_DEFINE_LSTM_WORDS(mq_lstm_words_s8, int8_t, mq_lstm_sums, mq_requantize)
MQ_DEFINE_LSTM_WORDS(mq_lstm_words_s16, int16_t, mq_lstm_wide_sums, mq_requantize64)

#undef MQ_DEFINE_LSTM_WORDS

#endif
