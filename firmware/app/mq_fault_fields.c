#include "app/mq_fault_fields.h"

#include "app/mq_serial.h"

/* In the order of mq_fault_t, starting with `exception`. */
static const char *const names[] = {"exception", "frame", "r0",   "r1",   "r2",    "r3",   "r12",      "lr",   "pc",
                                    "xpsr",      "sp",    "cfsr", "hfsr", "mmfar", "bfar", "activity", "cause"};

void mq_put_fault_fields(const mq_fault_t *fault)
{
    const uint32_t *field = &fault->exception;
    for (uint32_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        mq_put_char(' ');
        mq_put_text(names[i]);
        mq_put_char('=');
        mq_put_hex(*field++);
    }
}

void mq_app_on_fault(const mq_fault_t *fault)
{
    mq_put_text("\r\ne-[Crash, program counter ");
    mq_put_hex(fault->pc);
    mq_put_text("]\r\nm-fault-[");
    mq_put_fault_fields(fault);
    mq_put_text(" ]\r\n");
}
