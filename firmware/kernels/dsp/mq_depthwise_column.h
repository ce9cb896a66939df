/* Depthwise convolution of int8 over one column or row of pixels without padding, on cores with SMLAD. In a stream this is
 * one output from rows that are kept.
 *
 * Taps are read where they lie. Four inputs of a pixel and four weights are two words of int16 each, multiplied channel by
 * channel: 22 cycles for 8 MACs on Cortex-M4, and 52 to 76 for four outputs.
 */
#ifndef MQ_DEPTHWISE_COLUMN_H
#define MQ_DEPTHWISE_COLUMN_H

#include "mq_depthwise_taps.h"

/* All are 1 or more; channels and bytes are multiples of 4. x is aligned to 4 bytes. */
typedef struct {
    int32_t outputs, taps, channels;
    int32_t tap_bytes;    /* from tap to tap */
    int32_t output_bytes; /* from the first tap of an output to that of the next */
} mq_column_t;

/* All channels of one output. */
typedef struct {
    const int8_t *x;
    int32_t tap_bytes;
    const uint32_t *w;    /* for each tap of four channels, the weights of the channels 0 and 2, and of 1 and 3 */
    const int32_t *scale; /* as in mq_taps_call_t */
    int8_t *y;
    int32_t channels, taps;
} mq_column_call_t;

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

#define MQ_COLUMN_PRODUCTS(x, even, odd)                                                                               \
    "sxtb16 r3, " x "\n"                                                                                               \
    "smlabb r4, r3, " even ", r4\n"                                                                                    \
    "smlatt r6, r3, " even ", r6\n"                                                                                    \
    "sxtb16 r3, " x ", ror #8\n"                                                                                       \
    "smlabb r5, r3, " odd ", r5\n"                                                                                     \
    "smlatt r7, r3, " odd ", r7\n"

#define MQ_COLUMN_PAIR_BYTES "64"
/* A pair of taps. */
#define MQ_COLUMN_PAIR                                                                                                 \
    "ldr.w  r12, [r0]\n"                                                                                               \
    "ldr.w  lr, [r0, r1]\n"                                                                                            \
    "add.w  r0, r0, r1, lsl #1\n"                                                                                      \
    "ldmia.w r2!, {r8, r9, r10, r11}\n" MQ_COLUMN_PRODUCTS("r12", "r8", "r9") MQ_COLUMN_PRODUCTS("lr", "r10", "r11")
#define MQ_COLUMN_FOUR MQ_COLUMN_PAIR MQ_COLUMN_PAIR MQ_COLUMN_PAIR MQ_COLUMN_PAIR

/* On the stack: x; where a group of four channels begins, at an odd tap or at its pairs; where the loop of four pairs is
   entered so that it ends with the last; the end of the group's weights; scale; y; channels; bytes of a group's weights. */
