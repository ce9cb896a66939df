/* Fully connected layers on cores without SIMD, four outputs at a time: five loads for four MACs. */
#ifndef MQ_FULLY_CONNECTED_SCALAR_H
#define MQ_FULLY_CONNECTED_SCALAR_H

#include "mq_scalar_product.h"

/* rows, depth and outputs: 1 or more. y_zero: -128 to 127; -128 <= act_min <= act_max <= 127. */
typedef struct {
    int32_t rows, depth, outputs;
    int32_t y_zero, act_min, act_max;
} mq_fully_connected_scalar_t;

/* At most four outputs from `o`; the last one replaces missing ones. */
MQ_SHARED static void mq_fully_connected_four(const mq_scalar_product_t *p, const int8_t *x, int32_t o, int8_t *y)
{
    const int32_t last = p->outputs - 1, depth = p->depth;
    const int32_t o1 = mq_min(o + 1, last), o2 = mq_min(o + 2, last), o3 = mq_min(o + 3, last);
    const int8_t *w0 = p->w + o * depth, *w1 = p->w + o1 * depth, *w2 = p->w + o2 * depth, *w3 = p->w + o3 * depth;
    int32_t s0 = p->bias[o], s1 = p->bias[o1], s2 = p->bias[o2], s3 = p->bias[o3];
#pragma GCC unroll 4
    for (int32_t k = 0; k < depth; k++) {
        const int32_t in = x[k];
        s0 += in * w0[k];
        s1 += in * w1[k];
        s2 += in * w2[k];
        s3 += in * w3[k];
    }
    y[o] = mq_scalar_output(p, s0, o);
    y[o1] = mq_scalar_output(p, s1, o1);
    y[o2] = mq_scalar_output(p, s2, o2);
    y[o3] = mq_scalar_output(p, s3, o3);
}

MQ_KERNEL void mq_fully_connected_scalar_s8(const mq_fully_connected_scalar_t *p, const int8_t *x, const int8_t *w,
                                            const int32_t *bias, const int32_t *m, const int8_t *shift, int8_t *y)
{
    const mq_scalar_product_t product = {
        .w = w,
        .bias = bias,
        .m = m,
        .shift = shift,
        .depth = p->depth,
        .outputs = p->outputs,
        .y_zero = p->y_zero,
        .act_min = p->act_min,
        .act_max = p->act_max,
    };
    for (int32_t row = 0; row < p->rows; row++, x += p->depth, y += p->outputs) {
        for (int32_t o = 0; o < p->outputs; o += 4) {
            mq_fully_connected_four(&product, x, o, y);
        }
    }
}

#endif
