/* Depthwise convolution of int8 images, windows of 3x3, on cores with SMLAD.
 *
 * A channel at a time, over a plane of it in scratch: its pixels as int16, two a word, in an edge of padding. With the
 * weights of a row as the words (w0, w1) and (w1, w2), two neighbouring outputs take four multiplications a row:
 *
 *     x0 x1 | x2 x3      y0 = SMLAD(x0 x1, w0 w1) + SMLABT(x2, w2)      y1 = SMLAD(x2 x3, w1 w2) + SMLATB(x1, w0)
 *
 * With a stride of 2 along the row, y0 and the output of the next word in the same way. The plane lies in strips of six
 * outputs (the last may be of fewer), each row of a strip by itself: 4 words, 7 with a stride of 2, the last of which is
 * also the first of the next strip. (Rows of five outputs take 3: padding on the left is that on the right of the row
 * above.) A strip is worked through from top to bottom, six accumulators a time. Weights are
 * multiplied by 256, so that accumulators hold what the two instructions of the requantization take, see `requantize`
 * in the compiler.
 *
 * Where a plane would be too large, a band of rows at a time; the rows that two bands share are moved. All of a channel's
 * input is in the plane before the outputs of a band are written, and no other channel's is touched: the kernel runs in
 * place.
 */
#ifndef MQ_DEPTHWISE_PLANES_H
#define MQ_DEPTHWISE_PLANES_H

#include "mq_planes_rows.h"
#include "mq_planes_strips.h"

/* Sizes, batch, channels, stride_h and band: 1 or more. Windows: at most 3x3. pad_top: 0 or more; x_zero: -128 to
   127. x and y: [batch][height][width][channels]; the output's zero point and rounding are in the stream; the clamp
   is that of int8. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t stride_h, stride_w; /* stride_w: 1 or 2 */
    int32_t pad_top, pad_left;  /* pad_left: 0 or 1 */
    int32_t x_zero;             /* value of the padding */
    int32_t row;                /* words of a strip's row: 7 where stride_w is 2, else 4, or 3 as said above */
    int32_t band;               /* output rows of a band */
} mq_depthwise_planes_t;

/* State of a layer's execution. Sizes of planes are in words. */
typedef struct {
    mq_planes_rows_t rows;
    mq_planes_t full, last; /* strips of six outputs, and the last one if it has fewer */
    uint32_t *planes;
    int32_t row, strip; /* words of a row of a strip; of a strip */
    int32_t strips;     /* words of four planes */
    uint32_t pad;
    int32_t in_h, in_row;
    int32_t out_h, out_row;
    int32_t stride, pad_top, band;
    int32_t shared; /* rows that two bands share */
    int is_aligned;
    mq_planes_kernel_t *kernel;
    int32_t words; /* words of a channel in the stream */
} mq_planes_work_t;

typedef struct {
    uint32_t word[4];
} mq_planes_row4_t;

typedef struct {
    uint32_t word[7];
} mq_planes_row7_t;

/* Fills `rows` rows of all strips with padding, starting at `to`. A row of 3 words includes the first word of the
   next row. */
static MQ_SHARED void mq_planes_pad(const mq_planes_work_t *k, uint32_t *to, int32_t rows)
{
    const uint32_t pad = k->pad;
    for (int32_t i = 0; i < k->strips && rows > 0; i++, to += k->strip) {
        uint32_t *at = to;
        for (int32_t row = 0; row < rows; row++, at += k->row) {
            *(mq_planes_row4_t *)at = (mq_planes_row4_t){{pad, pad, pad, pad}};
            if (k->row == 7) {
                at[4] = at[5] = at[6] = pad;
            }
        }
    }
}

