/* The console through the debug probe's mailbox. */
#include "port/cortexm/mq_console.h"

#include "app/mq_port.h"
#include "port/cortexm/mq_cortexm.h"
#include "port/probe/mq_probe.h"

volatile mq_probe_mailbox_t mq_probe_mailbox;
static uint32_t taken_bytes; /* bytes received and not yet read */

/* The core stops on the first instruction, and the host moves it to the return address. */
__attribute__((noinline, noclone, used)) void mq_probe_exchange(void)
{
    __asm volatile("nop" : : : "memory");
}

static void exchange(mq_probe_request_t request, uint32_t timeout_us)
{
    mq_probe_mailbox.request = request;
    mq_probe_mailbox.timeout_us = timeout_us;
    mq_barrier();
    mq_probe_exchange();
    mq_probe_mailbox.sent_bytes = 0;
    mq_watchdog_alive();
}

void mq_console_init(uint32_t core_clock_hz)
{
    (void)core_clock_hz;
    mq_probe_mailbox.sent_bytes = 0;
    mq_probe_mailbox.received_bytes = 0;
    taken_bytes = 0;
}

bool mq_port_await(uint32_t timeout_us)
{
    if (taken_bytes == mq_probe_mailbox.received_bytes) {
        taken_bytes = 0;
        mq_probe_mailbox.received_bytes = 0;
        exchange(MQ_PROBE_WAIT, timeout_us);
    }
    return taken_bytes < mq_probe_mailbox.received_bytes;
}

void mq_port_wait(void)
{
    while (!mq_port_await(UINT32_MAX)) {
    }
}

int mq_port_getc(uint32_t timeout_us)
{
    return mq_port_await(timeout_us) ? mq_probe_mailbox.received[taken_bytes++] : -1;
}

void mq_port_putc(uint8_t byte)
{
    mq_watchdog_alive();
    const uint32_t count = mq_probe_mailbox.sent_bytes;
    mq_probe_mailbox.sent[count] = byte;
    mq_probe_mailbox.sent_bytes = count + 1u;
    if (count + 1u == MQ_PROBE_BUFFER_BYTES) {
        exchange(MQ_PROBE_FLUSH, 0);
    }
}

bool mq_port_can_baud(uint32_t baud)
{
    return baud > 0; /* there is no rate */
}

void mq_port_set_baud(uint32_t baud)
{
    (void)baud;
}

_Noreturn void mq_port_reset(void)
{
    for (;;) {
        exchange(MQ_PROBE_RESET, 0);
    }
}
