/* Crashes: what the core knew is kept in RAM that start-up leaves alone, told over the serial port, and the chip reset.
 *
 * The configurable faults are left disabled, so that each escalates to HardFault; CFSR still says which it was. */
#include <stddef.h>

#include "app/mq_crc.h"
#include "app/mq_port.h"
#include "port/cortexm/mq_cortexm.h"

enum { STACK_WORDS = 160, FRAME_BYTES = 32, HARD_FAULT = 3 };
enum { MAGIC_CRASHED = 0x6D714661, MAGIC_KEPT = 0x6D716B70 }; /* caused the coming reset; an earlier one */

static mq_fault_t record __attribute__((section(".noinit")));
static uint32_t activity __attribute__((section(".noinit")));
/* A separate stack for the handler, because the interrupted one may be exhausted. */
uint32_t mq_fault_stack[STACK_WORDS] __attribute__((section(".noinit"), aligned(8), used));
static bool crashed;
static volatile uint32_t raised; /* a cause that software detected */

__attribute__((used)) _Noreturn void mq_fault_handle(const uint32_t *frame);

static uint32_t record_crc(void)
{
    const uint32_t *const body = &record.exception;
    return mq_crc32(0, body, offsetof(mq_fault_t, crc) - offsetof(mq_fault_t, exception));
}

static bool recorded(void)
{
    return (record.magic == MAGIC_CRASHED || record.magic == MAGIC_KEPT) && record.crc == record_crc();
}

void mq_fault_init(void)
{
    crashed = recorded() && record.magic == MAGIC_CRASHED;
    record.magic = recorded() ? MAGIC_KEPT : 0;
    activity = 0;
}

const mq_fault_t *mq_port_fault(void)
{
    return recorded() ? &record : NULL;
}

void mq_port_fault_clear(void)
{
    record.magic = 0;
}

bool mq_port_crashed(void)
{
    return crashed;
}

void mq_port_activity(uint32_t now)
{
    activity = now;
    mq_watchdog_alive();
    if (!mq_stack_is_whole()) {
        mq_fault_raise(MQ_FAULT_STACK);
    }
}

/* PendSV is taken once no interrupt is being served, so its frame is that of the code that was running. */
void mq_fault_raise(uint32_t cause)
{
    raised = cause;
    SCB_ICSR = ICSR_PENDSVSET;
    mq_barrier();
}

/* r0: the stack pointer of the interrupted code, below it nothing is worth keeping. Limits and lazy saving are switched off
 * first: they would use the old stack. */
__attribute__((naked)) void mq_fault_entry(void)
{
    __asm volatile("cpsid i\n\t"
#if defined(__ARM_ARCH_8M_MAIN__) || defined(__ARM_ARCH_8_1M_MAIN__)
                   "movs r0, #0\n\t"
                   "msr msplim, r0\n\t"
#endif
                   "mov r0, sp\n\t"
                   "ldr r1, 1f\n\t"
                   "mov sp, r1\n\t"
                   "ldr r1, 2f\n\t"
                   "bx r1\n\t"
                   ".align 2\n"
                   "1: .word mq_fault_stack + %c0\n"
                   "2: .word mq_fault_handle\n"
                   :
                   : "i"(sizeof mq_fault_stack));
}

static bool frame_is_valid(const uint32_t *frame)
{
    const uint32_t lost = CFSR_MSTKERR | CFSR_STKERR | CFSR_STKOF;
    const bool inside = frame >= mq_stack_bottom && frame + FRAME_BYTES / sizeof(uint32_t) <= mq_stack_top;
    return inside && (record.cfsr & lost) == 0;
}

static void take_frame(const uint32_t *frame)
{
    uint32_t *const registers = &record.r0;
    for (int i = 0; i < FRAME_BYTES / (int)sizeof(uint32_t); i++) {
        registers[i] = record.frame_valid ? frame[i] : 0;
    }
}

/* Armv6-M does not report the cause of a crash; if the stack is exhausted, that is the cause. */
static uint32_t cause_of(const uint32_t *frame)
{
    const bool is_silent = record.cfsr == 0 && record.exception == HARD_FAULT;
    return raised == 0 && is_silent && !mq_stack_has_room_above((uint32_t)frame) ? MQ_FAULT_STACK : raised;
}

static void take_status(void)
{
    const bool has_status = !mq_is_armv6m();
    record.cfsr = has_status ? SCB_CFSR : 0;
    record.hfsr = has_status ? SCB_HFSR : 0;
    record.mmfar = has_status ? SCB_MMFAR : 0;
    record.bfar = has_status ? SCB_BFAR : 0;
}

_Noreturn void mq_fault_handle(const uint32_t *frame)
{
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
    FPU_FPCCR = 0;
#endif
    record.exception = SCB_ICSR & 0x1FFu;
    take_status();
    record.cause = cause_of(frame);
    record.activity = activity;
    record.sp = (uint32_t)frame;
    record.frame_valid = frame_is_valid(frame);
    take_frame(frame);
    record.magic = MAGIC_CRASHED;
    record.crc = record_crc();
    mq_app_on_fault(&record);
    mq_port_reset();
}
