/* The application's interface to a chip. port/cortexm and one chip family of port/ implement it together. */
#ifndef MQ_PORT_H
#define MQ_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* Initializes clocks, counter, traps, and the serial port at MQ_BOARD_BAUD. Called once, before all other functions
   here. */
void mq_port_init(void);

/* The core clock that actually runs. */
uint32_t mq_port_clock_hz(void);
/* The core's identity: the SCB's CPUID register. */
uint32_t mq_port_cpuid(void);

/* A counter that increases from boot. 64 bits never wrap. */
uint64_t mq_port_ticks(void);
uint32_t mq_port_ticks_hz(void);
/* "cyccnt" (the core's cycle counter), "systick" or "timer" (of the chip's). */
const char *mq_port_ticks_source(void);

/* The next byte, or -1 after `timeout_us` without one. */
int mq_port_getc(uint32_t timeout_us);
/* Sleeps until a byte is available. */
void mq_port_wait(void);
/* The same for at most `timeout_us`; 0 does not sleep. Returns whether a byte is available. */
bool mq_port_await(uint32_t timeout_us);
void mq_port_putc(uint8_t byte);
/* Whether the UART supports this rate. */
bool mq_port_can_baud(uint32_t baud);
/* Changes the rate after the last bit is sent. */
void mq_port_set_baud(uint32_t baud);

/* The stack in bytes: total, in use now, maximum since it was painted, maximum since boot. */
uint32_t mq_port_stack_bytes(void);
uint32_t mq_port_stack_depth_bytes(void);
uint32_t mq_port_stack_used_bytes(void);
uint32_t mq_port_stack_peak_bytes(void);
void mq_port_stack_paint(void);

/* The core's state at a crash. Registers are those of the interrupted code if `frame_valid`. */
typedef struct {
    uint32_t magic;
    uint32_t exception; /* number: 3 HardFault, 4 MemManage, 5 BusFault, 6 UsageFault, 7 SecureFault, 16 + n interrupt n */
    uint32_t frame_valid;
    uint32_t r0, r1, r2, r3, r12, lr, pc, xpsr; /* in the order in which the core stacks them */
    uint32_t sp;
    uint32_t cfsr, hfsr, mmfar, bfar;
    uint32_t activity; /* the last argument of mq_port_activity() */
    uint32_t cause;
    uint32_t crc;
} mq_fault_t;

enum {
    MQ_FAULT_CORE = 0,     /* detected by the core: `exception` and the status registers give the cause */
    MQ_FAULT_WATCHDOG = 1, /* no sign of life from the main loop for MQ_BOARD_WATCHDOG_MS */
    MQ_FAULT_STACK = 2,    /* stack overflow, detected by software */
};

/* The record of the last crash. It survives resets but not power loss. Null without a record. */
const mq_fault_t *mq_port_fault(void);
void mq_port_fault_clear(void);
/* Whether the last reset followed a crash. */
bool mq_port_crashed(void);
/* The next action of the application, for the record of a crash. */
void mq_port_activity(uint32_t activity);
/* Defined by the application: reports a crash, on a small separate stack, with interrupts off. Then the chip is
   reset. */
void mq_app_on_fault(const mq_fault_t *fault);

/* The firmware in flash, with its CRC-32 at build time and at boot. */
typedef struct {
    uint32_t start, bytes;
    uint32_t stored_crc, found_crc;
} mq_image_t;

const mq_image_t *mq_port_image(void);

_Noreturn void mq_port_reset(void);

#endif
