/* The Armv7E-M instructions that kernels use, with their equivalents on other machines. */
#ifndef MQ_DSP_H
#define MQ_DSP_H

#include "mq_common.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
#include <arm_acle.h>

/* Bytes 0 and 2 of a word as two int16. */
MQ_KERNEL uint32_t mq_sxtb16(uint32_t x)
{
    return (uint32_t)__sxtb16((int8x4_t)x);
}

/* Bytes 1 and 3. */
MQ_KERNEL uint32_t mq_sxtb16_ror8(uint32_t x)
{
    uint32_t y;
    __asm__("sxtb16 %[y], %[x], ror #8" : [y] "=r"(y) : [x] "r"(x));
    return y;
}

MQ_KERNEL uint32_t mq_uxtb16(uint32_t x)
{
#ifdef __clang__ /* whose __uxtb16 has another type */
    return x & 0x00FF00FFu;
#else
    return (uint32_t)__uxtb16((uint8x4_t)x);
#endif
}

/* The bytes of each half exchanged. */
MQ_KERNEL uint32_t mq_rev16(uint32_t x)
{
    uint32_t y;
    __asm__("rev16 %[y], %[x]" : [y] "=r"(y) : [x] "r"(x));
    return y;
}

/* The low halves of two words, the first one's low. */
MQ_KERNEL uint32_t mq_pkhbt16(uint32_t low, uint32_t high)
{
    uint32_t y;
    __asm__("pkhbt %[y], %[low], %[high], lsl #16" : [y] "=r"(y) : [low] "r"(low), [high] "r"(high));
    return y;
}

/* The high halves, the second one's low. */
MQ_KERNEL uint32_t mq_pkhtb16(uint32_t high, uint32_t low)
{
    uint32_t y;
    __asm__("pkhtb %[y], %[high], %[low], asr #16" : [y] "=r"(y) : [high] "r"(high), [low] "r"(low));
    return y;
}

/* Two int16 sums, modulo 2^16. */
MQ_KERNEL uint32_t mq_sadd16(uint32_t a, uint32_t b)
{
    return (uint32_t)__sadd16((int16x2_t)a, (int16x2_t)b);
}

/* Two int16 sums, limited to int16. */
MQ_KERNEL uint32_t mq_qadd16(uint32_t a, uint32_t b)
{
    return (uint32_t)__qadd16((int16x2_t)a, (int16x2_t)b);
}

/* Two int16 differences, modulo 2^16. */
MQ_KERNEL uint32_t mq_ssub16(uint32_t a, uint32_t b)
{
    return (uint32_t)__ssub16((int16x2_t)a, (int16x2_t)b);
}

