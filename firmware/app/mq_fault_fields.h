/* The record of a crash as text, " NAME=VALUE" for each field, in hexadecimal. */
#ifndef MQ_FAULT_FIELDS_H
#define MQ_FAULT_FIELDS_H

#include "app/mq_port.h"

void mq_put_fault_fields(const mq_fault_t *fault);

#endif
