/* Convolution of int8 images with packed weights, one output channel after the other. Plain C, any shape without groups.
 *
 * The weights of a channel are unpacked into scratch once for all pixels. A fully connected layer is one of 1x1 windows.
 */
#ifndef MQ_CONV2D_UNPACKED_H
#define MQ_CONV2D_UNPACKED_H

#include "mq_conv2d.h"
#include "mq_unpack.h"

/* All weights of output o as multiplier * (stored weight - zero point). `to` holds them as bytes first, at its end. */
MQ_KERNEL void mq_conv2d_unpacked_row(const mq_unpack_t *w, int32_t o, int32_t quads, int16_t *to)
{
    uint32_t *const stored = (uint32_t *)(void *)to + quads;
    const int32_t zero = w->zeros[o * w->zeros_step];
    const int32_t multiplier = w->multiplier ? w->multiplier[o] : 1;
    mq_unpack_row(w, o, quads, stored, 1);
    for (int32_t k = 0; k < quads; k++, to += 4) {
        uint32_t four;
        memcpy(&four, stored + k, sizeof four);
        to[0] = (int16_t)(multiplier * ((int8_t)four - zero));
        to[1] = (int16_t)(multiplier * ((int8_t)(four >> 8) - zero));
        to[2] = (int16_t)(multiplier * ((int8_t)(four >> 16) - zero));
        to[3] = (int16_t)(multiplier * ((int8_t)(four >> 24) - zero));
    }
}

/* bias, m (31 bits) and shift (to the left) have one entry per output channel. scratch: four bytes per weight, as
   mq_unpack_written counts them. */
MQ_KERNEL void mq_conv2d_unpacked_s8(const mq_window_t *p, const int8_t *x, const mq_unpack_t *w, const int32_t *bias,
                                     const int32_t *m, const int8_t *shift, int16_t *scratch, int8_t *y)
{
    const int32_t quads = (p->k_h * p->k_w * p->in_c + 3) / 4;
    const int32_t all = p->batch * p->out_h * p->out_w;
    for (int32_t o = 0; o < p->out_c; o++) {
        mq_conv2d_unpacked_row(w, o, quads, scratch);
        for (int32_t pixel = 0; pixel < all; pixel++) {
            const int32_t n = pixel / (p->out_h * p->out_w);
            const mq_taps_t taps = MQ_TAPS(p, pixel / p->out_w - n * p->out_h, pixel % p->out_w);
            const int8_t *image = x + n * p->in_h * p->in_w * p->in_c;
            const int32_t acc = mq_conv2d_s8_w16_window(p, image, scratch, 0, taps, bias[o]);
            const int32_t v = mq_requantize(acc, m[o], shift[o]);
            y[pixel * p->out_c + o] = (int8_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);
        }
    }
}

#endif
