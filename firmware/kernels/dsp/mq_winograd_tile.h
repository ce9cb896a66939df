/* The transforms of Winograd's F(4x4, 3x3), tile by tile; see mq_winograd.h. */
#ifndef MQ_WINOGRAD_TILE_H
#define MQ_WINOGRAD_TILE_H

#include "mq_winograd.h"

/* The destination of a tile's outputs. */
typedef struct {
    int32_t y_pixel, y_row; /* bytes between rows */
} mq_winograd_place_t;

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

#define MQ_WINOGRAD_TILE_B MQ_WINOGRAD_B("r4", "r5", "r6", "r7", "r8", "r9", "r10", "r11")

/* A column of six pixels: rows 0 to 2 from r2 on, the others from r3 on, r1 bytes apart. */
#define MQ_WINOGRAD_COLUMN(half)                                                                                       \
    "ldr    r4, [r2]                 \n"                                                                               \
    "ldr    r5, [r2, r1]             \n"                                                                               \
    "ldr    r6, [r2, r1, lsl #1]     \n"                                                                               \
    "ldr    r7, [r3]                 \n"                                                                               \
    "ldr    r8, [r3, r1]             \n"                                                                               \
    "ldr    r9, [r3, r1, lsl #1]     \n"                                                                               \
    "add    r2, r2, lr               \n"                                                                               \
    "add    r3, r3, lr               \n"                                                                               \
    "sxtb16 r4, r4" half "           \n"                                                                               \
    "sxtb16 r5, r5" half "           \n"                                                                               \
    "sxtb16 r6, r6" half "           \n"                                                                               \
    "sxtb16 r7, r7" half "           \n"                                                                               \
    "sxtb16 r8, r8" half "           \n"                                                                               \
    "sxtb16 r9, r9" half "           \n" MQ_WINOGRAD_TILE_B                                                            \
    "str    r5, [r12, #24]           \n"                                                                               \
    "str    r6, [r12, #48]           \n"                                                                               \
    "str    r7, [r12, #72]           \n"                                                                               \
    "str    r8, [r12, #96]           \n"                                                                               \
    "str    r9, [r12, #120]          \n"                                                                               \
    "str    r4, [r12], #4            \n"

/* All columns of two channels, from the stack's image and row on. */
#define MQ_WINOGRAD_COLUMNS(half, loop)                                                                                \
    "ldrd   r2, r1, [sp, #144]       \n"                                                                               \
    "ldr    lr, [sp, #152]           \n"                                                                               \
    "add    r3, r1, r1, lsl #1       \n"                                                                               \
    "add    r3, r3, r2               \n"                                                                               \
    "mov    r12, sp                  \n"                                                                               \
    "add    r0, sp, #24              \n" loop ":\n" MQ_WINOGRAD_COLUMN(half) MQ_WINOGRAD_COLUMN(half)                  \
    "cmp    r12, r0                  \n"                                                                               \
    "bne.w  " loop "b                \n"

/* A row of six words, to positions r1 bytes apart; r3 is three times as much. */
#define MQ_WINOGRAD_ROW                                                                                                \
    "ldmia  r12!, {r4-r9}            \n" MQ_WINOGRAD_TILE_B                                                            \
    "str    r4, [r2]                 \n"                                                                               \
    "str    r5, [r2, r1]             \n"                                                                               \
    "str    r6, [r2, r1, lsl #1]     \n"                                                                               \
    "str    r7, [r2, r3]             \n"                                                                               \
    "add    r2, r2, r3               \n"                                                                               \
    "str    r8, [r2, r1]             \n"                                                                               \
    "str    r9, [r2, r1, lsl #1]     \n"                                                                               \
    "add    r2, r2, r3               \n"

/* B of both axes of the 6x6 pixels at `x`, `words` words each, whose rows begin `row` bytes apart. `to`: the words of
   one tile among those of two. */
