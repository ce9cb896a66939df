/* Four outputs of two pixels at a time: the inner product of convolutions on cores with MVE.
 *
 * VMLADAVA multiplies 16 int8 by 16 and adds the products to a general register; of those it takes only the even ones, so
 * eight sums are all there are room for. Two vectors of inputs and four of weights make 128 MACs in 14 instructions. The
 * input's zero point is in the biases, so what the inputs of padding are multiplied by must be right, not zero.
 *
 * Requantization is TFLite's: VQRDMULH is its rounding doubling high multiplication and VRSHL its rounding shift but for
 * negative halves, which TFLite rounds away from zero: these are moved by one beforehand, or are below the clamp anyway.
 *
 * A pixel is `head` bytes (fewer than 16), then `vectors` of 16. The stream has for every four outputs: biases; four
 * vectors of weights for the head, if any, and for each vector; multipliers; shifts (to the left). Where the outputs are
 * not a multiple of four, the last group is the last four outputs again. Everything is int32, weights are bytes.
 *
 * Instructions for each four outputs of two pixels: 14.5 a vector, and 22 (26, 32) for everything else.
 */
#ifndef MQ_MVE_PRODUCT_H
#define MQ_MVE_PRODUCT_H

#include "mq_mve.h"

/* head: 0 to 15 bytes; vectors: 0 or more; one of them is not 0. y_zero: -128 to 127; -128 <= act_min <= act_max <=
   127. Multipliers of the stream: 2^30 to 2^31 - 1; shifts: -31 to 0. Sums must fit 32 bits. */
typedef struct {
    const int32_t *stream;
    int32_t x_step;  /* bytes between pixels of the input */
    int32_t outputs; /* outputs of a pixel, at least 4 and less than 2^15; also bytes between output pixels */
    int32_t head;
    int32_t vectors;
    int32_t y_zero, act_min, act_max;
} mq_mve_product_t;

/* All outputs of `pixels` pixels, at least one. */
typedef void mq_mve_product_kernel_t(const mq_mve_product_t *p, const int8_t *x, int8_t *y, int32_t pixels);

#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE

#define MQ_MVE_TWO(w, a, b)                                                                                            \
    "vldrb.8    " w ", [r1], #16        \n"                                                                            \
    "vmladava.s8 " a ", q0, " w "       \n"                                                                            \
    "vmladava.s8 " b ", q1, " w "       \n"
#define MQ_MVE_EIGHT                                                                                                   \
    MQ_MVE_TWO("q2", "r0", "r8") MQ_MVE_TWO("q3", "r2", "r10") MQ_MVE_TWO("q2", "r4", "r12") MQ_MVE_TWO("q3", "r6", "lr")
#define MQ_MVE_STEP_BYTES "56"
#define MQ_MVE_STEP                                                                                                    \
    "vldrb.8    q0, [r3], #16           \n"                                                                            \
    "vldrb.8    q1, [r5], #16           \n" MQ_MVE_EIGHT
#define MQ_MVE_LOOP MQ_STEPS_OF_LENGTH(MQ_MVE_STEP MQ_MVE_STEP MQ_MVE_STEP MQ_MVE_STEP, "4", MQ_MVE_STEP_BYTES)

/* On the stack: 0 the two pixels, 8 rounds of the loop, 12 where to begin, 16 y_zero, 20 both pixels behind their heads,
   28 where the loop is entered, 32 stream, 36 pixels left, 40 x_step, 44 outputs, 48 head, 52 y, 56 end of the first
   pixel's outputs, 60 the clamp. The sums of the first pixel are in r0, r2, r4, r6, the second's in r8, r10, r12, lr. */
