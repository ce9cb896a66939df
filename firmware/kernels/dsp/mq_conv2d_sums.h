/* Convolution of int8 images on cores with SMLAD, any bounds and scales; see mq_gemm_sums.h. */
#ifndef MQ_CONV2D_SUMS_H
#define MQ_CONV2D_SUMS_H

#include "mq_gemm_sums.h"
#include "mq_window.h"

/* Copies the window of an output pixel as bytes in the order of the weights. */
MQ_KERNEL void mq_conv2d_sums_gather(const mq_window_t *p, const int8_t *x, mq_taps_t t, int8_t *to)
{
    for (int32_t ky = 0; ky < p->k_h; ky++) {
        const int32_t row = (t.row + ky * p->dilation_h) * p->in_w + t.column;
        for (int32_t kx = 0; kx < p->k_w; kx++, to += p->in_c) {
            const int inside = ky >= t.ky0 && ky < t.ky1 && kx >= t.kx0 && kx < t.kx1;
            if (inside) {
                memcpy(to, x + (row + kx * p->dilation_w) * p->in_c, (size_t)p->in_c);
            } else {
                memset(to, p->x_zero, (size_t)p->in_c);
            }
        }
    }
}

/* `stream` is that of mq_gemm_sums.h; an odd output is packed with a twin. scratch, in words: the block, 6 per word
   of the window; a window as bytes, padded to words; sums, 3 per output of the stream. */
MQ_KERNEL void mq_conv2d_sums_s8(const mq_window_t *p, const int8_t *x, const int32_t *stream, const int32_t *bias,
                                 const int32_t *m, const int8_t *shift, int32_t *scratch, int8_t *y)
{
    const mq_gemm_scale_t scale = {bias, m, shift, p->y_zero, p->act_min, p->act_max};
    const int32_t words = (p->k_h * p->k_w * p->in_c + 3) / 4;
    uint32_t *const block = (uint32_t *)scratch;
    uint32_t *const bytes = block + 6 * words;
    int32_t *const sums = scratch + 7 * words;
    bytes[words - 1] = 0;
    int32_t pixels = 0;
    const int32_t all = p->batch * p->out_h * p->out_w;
    for (int32_t pixel = 0; pixel < all; pixel++) {
        const int32_t n = pixel / (p->out_h * p->out_w);
        const mq_taps_t t = MQ_TAPS(p, pixel / p->out_w - n * p->out_h, pixel % p->out_w);
        mq_conv2d_sums_gather(p, x + n * p->in_h * p->in_w * p->in_c, t, (int8_t *)bytes);
        mq_gemm_sums_expand(bytes, words, block + pixels);
        if (++pixels == 3 || pixel + 1 == all) {
            mq_gemm_sums(block, block + 6 * words, (const uint32_t *)stream, sums, (p->out_c + 1) / 2);
            mq_gemm_sums_requantize(&scale, sums, pixels, p->out_c, y);
            y += pixels * p->out_c;
            pixels = 0;
        }
    }
}

#endif
