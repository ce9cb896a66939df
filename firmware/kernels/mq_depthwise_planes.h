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

#include "mq_dsp.h"

#define MQ_PLANES_STRIP 6

typedef struct {
    int32_t batch;
    int32_t in_h, in_w, channels;
    int32_t out_h, out_w;
    int32_t stride_h, stride_w; /* stride_w: 1 or 2 */
    int32_t pad_top, pad_left;  /* pad_left: 0 or 1 */
    int32_t x_zero;             /* what padding holds */
    int32_t row;                /* words of a strip's row: 7 where stride_w is 2, else 4, or 3 as said above */
    int32_t band;               /* output rows of a band */
} mq_depthwise_planes_t;

/* Strips of equal width of `channels` planes, one after the other. */
typedef struct {
    int32_t y_pixel; /* bytes from an output to the next */
    int32_t factor;
    int32_t y_row;  /* from the last output written in a row to the first of the row below */
    int32_t x_row;  /* from the end of one window to the start of the window below, in bytes like all steps */
    const uint8_t *x_end;
    int32_t start;
    uint32_t weights[6]; /* w0 w1, w1 w2 of each row */
    const uint8_t *x;
    int8_t *y;
    const uint32_t *stream; /* of each channel: w0 w1 w2 0 of each row as bytes, start, and factor or else m, rounding
                               with zero point and shift */
    int32_t plane;          /* from a channel's plane to the next one's */
    int32_t channels;
    int32_t span; /* bytes that the windows of one column of a strip move over */
    int32_t form; /* outputs a row less 1; 6 more with a stride of 2; 12 where rows take 3 words */
    int32_t strips;
    int32_t x_strip, y_strip; /* from the end of a strip to the next */
    int32_t strip;            /* bytes of a strip */
    int32_t strips_left;
} mq_planes_t;

typedef void mq_planes_kernel_t(const mq_planes_t *);

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

#define MQ_PLANES_EVEN(y, from, x, next)                                                                               \
    "smlad  " y ", " x ", r10, " from "\n"                                                                             \
    "smlabt " y ", " next ", r11, " y "\n"
#define MQ_PLANES_ODD(y, from, x, next)                                                                                \
    "smlad  " y ", " next ", r11, " from "\n"                                                                          \
    "smlatb " y ", " x ", r10, " y "\n"

/* What is added to: `start` in the first row of a window, the accumulator itself in the others. */
#define MQ_PLANES_START(y) "r9"
#define MQ_PLANES_SUM(y) y

#define MQ_PLANES_1(from) MQ_PLANES_EVEN("r4", from("r4"), "r0", "r1")
#define MQ_PLANES_2(from) MQ_PLANES_1(from) MQ_PLANES_ODD("r5", from("r5"), "r0", "r1")
#define MQ_PLANES_3(from) MQ_PLANES_2(from) MQ_PLANES_EVEN("r6", from("r6"), "r1", "r2")
#define MQ_PLANES_4(from) MQ_PLANES_3(from) MQ_PLANES_ODD("r7", from("r7"), "r1", "r2")
#define MQ_PLANES_5(from) MQ_PLANES_4(from) MQ_PLANES_EVEN("r8", from("r8"), "r2", "r3")
#define MQ_PLANES_6(from) MQ_PLANES_5(from) MQ_PLANES_ODD("r9", from("r9"), "r2", "r3")

#define MQ_PLANES_MORE "ldmia r12!, {r0, r1, r2}\n"
#define MQ_PLANES_SKIP "add r12, r12, #12\n"
#define MQ_PLANES_A(from) MQ_PLANES_EVEN("r4", from("r4"), "r0", "r1")
#define MQ_PLANES_B(from) MQ_PLANES_A(from) MQ_PLANES_EVEN("r5", from("r5"), "r1", "r2")
#define MQ_PLANES_C(from) MQ_PLANES_B(from) MQ_PLANES_EVEN("r6", from("r6"), "r2", "r3")
#define MQ_PLANES_D(from) MQ_PLANES_C(from) MQ_PLANES_MORE MQ_PLANES_EVEN("r7", from("r7"), "r3", "r0")
#define MQ_PLANES_E(from) MQ_PLANES_D(from) MQ_PLANES_EVEN("r8", from("r8"), "r0", "r1")
#define MQ_PLANES_F(from) MQ_PLANES_E(from) MQ_PLANES_EVEN("r9", from("r9"), "r1", "r2")
#define MQ_PLANES_A_SKIP(from) MQ_PLANES_A(from) MQ_PLANES_SKIP
#define MQ_PLANES_B_SKIP(from) MQ_PLANES_B(from) MQ_PLANES_SKIP
#define MQ_PLANES_C_SKIP(from) MQ_PLANES_C(from) MQ_PLANES_SKIP