#define MQ_MVE_PRODUCT(away, clamp)                                                                                    \
    __asm__ volatile("push   {r4-r11, lr}               \n"                                                            \
                     "vpush  {d8-d15}                   \n"                                                            \
                     "sub    sp, sp, #72                \n"                                                            \
                     "ldm    r0, {r4-r11}               \n"                                                            \
                     "strd   r9, r1, [sp, #16]          \n"                                                            \
                     "strd   r4, r3, [sp, #32]          \n"                                                            \
                     "strd   r5, r6, [sp, #40]          \n"                                                            \
                     "strd   r7, r2, [sp, #48]          \n"                                                            \
                     "strd   r10, r11, [sp, #60]        \n"                                                            \
                     "add    r9, r8, #3                 \n"                                                            \
                     "lsr    r9, r9, #2                 \n"                                                            \
                     "str    r9, [sp, #8]               \n"                                                            \
                     "rsb    r9, r8, #0                 \n"                                                            \
                     "and    r9, r9, #3                 \n"                                                            \
                     "mov    r10, #" MQ_MVE_STEP_BYTES "\n"                                                            \
                     "adr.w  r11, 2f                    \n"                                                            \
                     "mla    r9, r9, r10, r11           \n"                                                            \
                     "adr.w  r11, 3f                    \n"                                                            \
                     "cmp    r8, #0                     \n"                                                            \
                     "it     eq                         \n"                                                            \
                     "moveq  r9, r11                    \n"                                                            \
                     "orr    r9, r9, #1                 \n"                                                            \
                     "str    r9, [sp, #28]              \n"                                                            \
                     "adr.w  r11, 1f                    \n"                                                            \
                     "orr    r11, r11, #1               \n"                                                            \
                     "cmp    r7, #0                     \n"                                                            \
                     "it     eq                         \n"                                                            \
                     "moveq  r11, r9                    \n"                                                            \
                     "str    r11, [sp, #12]             \n"                                                            \
                     "vctp.8 r7                         \n"                                                            \
                     "mov    r3, r1                     \n" /* Stores: an output of each pixel in turn. */             \
                     "mov    r4, #0                     \n"                                                            \
                     "vidup.u32 q7, r4, #1              \n"                                                            \
                     "mov    r5, #0x00010001            \n"                                                            \
                     "vmul.i32 q6, q7, r5               \n"                                                            \
                     "lsl    r6, r6, #16                \n"                                                            \
                     "vadd.i32 q7, q6, r6               \n"                                                            \
                     "4:                                \n" /* Two pixels; a last one alone is both. */                \
                     "ldrd   r7, r5, [sp, #36]          \n"                                                            \
                     "cmp    r7, #1                     \n"                                                            \
                     "bne    5f                         \n"                                                            \
                     "mov    r5, #0                     \n"                                                            \
                     "mov    r4, #0                     \n"                                                            \
                     "vidup.u32 q7, r4, #1              \n"                                                            \
                     "mov    r6, #0x00010001            \n"                                                            \
                     "vmul.i32 q7, q7, r6               \n"                                                            \
                     "5:                                \n"                                                            \
                     "add    r5, r3, r5                 \n"                                                            \
                     "strd   r3, r5, [sp, #0]           \n"                                                            \
                     "ldrd   r4, r9, [sp, #48]          \n"                                                            \
                     "add    r3, r3, r4                 \n"                                                            \
                     "add    r5, r5, r4                 \n"                                                            \
                     "strd   r3, r5, [sp, #20]          \n"                                                            \
                     "ldr    r1, [sp, #32]              \n"                                                            \
                     "ldr    r11, [sp, #44]             \n"                                                            \
                     "add    r10, r9, r11               \n"                                                            \
                     "str    r10, [sp, #56]             \n"                                                            \
                     "bic    r11, r11, #3               \n"                                                            \
                     "add    r11, r11, r9               \n"                                                            \
                     "6:                                \n" /* Four outputs. */                                        \
                     "ldm    r1, {r0, r2, r4, r6}       \n"                                                            \
                     "ldm    r1!, {r8, r10, r12, lr}    \n"                                                            \
                     "ldm    sp, {r3, r5, r7, pc}       \n"                                                            \
                     "1:                                \n"                                                            \
                     "vpstt                             \n"                                                            \
                     "vldrbt.8 q0, [r3]                 \n"                                                            \
                     "vldrbt.8 q1, [r5]                 \n" MQ_MVE_EIGHT                                               \
                     "ldrd   r3, r5, [sp, #20]          \n"                                                            \
                     "ldr    pc, [sp, #28]              \n"                                                            \
                     "2:                                \n" MQ_MVE_LOOP                                                \
                     "subs   r7, r7, #1                 \n"                                                            \
                     "bne.w  2b                         \n"                                                            \
                     "3:                                \n"                                                            \
                     "vmov   q4[2], q4[0], r0, r4       \n"                                                            \
                     "vmov   q4[3], q4[1], r2, r6       \n"                                                            \
                     "vmov   q5[2], q5[0], r8, r12      \n"                                                            \
                     "vmov   q5[3], q5[1], r10, lr      \n"                                                            \
                     "vldrw.32 q6, [r1], #16            \n"                                                            \
                     "ldr    r0, [sp, #16]              \n"                                                            \
                     "vqrdmulh.s32 q4, q4, q6           \n"                                                            \
                     "vqrdmulh.s32 q5, q5, q6           \n"                                                            \
                     "vldrw.32 q6, [r1], #16            \n" away                                                       \
                     "vrshl.s32 q4, q4, q6              \n"                                                            \
                     "vrshl.s32 q5, q5, q6              \n"                                                            \
                     "vqmovnb.s32 q4, q4                \n"                                                            \
                     "vqmovnt.s32 q4, q5                \n"                                                            \
                     "vqadd.s16 q4, q4, r0              \n" clamp                                                      \
                     "vqmovnb.s16 q4, q4                \n"                                                            \
                     "vstrb.16 q4, [r9, q7]             \n"                                                            \
                     "add    r9, r9, #4                 \n"                                                            \
                     "cmp    r9, r11                    \n"                                                            \
                     "blo.w  6b                         \n"                                                            \
                     "ldr    r11, [sp, #56]             \n" /* The last four outputs, if fewer remain. */          \
                     "cmp    r9, r11                    \n"                                                            \
                     "itt    lo                         \n"                                                            \
                     "sublo  r9, r11, #4                \n"                                                            \
                     "blo.w  6b                         \n"                                                            \
                     "ldrd   r7, r5, [sp, #36]          \n"                                                            \
                     "subs   r7, r7, #2                 \n"                                                            \
                     "ble    7f                         \n"                                                            \
                     "str    r7, [sp, #36]              \n"                                                            \
                     "ldr    r3, [sp, #0]               \n"                                                            \
                     "add    r3, r3, r5, lsl #1         \n"                                                            \
                     "ldr    r4, [sp, #44]              \n"                                                            \
                     "add    r9, r11, r4                \n"                                                            \
                     "str    r9, [sp, #52]              \n"                                                            \
                     "b.w    4b                         \n"                                                            \
                     "7:                                \n"                                                            \
                     "add    sp, sp, #72                \n"                                                            \
                     "vpop   {d8-d15}                   \n"                                                            \
                     "pop    {r4-r11, pc}               \n")

