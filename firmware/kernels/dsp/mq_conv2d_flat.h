/* Convolution of int8 images on cores with SMLAD, two pixels of a group at a time, without a copy of their windows: few
 * outputs, few channels, or groups.
 *
 * The rows that windows reach are in a ring in scratch, with their padding. A row has up to four copies, each a byte
 * further on, so that a window begins at a word of one of them. A window is a list of runs of bytes: its rows, or its
 * taps where there are groups or a dilation; long runs are several pieces of equal length. See mq_flat_sums.h.
 */
#ifndef MQ_CONV2D_FLAT_H
#define MQ_CONV2D_FLAT_H

#include "mq_conv2d_dot.h"
#include "mq_flat_sums.h"
#include "mq_ring.h"

/* Turns bytes at even places into numbers without a sign that are 128 higher. */
#define MQ_FLAT_HIGHER 0x00800080u

/* Bytes before the padding of a row, so that the image begins at a word. */
MQ_KERNEL int32_t mq_flat_lead(const mq_window_t *p)
{
    return -p->pad_left * p->in_c & 3;
}

/* Runs of a row of a window. */
MQ_KERNEL int32_t mq_flat_runs(const mq_window_t *p)
{
    return mq_conv2d_dot_is_by_rows(p) ? 1 : p->k_w;
}

/* Windows and their runs begin at multiples of 1, 2 or 4 bytes: the result. */
MQ_KERNEL int32_t mq_flat_unit(const mq_window_t *p)
{
    const int32_t tap = mq_flat_runs(p) > 1 ? p->dilation_w * p->in_c : 0;
    const int32_t group = p->groups > 1 ? p->in_c / p->groups : 0;
    const int32_t all = p->stride_w * p->in_c | tap | group | mq_flat_lead(p);
    return all % 2 ? 1 : all % 4 ? 2 : 4;
}

/* Pieces of a run, and words of each. */
MQ_KERNEL int32_t mq_flat_pieces(const mq_window_t *p)
{
    return (mq_conv2d_dot_run_words(p) + MQ_FLAT_MOST - 1) / MQ_FLAT_MOST;
}

MQ_KERNEL int32_t mq_flat_piece_words(const mq_window_t *p)
{
    const int32_t pieces = mq_flat_pieces(p);
    return (mq_conv2d_dot_run_words(p) + pieces - 1) / pieces;
}

MQ_KERNEL int32_t mq_flat_entries(const mq_window_t *p)
{
    return p->k_h * mq_flat_runs(p) * mq_flat_pieces(p);
}

/* Words of a copy of a row: its bytes, and what the last pieces read behind them, also of a pixel behind the last. */
MQ_KERNEL int32_t mq_flat_copy_words(const mq_window_t *p)
{
    return (mq_flat_lead(p) + mq_ring_row_pixels(p) * p->in_c + 3) / 4 + mq_flat_pieces(p) * mq_flat_piece_words(p) +
           p->stride_w * p->in_c / 4 + 1;
}

MQ_KERNEL int32_t mq_flat_row_words(const mq_window_t *p)
{
    return mq_flat_copy_words(p) * (4 / mq_flat_unit(p));
}

/* The first copy of row `iy`, which may lie outside the image, as the image has it. */
MQ_KERNEL void mq_flat_load_row(const mq_window_t *p, const int8_t *x, int32_t iy, uint32_t *to)
{
    const int32_t words = mq_flat_copy_words(p);
    const uint32_t zeros = ((uint32_t)p->x_zero & 0xFFu) * 0x01010101u;
    const int32_t before = (mq_flat_lead(p) + p->pad_left * p->in_c) / 4;
    const int inside = iy >= 0 && iy < p->in_h && before < words;
    const int32_t bytes = inside ? mq_min(p->in_w * p->in_c, 4 * (words - before)) : 0;
    const int32_t first = inside ? before : words;
    for (int32_t i = 0; i < first; i++) {
        to[i] = zeros;
    }
    if (!inside) {
        return;
    }
    mq_dot_copy(x + iy * p->in_w * p->in_c, bytes, to + before);
    if (bytes % 4) {
        const uint32_t own = (1u << 8 * (bytes % 4)) - 1;
        uint32_t *const last = to + before + bytes / 4;
        *last = (*last & own) | (zeros & ~own);
    }
    for (int32_t i = before + (bytes + 3) / 4; i < words; i++) {
        to[i] = zeros;
    }
}

