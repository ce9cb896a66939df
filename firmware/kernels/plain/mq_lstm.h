/* Long short-term memory, step by step, as TFLite's 8x8->16 and 16x8 kernels. */
#ifndef MQ_LSTM_H
#define MQ_LSTM_H

#include "mq_sigmoid.h"

typedef struct {
    int32_t m, shift;
} mq_factor_t;

/* Gates in the order input, forget, cell, output; their sums are in 1/4096. */
typedef struct {
    int32_t steps, inputs, units;
    mq_factor_t input[4], hidden[4];
    mq_factor_t forget, cell, output;
    int32_t clip;      /* limit of the cell, 0: none */
    mq_sigmoid_t tanh; /* multiplier of the cell */
    int32_t h_zero, act_min, act_max;
} mq_lstm_t;

MQ_KERNEL int32_t mq_clamp16(int32_t x)
{
    return mq_clamp(x, INT16_MIN, INT16_MAX);
}

/* 1 - y for negative arguments, as the complement of what exceeds 1/2. */
MQ_SMALL_CALL int32_t mq_lstm_sigmoid(int32_t t, const uint16_t *table)
{
    const int32_t curve = mq_sigmoid_curve(t, table, 9, 0x7FFF << 10);
    return (((curve - (1 << 24)) ^ (t >> 31)) + (1 << 24) + (1 << 9)) >> 10;
}

MQ_SMALL_CALL int32_t mq_lstm_tanh(int32_t t, const uint16_t *table)
{
    const int32_t curve = mq_sigmoid_curve(t, table, 8, 0xFFFF << 8) - (1 << 23);
    return ((curve ^ (t >> 31)) + (1 << 7)) >> 8;
}

/* The cell's next value from its gates' sums, and the output of the unit. */
MQ_KERNEL int32_t mq_lstm_unit(const mq_lstm_t *p, const int32_t *sum, const uint16_t *table, int16_t *cell)
{
    const int32_t i = mq_lstm_sigmoid(3 * sum[0], table), f = mq_lstm_sigmoid(3 * sum[1], table);
    const int32_t g = mq_lstm_tanh(3 * sum[2], table), o = mq_lstm_sigmoid(3 * sum[3], table);
    const int32_t kept = mq_clamp16(mq_requantize(f * *cell, p->forget.m, p->forget.shift));
    int32_t c = mq_clamp16(kept + mq_clamp16(mq_requantize(i * g, p->cell.m, p->cell.shift)));
    if (p->clip != 0) {
        c = mq_clamp(c, -p->clip, p->clip);
    }
    *cell = (int16_t)c;
    const int32_t t = mq_lstm_tanh(mq_sigmoid_argument(&p->tanh, c), table);
    return mq_stored(mq_requantize(t * o, p->output.m, p->output.shift), p->h_zero, p->act_min, p->act_max);
}

#define MQ_DEFINE_LSTM_PRODUCTS(name, x_t, acc_t)                                                                      \
    MQ_KERNEL acc_t name(const x_t *x, const int8_t *w, int32_t count, acc_t acc)                                      \
    {                                                                                                                  \
        for (int32_t i = 0; i < count; i++) {                                                                          \
            acc += x[i] * w[i];                                                                                        \
        }                                                                                                              \
        return acc;                                                                                                    \
    }
MQ_DEFINE_LSTM_PRODUCTS(mq_lstm_products_s8, int8_t, int32_t)
MQ_DEFINE_LSTM_PRODUCTS(mq_lstm_products_s16, int16_t, int64_t)

#undef MQ_DEFINE_LSTM_PRODUCTS

/* Weights are [gate][unit][input] and [gate][unit][unit]. Both biases are initial values of sums and include the zero
   points. y are the outputs of all steps; the last output and the cell are copied to the sources of the states.
   products(x, w, count, sum) adds the products of a row. */
#define MQ_DEFINE_LSTM(name, x_t, acc_t, products, requantize)                                                         \
    MQ_KERNEL int32_t name##_half(const x_t *x, const int8_t *w, int32_t count, acc_t acc, const mq_factor_t *factor)  \
    {                                                                                                                  \
        return mq_clamp16(requantize(products(x, w, count, acc), factor->m, factor->shift));                           \
    }                                                                                                                  \
    MQ_KERNEL void name(const mq_lstm_t *p, const x_t *x, const int8_t *w, const int8_t *r, const acc_t *bias,         \
                        const acc_t *hidden_bias, const uint16_t *table, const x_t *h, const int16_t *c, x_t *y,       \
                        x_t *last_h, int16_t *last_c)                                                                  \
    {                                                                                                                  \
        const int32_t units = p->units;                                                                                \
        memcpy(last_c, c, (size_t)units * sizeof *c);                                                                  \
        for (int32_t step = 0; step < p->steps; step++, x += p->inputs, y += units) {                                  \
            for (int32_t unit = 0; unit < units; unit++) {                                                             \
                int32_t sum[4];                                                                                        \
                MQ_UNROLL_SMALL                                                                                        \
                for (int32_t gate = 0; gate < 4; gate++) {                                                             \
                    const int32_t row = gate * units + unit;                                                           \
                    const int32_t a = name##_half(x, w + row * p->inputs, p->inputs, bias[row], &p->input[gate]);      \
                    const int32_t b = name##_half(h, r + row * units, units, hidden_bias[row], &p->hidden[gate]);      \
                    sum[gate] = mq_clamp16(a + b);                                                                     \
                }                                                                                                      \
                y[unit] = (x_t)mq_lstm_unit(p, sum, table, &last_c[unit]);                                             \
            }                                                                                                          \
            h = y;                                                                                                     \
        }                                                                                                              \
        memcpy(last_h, h, (size_t)units * sizeof *h);                                                                  \
    }
MQ_DEFINE_LSTM(mq_lstm_s8, int8_t, int32_t, mq_lstm_products_s8, mq_requantize)
MQ_DEFINE_LSTM(mq_lstm_s16, int16_t, int64_t, mq_lstm_products_s16, mq_requantize64)

#endif
