/* Convolution of int8 images by windows three taps wide, stride 1 along rows, in tiles of four outputs of a row:
 * Winograd's F(4, 3), see mq_winograd.h. Six products for twelve MACs. Two tiles and four outputs at a time.
 *
 * In cycles per MAC of windows of 3x3 on Cortex-M4, all included: 0.87 of 16 channels, 0.72 of 32, 0.64 of 64. The
 * weights take 4 times the flash.
 */
#ifndef MQ_CONV2D_WINOGRAD_ROW_H
#define MQ_CONV2D_WINOGRAD_ROW_H

#include "mq_winograd_row.h"

/* Sizes, batch, stride_h and dilation_h: 1 or more; pads: 0 or more, pad_top less in a strip (mq_strips.h); x_zero:
   -128 to 127. x and y: [batch][height][width][channels], aligned to 4 bytes; scratch: 6 * (4 * k_h * in_c + max(32,
   in_c)) bytes, aligned to 4. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, in_c; /* in_c and out_c: multiples of 4 */
    int32_t out_h, out_w, out_c;
    int32_t k_h, stride_h, dilation_h;
    int32_t pad_top, pad_left;
    int32_t x_zero; /* value of the padding */
} mq_conv2d_winograd_row_t;

/* Six pixels of row `row`, starting at `column`, including padding. */
MQ_KERNEL void mq_conv2d_winograd_row_gather(const mq_conv2d_winograd_row_t *p, const uint32_t *x, int32_t row,
                                             int32_t column, uint32_t *to)
{
    const int32_t words = p->in_c / 4;
    const uint32_t zero = (uint32_t)(uint8_t)p->x_zero * 0x01010101u;
    for (int32_t j = column; j < column + 6; j++) {
        const int inside = row >= 0 && row < p->in_h && j >= 0 && j < p->in_w;
        const uint32_t *from = x + (row * p->in_w + j) * words;
        for (int32_t k = 0; k < words; k++) {
            *to++ = inside ? *from++ : zero;
        }
    }
}

/* Transforms the inputs of the tile at output pixel (oy, ox) by B into one of two tiles of `to`. */
MQ_KERNEL void mq_conv2d_winograd_row_input(const mq_conv2d_winograd_row_t *p, const uint32_t *x, int32_t oy,
                                            int32_t ox, uint32_t *pixels, uint32_t *to)
{
    const int32_t words = p->in_c / 4, column = ox - p->pad_left;
    const int32_t position = 4 * p->k_h * p->in_c;
    for (int32_t ky = 0; ky < p->k_h; ky++, to += p->in_c) {
        const int32_t row = oy * p->stride_h - p->pad_top + ky * p->dilation_h;
        if (row >= 0 && row < p->in_h && column >= 0 && column + 6 <= p->in_w) {
            mq_winograd_row_input(x + (row * p->in_w + column) * words, words, position, to);
        } else {
            mq_conv2d_winograd_row_gather(p, x, row, column, pixels);
            mq_winograd_row_input(pixels, words, position, to);
        }
    }
}

/* Four channels of a tile of `columns` outputs; a tile that extends past the image uses 16 bytes of temporary
   storage. */
MQ_KERNEL void mq_conv2d_winograd_row_output(const uint32_t *products, const int32_t *constants, int8_t *y,
                                             int32_t y_pixel, int32_t columns, mq_winograd_row_output_t *output)
{
    if (columns >= 4) {
        output(products, constants, y, y_pixel);
        return;
    }
    int8_t tile[16];
    output(products, constants, tile, 4);
    for (int32_t j = 0; j < columns; j++) {
        for (int32_t channel = 0; channel < 4; channel++) {
            y[j * y_pixel + channel] = tile[4 * j + channel];
        }
    }
}

/* weights: for every four outputs, every position, row of the window and two channels (0 and 2, 1 and 3 of four), the
   words of the outputs. constants: `count` an output. scratch, in words: inputs of two tiles, 6 * k_h * in_c; behind
   them products, 48, or before there are any, six pixels, 1.5 * in_c. */
MQ_KERNEL void mq_conv2d_winograd_row(const mq_conv2d_winograd_row_t *p, const int8_t *x, const int32_t *weights,
                                      const int32_t *constants, int32_t *scratch, int8_t *y,
                                      mq_winograd_row_output_t *output, int32_t count)
{
    const int32_t tiles_w = (p->out_w + 3) / 4, tiles = tiles_w * p->out_h;
    uint32_t *const v = (uint32_t *)scratch;
    uint32_t *const products = v + 6 * p->k_h * p->in_c;
    const mq_winograd_t g = mq_winograd(v, p->k_h * p->in_c / 2, 6, products);
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t tile = 0; tile < tiles; tile += 2) {
            int32_t oy[2], ox[2];
            for (int32_t i = 0; i < 2; i++) {
                const int32_t this = mq_min(tile + i, tiles - 1);
                oy[i] = this / tiles_w;
                ox[i] = this % tiles_w * 4;
                mq_conv2d_winograd_row_input(p, (const uint32_t *)(const void *)x, oy[i], ox[i], products, v + i);
            }
            for (int32_t o = 0; o < p->out_c; o += 4) {
                mq_winograd_products(v, (const uint32_t *)weights + 3 * o * p->k_h * p->in_c, products, &g);
                for (int32_t i = 0; i < 2; i++) {
                    mq_conv2d_winograd_row_output(products + i, constants + o * count,
                                                  y + (oy[i] * p->out_w + ox[i]) * p->out_c + o, p->out_c,
                                                  p->out_w - ox[i], output);
                }
            }
        }
        x += p->in_h * p->in_w * p->in_c;
        y += p->out_h * p->out_w * p->out_c;
    }
}

#define MQ_DEFINE_CONV2D_WINOGRAD_ROW(form, count)                                                                     \
    MQ_KERNEL void mq_conv2d_winograd_row_##form##_s8(const mq_conv2d_winograd_row_t *p, const int8_t *x,              \
                                                      const int32_t *weights, const int32_t *constants,                \
                                                      int32_t *scratch, int8_t *y)                                     \
    {                                                                                                                  \
        mq_conv2d_winograd_row(p, x, weights, constants, scratch, y, mq_winograd_row_##form, count);                   \
    }

MQ_DEFINE_CONV2D_WINOGRAD_ROW(12, 2)
MQ_DEFINE_CONV2D_WINOGRAD_ROW(8, 2)
MQ_DEFINE_CONV2D_WINOGRAD_ROW(twice, 4)

#undef MQ_DEFINE_CONV2D_WINOGRAD_ROW

#endif
