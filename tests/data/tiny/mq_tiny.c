#include "mq_tiny.h"

#include <string.h>

/* Arena: a at 0, b at 704, t at 720, x at 0 (over a), y at 712. */
enum { AT_A = 0, AT_B = 704, AT_T = 720, AT_X = 0, AT_Y = 712, ARENA_BYTES = 1424 };

/* Values of a[0] that ask for trouble. */
enum { UNALIGNED = 101, DIVIDE = 102, JUMP = 103, OVERFLOW = 104, STORE = 105, DEEP = 106, SLOW = 107, HANG = 108, BREACH = 100 };

__attribute__((noinline)) static uint32_t recurse(volatile uint32_t *below, uint32_t depth)
{
    volatile uint32_t here[8] = {depth};
    below = here;
    return depth == 0 ? 0 : recurse(below, depth - 1u) + below[0];
}

/* 2 KiB of stack. */
__attribute__((noinline)) static uint32_t deep(void)
{
    volatile uint32_t words[512];
    for (uint32_t i = 0; i < 512; i++) {
        words[i] = i;
    }
    return words[511];
}

#ifdef __arm__
extern uint32_t mq_stack_bottom[]; /* by the linker script: the words below the stack */
#endif

static int32_t trouble(int8_t kind)
{
#ifdef __arm__
    static const uint32_t words[2] = {1, 2};
    static volatile uint32_t zero;
    switch (kind) {
    case UNALIGNED: {
        uint32_t loaded;
        const uint8_t *address = (const uint8_t *)words + 1;
        __asm volatile("ldr %0, [%1]" : "=r"(loaded) : "r"(address));
        return (int32_t)loaded;
    }
    case DIVIDE: {
        uint32_t quotient = 1;
#ifdef __ARM_FEATURE_IDIV
        __asm volatile("udiv %0, %0, %1" : "+r"(quotient) : "r"(zero));
#endif
        return (int32_t)quotient;
    }
    case JUMP:
        ((void (*)(void))(uintptr_t)(zero + 0xF0000001u))();
        return 0;
    case OVERFLOW:
        return (int32_t)recurse(NULL, 1000000);
    case STORE:
        *(volatile uint32_t *)(uintptr_t)(zero + 0xF0000000u) = 1;
        return 0;
    case SLOW:
        for (uint32_t i = 0; i < 5000000u; i++) {
            zero = 0;
        }
        return 0;
    case HANG:
        while (zero == 0) {
        }
        return 0;
    case BREACH:
        ((volatile uint32_t *)mq_stack_bottom)[2] = 0;
        return 0;
    default:
        break;
    }
#else
    (void)recurse;
#endif
    return kind == DEEP ? (int32_t)(deep() & 0u) : 0;
}

/* t = a xor 0x5A */
__attribute__((noinline)) static void step_0(uint8_t *arena)
{
    const int32_t none = trouble((int8_t)arena[AT_A]);
    for (int i = 0; i < TINY_A; i++) {
        arena[AT_T + i] = (uint8_t)(arena[AT_A + i] ^ (0x5A + none));
    }
}

/* x = t + 1 (mod 256), over a */
__attribute__((noinline)) static void step_1(uint8_t *arena)
{
    for (int i = 0; i < TINY_A; i++) {
        arena[AT_X + i] = (uint8_t)(arena[AT_T + i] + 1);
    }
}

/* y = sum of b, sum of x; b is destroyed */
__attribute__((noinline)) static void step_2(uint8_t *arena)
{
    int32_t y[2] = {0, 0};
    int16_t b[TINY_B];
    memcpy(b, arena + AT_B, sizeof b);
    for (int i = 0; i < TINY_B; i++) {
        y[0] += b[i];
    }
    for (int i = 0; i < TINY_A; i++) {
        y[1] += (int8_t)arena[AT_X + i];
    }
    memset(arena + AT_B, 0xFF, sizeof b);
    memcpy(arena + AT_Y, y, sizeof y);
}

static int run(void *arena)
{
    step_0(arena);
    step_1(arena);
    step_2(arena);
    return 0;
}

static int step(void *arena, int i)
{
    static void (*const steps[])(uint8_t *arena) = {step_0, step_1, step_2};
    if (i < 0 || i > 2) {
        return -1;
    }
    steps[i](arena);
    return 0;
}

static const int32_t shape_a[] = {1, TINY_A}, shape_b[] = {1, TINY_B}, shape_y[] = {1, 2};

static const mq_tensor_t inputs[] = {
    {"a", AT_A, TINY_A, MQ_INT8, 2, shape_a, 0.5f, -3},
    {"b", AT_B, 2 * TINY_B, MQ_INT16, 2, shape_b, 0.25f, 0},
};
static const mq_tensor_t t = {"t", AT_T, TINY_A, MQ_INT8, 2, shape_a, 0.5f, 0};
static const mq_tensor_t outputs[] = {
    {"x", AT_X, TINY_A, MQ_INT8, 2, shape_a, 0.00390625f, -128},
    {"y", AT_Y, 8, MQ_INT32, 2, shape_y, 0.001f, 0},
};
static const mq_step_t steps[] = {
    {"flip", "Xor:xor_s8", TINY_A, 1, &t},
    {"increment", "Add:add_s8", TINY_A, 1, outputs},
    {"sums", "Sum:sum_s16", TINY_A + TINY_B, 1, outputs + 1},
};

const mq_model_t mq_tiny = {
    .name = "tiny",
    .arena_bytes = ARENA_BYTES,
    .arena_alignment = 16,
    .input_count = 2,
    .output_count = 2,
    .step_count = 3,
    .inputs = inputs,
    .outputs = outputs,
    .steps = steps,
    .run = run,
    .step = step,
};
