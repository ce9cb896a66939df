/* Products of one window with several outputs' weights on cores with SMLAD, for sums of any length.
 *
 * A window is bytes in whole words; each word is unpacked once for four, two or one outputs, whose weights are unpacked
 * too: 25 cycles for 16 MACs of four outputs on Cortex-M4, 15 for 8 of two, 9 for 4 of one, and about 15 an output. What
 * fills the last word of a run has weights of 0, so that its value has no meaning.
 *
 * Outputs go four at a time, then two, then one. Of such a block the weights are the first word of each output, the second
 * of each, and so on; its scale is what the sums begin with, then for each output TFLite's requantization: m, what is added
 * to round and for the zero point, and the shift to the right (1..22). Twice each sum fits 32 bits.
 */
#ifndef MQ_DOT_H
#define MQ_DOT_H

#include "mq_dsp.h"

/* Words of scale per output. */
#define MQ_DOT_SCALE 4

/* Requantizes twice the sum of an output. A negative sum whose product is rounded to 0 gives the zero point, as 0 does: its sign may
   stand for that of the product. */
MQ_KERNEL int8_t mq_dot_requantize_doubled(int32_t doubled, const int32_t *scale)
{
    return (int8_t)mq_ssat8((mq_smmulr(doubled, scale[0]) + (doubled >> 31) + scale[1]) >> scale[2]);
}

