/* Start-up for the models of a test on an emulated Cortex-M: vectors, traps, and the debugger's files for stdin and stdout. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

extern uint8_t stack_top[], bss_start[], bss_end[], heap_start[], heap_end[];
int main(void);
void initialise_monitor_handles(void);
void *_sbrk(ptrdiff_t bytes);

static void semihosting(uint32_t operation, uint32_t argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register uint32_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static __attribute__((noreturn)) void fault(void)
{
    static const char text[] = "fault: an unaligned, undefined or forbidden access\n";
    semihosting(0x04, (uint32_t)(uintptr_t)text); /* SYS_WRITE0 */
    semihosting(0x18, 0x20024);                   /* SYS_EXIT: internal error */
    for (;;) {
    }
}

static __attribute__((noinline, noreturn)) void start(void)
{
    memset(bss_start, 0, (size_t)(bss_end - bss_start));
    initialise_monitor_handles();
    exit(main());
}

static __attribute__((noreturn)) void reset(void)
{
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: floating point and vectors */
    *(volatile uint32_t *)0xE000ED14 |= 1u << 3;    /* CCR.UNALIGN_TRP: fault where Armv6-M would */
    __asm__ volatile("dsb\n isb");
    start();
}

void *_sbrk(ptrdiff_t bytes)
{
    static uint8_t *end = heap_start;
    uint8_t *const start_of = end;
    if (bytes > heap_end - end) {
        return (void *)-1;
    }
    end += bytes;
    return start_of;
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_top, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