/* A word that begins `bytes` bytes, 1 to 3, behind the first of two. */
MQ_KERNEL uint32_t mq_flat_between(uint32_t low, uint32_t high, int32_t bytes)
{
    return low >> 8 * bytes | high << (32 - 8 * bytes);
}

/* All copies of a row from the first: each begins `unit` bytes further on, with the bytes at even places 128 higher. */
MQ_KERNEL void mq_flat_copies(const mq_window_t *p, uint32_t *row)
{
    const int32_t words = mq_flat_copy_words(p), unit = mq_flat_unit(p);
    uint32_t low = row[0];
#pragma GCC unroll 2
    for (int32_t i = 0; i < words; i++) {
        const uint32_t high = i + 1 < words ? row[i + 1] : 0;
        row[i] = low ^ MQ_FLAT_HIGHER;
        if (unit == 2) {
            row[words + i] = mq_flat_between(low, high, 2) ^ MQ_FLAT_HIGHER;
        } else if (unit == 1) {
            row[words + i] = mq_flat_between(low, high, 1) ^ MQ_FLAT_HIGHER;
            row[2 * words + i] = mq_flat_between(low, high, 2) ^ MQ_FLAT_HIGHER;
            row[3 * words + i] = mq_flat_between(low, high, 3) ^ MQ_FLAT_HIGHER;
        }
        low = high;
    }
}

/* `words` words with the bytes at even places 128 higher; `from` is at a word. */
MQ_KERNEL void mq_flat_copy_words_higher(const int8_t *from, int32_t words, uint32_t *to)
{
    const uint32_t *word = (const uint32_t *)(const void *)from;
#pragma GCC unroll 4
    for (int32_t i = 0; i < words; i++) {
        to[i] = word[i] ^ MQ_FLAT_HIGHER;
    }
}

/* Row `iy` where it has one copy, which begins at a word of the image. */
MQ_KERNEL void mq_flat_load_whole(const mq_window_t *p, const int8_t *x, int32_t iy, uint32_t *to)
{
    const int32_t words = mq_flat_copy_words(p), before = p->pad_left * p->in_c / 4, own = p->in_w * p->in_c / 4;
    const uint32_t zeros = (((uint32_t)p->x_zero & 0xFFu) * 0x01010101u) ^ MQ_FLAT_HIGHER;
    const int inside = iy >= 0 && iy < p->in_h;
    const int32_t first = inside ? mq_min(before, words) : words, end = mq_min(before + own, words);
    for (int32_t i = 0; i < first; i++) {
        to[i] = zeros;
    }
    if (inside) {
        mq_flat_copy_words_higher(x + iy * p->in_w * p->in_c, end - first, to + first);
        for (int32_t i = end; i < words; i++) {
            to[i] = zeros;
        }
    }
}

/* The rows that the windows of output row `oy` reach and that are not in the ring yet; see mq_ring_load. */
MQ_KERNEL int32_t mq_flat_load(const mq_window_t *p, const int8_t *x, int32_t oy, int32_t loaded, uint32_t *ring)
{
    const int32_t rows = mq_ring_rows(p), needed = oy * p->stride_h + rows;
    for (loaded = mq_max(loaded, needed - rows); loaded < needed; loaded++) {
        uint32_t *const row = ring + loaded % rows * mq_flat_row_words(p);
        if (p->in_c % 4 == 0 && mq_flat_unit(p) == 4) {
            mq_flat_load_whole(p, x, loaded - p->pad_top, row);
        } else {
            mq_flat_load_row(p, x, loaded - p->pad_top, row);
            mq_flat_copies(p, row);
        }
    }
    return loaded;
}

/* Bytes from the word in which the first of two windows begins, in the first row of the ring, to each piece of both; for
   each place in a word where that may be. `second`: bytes from the first window to the second. */
MQ_KERNEL void mq_flat_lists(const mq_window_t *p, int32_t oy, int32_t second, int32_t *list)
{
    const int32_t rows = mq_ring_rows(p), unit = mq_flat_unit(p), copy = mq_flat_copy_words(p);
    const int32_t pieces = mq_flat_pieces(p), words = mq_flat_piece_words(p);
    for (int32_t place = 0; place < 4; place += unit) {
        int32_t slot = oy * p->stride_h % rows;
        for (int32_t ky = 0; ky < p->k_h; ky++) {
            for (int32_t kx = 0; kx < mq_flat_runs(p); kx++) {
                const int32_t row = slot * mq_flat_row_words(p);
                const int32_t a = place + kx * p->dilation_w * p->in_c, b = a + second;
                const int32_t a_word = row + a % 4 / unit * copy + a / 4, b_word = row + b % 4 / unit * copy + b / 4;
                for (int32_t piece = 0; piece < pieces; piece++) {
                    *list++ = 4 * (a_word + piece * words);
                    *list++ = 4 * (b_word + piece * words);
                }
            }
            slot += p->dilation_h;
            slot -= slot >= rows ? rows : 0;
        }
        *list++ = -1;
        *list++ = -1;
    }
}

