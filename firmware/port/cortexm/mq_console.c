/* The console over the chip's UART. A family without a UART has its own file of this name. */
#include "port/cortexm/mq_console.h"

#include "app/mq_port.h"
#include "board.h"
#include "port/cortexm/mq_cache.h"
#include "port/cortexm/mq_chip.h"
#include "port/cortexm/mq_cortexm.h"
#include "port/cortexm/mq_time.h"

/* A program's next byte usually arrives before a sleep would begin. */
enum { POLLS_BEFORE_SLEEP = 50 };
enum { ALARM_MAX = 0xFFFFFF };
#define AIRCR_RESET ((0x05FAu << 16) | (1u << 2))

static uint32_t clock_hz;

void mq_console_init(uint32_t core_clock_hz)
{
    clock_hz = core_clock_hz;
    mq_uart_init(clock_hz, MQ_BOARD_BAUD);
}

/* Sleeps until a byte or any interrupt. WFI ends on a pending one although interrupts are masked, so the UART's is never
 * taken and needs no handler; SysTick's is, once they are no longer. */
static void sleep_once(void)
{
    const uint32_t bit = UINT32_C(1) << (MQ_BOARD_UART_IRQ % 32u);
    const uint32_t mask = mq_interrupts_off();
    NVIC_ISER(MQ_BOARD_UART_IRQ) = bit;
    if (!mq_uart_readable() && !mq_alarm_is_due()) {
        __asm volatile("dsb\n\twfi" : : : "memory");
    }
    mq_watchdog_alive();
    NVIC_ICER(MQ_BOARD_UART_IRQ) = bit;
    mq_barrier();
    mq_interrupts_restore(mask);
    NVIC_ICPR(MQ_BOARD_UART_IRQ) = bit;
}

void mq_port_wait(void)
{
    while (!mq_uart_readable()) {
        sleep_once();
    }
}

static bool sleep_for(uint32_t clocks)
{
    mq_alarm_set(clocks);
    while (!mq_uart_readable() && !mq_alarm_is_due()) {
        sleep_once();
    }
    mq_alarm_end();
    return mq_uart_readable();
}

bool mq_port_await(uint32_t timeout_us)
{
    mq_watchdog_alive();
    for (int i = 0; i < POLLS_BEFORE_SLEEP; i++) {
        if (mq_uart_readable()) {
            return true;
        }
    }
    if (timeout_us == 0) {
        return false;
    }
    uint64_t left = (uint64_t)timeout_us * (clock_hz / 1000000u + 1u);
    for (; left > ALARM_MAX; left -= ALARM_MAX) {
        if (sleep_for(ALARM_MAX)) {
            return true;
        }
    }
    return sleep_for((uint32_t)left + 1u);
}

int mq_port_getc(uint32_t timeout_us)
{
    return mq_port_await(timeout_us) ? mq_uart_read() : -1;
}

void mq_port_putc(uint8_t byte)
{
    mq_watchdog_alive();
    mq_uart_write(byte);
}

bool mq_port_can_baud(uint32_t baud)
{
    return baud > 0 && mq_uart_can(clock_hz, baud);
}

void mq_port_set_baud(uint32_t baud)
{
    mq_uart_flush();
    mq_uart_init(clock_hz, baud);
}

_Noreturn void mq_port_reset(void)
{
    mq_uart_flush();
    mq_cache_clean();
    mq_barrier();
    SCB_AIRCR = AIRCR_RESET;
    mq_barrier();
    for (;;) {
    }
}
