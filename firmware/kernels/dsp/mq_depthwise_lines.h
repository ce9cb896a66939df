/* Depthwise convolution of int8 images with windows of any shape, stride and dilation, on cores with SMLAD.
 *
 * Four channels at a time, each as a plane of int16 in scratch, with its padding. A row of a plane is several lines, each of
 * pixels at equal distances, so that the pixels that one output takes, and the outputs themselves, are neighbors: with a
 * dilation, a line for the outputs of each residue; with a stride, a line for the taps of each residue. See mq_line_sums.h
 * for the sums. Where a plane would be too large, a band of rows of outputs at a time, each with all rows of the image that it needs.
 */
#ifndef MQ_DEPTHWISE_LINES_H
#define MQ_DEPTHWISE_LINES_H

#include "mq_line_sums.h"

/* Sizes, batch, channels, strides and those below: 1 or more. Pads: 0 or more; x_zero: -128 to 127. x and y: [batch]
   [height][width][channels], or the axes exchanged; the output's zero point and rounding are in the stream; the clamp is
   that of int8. */
typedef struct {
    int32_t batch;
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t x_row, x_pixel; /* bytes from a row of the image to the next, and from a pixel of a row to the next */
    int32_t y_row, y_pixel;
    int32_t stride_h;
    int32_t pad_top, pad_left;
    int32_t x_zero;
    int32_t span;          /* rows of the image that a window reaches */
    int32_t element_step;  /* pixels from an element of a line to the next */
    int32_t lines;         /* lines in a row */
    int32_t line_step;     /* pixels from the first element of a line to that of the next */
    int32_t sets;          /* sets of outputs: set i has the outputs i, i + sets, ... and begins in line i */
    int32_t line;          /* words of a line */
    int32_t band;          /* rows of outputs at a time */
    int32_t channel_words; /* words of a channel in the stream: the start, the constants of mq_line_sums_t, and its weights */
} mq_depthwise_lines_t;

/* Where a line of the image begins and ends: its elements first..end are pixels of the image. */
typedef struct {
    const int8_t *x; /* element 0, which may lie outside */
    int32_t step;    /* bytes from an element to the next */
    int32_t first, end;
    uint32_t pad; /* a word of padding */
    int32_t words;
    int32_t plane; /* words from a plane to the next */
} mq_line_t;

/* Pairs of elements of four channels whose pixels begin at words. `step` and `plane` in words. */
MQ_KERNEL void mq_line_split_words(const uint32_t *x, int32_t step, int32_t count, uint32_t *to, int32_t plane)
{
    uint32_t *to_2 = to + 2 * plane;
#pragma GCC unroll 2
    for (int32_t i = 0; i < count; i++, x += 2 * step) {
        const uint32_t a = x[0], b = x[step];
        const uint32_t low = mq_pkhbt16(a, b), high = mq_pkhtb16(b, a);
        to[0] = mq_sxtb16(low);
        to[plane] = mq_sxtb16_ror8(low);
        to_2[0] = mq_sxtb16(high);
        to_2[plane] = mq_sxtb16_ror8(high);
        to++;
        to_2++;
    }
}

/* Pairs of elements of one channel. */
MQ_KERNEL void mq_line_split_bytes(const int8_t *x, int32_t step, int32_t count, uint32_t *to)
{
#pragma GCC unroll 4
    for (int32_t i = 0; i < count; i++, x += 2 * step) {
        to[i] = mq_pkhbt16((uint32_t)(int32_t)x[0], (uint32_t)(int32_t)x[step]);
    }
}

MQ_KERNEL void mq_line_fill(uint32_t pad, int32_t words, uint32_t *to)
{
    for (int32_t i = 0; i < words; i++) {
        to[i] = pad;
    }
}

/* The padding of a line of one channel; the pairs in between are left out. */
MQ_KERNEL void mq_line_ends(const mq_line_t *line, const int8_t *x, uint32_t *to)
{
    const int32_t first = line->first, end = line->end;
    if (first >= end) {
        mq_line_fill(line->pad, line->words, to);
        return;
    }
    mq_line_fill(line->pad, first / 2, to);
    if (first % 2) {
        to[first / 2] = mq_pkhbt16(line->pad, (uint32_t)(int32_t)x[first * line->step]);
    }
    if (end % 2) {
        to[end / 2] = mq_pkhbt16((uint32_t)(int32_t)x[(end - 1) * line->step], line->pad);
    }
    mq_line_fill(line->pad, line->words - (end + 1) / 2, to + (end + 1) / 2);
}

/* One line of `channels` planes. */
static MQ_SHARED void mq_line_load(const mq_line_t *line, int32_t channels, int is_words, uint32_t *to)
{
    const int32_t first = (line->first + 1) / 2, count = line->end / 2 - first;
    const int8_t *from = line->x + 2 * first * line->step;
    if (channels == 4 && is_words && count > 0) {
        mq_line_split_words((const uint32_t *)(const void *)from, line->step / 4, count, to + first, line->plane);
    }
    for (int32_t c = 0; c < channels; c++, to += line->plane) {
        mq_line_ends(line, line->x + c, to);
        if (!(channels == 4 && is_words)) {
            mq_line_split_bytes(from + c, line->step, count, to + first);
        }
    }
}