static __attribute__((naked, noinline, unused)) void mq_winograd_tile_input(
    const uint32_t *x __attribute__((unused)), int32_t row __attribute__((unused)),
    int32_t words __attribute__((unused)), uint32_t *to __attribute__((unused)))
{
    /* On the stack: 36 words, x, row, bytes of a pixel, to, bytes of a position, words left. */
    __asm__ volatile("push   {r4-r11, lr}             \n"
                     "sub    sp, sp, #172             \n"
                     "add    r4, sp, #144             \n"
                     "lsl    r5, r2, #2               \n"
                     "lsl    r7, r2, #4               \n"
                     "mov    r6, r3                   \n"
                     "mov    r8, r2                   \n"
                     "stmia  r4, {r0, r1, r5, r6, r7, r8} \n"
                     "1:                              \n" MQ_WINOGRAD_COLUMNS("", "2")
                     "bl     5f                       \n" MQ_WINOGRAD_COLUMNS(", ror #8", "3")
                     "bl     5f                       \n"
                     "ldr    r0, [sp, #144]           \n"
                     "ldr    r1, [sp, #164]           \n"
                     "add    r0, r0, #4               \n"
                     "subs   r1, r1, #1               \n"
                     "str    r0, [sp, #144]           \n"
                     "str    r1, [sp, #164]           \n"
                     "bne.w  1b                       \n"
                     "add    sp, sp, #172             \n"
                     "pop    {r4-r11, pc}             \n"
                     /* All rows, of what the columns became. */
                     "5:                              \n"
                     "ldrd   r2, r1, [sp, #156]       \n"
                     "mov    r12, sp                  \n"
                     "add    r0, sp, #144             \n"
                     "add    r3, r2, #8               \n"
                     "str    r3, [sp, #156]           \n"
                     "add    r3, r1, r1, lsl #1       \n"
                     "6:                              \n" MQ_WINOGRAD_ROW MQ_WINOGRAD_ROW
                     "cmp    r12, r0                  \n"
                     "bne.w  6b                       \n"
                     "bx     lr                       \n");
}

/* Column `j` of products. */
#define MQ_WINOGRAD_DOWN(j)                                                                                            \
    "ldr    r3, [r0, #32 * " j "]       \n"                                                                            \
    "ldr    r4, [r0, #32 * " j " + 192] \n"                                                                            \
    "ldr    r5, [r0, #32 * " j " + 384] \n"                                                                            \
    "ldr    r6, [r0, #32 * " j " + 576] \n"                                                                            \
    "ldr    r7, [r0, #32 * " j " + 768] \n"                                                                            \
    "ldr    r8, [r0, #32 * " j " + 960] \n" MQ_WINOGRAD_A                                                              \
    "str    r3, [sp, #4 * " j "]        \n"                                                                            \
    "str    r7, [sp, #4 * " j " + 24]   \n"                                                                            \
    "str    r5, [sp, #4 * " j " + 48]   \n"                                                                            \
    "str    r8, [sp, #4 * " j " + 72]   \n"

/* One rounding, if that is proven to be exact; start and factor are in r11 and r12. */
#define MQ_WINOGRAD_ONCE(y, left, right)                                                                               \
    "add    " y ", r11, " y ", lsl #" left " \n"                                                                       \
    "smmulr " y ", " y ", r12        \n"                                                                               \
    "ssat   " y ", #8, " y ", asr #" right "\n"
#define MQ_WINOGRAD_ONCE_12(y, left) MQ_WINOGRAD_ONCE(y, left, "12")
#define MQ_WINOGRAD_ONCE_8(y, left) MQ_WINOGRAD_ONCE(y, left, "8")

/* TFLite's two roundings. The sum comes 576-fold; 9 is divided out by its inverse modulo 2^32, which r11 holds. */
#define MQ_WINOGRAD_TWICE(y, left)                                                                                     \
    "add    " y ", r4, " y ", lsl #" left " \n"                                                                        \
    "mul    " y ", " y ", r11        \n"                                                                               \
    "asr    " y ", " y ", #5         \n" MQ_WINOGRAD_ROUND_TWICE(y)

