/* Sums of two windows over runs of raw bytes on cores with SMLAD: the micro-kernels of mq_conv2d_flat.h. In assembly; the
 * same in C elsewhere.
 *
 * Bytes b0 b1 of a word are the 16-bit number 256*b1 + b0, with b0 stored 128 higher, as a number without a sign. For
 * weights w0 w1, stored as the pair w1 and 256*w0 - w1,
 *
 *     SMLAD(word, w1) + SMLAD(UXTB16(word), 256*w0 - w1) = 256 * (b1*w1 + (b0 + 128)*w0) + the same for b2, b3
 *
 * so that a word takes one unpack, and weights none. Two outputs of two windows take 17 cycles for 16 MACs on Cortex-M4,
 * one output 21 for 16. Weights take two bytes each.
 */
#ifndef MQ_FLAT_SUMS_H
#define MQ_FLAT_SUMS_H

#include "mq_dsp.h"

/* All outputs of pairs of windows that are equally far apart. The assembly works on a copy of it, in this order. */
typedef struct {
    const int32_t *list; /* for each piece the bytes from `x` to it in the first and in the second window; then -1 twice */
    const uint8_t *x;
    int8_t *first, *second;
    int32_t outputs;
    const uint32_t *stream; /* for each two outputs their starts; for each word the first pair of weights of both, then the
                               second; and the constants of both: a factor, or m, what is added, and shift. The last of an
                               odd number of outputs stands alone. */
    int32_t pairs;
    int32_t x_step, y_step; /* bytes from a pair of windows to the next */
} mq_flat_sums_t;

typedef void mq_flat_sums_kernel_t(const mq_flat_sums_t *call);

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* r1, r2: words of both windows; lr: stream; r4, r5: sums of the first output; r6, r7: of the second. */
#define MQ_FLAT_TWO                                                                                                    \
    "ldr.w  r3, [r1], #4\n"                                                                                            \
    "ldr.w  r8, [r2], #4\n"                                                                                            \
    "ldr.w  r9, [lr], #4\n"                                                                                            \
    "ldr.w  r10, [lr], #4\n"                                                                                           \
    "ldr.w  r11, [lr], #4\n"                                                                                           \
    "ldr.w  r12, [lr], #4\n"                                                                                           \
    "smlad  r4, r3, r9, r4\n"                                                                                          \
    "smlad  r5, r8, r9, r5\n"                                                                                          \
    "smlad  r6, r3, r10, r6\n"                                                                                         \
    "smlad  r7, r8, r10, r7\n"                                                                                         \
    "uxtb16 r3, r3\n"                                                                                                  \
    "uxtb16 r8, r8\n"                                                                                                  \
    "smlad  r4, r3, r11, r4\n"                                                                                         \
    "smlad  r5, r8, r11, r5\n"                                                                                         \
    "smlad  r6, r3, r12, r6\n"                                                                                         \
    "smlad  r7, r8, r12, r7\n"
#define MQ_FLAT_ONE_LOAD(first, second, w, v)                                                                          \
    "ldr.w  " first ", [r1], #4\n"                                                                                     \
    "ldr.w  " second ", [r2], #4\n"                                                                                    \
    "ldr.w  " w ", [lr], #4\n"                                                                                         \
    "ldr.w  " v ", [lr], #4\n"
#define MQ_FLAT_ONE_SUM(first, second, w, v)                                                                           \
    "smlad  r4, " first ", " w ", r4\n"                                                                                \
    "smlad  r5, " second ", " w ", r5\n"                                                                               \
    "uxtb16 " first ", " first "\n"                                                                                    \
    "uxtb16 " second ", " second "\n"                                                                                  \
    "smlad  r4, " first ", " v ", r4\n"                                                                                \
    "smlad  r5, " second ", " v ", r5\n"
#define MQ_FLAT_ONE MQ_FLAT_ONE_LOAD("r3", "r8", "r9", "r10") MQ_FLAT_ONE_SUM("r3", "r8", "r9", "r10")
#define MQ_FLAT_ONE_TWICE                                                                                              \
    MQ_FLAT_ONE_LOAD("r3", "r8", "r9", "r10")                                                                          \
    MQ_FLAT_ONE_LOAD("r6", "r7", "r11", "r12")                                                                         \
    MQ_FLAT_ONE_SUM("r3", "r8", "r9", "r10") MQ_FLAT_ONE_SUM("r6", "r7", "r11", "r12")