/* Five outputs of rows that share their ends. */
#define MQ_PLANES_FIVE(from, a, b, c, d)                                                                               \
    MQ_PLANES_EVEN("r4", from("r4"), a, b)                                                                             \
    MQ_PLANES_ODD("r5", from("r5"), a, b)                                                                              \
    MQ_PLANES_EVEN("r6", from("r6"), b, c) MQ_PLANES_ODD("r7", from("r7"), b, c) MQ_PLANES_EVEN("r8", from("r8"), c, d)

/* Requantization of one accumulator: in two instructions, of which one goes with the store, or by TFLite's two
   roundings (high multiply, then a shift that rounds halves away from zero). */
#define MQ_PLANES_ONCE(y) "smmulr " y ", " y ", r1\n"
#define MQ_PLANES_TWICE(y)                                                                                             \
    "asr    " y ", " y ", #7\n"                                                                                        \
    "smmulr " y ", " y ", r1\n"                                                                                        \
    "add    " y ", " y ", " y ", asr #31\n"                                                                            \
    "add    " y ", " y ", r2\n"                                                                                        \
    "asr    " y ", " y ", r3\n"
#define MQ_PLANES_STORE(y, place, shift)                                                                               \
    "ssat   " y ", #8, " y shift "\n"                                                                                  \
    "strb   " y ", " place "\n"

#define MQ_PLANES_SCALE_1(one) one("r4")
#define MQ_PLANES_SCALE_2(one) MQ_PLANES_SCALE_1(one) one("r5")
#define MQ_PLANES_SCALE_3(one) MQ_PLANES_SCALE_2(one) one("r6")
#define MQ_PLANES_SCALE_4(one) MQ_PLANES_SCALE_3(one) one("r7")
#define MQ_PLANES_SCALE_5(one) MQ_PLANES_SCALE_4(one) one("r8")
#define MQ_PLANES_SCALE_6(one) MQ_PLANES_SCALE_5(one) one("r9")

#define MQ_PLANES_ON "add    lr, lr, r0\n"
#define MQ_PLANES_STORE_1(shift) MQ_PLANES_STORE("r4", "[lr]", shift)
#define MQ_PLANES_STORE_2(shift) MQ_PLANES_STORE_1(shift) MQ_PLANES_STORE("r5", "[lr, r0]", shift)
#define MQ_PLANES_STORE_3(shift) MQ_PLANES_STORE_2(shift) MQ_PLANES_STORE("r6", "[lr, r0, lsl #1]", shift)
#define MQ_PLANES_STORE_4(shift)                                                                                       \
    MQ_PLANES_STORE_3(shift) MQ_PLANES_ON MQ_PLANES_STORE("r7", "[lr, r0, lsl #1]", shift)
#define MQ_PLANES_STORE_5(shift)                                                                                       \
    MQ_PLANES_STORE_3(shift) MQ_PLANES_STORE("r8", "[lr, r0, lsl #2]", shift) MQ_PLANES_ON                             \
    MQ_PLANES_STORE("r7", "[lr, r0, lsl #1]", shift)
#define MQ_PLANES_STORE_6(shift) MQ_PLANES_STORE_5(shift) MQ_PLANES_STORE("r9", "[lr, r0, lsl #2]", shift)

#define MQ_PLANES_STEPS "ldmia  sp, {r0, r1, r2, r3, r10}\n" /* y_pixel, factor, y_row, x_row, x_end */
#define MQ_PLANES_END_8(outputs)                                                                                       \
    MQ_PLANES_STEPS MQ_PLANES_SCALE_##outputs(MQ_PLANES_ONCE) MQ_PLANES_STORE_##outputs(", asr #8")