/* Moves the last rows of a band, two or one, to the beginning of the next. Rows of 3 words move like rows of 4. */
static MQ_SHARED void mq_planes_move(const mq_planes_work_t *k, int32_t rows)
{
    const int32_t back = k->band * k->stride * k->row;
    uint32_t *to = k->planes;
    for (int32_t i = 0; i < k->strips; i++, to += k->strip) {
        const uint32_t *from = to + back;
        if (k->row == 7) {
            *(mq_planes_row7_t *)to = *(const mq_planes_row7_t *)from;
            if (rows > 1) {
                *(mq_planes_row7_t *)(to + 7) = *(const mq_planes_row7_t *)(from + 7);
            }
        } else {
            *(mq_planes_row4_t *)to = *(const mq_planes_row4_t *)from;
            if (rows > 1) {
                *(mq_planes_row4_t *)(to + 4) = *(const mq_planes_row4_t *)(from + 4);
            }
        }
    }
}

/* Rows first..end of a band; x is the image at the group's first channel, iy the input row of row 0. */
MQ_KERNEL void mq_planes_load(mq_planes_work_t *k, const int8_t *x, int32_t iy, int32_t first, int32_t end,
                              int32_t channels)
{
    const int32_t begin = mq_max(first, mq_min(-iy, end)), inside = mq_max(mq_min(end, k->in_h - iy), begin);
    mq_planes_pad(k, k->planes + first * k->row, begin - first);
    mq_planes_pad(k, k->planes + inside * k->row, end - inside);
    k->rows.x = x + (iy + begin) * k->in_row;
    k->rows.to = k->planes + begin * k->row;
    k->rows.rows = inside - begin;
    if (inside == begin) {
        return;
    }
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
    if (channels == 4 && k->is_aligned) {
        mq_planes_unpack_words(&k->rows);
        return;
    }
    if (channels == 4) {
        mq_planes_unpack_bytes(&k->rows);
        return;
    }
#endif
    mq_planes_unpack(&k->rows, channels);
}

/* Strips of equal width over `rows` output rows; y is the output of the first channel in the first column. */
MQ_KERNEL void mq_planes_strips(const mq_planes_work_t *k, mq_planes_t *run, const uint32_t *stream, int32_t rows,
                                int32_t channels, int8_t *y)
{
    const int32_t span = 4 * rows * k->row * k->stride;
    run->stream = stream;
    run->y = y;
    run->channels = channels;
    run->span = span;
    run->x_strip = 4 * k->strip - span;
    run->y_strip = MQ_PLANES_STRIP * run->y_pixel - rows * k->out_row;
    k->kernel(run);
}

/* All rows of at most four channels of one image. */
static MQ_SHARED void mq_planes_group(mq_planes_work_t *k, const int8_t *x, const uint32_t *stream, int32_t channels,
                                      int8_t *y)
{
    int32_t first = 0;
    for (int32_t oy = 0; oy < k->out_h; oy += k->band, y += k->band * k->out_row) {
        const int32_t rows = mq_min(k->band, k->out_h - oy);
        if (oy > 0) {
            first = k->shared;
            if (first > 0) {
                mq_planes_move(k, first);
            }
        }
        mq_planes_load(k, x, oy * k->stride - k->pad_top, first, (rows - 1) * k->stride + 3, channels);
        if (k->full.strips) {
            mq_planes_strips(k, &k->full, stream, rows, channels, y);
        }
        if (k->last.strips) {
            mq_planes_strips(k, &k->last, stream, rows, channels, y + MQ_PLANES_STRIP * k->full.strips * k->last.y_pixel);
        }
    }
}

static MQ_SHARED void mq_planes_image(mq_planes_work_t *k, const int8_t *x, const int32_t *stream, int8_t *y)
{
    const int32_t all = k->full.y_pixel;
    for (int32_t c = 0; c < all; c += 4) {
        mq_planes_group(k, x + c, (const uint32_t *)stream + k->words * c, mq_min(all - c, 4), y + c);
    }
}

