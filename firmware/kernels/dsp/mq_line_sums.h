/* Sums over lines of int16 on cores with SMLAD: the micro-kernels of mq_depthwise_lines.h. In assembly; the same in C
 * elsewhere.
 *
 * A line holds the pixels of one channel, two a word. Its taps are packed in pairs, and each pair is a step. With the
 * pairs (w0, w1), (w2, w3), ... an even output takes SMLAD of a word and a pair. The odd output beside it takes the same
 * words, times the pairs (0, w0), (w1, w2), ..., which are made from two neighbors by PKHBT:
 *
 *     x0 x1 | x2 x3      y0 = x0 x1 * w0 w1 + x2 x3 * w2 w3      y1 = x0 x1 * 0 w0 + x2 x3 * w1 w2 + ...
 *
 * Six outputs take 10 cycles per step, for 12 MACs; four take 8, two 6. Where neighboring outputs are two pixels apart,
 * each begins at a word: four take 7 cycles per step. A window is several lines: rows, parts of a row, or both. The
 * stream has the pairs of a line and then the way to the next one.
 */
#ifndef MQ_LINE_SUMS_H
#define MQ_LINE_SUMS_H

#include "mq_dot.h"

/* Rows of outputs of one channel. The assembly works on a copy of it, in this order. */
typedef struct {
    const uint8_t *x; /* the first line of the window of the first output */
    const uint32_t *w; /* for each line of a window its pairs, as int16 times the unit of the sum, and the bytes from the last
                          word that the first outputs read to the first word of the next line, or 0 in the last line */
    int32_t start;
    int8_t *y;
    int32_t y_pixel; /* bytes from an output to the next */
    int32_t outputs_left;
    int32_t factor, rounding, shift; /* a factor; or m, what is added, and shift of TFLite's two roundings */
    const uint8_t *x_row;            /* as x and y, of the first row */
    int8_t *y_row;
    int32_t x_step, y_step; /* bytes from a row of outputs to the next */
    int32_t outputs;        /* outputs in a row; 1 or more */
    int32_t rows;           /* 1 or more */
} mq_line_sums_t;

typedef void mq_line_sums_kernel_t(const mq_line_sums_t *call);

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* r0: words of the line; lr: stream; r1: way to the next line; r4..r9: sums; r10, r11: pairs. The last step of a line
   leaves r0 at the last word, so that no way is 0. */
#define MQ_LINES_ON(x) "ldr.w  " x ", [r0], #4\n"
#define MQ_LINES_LAST(x)                                                                                               \
    "ldr.w  " x ", [r0]\n"                                                                                             \
    "ldr.w  r1, [lr], #4\n"
#define MQ_LINES_BOTH(even, odd, x, w, shifted)                                                                        \
    "smlad  " even ", " x ", " w ", " even "\n"                                                                        \
    "smladx " odd ", " x ", " shifted ", " odd "\n"

#define MQ_LINES_SIX(a, b, c, w, shifted)                                                                              \
    MQ_LINES_BOTH("r4", "r5", a, w, shifted)                                                                           \
    MQ_LINES_BOTH("r6", "r7", b, w, shifted) MQ_LINES_BOTH("r8", "r9", c, w, shifted)
#define MQ_LINES_FOUR(a, b, w, shifted)                                                                                \
    MQ_LINES_BOTH("r4", "r5", a, w, shifted) MQ_LINES_BOTH("r6", "r7", b, w, shifted)
#define MQ_LINES_TWO(a, w, shifted) MQ_LINES_BOTH("r4", "r5", a, w, shifted)
#define MQ_LINES_APART(a, b, c, d)                                                                                     \
    "smlad  r4, " a ", r10, r4\n"                                                                                      \
    "smlad  r5, " b ", r10, r5\n"                                                                                      \
    "smlad  r6, " c ", r10, r6\n"                                                                                      \
    "smlad  r7, " d ", r10, r7\n"

