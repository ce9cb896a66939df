/* Packed weights back to the words of mq_gemm.h: of every four weights 256 * b1 + b0 and 256 * b3 + b2, as two int16.
 *
 * They lie in planes, see mq_unpack.h. Values of fewer than 8 bits are stored half their range up, so they are not negative,
 * and a byte's worth of fields are these two sums as they stand, but for what is 0: 257 times that is taken off both.
 * Indices into a codebook of up to 16 values for all outputs look such sums up: of 4 and 3 bits in a table of pairs, of 2 and
 * 1 bits in one of fours. Each byte of a plane of 4, 2 or 1 bits has the indices of weights that follow each other.
 */
#ifndef MQ_UNPACK_PAIRS_H
#define MQ_UNPACK_PAIRS_H

#include "mq_dsp.h"
#include "mq_unpack.h"

#define MQ_PAIRS_MOST_INDEX_BITS 4

/* 256 * b1 + b0 and 256 * b3 + b2 of four int8. */
MQ_KERNEL uint32_t mq_pairs_of_bytes(uint32_t bytes)
{
    return mq_sxtab16(bytes & 0xFF00FF00u, bytes);
}

/* Twice the sum that `zero` alone would be. */
MQ_KERNEL uint32_t mq_pairs_of_zero(int32_t zero)
{
    return ((uint32_t)(257 * zero) & 0xFFFFu) * 0x00010001u;
}

/* Whether weights are looked up in a table. */
MQ_KERNEL int mq_pairs_has_table(const mq_unpack_t *w)
{
    return w->entries && !w->group && w->bits <= MQ_PAIRS_MOST_INDEX_BITS;
}

/* Words of the table: all fours of indices, or all pairs, two a word. */
MQ_KERNEL int32_t mq_pairs_table_words(const mq_unpack_t *w)
{
    if (!mq_pairs_has_table(w)) {
        return 0;
    }
    return w->bits <= 2 ? 1 << (4 * w->bits) : 1 << (2 * w->bits - 1);
}

/* 256 * b1 + b0 of the pair of indices in the low bits of `raw`. Indices that the codebook does not have are not used. */
MQ_KERNEL uint32_t mq_pairs_of_indices(const mq_unpack_t *w, uint32_t raw)
{
    const uint32_t mask = (1u << w->bits) - 1u, last = (uint32_t)w->entries - 1u;
    const uint32_t a = raw & mask, b = (raw >> w->bits) & mask;
    return (uint32_t)(256 * w->codebook[b < last ? b : last] + w->codebook[a < last ? a : last]);
}

/* Subtracts the stored value of 0 if it is the same for all outputs. */
MQ_KERNEL void mq_pairs_make_table(const mq_unpack_t *w, uint32_t *table)
{
    const uint32_t less = w->zeros_step ? 0 : mq_pairs_of_zero(w->zeros[0]);
    for (int32_t i = 0; i < mq_pairs_table_words(w); i++) {
        const uint32_t low = w->bits <= 2 ? (uint32_t)i : 2u * (uint32_t)i;
        const uint32_t high = w->bits <= 2 ? (uint32_t)i >> (2 * w->bits) : low + 1u;
        table[i] = mq_ssub16(mq_pkhbt16(mq_pairs_of_indices(w, low), mq_pairs_of_indices(w, high)), less);
    }
}

/* The fields of a word of a plane of 2 or 4 bits, four weights a word. */
MQ_KERNEL void mq_pairs_fields(uint32_t word, int32_t bits, uint32_t mask, uint32_t less, uint32_t *to)
{
    const int32_t each = 8 / bits;
#pragma GCC unroll 4
    for (int32_t i = 0; i < each; i++) {
        to[2 * i] = mq_ssub16(mask & (word >> (bits * i)), less);
    }
}