/* acc + a.low * b.low + a.high * b.high, modulo 2^32. */
MQ_KERNEL int32_t mq_smlad(uint32_t a, uint32_t b, int32_t acc)
{
    int32_t y;
    __asm__("smlad %[y], %[a], %[b], %[acc]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b), [acc] "r"(acc));
    return y;
}

/* acc + floor(a * b.low / 2^16). */
MQ_KERNEL int32_t mq_smlawb(int32_t a, uint32_t b, int32_t acc)
{
    int32_t y;
    __asm__("smlawb %[y], %[a], %[b], %[acc]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b), [acc] "r"(acc));
    return y;
}

/* acc + floor(a * b.high / 2^16). */
MQ_KERNEL int32_t mq_smlawt(int32_t a, uint32_t b, int32_t acc)
{
    int32_t y;
    __asm__("smlawt %[y], %[a], %[b], %[acc]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b), [acc] "r"(acc));
    return y;
}

/* x / 2^n, rounded down, limited to int8. */
#define MQ_DEFINE_SSAT8(n)                                                                                             \
    MQ_KERNEL int32_t mq_ssat8_asr##n(int32_t x)                                                                       \
    {                                                                                                                  \
        int32_t y;                                                                                                     \
        __asm__("ssat %[y], #8, %[x], asr #" #n : [y] "=r"(y) : [x] "r"(x));                                           \
        return y;                                                                                                      \
    }

MQ_KERNEL int32_t mq_ssat8(int32_t x)
{
    int32_t y;
    __asm__("ssat %[y], #8, %[x]" : [y] "=r"(y) : [x] "r"(x));
    return y;
}

MQ_KERNEL int32_t mq_ssat16(int32_t x)
{
    int32_t y;
    __asm__("ssat %[y], #16, %[x]" : [y] "=r"(y) : [x] "r"(x));
    return y;
}

/* acc + the bytes 0 and 2 of x, as two int16, modulo 2^16. */
MQ_KERNEL uint32_t mq_sxtab16(uint32_t acc, uint32_t x)
{
    uint32_t y;
    __asm__("sxtab16 %[y], %[acc], %[x]" : [y] "=r"(y) : [acc] "r"(acc), [x] "r"(x));
    return y;
}

/* acc + the bytes 1 and 3. */
MQ_KERNEL uint32_t mq_sxtab16_ror8(uint32_t acc, uint32_t x)
{
    uint32_t y;
    __asm__("sxtab16 %[y], %[acc], %[x], ror #8" : [y] "=r"(y) : [acc] "r"(acc), [x] "r"(x));
    return y;
}

/* The larger of each of four int8. */
MQ_KERNEL uint32_t mq_max8(uint32_t a, uint32_t b)
{
    uint32_t y;
    __asm__("ssub8 %[y], %[a], %[b]\n\tsel %[y], %[a], %[b]" : [y] "=&r"(y) : [a] "r"(a), [b] "r"(b));
    return y;
}

/* round(a * b / 2^32), ties up. */
MQ_KERNEL int32_t mq_smmulr(int32_t a, int32_t b)
{
    int32_t y;
    __asm__("smmulr %[y], %[a], %[b]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b));
    return y;
}

#else

MQ_KERNEL uint32_t mq_pack16(int32_t low, int32_t high)
{
    return ((uint32_t)low & 0xFFFFu) | ((uint32_t)high << 16);
}

MQ_KERNEL uint32_t mq_sxtb16(uint32_t x)
{
    return mq_pack16((int8_t)x, (int8_t)(x >> 16));
}

MQ_KERNEL uint32_t mq_sxtb16_ror8(uint32_t x)
{
    return mq_sxtb16(x >> 8);
}

MQ_KERNEL uint32_t mq_uxtb16(uint32_t x)
{
    return x & 0x00FF00FFu;
}

MQ_KERNEL uint32_t mq_rev16(uint32_t x)
{
    return ((x & 0x00FF00FFu) << 8) | ((x >> 8) & 0x00FF00FFu);
}

MQ_KERNEL uint32_t mq_pkhbt16(uint32_t low, uint32_t high)
{
    return (low & 0xFFFFu) | (high << 16);
}

MQ_KERNEL uint32_t mq_pkhtb16(uint32_t high, uint32_t low)
{
    return (high & 0xFFFF0000u) | (low >> 16);
}

MQ_KERNEL uint32_t mq_sadd16(uint32_t a, uint32_t b)
{
    return mq_pack16((int16_t)a + (int16_t)b, (int16_t)(a >> 16) + (int16_t)(b >> 16));
}

MQ_KERNEL uint32_t mq_qadd16(uint32_t a, uint32_t b)
{
    const int32_t low = mq_clamp((int16_t)a + (int16_t)b, INT16_MIN, INT16_MAX);
    return mq_pack16(low, mq_clamp((int16_t)(a >> 16) + (int16_t)(b >> 16), INT16_MIN, INT16_MAX));
}

MQ_KERNEL uint32_t mq_ssub16(uint32_t a, uint32_t b)
{
    return mq_pack16((int16_t)a - (int16_t)b, (int16_t)(a >> 16) - (int16_t)(b >> 16));
}

MQ_KERNEL int32_t mq_smlad(uint32_t a, uint32_t b, int32_t acc)
{
    const uint32_t low = (uint32_t)((int16_t)a * (int16_t)b);
    const uint32_t high = (uint32_t)((int16_t)(a >> 16) * (int16_t)(b >> 16));
    return (int32_t)((uint32_t)acc + low + high);
}

MQ_KERNEL int32_t mq_smlawb(int32_t a, uint32_t b, int32_t acc)
{
    return acc + (int32_t)(((int64_t)a * (int16_t)b) >> 16);
}

MQ_KERNEL int32_t mq_smlawt(int32_t a, uint32_t b, int32_t acc)
{
    return mq_smlawb(a, b >> 16, acc);
}

#define MQ_DEFINE_SSAT8(n)                                                                                             \
    MQ_KERNEL int32_t mq_ssat8_asr##n(int32_t x)                                                                       \
    {                                                                                                                  \
        return mq_clamp(x >> n, -128, 127);                                                                            \
    }

MQ_KERNEL int32_t mq_ssat8(int32_t x)
{
    return mq_clamp(x, -128, 127);
}

MQ_KERNEL int32_t mq_ssat16(int32_t x)
{
    return mq_clamp(x, INT16_MIN, INT16_MAX);
}

MQ_KERNEL uint32_t mq_sxtab16(uint32_t acc, uint32_t x)
{
    return mq_pack16((int16_t)acc + (int8_t)x, (int16_t)(acc >> 16) + (int8_t)(x >> 16));
}

MQ_KERNEL uint32_t mq_sxtab16_ror8(uint32_t acc, uint32_t x)
{
    return mq_sxtab16(acc, x >> 8);
}

MQ_KERNEL uint32_t mq_max8(uint32_t a, uint32_t b)
{
    uint32_t y = 0;
    for (int i = 0; i < 32; i += 8) {
        y |= (uint32_t)(uint8_t)mq_max((int8_t)(a >> i), (int8_t)(b >> i)) << i;
    }
    return y;
}

MQ_KERNEL int32_t mq_smmulr(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + INT64_C(0x80000000)) >> 32);
}

#endif

MQ_DEFINE_SSAT8(8)
MQ_DEFINE_SSAT8(12)
MQ_DEFINE_SSAT8(20)

#undef MQ_DEFINE_SSAT8

#endif