#define MQ_LINES_PAIR "ldr.w  r10, [lr], #4\n"
#define MQ_LINES_SHIFTED "uxth   r11, r10\n"
/* A pair into `w`; `before`, which holds the pair before it, gets the shifted one. */
#define MQ_LINES_NEXT(w, before, x, load)                                                                              \
    "ldr.w  " w ", [lr], #4\n" load(x) "pkhbt  " before ", " w ", " before "\n"

/* The steps of a line, in the order of their registers: a new word goes where the oldest was. */
#define MQ_LINES_6_0(load)                                                                                             \
    MQ_LINES_PAIR MQ_LINES_ON("r2") MQ_LINES_ON("r3") load("r12") MQ_LINES_SHIFTED                                     \
    MQ_LINES_SIX("r2", "r3", "r12", "r10", "r11")
#define MQ_LINES_6_1(load) MQ_LINES_NEXT("r11", "r10", "r2", load) MQ_LINES_SIX("r3", "r12", "r2", "r11", "r10")
#define MQ_LINES_6_2(load) MQ_LINES_NEXT("r10", "r11", "r3", load) MQ_LINES_SIX("r12", "r2", "r3", "r10", "r11")
#define MQ_LINES_6_3(load) MQ_LINES_NEXT("r11", "r10", "r12", load) MQ_LINES_SIX("r2", "r3", "r12", "r11", "r10")
#define MQ_LINES_6_4(load) MQ_LINES_NEXT("r10", "r11", "r2", load) MQ_LINES_SIX("r3", "r12", "r2", "r10", "r11")
#define MQ_LINES_6_5(load) MQ_LINES_NEXT("r11", "r10", "r3", load) MQ_LINES_SIX("r12", "r2", "r3", "r11", "r10")
#define MQ_LINES_6_6(load) MQ_LINES_NEXT("r10", "r11", "r12", load) MQ_LINES_SIX("r2", "r3", "r12", "r10", "r11")
#define MQ_LINES_6_7(load) MQ_LINES_NEXT("r11", "r10", "r2", load) MQ_LINES_SIX("r3", "r12", "r2", "r11", "r10")

#define MQ_LINES_4_0(load)                                                                                             \
    MQ_LINES_PAIR MQ_LINES_ON("r2") load("r3") MQ_LINES_SHIFTED MQ_LINES_FOUR("r2", "r3", "r10", "r11")
#define MQ_LINES_4_1(load) MQ_LINES_NEXT("r11", "r10", "r2", load) MQ_LINES_FOUR("r3", "r2", "r11", "r10")
#define MQ_LINES_4_2(load) MQ_LINES_NEXT("r10", "r11", "r3", load) MQ_LINES_FOUR("r2", "r3", "r10", "r11")
#define MQ_LINES_4_3(load) MQ_LINES_4_1(load)
#define MQ_LINES_4_4(load) MQ_LINES_4_2(load)
#define MQ_LINES_4_5(load) MQ_LINES_4_1(load)
#define MQ_LINES_4_6(load) MQ_LINES_4_2(load)
#define MQ_LINES_4_7(load) MQ_LINES_4_1(load)

#define MQ_LINES_2_0(load) MQ_LINES_PAIR load("r2") MQ_LINES_SHIFTED MQ_LINES_TWO("r2", "r10", "r11")
#define MQ_LINES_2_1(load) MQ_LINES_NEXT("r11", "r10", "r2", load) MQ_LINES_TWO("r2", "r11", "r10")
#define MQ_LINES_2_2(load) MQ_LINES_NEXT("r10", "r11", "r2", load) MQ_LINES_TWO("r2", "r10", "r11")
#define MQ_LINES_2_3(load) MQ_LINES_2_1(load)
#define MQ_LINES_2_4(load) MQ_LINES_2_2(load)
#define MQ_LINES_2_5(load) MQ_LINES_2_1(load)
#define MQ_LINES_2_6(load) MQ_LINES_2_2(load)
#define MQ_LINES_2_7(load) MQ_LINES_2_1(load)

#define MQ_LINES_apart_0(load)                                                                                         \
    MQ_LINES_PAIR MQ_LINES_ON("r2") MQ_LINES_ON("r3") MQ_LINES_ON("r8") load("r9")                                     \
    MQ_LINES_APART("r2", "r3", "r8", "r9")
