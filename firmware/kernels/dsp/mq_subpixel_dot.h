/* Transposed convolution of int8 images on cores with SMLAD, a pixel at a time: convolutions between the pixels; see
 * mq_dot.h.
 *
 * Outputs whose rows and columns are a stride apart (a phase) read the same taps of the weights: each phase is a
 * convolution of stride 1 with the taps in reverse order.
 */
#ifndef MQ_SUBPIXEL_DOT_H
#define MQ_SUBPIXEL_DOT_H

#include "mq_conv2d_dot.h"

/* As mq_transpose_conv_t of the plain kernel. Sizes, batch and strides: 1 or more; k_h and k_w: at least the stride;
   pads: 0 or more; x_zero: -128 to 127. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, in_c;
    int32_t out_h, out_w, out_c;
    int32_t k_h, k_w;
    int32_t stride_h, stride_w;
    int32_t pad_top, pad_left;
    int32_t x_zero;
} mq_subpixel_t;

/* Taps of a phase along one axis: tap `phase` and those a stride apart. */
MQ_KERNEL int32_t mq_subpixel_taps(int32_t kernel, int32_t stride, int32_t phase)
{
    return (kernel - phase + stride - 1) / stride;
}

/* First output of a phase along one axis. */
MQ_KERNEL int32_t mq_subpixel_first(int32_t pad, int32_t stride, int32_t phase)
{
    return (phase - pad % stride + stride) % stride;
}

/* The convolution of a phase. */
MQ_KERNEL mq_window_t mq_subpixel_window(const mq_subpixel_t *p, int32_t phase_h, int32_t phase_w)
{
    const int32_t k_h = mq_subpixel_taps(p->k_h, p->stride_h, phase_h);
    const int32_t k_w = mq_subpixel_taps(p->k_w, p->stride_w, phase_w);
    return (mq_window_t){
        .batch = 1, .in_h = p->in_h, .in_w = p->in_w, .in_c = p->in_c,
        .out_h = p->out_h, .out_w = p->out_w, .out_c = p->out_c,
        .k_h = k_h, .k_w = k_w, .stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1,
        .pad_top = k_h - 1, .pad_left = k_w - 1,
        .groups = 1, .x_zero = p->x_zero, .y_zero = 0, .act_min = INT8_MIN, .act_max = INT8_MAX,
    };
}

/* All outputs of a phase. Returns the end of its weights. */
MQ_KERNEL const uint32_t *mq_subpixel_phase(const mq_subpixel_t *p, const mq_window_t *window, int32_t phase_h,
                                            int32_t phase_w, const int8_t *x, const uint32_t *weights,
                                            const int32_t *scale, uint32_t *scratch, int8_t *y)
{
    const int32_t words = window->k_h * mq_conv2d_dot_run_words(window);
    for (int32_t oy = mq_subpixel_first(p->pad_top, p->stride_h, phase_h); oy < p->out_h; oy += p->stride_h) {
        for (int32_t ox = mq_subpixel_first(p->pad_left, p->stride_w, phase_w); ox < p->out_w; ox += p->stride_w) {
            const int32_t row = (oy + p->pad_top) / p->stride_h, column = (ox + p->pad_left) / p->stride_w;
            mq_conv2d_dot_gather(window, x, MQ_TAPS(window, row, column), scratch);
            mq_dot(scratch, words, weights, scale, p->out_c, y + (oy * p->out_w + ox) * p->out_c);
        }
    }
    return weights + p->out_c * words;
}

/* `weights` and `scale` are those of mq_dot.h, phase after phase. scratch: the words of the largest window. */
MQ_KERNEL void mq_subpixel_dot_s8(const mq_subpixel_t *p, const int8_t *x, const int32_t *weights,
                                  const int32_t *scale, int32_t *scratch, int8_t *y)
{
    for (int32_t n = 0; n < p->batch; n++) {
        const uint32_t *w = (const uint32_t *)weights;
        const int32_t *at = scale;
        for (int32_t phase_h = 0; phase_h < p->stride_h; phase_h++) {
            for (int32_t phase_w = 0; phase_w < p->stride_w; phase_w++, at += p->out_c * MQ_DOT_SCALE) {
                const mq_window_t window = mq_subpixel_window(p, phase_h, phase_w);
                w = mq_subpixel_phase(p, &window, phase_h, phase_w, x, w, at, (uint32_t *)scratch, y);
            }
        }
        x += p->in_h * p->in_w * p->in_c;
        y += p->out_h * p->out_w * p->out_c;
    }
}

#endif
