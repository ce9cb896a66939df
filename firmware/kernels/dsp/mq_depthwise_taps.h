/* Depthwise convolution of int8 images with windows of any shape, on cores with SMLAD.
 *
 * Rows are in the ring of mq_ring.h. A window is a list of pairs of taps. Two inputs of four channels are paired and
 * multiplied by two weights each, with one instruction per channel: 24 cycles for 8 MACs on Cortex-M4, and 10 to 20
 * per output.
 */
#ifndef MQ_DEPTHWISE_TAPS_H
#define MQ_DEPTHWISE_TAPS_H

#include "mq_ring.h"

/* Bytes from the first pixel of the ring to each tap of the first window of output row `oy`. A tap with weight 0
   follows an odd number of taps. */
MQ_KERNEL void mq_taps_list(const mq_window_t *p, int32_t oy, int32_t *list)
{
    const int32_t words = mq_ring_pixel_words(p), rows = mq_ring_rows(p);
    const int32_t row_bytes = 4 * words * mq_ring_row_pixels(p);
    int32_t slot = oy * p->stride_h % rows;
    for (int32_t ky = 0; ky < p->k_h; ky++) {
        for (int32_t kx = 0; kx < p->k_w; kx++) {
            *list++ = slot * row_bytes + 4 * words * kx * p->dilation_w;
        }
        slot += p->dilation_h;
        slot -= slot >= rows ? rows : 0;
    }
    if (p->k_h * p->k_w % 2) {
        *list = 0;
    }
}

/* All channels of one window. */
typedef struct {
    const int8_t *x; /* in the ring */
    const int32_t *list;
    const int32_t *list_end;
    const uint32_t *w; /* for each pair of taps, the weights of the channels 0, 2, 1, 3 of four */
    const int32_t *scale; /* for four channels: starts, then the constants of each: a factor; or as in mq_dot.h */
    int8_t *y;
    int32_t channels;
} mq_taps_call_t;

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

#define MQ_TAPS_STEP_BYTES "68"
/* A pair of taps. */
#define MQ_TAPS_STEP                                                                                                   \
    "ldmia.w r1!, {r8, r9}\n"                                                                                          \
    "ldr.w  r8, [r0, r8]\n"                                                                                            \
    "ldr.w  r9, [r0, r9]\n"                                                                                            \
    "ldmia.w r2!, {r12, lr}\n"                                                                                         \
    "sxtb16 r10, r8\n"                                                                                                 \
    "sxtb16 r11, r9\n"                                                                                                 \
    "sxtb16 r8, r8, ror #8\n"                                                                                          \
    "sxtb16 r9, r9, ror #8\n"                                                                                          \
    "pkhbt  r3, r10, r11, lsl #16\n"                                                                                   \
    "smlad  r4, r3, r12, r4\n"                                                                                         \
    "pkhtb  r3, r11, r10, asr #16\n"                                                                                   \
    "smlad  r6, r3, lr, r6\n"                                                                                          \
    "ldmia.w r2!, {r12, lr}\n"                                                                                         \
    "pkhbt  r3, r8, r9, lsl #16\n"                                                                                     \
    "smlad  r5, r3, r12, r5\n"                                                                                         \
    "pkhtb  r3, r9, r8, asr #16\n"                                                                                     \
    "smlad  r7, r3, lr, r7\n"

#define MQ_TAPS_FOUR MQ_TAPS_STEP MQ_TAPS_STEP MQ_TAPS_STEP MQ_TAPS_STEP

/* Requantizes twice the sums of four channels with TFLite's two roundings. */
#define MQ_TAPS_TWICE_ONE(sum)                                                                                         \
    "ldmia.w r3!, {r9, r10, r11}\n"                                                                                    \
    "add    r10, r10, " sum ", asr #31\n"                                                                              \
    "smmlar " sum ", " sum ", r9, r10\n"                                                                               \
    "asr    " sum ", " sum ", r11\n"                                                                                   \
    "ssat   " sum ", #8, " sum "\n"
#define MQ_TAPS_TWICE MQ_TAPS_TWICE_ONE("r4") MQ_TAPS_TWICE_ONE("r5") MQ_TAPS_TWICE_ONE("r6") MQ_TAPS_TWICE_ONE("r7")