#define MQ_LINES_apart_1(load) MQ_LINES_PAIR load("r2") MQ_LINES_APART("r3", "r8", "r9", "r2")
#define MQ_LINES_apart_2(load) MQ_LINES_PAIR load("r3") MQ_LINES_APART("r8", "r9", "r2", "r3")
#define MQ_LINES_apart_3(load) MQ_LINES_PAIR load("r8") MQ_LINES_APART("r9", "r2", "r3", "r8")
#define MQ_LINES_apart_4(load) MQ_LINES_PAIR load("r9") MQ_LINES_APART("r2", "r3", "r8", "r9")
#define MQ_LINES_apart_5(load) MQ_LINES_apart_1(load)
#define MQ_LINES_apart_6(load) MQ_LINES_apart_2(load)
#define MQ_LINES_apart_7(load) MQ_LINES_apart_3(load)

#define MQ_LINES_STEPS_1(f) MQ_LINES_##f##_0(MQ_LINES_LAST)
#define MQ_LINES_STEPS_2(f) MQ_LINES_##f##_0(MQ_LINES_ON) MQ_LINES_##f##_1(MQ_LINES_LAST)
#define MQ_LINES_TWO_ON(f) MQ_LINES_##f##_0(MQ_LINES_ON) MQ_LINES_##f##_1(MQ_LINES_ON)
#define MQ_LINES_STEPS_3(f) MQ_LINES_TWO_ON(f) MQ_LINES_##f##_2(MQ_LINES_LAST)
#define MQ_LINES_THREE_ON(f) MQ_LINES_TWO_ON(f) MQ_LINES_##f##_2(MQ_LINES_ON)
#define MQ_LINES_STEPS_4(f) MQ_LINES_THREE_ON(f) MQ_LINES_##f##_3(MQ_LINES_LAST)
#define MQ_LINES_FOUR_ON(f) MQ_LINES_THREE_ON(f) MQ_LINES_##f##_3(MQ_LINES_ON)
#define MQ_LINES_STEPS_5(f) MQ_LINES_FOUR_ON(f) MQ_LINES_##f##_4(MQ_LINES_LAST)
#define MQ_LINES_FIVE_ON(f) MQ_LINES_FOUR_ON(f) MQ_LINES_##f##_4(MQ_LINES_ON)
#define MQ_LINES_STEPS_6(f) MQ_LINES_FIVE_ON(f) MQ_LINES_##f##_5(MQ_LINES_LAST)
#define MQ_LINES_SIX_ON(f) MQ_LINES_FIVE_ON(f) MQ_LINES_##f##_5(MQ_LINES_ON)
#define MQ_LINES_STEPS_7(f) MQ_LINES_SIX_ON(f) MQ_LINES_##f##_6(MQ_LINES_LAST)
#define MQ_LINES_STEPS_8(f) MQ_LINES_SIX_ON(f) MQ_LINES_##f##_6(MQ_LINES_ON) MQ_LINES_##f##_7(MQ_LINES_LAST)

/* Every sum of a strip begins with `start`, in r4. */
#define MQ_LINES_START_2 "mov    r5, r4\n"
#define MQ_LINES_START_4 MQ_LINES_START_2 "mov    r6, r4\n" "mov    r7, r4\n"
#define MQ_LINES_START_6 MQ_LINES_START_4 "mov    r8, r4\n" "mov    r9, r4\n"
#define MQ_LINES_START_apart MQ_LINES_START_4

/* Requantization: r0 has y, r1 the way to the next output, r2 the factor. */
#define MQ_LINES_EACH_2(one) one("r4") one("r5")
#define MQ_LINES_EACH_4(one) MQ_LINES_EACH_2(one) one("r6") one("r7")
#define MQ_LINES_EACH_6(one) MQ_LINES_EACH_4(one) one("r8") one("r9")
#define MQ_LINES_EACH_apart(one) MQ_LINES_EACH_4(one)
#define MQ_LINES_MULTIPLY(y) "smmulr " y ", " y ", r2\n"
#define MQ_LINES_SHIFT_8(y) "ssat   " y ", #8, " y ", asr #8\n"
#define MQ_LINES_SHIFT_12(y) "ssat   " y ", #8, " y ", asr #12\n"
#define MQ_LINES_ROUND_TWICE(y)                                                                                        \
    "add    r11, r3, " y ", asr #31\n"                                                                                 \
    "smmlar " y ", " y ", r2, r11\n"                                                                                   \
    "asr    " y ", " y ", r10\n"                                                                                       \
    "ssat   " y ", #8, " y "\n"
