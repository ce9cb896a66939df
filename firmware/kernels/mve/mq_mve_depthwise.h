/* Depthwise windows of up to 3x3 with MVE: VMLADAVA over the taps of one channel, which are made to be neighbours.
 *
 * Four rows of the input, 16 channels of them, are interleaved into columns: for every pixel and channel a word of its four
 * rows. A vector of four columns of one channel has all taps of four outputs, two in each of two rows: it is multiplied by
 * four vectors of weights, the same ones moved on by a row and by a column, which are loads from four addresses of weights
 * between zeros. Where windows do not overlap like that (strides) a vector makes one output.
 *
 * The stream has 36 bytes per channel: five zeros, three columns of three weights and a zero, seven zeros; bias, multiplier
 * and shift (to the left) as int32. Requantization is that of mq_mve_product.h.
 *
 * Instructions: 14 for each column of 16 channels, 29 (33, 38) for eight outputs in two rows, 19 (21, 26) for four in one or
 * for the last four of two rows, and 17 a channel and row.
 */
#ifndef MQ_MVE_DEPTHWISE_H
#define MQ_MVE_DEPTHWISE_H

#include "mq_mve.h"

#define MQ_MVE_COLUMN 64 /* bytes: 16 channels of four rows */

/* Four rows of one pixel, with the distance to the next pixel: 0 in padding. */
typedef struct {
    const int8_t *row[4];
    int32_t step[4];
} mq_mve_rows_t;

/* Where the outputs of a channel are, and what is known about all of them. One call: the outputs of one channel in
   one row or two. fours: 1 or more. columns and stores are offsets in bytes, those of 16 bits less than 2^16.
   y_zero: -128 to 127; -128 <= act_min <= act_max <= 127. */
typedef struct {
    uint32_t columns[4]; /* offsets of a vector's columns, relative to the position after the first load */
    union {
        uint16_t two_rows[8]; /* offsets of eight outputs, alternating between the first and the second vector */
        uint32_t one_row[4];
    } stores;
    int32_t y_step; /* bytes between groups of four pixels of the output */
    int32_t fours;
    uint32_t last;           /* mask of the bytes of the last vector that are outputs; 0 if it is complete */
    int32_t x_back, y_back;  /* bytes to the start of the last ones */
    int32_t y_zero, act_min, act_max;
} mq_mve_depthwise_t;

/* All outputs of one or two rows of `channels` channels, at most 16. */
typedef void mq_mve_depthwise_kernel_t(const mq_mve_depthwise_t *p, const int8_t *stream, const int8_t *columns,
                                       int8_t *y, int32_t channels);

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

/* Interleaves `pixels` pixels of `channels` channels to columns. */
static __attribute__((naked, noinline, unused)) void mq_mve_columns(
    const mq_mve_rows_t *rows __attribute__((unused)), int32_t pixels __attribute__((unused)),
    int8_t *to __attribute__((unused)), int32_t channels __attribute__((unused)))
{
    __asm__ volatile("push   {r4-r11, lr}       \n"
                     "ldm    r0, {r4-r11}       \n"
                     "vctp.8 r3                 \n"
                     "dls    lr, r1             \n"
                     "1:                        \n"
                     "vpstttt                   \n"
                     "vldrbt.8 q0, [r4]         \n"
                     "vldrbt.8 q1, [r5]         \n"
                     "vldrbt.8 q2, [r6]         \n"
                     "vldrbt.8 q3, [r7]         \n"
                     "add    r4, r4, r8         \n"
                     "add    r5, r5, r9         \n"
                     "add    r6, r6, r10        \n"
                     "add    r7, r7, r11        \n"
                     "vst40.8 {q0, q1, q2, q3}, [r2]  \n"
                     "vst41.8 {q0, q1, q2, q3}, [r2]  \n"
                     "vst42.8 {q0, q1, q2, q3}, [r2]  \n"
                     "vst43.8 {q0, q1, q2, q3}, [r2]! \n"
                     "le     lr, 1b             \n"
                     "pop    {r4-r11, pc}       \n");
}

/* Four sums of a vector, two in each of two rows. */
#define MQ_MVE_TWO_BY_TWO(q)                                                                                           \
    "vldrw.u32 q6, [q7, #128]!          \n"                                                                            \
    "vmladav.s8 r0, q6, q0              \n"                                                                            \
    "vmladav.s8 r2, q6, q1              \n"                                                                            \
    "vmladav.s8 r4, q6, q2              \n"                                                                            \
    "vmladav.s8 r6, q6, q3              \n"                                                                            \
    "vmov   " q "[2], " q "[0], r0, r4  \n"                                                                            \
    "vmov   " q "[3], " q "[1], r2, r6  \n"