#define MQ_FLAT_TWO_1 MQ_FLAT_TWO
#define MQ_FLAT_TWO_2 MQ_FLAT_TWO MQ_FLAT_TWO
#define MQ_FLAT_TWO_3 MQ_FLAT_TWO_2 MQ_FLAT_TWO
#define MQ_FLAT_TWO_4 MQ_FLAT_TWO_2 MQ_FLAT_TWO_2
#define MQ_FLAT_TWO_5 MQ_FLAT_TWO_4 MQ_FLAT_TWO
#define MQ_FLAT_TWO_6 MQ_FLAT_TWO_4 MQ_FLAT_TWO_2
#define MQ_FLAT_TWO_7 MQ_FLAT_TWO_4 MQ_FLAT_TWO_3
#define MQ_FLAT_TWO_8 MQ_FLAT_TWO_4 MQ_FLAT_TWO_4
#define MQ_FLAT_ONE_1 MQ_FLAT_ONE
#define MQ_FLAT_ONE_2 MQ_FLAT_ONE_TWICE
#define MQ_FLAT_ONE_3 MQ_FLAT_ONE_2 MQ_FLAT_ONE
#define MQ_FLAT_ONE_4 MQ_FLAT_ONE_2 MQ_FLAT_ONE_2
#define MQ_FLAT_ONE_5 MQ_FLAT_ONE_4 MQ_FLAT_ONE
#define MQ_FLAT_ONE_6 MQ_FLAT_ONE_4 MQ_FLAT_ONE_2
#define MQ_FLAT_ONE_7 MQ_FLAT_ONE_4 MQ_FLAT_ONE_3
#define MQ_FLAT_ONE_8 MQ_FLAT_ONE_4 MQ_FLAT_ONE_4

/* Requantization of both windows' sums of one output: one rounding where that is exact, or TFLite's two. */
#define MQ_FLAT_ONCE(a, b, shift)                                                                                      \
    "ldr    r9, [lr], #4\n"                                                                                            \
    "smmulr " a ", " a ", r9\n"                                                                                        \
    "smmulr " b ", " b ", r9\n"                                                                                        \
    "ssat   " a ", #8, " a ", asr #" shift "\n"                                                                        \
    "ssat   " b ", #8, " b ", asr #" shift "\n"
#define MQ_FLAT_SCALE_8(a, b) MQ_FLAT_ONCE(a, b, "8")
#define MQ_FLAT_SCALE_12(a, b) MQ_FLAT_ONCE(a, b, "12")
#define MQ_FLAT_ROUND_TWICE(y, rounding)                                                                               \
    "add    " rounding ", r10, " y ", asr #31\n"                                                                       \
    "asr    " y ", " y ", #7\n"                                                                                        \
    "smmlar " y ", " y ", r9, " rounding "\n"                                                                          \
    "asr    " y ", " y ", r11\n"                                                                                       \
    "ssat   " y ", #8, " y "\n"
#define MQ_FLAT_SCALE_twice(a, b)                                                                                      \
    "ldmia  lr!, {r9, r10, r11}\n" MQ_FLAT_ROUND_TWICE(a, "r12") MQ_FLAT_ROUND_TWICE(b, "r12")

/* The next piece of both windows; negative behind the last. */
#define MQ_FLAT_PIECE                                                                                                  \
    "ldr    r1, [r0], #4\n"                                                                                            \
    "ldr    r2, [r0], #4\n"                                                                                            \
    "ldr    r3, [sp, #4]\n"                                                                                            \
    "cmp    r1, #0\n"                                                                                                  \
    "add    r1, r1, r3\n"                                                                                              \
    "add    r2, r2, r3\n"

/* On the stack: the call; outputs left; the places of the next outputs. Where both windows are the same, the first one's
   outputs stay. */
