/* The transforms of Winograd's F(4, 3) along the rows of an image; see mq_winograd.h. */
#ifndef MQ_WINOGRAD_ROW_H
#define MQ_WINOGRAD_ROW_H

#include "mq_winograd.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Two channels of six pixels, r5 bytes apart from r0 on; to six positions, r2 bytes apart from r3 on. */
#define MQ_WINOGRAD_SIX(half)                                                                                          \
    "add    lr, r0, r5               \n"                                                                               \
    "ldr    r6, [r0]                 \n"                                                                               \
    "ldr    r7, [r0, r5]             \n"                                                                               \
    "ldr    r8, [r0, r5, lsl #1]     \n"                                                                               \
    "ldr    r9, [lr, r5, lsl #1]     \n"                                                                               \
    "ldr    r10, [r0, r5, lsl #2]    \n"                                                                               \
    "ldr    r11, [lr, r5, lsl #2]    \n"                                                                               \
    "sxtb16 r6, r6" half "           \n"                                                                               \
    "sxtb16 r7, r7" half "           \n"                                                                               \
    "sxtb16 r8, r8" half "           \n"                                                                               \
    "sxtb16 r9, r9" half "           \n"                                                                               \
    "sxtb16 r10, r10" half "         \n"                                                                               \
    "sxtb16 r11, r11" half "         \n" MQ_WINOGRAD_B("r6", "r7", "r8", "r9", "r10", "r11", "r12", "lr")              \
    "add    lr, r3, r2               \n"                                                                               \
    "str    r6, [r3]                 \n"                                                                               \
    "str    r7, [r3, r2]             \n"                                                                               \
    "str    r8, [r3, r2, lsl #1]     \n"                                                                               \
    "str    r9, [lr, r2, lsl #1]     \n"                                                                               \
    "str    r10, [r3, r2, lsl #2]    \n"                                                                               \
    "str    r11, [lr, r2, lsl #2]    \n"                                                                               \
    "add    r3, r3, #8               \n"

/* B of six pixels of `words` words each. `to`: one tile's words among those of two, at the first of six positions,
   which are `position` bytes apart. */
static __attribute__((naked, noinline, unused)) void mq_winograd_row_input(
    const uint32_t *x __attribute__((unused)), int32_t words __attribute__((unused)),
    int32_t position __attribute__((unused)), uint32_t *to __attribute__((unused)))
{
    __asm__ volatile("push   {r4-r11, lr}             \n"
                     "lsl    r5, r1, #2               \n"
                     "1:                              \n" MQ_WINOGRAD_SIX("") MQ_WINOGRAD_SIX(", ror #8")
                     "add    r0, r0, #4               \n"
                     "subs   r1, r1, #1               \n"
                     "bne.w  1b                       \n"
                     "pop    {r4-r11, pc}             \n");
}

/* One rounding, if that is proven to be exact; start and factor are in r4 and r6. */
#define MQ_WINOGRAD_ROW_ONCE(y, left, right)                                                                           \
    "add    " y ", r4, " y ", lsl #" left " \n"                                                                        \
    "smmulr " y ", " y ", r6         \n"                                                                               \
    "ssat   " y ", #8, " y ", asr #" right "\n"
#define MQ_WINOGRAD_ROW_ONCE_12(y, left) MQ_WINOGRAD_ROW_ONCE(y, left, "12")
#define MQ_WINOGRAD_ROW_ONCE_8(y, left) MQ_WINOGRAD_ROW_ONCE(y, left, "8")

/* TFLite's two roundings. The sum comes 384-fold; 3 is divided out by its inverse modulo 2^32, which r11 holds. */
#define MQ_WINOGRAD_ROW_TWICE(y, left)                                                                                 \
    "add    " y ", r4, " y ", lsl #" left " \n"                                                                        \
    "mul    " y ", " y ", r11        \n"                                                                               \
    "asr    " y ", " y ", #6         \n" MQ_WINOGRAD_ROUND_TWICE(y)

/* The next of four channels. */
#define MQ_WINOGRAD_CHANNEL(constants, one)                                                                            \
    "ldr    r4, [r0, #32]            \n"                                                                               \
    "ldr    r5, [r0, #64]            \n"                                                                               \
    "ldr    r6, [r0, #96]            \n"                                                                               \
    "ldr    r7, [r0, #128]           \n"                                                                               \
    "ldr    r8, [r0, #160]           \n"                                                                               \
    "ldr    r3, [r0], #8             \n" MQ_WINOGRAD_A                                                                 \
    "ldmia  r12!, {" constants "}    \n" one("r3", "0") one("r7", "1") one("r5", "2") one("r8", "2")                   \
    "strb   r7, [r2, r1]             \n"                                                                               \
    "strb   r5, [r2, r1, lsl #1]     \n"                                                                               \
    "strb   r8, [r2, lr]             \n"                                                                               \
    "strb   r3, [r2], #1             \n"

