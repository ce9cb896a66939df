/* Convolution of int8 images as matrix product, three pixels of a group at a time, where a pixel's channels are no whole
 * words or there are groups; see mq_gemm.h.
 *
 * Windows are gathered in runs that begin at words, as mq_conv2d_dot.h does, and expanded from there.
 */
#ifndef MQ_CONV2D_ROWS_H
#define MQ_CONV2D_ROWS_H

#include "mq_conv2d_dot.h"
#include "mq_gemm.h"

/* The next output pixels, at most three: their images and the taps of their windows. */
typedef struct {
    const int8_t *x[3];
    mq_taps_t taps[3];
    int32_t count;
} mq_rows_block_t;

/* The outputs of one group of a block; consecutive pixels are `y_pixel` bytes apart. */
MQ_KERNEL void mq_conv2d_rows_outputs(mq_gemm_layer_t *layer, int32_t pixels, int32_t y_pixel, int8_t *y)
{
    const int32_t outputs = layer->outputs;
    if (outputs > 1) {
        layer->pairs.y_pixel = pixels == 3 ? y_pixel : outputs;
        layer->kernel(layer->block, layer->stream, pixels == 3 ? y : layer->spare, &layer->pairs);
        for (int32_t i = 0; pixels < 3 && i < pixels; i++) {
            for (int32_t o = 0; o < outputs / 2 * 2; o++) {
                y[i * y_pixel + o] = layer->spare[i * outputs + o];
            }
        }
    }
    if (outputs % 2) {
        int8_t results[6];
        layer->kernel(layer->block, layer->odd_stream, results, &layer->odd);
        for (int32_t i = 0; i < pixels; i++) {
            y[i * y_pixel + outputs - 1] = results[2 * i];
        }
    }
}

/* All groups of a block. */
MQ_KERNEL void mq_conv2d_rows_groups(const mq_window_t *p, const mq_rows_block_t *pixels, mq_gemm_layer_t layer,
                                     int32_t words, int32_t group_words, int8_t *y)
{
    const int32_t depth = p->in_c / p->groups;
    uint32_t *const bytes = layer.block + 6 * words;
    const mq_gemm_layer_t first = layer;
    for (int32_t group = 0; group < p->groups; group++, y += layer.outputs) {
        const int32_t begin = group * group_words; /* no address past the end of the stream is computed */
        layer.stream = first.stream + begin;
        layer.odd_stream = first.odd_stream + begin;
        layer.pairs.w_end = first.pairs.w_end + begin;
        layer.odd.w_end = first.odd.w_end + begin;
        for (int32_t i = 0; i < pixels->count; i++) {
            mq_conv2d_dot_gather(p, pixels->x[i] + group * depth, pixels->taps[i], bytes);
            mq_gemm_expand(bytes, words, layer.block + i);
        }
        mq_conv2d_rows_outputs(&layer, pixels->count, p->out_c, y);
    }
}

/* `stream` is that of mq_gemm.h, group after group; an odd output is packed with a twin. scratch, in words: the
   block, 6 per word of a window; a window; outputs of three pixels of a group. */
MQ_KERNEL void mq_conv2d_rows(const mq_window_t *p, const int8_t *x, const int32_t *stream, int32_t *scratch, int8_t *y,
                              mq_gemm_kernel_t *kernel, int32_t constants)
{
    const int32_t words = p->k_h * (mq_conv2d_dot_is_by_rows(p) ? 1 : p->k_w) * mq_conv2d_dot_run_words(p);
    const int32_t outputs = p->out_c / p->groups, group_words = (outputs + 1) / 2 * (2 + 2 * words + 2 * constants);
    uint32_t *const block = (uint32_t *)scratch;
    const mq_gemm_layer_t layer = mq_gemm_layer(kernel, stream, words, outputs, constants, block, block + 7 * words);
    mq_rows_block_t pixels;
    pixels.count = 0;
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            for (int32_t ox = 0; ox < p->out_w; ox++) {
                pixels.x[pixels.count] = x;
                pixels.taps[pixels.count++] = MQ_TAPS(p, oy, ox);
                if (pixels.count == 3) {
                    mq_conv2d_rows_groups(p, &pixels, layer, words, group_words, y);
                    y += 3 * p->out_c;
                    pixels.count = 0;
                }
            }
        }
    }
    if (pixels.count) {
        mq_conv2d_rows_groups(p, &pixels, layer, words, group_words, y);
    }
}

#define MQ_DEFINE_CONV2D_ROWS(form, constants)                                                                         \
    MQ_KERNEL void mq_conv2d_rows_##form##_s8(const mq_window_t *p, const int8_t *x, const int32_t *stream,            \
                                              int32_t *scratch, int8_t *y)                                             \
    {                                                                                                                  \
        mq_conv2d_rows(p, x, stream, scratch, y, mq_gemm_##form, constants);                                           \
    }

MQ_DEFINE_CONV2D_ROWS(12, 1)
MQ_DEFINE_CONV2D_ROWS(8, 1)
MQ_DEFINE_CONV2D_ROWS(twice, 3)

#undef MQ_DEFINE_CONV2D_ROWS

#endif