/* A sum of each of four vectors. */
#define MQ_MVE_ONE(sum, step)                                                                                          \
    "vldrw.u32 q6, [q7, #" step "]!     \n"                                                                            \
    "vmladav.s8 " sum ", q6, q0         \n"

#define MQ_MVE_AWAY_ONE(q)                                                                                             \
    "vshr.s32 q6, " q ", #31            \n"                                                                            \
    "vadd.i32 " q ", " q ", q6          \n"
#define MQ_MVE_SCALE_ONE(q, away)                                                                                      \
    "vadd.i32 " q ", " q ", r3          \n"                                                                            \
    "vqrdmulh.s32 " q ", " q ", r5      \n" away(q)                                                                    \
    "vrshl.s32 " q ", r7                \n"
#define MQ_MVE_NOTHING(q) ""
#define MQ_MVE_CLAMP_ONE(q)                                                                                            \
    "ldrd   r0, r2, [sp, #56]           \n"                                                                            \
    "vdup.16 q6, r0                     \n"                                                                            \
    "vmax.s16 q4, q4, q6                \n"                                                                            \
    "vdup.16 q6, r2                     \n"                                                                            \
    "vmin.s16 q4, q4, q6                \n"

#define MQ_MVE_EIGHT_OUTPUTS(step, away, clamp, store)                                                                 \
    MQ_MVE_TWO_BY_TWO("q4")                                                                                            \
    MQ_MVE_TWO_BY_TWO("q5")                                                                                            \
    MQ_MVE_SCALE_ONE("q4", away)                                                                                       \
    MQ_MVE_SCALE_ONE("q5", away)                                                                                       \
    "vqmovnb.s32 q4, q4                 \n"                                                                            \
    "vqmovnt.s32 q4, q5                 \n"                                                                            \
    "vqadd.s16 q4, q4, r8               \n" clamp("q4")                                                                \
    "vldrw.u32 q6, [sp, #16]            \n"                                                                            \
    "vqmovnb.s16 q4, q4                 \n" store(".16")
#define MQ_MVE_FOUR_OUTPUTS(step, away, clamp, store)                                                                  \
    MQ_MVE_ONE("r0", step) MQ_MVE_ONE("r2", step) MQ_MVE_ONE("r4", step) MQ_MVE_ONE("r6", step)                        \
    "vmov   q4[2], q4[0], r0, r4        \n"                                                                            \
    "vmov   q4[3], q4[1], r2, r6        \n" MQ_MVE_SCALE_ONE("q4", away)                                               \
    "vqmovnb.s32 q4, q4                 \n"                                                                            \
    "vqadd.s16 q4, q4, r8               \n" clamp("q4")                                                                \
    "vldrw.u32 q6, [sp, #16]            \n"                                                                            \
    "vqmovnb.s16 q4, q4                 \n" store(".32")
/* The outputs of two pixels in each of two rows, at the end of the rows. */
#define MQ_MVE_HALF_OUTPUTS(away, clamp)                                                                               \
    MQ_MVE_TWO_BY_TWO("q4")                                                                                            \
    MQ_MVE_SCALE_ONE("q4", away)                                                                                       \
    "vqmovnb.s32 q4, q4                 \n"                                                                            \
    "vqadd.s16 q4, q4, r8               \n" clamp("q4")                                                                \
    "vldrw.u32 q6, [sp, #16]            \n"                                                                            \
    "vqmovnb.s16 q4, q4                 \n" MQ_MVE_STORE_SOME(".16")
#define MQ_MVE_STORE(lane) "vstrb" lane " q4, [r9, q6]\n"
#define MQ_MVE_STORE_SOME(lane)                                                                                        \
    "vpst                               \n"                                                                            \
    "vstrbt" lane " q4, [r9, q6]        \n"

/* On the stack, what p points to, and the end of the stream. r1 is the stream, r3, r5, r7 its constants, r8 y_zero, r9 and
   r11 the channel's outputs from here and from the beginning, r10 y_step, r12 the channel's first column. */
