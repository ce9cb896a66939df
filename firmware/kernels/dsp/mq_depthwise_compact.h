/* Depthwise convolution of int8 images in little code and scratch, on cores with SMLAD: any window, bounds and scales.
 *
 * The taps of an output pixel that lie inside the image are listed once, for all of its channels. Where channels are whole
 * words, four go together: SXTAB16 unpacks two inputs and takes their zero point away, and each product is one
 * instruction. Else one channel at a time. 10 to 13 cycles per MAC of a 3x3 window on Cortex-M4 with whole words, 16 without.
 */
#ifndef MQ_DEPTHWISE_COMPACT_H
#define MQ_DEPTHWISE_COMPACT_H

#include "mq_dsp.h"
#include "mq_window.h"

/* Weights are [k_h][k_w][channels]. */
/* The position of a tap's first channel, in the image and in the weights. */
typedef struct {
    int32_t x, w;
} mq_compact_tap_t;

/* Lists the taps inside the image; returns the end of the list. */
MQ_KERNEL mq_compact_tap_t *mq_compact_taps(const mq_window_t *p, mq_taps_t t, mq_compact_tap_t *to)
{
    for (int32_t ky = t.ky0; ky < t.ky1; ky++) {
        for (int32_t kx = t.kx0; kx < t.kx1; kx++) {
            const int32_t pixel = (t.row + ky * p->dilation_h) * p->in_w + t.column + kx * p->dilation_w;
            *to++ = (mq_compact_tap_t){pixel * p->in_c, (ky * p->k_w + kx) * p->in_c};
        }
    }
    return to;
}

MQ_KERNEL int32_t mq_compact_low(uint32_t a, uint32_t b, int32_t acc)
{
    return acc + (int16_t)a * (int16_t)b;
}

MQ_KERNEL int32_t mq_compact_high(uint32_t a, uint32_t b, int32_t acc)
{
    return acc + (int16_t)(a >> 16) * (int16_t)(b >> 16);
}

/* Sums of four channels; x and w point to the first of them, acc contains their biases. */
MQ_KERNEL void mq_compact_four(const int8_t *x, const int8_t *w, uint32_t zeros, const mq_compact_tap_t *taps,
                               const mq_compact_tap_t *end, int32_t *acc)
{
    int32_t a = acc[0], b = acc[1], c = acc[2], d = acc[3];
    for (; taps != end; taps++) {
        const uint32_t xs = *(const uint32_t *)(const void *)(x + taps->x);
        const uint32_t ws = *(const uint32_t *)(const void *)(w + taps->w);
        const uint32_t x_even = mq_sxtab16(zeros, xs), w_even = mq_sxtb16(ws);
        const uint32_t x_odd = mq_sxtab16_ror8(zeros, xs), w_odd = mq_sxtb16_ror8(ws);
        a = mq_compact_low(x_even, w_even, a);
        b = mq_compact_low(x_odd, w_odd, b);
        c = mq_compact_high(x_even, w_even, c);
        d = mq_compact_high(x_odd, w_odd, d);
    }
    acc[0] = a;
    acc[1] = b;
    acc[2] = c;
    acc[3] = d;
}

MQ_KERNEL int32_t mq_compact_one(const int8_t *x, const int8_t *w, int32_t zero, const mq_compact_tap_t *taps,
                                 const mq_compact_tap_t *end, int32_t acc)
{
    for (; taps != end; taps++) {
        acc += (x[taps->x] - zero) * w[taps->w];
    }
    return acc;
}

/* One output pixel. */
MQ_KERNEL void mq_compact_pixel(const mq_window_t *p, const int8_t *x, const int8_t *w, const int32_t *bias,
                                const int32_t *m, const int8_t *shift, const mq_compact_tap_t *taps,
                                const mq_compact_tap_t *end, int8_t *y)
{
    const int32_t step = p->in_c % 4 ? 1 : 4;
    const uint32_t zeros = mq_pkhbt16((uint32_t)-p->x_zero, (uint32_t)-p->x_zero);
    for (int32_t c = 0; c < p->in_c; c += step) {
        int32_t acc[4];
        if (step == 4) {
            memcpy(acc, bias + c, sizeof acc);
            mq_compact_four(x + c, w + c, zeros, taps, end, acc);
        } else {
            acc[0] = mq_compact_one(x + c, w + c, p->x_zero, taps, end, bias[c]);
        }
        for (int32_t i = 0; i < step; i++) {
            const int32_t v = mq_requantize(acc[i], m[c + i], shift[c + i]);
            y[c + i] = (int8_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);
        }
    }
}

/* bias, m (31 bits) and shift (to the left) have one entry per channel. scratch: 8 bytes per tap of the window. */
MQ_KERNEL void mq_depthwise_compact_s8(const mq_window_t *p, const int8_t *x, const int8_t *w,
                                       const int32_t *bias, const int32_t *m, const int8_t *shift, int32_t *scratch,
                                       int8_t *y)
{
    mq_compact_tap_t *const taps = (mq_compact_tap_t *)(void *)scratch;
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            for (int32_t ox = 0; ox < p->out_w; ox++, y += p->in_c) {
                const mq_compact_tap_t *const end = mq_compact_taps(p, MQ_TAPS(p, oy, ox), taps);
                mq_compact_pixel(p, x, w, bias, m, shift, taps, end, y);
            }
        }
    }
}

#endif
