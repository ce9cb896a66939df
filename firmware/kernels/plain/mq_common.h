/* Common parts of all kernels: rounding, clamps, and the compilation of a step. */
#ifndef MQ_COMMON_H
#define MQ_COMMON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* GCC 12 vectorizes for MVE incorrectly: if lanes are selected at compile time, it uses all lanes. */
#if defined(__ARM_FEATURE_MVE) && __ARM_FEATURE_MVE && !defined(__clang__)
#pragma GCC optimize("no-tree-vectorize")
#endif

/* A step is a separate function, even if it equals another one, because profiles attribute cycles to it. It must also
   be called whatever the compiler infers from its body: GCC 12 considered some copying steps free of effects (see
   mq_apart) and dropped them. Clang lacks noipa, and optnone is slow, so the effect there is a statement that
   compilers keep and that produces no instruction. */
#ifdef __clang__
#define MQ_STEP __attribute__((noinline))
#define MQ_SIDE_EFFECT() __asm__ volatile("" ::: "memory")
#else
#define MQ_STEP __attribute__((noipa))
#define MQ_SIDE_EFFECT() ((void)0)
#endif
/* Kernels have compile-time constant parameters, for which the compiler specializes them. */
#define MQ_KERNEL static inline __attribute__((always_inline))
/* Code with several calls in a kernel is a separate function in a program compiled for size. */
#ifdef __OPTIMIZE_SIZE__
#define MQ_SMALL_CALL static __attribute__((noinline, unused))
#else
#define MQ_SMALL_CALL MQ_KERNEL
#endif
/* Larger functions exist once for all layers, with parameters in variables; they are optimized for speed also in a
   program compiled for size. */
#ifdef __clang__
#define MQ_SHARED __attribute__((noinline))
#else
#define MQ_SHARED __attribute__((noinline, noclone, optimize("O2")))
#endif

/* A loop of constant length up to 4 is unrolled, except in a program compiled for size. */
#if defined(__OPTIMIZE_SIZE__) || defined(__clang__)
#define MQ_UNROLL_SMALL
#else
#define MQ_UNROLL_SMALL _Pragma("GCC unroll 4")
#endif

/* In assembly code: steps whose length in bytes a computed jump relies on. All three are strings. Clang's
   assembler cannot compare the distance of two labels; it chooses the same encodings as GNU's, and tests execute them. */
#ifdef __clang__
#define MQ_STEPS_OF_LENGTH(steps, count, bytes) steps
#else
#define MQ_STEPS_OF_LENGTH(steps, count, bytes)                                                                        \
    "90:\n" steps "91:\n"                                                                                              \
    ".if (91b - 90b) - " count " * " bytes "\n"                                                                        \
    ".error \"the steps are not of " bytes " bytes each\"\n"                                                           \
    ".endif\n"
#endif
#define MQ_TEXT(value) #value
#define MQ_TEXT_OF(value) MQ_TEXT(value)

/* True for every generated program: the compiler relies on it. */
#define MQ_KNOWN(condition)                                                                                            \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            __builtin_unreachable();                                                                                   \
        }                                                                                                              \
    } while (0)

/* A constant that the compiler keeps in a register, so that an instruction can shift the other operand. */
MQ_KERNEL uint32_t mq_in_register(uint32_t x)
{
    __asm__("" : "+r"(x));
    return x;
}

/* The same address, hidden from the compiler's alias analysis. If a loop reads and writes the arena with different
   steps, GCC 12 computes one address as a multiple of the other; the base of the access is then 0 instead of a
   pointer, and GCC infers that nothing is accessed. */
MQ_KERNEL uint8_t *mq_apart(void *p)
{
    __asm__("" : "+r"(p));
    return p;
}

MQ_KERNEL int32_t mq_min(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

MQ_KERNEL int32_t mq_max(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

MQ_KERNEL int32_t mq_clamp(int32_t x, int32_t low, int32_t high)
{
    return mq_min(mq_max(x, low), high);
}

/* v + zero limited to low..high: a result in the output's stored units. Exact for every v, however large. */
MQ_KERNEL int32_t mq_stored(int32_t v, int32_t zero, int32_t low, int32_t high)
{
    return mq_clamp(v, low - zero, high - zero) + zero;
}

/* round(a * b / 2^31), ties up, saturated: gemmlowp's SaturatingRoundingDoublingHighMul. */
MQ_KERNEL int32_t mq_high_mul(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN) {
        return INT32_MAX;
    }
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

/* x / 2^n rounded to nearest, ties away from zero, 0 <= n <= 31: gemmlowp's RoundingDivideByPOT. */
MQ_KERNEL int32_t mq_round_shift(int32_t x, int32_t n)
{
    const int32_t mask = (int32_t)((UINT32_C(1) << n) - 1u);
    const int32_t rest = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> n) + (rest > threshold);
}

/* x * 2^shift * m / 2^31 with both roundings; TFLite's MultiplyByQuantizedMultiplier. -31 <= shift <= 31. */
MQ_KERNEL int32_t mq_requantize(int32_t x, int32_t m, int32_t shift)
{
    const int32_t left = shift > 0 ? shift : 0;
    const int32_t right = shift > 0 ? 0 : -shift;
    const int32_t scaled = (int32_t)((uint32_t)x << left);
    return mq_round_shift(mq_high_mul(scaled, m), right);
}

/* The same for several calls in a kernel that are not in its innermost loop. */
MQ_SMALL_CALL int32_t mq_requantize_call(int32_t x, int32_t m, int32_t shift)
{
    return mq_requantize(x, m, shift);
}

/* The form for 64-bit accumulators of int16 layers: the multiplier is cut to 16 bits, one rounding, ties up. */
MQ_KERNEL int32_t mq_requantize64(int64_t x, int32_t m, int32_t shift)
{
    const int32_t reduced = m < 0x7FFF0000 ? (m + (1 << 15)) >> 16 : 0x7FFF;
    const int32_t total = 15 - shift;
    return (int32_t)((x * reduced + (INT64_C(1) << (total - 1))) >> total);
}

#endif
