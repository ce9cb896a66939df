/* Convolution of int8 images of few channels (a network's first layer) on cores with SMLAD.
 *
 * Windows are gathered byte by byte, for no channels come in whole words; the bytes are stored as int16, two a word, two
 * pixels in turn. Weights are int16 too, times 256, so that nothing is unpacked where the products are made: two pixels
 * by four outputs at a time, 16 cycles for 16 MACs on Cortex-M4, and 64 for each eight outputs. The stream of weights is
 * twice as large as bytes would be.
 */
#ifndef MQ_CONV2D_FEW_CHANNELS_H
#define MQ_CONV2D_FEW_CHANNELS_H

#include "mq_dsp.h"
#include "mq_few_channels_windows.h"

/* One call. For each four outputs the stream has their starts, the first word of each, the second of each and so on,
   and the factors of the requantization in two instructions (see `requantize` in the compiler), or else m, rounding
   with zero point, shift of each. */
typedef struct {
    const uint32_t *x;
    const uint32_t *x_end;
    int8_t *y[2];
    int32_t groups; /* for four outputs; 1 or more */
    const uint32_t *stream;
} mq_few_channels_t;

typedef void mq_few_channels_kernel_t(const mq_few_channels_t *);

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

#define MQ_FEW_STEP_BYTES "52"
/* A load directly after another takes one cycle. */
#define MQ_FEW_STEP                                                                                                    \
    "ldr.w  r0, [r12], #4\n"                                                                                           \
    "ldr.w  r1, [r12], #4\n"                                                                                           \
    "ldr.w  r2, [lr], #4\n"                                                                                            \
    "ldr.w  r3, [lr], #4\n"                                                                                            \
    "smlad  r4, r0, r2, r4\n"                                                                                          \
    "smlad  r5, r1, r2, r5\n"                                                                                          \
    "smlad  r6, r0, r3, r6\n"                                                                                          \
    "smlad  r7, r1, r3, r7\n"                                                                                          \
    "ldmia.w lr!, {r2, r3}\n"                                                                                          \
    "smlad  r8, r0, r2, r8\n"                                                                                          \
    "smlad  r9, r1, r2, r9\n"                                                                                          \
    "smlad  r10, r0, r3, r10\n"                                                                                        \
    "smlad  r11, r1, r3, r11\n"

#define MQ_FEW_FOUR MQ_FEW_STEP MQ_FEW_STEP MQ_FEW_STEP MQ_FEW_STEP
#define MQ_FEW_LOOP MQ_STEPS_OF_LENGTH(MQ_FEW_FOUR MQ_FEW_FOUR, "8", MQ_FEW_STEP_BYTES)

#define MQ_FEW_SATURATE(first, second, shift)                                                                          \
    "ssat   " first ", #8, " first ", asr #" shift "\n"                                                                \
    "strb   " first ", [r0], #1\n"                                                                                     \
    "ssat   " second ", #8, " second ", asr #" shift "\n"                                                              \
    "strb   " second ", [r1], #1\n"
#define MQ_FEW_TWO_INSTRUCTIONS(shift)                                                                                 \
    "ldmia  lr!, {r0, r1, r2, r3}\n"                                                                                   \
    "smmulr r4, r4, r0\n"                                                                                              \
    "smmulr r5, r5, r0\n"                                                                                              \
    "smmulr r6, r6, r1\n"                                                                                              \
    "smmulr r7, r7, r1\n"                                                                                              \
    "smmulr r8, r8, r2\n"                                                                                              \
    "smmulr r9, r9, r2\n"                                                                                              \
    "smmulr r10, r10, r3\n"                                                                                            \
    "smmulr r11, r11, r3\n"                                                                                            \
    "ldrd   r0, r1, [sp, #8]\n"                                                                                        \
    MQ_FEW_SATURATE("r4", "r5", shift) MQ_FEW_SATURATE("r6", "r7", shift) MQ_FEW_SATURATE("r8", "r9", shift)           \
    MQ_FEW_SATURATE("r10", "r11", shift)