/* Requantizes the sum of an output; `scale` begins with m. */
MQ_KERNEL int8_t mq_dot_requantize(int32_t sum, const int32_t *scale)
{
    return mq_dot_requantize_doubled((int32_t)(2 * (uint32_t)sum), scale);
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* Four inputs of one output: bytes 0 and 2 of x in lr, 1 and 3 in r8. */
#define MQ_DOT_ONE(w, sum)                                                                                             \
    "sxtb16 r3, " w "\n"                                                                                               \
    "smlad  " sum ", r3, lr, " sum "\n"                                                                                \
    "sxtb16 " w ", " w ", ror #8\n"                                                                                    \
    "smlad  " sum ", " w ", r8, " sum "\n"
#define MQ_DOT_STEP(load)                                                                                              \
    "ldr.w  r8, [r0], #4\n" load "sxtb16 lr, r8\n"                                                                     \
    "sxtb16 r8, r8, ror #8\n"
#define MQ_DOT_STEP_1 MQ_DOT_STEP("ldr.w r9, [r2], #4\n") MQ_DOT_ONE("r9", "r4")
#define MQ_DOT_STEP_2 MQ_DOT_STEP("ldmia.w r2!, {r9, r10}\n") MQ_DOT_ONE("r9", "r4") MQ_DOT_ONE("r10", "r5")
#define MQ_DOT_STEP_4                                                                                                  \
    MQ_DOT_STEP("ldmia.w r2!, {r9, r10, r11, r12}\n")                                                                  \
    MQ_DOT_ONE("r9", "r4") MQ_DOT_ONE("r10", "r5") MQ_DOT_ONE("r11", "r6") MQ_DOT_ONE("r12", "r7")

#define MQ_DOT_SCALE_ONE(sum)                                                                                          \
    "ldmia.w r1!, {r9, r10, r11}\n"                                                                                    \
    "lsl    " sum ", " sum ", #1\n"                                                                                    \
    "add    r10, r10, " sum ", asr #31\n"                                                                              \
    "smmlar " sum ", " sum ", r9, r10\n"                                                                               \
    "asr    " sum ", " sum ", r11\n"                                                                                   \
    "ssat   " sum ", #8, " sum "\n"                                                                                    \
    "strb   " sum ", [r12], #1\n"

/* One block. The loop of four steps, `bytes` of code each, is entered so that it ends with the last word. On the stack: x,
   its end, steps to leave out. */
#define MQ_DOT_BLOCK(start, step, bytes, scale)                                                                        \
    start "ldr    r0, [sp]\n"                                                                                          \
    "ldr    r8, [sp, #8]\n"                                                                                            \
    "adr.w  r9, 2f\n"                                                                                                  \
    "mov    r10, #" bytes "\n"                                                                                         \
    "mla    r9, r8, r10, r9\n"                                                                                         \
    "add    r9, r9, #1\n"                                                                                              \
    "bx     r9\n"                                                                                                      \
    ".balign 4\n"                                                                                                      \
    "2:\n" MQ_STEPS_OF_LENGTH(step step step step, "4", bytes)                                                         \
    "ldr    r3, [sp, #4]\n"                                                                                            \
    "cmp    r0, r3\n"                                                                                                  \
    "bne.w  2b\n"                                                                                                      \
    "ldr    r12, [sp, #52]\n" scale "str    r12, [sp, #52]\n"

/* All outputs of the window of `words` words at `x`. Returns the end of the weights. */
static __attribute__((naked, noinline, unused)) const uint32_t *mq_dot(
    const uint32_t *x __attribute__((unused)), int32_t words __attribute__((unused)),
    const uint32_t *w __attribute__((unused)), const int32_t *scale __attribute__((unused)),
    int32_t outputs __attribute__((unused)), int8_t *y __attribute__((unused)))
{
    __asm__ volatile("push   {r4-r11, lr}\n"
                     "add    r4, r0, r1, lsl #2\n"
                     "rsb    r5, r1, #0\n"
                     "and    r5, r5, #3\n"
                     "push   {r0, r4, r5}\n" /* outputs are at sp + 48, y at sp + 52 */
                     "mov    r1, r3\n"
                     "1:\n"
                     "ldr    r3, [sp, #48]\n"
                     "subs   r3, r3, #4\n"
                     "blt.w  4f\n"
                     "str    r3, [sp, #48]\n" MQ_DOT_BLOCK("ldmia.w r1!, {r4, r5, r6, r7}\n", MQ_DOT_STEP_4, "80",
                                                           MQ_DOT_SCALE_ONE("r4") MQ_DOT_SCALE_ONE("r5")
                                                               MQ_DOT_SCALE_ONE("r6") MQ_DOT_SCALE_ONE("r7"))
                     "b.w    1b\n"
                     "4:\n"
                     "lsls   r3, r3, #31\n" /* carry: two more; negative: one more */
                     "bcc.w  5f\n" MQ_DOT_BLOCK("ldmia.w r1!, {r4, r5}\n", MQ_DOT_STEP_2, "48",
                                                MQ_DOT_SCALE_ONE("r4") MQ_DOT_SCALE_ONE("r5"))
                     "ldr    r3, [sp, #48]\n"
                     "lsls   r3, r3, #31\n"
                     "5:\n"
                     "bpl.w  6f\n" MQ_DOT_BLOCK("ldr.w r4, [r1], #4\n", MQ_DOT_STEP_1, "32", MQ_DOT_SCALE_ONE("r4"))
                     "6:\n"
                     "mov    r0, r2\n"
                     "add    sp, sp, #12\n"
                     "pop    {r4-r11, pc}\n");
}

#undef MQ_DOT_BLOCK
#undef MQ_DOT_SCALE_ONE
#undef MQ_DOT_STEP_4
#undef MQ_DOT_STEP_2
#undef MQ_DOT_STEP_1
#undef MQ_DOT_STEP
#undef MQ_DOT_ONE

#else

MQ_KERNEL int32_t mq_dot_sum(const uint32_t *x, int32_t words, const uint32_t *w, int32_t step, int32_t sum)
{
    for (int32_t k = 0; k < words; k++, w += step) {
        sum = mq_smlad(mq_sxtb16(*w), mq_sxtb16(x[k]), sum);
        sum = mq_smlad(mq_sxtb16_ror8(*w), mq_sxtb16_ror8(x[k]), sum);
    }
    return sum;
}

/* All outputs of the window of `words` words at `x`. Returns the end of the weights. */
MQ_KERNEL const uint32_t *mq_dot(const uint32_t *x, int32_t words, const uint32_t *w, const int32_t *scale,
                                 int32_t outputs, int8_t *y)
{
    while (outputs > 0) {
        const int32_t count = outputs >= 4 ? 4 : outputs >= 2 ? 2 : 1;
        for (int32_t i = 0; i < count; i++) {
            *y++ = mq_dot_requantize(mq_dot_sum(x, words, w + i, count, scale[i]), scale + count + 3 * i);
        }
        w += count * words;
        scale += count * MQ_DOT_SCALE;
        outputs -= count;
    }
    return w;
}

#endif

/* Copies whole words; `from` is aligned. */
MQ_KERNEL void mq_dot_copy_words(const int8_t *from, int32_t words, uint32_t *to)
{
    const uint32_t *word = (const uint32_t *)(const void *)from;
#pragma GCC unroll 4
    for (int32_t i = 0; i < words; i++) {
        to[i] = word[i];
    }
}

/* Copies `bytes` bytes from any address to whole words; the rest of the last word is undefined. A word is read only
   if some of its bytes are used. */
MQ_KERNEL void mq_dot_copy(const int8_t *from, int32_t bytes, uint32_t *to)
{
    const uint32_t before = (uint32_t)((uintptr_t)from % 4u);
    const int32_t words = (bytes + 3) / 4;
    if (!before) {
        mq_dot_copy_words(from, words, to);
        return;
    }
    const uint32_t *word = (const uint32_t *)(const void *)(from - before);
    const uint32_t right = 8 * before, left = 32 - right;
    uint32_t low = *word++;
#pragma GCC unroll 4
    for (int32_t i = 0; i < words - 1; i++) {
        const uint32_t high = *word++;
        *to++ = low >> right | high << left;
        low = high;
    }
    const int32_t last = bytes - 4 * (words - 1);
    *to = low >> right | ((int32_t)before + last > 4 ? *word << left : 0);
}

#endif