#define MQ_COLUMN_DEFINE(name, scale, constants, twin)                                                                 \
    static __attribute__((naked, noinline, unused)) void name(const mq_column_call_t *call __attribute__((unused)))    \
    {                                                                                                                  \
        __asm__ volatile("push   {r4-r11, lr}\n"                                                                       \
                         "sub    sp, sp, #32\n"                                                                        \
                         "ldmia  r0, {r0, r1, r2, r3, r4, r5, r6}\n"                                                   \
                         "strd   r4, r5, [sp, #20]\n"                                                                  \
                         "lsl    r7, r6, #3\n"                                                                         \
                         "str    r7, [sp, #28]\n"                                                                      \
                         "add    r7, r7, r2\n"                                                                         \
                         "strd   r7, r3, [sp, #12]\n"                                                                  \
                         "lsrs   r7, r6, #1\n"                                                                         \
                         "rsb    r8, r7, #0\n"                                                                         \
                         "and    r8, r8, #3\n" /* pairs to skip in the first pass, or all four */                     \
                         "cmp    r7, #0\n"                                                                             \
                         "it     eq\n"                                                                                 \
                         "moveq  r8, #4\n"                                                                             \
                         "adr.w  r9, 2f\n"                                                                             \
                         "add    r9, r9, r8, lsl #6\n"                                                                 \
                         "add    r9, r9, #1\n"                                                                         \
                         "adr.w  r10, 3f\n"                                                                            \
                         "add    r10, r10, #1\n"                                                                       \
                         "tst    r6, #1\n"                                                                             \
                         "it     eq\n"                                                                                 \
                         "moveq  r10, r9\n"                                                                            \
                         "strd   r10, r9, [sp, #4]\n"                                                                  \
                         "1:\n"                                                                                        \
                         "ldr    r3, [sp, #16]\n"                                                                      \
                         "ldr    r11, [sp, #4]\n"                                                                      \
                         "str    r0, [sp]\n"                                                                           \
                         "ldmia.w r3!, {r4, r5, r6, r7}\n"                                                             \
                         "str    r3, [sp, #16]\n"                                                                      \
                         "bx     r11\n"                                                                                \
                         ".balign 4\n"                                                                                 \
                         "3:\n"                                                                                        \
                         "ldr.w  r12, [r0]\n"                                                                          \
                         "ldr    r11, [sp, #8]\n"                                                                      \
                         "add    r0, r0, r1\n"                                                                         \
                         "ldmia.w r2!, {r8, r9}\n" MQ_COLUMN_PRODUCTS("r12", "r8", "r9")                               \
                         "bx     r11\n"                                                                                \
                         ".balign 4\n"                                                                                 \
                         "2:\n" MQ_STEPS_OF_LENGTH(MQ_COLUMN_FOUR, "4", MQ_COLUMN_PAIR_BYTES)                          \
                         "ldr    r8, [sp, #12]\n"                                                                      \
                         "cmp    r2, r8\n"                                                                             \
                         "bne.w  2b\n"                                                                                 \
                         "ldr    r3, [sp, #16]\n" scale "ldrd   r12, lr, [sp, #20]\n"                                  \
                         "ldr    r0, [sp]\n"                                                                           \
                         "ldr    r8, [sp, #28]\n"                                                                      \
                         "strb   r4, [r12], #1\n"                                                                      \
                         "strb   r5, [r12], #1\n"                                                                      \
                         "strb   r6, [r12], #1\n"                                                                      \
                         "strb   r7, [r12], #1\n"                                                                      \
                         "subs   lr, lr, #4\n"                                                                         \
                         "add    r0, r0, #4\n"                                                                         \
                         "add    r8, r8, r2\n"                                                                         \
                         "strd   r12, lr, [sp, #20]\n"                                                                 \
                         "strd   r8, r3, [sp, #12]\n"                                                                  \
                         "bne.w  1b\n"                                                                                 \
                         "add    sp, sp, #32\n"                                                                        \
                         "pop    {r4-r11, pc}\n");                                                                      \
    }

#else

MQ_KERNEL void mq_column_output(const mq_column_call_t *call, int32_t constants, mq_taps_requantize_t *requantize)
{
    for (int32_t c = 0; c < call->channels; c++) {
        const uint32_t *w = call->w + c / 4 * 2 * call->taps + c % 2;
        const int32_t *scale = call->scale + c / 4 * 4 * (1 + constants);
        int32_t sum = scale[c % 4];
        for (int32_t i = 0; i < call->taps; i++) {
            sum += call->x[i * call->tap_bytes + c] * (int16_t)(w[2 * i] >> 8 * (c % 4 / 2 * 2));
        }
        call->y[c] = requantize(sum, scale + 4 + c % 4 * constants);
    }
}

#define MQ_COLUMN_DEFINE(name, scale, constants, twin)                                                                 \
    MQ_KERNEL void name(const mq_column_call_t *call)                                                                  \
    {                                                                                                                  \
        mq_column_output(call, constants, twin);                                                                       \
    }

#endif

MQ_COLUMN_DEFINE(mq_column_8, MQ_TAPS_ONCE("8"), 1, mq_taps_requantize_8)
MQ_COLUMN_DEFINE(mq_column_12, MQ_TAPS_ONCE("12"), 1, mq_taps_requantize_12)
MQ_COLUMN_DEFINE(mq_column_twice, MQ_TAPS_TWICE, 3, mq_dot_requantize_doubled)

#undef MQ_COLUMN_DEFINE

/* `weights` and `scale` are those of mq_column_call_t. */
#define MQ_DEFINE_DEPTHWISE_COLUMN(form)                                                                               \
    MQ_KERNEL void mq_depthwise_column_##form##_s8(const mq_column_t *p, const int8_t *x, const int32_t *weights,      \
                                                   const int32_t *scale, int8_t *y)                                    \
    {                                                                                                                  \
        const uint32_t *w = (const uint32_t *)(const void *)weights;                                                   \
        mq_column_call_t call = {x, p->tap_bytes, w, scale, y, p->channels, p->taps};                                  \
        for (int32_t i = 0; i < p->outputs; i++, call.x += p->output_bytes, call.y += p->channels) {                   \
            mq_column_##form(&call);                                                                                   \
        }                                                                                                              \
    }

MQ_DEFINE_DEPTHWISE_COLUMN(8)
MQ_DEFINE_DEPTHWISE_COLUMN(12)
MQ_DEFINE_DEPTHWISE_COLUMN(twice)

#undef MQ_DEFINE_DEPTHWISE_COLUMN

#endif
