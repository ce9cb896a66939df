/* Packed weights of one output at a time back to bytes, for kernels that use each of them many times.
 *
 * An index or value of 3, 5, 6 or 7 bits is parted into planes of 4, 2 and 1 bits, the low bits first; others are one
 * plane. A plane of an output is whole words; a word has for each four weights in turn one field in each of its bytes, the
 * first four in the lowest bits. So a shift and a mask give four at once.
 */
#ifndef MQ_UNPACK_H
#define MQ_UNPACK_H

#include "mq_common.h"

/* bits: 1 to 8; entries: 0, or 2 to 256. zeros_step: 0 or 1; multiplier: 1 to 255. */
typedef struct {
    const uint32_t *planes; /* indices or values of each output */
    int32_t bits;
    int32_t entries;           /* entries of a group's codebook; 0: the planes contain values */
    const int8_t *codebook;    /* [group][entries] */
    const uint8_t *group;      /* group of each output; null: all outputs use the first */
    const int16_t *zeros;      /* the stored value of 0: outputs are `zeros_step` entries apart */
    int32_t zeros_step;        /* 0: all outputs share it */
    const uint8_t *multiplier; /* multiplier of each output; null: 1 */
    const uint8_t *kept;       /* if planes are a bitmap, see mq_bitmap.h: the nonzero weights */
    const uint16_t *begin;     /* index of each output's first weight in `kept` */
} mq_unpack_t;

/* Words of a plane of `bits` bits for `quads` groups of four weights. */
MQ_KERNEL int32_t mq_plane_words(int32_t bits, int32_t quads)
{
    return (quads * bits + 7) / 8;
}

/* Words of all planes of an output. */
MQ_KERNEL int32_t mq_unpack_words(const mq_unpack_t *w, int32_t quads)
{
    const int32_t fours = (w->bits & 4) != 0 ? mq_plane_words(4, quads) : 0;
    const int32_t twos = (w->bits & 2) != 0 ? mq_plane_words(2, quads) : 0;
    const int32_t ones = (w->bits & 1) != 0 ? mq_plane_words(1, quads) : 0;
    return w->bits == 8 ? quads : fours + twos + ones;
}

/* Fields of the k-th four weights, one a byte. */
MQ_KERNEL uint32_t mq_plane_fields(const uint32_t *plane, int32_t bits, int32_t k)
{
    const int32_t each = 8 / bits;
    return (plane[k / each] >> (k % each * bits)) & (0x01010101u * ((1u << bits) - 1u));
}

/* The k-th four indices or raw values of the output whose planes begin at `row`. */
MQ_KERNEL uint32_t mq_unpack_raw(const mq_unpack_t *w, const uint32_t *row, int32_t quads, int32_t k)
{
    if (w->bits == 8) {
        return row[k];
    }
    const int32_t fours = w->bits & 4, twos = w->bits & 2;
    const uint32_t *const next = row + (fours ? mq_plane_words(4, quads) : 0);
    const uint32_t *const last = next + (twos ? mq_plane_words(2, quads) : 0);
    uint32_t raw = fours ? mq_plane_fields(row, 4, k) : 0;
    raw |= twos ? mq_plane_fields(next, 2, k) << fours : 0;
    raw |= (w->bits & 1) != 0 ? mq_plane_fields(last, 1, k) << (fours + twos) : 0;
    return raw;
}

/* Four of a codebook's values by their indices, one a byte. */
MQ_KERNEL uint32_t mq_unpack_look_up(const int8_t *book, uint32_t raw)
{
    const uint32_t a = (uint8_t)book[raw & 255u], b = (uint8_t)book[(raw >> 8) & 255u];
    const uint32_t c = (uint8_t)book[(raw >> 16) & 255u], d = (uint8_t)book[raw >> 24];
    return a | b << 8 | c << 16 | d << 24;
}

MQ_KERNEL const int8_t *mq_unpack_book(const mq_unpack_t *w, int32_t o)
{
    return w->entries && w->group ? w->codebook + w->group[o] * w->entries : w->codebook;
}

/* Four stored weights. Values of fewer than 8 bits are not extended by their sign: they are stored half their range up, and
   the zero points are too. */
MQ_KERNEL uint32_t mq_unpack_four(const mq_unpack_t *w, const int8_t *book, uint32_t raw)
{
    return w->entries ? mq_unpack_look_up(book, raw) : raw;
}

/* The weights of output o, four a word, before zero point and multiplier, into every `step`-th word of `to`. Whole words of
   the last plane: up to 7 words more than there are fours. */
MQ_KERNEL void mq_unpack_row(const mq_unpack_t *w, int32_t o, int32_t quads, uint32_t *to, int32_t step)
{
    const uint32_t *row = w->planes + o * mq_unpack_words(w, quads);
    const int8_t *book = mq_unpack_book(w, o);
    if ((w->bits & (w->bits - 1)) != 0) {
        for (int32_t k = 0; k < quads; k++, to += step) {
            *to = mq_unpack_four(w, book, mq_unpack_raw(w, row, quads, k));
        }
        return;
    }
    const int32_t each = 8 / w->bits;
    const uint32_t mask = mq_in_register(0x01010101u * ((1u << w->bits) - 1u));
    for (int32_t k = 0; k < quads; k += each) {
        const uint32_t word = *row++;
#pragma GCC unroll 8
        for (int32_t i = 0; i < each; i++, to += step) {
            *to = mq_unpack_four(w, book, mask & (word >> (w->bits * i)));
        }
    }
}

/* Groups of four weights in a row as `mq_unpack_row` writes them. */
MQ_KERNEL int32_t mq_unpack_written(const mq_unpack_t *w, int32_t quads)
{
    const int32_t each = (w->bits & (w->bits - 1)) != 0 ? 1 : 8 / w->bits;
    return (quads + each - 1) / each * each;
}

#endif
