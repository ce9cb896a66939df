/* Pointwise convolution of eight input channels on cores with SMLAD.
 *
 * So few inputs that two pixels stay in registers, unpacked, while the weights of all outputs pass by: nothing is
 * prepared in scratch. Weights are int16, times 256 (times 2 for a requantization of two roundings), and take twice the
 * flash that bytes would. 25 cycles for the two results of an output, eight of them its 16 MACs, on Cortex-M4.
 */
#ifndef MQ_POINTWISE_EIGHT_H
#define MQ_POINTWISE_EIGHT_H

#include "mq_dsp.h"

/* Both are 1 or more. x: [pixels][8], y: [pixels][out_c], aligned to 4 bytes. */
typedef struct {
    int32_t pixels;
    int32_t out_c; /* a multiple of 4 */
} mq_pointwise_eight_t;

/* One call: pairs of pixels. For each output the stream has its start, the words of its weights (inputs 0 and 2, 1 and
   3, 4 and 6, 5 and 7) and the constants of its requantization: a factor (see `requantize` in the compiler), or m,
   rounding with zero point, and shift. */
typedef struct {
    const uint32_t *x, *x_end;
    const uint32_t *stream, *stream_end;
    int8_t *y;
    int32_t second; /* bytes from an output of the first pixel to that of the second */
} mq_pointwise_eight_run_t;

typedef void mq_pointwise_eight_kernel_t(const mq_pointwise_eight_run_t *);

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

#define MQ_EIGHT_INPUTS_UNPACK(even, odd)                                                                              \
    "sxtb16 " odd ", " even ", ror #8 \n"                                                                              \
    "sxtb16 " even ", " even "        \n"

/* Sums of both pixels, in r3 and r12. */
#define MQ_EIGHT_INPUTS_SUMS                                                                                           \
    "ldmia  r0!, {r3, lr}           \n"                                                                                \
    "smlad  r12, r8, lr, r3         \n"                                                                                \
    "smlad  r3, r4, lr, r3          \n"                                                                                \
    "ldr    lr, [r0], #4            \n"                                                                                \
    "smlad  r12, r9, lr, r12        \n"                                                                                \
    "smlad  r3, r5, lr, r3          \n"                                                                                \
    "ldr    lr, [r0], #4            \n"                                                                                \
    "smlad  r12, r10, lr, r12       \n"                                                                                \
    "smlad  r3, r6, lr, r3          \n"                                                                                \
    "ldr    lr, [r0], #4            \n"                                                                                \
    "smlad  r12, r11, lr, r12       \n"                                                                                \
    "smlad  r3, r7, lr, r3          \n"                                                                                \
    "ldr    lr, [r0], #4            \n"                                                                                \
    "smmulr r12, r12, lr            \n"                                                                                \
    "smmulr r3, r3, lr              \n"

#define MQ_EIGHT_INPUTS_STORE(shift)                                                                                   \
    "ssat   r12, #8, r12" shift "   \n"                                                                                \
    "ssat   r3, #8, r3" shift "     \n"                                                                                \
    "strb   r12, [r1, r2]           \n"                                                                                \
    "strb   r3, [r1], #1            \n"

/* TFLite's two roundings: high multiply, then a shift that rounds halves away from zero. */
#define MQ_EIGHT_INPUTS_TWICE                                                                                          \
    MQ_EIGHT_INPUTS_SUMS                                                                                               \
    "add    r12, r12, r12, asr #31  \n"                                                                                \
    "add    r3, r3, r3, asr #31     \n"                                                                                \
    "ldr    lr, [r0], #4            \n"                                                                                \
    "add    r12, r12, lr            \n"                                                                                \
    "add    r3, r3, lr              \n"                                                                                \
    "ldr    lr, [r0], #4            \n"                                                                                \
    "asr    r12, r12, lr            \n"                                                                                \
    "asr    r3, r3, lr              \n" MQ_EIGHT_INPUTS_STORE("")

#define MQ_EIGHT_INPUTS_8 MQ_EIGHT_INPUTS_SUMS MQ_EIGHT_INPUTS_STORE(", asr #8")
#define MQ_EIGHT_INPUTS_12 MQ_EIGHT_INPUTS_SUMS MQ_EIGHT_INPUTS_STORE(", asr #12")

#define MQ_EIGHT_INPUTS_DEFINE(name, output, constants, twin)                                                          \
    static __attribute__((naked, noinline, unused)) void name(                                                         \
        const mq_pointwise_eight_run_t *run __attribute__((unused)))                                                   \
    {                                                                                                                  \
        /* On the stack: x, its end, stream, its end. */                                                               \
        __asm__ volatile("push   {r4-r11, lr}            \n"                                                           \
                         "ldmia  r0, {r4-r9}             \n"                                                           \
                         "push   {r4-r7}                 \n"                                                           \
                         "mov    r0, r4                  \n"                                                           \
                         "mov    r1, r8                  \n"                                                           \
                         "mov    r2, r9                  \n"                                                           \
                         "1:                             \n"                                                           \
                         "ldmia  r0!, {r4, r6, r8, r10}  \n"                                                           \
                         "str    r0, [sp]                \n"                                                           \
                         "ldr    r0, [sp, #8]            \n" MQ_EIGHT_INPUTS_UNPACK("r4", "r5")                        \
                             MQ_EIGHT_INPUTS_UNPACK("r6", "r7") MQ_EIGHT_INPUTS_UNPACK("r8", "r9")                     \
                                 MQ_EIGHT_INPUTS_UNPACK("r10", "r11")                                                  \
                         "2:                             \n" output output output output                               \
                         "ldr    lr, [sp, #12]           \n"                                                           \
                         "cmp    r0, lr                  \n"                                                           \
                         "bne.w  2b                      \n"                                                           \
                         "ldrd   r0, r3, [sp]            \n"                                                           \
                         "add    r1, r1, r2              \n"                                                           \
                         "cmp    r0, r3                  \n"                                                           \
                         "bne.w  1b                      \n"                                                           \
                         "add    sp, sp, #16             \n"                                                           \
                         "pop    {r4-r11, pc}            \n");                                                         \
    }