MQ_KERNEL mq_planes_t mq_planes_describe(const mq_depthwise_planes_t *p, const mq_planes_work_t *k, int32_t first,
                                         int32_t strips, int32_t outputs)
{
    return (mq_planes_t){
        .y_pixel = p->channels,
        .y_row = k->out_row - (outputs > 3 ? p->channels : 0),
        .x_row = 4 * (k->row * p->stride_h - (k->row == 3 ? 10 : 3 * k->row)),
        .x = (const uint8_t *)(k->planes + first * k->strip),
        .plane = k->rows.plane,
        .form = k->row == 3 ? 2 * MQ_PLANES_STRIP : (k->row == 7 ? MQ_PLANES_STRIP : 0) + outputs - 1,
        .strips = strips,
        .strip = 4 * k->strip,
    };
}

MQ_KERNEL mq_planes_rows_t mq_planes_rows(const mq_depthwise_planes_t *p, const mq_planes_work_t *k, int32_t strips)
{
    const int32_t used = mq_min(p->in_w + p->pad_left, (p->out_w - 1) * p->stride_w + 3);
    const int32_t step = k->row - 1, tail = used / 2 - 1 - (strips - 1) * step;
    return (mq_planes_rows_t){
        .x_pixel = p->channels,
        .plane = 4 * strips * k->strip,
        .x_next = (p->in_w - used / 2 * 2 + p->pad_left) * p->channels,
        .to_next = 4 * (k->row - (strips - 1) * k->strip - (used + 1) / 2 + (strips - 1) * step),
        .strips = 4 * strips + 2 * p->pad_left + used % 2,
        .jump = 4 * (k->strip - k->row),
        .step = step,
        .tail = tail,
        .pad = (uint8_t)p->x_zero * 0x01010101u,
    };
}

/* Weights in `stream`: `words` per channel, see mq_planes_t. scratch: four planes of a band. */
MQ_KERNEL void mq_depthwise_planes(const mq_depthwise_planes_t *p, const int8_t *x, const int32_t *stream,
                                   int32_t *scratch, int8_t *y, int32_t words, mq_planes_kernel_t *kernel)
{
    const int32_t full = p->out_w / MQ_PLANES_STRIP, last = p->out_w % MQ_PLANES_STRIP;
    const int32_t strips = full + (last > 0);
    mq_planes_work_t k = {
        .planes = (uint32_t *)scratch,
        .row = p->row,
        .strips = 4 * strips,
        .pad = mq_pkhbt16((uint32_t)p->x_zero, (uint32_t)p->x_zero),
        .in_h = p->in_h,
        .in_row = p->in_w * p->channels,
        .out_h = p->out_h,
        .out_row = p->out_w * p->channels,
        .stride = p->stride_h,
        .pad_top = p->pad_top,
        .band = p->band,
        .shared = mq_max(3 - p->stride_h, 0),
        .is_aligned = p->channels % 4 == 0,
        .kernel = kernel,
        .words = words,
    };
    k.strip = k.row * ((p->band - 1) * p->stride_h + 3) + (k.row == 3 ? 2 : 0);
    k.rows = mq_planes_rows(p, &k, strips);
    k.full = mq_planes_describe(p, &k, 0, full, MQ_PLANES_STRIP);
    k.last = mq_planes_describe(p, &k, full, last > 0, last);
    mq_planes_pad(&k, k.planes, (p->band - 1) * p->stride_h + 3);
    for (int32_t n = 0; n < p->batch; n++) {
        mq_planes_image(&k, x, stream, y);
        x += p->in_h * k.in_row;
        y += p->out_h * k.out_row;
    }
}

MQ_KERNEL void mq_depthwise_planes_s8(const mq_depthwise_planes_t *p, const int8_t *x, const int32_t *stream,
                                      int32_t *scratch, int8_t *y)
{
    mq_depthwise_planes(p, x, stream, scratch, y, MQ_PLANES_WORDS_8, mq_planes_run_8);
}

MQ_KERNEL void mq_depthwise_planes_twice_s8(const mq_depthwise_planes_t *p, const int8_t *x, const int32_t *stream,
                                            int32_t *scratch, int8_t *y)
{
    mq_depthwise_planes(p, x, stream, scratch, y, MQ_PLANES_WORDS_TWICE, mq_planes_run_twice);
}

#endif