/* TFLite's two roundings: high multiply, then a shift that rounds halves away from zero. */
#define MQ_FEW_ROUND_TWICE(acc, y)                                                                                     \
    "asr    " acc ", " acc ", #7\n"                                                                                    \
    "smmulr " acc ", " acc ", r2\n"                                                                                    \
    "add    " acc ", " acc ", " acc ", asr #31\n"                                                                      \
    "add    " acc ", " acc ", r3\n"                                                                                    \
    "asr    " acc ", " acc ", r12\n"                                                                                   \
    "ssat   " acc ", #8, " acc "\n"                                                                                    \
    "strb   " acc ", [" y "], #1\n"
/* The second of both may change what is added. */
#define MQ_FEW_ROUND_LAST(acc, y)                                                                                      \
    "asr    " acc ", " acc ", #7\n"                                                                                    \
    "add    r3, r3, " acc ", asr #31\n"                                                                                \
    "smmlar " acc ", " acc ", r2, r3\n"                                                                                \
    "asr    " acc ", " acc ", r12\n"                                                                                   \
    "ssat   " acc ", #8, " acc "\n"                                                                                    \
    "strb   " acc ", [" y "], #1\n"
#define MQ_FEW_BOTH_TWICE(first, second)                                                                               \
    "ldmia  lr!, {r2, r3, r12}\n" MQ_FEW_ROUND_TWICE(first, "r0") MQ_FEW_ROUND_LAST(second, "r1")
#define MQ_FEW_TWO_ROUNDINGS                                                                                           \
    "ldrd   r0, r1, [sp, #8]\n"                                                                                        \
    MQ_FEW_BOTH_TWICE("r4", "r5") MQ_FEW_BOTH_TWICE("r6", "r7") MQ_FEW_BOTH_TWICE("r8", "r9")                          \
    MQ_FEW_BOTH_TWICE("r10", "r11")

#define MQ_FEW_DEFINE(name, requantize)                                                                                \
    static __attribute__((naked, noinline)) void name(const mq_few_channels_t *p __attribute__((unused)))              \
    {                                                                                                                  \
        __asm__ volatile("push   {r4-r11, lr}\n"                                                                       \
                         "ldmia  r0, {r0-r4, lr}\n"                                                                    \
                         "subs   r5, r1, r0\n"                                                                         \
                         "ubfx   r5, r5, #3, #3\n"                                                                     \
                         "cmp    r5, #0\n"                                                                             \
                         "it     ne\n"                                                                                 \
                         "rsbne  r5, r5, #8\n" /* steps to skip in the first pass */                                 \
                         "mov    r6, #" MQ_FEW_STEP_BYTES "\n"                                                         \
                         "adr    r7, 2f\n"                                                                             \
                         "mla    r5, r5, r6, r7\n"                                                                     \
                         "add    r5, r5, #1\n"                                                                         \
                         "sub    sp, sp, #24\n"                                                                        \
                         "stmia  sp, {r0-r5}\n"                                                                        \
                         "1:\n"                                                                                        \
                         "ldmia  lr!, {r4, r6, r8, r10}\n"                                                             \
                         "mov    r5, r4\n"                                                                             \
                         "mov    r7, r6\n"                                                                             \
                         "mov    r9, r8\n"                                                                             \
                         "mov    r11, r10\n"                                                                           \
                         "ldr    r0, [sp, #20]\n"                                                                      \
                         "ldr    r12, [sp]\n"                                                                          \
                         "bx     r0\n"                                                                                 \
                         ".balign 4\n"                                                                                 \
                         "2:\n" MQ_FEW_LOOP                                                                            \
                         "ldr    r2, [sp, #4]\n"                                                                       \
                         "cmp    r12, r2\n"                                                                            \
                         "bne    2b\n" requantize                                                                      \
                         "strd   r0, r1, [sp, #8]\n"                                                                   \
                         "ldr    r2, [sp, #16]\n"                                                                      \
                         "subs   r2, r2, #1\n"                                                                         \
                         "str    r2, [sp, #16]\n"                                                                      \
                         "bne    1b\n"                                                                                 \
                         "add    sp, sp, #24\n"                                                                        \
                         "pop    {r4-r11, pc}\n");                                                                     \
    }