/* A row of outputs, whose sums lack a factor of 2^a in the first column, 2^b in the second and 2^c in the others. */
#define MQ_WINOGRAD_ACROSS(constants, one, a, b, c)                                                                    \
    "ldmia  r0!, {r3-r8}             \n" MQ_WINOGRAD_A constants one("r3", a) one("r7", b) one("r5", c) one("r8", c)   \
    "strb   r3, [r2]                 \n"                                                                               \
    "strb   r7, [r2, r1]             \n"                                                                               \
    "strb   r5, [r2, r1, lsl #1]     \n"                                                                               \
    "strb   r8, [r2, lr]             \n"

#define MQ_WINOGRAD_NEXT                                                                                               \
    "ldr    r9, [sp, #96]            \n"                                                                               \
    "add    r2, r2, r9               \n"

#define MQ_WINOGRAD_DEFINE(name, before, constants, one, count, twin)                                                  \
    static __attribute__((naked, noinline, unused)) void name(                                                         \
        const uint32_t *products __attribute__((unused)), const int32_t *constants_ __attribute__((unused)),           \
        int8_t *y __attribute__((unused)), const mq_winograd_place_t *place __attribute__((unused)))                   \
    {                                                                                                                  \
        /* On the stack: 24 words, y_row, products, constants, y, y_pixel, channels left. */                           \
        __asm__ volatile("push   {r4-r11, lr}             \n"                                                          \
                         "ldrd   r4, r9, [r3]             \n"                                                          \
                         "sub    sp, sp, #124             \n"                                                          \
                         "mov    r5, #4                   \n"                                                          \
                         "str    r9, [sp, #96]            \n"                                                          \
                         "strd   r0, r1, [sp, #100]       \n"                                                          \
                         "strd   r2, r4, [sp, #108]       \n"                                                          \
                         "str    r5, [sp, #116]           \n"                                                          \
                         "1:                              \n" MQ_WINOGRAD_DOWN("0") MQ_WINOGRAD_DOWN("1")              \
                             MQ_WINOGRAD_DOWN("2") MQ_WINOGRAD_DOWN("3") MQ_WINOGRAD_DOWN("4")                         \
                                 MQ_WINOGRAD_DOWN("5")                                                                 \
                         "add    r0, r0, #8               \n"                                                          \
                         "ldrd   r12, r2, [sp, #104]      \n"                                                          \
                         "ldr    r1, [sp, #112]           \n"                                                          \
                         "add    r3, r12, #4 * " #count "  \n"                                                         \
                         "add    r4, r2, #1               \n"                                                          \
                         "strd   r0, r3, [sp, #100]       \n"                                                          \
                         "str    r4, [sp, #108]           \n" before                                                   \
                         "add    lr, r1, r1, lsl #1       \n"                                                          \
                         "mov    r0, sp                   \n" MQ_WINOGRAD_ACROSS(constants, one, "0", "1", "2")        \
                             MQ_WINOGRAD_NEXT MQ_WINOGRAD_ACROSS(constants, one, "1", "2", "3")                        \
                                 MQ_WINOGRAD_NEXT MQ_WINOGRAD_ACROSS(constants, one, "2", "3", "4")                    \
                                     MQ_WINOGRAD_NEXT MQ_WINOGRAD_ACROSS(constants, one, "2", "3", "4")                \
                         "ldr    r1, [sp, #116]           \n"                                                          \
                         "ldr    r0, [sp, #100]           \n"                                                          \
                         "subs   r1, r1, #1               \n"                                                          \
                         "str    r1, [sp, #116]           \n"                                                          \
                         "bne.w  1b                       \n"                                                          \
                         "add    sp, sp, #124             \n"                                                          \
                         "pop    {r4-r11, pc}             \n");                                                        \
    }

#else

