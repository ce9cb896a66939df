/* Depthwise convolution with MVE, windows of up to 3x3, one output channel an input channel; see mq_mve_depthwise.h. */
#ifndef MQ_DEPTHWISE_MVE_H
#define MQ_DEPTHWISE_MVE_H

#include "mq_mve_depthwise.h"

/* Sizes, batch, channels and stride_h: 1 or more. Windows: at most 3x3. pad_top: 0 or more; pad_left: 0 to 2.
   x_zero, y_zero: -128 to 127; -128 <= act_min <= act_max <= 127. x and y: [batch][height][width][channels]; stream:
   nine int32 for each channel, aligned to 4 bytes; scratch: 64 * columns * buffers bytes, aligned to 4. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, out_h, out_w;
    int32_t channels;
    int32_t stride_h, stride_w; /* stride_w is 1 or 2 */
    int32_t pad_top, pad_left;
    int32_t columns; /* columns of all windows of a row; one more if windows are 2 apart */
    int32_t buffers; /* buffers of columns in scratch: with 2, rows are read before the outputs above them are written */
    int32_t x_zero;  /* value of the padding */
    int32_t y_zero, act_min, act_max;
} mq_depthwise_mve_t;

/* Rows of the output that are computed together. */
MQ_KERNEL int32_t mq_depthwise_mve_rows(const mq_depthwise_mve_t *p)
{
    return p->stride_h == 1 && p->stride_w == 1 && p->out_h > 1 ? 2 : 1;
}

MQ_SHARED static mq_mve_depthwise_t mq_depthwise_mve_layer(const mq_depthwise_mve_t *p)
{
    const int32_t rows = mq_depthwise_mve_rows(p), left = p->out_w % 4;
    const int32_t last = rows == 2 && left <= 2 ? 2 : 4; /* pixels that are computed last, some of them again */
    const int32_t back = p->out_w < last ? 0 : last - left;
    mq_mve_depthwise_t layer = {
        .y_step = 4 * p->channels,
        .fours = p->out_w / 4,
        .x_back = back * p->stride_w * MQ_MVE_COLUMN,
        .y_back = back * p->channels,
        .y_zero = p->y_zero,
        .act_min = p->act_min,
        .act_max = p->act_max,
    };
    for (int32_t i = 0; i < 4; i++) {
        layer.columns[i] = (uint32_t)((i - (rows == 2 ? 2 : p->stride_w)) * MQ_MVE_COLUMN);
    }
    for (int32_t i = 0; i < 4 * rows; i++) {
        const int32_t row = rows == 2 ? i / 4 : 0, column = rows == 2 ? i % 2 * 2 + i / 2 % 2 : i;
        const int32_t place = (row * p->out_w + column) * p->channels;
        if (rows == 2) {
            layer.stores.two_rows[i] = (uint16_t)place;
        } else {
            layer.stores.one_row[i] = (uint32_t)place;
        }
        const uint32_t lane = (1u << (16 / (4 * rows))) - 1u;
        layer.last |= left && column < mq_min(p->out_w, last) ? lane << (16 / (4 * rows) * i) : 0;
    }
    return layer;
}

/* Columns of the rows from input row `row`, possibly outside the image, for some channels. */
MQ_SHARED static void mq_depthwise_mve_fill(const mq_depthwise_mve_t *p, const int8_t *x, int32_t row, int32_t channels,
                                     int8_t *to)
{
    int8_t outside[16];
    mq_mve_rows_t rows;
    mq_mve_fill(p->x_zero, 16, outside);
    for (int32_t i = 0; i < 4; i++) {
        const int inside = row + i >= 0 && row + i < p->in_h;
        rows.row[i] = inside ? x + (row + i) * p->in_w * p->channels : outside;
        rows.step[i] = inside ? p->channels : 0;
    }
    const int32_t pixels = mq_min(p->in_w, p->columns - p->pad_left);
    mq_mve_fill(p->x_zero, MQ_MVE_COLUMN * p->pad_left, to);
    to += MQ_MVE_COLUMN * p->pad_left;
    mq_mve_columns(&rows, pixels, to, channels);
    mq_mve_fill(p->x_zero, MQ_MVE_COLUMN * (p->columns - p->pad_left - pixels), to + MQ_MVE_COLUMN * pixels);
}

/* All rows of at most 16 channels. An odd row is computed together with the preceding one, again. */
MQ_KERNEL void mq_depthwise_mve_channels(const mq_depthwise_mve_t *p, const mq_mve_depthwise_t *layer, const int8_t *x,
                                         const int8_t *stream, int32_t channels, int8_t *scratch, int8_t *y,
                                         mq_mve_depthwise_kernel_t *kernel)
{
    const int32_t rows = mq_depthwise_mve_rows(p), bytes = MQ_MVE_COLUMN * p->columns;
    int8_t *here = scratch, *next = scratch + (p->buffers - 1) * bytes;
    mq_depthwise_mve_fill(p, x, -p->pad_top, channels, here);
    for (int32_t oy = 0, done = 0; done < p->out_h; done += rows) {
        const int32_t after = mq_min(done + rows, p->out_h - rows);
        if (p->buffers == 2) {
            mq_depthwise_mve_fill(p, x, after * p->stride_h - p->pad_top, channels, next);
        }
        kernel(layer, stream, here, y + oy * p->out_w * p->channels, channels);
        if (p->buffers == 1 && done + rows < p->out_h) {
            mq_depthwise_mve_fill(p, x, after * p->stride_h - p->pad_top, channels, next);
        }
        int8_t *const used = here;
        here = next;
        next = used;
        oy = after;
    }
}

MQ_KERNEL void mq_depthwise_mve(const mq_depthwise_mve_t *p, const int8_t *x, const int8_t *stream, int8_t *scratch,
                                int8_t *y, mq_mve_depthwise_kernel_t *kernel)
{
    const mq_mve_depthwise_t layer = mq_depthwise_mve_layer(p);
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t c = 0; c < p->channels; c += 16) {
            const int32_t channels = mq_min(16, p->channels - c);
            mq_depthwise_mve_channels(p, &layer, x + c, stream + 36 * c, channels, scratch, y + c, kernel);
        }
        x += p->in_h * p->in_w * p->channels;
        y += p->out_h * p->out_w * p->channels;
    }
}

/* `stream` is that of mq_mve_depthwise.h. */
#define MQ_DEFINE_DEPTHWISE_MVE(form)                                                                                  \
    MQ_KERNEL void mq_depthwise_mve_##form##_s8(const mq_depthwise_mve_t *p, const int8_t *x, const int32_t *stream,   \
                                                int8_t *scratch, int8_t *y)                                            \
    {                                                                                                                  \
        mq_mve_depthwise_kernel_t *const single =                                                                      \
            p->stride_w == 1 ? mq_mve_depthwise_row_##form : mq_mve_depthwise_by_two_##form;                           \
        mq_depthwise_mve(p, x, (const int8_t *)stream, scratch, y,                                                     \
                         mq_depthwise_mve_rows(p) == 2 ? mq_mve_depthwise_pair_##form : single);                       \
    }

MQ_DEFINE_DEPTHWISE_MVE(above)
MQ_DEFINE_DEPTHWISE_MVE(signed)
MQ_DEFINE_DEPTHWISE_MVE(clamped)

#undef MQ_DEFINE_DEPTHWISE_MVE

#endif