MQ_FEW_DEFINE(mq_few_channels_8, MQ_FEW_TWO_INSTRUCTIONS("8"))
MQ_FEW_DEFINE(mq_few_channels_12, MQ_FEW_TWO_INSTRUCTIONS("12"))
MQ_FEW_DEFINE(mq_few_channels_twice, MQ_FEW_TWO_ROUNDINGS)

#undef MQ_FEW_DEFINE
#undef MQ_FEW_TWO_ROUNDINGS
#undef MQ_FEW_BOTH_TWICE
#undef MQ_FEW_ROUND_TWICE
#undef MQ_FEW_TWO_INSTRUCTIONS
#undef MQ_FEW_SATURATE
#undef MQ_FEW_LOOP
#undef MQ_FEW_FOUR
#undef MQ_FEW_STEP
#undef MQ_FEW_STEP_BYTES

#else

MQ_KERNEL int32_t mq_few_channels_sum(const mq_few_channels_t *p, const uint32_t *weights, int pixel)
{
    int32_t acc = (int32_t)weights[0];
    for (const uint32_t *x = p->x + pixel; x < p->x_end; x += 2) {
        weights += 4;
        acc = mq_smlad(*weights, *x, acc);
    }
    return acc;
}

/* shift 0: two roundings. */
MQ_KERNEL int8_t mq_few_channels_output(int32_t acc, const uint32_t *constants, int32_t shift)
{
    if (shift) {
        return (int8_t)mq_clamp(mq_smmulr(acc, (int32_t)constants[0]) >> shift, -128, 127);
    }
    const int32_t high = mq_smmulr(acc >> 7, (int32_t)constants[0]);
    return (int8_t)mq_clamp((high + (high >> 31) + (int32_t)constants[1]) >> constants[2], -128, 127);
}

MQ_KERNEL void mq_few_channels_run(const mq_few_channels_t *p, int32_t shift)
{
    const int32_t words = (int32_t)(p->x_end - p->x) / 2, constants = shift ? 1 : 3;
    const uint32_t *stream = p->stream;
    for (int32_t group = 0; group < p->groups; group++, stream += 4 * (words + 1 + constants)) {
        for (int32_t i = 0; i < 4; i++) {
            for (int pixel = 0; pixel < 2; pixel++) {
                const uint32_t *row = stream + 4 * (words + 1) + constants * i;
                const int32_t sum = mq_few_channels_sum(p, stream + i, pixel);
                p->y[pixel][4 * group + i] = mq_few_channels_output(sum, row, shift);
            }
        }
    }
}

#define MQ_FEW_DEFINE(name, shift)                                                                                     \
    static inline void name(const mq_few_channels_t *p)                                                                \
    {                                                                                                                  \
        mq_few_channels_run(p, shift);                                                                                 \
    }

MQ_FEW_DEFINE(mq_few_channels_8, 8)
MQ_FEW_DEFINE(mq_few_channels_12, 12)
MQ_FEW_DEFINE(mq_few_channels_twice, 0)

#undef MQ_FEW_DEFINE

#endif