#define MQ_LINES_SCALE_8(each) each(MQ_LINES_MULTIPLY) each(MQ_LINES_SHIFT_8)
#define MQ_LINES_SCALE_12(each) each(MQ_LINES_MULTIPLY) each(MQ_LINES_SHIFT_12)
#define MQ_LINES_SCALE_twice(each)                                                                                     \
    "ldr    r3, [sp, #28]\n"                                                                                           \
    "ldr    r10, [sp, #32]\n" each(MQ_LINES_ROUND_TWICE)

/* r12: outputs of the row that are left beyond this strip. */
#define MQ_LINES_STORE_2                                                                                               \
    "strb   r4, [r0]\n"                                                                                                \
    "strb   r5, [r0, r1]\n"                                                                                            \
    "add    r0, r0, r1, lsl #1\n"
#define MQ_LINES_STORE_4                                                                                               \
    MQ_LINES_STORE_2                                                                                                   \
    "strb   r6, [r0]\n"                                                                                                \
    "strb   r7, [r0, r1]\n"                                                                                            \
    "add    r0, r0, r1, lsl #1\n"
#define MQ_LINES_STORE_6                                                                                               \
    MQ_LINES_STORE_4                                                                                                   \
    "strb   r8, [r0]\n"                                                                                                \
    "strb   r9, [r0, r1]\n"                                                                                            \
    "add    r0, r0, r1, lsl #1\n"
#define MQ_LINES_STORE_apart MQ_LINES_STORE_4

/* Fewer than a strip: r12 has their number less that of a strip. */
#define MQ_LINES_REST_2 "strb   r4, [r0]\n"
#define MQ_LINES_REST_4                                                                                                \
    "strb   r4, [r0]\n"                                                                                                \
    "cmn    r12, #2\n"                                                                                                 \
    "blt    6f\n"                                                                                                      \
    "strb   r5, [r0, r1]\n"                                                                                            \
    "beq    6f\n"                                                                                                      \
    "strb   r6, [r0, r1, lsl #1]\n"
#define MQ_LINES_REST_6                                                                                                \
    "strb   r4, [r0]\n"                                                                                                \
    "cmn    r12, #4\n"                                                                                                 \
    "blt    6f\n"                                                                                                      \
    "strb   r5, [r0, r1]\n"                                                                                            \
    "beq    6f\n"                                                                                                      \
    "strb   r6, [r0, r1, lsl #1]\n"                                                                                    \
    "cmn    r12, #2\n"                                                                                                 \
    "blt    6f\n"                                                                                                      \
    "add    r2, r0, r1\n"                                                                                              \
    "strb   r7, [r2, r1, lsl #1]\n"                                                                                    \
    "beq    6f\n"                                                                                                      \
    "strb   r8, [r0, r1, lsl #2]\n"
#define MQ_LINES_REST_apart MQ_LINES_REST_4

#define MQ_LINES_WIDTH_2 "2"
#define MQ_LINES_WIDTH_4 "4"
#define MQ_LINES_WIDTH_6 "6"
#define MQ_LINES_WIDTH_apart "4"
#define MQ_LINES_BYTES_2 "4"
#define MQ_LINES_BYTES_4 "8"
#define MQ_LINES_BYTES_6 "12"
#define MQ_LINES_BYTES_apart "16"

