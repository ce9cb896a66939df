/* Registers of the Cortex-M system control space, and what the files of this folder share.
 * Sources: Armv7-M ARM (DDI 0403) sections B3.2, B3.3, B3.5, C1.8; Armv8-M ARM (DDI 0553) section D1. */
#ifndef MQ_CORTEXM_H
#define MQ_CORTEXM_H

#include <stdbool.h>
#include <stdint.h>

#include "port/cortexm/mq_register.h"

#define SYST_CSR MQ_REGISTER(0xE000E010u)
#define SYST_RVR MQ_REGISTER(0xE000E014u)
#define SYST_CVR MQ_REGISTER(0xE000E018u)
#define NVIC_ISER(irq) MQ_REGISTER(0xE000E100u + 4u * ((irq) / 32u))
#define NVIC_ICER(irq) MQ_REGISTER(0xE000E180u + 4u * ((irq) / 32u))
#define NVIC_ICPR(irq) MQ_REGISTER(0xE000E280u + 4u * ((irq) / 32u))
#define SCB_CPUID MQ_REGISTER(0xE000ED00u)
#define SCB_ICSR MQ_REGISTER(0xE000ED04u)
#define SCB_VTOR MQ_REGISTER(0xE000ED08u)
#define SCB_AIRCR MQ_REGISTER(0xE000ED0Cu)
#define SCB_CCR MQ_REGISTER(0xE000ED14u)
#define SCB_CFSR MQ_REGISTER(0xE000ED28u)
#define SCB_HFSR MQ_REGISTER(0xE000ED2Cu)
#define SCB_MMFAR MQ_REGISTER(0xE000ED34u)
#define SCB_BFAR MQ_REGISTER(0xE000ED38u)
#define SCB_CPACR MQ_REGISTER(0xE000ED88u)
#define MPU_TYPE MQ_REGISTER(0xE000ED90u)
#define MPU_CTRL MQ_REGISTER(0xE000ED94u)
#define MPU_RNR MQ_REGISTER(0xE000ED98u)
#define MPU_RBAR MQ_REGISTER(0xE000ED9Cu)
#define MPU_RASR MQ_REGISTER(0xE000EDA0u)
#define SCB_DEMCR MQ_REGISTER(0xE000EDFCu)
#define FPU_FPCCR MQ_REGISTER(0xE000EF34u)
#define DWT_CTRL MQ_REGISTER(0xE0001000u)
#define DWT_CYCCNT MQ_REGISTER(0xE0001004u)
#define DWT_LAR MQ_REGISTER(0xE0001FB0u)

enum { SYST_CSR_ENABLE = 1, SYST_CSR_TICKINT = 2, SYST_CSR_CORE_CLOCK = 4 };
enum { ICSR_PENDSVSET = 1 << 28 };
enum { CCR_UNALIGN_TRP = 1 << 3, CCR_DIV_0_TRP = 1 << 4 };
enum { CFSR_MSTKERR = 1 << 4, CFSR_STKERR = 1 << 12, CFSR_STKOF = 1 << 20 };
enum { MPU_CTRL_ENABLE = 1, MPU_CTRL_PRIVDEFENA = 4 };

/* Defined by the linker script. */
extern uint32_t mq_stack_bottom[], mq_stack_top[];
extern const uint8_t mq_image_start[], mq_image_end[];

/* Armv6-M (Cortex-M0, M0+) has neither configurable faults nor traps to set, nor a vector table register in every part.
 * Asked of the core and not of the compiler: code for the smaller one runs on the larger. */
static inline bool mq_is_armv6m(void)
{
    return ((SCB_CPUID >> 16) & 0xFu) == 0xCu;
}

static inline uint32_t mq_interrupts_off(void)
{
    uint32_t before;
    __asm volatile("mrs %[before], primask\n\tcpsid i" : [before] "=r"(before) : : "memory");
    return before;
}

static inline void mq_interrupts_restore(uint32_t before)
{
    __asm volatile("msr primask, %[before]" : : [before] "r"(before) : "memory");
}

static inline uint32_t mq_stack_pointer(void)
{
    uint32_t sp;
    __asm volatile("mov %[sp], sp" : [sp] "=r"(sp));
    return sp;
}

static inline void mq_barrier(void)
{
    __asm volatile("dsb\n\tisb" : : : "memory");
}

void mq_stack_init(void);
/* Whether the words below the stack are unchanged, for cores without memory protection. */
bool mq_stack_is_whole(void);
bool mq_stack_has_room_above(uint32_t address);
void mq_image_init(void);
void mq_watchdog_init(uint32_t clock_hz);
/* A sign of life of the main loop. */
void mq_watchdog_alive(void);
/* Called every MQ_TIME_PERIOD clocks by the timer's interrupt. */
void mq_watchdog_look(void);
void mq_fault_init(void);
/* Ends in the same record and reset as a crash that the core detects; from an interrupt, after its return. */
void mq_fault_raise(uint32_t cause);
void mq_fault_entry(void);
void mq_time_entry(void);

#endif