/* Values of 2 or 4 bits. Writes whole words of the plane. */
MQ_KERNEL void mq_pairs_values(const uint32_t *row, int32_t bits, int32_t quads, uint32_t less, uint32_t *to)
{
    const int32_t words = mq_plane_words(bits, quads), step = 2 * 8 / bits;
    const uint32_t mask = mq_in_register(0x01010101u * ((1u << bits) - 1u));
    int32_t i = 0;
    for (; i + 4 <= words; i += 4, row += 4, to += 4 * step) {
        const uint32_t a = row[0], b = row[1], c = row[2], d = row[3];
        mq_pairs_fields(a, bits, mask, less, to);
        mq_pairs_fields(b, bits, mask, less, to + step);
        mq_pairs_fields(c, bits, mask, less, to + 2 * step);
        mq_pairs_fields(d, bits, mask, less, to + 3 * step);
    }
    for (; i < words; i++, to += step) {
        mq_pairs_fields(*row++, bits, mask, less, to);
    }
}

/* Four entries of a table of pairs by their places: loads that follow each other take a cycle each but for the first. */
MQ_KERNEL void mq_pairs_four(const uint16_t *pairs, uint32_t *four)
{
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
    __asm__ volatile("ldrh %[a], [%[pairs], %[a], lsl #1]\n\t"
                     "ldrh %[b], [%[pairs], %[b], lsl #1]\n\t"
                     "ldrh %[c], [%[pairs], %[c], lsl #1]\n\t"
                     "ldrh %[d], [%[pairs], %[d], lsl #1]"
                     : [a] "+r"(four[0]), [b] "+r"(four[1]), [c] "+r"(four[2]), [d] "+r"(four[3])
                     : [pairs] "r"(pairs)
                     : "memory");
#else
    for (int32_t i = 0; i < 4; i++) {
        four[i] = pairs[four[i]];
    }
#endif
}

/* Two words of weights of four entries of a table of pairs. */
MQ_KERNEL void mq_pairs_put(const uint16_t *pairs, uint32_t *four, uint32_t *to)
{
    mq_pairs_four(pairs, four);
    to[0] = mq_pkhbt16(four[0], four[1]);
    to[2] = mq_pkhbt16(four[2], four[3]);
}

/* Indices of 4 bits: each byte of a plane is a pair. Two words of weights at a time. */
MQ_KERNEL void mq_pairs_twos(const uint32_t *row, int32_t quads, const uint32_t *table, uint32_t *to)
{
    const uint16_t *const pairs = (const uint16_t *)(const void *)table;
    const uint8_t *from = (const uint8_t *)row;
#pragma GCC unroll 2
    for (int32_t k = 0; k < quads; k += 2, from += 4, to += 4) {
        uint32_t four[4] = {from[0], from[1], from[2], from[3]};
        mq_pairs_put(pairs, four, to);
    }
}

/* Indices of 2 bits: each byte of a plane is four. Four words of weights at a time. */
MQ_KERNEL void mq_pairs_fours(const uint32_t *row, int32_t quads, const uint32_t *table, uint32_t *to)
{
    const uint8_t *from = (const uint8_t *)row;
    for (int32_t k = 0; k < quads; k += 4, from += 4, to += 8) {
        const uint32_t a = from[0], b = from[1], c = from[2], d = from[3];
        const uint32_t e = table[a], f = table[b], g = table[c], h = table[d];
        to[0] = e;
        to[2] = f;
        to[4] = g;
        to[6] = h;
    }
}

/* Indices of 1 bit: each byte of a plane is eight, and four are the place in the table. Eight words of weights at a time. */
MQ_KERNEL void mq_pairs_ones(const uint32_t *row, int32_t quads, const uint32_t *table, uint32_t *to)
{
    for (int32_t k = 0; k < quads; k += 8) {
        const uint32_t word = *row++;
#pragma GCC unroll 8
        for (int32_t i = 0; i < 8; i++, to += 2) {
            *to = table[(word >> (4 * i)) & 15u];
        }
    }
}

/* Indices of 3 bits, in planes of 2 bits and of 1: those of four weights come out one a byte, and are put together in pairs.
   Eight words of weights at a time. */
