/* Convolution of images, weights per output channel, TFLite's arithmetic. Plain C, any shape. */
#ifndef MQ_CONV2D_H
#define MQ_CONV2D_H

#include "mq_weights.h"
#include "mq_window.h"

/* Sizes in elements. Weights are [out_c][k_h][k_w][in_c / groups]; images [height][width][channel]. */
/* `_window` sums over one window for output channel o; x starts at the channel's group.
   bias, m (31 bits) and shift (to the left) have one entry per output channel. */
#define MQ_DEFINE_CONV2D(name, x_t, w_t, weight, acc_t, requantize)                                                    \
    MQ_KERNEL acc_t name##_window(const mq_window_t *p, const x_t *x, const w_t *w, int32_t o, mq_taps_t t,            \
                                  acc_t acc)                                                                           \
    {                                                                                                                  \
        const int32_t depth = p->in_c / p->groups;                                                                     \
        for (int32_t ky = t.ky0; ky < t.ky1; ky++) {                                                                   \
            for (int32_t kx = t.kx0; kx < t.kx1; kx++) {                                                               \
                const int32_t pixel = (t.row + ky * p->dilation_h) * p->in_w + t.column + kx * p->dilation_w;          \
                const x_t *xp = x + pixel * p->in_c;                                                                   \
                const int32_t wp = ((o * p->k_h + ky) * p->k_w + kx) * depth;                                          \
                for (int32_t c = 0; c < depth; c++) {                                                                  \
                    acc += (xp[c] - p->x_zero) * weight(w, wp + c, o);                                                 \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
        return acc;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    MQ_KERNEL void name(const mq_window_t *p, const x_t *x, const w_t *w, const acc_t *bias, const int32_t *m,         \
                        const int8_t *shift, x_t *y)                                                                   \
    {                                                                                                                  \
        const int32_t depth = p->in_c / p->groups;                                                                     \
        const int32_t group_outputs = p->out_c / p->groups;                                                            \
        for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {                                     \
            for (int32_t oy = 0; oy < p->out_h; oy++) {                                                                \
                for (int32_t ox = 0; ox < p->out_w; ox++) {                                                            \
                    const mq_taps_t taps = MQ_TAPS(p, oy, ox);                                                         \
                    for (int32_t o = 0; o < p->out_c; o++) {                                                           \
                        const x_t *xg = x + (o / group_outputs) * depth;                                               \
                        const acc_t acc = name##_window(p, xg, w, o, taps, bias[o]);                                   \
                        const int32_t v = requantize(acc, m[o], shift[o]);                                             \
                        *y++ = (x_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);                                   \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_WEIGHTED_FORMS(MQ_DEFINE_CONV2D, mq_conv2d)
MQ_WEIGHTED_FORMS_B32(MQ_DEFINE_CONV2D, mq_conv2d)
MQ_DEFINE_CONV2D(mq_conv2d_s8_w16, int8_t, int16_t, mq_weight_16, int32_t, mq_requantize)

#undef MQ_DEFINE_CONV2D

#endif