/* The common arguments of all calls of a layer. */
typedef struct {
    const int32_t *lists;
    const uint32_t *ring;
    const uint32_t *stream;
    mq_flat_sums_kernel_t *kernel;
} mq_flat_work_t;

/* `pairs` pairs of output pixels of a group from `ox` on, `step` pixels apart; y is the group's first output of the row. */
MQ_KERNEL void mq_flat_pairs(const mq_window_t *p, const mq_flat_work_t *work, int32_t group, int32_t ox, int32_t pairs,
                             int32_t step, int32_t second, int8_t *y)
{
    const int32_t pixel = p->stride_w * p->in_c;
    const int32_t at = mq_flat_lead(p) + group * (p->in_c / p->groups) + ox * pixel;
    const mq_flat_sums_t call = {
        .list = work->lists + at % 4 / mq_flat_unit(p) * (2 * mq_flat_entries(p) + 2),
        .x = (const uint8_t *)(work->ring + at / 4),
        .first = y + ox * p->out_c,
        .second = y + (ox + second) * p->out_c,
        .outputs = p->out_c / p->groups,
        .stream = work->stream,
        .pairs = pairs,
        .x_step = step * pixel,
        .y_step = step * p->out_c,
    };
    if (pairs > 0) {
        work->kernel(&call);
    }
}

/* A row of outputs of a group. Pairs that are two pixels apart begin at the same place of a word in one of two rows. */
MQ_KERNEL void mq_flat_group(const mq_window_t *p, const mq_flat_work_t *work, int32_t group, int8_t *y)
{
    const int32_t pairs = p->out_w / 2;
    if (2 * p->stride_w * p->in_c % 4) {
        mq_flat_pairs(p, work, group, 0, (pairs + 1) / 2, 4, 1, y);
        mq_flat_pairs(p, work, group, 2, pairs / 2, 4, 1, y);
    } else {
        mq_flat_pairs(p, work, group, 0, pairs, 2, 1, y);
    }
    if (p->out_w % 2) {
        mq_flat_pairs(p, work, group, p->out_w - 1, 1, 0, 0, y);
    }
}

/* `stream`: that of mq_flat_sums_t, of the groups one after the other, each of `group_words` words. scratch: lists of pieces
   for each place in a word, the ring. */
MQ_KERNEL void mq_conv2d_flat(const mq_window_t *p, int32_t group_words, const int8_t *x, const int32_t *stream,
                              int32_t *scratch, int8_t *y, mq_flat_sums_kernel_t *kernel)
{
    const int32_t lists = 4 / mq_flat_unit(p) * (2 * mq_flat_entries(p) + 2);
    uint32_t *const ring = (uint32_t *)scratch + lists;
    mq_flat_work_t work = {.lists = scratch, .ring = ring, .kernel = kernel};
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        int32_t loaded = 0;
        for (int32_t oy = 0; oy < p->out_h; oy++, y += p->out_w * p->out_c) {
            loaded = mq_flat_load(p, x, oy, loaded, ring);
            mq_flat_lists(p, oy, p->stride_w * p->in_c, scratch);
            for (int32_t group = 0; group < p->groups; group++) {
                work.stream = (const uint32_t *)stream + group * group_words;
                mq_flat_group(p, &work, group, y + group * (p->out_c / p->groups));
            }
        }
    }
}

#define MQ_DEFINE_CONV2D_FLAT(scale)                                                                                   \
    MQ_FLAT_DEFINE(scale)                                                                                              \
    MQ_KERNEL void mq_conv2d_flat_##scale##_s8(const mq_window_t *p, int32_t group_words, const int8_t *x,             \
                                               const int32_t *stream, int32_t *scratch, int8_t *y)                     \
    {                                                                                                                  \
        mq_conv2d_flat(p, group_words, x, stream, scratch, y, mq_flat_sums_##scale(mq_flat_piece_words(p)));           \
    }

MQ_DEFINE_CONV2D_FLAT(8)
MQ_DEFINE_CONV2D_FLAT(12)
MQ_DEFINE_CONV2D_FLAT(twice)

#undef MQ_DEFINE_CONV2D_FLAT

#endif