#define MQ_PLANES_END_TWICE(outputs)                                                                                   \
    "ldr    r1, [sp, #4]\n"                                                                                            \
    "ldrd   r2, r3, [sp, #96]\n" MQ_PLANES_SCALE_##outputs(MQ_PLANES_TWICE)                                            \
    MQ_PLANES_STEPS MQ_PLANES_STORE_##outputs("")

#define MQ_PLANES_ROW(at, taps)                                                                                        \
    "ldrd   r10, r11, [sp, #" at "]\n"                                                                                 \
    "ldmia  r12!, {r0, r1, r2, r3}\n" taps

#define MQ_PLANES_THREE(taps)                                                                                          \
    MQ_PLANES_ROW("24", taps(MQ_PLANES_START)) MQ_PLANES_ROW("32", taps(MQ_PLANES_SUM))                                \
    MQ_PLANES_ROW("40", taps(MQ_PLANES_SUM))
#define MQ_PLANES_SHARED_ENDS                                                                                          \
    MQ_PLANES_ROW("24", MQ_PLANES_FIVE(MQ_PLANES_START, "r0", "r1", "r2", "r3"))                                       \
    "ldrd   r10, r11, [sp, #32]\n"                                                                                     \
    "ldmia  r12!, {r0, r1, r2}\n" MQ_PLANES_FIVE(MQ_PLANES_SUM, "r3", "r0", "r1", "r2")                                \
    "ldrd   r10, r11, [sp, #40]\n"                                                                                     \
    "ldmia  r12!, {r0, r1, r3}\n" MQ_PLANES_FIVE(MQ_PLANES_SUM, "r2", "r0", "r1", "r3")

/* Strips of one width, from label on. r9 holds `start` when a row begins: for six outputs it is loaded again. */
#define MQ_PLANES_FORM(label, again, rows, outputs, end)                                                               \
    label ":\n"                                                                                                        \
    "ldr    r9, [sp, #20]\n" again rows end(outputs)                                                                   \
    "add    lr, lr, r2\n"                                                                                              \
    "add    r12, r12, r3\n"                                                                                            \
    "cmp    r12, r10\n"                                                                                                \
    "bne    3b\n"                                                                                                      \
    "b      8f\n"

/* r1, r2 or r3 holds a row of weights: the words times 256. */
#define MQ_PLANES_WEIGHTS(row, low, high)                                                                              \
    "and    r0, lr, " row "\n"                                                                                         \
    "and    " row ", lr, " row ", lsl #8\n"                                                                            \
    "pkhbt  " low ", " row ", r0, lsl #16\n"                                                                           \
    "pkhbt  " high ", r0, " row "\n"

