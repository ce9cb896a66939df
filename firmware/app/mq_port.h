/* What the application needs of a chip. port/cortexm and one chip family of port/ give it together. */
#ifndef MQ_PORT_H
#define MQ_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* Clocks, counter, traps, serial port at MQ_BOARD_BAUD. Called once, before anything else here. */
void mq_port_init(void);

/* The core clock actually running. */
uint32_t mq_port_clock_hz(void);
/* Which core it is: the SCB's CPUID register. */
uint32_t mq_port_cpuid(void);

/* A counter that only goes up, from boot on. 64 bits never wrap. */
uint64_t mq_port_ticks(void);
uint32_t mq_port_ticks_hz(void);
/* "cyccnt" (the core's cycle counter), "systick" or "timer" (of the chip's). */
const char *mq_port_ticks_source(void);

/* The next byte, or -1 when none comes for `timeout_us`. */
int mq_port_getc(uint32_t timeout_us);
/* Sleeps until a byte is there. */
void mq_port_wait(void);
/* The same for at most `timeout_us`; whether one is there. */
bool mq_port_await(uint32_t timeout_us);
void mq_port_putc(uint8_t byte);
/* Whether the UART can make this rate. */
bool mq_port_can_baud(uint32_t baud);
/* Changes the rate once the last bit has left. */
void mq_port_set_baud(uint32_t baud);

/* The stack, in bytes: all there is, how much is in use now, the most since it was painted, the most since boot. */
uint32_t mq_port_stack_bytes(void);
uint32_t mq_port_stack_depth_bytes(void);
uint32_t mq_port_stack_used_bytes(void);
uint32_t mq_port_stack_peak_bytes(void);
void mq_port_stack_paint(void);

/* The core's state when it crashed. Registers are those of the code that was running, where `frame_valid`. */
typedef struct {
    uint32_t magic;
    uint32_t exception; /* number: 3 HardFault, 4 MemManage, 5 BusFault, 6 UsageFault, 7 SecureFault, 16 + n interrupt n */
    uint32_t frame_valid;
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr; /* in this order: as the core stacks them */
    uint32_t sp;
    uint32_t cfsr, hfsr, mmfar, bfar;
    uint32_t activity; /* what mq_port_activity() was last told */
    uint32_t cause;
    uint32_t crc;
} mq_fault_t;

enum {
    MQ_FAULT_CORE = 0,     /* found by the core: `exception` and the status registers say what */
    MQ_FAULT_WATCHDOG = 1, /* the main loop gave no sign of life for MQ_BOARD_WATCHDOG_MS */
    MQ_FAULT_STACK = 2,    /* the stack overflowed; found by software */
};

/* The record of the last crash; it outlives resets, not power. Null when there is none. */
const mq_fault_t *mq_port_fault(void);
void mq_port_fault_clear(void);
/* Whether the last reset followed a crash. */
bool mq_port_crashed(void);
/* What the application is about to do, for the record of a crash. */
void mq_port_activity(uint32_t activity);
/* The application's: tells of a crash, on a small stack of its own, with interrupts off. The chip is reset after it. */
void mq_app_on_fault(const mq_fault_t *fault);

/* The firmware in flash, and its CRC-32 as built and as found at boot. */
typedef struct {
    uint32_t start, bytes;
    uint32_t stored_crc, found_crc;
} mq_image_t;

const mq_image_t *mq_port_image(void);

_Noreturn void mq_port_reset(void);

#endif