MQ_KERNEL void mq_pairs_threes(const uint32_t *row, int32_t quads, const uint32_t *table, uint32_t *to)
{
    const uint16_t *const pairs = (const uint16_t *)(const void *)table;
    const uint32_t *ones = row + mq_plane_words(2, quads);
    const uint32_t threes = mq_in_register(0x03030303u), bits = mq_in_register(0x01010101u);
    for (int32_t k = 0; k < quads; k += 8) {
        const uint32_t words[2] = {row[0], k + 4 < quads ? row[1] : 0}, high = *ones++;
        row += 2;
#pragma GCC unroll 4
        for (int32_t i = 0; i < 8; i += 2, to += 4) {
            uint32_t four[4];
            for (int32_t j = 0; j < 2; j++) {
                const uint32_t low = threes & (words[i / 4] >> (2 * ((i + j) % 4)));
                const uint32_t raw = low | (bits & (high >> (i + j))) << 2;
                const uint32_t joined = raw | raw >> 5;
                four[2 * j] = joined & 63u;
                four[2 * j + 1] = (joined >> 16) & 63u;
            }
            mq_pairs_put(pairs, four, to);
        }
    }
}

/* The weights of an output by a table. Up to 7 words more than there are fours are written. */
MQ_KERNEL void mq_pairs_looked_up(const mq_unpack_t *w, const uint32_t *row, int32_t quads, const uint32_t *table,
                                  uint32_t *to)
{
    switch (w->bits) {
    case 1:
        mq_pairs_ones(row, quads, table, to);
        break;
    case 2:
        mq_pairs_fours(row, quads, table, to);
        break;
    case 3:
        mq_pairs_threes(row, quads, table, to);
        break;
    default:
        mq_pairs_twos(row, quads, table, to);
        break;
    }
}

/* 32 weights of which a bit each says, the highest first, whether they are not 0; these are next of `kept`. Every other word of
   `to`. Returns what is behind of `kept`. */
#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
static __attribute__((noinline, unused)) const uint8_t *mq_pairs_kept_32(uint32_t bits, const uint8_t *kept, uint32_t *to)
{
/* A shift by n leaves the bit above in the carry flag, and the next in the sign. */
#define MQ_PAIRS_KEPT(condition, place)                                                                                \
    "itt    " condition "\n\t"                                                                                         \
    "ldrb" condition " %[value], [%[kept]], #1\n\t"                                                                    \
    "orr" condition " %[four], %[four], %[value], lsl #" place "\n\t"
#define MQ_PAIRS_KEPT_FOUR(first, second, to)                                                                          \
    "mov    %[four], #0\n\t"                                                                                           \
    "lsls   %[value], %[bits], #" first "\n\t" MQ_PAIRS_KEPT("cs", "0") MQ_PAIRS_KEPT("mi", "8")                       \
    "lsls   %[value], %[bits], #" second "\n\t" MQ_PAIRS_KEPT("cs", "16") MQ_PAIRS_KEPT("mi", "24")                    \
    "and    %[value], %[four], #0xFF00FF00\n\t"                                                                        \
    "sxtab16 %[four], %[value], %[four]\n\t"                                                                           \
    "str    %[four], [%[to], #" to "]\n\t"
    uint32_t four, value;
    __asm__ volatile(MQ_PAIRS_KEPT_FOUR("1", "3", "0") MQ_PAIRS_KEPT_FOUR("5", "7", "8")
                         MQ_PAIRS_KEPT_FOUR("9", "11", "16") MQ_PAIRS_KEPT_FOUR("13", "15", "24")
                             MQ_PAIRS_KEPT_FOUR("17", "19", "32") MQ_PAIRS_KEPT_FOUR("21", "23", "40")
                                 MQ_PAIRS_KEPT_FOUR("25", "27", "48") MQ_PAIRS_KEPT_FOUR("29", "31", "56")
                     : [kept] "+r"(kept), [four] "=&r"(four), [value] "=&r"(value)
                     : [bits] "r"(bits), [to] "r"(to)
                     : "cc", "memory");
    return kept;
#undef MQ_PAIRS_KEPT
#undef MQ_PAIRS_KEPT_FOUR
}
#else
MQ_KERNEL const uint8_t *mq_pairs_kept_32(uint32_t bits, const uint8_t *kept, uint32_t *to)
{
    for (int32_t i = 0; i < 8; i++, to += 2) {
        uint32_t four = 0;
        for (int32_t place = 0; place < 32; place += 8, bits <<= 1) {
            four |= bits >> 31 != 0 ? (uint32_t)*kept++ << place : 0;
        }
        *to = mq_pairs_of_bytes(four);
    }
    return kept;
}
#endif