#define MQ_PLANES_DEFINE(name, constants, end, words, twin)                                                            \
    static __attribute__((naked, noinline, unused)) void name(const mq_planes_t *p __attribute__((unused)))            \
    {                                                                                                                  \
        __asm__ volatile(                                                                                              \
            "push   {r4-r11, lr}\n"                                                                                    \
            "sub    sp, sp, #104\n" /* the struct again, where registers need no base */                               \
            "ldmia  r0!, {r1-r4}\n"                                                                                    \
            "stmia  sp, {r1-r4}\n"                                                                                     \
            "adds   r0, r0, #32\n"                                                                                     \
            "ldmia  r0, {r1-r11}\n"                                                                                    \
            "add    r12, sp, #48\n"                                                                                    \
            "stmia  r12, {r1-r11}\n"                                                                                   \
            "1:\n"                                                                                                     \
            "ldr    r0, [sp, #56]\n"                                                                                   \
            "ldmia  r0!, {r1-r5}\n" constants                                                                          \
            "str    r0, [sp, #56]\n"                                                                                   \
            "mov    lr, #0xFF00FF00\n"                                                                                 \
            "mov    r6, r4\n"                                                                                          \
            MQ_PLANES_WEIGHTS("r1", "r7", "r8")                                                                        \
            MQ_PLANES_WEIGHTS("r2", "r9", "r10")                                                                       \
            MQ_PLANES_WEIGHTS("r3", "r11", "r12")                                                                      \
            "add    r0, sp, #20\n"                                                                                     \
            "stmia  r0, {r6-r12}\n" /* start and weights */                                                            \
            "str    r5, [sp, #4]\n"                                                                                    \
            "ldr    r12, [sp, #48]\n"                                                                                  \
            "ldr    lr, [sp, #52]\n"                                                                                   \
            "ldr    r0, [sp, #60]\n"                                                                                   \
            "ldr    r1, [sp, #68]\n"                                                                                   \
            "ldr    r2, [sp, #76]\n"                                                                                   \
            "add    r0, r0, r12\n"                                                                                     \
            "str    r0, [sp, #48]\n"                                                                                   \
            "add    r0, lr, #1\n"                                                                                      \
            "str    r0, [sp, #52]\n"                                                                                   \
            "add    r1, r1, r12\n"                                                                                     \
            "str    r1, [sp, #16]\n"                                                                                   \
            "str    r2, [sp, #92]\n"                                                                                   \
            "2:\n"                                                                                                     \
            "ldr    r0, [sp, #72]\n"                                                                                   \
            "tbh    [pc, r0, lsl #1]\n"                                                                                \
            "40:\n"                                                                                                    \
            ".hword (41f - 40b) / 2, (42f - 40b) / 2, (43f - 40b) / 2\n"                                               \
            ".hword (44f - 40b) / 2, (45f - 40b) / 2, (46f - 40b) / 2\n"                                               \
            ".hword (51f - 40b) / 2, (52f - 40b) / 2, (53f - 40b) / 2\n"                                               \
            ".hword (54f - 40b) / 2, (55f - 40b) / 2, (56f - 40b) / 2\n"                                               \
            ".hword (61f - 40b) / 2, 0\n"                                                                              \
            MQ_PLANES_FORM("41", "3:\n", MQ_PLANES_THREE(MQ_PLANES_1), 1, end)                                         \
            MQ_PLANES_FORM("42", "3:\n", MQ_PLANES_THREE(MQ_PLANES_2), 2, end)                                         \
            MQ_PLANES_FORM("43", "3:\n", MQ_PLANES_THREE(MQ_PLANES_3), 3, end)                                         \
            MQ_PLANES_FORM("44", "3:\n", MQ_PLANES_THREE(MQ_PLANES_4), 4, end)                                         \
            MQ_PLANES_FORM("45", "3:\n", MQ_PLANES_THREE(MQ_PLANES_5), 5, end)                                         \
            MQ_PLANES_FORM("3:\n46", "", MQ_PLANES_THREE(MQ_PLANES_6), 6, end)                                         \
            MQ_PLANES_FORM("51", "3:\n", MQ_PLANES_THREE(MQ_PLANES_A_SKIP), 1, end)                                    \
            MQ_PLANES_FORM("52", "3:\n", MQ_PLANES_THREE(MQ_PLANES_B_SKIP), 2, end)                                    \
            MQ_PLANES_FORM("53", "3:\n", MQ_PLANES_THREE(MQ_PLANES_C_SKIP), 3, end)                                    \
            MQ_PLANES_FORM("54", "3:\n", MQ_PLANES_THREE(MQ_PLANES_D), 4, end)                                         \
            MQ_PLANES_FORM("55", "3:\n", MQ_PLANES_THREE(MQ_PLANES_E), 5, end)                                         \
            MQ_PLANES_FORM("3:\n56", "", MQ_PLANES_THREE(MQ_PLANES_F), 6, end)                                         \
            MQ_PLANES_FORM("61", "3:\n", MQ_PLANES_SHARED_ENDS, 5, end)                                                \
            "8:\n" /* the end of a strip */                                                                            \
            "ldr    r0, [sp, #92]\n"                                                                                   \
            "subs   r0, r0, #1\n"                                                                                      \
            "beq    9f\n"                                                                                              \
            "str    r0, [sp, #92]\n"                                                                                   \
            "ldr    r1, [sp, #80]\n"                                                                                   \
            "ldr    r2, [sp, #84]\n"                                                                                   \
            "ldr    r3, [sp, #88]\n"                                                                                   \
            "ldr    r4, [sp, #16]\n"                                                                                   \
            "add    r12, r12, r1\n"                                                                                    \
            "add    lr, lr, r2\n"                                                                                      \
            "add    r4, r4, r3\n"                                                                                      \
            "str    r4, [sp, #16]\n"                                                                                   \
            "b      2b\n"                                                                                              \
            "9:\n" /* the end of a channel */                                                                          \
            "ldr    r0, [sp, #64]\n"                                                                                   \
            "subs   r0, r0, #1\n"                                                                                      \
            "str    r0, [sp, #64]\n"                                                                                   \
            "bne    1b\n"                                                                                              \
            "add    sp, sp, #104\n"                                                                                    \
            "pop    {r4-r11, pc}\n");                                                                                  \
    }

