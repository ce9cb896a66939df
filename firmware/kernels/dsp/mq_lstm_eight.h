/* Long short-term memory of int8 with SMLAD: the gates of all units as two matrix products of mq_fully_connected_eight.h.
 *
 * Outputs are the gates i, f, g, o of one unit after the other, limited to int16; the products of the inputs and of the
 * hidden values are added with QADD16. On Cortex-M4: 39 cycles for 32 products.
 */
#ifndef MQ_LSTM_EIGHT_H
#define MQ_LSTM_EIGHT_H

#include "mq_fully_connected_eight.h"
#include "mq_lstm.h"

/* TFLite's two roundings; |v| < 2^30, the factor's shift is -31 to -1. */
MQ_KERNEL int32_t mq_lstm_round(int32_t v, mq_factor_t factor)
{
    const int32_t right = -factor.shift;
    return (mq_smmulr(2 * v, factor.m) + (v >> 31) + (int32_t)((UINT32_C(1) << right) >> 1)) >> right;
}

/* The cell's next value from four gates, two a word, and the output of the unit. */
MQ_KERNEL int32_t mq_lstm_eight_unit(const mq_lstm_t *p, uint32_t i_f, uint32_t g_o, const uint16_t *table,
                                     int16_t *cell)
{
    const int32_t i = mq_lstm_sigmoid(3 * (int16_t)i_f, table), f = mq_lstm_sigmoid(3 * ((int32_t)i_f >> 16), table);
    const int32_t g = mq_lstm_tanh(3 * (int16_t)g_o, table), o = mq_lstm_sigmoid(3 * ((int32_t)g_o >> 16), table);
    const int32_t kept = mq_ssat16(mq_lstm_round(f * *cell, p->forget));
    int32_t c = mq_ssat16(kept + mq_ssat16(mq_lstm_round(i * g, p->cell)));
    if (p->clip != 0) {
        c = mq_clamp(c, -p->clip, p->clip);
    }
    *cell = (int16_t)c;
    const int32_t t = mq_lstm_tanh(mq_sigmoid_argument(&p->tanh, c), table);
    return mq_ssat8(mq_lstm_round(t * o, p->output) + p->h_zero);
}

/* The gates' sums of a row of `bytes` values, four int16 a unit. */
MQ_KERNEL void mq_lstm_gates(const int8_t *row, int32_t bytes, int32_t units, const int32_t *w, const int32_t *constants,
                             uint32_t *prepared, uint32_t *gates)
{
    const int32_t words = bytes / 4;
    mq_eight_prepare((const uint32_t *)(const void *)row, words, prepared);
    const mq_eight_t run = {prepared,
                            prepared + 2 * words,
                            (const uint32_t *)(const void *)w,
                            (const uint32_t *)(const void *)constants,
                            0,
                            (int8_t *)(void *)gates,
                            units / 2};
    mq_eight_gates(&run);
}

/* w, r: eight outputs at a time, see mq_fully_connected_eight.h; constants: of each gate m, rounding, right shift. Inputs and
   units are multiples of 4; x, y and last_h are aligned to 4 bytes. scratch, in words: half the larger of inputs and units;
   4 a unit. The rest is as for mq_lstm_s8. */
MQ_KERNEL void mq_lstm_eight_s8(const mq_lstm_t *p, const int8_t *x, const int32_t *w, const int32_t *r,
                                const int32_t *constants, const int32_t *hidden_constants, const uint16_t *table,
                                const int8_t *h, const int16_t *c, int32_t *scratch, int8_t *y, int8_t *last_h,
                                int16_t *last_c)
{
    const int32_t units = p->units;
    uint32_t *const gates = (uint32_t *)(void *)scratch, *const hidden = gates + 2 * units;
    uint32_t *const prepared = gates + 4 * units;
    memcpy(last_c, c, (size_t)units * sizeof *c);
    memcpy(last_h, h, (size_t)units);
    const int8_t *before = last_h;
    for (int32_t step = 0; step < p->steps; step++, x += p->inputs, y += units) {
        mq_lstm_gates(x, p->inputs, units, w, constants, prepared, gates);
        mq_lstm_gates(before, units, units, r, hidden_constants, prepared, hidden);
        for (int32_t unit = 0; unit < units; unit++) {
            const uint32_t i_f = mq_qadd16(gates[2 * unit], hidden[2 * unit]);
            const uint32_t g_o = mq_qadd16(gates[2 * unit + 1], hidden[2 * unit + 1]);
            y[unit] = (int8_t)mq_lstm_eight_unit(p, i_f, g_o, table, &last_c[unit]);
        }
        before = y;
    }
    memcpy(last_h, before, (size_t)units);
}

#endif
