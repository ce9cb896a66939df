/* The stack: at the bottom of RAM with a guard below its last usable word, painted to see how deep it went.
 *
 * An overflow is a fault: by the stack limit register (Armv8-M), by an MPU region without access (Armv7-M), and in any case
 * where no memory lies below the RAM. Cores without either find the guard's words changed. */
#include "app/mq_port.h"
#include "port/cortexm/mq_cortexm.h"

#define PAINT 0xA5C3965Au

enum { GUARD_BYTES = 32 };                                  /* the smallest MPU region of Armv7-M */
enum { RASR_ENABLE = 1, RASR_SIZE_32 = 4 << 1, RASR_NO_EXECUTE = 1 << 28 }; /* access permission 0: none */

static uint32_t peak_bytes;

static uint32_t *lowest(void)
{
    return mq_stack_bottom + GUARD_BYTES / sizeof(uint32_t);
}

/* For cores without memory protection. With it, the guard must not be read. */
static bool is_watched;

static void watch(void)
{
    is_watched = true;
    for (volatile uint32_t *word = mq_stack_bottom; word < lowest(); word++) {
        *word = PAINT;
    }
}

bool mq_stack_is_whole(void)
{
    bool whole = true;
    for (const volatile uint32_t *word = mq_stack_bottom; is_watched && word < lowest(); word++) {
        whole = whole && *word == PAINT;
    }
    return whole;
}

bool mq_stack_has_room_above(uint32_t address)
{
    return address >= (uint32_t)lowest();
}

/* False if the core does not support it. */
static bool guard(void)
{
#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
    __asm volatile("msr msplim, %[lowest]" : : [lowest] "r"(lowest()));
    return true;
#else
    const bool has_mpu = !mq_is_armv6m() && ((MPU_TYPE >> 8) & 0xFFu) != 0;
    if (has_mpu) {
        MPU_RNR = 0;
        MPU_RBAR = (uint32_t)mq_stack_bottom;
        MPU_RASR = RASR_ENABLE | RASR_SIZE_32 | RASR_NO_EXECUTE;
        MPU_CTRL = MPU_CTRL_ENABLE | MPU_CTRL_PRIVDEFENA;
        mq_barrier();
    }
    return has_mpu;
#endif
}

/* From the guard up to just below this function's frame. */
static __attribute__((noinline)) void paint(void)
{
    const uint32_t *const end = (const uint32_t *)mq_stack_pointer() - 8;
    for (volatile uint32_t *word = lowest(); word < end; word++) {
        *word = PAINT;
    }
}

void mq_stack_init(void)
{
    if (!guard()) {
        watch();
    }
    paint();
}

void mq_port_stack_paint(void)
{
    peak_bytes = mq_port_stack_peak_bytes();
    paint();
}

uint32_t mq_port_stack_bytes(void)
{
    return (uint32_t)((uint8_t *)mq_stack_top - (uint8_t *)lowest());
}

uint32_t mq_port_stack_depth_bytes(void)
{
    return (uint32_t)mq_stack_top - mq_stack_pointer();
}

uint32_t mq_port_stack_used_bytes(void)
{
    const volatile uint32_t *word = lowest();
    while (word < mq_stack_top && *word == PAINT) {
        word++;
    }
    return (uint32_t)((uint8_t *)mq_stack_top - (const volatile uint8_t *)word);
}

uint32_t mq_port_stack_peak_bytes(void)
{
    const uint32_t used = mq_port_stack_used_bytes();
    return used > peak_bytes ? used : peak_bytes;
}