#else

/* The sum of one output, from `start`; x is the first word of its window. */
MQ_KERNEL int32_t mq_planes_sum(const uint32_t *weights, const uint32_t *x, int32_t row_words, int odd, int32_t sum)
{
    for (int row = 0; row < 3; row++, x += row_words, weights += 2) {
        const uint32_t w01 = weights[0], w12 = weights[1];
        if (odd) {
            sum = mq_smlad(x[1], w12, mq_smlad(x[0] >> 16, w01 & 0xFFFFu, sum));
        } else {
            sum = mq_smlad(x[0], w01, mq_smlad(x[1] & 0xFFFFu, w12 >> 16, sum));
        }
    }
    return sum;
}

MQ_KERNEL void mq_planes_weights(const uint32_t *packed, uint32_t *weights)
{
    for (int row = 0; row < 3; row++) {
        const uint32_t odd = packed[row] & 0xFF00FF00u, even = (packed[row] << 8) & 0xFF00FF00u;
        weights[2 * row] = (even & 0xFFFFu) | odd << 16;
        weights[2 * row + 1] = (odd & 0xFFFFu) | (even & 0xFFFF0000u);
    }
}

typedef int8_t mq_planes_requantize_t(int32_t sum, const uint32_t *constants);

MQ_KERNEL int8_t mq_planes_8(int32_t sum, const uint32_t *constants)
{
    return (int8_t)mq_clamp(mq_smmulr(sum, (int32_t)constants[0]) >> 8, -128, 127);
}

MQ_KERNEL int8_t mq_planes_twice(int32_t sum, const uint32_t *constants)
{
    const int32_t high = mq_smmulr(sum >> 7, (int32_t)constants[0]);
    return (int8_t)mq_clamp((high + (high >> 31) + (int32_t)constants[1]) >> constants[2], -128, 127);
}

MQ_KERNEL int32_t mq_planes_accumulator(const uint32_t *channel, const uint8_t *x, int32_t row, int32_t i)
{
    uint32_t weights[6];
    mq_planes_weights(channel, weights);
    const uint32_t *window = (const uint32_t *)(const void *)x + (row == 7 ? i : i / 2);
    return mq_planes_sum(weights, window, row, row != 7 && i % 2, (int32_t)channel[3]);
}

MQ_KERNEL void mq_planes_run(const mq_planes_t *p, int32_t words, mq_planes_requantize_t *requantize)
{
    const int32_t narrow = 2 * MQ_PLANES_STRIP;
    const int32_t outputs = p->form < narrow ? p->form % MQ_PLANES_STRIP + 1 : 5;
    const int32_t row = p->form < MQ_PLANES_STRIP ? 4 : p->form < narrow ? 7 : 3;
    const int32_t step = 4 * (p->form < narrow ? 3 * row : 10) + p->x_row;
    for (int32_t c = 0; c < p->channels; c++) {
        const uint32_t *channel = p->stream + words * c;
        for (int32_t strip = 0; strip < p->strips; strip++) {
            int8_t *y = p->y + c + strip * MQ_PLANES_STRIP * p->y_pixel;
            const uint8_t *x = p->x + c * p->plane + strip * p->strip;
            for (int32_t at = 0; at != p->span; at += step, x += step) {
                for (int32_t i = 0; i < outputs; i++) {
                    y[i * p->y_pixel] = requantize(mq_planes_accumulator(channel, x, row, i), channel + 4);
                }
                y += p->y_row + (outputs > 3 ? p->y_pixel : 0);
            }
        }
    }
}

#define MQ_PLANES_DEFINE(name, constants, end, words, twin)                                                            \
    MQ_KERNEL void name(const mq_planes_t *p)                                                                          \
    {                                                                                                                  \
        mq_planes_run(p, words, twin);                                                                                 \
    }

#endif

/* Words of a channel in the stream. */
#define MQ_PLANES_WORDS_8 5
#define MQ_PLANES_WORDS_TWICE 7

