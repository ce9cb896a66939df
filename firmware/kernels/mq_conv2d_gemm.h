/* Convolution of int8 images as matrix product, two pixels at a time; see mq_gemm.h. */
#ifndef MQ_CONV2D_GEMM_H
#define MQ_CONV2D_GEMM_H

#include "mq_gemm.h"
#include "mq_window.h"

typedef struct {
    int32_t batch;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    int32_t x_zero; /* what padding holds */
} mq_conv2d_gemm_t;

/* Words of one window: its bytes, filled up with zeros. */
MQ_KERNEL int32_t mq_conv2d_gemm_words(const mq_conv2d_gemm_t *p)
{
    return (p->k_h * p->k_w * p->in_c + 3) / 4;
}

/* The window of output pixel (oy, ox) as bytes in the order of the weights. */
MQ_KERNEL void mq_conv2d_gemm_gather(const mq_conv2d_gemm_t *p, const int8_t *x, int32_t oy, int32_t ox, int8_t *to)
{
    for (int32_t ky = 0; ky < p->k_h; ky++) {
        const int32_t iy = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->k_w; kx++, to += p->in_c) {
            const int32_t ix = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
            const int inside = iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w;
            for (int32_t c = 0; c < p->in_c; c++) {
                to[c] = inside ? x[(iy * p->in_w + ix) * p->in_c + c] : (int8_t)p->x_zero;
            }
        }
    }
}

/* The same, expanded, where a pixel's channels are whole words. Returns the sum of even inputs. */
MQ_KERNEL int32_t mq_conv2d_gemm_expand(const mq_conv2d_gemm_t *p, const int8_t *x, int32_t oy, int32_t ox, uint32_t *to)
{
    const int32_t words = p->in_c / 4;
    const uint32_t *image = (const uint32_t *)(const void *)x;
    const int32_t fill = (int32_t)((uint32_t)(uint8_t)p->x_zero * 0x01010101u);
    int32_t sum = 0;
    for (int32_t ky = 0; ky < p->k_h; ky++) {
        const int32_t iy = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
        for (int32_t kx = 0; kx < p->k_w; kx++, to += 4 * words) {
            const int32_t ix = ox * p->stride_w - p->pad_left + kx * p->dilation_w;
            if (iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w) {
                sum += mq_gemm_expand(image + (iy * p->in_w + ix) * words, words, to);
            } else {
                for (int32_t i = 0; i < words; i++) {
                    sum += mq_gemm_expand((const uint32_t *)&fill, 1, to + 4 * i);
                }
            }
        }
    }
    return sum;
}

/* Expands pixel `pixel` of the output, in memory order, into the half of `scratch` that is its. */
MQ_KERNEL int32_t mq_conv2d_gemm_pixel(const mq_conv2d_gemm_t *p, const int8_t *x, int32_t pixel, uint32_t *to,
                                       uint32_t *bytes)
{
    const int32_t n = pixel / (p->out_h * p->out_w);
    const int32_t oy = pixel / p->out_w - n * p->out_h;
    const int32_t ox = pixel % p->out_w;
    const int8_t *image = x + n * p->in_h * p->in_w * p->in_c;
    if (p->in_c % 4 == 0) {
        return mq_conv2d_gemm_expand(p, image, oy, ox, to);
    }
    mq_conv2d_gemm_gather(p, image, oy, ox, (int8_t *)bytes);
    return mq_gemm_expand(bytes, mq_conv2d_gemm_words(p), to);
}

/* `stream` is the packed weights, biases and requantization of mq_gemm.h; an odd output is packed with a twin of zeros.
   scratch: 16 bytes a word of the window, and 4 more where in_c is not a multiple of 4. */
MQ_KERNEL void mq_conv2d_gemm_s8(const mq_conv2d_gemm_t *p, const int8_t *x, const int32_t *stream, int32_t *scratch, int8_t *y)
{
    const int32_t words = mq_conv2d_gemm_words(p);
    const int32_t pixels = p->batch * p->out_h * p->out_w;
    uint32_t *expanded = (uint32_t *)scratch;
    uint32_t *bytes = expanded + 4 * words;
    if (p->in_c % 4) {
        bytes[words - 1] = 0;
    }
    for (int32_t pixel = 0; pixel < pixels; pixel += 2) {
        const int32_t second = mq_min(pixel + 1, pixels - 1);
        mq_gemm_t g = {
            .x = expanded,
            .x_end = expanded + 4 * words,
            .y = {y + pixel * p->out_c, y + second * p->out_c},
            .weights = (const uint32_t *)stream,
            .pairs = p->out_c / 2,
        };
        g.x_sum[0] = mq_conv2d_gemm_pixel(p, x, pixel, expanded, bytes) * (1 << 15);
        g.x_sum[1] = mq_conv2d_gemm_pixel(p, x, second, expanded + 2, bytes) * (1 << 15);
        mq_gemm_pairs_s8(&g);
        if (p->out_c % 2) {
            mq_gemm_odd_s8(&g);
        }
    }
}

#endif
