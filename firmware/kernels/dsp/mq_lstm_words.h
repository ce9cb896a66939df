/* Long short-term memory of int8 with SMLAD: inputs and hidden values in whole words, the four gates of a unit together. */
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

/* Weights are [unit][word][gate], biases [unit][gate]; x, y and last_h are aligned to 4 bytes, their rows whole words. The
   rest is as for mq_lstm_s8. */
MQ_KERNEL void mq_lstm_words_s8(const mq_lstm_t *p, const int8_t *x, const int32_t *w, const int32_t *r,
                                const int32_t *bias, const int32_t *hidden_bias, const uint16_t *table, const int8_t *h,
                                const int16_t *c, int8_t *y, int8_t *last_h, int16_t *last_c)
{
    const int32_t units = p->units;
    memcpy(last_c, c, (size_t)units * sizeof *c);
    memcpy(last_h, h, (size_t)units);
    const int8_t *before = last_h;
    for (int32_t step = 0; step < p->steps; step++, x += p->inputs, y += units) {
        for (int32_t unit = 0; unit < units; unit++) {
            int32_t sum[4], hidden[4];
            memcpy(sum, bias + 4 * unit, sizeof sum);
            memcpy(hidden, hidden_bias + 4 * unit, sizeof hidden);
            mq_lstm_sums(x, w + unit * p->inputs, p->inputs / 4, sum);
            mq_lstm_sums(before, r + unit * units, units / 4, hidden);
            MQ_UNROLL_SMALL
            for (int32_t gate = 0; gate < 4; gate++) {
                const int32_t a = mq_clamp16(mq_requantize(sum[gate], p->input[gate].m, p->input[gate].shift));
                const int32_t b = mq_clamp16(mq_requantize(hidden[gate], p->hidden[gate].m, p->hidden[gate].shift));
                sum[gate] = mq_clamp16(a + b);
            }
            y[unit] = (int8_t)mq_lstm_unit(p, sum, table, &last_c[unit]);
        }
        before = y;
    }
    memcpy(last_h, before, (size_t)units);
}

#endif