#define MQ_MVE_DEPTHWISE(outputs, half, step, away, clamp)                                                                   \
    __asm__ volatile("push   {r4-r11, lr}               \n"                                                            \
                     "vpush  {d8-d15}                   \n"                                                            \
                     "ldr    r4, [sp, #100]             \n"                                                            \
                     "mov    r5, #36                    \n"                                                            \
                     "mla    r4, r4, r5, r1             \n"                                                            \
                     "sub    sp, sp, #72                \n"                                                            \
                     "str    r4, [sp, #64]              \n"                                                            \
                     "mov    r12, r2                    \n"                                                            \
                     "mov    r11, r3                    \n"                                                            \
                     "mov    r8, sp                     \n"                                                            \
                     "ldm    r0!, {r2-r7, r9, r10}      \n"                                                            \
                     "stm    r8!, {r2-r7, r9, r10}      \n"                                                            \
                     "ldm    r0!, {r2-r7, r9, r10}      \n"                                                            \
                     "stm    r8!, {r2-r7, r9, r10}      \n"                                                            \
                     "vmsr   p0, r4                     \n"                                                            \
                     "mov    r8, r7                     \n"                                                            \
                     "mov    r10, r2                    \n"                                                            \
                     "1:                                \n" /* A channel. */                                           \
                     "vldrb.8 q0, [r1, #5]              \n"                                                            \
                     "vldrb.8 q1, [r1, #1]              \n"                                                            \
                     "vldrb.8 q2, [r1, #4]              \n"                                                            \
                     "vldrb.8 q3, [r1], #24             \n"                                                            \
                     "ldm    r1!, {r3, r5, r7}          \n"                                                            \
                     "vldrw.u32 q7, [sp]                \n"                                                            \
                     "vadd.i32 q7, q7, r12              \n"                                                            \
                     "mov    r9, r11                    \n"                                                            \
                     "ldr    r0, [sp, #36]              \n"                                                            \
                     "wls    lr, r0, 3f                 \n"                                                            \
                     "2:                                \n" outputs(step, away, clamp, MQ_MVE_STORE)                   \
                     "add    r9, r9, r10                \n"                                                            \
                     "le     lr, 2b                     \n"                                                            \
                     "3:                                \n"                                                            \
                     "ldrd   r2, r0, [sp, #40]          \n"                                                            \
                     "cbz    r2, 4f                     \n"                                                            \
                     "b      5f                         \n"                                                            \
                     "4:                                \n"                                                            \
                     "ldr    r0, [sp, #64]              \n"                                                            \
                     "add    r12, r12, #4               \n"                                                            \
                     "add    r11, r11, #1               \n"                                                            \
                     "cmp    r1, r0                     \n"                                                            \
                     "blo.w  1b                         \n"                                                            \
                     "add    sp, sp, #72                \n"                                                            \
                     "vpop   {d8-d15}                   \n"                                                            \
                     "pop    {r4-r11, pc}               \n"                                                            \
                     "5:                                \n" /* The last outputs of a row. */                           \
                     "vsub.i32 q7, q7, r0               \n"                                                            \
                     "ldr    r0, [sp, #48]              \n"                                                            \
                     "sub    r9, r9, r0                 \n" half(away, clamp)                                          \
                     outputs(step, away, clamp, MQ_MVE_STORE_SOME)                                                     \
                     "b      4b                         \n")

/* With two rows, none in the second vector. */
#define MQ_MVE_HALF(away, clamp)                                                                                       \
    "tst    r2, #0xCCCCCCCC             \n"                                                                            \
    "bne    6f                          \n" MQ_MVE_HALF_OUTPUTS(away, clamp)                                           \
    "b      4b                          \n"                                                                            \
    "6:                                 \n"
#define MQ_MVE_NO_HALF(away, clamp) ""

#define MQ_MVE_DEPTHWISE_DEFINE(name, outputs, half, step, away, clamp, is_away, rows, columns_on)                           \
    static __attribute__((naked, noinline, unused)) void name(                                                         \
        const mq_mve_depthwise_t *p __attribute__((unused)), const int8_t *stream __attribute__((unused)),             \
        const int8_t *columns __attribute__((unused)), int8_t *y __attribute__((unused)),                              \
        int32_t channels __attribute__((unused)))                                                                      \
    {                                                                                                                  \
        MQ_MVE_DEPTHWISE(outputs, half, step, away, clamp);                                                                  \
    }

#else

MQ_KERNEL void mq_mve_columns(const mq_mve_rows_t *rows, int32_t pixels, int8_t *to, int32_t channels)
{
    for (int32_t i = 0; i < pixels; i++, to += MQ_MVE_COLUMN) {
        for (int32_t k = 0; k < MQ_MVE_COLUMN; k++) {
            to[k] = k / 4 < channels ? rows->row[k % 4][i * rows->step[k % 4] + k / 4] : 0;
        }
    }
}

