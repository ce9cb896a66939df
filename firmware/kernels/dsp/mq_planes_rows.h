/* Copies rows of an int8 image to planes of int16, one per channel; see mq_depthwise_planes.h. */
#ifndef MQ_PLANES_ROWS_H
#define MQ_PLANES_ROWS_H

#include "mq_dsp.h"

/* Steps in bytes. rows: 1 or more; strips: 4 or more; tail: 0 or more. */
typedef struct {
    const int8_t *x;
    int32_t x_pixel;
    uint32_t *to;
    int32_t plane;           /* from a channel's plane to the next one's */
    int32_t x_next, to_next; /* from the end of a row to the start of the next */
    int32_t strips;          /* times 4; 1 more if rows end with half a pair, 2 more if they begin with one */
    int32_t jump;            /* from the end of a strip's last word to the next strip's first word */
    int32_t step;            /* words between the first words of strips; the next strip's first word belongs to both */
    int32_t tail;            /* whole pairs of pixels after the first word of the last strip */
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

#define MQ_PLANES_SIX(step) step step step step step step

/* Four channels at a time. `size`: bytes of code per pair; a strip needs up to six of them. */
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
    ".balign 4\n" MQ_STEPS_OF_LENGTH(MQ_PLANES_SIX(pair MQ_PLANES_PUT), "6", size)                                     \
    "5:\n"                                                                                                             \
    "cmp    r5, #4\n"                                                                                                  \
    "blo    6f\n" pair MQ_PLANES_PUT /* the last word of a strip, the first of the next */                                  \
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
#undef MQ_PLANES_SIX
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

#endif