/* The outputs of two pixels. Outputs after the last whole four go through `results`, because the last group has more. */
MQ_KERNEL void mq_conv2d_few_channels_outputs(const mq_window_t *p, mq_few_channels_t *run, int32_t constants,
                                              mq_few_channels_kernel_t *kernel)
{
    const int32_t groups = p->out_c / 4, rest = p->out_c % 4;
    const int32_t words = (mq_conv2d_few_channels_taps(p) + 1) / 2;
    run->groups = groups;
    if (groups) {
        kernel(run);
    }
    if (rest) {
        int8_t results[2][4];
        const mq_few_channels_t last = {run->x, run->x_end, {results[0], results[1]}, 1,
                               run->stream + 4 * groups * (words + 1 + constants)};
        kernel(&last);
        for (int32_t i = 0; i < rest; i++) {
            run->y[0][4 * groups + i] = results[0][i];
            run->y[1][4 * groups + i] = results[1][i];
        }
    }
}

/* Gathers both windows of a pair. The last one of an odd number of pixels is computed twice. */
MQ_KERNEL void mq_conv2d_few_channels_windows(const mq_window_t *p, const int8_t *image, mq_few_channels_place_t *at,
                                              int is_last, uint32_t *windows)
{
#pragma GCC unroll 1
    for (int32_t i = 0; i < 2; i++) {
        mq_conv2d_few_channels_gather(p, image, at, windows + i);
        if (!is_last) {
            mq_conv2d_few_channels_step(p, at, 1);
        }
    }
}

/* The same for a pair inside the image, `step` bytes apart. */
MQ_KERNEL void mq_conv2d_few_channels_windows_side_by_side(const mq_window_t *p, const int8_t *x, int32_t step,
                                                  uint32_t *windows)
{
#pragma GCC unroll 1
    for (int32_t i = 0; i < 2; i++, x += step) {
        mq_conv2d_few_channels_inside(p, x, windows + i);
    }
}

/* scratch: 8 bytes for two taps of a window. */
MQ_KERNEL void mq_conv2d_few_channels(const mq_window_t *p, const int8_t *x, const int32_t *stream, int32_t *scratch,
                                      int8_t *y, int32_t constants, mq_few_channels_kernel_t *kernel)
{
    const int32_t words = (mq_conv2d_few_channels_taps(p) + 1) / 2, step = p->stride_w * p->in_c;
    uint32_t *const windows = (uint32_t *)scratch;
    mq_few_channels_t run = {windows, windows + 2 * words, {y, y}, 0, (const uint32_t *)stream};
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        mq_few_channels_place_t at = {0, -p->pad_top, -p->pad_left, -(p->pad_top * p->in_w + p->pad_left) * p->in_c};
        const int8_t *from = x;
        int32_t inside = 0;
        for (int32_t left = p->out_h * p->out_w; left > 0; left -= 2) {
            if (inside < 2) {
                inside = mq_conv2d_few_channels_windows_inside(p, &at);
                from = x + (inside ? at.offset : 0);
                mq_conv2d_few_channels_step(p, &at, inside / 2 * 2);
            }
            if (inside >= 2) {
                mq_conv2d_few_channels_windows_side_by_side(p, from, step, windows);
                from += 2 * step;
                inside -= 2;
            } else {
                mq_conv2d_few_channels_windows(p, x, &at, left == 1, windows);
            }
            run.y[0] = y;
            run.y[1] = left == 1 ? y : y + p->out_c;
            y = run.y[1] + p->out_c;
            mq_conv2d_few_channels_outputs(p, &run, constants, kernel);
        }
    }
}

#define MQ_DEFINE_CONV2D_FEW(form, constants)                                                                          \
    MQ_KERNEL void mq_conv2d_few_channels_##form##_s8(const mq_window_t *p, const int8_t *x, const int32_t *stream,    \
                                             int32_t *scratch, int8_t *y)                                              \
    {                                                                                                                  \
        mq_conv2d_few_channels(p, x, stream, scratch, y, constants, mq_few_channels_##form);                           \
    }

MQ_DEFINE_CONV2D_FEW(8, 1)
MQ_DEFINE_CONV2D_FEW(12, 1)
MQ_DEFINE_CONV2D_FEW(twice, 3)

#undef MQ_DEFINE_CONV2D_FEW

#endif