/* The same in two instructions, if 256 times the sum fits and that is exact. */
#define MQ_TAPS_ONCE(shift)                                                                                            \
    "ldmia.w r3!, {r8, r9, r10, r11}\n"                                                                                \
    "smmulr r4, r4, r8\n"                                                                                              \
    "smmulr r5, r5, r9\n"                                                                                              \
    "smmulr r6, r6, r10\n"                                                                                             \
    "smmulr r7, r7, r11\n"                                                                                             \
    "ssat   r4, #8, r4, asr #" shift "\n"                                                                              \
    "ssat   r5, #8, r5, asr #" shift "\n"                                                                              \
    "ssat   r6, #8, r6, asr #" shift "\n"                                                                              \
    "ssat   r7, #8, r7, asr #" shift "\n"

/* On the stack: x, list, its end, where the loop of four steps is entered so that it ends with the last, scale, y,
   channels. */
#define MQ_TAPS_DEFINE(name, scale, constants, twin)                                                                   \
    static __attribute__((naked, noinline, unused)) void name(const mq_taps_call_t *call __attribute__((unused)))      \
    {                                                                                                                  \
        __asm__ volatile("push   {r4-r11, lr}\n"                                                                       \
                         "sub    sp, sp, #28\n"                                                                        \
                         "ldmia  r0, {r0, r1, r2, r3, r4, r5, r6}\n"                                                   \
                         "sub    r7, r1, r2\n"                                                                         \
                         "ubfx   r7, r7, #3, #2\n" /* pairs to skip in the first pass */                             \
                         "mov    r8, #" MQ_TAPS_STEP_BYTES "\n"                                                        \
                         "adr.w  r9, 2f\n"                                                                             \
                         "mla    r9, r7, r8, r9\n"                                                                     \
                         "add    r9, r9, #1\n"                                                                         \
                         "strd   r0, r1, [sp]\n"                                                                       \
                         "strd   r2, r9, [sp, #8]\n"                                                                   \
                         "strd   r4, r5, [sp, #16]\n"                                                                  \
                         "str    r6, [sp, #24]\n"                                                                      \
                         "mov    r2, r3\n"                                                                             \
                         "mov    r3, r4\n"                                                                             \
                         "1:\n"                                                                                        \
                         "ldr    r11, [sp, #12]\n"                                                                     \
                         "ldmia.w r3!, {r4, r5, r6, r7}\n"                                                             \
                         "str    r3, [sp, #16]\n"                                                                      \
                         "bx     r11\n"                                                                                \
                         ".balign 4\n"                                                                                 \
                         "2:\n" MQ_STEPS_OF_LENGTH(MQ_TAPS_FOUR, "4", MQ_TAPS_STEP_BYTES)                              \
                         "ldr    r8, [sp, #8]\n"                                                                       \
                         "cmp    r1, r8\n"                                                                             \
                         "bne.w  2b\n"                                                                                 \
                         "ldr    r3, [sp, #16]\n" scale "ldrd   r12, lr, [sp, #20]\n"                                  \
                         "subs   lr, lr, #4\n"                                                                         \
                         "blt    4f\n"                                                                                 \
                         "strb   r4, [r12], #1\n"                                                                      \
                         "strb   r5, [r12], #1\n"                                                                      \
                         "strb   r6, [r12], #1\n"                                                                      \
                         "strb   r7, [r12], #1\n"                                                                      \
                         "beq    5f\n"                                                                                 \
                         "ldrd   r0, r1, [sp]\n"                                                                       \
                         "strd   r12, lr, [sp, #20]\n"                                                                 \
                         "add    r0, r0, #4\n"                                                                         \
                         "str    r0, [sp]\n"                                                                           \
                         "b.w    1b\n"                                                                                 \
                         "4:\n" /* one channel, two, or three */                                                       \
                         "strb   r4, [r12]\n"                                                                          \
                         "adds   lr, lr, #2\n"                                                                         \
                         "it     ge\n"                                                                                 \
                         "strbge r5, [r12, #1]\n"                                                                      \
                         "it     gt\n"                                                                                 \
                         "strbgt r6, [r12, #2]\n"                                                                      \
                         "5:\n"                                                                                        \
                         "add    sp, sp, #28\n"                                                                        \
                         "pop    {r4-r11, pc}\n");                                                                      \
    }

#else

