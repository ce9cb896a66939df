/* Fully connected layer of int8 rows. */
#ifndef MQ_FULLY_CONNECTED_H
#define MQ_FULLY_CONNECTED_H

#include "mq_common.h"

/* Weights are [outputs][depth]. */
typedef struct {
    int32_t rows, depth, outputs;
    int32_t x_zero, y_zero;   /* -128..127 */
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_fully_connected_t;

MQ_KERNEL void mq_fully_connected_s8(const mq_fully_connected_t *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                                     const int32_t *m, const int8_t *shift, int8_t *y)
{
    for (int32_t row = 0; row < p->rows; row++, x += p->depth) {
        for (int32_t o = 0; o < p->outputs; o++) {
            const int8_t *wo = w + o * p->depth;
            int32_t acc = bias[o];
            for (int32_t i = 0; i < p->depth; i++) {
                acc += (x[i] - p->x_zero) * wo[i];
            }
            const int32_t v = mq_requantize(acc, m[o], shift[o]) + p->y_zero;
            *y++ = (int8_t)mq_clamp(v, p->act_min, p->act_max);
        }
    }
}

#endif
