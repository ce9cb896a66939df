/* Depthwise convolution of int8 images with windows of any shape, on cores with SMLAD.
 *
 * Rows are in the ring of mq_ring.h. A window is a list of taps: the first one alone if their number is odd, then pairs.
 * Two inputs of four channels are paired and multiplied by two weights each, with one instruction per channel: 24 cycles
 * for 8 MACs on Cortex-M4, 18 for a tap alone, and 10 to 20 per output.
 */
#ifndef MQ_DEPTHWISE_TAPS_H
#define MQ_DEPTHWISE_TAPS_H

#include "mq_ring.h"

/* Bytes from the first pixel of the ring to each tap of the first window of output row `oy`. */
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
}

/* All channels of a row of windows. */
typedef struct {
    const int8_t *x; /* the first window in the ring */
    const int32_t *list;
    const int32_t *list_end;
    const uint32_t *w; /* for each pair of taps, the weights of the channels 0, 2, 1, 3 of four; or of one tap */
    const int32_t *scale; /* for four channels: starts, then the constants of each: a factor; or as in mq_dot.h */
    int8_t *y;
    int32_t channels;
    int32_t windows;
    int32_t x_step; /* bytes from a window to the next */
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

/* A tap alone; then to the loop of pairs. */
#define MQ_TAPS_ALONE                                                                                                  \
    "ldr.w  r8, [r1], #4\n"                                                                                            \
    "ldmia.w r2!, {r12, lr}\n"                                                                                         \
    "ldr.w  r8, [r0, r8]\n"                                                                                            \
    "ldr    r11, [sp, #44]\n"                                                                                          \
    "sxtb16 r10, r8\n"                                                                                                 \
    "sxtb16 r9, r8, ror #8\n"                                                                                          \
    "smlabb r4, r10, r12, r4\n"                                                                                        \
    "smlatt r6, r10, r12, r6\n"                                                                                        \
    "smlabb r5, r9, lr, r5\n"                                                                                          \
    "smlatt r7, r9, lr, r7\n"                                                                                          \
    "bx     r11\n"

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

/* On the stack: 0 the window, 4 list, 8 its end, 12 where a group begins, 16 scale of the group, 20 y, 24 channels left,
   28 windows left, 32 x_step, 36 w, 40 scale, 44 where the loop of four steps is entered so that it ends with the last
   (behind it if there are no pairs), 48 channels. */
#define MQ_TAPS_DEFINE(name, scale, constants, twin)                                                                   \
    static __attribute__((naked, noinline, unused)) void name(const mq_taps_call_t *call __attribute__((unused)))      \
    {                                                                                                                  \
        __asm__ volatile("push   {r4-r11, lr}\n"                                                                       \
                         "sub    sp, sp, #52\n"                                                                        \
                         "ldmia.w r0, {r0-r8}\n"                                                                       \
                         "strd   r0, r1, [sp]\n"                                                                       \
                         "strd   r5, r6, [sp, #20]\n"                                                                  \
                         "strd   r7, r8, [sp, #28]\n"                                                                  \
                         "strd   r3, r4, [sp, #36]\n"                                                                  \
                         "str    r6, [sp, #48]\n"                                                                      \
                         "sub    r9, r2, r1\n"                                                                         \
                         "and    r10, r9, #4\n" /* a tap alone */                                                      \
                         "sub    r9, r9, r10\n"                                                                        \
                         "rsb    r11, r9, #0\n"                                                                        \
                         "ubfx   r11, r11, #3, #2\n" /* pairs to skip in the first pass */                             \
                         "mov    r8, #" MQ_TAPS_STEP_BYTES "\n"                                                        \
                         "adr.w  lr, 2f\n"                                                                             \
                         "mla    lr, r11, r8, lr\n"                                                                    \
                         "adr.w  r8, 7f\n"                                                                             \
                         "cmp    r9, #0\n"                                                                             \
                         "it     eq\n"                                                                                 \
                         "moveq  lr, r8\n"                                                                             \
                         "orr    lr, lr, #1\n"                                                                         \
                         "str    lr, [sp, #44]\n"                                                                      \
                         "adr.w  r8, 6f\n"                                                                             \
                         "orr    r8, r8, #1\n"                                                                         \
                         "cmp    r10, #0\n"                                                                            \
                         "it     ne\n"                                                                                 \
                         "movne  lr, r8\n"                                                                             \
                         "strd   r2, lr, [sp, #8]\n"                                                                   \
                         "mov    r2, r3\n"                                                                             \
                         "mov    r3, r4\n"                                                                             \
                         "1:\n" /* Four channels. */                                                                   \
                         "ldr    r11, [sp, #12]\n"                                                                     \
                         "ldmia.w r3!, {r4, r5, r6, r7}\n"                                                             \
                         "str    r3, [sp, #16]\n"                                                                      \
                         "bx     r11\n"                                                                                \
                         "6:\n" MQ_TAPS_ALONE                                                                          \
                         ".balign 4\n"                                                                                 \
                         "2:\n" MQ_STEPS_OF_LENGTH(MQ_TAPS_FOUR, "4", MQ_TAPS_STEP_BYTES)                              \
                         "ldr    r8, [sp, #8]\n"                                                                       \
                         "cmp    r1, r8\n"                                                                             \
                         "bne.w  2b\n"                                                                                 \
                         "7:\n"                                                                                        \
                         "ldr    r3, [sp, #16]\n" scale "ldrd   r12, lr, [sp, #20]\n"                                  \
                         "subs   lr, lr, #4\n"                                                                         \
                         "blt    4f\n"                                                                                 \
                         "strb   r4, [r12], #1\n"                                                                      \
                         "strb   r5, [r12], #1\n"                                                                      \
                         "strb   r6, [r12], #1\n"                                                                      \
                         "strb   r7, [r12], #1\n"                                                                      \
                         "beq    5f\n"                                                                                 \
                         "ldr    r1, [sp, #4]\n"                                                                       \
                         "strd   r12, lr, [sp, #20]\n"                                                                 \
                         "add    r0, r0, #4\n"                                                                         \
                         "b.w    1b\n"                                                                                 \
                         "4:\n" /* One channel, two, or three. */                                                      \
                         "strb   r4, [r12]\n"                                                                          \
                         "adds   lr, lr, #2\n"                                                                         \
                         "it     ge\n"                                                                                 \
                         "strbge r5, [r12, #1]\n"                                                                      \
                         "it     gt\n"                                                                                 \
                         "strbgt r6, [r12, #2]\n"                                                                      \
                         "add    r12, r12, lr\n"                                                                       \
                         "add    r12, r12, #2\n"                                                                       \
                         "5:\n" /* The next window. */                                                                 \
                         "ldrd   r7, r8, [sp, #28]\n"                                                                  \
                         "ldrd   r0, r1, [sp]\n"                                                                       \
                         "subs   r7, r7, #1\n"                                                                         \
                         "beq    8f\n"                                                                                 \
                         "ldr    r4, [sp, #48]\n"                                                                      \
                         "ldrd   r2, r3, [sp, #36]\n"                                                                  \
                         "add    r0, r0, r8\n"                                                                         \
                         "str    r0, [sp]\n"                                                                           \
                         "str    r7, [sp, #28]\n"                                                                      \
                         "strd   r12, r4, [sp, #20]\n"                                                                 \
                         "b.w    1b\n"                                                                                 \
                         "8:\n"                                                                                        \
                         "add    sp, sp, #52\n"                                                                        \
                         "pop    {r4-r11, pc}\n");                                                                     \
    }

#else

MQ_KERNEL uint32_t mq_taps_pair(const int8_t *x, const int32_t *list, int32_t channel)
{
    return (uint32_t)mq_pack16(x[list[0] + channel], x[list[1] + channel]);
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

/* The sum of one channel of a window; `w` begins at its four channels. */
MQ_KERNEL int32_t mq_taps_sum(const mq_taps_call_t *call, const int8_t *x, const uint32_t *w, int32_t c, int32_t start)
{
    static const int32_t places[4] = {0, 2, 1, 3};
    const int32_t taps = (int32_t)(call->list_end - call->list), place = places[c % 4];
    int32_t sum = start;
    if (taps % 2) {
        const uint32_t two = w[place / 2];
        sum += x[call->list[0] + c] * (int16_t)(place % 2 ? two >> 16 : two);
    }
    for (int32_t i = taps % 2; i < taps; i += 2) {
        sum = mq_smlad(mq_taps_pair(x, call->list + i, c), w[2 * i + place], sum);
    }
    return sum;
}

/* `constants` words of the requantization a channel. */
MQ_KERNEL void mq_taps_row(const mq_taps_call_t *call, int32_t constants, mq_taps_requantize_t *requantize)
{
    const int32_t words = 2 * (int32_t)(call->list_end - call->list);
    int8_t *y = call->y;
    for (int32_t i = 0; i < call->windows; i++) {
        for (int32_t c = 0; c < call->channels; c++) {
            const int32_t *scale = call->scale + c / 4 * 4 * (1 + constants);
            const int32_t sum = mq_taps_sum(call, call->x + i * call->x_step, call->w + c / 4 * words, c, scale[c % 4]);
            *y++ = requantize(sum, scale + 4 + c % 4 * constants);
        }
    }
}

#define MQ_TAPS_DEFINE(name, scale, constants, twin)                                                                   \
    MQ_KERNEL void name(const mq_taps_call_t *call)                                                                    \
    {                                                                                                                  \
        mq_taps_row(call, constants, twin);                                                                            \
    }

#endif

typedef void mq_taps_kernel_t(const mq_taps_call_t *call);

MQ_TAPS_DEFINE(mq_taps_8, MQ_TAPS_ONCE("8"), 1, mq_taps_requantize_8)
MQ_TAPS_DEFINE(mq_taps_12, MQ_TAPS_ONCE("12"), 1, mq_taps_requantize_12)
MQ_TAPS_DEFINE(mq_taps_twice, MQ_TAPS_TWICE, 3, mq_dot_requantize_doubled)

#undef MQ_TAPS_DEFINE

/* `weights` and `scale` are those of mq_taps_call_t. scratch, in words: the list of taps; the ring. */
MQ_KERNEL void mq_depthwise_taps(const mq_window_t *p, const int8_t *x, const int32_t *weights, const int32_t *scale,
                                 int32_t *scratch, int8_t *y, mq_taps_kernel_t *kernel)
{
    const int32_t words = mq_ring_pixel_words(p);
    int32_t *const list = scratch, *const list_end = list + p->k_h * p->k_w;
    uint32_t *const ring = (uint32_t *)list_end;
    for (int32_t n = 0; n < p->batch; n++, x += p->in_h * p->in_w * p->in_c) {
        int32_t loaded = 0;
        for (int32_t oy = 0; oy < p->out_h; oy++) {
            loaded = mq_ring_load(p, x, oy, loaded, ring);
            mq_taps_list(p, oy, list);
            const mq_taps_call_t call = {
                .x = (const int8_t *)ring,
                .list = list,
                .list_end = list_end,
                .w = (const uint32_t *)weights,
                .scale = scale,
                .y = y,
                .channels = p->in_c,
                .windows = p->out_w,
                .x_step = 4 * words * p->stride_w,
            };
            kernel(&call);
            y += p->out_w * p->in_c;
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