#define MQ_LINES_NAMED(name, form, steps, scale)                                                                       \
    static __attribute__((naked, noinline, unused)) void name(const mq_line_sums_t *call __attribute__((unused)))      \
    {                                                                                                                  \
        __asm__ volatile("push   {r4-r11, lr}\n"                                                                       \
                         "sub    sp, sp, #60\n"                                                                        \
                         "ldmia  r0!, {r1-r9}\n"                                                                       \
                         "stmia  sp, {r1-r9}\n"                                                                        \
                         "add    r12, sp, #36\n"                                                                       \
                         "ldmia  r0, {r1-r6}\n"                                                                        \
                         "stmia  r12, {r1-r6}\n"                                                                       \
                         "ldr    r0, [sp]\n"                                                                           \
                         "1:\n" /* a strip */                                                                          \
                         "ldr    lr, [sp, #4]\n"                                                                       \
                         "ldr    r4, [sp, #8]\n" MQ_LINES_START_##form                                                 \
                         "2:\n" /* a line */                                                                           \
                         MQ_LINES_STEPS_##steps(form)                                                                  \
                         "cbz    r1, 3f\n"                                                                             \
                         "add    r0, r0, r1\n"                                                                         \
                         "b      2b\n"                                                                                 \
                         "3:\n"                                                                                        \
                         "ldr    r0, [sp, #12]\n"                                                                      \
                         "ldr    r1, [sp, #16]\n"                                                                      \
                         "ldr    r12, [sp, #20]\n"                                                                     \
                         "ldr    r2, [sp, #24]\n" MQ_LINES_SCALE_##scale(MQ_LINES_EACH_##form)                         \
                         "subs   r12, r12, #" MQ_LINES_WIDTH_##form "\n"                                               \
                         "blt    5f\n" MQ_LINES_STORE_##form                                                           \
                         "beq    6f\n"                                                                                 \
                         "str    r0, [sp, #12]\n"                                                                      \
                         "str    r12, [sp, #20]\n"                                                                     \
                         "ldr    r0, [sp]\n"                                                                           \
                         "add    r0, r0, #" MQ_LINES_BYTES_##form "\n"                                                 \
                         "str    r0, [sp]\n"                                                                           \
                         "b      1b\n"                                                                                 \
                         "5:\n" MQ_LINES_REST_##form                                                                   \
                         "6:\n" /* the next row */                                                                     \
                         "ldr    r0, [sp, #36]\n"                                                                      \
                         "ldr    r1, [sp, #40]\n"                                                                      \
                         "ldr    r2, [sp, #44]\n"                                                                      \
                         "ldr    r3, [sp, #48]\n"                                                                      \
                         "ldr    r4, [sp, #52]\n"                                                                      \
                         "ldr    r5, [sp, #56]\n"                                                                      \
                         "add    r0, r0, r2\n"                                                                         \
                         "add    r1, r1, r3\n"                                                                         \
                         "str    r0, [sp]\n"                                                                           \
                         "str    r0, [sp, #36]\n"                                                                      \
                         "str    r1, [sp, #12]\n"                                                                      \
                         "str    r1, [sp, #40]\n"                                                                      \
                         "str    r4, [sp, #20]\n"                                                                      \
                         "subs   r5, r5, #1\n"                                                                         \
                         "str    r5, [sp, #56]\n"                                                                      \
                         "bne    1b\n"                                                                                 \
                         "add    sp, sp, #60\n"                                                                        \
                         "pop    {r4-r11, pc}\n");                                                                      \
    }

#else

/* One output, `i` of a strip of `width`. `apart`: neighboring outputs begin at neighboring words. */
MQ_KERNEL int32_t mq_line_sum(const mq_line_sums_t *call, const uint8_t *line, int32_t i, int32_t live, int32_t steps,
                              int apart)
{
    int32_t sum = call->start;
    for (const uint32_t *w = call->w;; w += steps + 1) {
        const uint32_t *x = (const uint32_t *)(const void *)line + (apart ? i : i / 2);
        for (int32_t k = 0; k < steps; k++) {
            const uint32_t shifted = (k ? w[k - 1] >> 16 : 0u) | w[k] << 16;
            sum = mq_smlad(x[k], !apart && i % 2 ? shifted : w[k], sum);
        }
        if (!w[steps]) {
            return sum;
        }
        line += 4 * (live + steps - 2) + (int32_t)w[steps];
    }
}