#define MQ_MVE_AWAY                                                                                                    \
    "vshr.s32 q0, q4, #31               \n"                                                                            \
    "vshr.s32 q1, q5, #31               \n"                                                                            \
    "vadd.i32 q4, q4, q0                \n"                                                                            \
    "vadd.i32 q5, q5, q1                \n"
#define MQ_MVE_CLAMP                                                                                                   \
    "ldrd   r2, r4, [sp, #60]           \n"                                                                            \
    "vdup.16 q0, r2                     \n"                                                                            \
    "vdup.16 q1, r4                     \n"                                                                            \
    "vmax.s16 q4, q4, q0                \n"                                                                            \
    "vmin.s16 q4, q4, q1                \n"

#define MQ_MVE_PRODUCT_DEFINE(name, away, clamp, is_away)                                                              \
    static __attribute__((naked, noinline, unused)) void name(                                                         \
        const mq_mve_product_t *p __attribute__((unused)), const int8_t *x __attribute__((unused)),                    \
        int8_t *y __attribute__((unused)), int32_t pixels __attribute__((unused)))                                     \
    {                                                                                                                  \
        MQ_MVE_PRODUCT(away, clamp);                                                                                   \
    }

#else

/* The output of one pixel whose bias, weights, multiplier and shift are entry `i` of a group of four. */
MQ_KERNEL int8_t mq_mve_product_output(const mq_mve_product_t *p, const int8_t *x, const int32_t *group, int32_t i,
                                       int is_away)
{
    const int32_t vectors = p->vectors + (p->head > 0);
    const int8_t *w = (const int8_t *)(group + 4) + 16 * i;
    const int32_t *const scale = group + 4 + 16 * vectors + i;
    int32_t sum = group[i];
    for (int32_t k = 0; k < p->head; k++) {
        sum += x[k] * w[k];
    }
    x += p->head;
    w += p->head ? 64 : 0;
    for (int32_t k = 0; k < 16 * p->vectors; k++) {
        sum += x[k] * w[k / 16 * 64 + k % 16];
    }
    const int32_t high = mq_high_mul(sum, scale[0]);
    const int32_t v = mq_mve_rounding_shift(is_away && high < 0 ? high - 1 : high, scale[4]);
    return (int8_t)mq_stored(v, p->y_zero, p->act_min, p->act_max);
}

