/* Fully connected int8 layer on cores with SMLAD, for few outputs or sums of any length; see mq_dot.h. */
#ifndef MQ_FULLY_CONNECTED_DOT_H
#define MQ_FULLY_CONNECTED_DOT_H

#include "mq_dot.h"

/* All are 1 or more. With several rows, depth is a multiple of 4. */
typedef struct {
    int32_t rows, depth, outputs;
} mq_fully_connected_dot_t;

/* `weights` and `scale` are those of mq_dot.h. */
MQ_KERNEL void mq_fully_connected_dot_s8(const mq_fully_connected_dot_t *p, const int8_t *x, const int32_t *weights,
                                         const int32_t *scale, int8_t *y)
{
    for (int32_t row = 0; row < p->rows; row++, x += p->depth, y += p->outputs) {
        mq_dot((const uint32_t *)(const void *)x, (p->depth + 3) / 4, (const uint32_t *)weights,
               scale, p->outputs, y);
    }
}

#endif