MQ_KERNEL int32_t mq_taps_at(const int8_t *x, const int32_t *list, int32_t pair, int32_t channel)
{
    return (int32_t)mq_pack16(x[list[2 * pair] + channel], x[list[2 * pair + 1] + channel]);
}

typedef int8_t mq_taps_requantize_t(int32_t sum, const int32_t *constants);

MQ_KERNEL int8_t mq_taps_requantize_8(int32_t sum, const int32_t *constants)
{
    return (int8_t)mq_ssat8_asr8(mq_smmulr(sum, constants[0]));
}

MQ_KERNEL int8_t mq_taps_requantize_12(int32_t sum, const int32_t *constants)
{
    return (int8_t)mq_ssat8_asr12(mq_smmulr(sum, constants[0]));
}

/* `constants` words of the requantization a channel. */
MQ_KERNEL void mq_taps_window(const mq_taps_call_t *call, int32_t constants, mq_taps_requantize_t *requantize)
{
    static const int32_t places[4] = {0, 2, 1, 3};
    const int32_t pairs = (int32_t)(call->list_end - call->list) / 2;
    for (int32_t c = 0; c < call->channels; c++) {
        const uint32_t *w = call->w + c / 4 * 4 * pairs + places[c % 4];
        const int32_t *scale = call->scale + c / 4 * 4 * (1 + constants);
        int32_t sum = scale[c % 4];
        for (int32_t i = 0; i < pairs; i++) {
            sum = mq_smlad((uint32_t)mq_taps_at(call->x, call->list, i, c), w[4 * i], sum);
        }
        call->y[c] = requantize(sum, scale + 4 + c % 4 * constants);
    }
}

#define MQ_TAPS_DEFINE(name, scale, constants, twin)                                                                   \
    MQ_KERNEL void name(const mq_taps_call_t *call)                                                                    \
    {                                                                                                                  \
        mq_taps_window(call, constants, twin);                                                                         \
    }

#endif

typedef void mq_taps_kernel_t(const mq_taps_call_t *call);

MQ_TAPS_DEFINE(mq_taps_8, MQ_TAPS_ONCE("8"), 1, mq_taps_requantize_8)
MQ_TAPS_DEFINE(mq_taps_12, MQ_TAPS_ONCE("12"), 1, mq_taps_requantize_12)
MQ_TAPS_DEFINE(mq_taps_twice, MQ_TAPS_TWICE, 3, mq_dot_requantize_doubled)

#undef MQ_TAPS_DEFINE

/* `weights` and `scale` are those of mq_taps_call_t. scratch, in words: the list of taps, rounded up to an even number; the ring. */
MQ_KERNEL void mq_depthwise_taps(const mq_window_t *p, const int8_t *x, const int32_t *weights, const int32_t *scale,
                                 int32_t *scratch, int8_t *y, mq_taps_kernel_t *kernel)
{
    const int32_t words = mq_ring_pixel_words(p);
    int32_t *const list = scratch, *const list_end = list + (p->k_h * p->k_w + 1) / 2 * 2;
    uint32_t *const ring = (uint32_t *)list_end;
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        int32_t loaded = 0;
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            loaded = mq_ring_load(p, x, oy, loaded, ring);
            mq_taps_list(p, oy, list);
            mq_taps_call_t call = {(const int8_t *)ring, list, list_end, (const uint32_t *)weights, scale, y, p->in_c};
            for (int32_t ox = 0; ox < p->out_w; ox++, call.x += 4 * words * p->stride_w, call.y += p->in_c) {
                kernel(&call);
            }
            y = call.y;
        }
    }
}

#define MQ_DEFINE_DEPTHWISE_TAPS(form)                                                                                 \
    MQ_KERNEL void mq_depthwise_taps_##form##_s8(const mq_window_t *p, const int8_t *x, const int32_t *weights,        \
                                                 const int32_t *scale, int32_t *scratch, int8_t *y)                    \
    {                                                                                                                  \
        mq_depthwise_taps(p, x, weights, scale, scratch, y, mq_taps_##form);                                           \
    }

MQ_DEFINE_DEPTHWISE_TAPS(8)
MQ_DEFINE_DEPTHWISE_TAPS(12)
MQ_DEFINE_DEPTHWISE_TAPS(twice)

#undef MQ_DEFINE_DEPTHWISE_TAPS

#endif
