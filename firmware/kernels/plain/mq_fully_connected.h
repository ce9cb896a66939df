/* Fully connected layer over rows. */
#ifndef MQ_FULLY_CONNECTED_H
#define MQ_FULLY_CONNECTED_H

#include "mq_weights.h"

/* Weights are [outputs][depth]. rows, depth and outputs: 1 or more. x_zero and y_zero: of the activations' type. */
typedef struct {
    int32_t rows, depth, outputs;
    int32_t x_zero, w_zero, y_zero; /* w_zero: -128..127, 0 in most networks; packed weights have their own zero points */
    int32_t act_min, act_max;       /* clamp of the stored output */
} mq_fully_connected_t;

/* bias, m (31 bits) and shift (to the left) have one entry per output. */
#define MQ_DEFINE_FULLY_CONNECTED(name, x_t, w_t, weight, acc_t, requantize)                                           \
    MQ_KERNEL void name(const mq_fully_connected_t *p, const x_t *x, const w_t *w, const acc_t *bias,                  \
                        const int32_t *m, const int8_t *shift, x_t *y)                                                 \
    {                                                                                                                  \
        for (int32_t row = 0; row < p->rows; row++, x += p->depth) {                                                   \
            for (int32_t o = 0; o < p->outputs; o++) {                                                                 \
                acc_t acc = bias[o];                                                                                   \
                for (int32_t i = 0; i < p->depth; i++) {                                                               \
                    acc += (x[i] - p->x_zero) * (weight(w, o * p->depth + i, o) - p->w_zero);                          \
                }                                                                                                      \
                const int32_t v = requantize(acc, m[o], shift[o]);                                                     \
                *y++ = (x_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);                                           \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_WEIGHTED_FORMS(MQ_DEFINE_FULLY_CONNECTED, mq_fully_connected)
MQ_WEIGHTED_FORMS_B32(MQ_DEFINE_FULLY_CONNECTED, mq_fully_connected)

#undef MQ_DEFINE_FULLY_CONNECTED

#endif