MQ_PLANES_DEFINE(mq_planes_run_8, "", MQ_PLANES_END_8, MQ_PLANES_WORDS_8, mq_planes_8)
MQ_PLANES_DEFINE(mq_planes_run_twice,
                 "ldmia  r0!, {r11, r12}\n"
                 "strd   r11, r12, [sp, #96]\n",
                 MQ_PLANES_END_TWICE, MQ_PLANES_WORDS_TWICE, mq_planes_twice)

#undef MQ_PLANES_DEFINE

/* Rows of an image on their way into planes; steps in bytes. */
typedef struct {
    const int8_t *x;
    int32_t x_pixel;
    uint32_t *to;
    int32_t plane;           /* from a channel's plane to the next one's */
    int32_t x_next, to_next; /* from the end of a row to the start of the next */
    int32_t strips;          /* times 4; 1 more where rows end with half a pair, 2 where they begin with one */
    int32_t jump;            /* from behind a strip's last word to the next strip's first */
    int32_t step;            /* words from a strip's first to the next one's, which the strip holds too */
    int32_t tail;            /* whole pairs of pixels behind the first word of the last strip */
    uint32_t pad;            /* four bytes of padding */
    int32_t rows;
} mq_planes_rows_t;

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* The pixel at r0, of four channels, and the next into r10, r11, r6, r7: a channel each. */
#define MQ_PLANES_SPLIT                                                                                                \
    "pkhbt  r10, r6, r7, lsl #16\n"                                                                                    \
    "pkhtb  r7, r7, r6, asr #16\n"                                                                                     \
    "sxtb16 r11, r10, ror #8\n"                                                                                        \
    "sxtb16 r10, r10\n"                                                                                                \
    "sxtb16 r6, r7\n"                                                                                                  \
    "sxtb16 r7, r7, ror #8\n"
#define MQ_PLANES_WORDS                                                                                                \
    "ldr.w  r6, [r0]\n"                                                                                                \
    "ldr.w  r7, [r0, r1]\n"                                                                                            \
    "add.w  r0, r0, r1, lsl #1\n" MQ_PLANES_SPLIT
#define MQ_PLANES_FIRST_WORDS                                                                                          \
    "ldr    r6, [r8, #40]\n"                                                                                           \
    "ldr    r7, [r0]\n"                                                                                                \
    "add    r0, r0, r1\n" MQ_PLANES_SPLIT
#define MQ_PLANES_LAST_WORDS                                                                                           \
    "ldr    r6, [r0]\n"                                                                                                \
    "ldr    r7, [r8, #40]\n" MQ_PLANES_SPLIT

/* The same where a pixel may begin at any byte. */
#define MQ_PLANES_PIXEL                                                                                                \
    "ldrsb.w r10, [r0]\n"                                                                                              \
    "ldrsb.w r11, [r0, #1]\n"                                                                                          \
    "ldrsb.w r6, [r0, #2]\n"                                                                                           \
    "ldrsb.w r7, [r0, #3]\n"
#define MQ_PLANES_SECOND(reg, offset)                                                                                  \
    "ldrsb.w r3, [r0, #" offset "]\n"                                                                                  \
    "pkhbt  " reg ", " reg ", r3, lsl #16\n"
#define MQ_PLANES_BYTES                                                                                                \
    MQ_PLANES_PIXEL                                                                                                    \
    "add.w  r0, r0, r1\n" MQ_PLANES_SECOND("r10", "0") MQ_PLANES_SECOND("r11", "1") MQ_PLANES_SECOND("r6", "2")        \
        MQ_PLANES_SECOND("r7", "3")                                                                                    \
    "ldr.w  r3, [r8, #12]\n"                                                                                           \
    "add.w  r0, r0, r1\n"
#define MQ_PLANES_FIRST_BYTES                                                                                          \
    MQ_PLANES_PIXEL                                                                                                    \
    "ldrsb  r3, [r8, #40]\n"                                                                                           \
    "add    r0, r0, r1\n"                                                                                              \
    "pkhbt  r10, r3, r10, lsl #16\n"                                                                                   \
    "pkhbt  r11, r3, r11, lsl #16\n"                                                                                   \
    "pkhbt  r6, r3, r6, lsl #16\n"                                                                                     \
    "pkhbt  r7, r3, r7, lsl #16\n"                                                                                     \
    "ldr    r3, [r8, #12]\n"
