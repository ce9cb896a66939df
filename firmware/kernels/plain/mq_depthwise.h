/* Depthwise convolution of images: output channel c*multiplier + j reads only input channel c. Any shape. */
#ifndef MQ_DEPTHWISE_H
#define MQ_DEPTHWISE_H

#include "mq_weights.h"
#include "mq_window.h"

/* Weights are [k_h][k_w][out_c]; out_c = in_c * multiplier. */
/* `_window` sums over one window of output channel o; x starts at its input channel.
   bias, m (31 bits) and shift (to the left) have one entry per output channel. */
#define MQ_DEFINE_DEPTHWISE(name, x_t, w_t, weight, acc_t, requantize)                                                 \
    MQ_KERNEL acc_t name##_window(const mq_window_t *p, const x_t *x, const w_t *w, int32_t o, mq_taps_t t,         \
                                  acc_t acc)                                                                           \
    {                                                                                                                  \
        const int32_t out_c = p->out_c;                                                                 \
        for (int32_t ky = t.ky0; ky < t.ky1; ky++) {                                                                   \
            for (int32_t kx = t.kx0; kx < t.kx1; kx++) {                                                               \
                const int32_t pixel = (t.row + ky * p->dilation_h) * p->in_w + t.column + kx * p->dilation_w;          \
                acc += (x[pixel * p->in_c] - p->x_zero) * weight(w, (ky * p->k_w + kx) * out_c + o, o);                \
            }                                                                                                          \
        }                                                                                                              \
        return acc;                                                                                                    \
    }                                                                                                                  \
                                                                                                                       \
    MQ_KERNEL void name(const mq_window_t *p, const x_t *x, const w_t *w, const acc_t *bias, const int32_t *m,      \
                        const int8_t *shift, x_t *y)                                                                   \
    {                                                                                                                  \
        for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {                                     \
            for (int32_t oy = 0; oy < p->out_h; oy++) {                                                                \
                for (int32_t ox = 0; ox < p->out_w; ox++) {                                                            \
                    const mq_taps_t taps = MQ_TAPS(p, oy, ox);                                                         \
                    for (int32_t o = 0; o < p->out_c; o++) {                                            \
                        const acc_t acc = name##_window(p, x + o / (p->out_c / p->in_c), w, o, taps, bias[o]);                \
                        const int32_t v = requantize(acc, m[o], shift[o]);                                             \
                        *y++ = (x_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);                                   \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }

MQ_WEIGHTED_FORMS(MQ_DEFINE_DEPTHWISE, mq_depthwise)

#undef MQ_DEFINE_DEPTHWISE

#endif
