/* Lengths of binary numbers. */
#ifndef MQ_BITS_H
#define MQ_BITS_H

#include "mq_common.h"

/* Bits of x without leading zeros; 0 of 0. */
MQ_KERNEL int32_t mq_bits(uint32_t x)
{
    return x == 0u ? 0 : 32 - __builtin_clz(x);
}

/* x * y of 64 bits, 0 <= y < 2^16: on cores without a long product from two short ones. */
MQ_KERNEL uint64_t mq_product_16(uint32_t x, uint32_t y)
{
#if defined(__ARM_ARCH) && __ARM_ARCH < 7
    return ((uint64_t)((x >> 16) * y) << 16) + (x & 0xFFFFu) * y;
#else
    return (uint64_t)x * y;
#endif
}

#endif