#define MQ_PLANES_LAST_BYTES                                                                                           \
    MQ_PLANES_PIXEL                                                                                                    \
    "ldrsb  r3, [r8, #40]\n"                                                                                           \
    "pkhbt  r10, r10, r3, lsl #16\n"                                                                                   \
    "pkhbt  r11, r11, r3, lsl #16\n"                                                                                   \
    "pkhbt  r6, r6, r3, lsl #16\n"                                                                                     \
    "pkhbt  r7, r7, r3, lsl #16\n"                                                                                     \
    "ldr    r3, [r8, #12]\n"

#define MQ_PLANES_PUT                                                                                                  \
    "str.w  r11, [r2, r3]\n"                                                                                           \
    "str.w  r6, [r2, r3, lsl #1]\n"                                                                                    \
    "str.w  r7, [r2, r4]\n"                                                                                            \
    "str.w  r10, [r2], #4\n"

/* Four channels at a time. `size`: bytes of code of a pair on its way; a strip needs up to six of them. */
#define MQ_PLANES_UNPACK(size, pair, first, last)                                                                      \
    "push   {r4-r11, lr}\n"                                                                                            \
    "mov    r8, r0\n"                                                                                                  \
    "ldr    r6, [r8, #44]\n"                                                                                           \
    "ldr    r0, [r8]\n"                                                                                                \
    "ldr    r1, [r8, #4]\n"                                                                                            \
    "ldr    r2, [r8, #8]\n"                                                                                            \
    "ldr    r3, [r8, #12]\n"                                                                                           \
    "ldr    r5, [r8, #24]\n"                                                                                           \
    "ldr    r12, [r8, #28]\n"                                                                                          \
    "ldr    r10, [r8, #32]\n"                                                                                          \
    "ldr    r11, [r8, #36]\n"                                                                                          \
    "push   {r6}\n"                                                                                                    \
    "add    r4, r3, r3, lsl #1\n"                                                                                      \
    "adr    r9, 5f\n"                                                                                                  \
    "add    r9, r9, #1\n"                                                                                              \
    "mov    r6, #" size "\n"                                                                                           \
    "sub    r10, r10, #1\n"                                                                                            \
    "mls    lr, r10, r6, r9\n" /* the code for the words inside a strip */                                             \
    "mls    r9, r11, r6, r9\n" /* the code for those of the last strip */                                              \
    "b      2f\n"                                                                                                      \
    "1:\n" /* the next row */                                                                                          \
    "ldr    r6, [sp]\n"                                                                                                \
    "ldr    r7, [r8, #16]\n"                                                                                           \
    "ldr    r10, [r8, #20]\n"                                                                                          \
    "ldr    r5, [r8, #24]\n"                                                                                           \
    "subs   r6, r6, #1\n"                                                                                              \
    "beq    9f\n"                                                                                                      \
    "str    r6, [sp]\n"                                                                                                \
    "add    r0, r0, r7\n"                                                                                              \
    "add    r2, r2, r10\n"                                                                                             \
    "2:\n"                                                                                                             \
    "tst    r5, #2\n"                                                                                                  \
    "beq    8f\n" first "3:\n" MQ_PLANES_PUT                                                                           \
    "subs   r5, r5, #4\n"                                                                                              \
    "cmp    r5, #4\n"                                                                                                  \
    "it     lo\n"                                                                                                      \
    "bxlo   r9\n"                                                                                                      \
    "bx     lr\n"                                                                                                      \
    ".balign 4\n" pair MQ_PLANES_PUT pair MQ_PLANES_PUT pair MQ_PLANES_PUT pair MQ_PLANES_PUT pair MQ_PLANES_PUT       \
        pair MQ_PLANES_PUT                                                                                             \
    "5:\n"                                                                                                             \
    "cmp    r5, #4\n"                                                                                                  \
    "blo    6f\n" pair MQ_PLANES_PUT /* the last of a strip, the first of the next */                                  \
    "add    r2, r2, r12\n"                                                                                             \
    "b      3b\n"                                                                                                      \
    "6:\n"                                                                                                             \
    "tst    r5, #1\n"                                                                                                  \
    "beq    1b\n" last MQ_PLANES_PUT                                                                                   \
    "b      1b\n"                                                                                                      \
    "8:\n" pair                                                                                                        \
    "b      3b\n"                                                                                                      \
    "9:\n"                                                                                                             \
    "pop    {r6}\n"                                                                                                    \
    "pop    {r4-r11, pc}\n"