/* Weights of which some are 0: a bit each, and the others. Eight words of weights at a time. */
MQ_KERNEL void mq_pairs_kept(const uint32_t *row, int32_t quads, const uint8_t *kept, uint32_t *to)
{
    for (int32_t k = 0; k < quads; k += 8, to += 16) {
        kept = mq_pairs_kept_32(*row++, kept, to);
    }
}

/* All other formats: as bytes first. */
MQ_KERNEL void mq_pairs_any(const mq_unpack_t *w, int32_t o, const uint32_t *row, int32_t quads, uint32_t less,
                            uint32_t *to)
{
    const int8_t *book = mq_unpack_book(w, o);
    for (int32_t k = 0; k < quads; k++, to += 2) {
        *to = mq_ssub16(mq_pairs_of_bytes(mq_unpack_four(w, book, mq_unpack_raw(w, row, quads, k))), less);
    }
}

/* Both sums of a word times `multiplier`, modulo 2^16. */
MQ_KERNEL uint32_t mq_pairs_times(uint32_t word, uint32_t multiplier)
{
    return mq_pkhbt16(word * multiplier, (word >> 16) * multiplier);
}

/* The first 1 to 3 weights of a word, 0 for the others. */
MQ_KERNEL uint32_t mq_pairs_first(uint32_t word, int32_t count)
{
    const uint32_t single = (uint32_t)(int32_t)(int8_t)(count == 3 ? word >> 16 : word);
    return count == 1 ? single & 0xFFFFu : mq_pkhbt16(word, count == 3 ? single : 0);
}

/* The `depth` weights of output o, without zero point, times the multiplier, into every other word of `to`; up to 7 words
   more than there are fours are written. */
MQ_KERNEL void mq_pairs_row(const mq_unpack_t *w, int32_t o, int32_t depth, const uint32_t *table, uint32_t *to)
{
    const int32_t quads = (depth + 3) / 4;
    const uint32_t *row = w->planes + o * mq_unpack_words(w, quads);
    const uint32_t less = mq_pairs_of_zero(w->zeros[o * w->zeros_step]);
    if (w->kept) {
        mq_pairs_kept(row, quads, w->kept + w->begin[o], to);
    } else if (mq_pairs_has_table(w)) {
        mq_pairs_looked_up(w, row, quads, table, to);
    } else if (!w->entries && w->bits == 4) {
        mq_pairs_values(row, 4, quads, less, to);
    } else if (!w->entries && w->bits == 2) {
        mq_pairs_values(row, 2, quads, less, to);
    } else {
        mq_pairs_any(w, o, row, quads, less, to);
    }
    for (int32_t k = 0; mq_pairs_has_table(w) && w->zeros_step && k < quads; k++) {
        to[2 * k] = mq_ssub16(to[2 * k], less);
    }
    for (int32_t k = 0; w->multiplier && k < quads; k++) {
        to[2 * k] = mq_pairs_times(to[2 * k], w->multiplier[o]);
    }
    if (depth % 4) {
        to[2 * (quads - 1)] = mq_pairs_first(to[2 * (quads - 1)], depth % 4);
    }
}

#endif