typedef int8_t mq_line_requantize_t(int32_t sum, const mq_line_sums_t *call);

MQ_KERNEL int8_t mq_line_requantize_8(int32_t sum, const mq_line_sums_t *call)
{
    return (int8_t)mq_ssat8_asr8(mq_smmulr(sum, call->factor));
}

MQ_KERNEL int8_t mq_line_requantize_12(int32_t sum, const mq_line_sums_t *call)
{
    return (int8_t)mq_ssat8_asr12(mq_smmulr(sum, call->factor));
}

MQ_KERNEL int8_t mq_line_requantize_twice(int32_t sum, const mq_line_sums_t *call)
{
    const int32_t scale[] = {call->factor, call->rounding, call->shift};
    return mq_dot_requantize_doubled(sum, scale);
}

MQ_KERNEL void mq_line_rows(const mq_line_sums_t *call, int32_t width, int apart, int32_t steps,
                            mq_line_requantize_t *requantize)
{
    const int32_t live = apart ? width : width / 2;
    for (int32_t row = 0; row < call->rows; row++) {
        for (int32_t o = 0; o < call->outputs; o++) {
            const uint8_t *line = call->x_row + row * call->x_step + o / width * 4 * live;
            const int32_t sum = mq_line_sum(call, line, o % width, live, steps, apart);
            call->y_row[row * call->y_step + o * call->y_pixel] = requantize(sum, call);
        }
    }
}

#define MQ_LINES_WIDTH_2 2, 0
#define MQ_LINES_WIDTH_4 4, 0
#define MQ_LINES_WIDTH_6 6, 0
#define MQ_LINES_WIDTH_apart 4, 1
#define MQ_LINES_NAMED(name, form, steps, scale)                                                                       \
    static __attribute__((unused)) void name(const mq_line_sums_t *call)                                               \
    {                                                                                                                  \
        mq_line_rows(call, MQ_LINES_WIDTH_##form, steps, mq_line_requantize_##scale);                                  \
    }

#endif

/* Steps of a line at most. */
#define MQ_LINES_MOST 8

/* The kernels of strips of `form` outputs, and the one for `steps` steps a line. Both are known at compile time, so that
   one of them is linked. */
#define MQ_LINES_DEFINE(form, scale)                                                                                   \
    MQ_LINES_NAMED(mq_line_sums_##form##_1_##scale, form, 1, scale)                                                    \
    MQ_LINES_NAMED(mq_line_sums_##form##_2_##scale, form, 2, scale)                                                    \
    MQ_LINES_NAMED(mq_line_sums_##form##_3_##scale, form, 3, scale)                                                    \
    MQ_LINES_NAMED(mq_line_sums_##form##_4_##scale, form, 4, scale)                                                    \
    MQ_LINES_NAMED(mq_line_sums_##form##_5_##scale, form, 5, scale)                                                    \
    MQ_LINES_NAMED(mq_line_sums_##form##_6_##scale, form, 6, scale)                                                    \
    MQ_LINES_NAMED(mq_line_sums_##form##_7_##scale, form, 7, scale)                                                    \
    MQ_LINES_NAMED(mq_line_sums_##form##_8_##scale, form, 8, scale)                                                    \
    MQ_KERNEL mq_line_sums_kernel_t *mq_line_sums_##form##_##scale(int32_t steps)                                      \
    {                                                                                                                  \
        switch (steps) {                                                                                               \
        case 1: return mq_line_sums_##form##_1_##scale;                                                                \
        case 2: return mq_line_sums_##form##_2_##scale;                                                                \
        case 3: return mq_line_sums_##form##_3_##scale;                                                                \
        case 4: return mq_line_sums_##form##_4_##scale;                                                                \
        case 5: return mq_line_sums_##form##_5_##scale;                                                                \
        case 6: return mq_line_sums_##form##_6_##scale;                                                                \
        case 7: return mq_line_sums_##form##_7_##scale;                                                                \
        default: return mq_line_sums_##form##_8_##scale;                                                               \
        }                                                                                                              \
    }

#endif
