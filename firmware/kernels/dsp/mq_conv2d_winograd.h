/* Convolution of int8 images by windows of 3x3, stride 1, in tiles of 4x4 outputs: Winograd's F(4x4, 3x3), see
 * mq_winograd.h. 36 products for 144 MACs. Two tiles and four outputs at a time.
 *
 * In cycles per MAC on Cortex-M4, all included: 0.60 of 16 channels, 0.45 of 32, 0.36 of 64. The weights take 8 times
 * the flash.
 */
#ifndef MQ_CONV2D_WINOGRAD_H
#define MQ_CONV2D_WINOGRAD_H

#include "mq_winograd_tile.h"

/* Sizes and batch: 1 or more; pads: 0 or more, pad_top less in a strip (mq_strips.h); x_zero: -128 to 127. x and y:
   [batch][height][width][channels], aligned to 4 bytes; scratch: 36 * (4 * in_c + max(32, in_c)) bytes, aligned to
   4. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, in_c; /* in_c and out_c: multiples of 4 */
    int32_t out_h, out_w, out_c;
    int32_t pad_top, pad_left;
    int32_t x_zero; /* value of the padding */
} mq_conv2d_winograd_t;

/* The position of a tile in the output. */
typedef struct {
    int32_t oy, ox;
} mq_winograd_corner_t;

MQ_KERNEL uint32_t *mq_conv2d_winograd_fill(uint32_t *to, int32_t words, uint32_t value)
{
    for (int32_t i = 0; i < words; i++) {
        *to++ = value;
    }
    return to;
}

/* The 6x6 inputs of a tile, including padding. */
MQ_KERNEL void mq_conv2d_winograd_gather(const mq_conv2d_winograd_t *p, const uint32_t *x, int32_t row, int32_t column,
                                         uint32_t *to)
{
    const int32_t words = p->in_c / 4;
    const uint32_t zero = (uint32_t)(uint8_t)p->x_zero * 0x01010101u;
    const int32_t left = mq_max(-column, 0), inside = mq_max(mq_min(6, p->in_w - column) - left, 0);
    for (int32_t i = row; i < row + 6; i++) {
        if (i < 0 || i >= p->in_h) {
            to = mq_conv2d_winograd_fill(to, 6 * words, zero);
            continue;
        }
        const uint32_t *from = x + (i * p->in_w + column + left) * words;
        to = mq_conv2d_winograd_fill(to, left * words, zero);
        for (int32_t k = 0; k < inside * words; k++) {
            *to++ = *from++;
        }
        to = mq_conv2d_winograd_fill(to, (6 - left - inside) * words, zero);
    }
}

/* Transforms a tile's inputs by B into one of two tiles of `to`. */
MQ_KERNEL void mq_conv2d_winograd_input(const mq_conv2d_winograd_t *p, const uint32_t *x, mq_winograd_corner_t at,
                                        uint32_t *pixels, uint32_t *to)
{
    const int32_t words = p->in_c / 4, row = at.oy - p->pad_top, column = at.ox - p->pad_left;
    if (row >= 0 && row + 6 <= p->in_h && column >= 0 && column + 6 <= p->in_w) {
        mq_winograd_tile_input(x + (row * p->in_w + column) * words, 4 * p->in_w * words, words, to);
    } else {
        mq_conv2d_winograd_gather(p, x, row, column, pixels);
        mq_winograd_tile_input(pixels, 24 * words, words, to);
    }
}

/* Outputs of four channels of a tile; a tile that extends past the image uses 64 bytes of temporary storage. */
MQ_KERNEL void mq_conv2d_winograd_output(const mq_conv2d_winograd_t *p, const uint32_t *products,
                                         const int32_t *constants, mq_winograd_corner_t at, int8_t *y,
                                         const mq_winograd_place_t *place, mq_winograd_output_t *output)
{
    const int32_t rows = mq_min(p->out_h - at.oy, 4), columns = mq_min(p->out_w - at.ox, 4);
    y += at.oy * place->y_row + at.ox * place->y_pixel;
    if (rows == 4 && columns == 4) {
        output(products, constants, y, place);
        return;
    }
    const mq_winograd_place_t dense = {4, 16};
    int8_t tile[64];
    output(products, constants, tile, &dense);
    for (int32_t i = 0; i < 4 * rows; i++) {
        for (int32_t j = 0; j < columns; j++) {
            y[i / 4 * place->y_row + j * place->y_pixel + i % 4] = tile[16 * (i / 4) + 4 * j + i % 4];
        }
    }
}

/* weights: for every four outputs, every position (row by row) and every two channels (0 and 2, 1 and 3 of four), the
   words of the outputs. constants: `count` an output. scratch, in words: inputs of two tiles, 36 * in_c; behind
   them products, 288, or before there are any, inputs of a tile, 9 * in_c. */
MQ_KERNEL void mq_conv2d_winograd(const mq_conv2d_winograd_t *p, const int8_t *x, const int32_t *weights,
                                  const int32_t *constants, int32_t *scratch, int8_t *y, mq_winograd_output_t *output,
                                  int32_t count)
{
    const int32_t tiles_w = (p->out_w + 3) / 4, tiles = tiles_w * ((p->out_h + 3) / 4);
    const mq_winograd_place_t place = {p->out_c, p->out_w * p->out_c};
    uint32_t *const v = (uint32_t *)scratch;
    uint32_t *const products = v + 36 * p->in_c;
    const mq_winograd_t g = mq_winograd(v, p->in_c / 2, 36, products);
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t tile = 0; tile < tiles; tile += 2) {
            mq_winograd_corner_t at[2];
            for (int32_t i = 0; i < 2; i++) {
                const int32_t this = mq_min(tile + i, tiles - 1);
                at[i] = (mq_winograd_corner_t){this / tiles_w * 4, this % tiles_w * 4};
                mq_conv2d_winograd_input(p, (const uint32_t *)(const void *)x, at[i], products, v + i);
            }
            for (int32_t o = 0; o < p->out_c; o += 4) {
                mq_winograd_products(v, (const uint32_t *)weights + 18 * o * p->in_c, products, &g);
                for (int32_t i = 0; i < 2; i++) {
                    mq_conv2d_winograd_output(p, products + i, constants + o * count, at[i], y + o, &place, output);
                }
            }
        }
        x += p->in_h * p->in_w * p->in_c;
        y += p->out_h * p->out_w * p->out_c;
    }
}

#define MQ_DEFINE_CONV2D_WINOGRAD(form, count)                                                                         \
    MQ_KERNEL void mq_conv2d_winograd_##form##_s8(const mq_conv2d_winograd_t *p, const int8_t *x,                      \
                                                  const int32_t *weights, const int32_t *constants, int32_t *scratch,  \
                                                  int8_t *y)                                                           \
    {                                                                                                                  \
        mq_conv2d_winograd(p, x, weights, constants, scratch, y, mq_winograd_tile_##form, count);                      \
    }

MQ_DEFINE_CONV2D_WINOGRAD(12, 2)
MQ_DEFINE_CONV2D_WINOGRAD(8, 2)
MQ_DEFINE_CONV2D_WINOGRAD(twice, 4)

#undef MQ_DEFINE_CONV2D_WINOGRAD

#endif