MQ_KERNEL void mq_mve_product(const mq_mve_product_t *p, const int8_t *x, int8_t *y, int32_t pixels, int is_away)
{
    const int32_t words = 4 + 16 * (p->vectors + (p->head > 0)) + 8;
    for (int32_t n = 0; n < pixels; n++, x += p->x_step, y += p->outputs) {
        const int32_t *group = p->stream;
        for (int32_t done = 0; done < p->outputs; done += 4, group += words) {
            const int32_t first = mq_min(done, p->outputs - 4);
            for (int32_t i = 0; i < 4; i++) {
                y[first + i] = mq_mve_product_output(p, x, group, i, is_away);
            }
        }
    }
}

#define MQ_MVE_PRODUCT_DEFINE(name, away, clamp, is_away)                                                              \
    MQ_KERNEL void name(const mq_mve_product_t *p, const int8_t *x, int8_t *y, int32_t pixels)                         \
    {                                                                                                                  \
        mq_mve_product(p, x, y, pixels, is_away);                                                                      \
    }

#endif

/* Outputs from y_zero up, whose least is int8's; of both signs; of both signs with a clamp of their own. */
MQ_MVE_PRODUCT_DEFINE(mq_mve_product_above, "", "", 0)
MQ_MVE_PRODUCT_DEFINE(mq_mve_product_signed, MQ_MVE_AWAY, "", 1)
MQ_MVE_PRODUCT_DEFINE(mq_mve_product_clamped, MQ_MVE_AWAY, MQ_MVE_CLAMP, 1)

/* The same where a pixel may have fewer than four outputs: the stream is filled up to four. */
MQ_KERNEL void mq_mve_product_any(const mq_mve_product_t *p, const int8_t *x, int8_t *y, int32_t pixels,
                                  int32_t outputs, mq_mve_product_kernel_t *kernel)
{
    if (outputs >= 4) {
        kernel(p, x, y, pixels);
        return;
    }
    for (int32_t n = 0; n < pixels; n++, x += p->x_step, y += outputs) {
        int8_t four[4];
        kernel(p, x, four, 1);
        for (int32_t i = 0; i < outputs; i++) {
            y[i] = four[i];
        }
    }
}

#endif