/* The output whose first column is `x` and whose weights begin at byte `at` of the channel's. */
MQ_KERNEL int8_t mq_mve_depthwise_output(const mq_mve_depthwise_t *p, const int8_t *channel, int32_t at,
                                         const int8_t *x, int is_away)
{
    int32_t scale[3]; /* bias, multiplier, shift */
    memcpy(scale, channel + 24, sizeof scale);
    for (int32_t i = 0; i < 16; i++) {
        scale[0] += x[i / 4 * MQ_MVE_COLUMN + i % 4] * channel[at + i];
    }
    const int32_t high = mq_high_mul(scale[0], scale[1]);
    const int32_t v = mq_mve_rounding_shift(is_away && high < 0 ? high - 1 : high, scale[2]);
    return (int8_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);
}

/* Four pixels of one or two rows. The columns of a vector begin two or `columns_on` columns after those before. */
MQ_KERNEL void mq_mve_depthwise_four(const mq_mve_depthwise_t *p, const int8_t *channel, const int8_t *x, int8_t *y,
                                     uint32_t stored, int32_t rows, int32_t columns_on, int is_away)
{
    for (int32_t i = 0; i < 4 * rows; i++) {
        const int32_t row = rows == 2 ? i / 4 : 0, column = rows == 2 ? i % 2 * 2 + i / 2 % 2 : i;
        const int32_t first = rows == 2 ? column / 2 * 2 : column * columns_on;
        const int32_t at = rows == 2 ? 5 - 4 * (column % 2) - row : 5;
        const uint32_t place = rows == 2 ? p->stores.two_rows[i] : p->stores.one_row[i];
        if (stored >> (16 / (4 * rows) * i) & 1u) {
            y[place] = mq_mve_depthwise_output(p, channel, at, x + first * MQ_MVE_COLUMN, is_away);
        }
    }
}

MQ_KERNEL void mq_mve_depthwise(const mq_mve_depthwise_t *p, const int8_t *stream, const int8_t *columns, int8_t *y,
                                int32_t channels, int32_t rows, int32_t columns_on, int is_away)
{
    for (int32_t c = 0; c < channels; c++, stream += 36, columns += 4, y++) {
        const int8_t *x = columns;
        int8_t *to = y;
        for (int32_t i = 0; i < p->fours; i++, x += 4 * columns_on * MQ_MVE_COLUMN, to += p->y_step) {
            mq_mve_depthwise_four(p, stream, x, to, 0xFFFF, rows, columns_on, is_away);
        }
        mq_mve_depthwise_four(p, stream, x - p->x_back, to - p->y_back, p->last, rows, columns_on, is_away);
    }
}

#define MQ_MVE_DEPTHWISE_DEFINE(name, outputs, half, step, away, clamp, is_away, rows, columns_on)                           \
    MQ_KERNEL void name(const mq_mve_depthwise_t *p, const int8_t *stream, const int8_t *columns, int8_t *y,           \
                        int32_t channels)                                                                              \
    {                                                                                                                  \
        mq_mve_depthwise(p, stream, columns, y, channels, rows, columns_on, is_away);                                  \
    }

#endif

/* Two rows; one row, whose windows are one or two columns apart; each with the requantizations of mq_mve_product.h. */
#define MQ_MVE_DEPTHWISE_FORM(form, away, clamp, is_away)                                                              \
    MQ_MVE_DEPTHWISE_DEFINE(mq_mve_depthwise_pair_##form, MQ_MVE_EIGHT_OUTPUTS, MQ_MVE_HALF, "128", away, clamp,       \
                            is_away, 2, 1)                                                                             \
    MQ_MVE_DEPTHWISE_DEFINE(mq_mve_depthwise_row_##form, MQ_MVE_FOUR_OUTPUTS, MQ_MVE_NO_HALF, "64", away, clamp,       \
                            is_away, 1, 1)                                                                             \
    MQ_MVE_DEPTHWISE_DEFINE(mq_mve_depthwise_by_two_##form, MQ_MVE_FOUR_OUTPUTS, MQ_MVE_NO_HALF, "128", away, clamp,   \
                            is_away, 1, 2)

MQ_MVE_DEPTHWISE_FORM(above, MQ_MVE_NOTHING, MQ_MVE_NOTHING, 0)
MQ_MVE_DEPTHWISE_FORM(signed, MQ_MVE_AWAY_ONE, MQ_MVE_NOTHING, 1)
MQ_MVE_DEPTHWISE_FORM(clamped, MQ_MVE_AWAY_ONE, MQ_MVE_CLAMP_ONE, 1)

#endif
