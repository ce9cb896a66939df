/* Depthwise convolution over strips of a plane of int16: the micro-kernel of mq_depthwise_planes.h, which says how a plane
 * lies. In assembly for cores with SMLAD; the same in C elsewhere.
 */
#ifndef MQ_PLANES_STRIPS_H
#define MQ_PLANES_STRIPS_H

#include "mq_dsp.h"

#define MQ_PLANES_STRIP 6

/* Strips of equal width of `channels` planes, one after the other. channels, strips: 1 or more. Factors and m of the
   stream: less than 2^31; shifts: 1 to 22. */
typedef struct {
    int32_t y_pixel; /* bytes between outputs */
    int32_t factor;
    int32_t y_row;  /* from the last output of a row to the first output of the next row */
    int32_t x_row;  /* from the end of one window to the start of the window below, in bytes like all steps */
    const uint8_t *x_end;
    int32_t start;
    uint32_t weights[6]; /* w0 w1, w1 w2 of each row */
    const uint8_t *x;
    int8_t *y;
    const uint32_t *stream; /* per channel: w0 w1 w2 0 of each row as bytes, start, and a factor or else m,
                               rounding with zero point, shift */
    int32_t plane;          /* bytes between the planes of channels */
    int32_t channels;
    int32_t span; /* bytes over which the windows of one column of a strip move */
    int32_t form; /* outputs per row minus 1; 6 more with a stride of 2; 12 more if rows take 3 words */
    int32_t strips;
    int32_t x_strip, y_strip; /* bytes from the end of a strip to the next one */
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

/* The addend: `start` in the first row of a window, the accumulator in the others. */
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
    "add    r10, r2, " y ", asr #31\n"                                                                                 \
    "smmlar " y ", " y ", r1, r10\n"                                                                                   \
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

#endif
