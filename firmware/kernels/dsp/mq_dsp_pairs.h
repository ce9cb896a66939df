/* The Armv7E-M instructions on pairs of int16 that audio front ends use, with their equivalents on other machines. */
#ifndef MQ_DSP_PAIRS_H
#define MQ_DSP_PAIRS_H

#include "mq_dsp.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP

/* acc + a.low * b.low, modulo 2^32. */
MQ_KERNEL int32_t mq_smlabb(uint32_t a, uint32_t b, int32_t acc)
{
    int32_t y;
    __asm__("smlabb %[y], %[a], %[b], %[acc]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b), [acc] "r"(acc));
    return y;
}

/* acc + a.high * b.low. */
MQ_KERNEL int32_t mq_smlatb(uint32_t a, uint32_t b, int32_t acc)
{
    int32_t y;
    __asm__("smlatb %[y], %[a], %[b], %[acc]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b), [acc] "r"(acc));
    return y;
}

/* a.low * b.low. */
MQ_KERNEL int32_t mq_smulbb(uint32_t a, uint32_t b)
{
    int32_t y;
    __asm__("smulbb %[y], %[a], %[b]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b));
    return y;
}

/* a.high * b.high. */
MQ_KERNEL int32_t mq_smultt(uint32_t a, uint32_t b)
{
    int32_t y;
    __asm__("smultt %[y], %[a], %[b]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b));
    return y;
}

/* a.low * b.low + a.high * b.high, modulo 2^32. */
MQ_KERNEL uint32_t mq_smuad(uint32_t a, uint32_t b)
{
    uint32_t y;
    __asm__("smuad %[y], %[a], %[b]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b));
    return y;
}

/* acc + a.low * b.low - a.high * b.high, modulo 2^32: the real part of a product. */
MQ_KERNEL uint32_t mq_smlsd(uint32_t a, uint32_t b, uint32_t acc)
{
    uint32_t y;
    __asm__("smlsd %[y], %[a], %[b], %[acc]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b), [acc] "r"(acc));
    return y;
}

/* acc + a.low * b.high + a.high * b.low, modulo 2^32: the imaginary part of a product. */
MQ_KERNEL uint32_t mq_smladx(uint32_t a, uint32_t b, uint32_t acc)
{
    uint32_t y;
    __asm__("smladx %[y], %[a], %[b], %[acc]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b), [acc] "r"(acc));
    return y;
}

/* (a.low + b.high, a.high - b.low), modulo 2^16: a - ib. */
MQ_KERNEL uint32_t mq_ssax(uint32_t a, uint32_t b)
{
    uint32_t y;
    __asm__("ssax %[y], %[a], %[b]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b));
    return y;
}

/* (a.low - b.high, a.high + b.low), modulo 2^16: a + ib. */
MQ_KERNEL uint32_t mq_sasx(uint32_t a, uint32_t b)
{
    uint32_t y;
    __asm__("sasx %[y], %[a], %[b]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b));
    return y;
}

/* Half of each of two sums, rounded down. */
MQ_KERNEL uint32_t mq_shadd16(uint32_t a, uint32_t b)
{
    uint32_t y;
    __asm__("shadd16 %[y], %[a], %[b]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b));
    return y;
}

/* Half of each of two differences, rounded down. */
MQ_KERNEL uint32_t mq_shsub16(uint32_t a, uint32_t b)
{
    uint32_t y;
    __asm__("shsub16 %[y], %[a], %[b]" : [y] "=r"(y) : [a] "r"(a), [b] "r"(b));
    return y;
}

/* The low half of one word, the high half of another. */
MQ_KERNEL uint32_t mq_pkhbt(uint32_t low, uint32_t high)
{
    uint32_t y;
    __asm__("pkhbt %[y], %[low], %[high]" : [y] "=r"(y) : [low] "r"(low), [high] "r"(high));
    return y;
}

/* Bits 15 to 30 of two words, the second one's low. */
MQ_KERNEL uint32_t mq_pkhtb15(uint32_t high, uint32_t low)
{
    uint32_t y;
    __asm__("pkhtb %[y], %[high], %[low], asr #15" : [y] "=r"(y) : [high] "r"(high << 1), [low] "r"(low));
    return y;
}

/* The larger of each of two int16. */
MQ_KERNEL uint32_t mq_max16(uint32_t a, uint32_t b)
{
    uint32_t y;
    __asm__("ssub16 %[y], %[a], %[b]\n\tsel %[y], %[a], %[b]" : [y] "=&r"(y) : [a] "r"(a), [b] "r"(b));
    return y;
}

/* The smaller of each of two int16. */
MQ_KERNEL uint32_t mq_min16(uint32_t a, uint32_t b)
{
    uint32_t y;
    __asm__("ssub16 %[y], %[a], %[b]\n\tsel %[y], %[b], %[a]" : [y] "=&r"(y) : [a] "r"(a), [b] "r"(b));
    return y;
}

/* floor(x / 2^12), limited to int16. */
MQ_KERNEL int32_t mq_ssat16_asr12(int32_t x)
{
    int32_t y;
    __asm__("ssat %[y], #16, %[x], asr #12" : [y] "=r"(y) : [x] "r"(x));
    return y;
}

#else

MQ_KERNEL int32_t mq_smulbb(uint32_t a, uint32_t b)
{
    return (int16_t)a * (int16_t)b;
}

MQ_KERNEL int32_t mq_smultt(uint32_t a, uint32_t b)
{
    return mq_smulbb(a >> 16, b >> 16);
}

MQ_KERNEL int32_t mq_smlabb(uint32_t a, uint32_t b, int32_t acc)
{
    return (int32_t)((uint32_t)acc + (uint32_t)mq_smulbb(a, b));
}

MQ_KERNEL int32_t mq_smlatb(uint32_t a, uint32_t b, int32_t acc)
{
    return mq_smlabb(a >> 16, b, acc);
}

MQ_KERNEL uint32_t mq_smuad(uint32_t a, uint32_t b)
{
    return (uint32_t)mq_smulbb(a, b) + (uint32_t)mq_smultt(a, b);
}

MQ_KERNEL uint32_t mq_smlsd(uint32_t a, uint32_t b, uint32_t acc)
{
    return acc + (uint32_t)mq_smulbb(a, b) - (uint32_t)mq_smultt(a, b);
}

MQ_KERNEL uint32_t mq_smladx(uint32_t a, uint32_t b, uint32_t acc)
{
    return acc + (uint32_t)mq_smulbb(a, b >> 16) + (uint32_t)mq_smulbb(a >> 16, b);
}

MQ_KERNEL uint32_t mq_ssax(uint32_t a, uint32_t b)
{
    return mq_pack16((int16_t)a + (int16_t)(b >> 16), (int16_t)(a >> 16) - (int16_t)b);
}

MQ_KERNEL uint32_t mq_sasx(uint32_t a, uint32_t b)
{
    return mq_pack16((int16_t)a - (int16_t)(b >> 16), (int16_t)(a >> 16) + (int16_t)b);
}

MQ_KERNEL uint32_t mq_shadd16(uint32_t a, uint32_t b)
{
    return mq_pack16(((int16_t)a + (int16_t)b) >> 1, ((int16_t)(a >> 16) + (int16_t)(b >> 16)) >> 1);
}

MQ_KERNEL uint32_t mq_shsub16(uint32_t a, uint32_t b)
{
    return mq_pack16(((int16_t)a - (int16_t)b) >> 1, ((int16_t)(a >> 16) - (int16_t)(b >> 16)) >> 1);
}

MQ_KERNEL uint32_t mq_pkhbt(uint32_t low, uint32_t high)
{
    return (low & 0xFFFFu) | (high & 0xFFFF0000u);
}

MQ_KERNEL uint32_t mq_pkhtb15(uint32_t high, uint32_t low)
{
    return ((low >> 15) & 0xFFFFu) | ((high << 1) & 0xFFFF0000u);
}

MQ_KERNEL uint32_t mq_max16(uint32_t a, uint32_t b)
{
    return mq_pack16(mq_max((int16_t)a, (int16_t)b), mq_max((int16_t)(a >> 16), (int16_t)(b >> 16)));
}

MQ_KERNEL uint32_t mq_min16(uint32_t a, uint32_t b)
{
    return mq_pack16(mq_min((int16_t)a, (int16_t)b), mq_min((int16_t)(a >> 16), (int16_t)(b >> 16)));
}

MQ_KERNEL int32_t mq_ssat16_asr12(int32_t x)
{
    return mq_clamp(x >> 12, INT16_MIN, INT16_MAX);
}

#endif

#endif