#define MQ_FLAT_NAMED(name, words, scale)                                                                              \
    static __attribute__((naked, noinline, unused)) void name(const mq_flat_sums_t *call __attribute__((unused)))      \
    {                                                                                                                  \
        __asm__ volatile("push   {r4-r11, lr}\n"                                                                       \
                         "sub    sp, sp, #48\n"                                                                        \
                         "ldmia  r0, {r1-r9}\n"                                                                        \
                         "stmia  sp, {r1-r9}\n"                                                                        \
                         "1:\n" /* a pair of windows */                                                                \
                         "ldr    r1, [sp, #8]\n"                                                                       \
                         "ldr    r2, [sp, #12]\n"                                                                      \
                         "ldr    r3, [sp, #16]\n"                                                                      \
                         "ldr    lr, [sp, #20]\n"                                                                      \
                         "strd   r1, r2, [sp, #40]\n"                                                                  \
                         "2:\n" /* two outputs */                                                                      \
                         "ldr    r0, [sp]\n"                                                                           \
                         "subs   r3, r3, #2\n"                                                                         \
                         "blt.w  4f\n"                                                                                 \
                         "str    r3, [sp, #36]\n"                                                                      \
                         "ldr    r4, [lr], #4\n"                                                                       \
                         "ldr    r6, [lr], #4\n" MQ_FLAT_PIECE                                                         \
                         "mov    r5, r4\n"                                                                             \
                         "mov    r7, r6\n"                                                                             \
                         "3:\n" MQ_FLAT_TWO_##words MQ_FLAT_PIECE                                                      \
                         "bpl.w  3b\n" MQ_FLAT_SCALE_##scale("r4", "r5") MQ_FLAT_SCALE_##scale("r6", "r7")             \
                         "ldrd   r1, r2, [sp, #40]\n"                                                                  \
                         "strb   r5, [r2], #1\n"                                                                       \
                         "strb   r7, [r2], #1\n"                                                                       \
                         "strb   r4, [r1], #1\n"                                                                       \
                         "strb   r6, [r1], #1\n"                                                                       \
                         "strd   r1, r2, [sp, #40]\n"                                                                  \
                         "ldr    r3, [sp, #36]\n"                                                                      \
                         "b.w    2b\n"                                                                                 \
                         "4:\n" /* the last output, or none */                                                         \
                         "adds   r3, r3, #1\n"                                                                         \
                         "bne.w  6f\n"                                                                                 \
                         "ldr    r4, [lr], #4\n" MQ_FLAT_PIECE                                                         \
                         "mov    r5, r4\n"                                                                             \
                         "5:\n" MQ_FLAT_ONE_##words MQ_FLAT_PIECE                                                      \
                         "bpl.w  5b\n" MQ_FLAT_SCALE_##scale("r4", "r5")                                               \
                         "ldrd   r1, r2, [sp, #40]\n"                                                                  \
                         "strb   r5, [r2]\n"                                                                           \
                         "strb   r4, [r1]\n"                                                                           \
                         "6:\n" /* the next pair */                                                                    \
                         "ldr    r0, [sp, #24]\n"                                                                      \
                         "ldr    r1, [sp, #4]\n"                                                                       \
                         "ldr    r2, [sp, #28]\n"                                                                      \
                         "ldr    r3, [sp, #8]\n"                                                                       \
                         "ldr    r4, [sp, #12]\n"                                                                      \
                         "ldr    r5, [sp, #32]\n"                                                                      \
                         "add    r1, r1, r2\n"                                                                         \
                         "add    r3, r3, r5\n"                                                                         \
                         "add    r4, r4, r5\n"                                                                         \
                         "str    r1, [sp, #4]\n"                                                                       \
                         "str    r3, [sp, #8]\n"                                                                       \
                         "str    r4, [sp, #12]\n"                                                                      \
                         "subs   r0, r0, #1\n"                                                                         \
                         "str    r0, [sp, #24]\n"                                                                      \
                         "bne.w  1b\n"                                                                                 \
                         "add    sp, sp, #48\n"                                                                        \
                         "pop    {r4-r11, pc}\n");                                                                     \
    }

#else

typedef int8_t mq_flat_requantize_t(int32_t sum, const uint32_t *constants);

MQ_KERNEL int8_t mq_flat_requantize_8(int32_t sum, const uint32_t *constants)
{
    return (int8_t)mq_ssat8_asr8(mq_smmulr(sum, (int32_t)constants[0]));
}

MQ_KERNEL int8_t mq_flat_requantize_12(int32_t sum, const uint32_t *constants)
{
    return (int8_t)mq_ssat8_asr12(mq_smmulr(sum, (int32_t)constants[0]));
}

MQ_KERNEL int8_t mq_flat_requantize_twice(int32_t sum, const uint32_t *constants)
{
    const int32_t high = mq_smmulr(sum >> 7, (int32_t)constants[0]);
    return (int8_t)mq_ssat8((high + (sum >> 31) + (int32_t)constants[1]) >> constants[2]);
}