/* B of both axes of 6x6 words, whose results go to positions `step` words apart. */
MQ_KERNEL void mq_winograd_tile_pair(uint32_t x[6][6], int32_t step, uint32_t *to)
{
    for (int32_t j = 0; j < 6; j++) {
        const uint32_t column[6] = {x[0][j], x[1][j], x[2][j], x[3][j], x[4][j], x[5][j]};
        uint32_t y[6];
        mq_winograd_b(column, y);
        for (int32_t i = 0; i < 6; i++) {
            x[i][j] = y[i];
        }
    }
    for (int32_t i = 0; i < 6; i++) {
        uint32_t y[6];
        mq_winograd_b(x[i], y);
        for (int32_t j = 0; j < 6; j++, to += step) {
            *to = y[j];
        }
    }
}

MQ_KERNEL void mq_winograd_tile_input(const uint32_t *x, int32_t row, int32_t words, uint32_t *to)
{
    for (int32_t k = 0; k < words; k++, to += 4) {
        uint32_t even[6][6], odd[6][6];
        for (int32_t i = 0; i < 36; i++) {
            const uint32_t pixel = x[i / 6 * (row / 4) + i % 6 * words + k];
            even[i / 6][i % 6] = mq_sxtb16(pixel);
            odd[i / 6][i % 6] = mq_sxtb16_ror8(pixel);
        }
        mq_winograd_tile_pair(even, 4 * words, to);
        mq_winograd_tile_pair(odd, 4 * words, to + 2);
    }
}

MQ_KERNEL void mq_winograd_tile_output(const uint32_t *products, const int32_t *constants, int8_t *y,
                                       const mq_winograd_place_t *place, mq_winograd_requantize_t *requantize)
{
    uint32_t sums[4][6];
    for (int32_t j = 0; j < 6; j++) {
        uint32_t m[6], down[4];
        for (int32_t i = 0; i < 6; i++) {
            m[i] = products[8 * (6 * i + j)];
        }
        mq_winograd_a(m, down);
        for (int32_t i = 0; i < 4; i++) {
            sums[i][j] = down[i];
        }
    }
    for (int32_t i = 0; i < 4; i++) {
        uint32_t across[4];
        mq_winograd_a(sums[i], across);
        for (int32_t j = 0; j < 4; j++) {
            y[i * place->y_row + j * place->y_pixel] = requantize(across[j] + (uint32_t)constants[0], constants);
        }
    }
}

MQ_KERNEL int8_t mq_winograd_requantize_twice_576(uint32_t sum, const int32_t *constants)
{
    return mq_winograd_round_twice((int32_t)(sum * 0x38E38E39u) >> 5, constants);
}

#define MQ_WINOGRAD_DEFINE(name, before, constants_, one, count, twin)                                                 \
    MQ_KERNEL void name(const uint32_t *products, const int32_t *constants, int8_t *y,                                 \
                        const mq_winograd_place_t *place)                                                              \
    {                                                                                                                  \
        for (int32_t i = 0; i < 4; i++) {                                                                              \
            mq_winograd_tile_output(products + 2 * i, constants + (count) * i, y + i, place, twin);                    \
        }                                                                                                              \
    }

#endif

/* A of both axes of 36 products, eight words apart, and the requantization: 4x4 outputs of four channels, whose
   products are two words apart. Constants of a channel: start, and a factor; or m, what is added, and a shift. */
typedef void mq_winograd_output_t(const uint32_t *products, const int32_t *constants, int8_t *y,
                                  const mq_winograd_place_t *place);

MQ_WINOGRAD_DEFINE(mq_winograd_tile_12, "ldmia r12, {r11, r12}\n", "", MQ_WINOGRAD_ONCE_12, 2,
                   mq_winograd_requantize_12)
MQ_WINOGRAD_DEFINE(mq_winograd_tile_8, "ldmia r12, {r11, r12}\n", "", MQ_WINOGRAD_ONCE_8, 2, mq_winograd_requantize_8)
MQ_WINOGRAD_DEFINE(mq_winograd_tile_twice, "movw r11, #0x8E39\n movt r11, #0x38E3\n", "ldmia r12, {r4, r6, r9, r10}\n",
                   MQ_WINOGRAD_TWICE, 4, mq_winograd_requantize_twice_576)

#endif
