/* From reset to main. */
#include <string.h>

#include "board.h"
#include "port/cortexm/mq_cortexm.h"

int main(void);
_Noreturn void mq_reset(void);

/* Defined by the linker script. */
extern uint8_t mq_data_load[], mq_data_start[], mq_data_end[], mq_bss_start[], mq_bss_end[];

enum { SYSTEM_VECTORS = 16, SYSTICK_VECTOR = 15, MOST_IRQS = 240 };
#ifdef MQ_CHIP_TIMER_IRQ /* a timer of the chip in place of SysTick */
#define LAST_IRQ (MQ_BOARD_UART_IRQ > MQ_CHIP_TIMER_IRQ ? MQ_BOARD_UART_IRQ : MQ_CHIP_TIMER_IRQ)
#else
#define LAST_IRQ MQ_BOARD_UART_IRQ
#endif

typedef union {
    const void *stack;
    void (*entry)(void);
} mq_vector_t;

/* The only interrupts ever taken are the timer's: the UART's wakes the core with interrupts masked. */
__attribute__((section(".vectors"), used)) static const mq_vector_t vectors[SYSTEM_VECTORS + LAST_IRQ + 1] = {
    [0] = {.stack = mq_stack_top},
    [1] = {.entry = mq_reset},
    [2 ... SYSTICK_VECTOR - 1] = {.entry = mq_fault_entry},
    [SYSTICK_VECTOR] = {.entry = mq_time_entry},
#ifdef MQ_CHIP_TIMER_IRQ
    [SYSTEM_VECTORS ... SYSTEM_VECTORS + MQ_CHIP_TIMER_IRQ - 1] = {.entry = mq_fault_entry},
    [SYSTEM_VECTORS + MQ_CHIP_TIMER_IRQ] = {.entry = mq_time_entry},
#else
    [SYSTEM_VECTORS ... SYSTEM_VECTORS + LAST_IRQ] = {.entry = mq_fault_entry},
#endif
};

/* Before any code that the compiler may have vectorised: the loops of start_memory use MVE on a Cortex-M55. */
static __attribute__((noinline)) void enable_coprocessors(void)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    SCB_CPACR |= 0xFu << 20; /* CP10 and CP11: full access */
    mq_barrier();
#endif
}

static __attribute__((noinline)) void start_memory(void)
{
    memcpy(mq_data_start, mq_data_load, (size_t)(mq_data_end - mq_data_start));
    memset(mq_bss_start, 0, (size_t)(mq_bss_end - mq_bss_start));
}

/* Settings that a boot loader may have left enabled. */
static void quieten(void)
{
    SYST_CSR = 0;
    for (uint32_t irq = 0; irq < MOST_IRQS; irq += 32u) {
        NVIC_ICER(irq) = UINT32_MAX;
        NVIC_ICPR(irq) = UINT32_MAX;
    }
}

_Noreturn void mq_reset(void)
{
    quieten();
    enable_coprocessors();
    if (!mq_is_armv6m()) {
        SCB_VTOR = (uint32_t)vectors;
        SCB_CCR |= CCR_UNALIGN_TRP | CCR_DIV_0_TRP;
    }
    start_memory();
    mq_stack_init();
    mq_fault_init();
    mq_interrupts_restore(0); /* a boot loader may have masked all interrupts */
    (void)main();
    for (;;) {
    }
}
