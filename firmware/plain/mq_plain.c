/* Firmware that only answers requests over the serial port. */
#include <stddef.h>

#include "app/mq_app.h"
#include "app/mq_call.h"
#include "app/mq_port.h"

const mq_verb_t mq_app_verbs[] = {{NULL, NULL}};

void mq_app_start(void)
{
}

void mq_app_idle(void)
{
    mq_port_wait();
}