/* One of `count` outputs of one window, whose pieces are every second entry from `list` on. */
MQ_KERNEL int32_t mq_flat_sum(const uint8_t *x, const int32_t *list, const uint32_t *w, int32_t words, int32_t count,
                              int32_t sum)
{
    for (; *list >= 0; list += 2) {
        const uint32_t *word = (const uint32_t *)(const void *)(x + *list);
        for (int32_t i = 0; i < words; i++, w += 2 * count) {
            sum = mq_smlad(mq_uxtb16(word[i]), w[count], mq_smlad(word[i], w[0], sum));
        }
    }
    return sum;
}

/* One window; `constants` words of the requantization an output. */
MQ_KERNEL void mq_flat_window(const mq_flat_sums_t *call, const uint8_t *x, const int32_t *list, int32_t words,
                              int32_t constants, mq_flat_requantize_t *requantize, int8_t *y)
{
    const uint32_t *stream = call->stream;
    int32_t entries = 0;
    while (call->list[2 * entries] >= 0) {
        entries++;
    }
    for (int32_t o = 0, count; o < call->outputs; o += count) {
        count = call->outputs - o >= 2 ? 2 : 1;
        const uint32_t *scale = stream + count + 2 * count * words * entries;
        for (int32_t i = 0; i < count; i++) {
            const int32_t sum = mq_flat_sum(x, list, stream + count + i, words, count, (int32_t)stream[i]);
            y[o + i] = requantize(sum, scale + i * constants);
        }
        stream = scale + count * constants;
    }
}

MQ_KERNEL void mq_flat_outputs(const mq_flat_sums_t *call, int32_t words, int32_t constants,
                               mq_flat_requantize_t *requantize)
{
    for (int32_t i = 0; i < call->pairs; i++) {
        const uint8_t *x = call->x + i * call->x_step;
        mq_flat_window(call, x, call->list + 1, words, constants, requantize, call->second + i * call->y_step);
        mq_flat_window(call, x, call->list, words, constants, requantize, call->first + i * call->y_step);
    }
}

#define MQ_FLAT_CONSTANTS_8 1
#define MQ_FLAT_CONSTANTS_12 1
#define MQ_FLAT_CONSTANTS_twice 3
#define MQ_FLAT_NAMED(name, words, scale)                                                                              \
    static __attribute__((unused)) void name(const mq_flat_sums_t *call)                                               \
    {                                                                                                                  \
        mq_flat_outputs(call, words, MQ_FLAT_CONSTANTS_##scale, mq_flat_requantize_##scale);                           \
    }

#endif

/* Words of a piece at most. */
#define MQ_FLAT_MOST 8

/* The kernels of pieces of 1 to 8 words, and the one for `words`, which is known at compile time. */
#define MQ_FLAT_DEFINE(scale)                                                                                          \
    MQ_FLAT_NAMED(mq_flat_sums_1_##scale, 1, scale)                                                                    \
    MQ_FLAT_NAMED(mq_flat_sums_2_##scale, 2, scale)                                                                    \
    MQ_FLAT_NAMED(mq_flat_sums_3_##scale, 3, scale)                                                                    \
    MQ_FLAT_NAMED(mq_flat_sums_4_##scale, 4, scale)                                                                    \
    MQ_FLAT_NAMED(mq_flat_sums_5_##scale, 5, scale)                                                                    \
    MQ_FLAT_NAMED(mq_flat_sums_6_##scale, 6, scale)                                                                    \
    MQ_FLAT_NAMED(mq_flat_sums_7_##scale, 7, scale)                                                                    \
    MQ_FLAT_NAMED(mq_flat_sums_8_##scale, 8, scale)                                                                    \
    MQ_KERNEL mq_flat_sums_kernel_t *mq_flat_sums_##scale(int32_t words)                                               \
    {                                                                                                                  \
        switch (words) {                                                                                               \
        case 1: return mq_flat_sums_1_##scale;                                                                         \
        case 2: return mq_flat_sums_2_##scale;                                                                         \
        case 3: return mq_flat_sums_3_##scale;                                                                         \
        case 4: return mq_flat_sums_4_##scale;                                                                         \
        case 5: return mq_flat_sums_5_##scale;                                                                         \
        case 6: return mq_flat_sums_6_##scale;                                                                         \
        case 7: return mq_flat_sums_7_##scale;                                                                         \
        default: return mq_flat_sums_8_##scale;                                                                        \
        }                                                                                                              \
    }

#endif