#define MQ_WINOGRAD_ROW_DEFINE(name, constants, one, count, twin)                                                      \
    static __attribute__((naked, noinline, unused)) void name(                                                         \
        const uint32_t *products __attribute__((unused)), const int32_t *constants_ __attribute__((unused)),           \
        int8_t *y __attribute__((unused)), int32_t y_pixel __attribute__((unused)))                                    \
    {                                                                                                                  \
        __asm__ volatile("push   {r4-r11, lr}             \n"                                                          \
                         "mov    r12, r1                  \n"                                                          \
                         "mov    r1, r3                   \n"                                                          \
                         "add    lr, r1, r1, lsl #1       \n"                                                          \
                         "movw   r11, #0xAAAB             \n"                                                          \
                         "movt   r11, #0xAAAA             \n" MQ_WINOGRAD_CHANNEL(constants, one)                      \
                             MQ_WINOGRAD_CHANNEL(constants, one) MQ_WINOGRAD_CHANNEL(constants, one)                   \
                                 MQ_WINOGRAD_CHANNEL(constants, one)                                                   \
                         "pop    {r4-r11, pc}             \n");                                                        \
    }

#else

MQ_KERNEL void mq_winograd_row_input(const uint32_t *x, int32_t words, int32_t position, uint32_t *to)
{
    for (int32_t k = 0; k < words; k++, x++, to += 4) {
        uint32_t even[6], odd[6], y[2][6];
        for (int32_t j = 0; j < 6; j++) {
            even[j] = mq_sxtb16(x[j * words]);
            odd[j] = mq_sxtb16_ror8(x[j * words]);
        }
        mq_winograd_b(even, y[0]);
        mq_winograd_b(odd, y[1]);
        for (int32_t j = 0; j < 6; j++) {
            to[j * (position / 4)] = y[0][j];
            to[j * (position / 4) + 2] = y[1][j];
        }
    }
}

MQ_KERNEL void mq_winograd_row_output(const uint32_t *products, const int32_t *constants, int8_t *y, int32_t y_pixel,
                                      int32_t count, mq_winograd_requantize_t *requantize)
{
    for (int32_t channel = 0; channel < 4; channel++, products += 2, constants += count) {
        uint32_t m[6], sums[4];
        for (int32_t j = 0; j < 6; j++) {
            m[j] = products[8 * j];
        }
        mq_winograd_a(m, sums);
        for (int32_t j = 0; j < 4; j++) {
            y[j * y_pixel + channel] = requantize(sums[j] + (uint32_t)constants[0], constants);
        }
    }
}

MQ_KERNEL int8_t mq_winograd_requantize_twice_384(uint32_t sum, const int32_t *constants)
{
    return mq_winograd_round_twice((int32_t)(sum * 0xAAAAAAABu) >> 6, constants);
}

#define MQ_WINOGRAD_ROW_DEFINE(name, constants_, one, count, twin)                                                     \
    MQ_KERNEL void name(const uint32_t *products, const int32_t *constants, int8_t *y, int32_t y_pixel)                \
    {                                                                                                                  \
        mq_winograd_row_output(products, constants, y, y_pixel, count, twin);                                          \
    }

#endif

/* A of six products, eight words apart, and the requantization: four outputs of each of four channels. Constants of a
   channel: start, and a factor; or m, what is added, and a shift. */
typedef void mq_winograd_row_output_t(const uint32_t *products, const int32_t *constants, int8_t *y, int32_t y_pixel);

MQ_WINOGRAD_ROW_DEFINE(mq_winograd_row_12, "r4, r6", MQ_WINOGRAD_ROW_ONCE_12, 2, mq_winograd_requantize_12)
MQ_WINOGRAD_ROW_DEFINE(mq_winograd_row_8, "r4, r6", MQ_WINOGRAD_ROW_ONCE_8, 2, mq_winograd_requantize_8)
MQ_WINOGRAD_ROW_DEFINE(mq_winograd_row_twice, "r4, r6, r9, r10", MQ_WINOGRAD_ROW_TWICE, 4,
                       mq_winograd_requantize_twice_384)

#endif