static __attribute__((naked, noinline)) void mq_planes_unpack_words(const mq_planes_rows_t *p __attribute__((unused)))
{
    __asm__ volatile(MQ_PLANES_UNPACK("52", MQ_PLANES_WORDS, MQ_PLANES_FIRST_WORDS, MQ_PLANES_LAST_WORDS));
}

static __attribute__((naked, noinline)) void mq_planes_unpack_bytes(const mq_planes_rows_t *p __attribute__((unused)))
{
    __asm__ volatile(MQ_PLANES_UNPACK("76", MQ_PLANES_BYTES, MQ_PLANES_FIRST_BYTES, MQ_PLANES_LAST_BYTES));
}

#undef MQ_PLANES_UNPACK
#undef MQ_PLANES_PUT
#undef MQ_PLANES_LAST_BYTES
#undef MQ_PLANES_FIRST_BYTES
#undef MQ_PLANES_BYTES
#undef MQ_PLANES_SECOND
#undef MQ_PLANES_PIXEL
#undef MQ_PLANES_LAST_WORDS
#undef MQ_PLANES_FIRST_WORDS
#undef MQ_PLANES_WORDS
#undef MQ_PLANES_SPLIT

#endif

/* A word of each of `channels` planes: two pixels, one of which may be padding. */
MQ_KERNEL void mq_planes_pair(const mq_planes_rows_t *p, const int8_t *first, const int8_t *second, int32_t channels,
                              uint32_t *to)
{
    for (int32_t i = 0; i < channels; i++) {
        const int32_t low = first ? first[i] : (int8_t)p->pad;
        const int32_t high = second ? second[i] : (int8_t)p->pad;
        to[i * (p->plane / 4)] = mq_pkhbt16((uint32_t)low, (uint32_t)high);
    }
}

/* Any number of channels. */
static MQ_SHARED void mq_planes_unpack(const mq_planes_rows_t *p, int32_t channels)
{
    const int8_t *x = p->x;
    uint32_t *to = p->to;
    for (int32_t row = 0; row < p->rows; row++, x += p->x_next, to += p->to_next / 4) {
        for (int32_t strip = p->strips / 4; strip > 0; strip--) {
            const int32_t words = strip > 1 ? p->step : p->tail + 1;
            for (int32_t i = 0; i < words; i++, to++) {
                const int is_half = (p->strips & 2) && strip == p->strips / 4 && i == 0;
                mq_planes_pair(p, is_half ? NULL : x, is_half ? x : x + p->x_pixel, channels, to);
                x += is_half ? p->x_pixel : 2 * p->x_pixel;
            }
            if (strip > 1) {
                mq_planes_pair(p, x, x + p->x_pixel, channels, to++);
                to += p->jump / 4;
            }
        }
        if (p->strips & 1) {
            mq_planes_pair(p, x, NULL, channels, to++);
        }
    }
}

/* A layer at work. Sizes of planes in words. */
typedef struct {
    mq_planes_rows_t rows;
    mq_planes_t full, last; /* strips of six outputs, and the last when it has fewer */
    uint32_t *planes;
    int32_t row, strip; /* a row of a strip; a strip */
    int32_t strips;     /* of four planes */
    uint32_t pad;
    int32_t in_h, in_row;
    int32_t out_h, out_row;
    int32_t stride, pad_top, band;
    int32_t shared; /* rows that two bands have in common */
    int is_aligned;
    mq_planes_kernel_t *kernel;
    int32_t words; /* of a channel in the stream */
} mq_planes_work_t;

typedef struct {
    uint32_t word[4];
} mq_planes_row4_t;

typedef struct {
    uint32_t word[7];
} mq_planes_row7_t;

/* `rows` rows of all strips hold padding from `to` on. A row of 3 words takes the next row's first along. */
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

/* The last rows of a band, two or one, become the first of the next. Rows of 3 words move as if of 4. */
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

/* Some strips over `rows` output rows; y is the output of the first channel in the first column. */
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

/* All rows of up to four channels of one image. */
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

/* Weights in `stream`: `words` a channel, see mq_planes_t. scratch: four planes of a band. */
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