#else

MQ_KERNEL int32_t mq_pointwise_eight_sum(const uint32_t *x, const uint32_t *w)
{
    int32_t sum = (int32_t)w[0];
    for (int32_t i = 0; i < 2; i++) {
        sum = mq_smlad(mq_sxtb16(x[i]), w[2 * i + 1], sum);
        sum = mq_smlad(mq_sxtb16_ror8(x[i]), w[2 * i + 2], sum);
    }
    return sum;
}

typedef int8_t mq_pointwise_eight_requantize_t(int32_t sum, const uint32_t *constants);

MQ_KERNEL int8_t mq_pointwise_eight_8(int32_t sum, const uint32_t *constants)
{
    return (int8_t)mq_clamp(mq_smmulr(sum, (int32_t)constants[0]) >> 8, -128, 127);
}

MQ_KERNEL int8_t mq_pointwise_eight_12(int32_t sum, const uint32_t *constants)
{
    return (int8_t)mq_clamp(mq_smmulr(sum, (int32_t)constants[0]) >> 12, -128, 127);
}

MQ_KERNEL int8_t mq_pointwise_eight_twice(int32_t sum, const uint32_t *constants)
{
    const int32_t high = mq_smmulr(sum, (int32_t)constants[0]);
    return (int8_t)mq_clamp((high + (high >> 31) + (int32_t)constants[1]) >> constants[2], -128, 127);
}

MQ_KERNEL void mq_pointwise_eight_pairs(const mq_pointwise_eight_run_t *run, int32_t constants,
                                        mq_pointwise_eight_requantize_t *requantize)
{
    int8_t *y = run->y;
    for (const uint32_t *x = run->x; x < run->x_end; x += 4, y += run->second) {
        const uint32_t pixels[4] = {x[0], x[1], x[2], x[3]}; /* outputs may lie on them */
        for (const uint32_t *w = run->stream; w < run->stream_end; w += 5 + constants, y++) {
            y[run->second] = requantize(mq_pointwise_eight_sum(pixels + 2, w), w + 5);
            *y = requantize(mq_pointwise_eight_sum(pixels, w), w + 5);
        }
    }
}

#define MQ_EIGHT_INPUTS_DEFINE(name, output, constants, twin)                                                          \
    MQ_KERNEL void name(const mq_pointwise_eight_run_t *run)                                                           \
    {                                                                                                                  \
        mq_pointwise_eight_pairs(run, constants, twin);                                                                \
    }

#endif

MQ_EIGHT_INPUTS_DEFINE(mq_pointwise_eight_run_8, MQ_EIGHT_INPUTS_8, 1, mq_pointwise_eight_8)
MQ_EIGHT_INPUTS_DEFINE(mq_pointwise_eight_run_12, MQ_EIGHT_INPUTS_12, 1, mq_pointwise_eight_12)
MQ_EIGHT_INPUTS_DEFINE(mq_pointwise_eight_run_twice, MQ_EIGHT_INPUTS_TWICE, 3, mq_pointwise_eight_twice)

MQ_KERNEL void mq_pointwise_eight(const mq_pointwise_eight_t *p, const int8_t *x, const int32_t *stream, int8_t *y,
                                  int32_t constants, mq_pointwise_eight_kernel_t *kernel)
{
    const uint32_t *const from = (const uint32_t *)(const void *)x;
    const uint32_t *const weights = (const uint32_t *)stream, *const end = weights + (5 + constants) * p->out_c;
    const int32_t pairs = p->pixels / 2;
    if (pairs) {
        const mq_pointwise_eight_run_t run = {from, from + 4 * pairs, weights, end, y, p->out_c};
        kernel(&run);
    }
    if (p->pixels % 2) { /* both pixels of a pair are the last one */
        const uint32_t *const last = from + 4 * pairs;
        const uint32_t twice[4] = {last[0], last[1], last[0], last[1]};
        const mq_pointwise_eight_run_t run = {twice, twice + 4, weights, end, y + 2 * pairs * p->out_c, 0};
        kernel(&run);
    }
}

#define MQ_DEFINE_POINTWISE_EIGHT(form, constants)                                                                     \
    MQ_KERNEL void mq_pointwise_eight_##form##_s8(const mq_pointwise_eight_t *p, const int8_t *x,                      \
                                                  const int32_t *stream, int8_t *y)                                    \
    {                                                                                                                  \
        mq_pointwise_eight(p, x, stream, y, constants, mq_pointwise_eight_run_##form);                                 \
    }

MQ_DEFINE_POINTWISE_EIGHT(12, 1)
MQ_DEFINE_POINTWISE_EIGHT(8, 1)
MQ_DEFINE_POINTWISE_EIGHT(twice, 3)

#undef MQ_DEFINE_POINTWISE_EIGHT
#undef MQ_EIGHT_INPUTS_DEFINE

#endif
