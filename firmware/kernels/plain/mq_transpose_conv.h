/* Transposed convolution: every input pixel adds its window to the output. Computed by outputs, without scratch. */
#ifndef MQ_TRANSPOSE_CONV_H
#define MQ_TRANSPOSE_CONV_H

#include "mq_weights.h"

/* Sizes in elements. Weights are [out_c][k_h][k_w][in_c]; images [height][width][channel]. Input pixel (i, j)
   reaches output (i * stride_h - pad_top + ky, j * stride_w - pad_left + kx). Sizes, batch and strides: 1 or more;
   pads: 0 or more. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t x_zero, y_zero;   /* in the range of the activations' type */
    int32_t act_min, act_max; /* clamp of the stored output */
} mq_transpose_conv_t;

/* `_window` sums all contributions to one output, whose row and column count from the padding's edge: taps are a
   stride apart, and each step to a later tap is a step to an earlier pixel. The weights are those of output channel
   o. bias, m (31 bits) and shift (to the left) have one entry per output channel. */
#define MQ_DEFINE_TRANSPOSE_CONV(name, x_t, w_t, weight, acc_t, requantize)                                            \
    MQ_KERNEL acc_t name##_window(const mq_transpose_conv_t *p, const x_t *x, const w_t *w, int32_t o,                 \
                                  int32_t row, int32_t column, acc_t acc)                                              \
    {                                                                                                                  \
        int32_t iy = row / p->stride_h;                                                                                \
        for (int32_t ky = row % p->stride_h; ky < p->k_h && iy >= 0; ky += p->stride_h, iy--) {                        \
            int32_t ix = column / p->stride_w;                                                                         \
            for (int32_t kx = column % p->stride_w; kx < p->k_w && ix >= 0; kx += p->stride_w, ix--) {                 \
                if (iy < p->in_h && ix < p->in_w) {                                                                    \
                    const x_t *xp = x + (iy * p->in_w + ix) * p->in_c;                                                 \
                    const int32_t wp = ((o * p->k_h + ky) * p->k_w + kx) * p->in_c;                                    \
                    for (int32_t c = 0; c < p->in_c; c++) {                                                            \
                        acc += (xp[c] - p->x_zero) * weight(w, wp + c, o);                                             \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        return acc;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    MQ_KERNEL void name(const mq_transpose_conv_t *p, const x_t *x, const w_t *w, const acc_t *bias,                   \
                        const int32_t *m, const int8_t *shift, x_t *y)                                                 \
    {                                                                                                                  \
        for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {                                     \
            for (int32_t oy = 0; oy < p->out_h; oy++) {                                                                \
                for (int32_t ox = 0; ox < p->out_w; ox++) {                                                            \
                    for (int32_t o = 0; o < p->out_c; o++) {                                                           \
                        const acc_t acc = name##_window(p, x, w, o, oy + p->pad_top, ox + p->pad_left, bias[o]);       \
                        const int32_t v = requantize(acc, m[o], shift[o]);                                             \
                        *y++ = (x_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);                                   \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_WEIGHTED_FORMS(MQ_DEFINE_TRANSPOSE_CONV, mq_transpose_conv)

#undef MQ_DEFINE_TRANSPOSE_CONV

#endif