/* The row of the image at `x`, of `channels` planes; `is_inside`: not a row of padding. */
MQ_KERNEL void mq_depthwise_lines_row(const mq_depthwise_lines_t *p, const int8_t *x, int is_inside, int32_t channels,
                                      int32_t plane, uint32_t *to)
{
    const int32_t apart = p->element_step, most = 2 * p->line;
    for (int32_t i = 0; i < p->lines; i++, to += p->line) {
        const int32_t left = p->pad_left - i * p->line_step; /* pixels of padding before element 0 */
        const int32_t first = left > 0 ? (left + apart - 1) / apart : 0;
        const int32_t end = left + p->in_w > 0 ? (left + p->in_w + apart - 1) / apart : 0;
        const mq_line_t line = {
            .x = x - left * p->x_pixel,
            .step = apart * p->x_pixel,
            .first = is_inside ? mq_min(first, most) : most,
            .end = is_inside ? mq_max(mq_min(end, most), mq_min(first, most)) : most,
            .pad = ((uint32_t)p->x_zero & 0xFFFFu) * 0x00010001u,
            .words = p->line,
            .plane = plane,
        };
        mq_line_load(&line, channels, p->channels % 4 == 0, to);
    }
}

/* Up to four channels of an image. `constants`: words of the stream between a start and its weights. */
MQ_KERNEL void mq_depthwise_lines_group(const mq_depthwise_lines_t *p, const int8_t *x, int32_t channels,
                                        const int32_t *stream, int32_t constants, uint32_t *planes, int8_t *y,
                                        mq_line_sums_kernel_t *kernel)
{
    const int32_t row = p->lines * p->line;
    const int32_t row_step = mq_min(p->stride_h, p->span); /* rows that no window reaches are left out */
    const int32_t plane = ((p->band - 1) * row_step + p->span) * row;
    for (int32_t oy = 0; oy < p->out_h; oy += p->band, y += p->band * p->y_row) {
        const int32_t rows = mq_min(p->band, p->out_h - oy), first = oy * p->stride_h - p->pad_top;
        for (int32_t i = 0; i < (rows - 1) * row_step + p->span; i++) {
            const int32_t iy = first + (p->stride_h > p->span ? i / p->span * p->stride_h + i % p->span : i);
            const int is_inside = iy >= 0 && iy < p->in_h;
            mq_depthwise_lines_row(p, x + iy * p->x_row, is_inside, channels, plane, planes + i * row);
        }
        for (int32_t c = 0; c < channels; c++) {
            const int32_t *own = stream + c * p->channel_words;
            for (int32_t set = 0; set < p->sets && set < p->out_w; set++) {
                const int32_t outputs = (p->out_w - set + p->sets - 1) / p->sets;
                const uint8_t *from = (const uint8_t *)(planes + c * plane + set * p->line);
                int8_t *to = y + set * p->y_pixel + c;
                const mq_line_sums_t call = {
                    .x = from,
                    .w = (const uint32_t *)own + 1 + constants,
                    .start = own[0],
                    .y = to,
                    .y_pixel = p->sets * p->y_pixel,
                    .outputs_left = outputs,
                    .factor = own[1],
                    .rounding = own[constants > 1 ? 2 : 1],
                    .shift = own[constants > 1 ? 3 : 1],
                    .x_row = from,
                    .y_row = to,
                    .x_step = 4 * row * row_step,
                    .y_step = p->y_row,
                    .outputs = outputs,
                    .rows = rows,
                };
                kernel(&call);
            }
        }
    }
}

/* `stream`: channel by channel, see mq_depthwise_lines_t. scratch: four planes of a band, or as many as there are
   channels. */
MQ_KERNEL void mq_depthwise_lines(const mq_depthwise_lines_t *p, const int8_t *x, const int32_t *stream, int32_t *scratch,
                                  int8_t *y, int32_t constants, mq_line_sums_kernel_t *kernel)
{
    for (int32_t n = 0; n < p->batch; n++) {
        for (int32_t c = 0; c < p->channels; c += 4) {
            mq_depthwise_lines_group(p, x + c, mq_min(4, p->channels - c), stream + c * p->channel_words, constants,
                                     (uint32_t *)scratch, y + c, kernel);
        }
        x += p->in_h * p->in_w * p->channels;
        y += p->out_h * p->out_w * p->channels;
    }
}

/* Strips of `form` outputs and `steps` steps a line, both constant. */
#define MQ_DEFINE_DEPTHWISE_LINES(form, scale, constants)                                                              \
    MQ_LINES_DEFINE(form, scale)                                                                                       \
    MQ_KERNEL void mq_depthwise_lines_##form##_##scale##_s8(const mq_depthwise_lines_t *p, int32_t steps,              \
                                                            const int8_t *x, const int32_t *stream, int32_t *scratch,  \
                                                            int8_t *y)                                                 \
    {                                                                                                                  \
        mq_depthwise_lines(p, x, stream, scratch, y, constants, mq_line_sums_##form##_##scale(steps));                 \
    }

MQ_DEFINE_DEPTHWISE_LINES(6, 8, 1)
MQ_DEFINE_DEPTHWISE_LINES(6, 12, 1)
MQ_DEFINE_DEPTHWISE_LINES(6, twice, 3)
MQ_DEFINE_DEPTHWISE_LINES(4, 8, 1)
MQ_DEFINE_DEPTHWISE_LINES(4, twice, 3)
MQ_DEFINE_DEPTHWISE_LINES(2, 8, 1)
MQ_DEFINE_DEPTHWISE_LINES(2, twice, 3)
MQ_DEFINE_DEPTHWISE_LINES(apart, 8, 1)
MQ_DEFINE_DEPTHWISE_LINES(apart, 12, 1)
MQ_DEFINE_DEPTHWISE_LINES(apart, twice, 3)

#undef MQ_DEFINE_DEPTHWISE_LINES

#endif
