/* A mailbox in RAM in place of a UART. The host sets a breakpoint on mq_probe_exchange. When the core stops there, the host takes
 * `sent`, may put bytes into `received`, and lets the function return. Time stands still for the firmware in between. */
#ifndef MQ_PROBE_H
#define MQ_PROBE_H

#include <stdint.h>

enum { MQ_PROBE_BUFFER_BYTES = 1024 };

typedef enum {
    MQ_PROBE_FLUSH = 0, /* `sent` is full */
    MQ_PROBE_WAIT = 1,  /* until bytes arrive, or after `timeout_us` */
    MQ_PROBE_RESET = 2, /* load the image again and start it; .noinit keeps its contents */
} mq_probe_request_t;

typedef struct {
    uint32_t request;
    uint32_t timeout_us; /* UINT32_MAX: no limit */
    uint32_t sent_bytes;
    uint32_t received_bytes;
    uint8_t sent[MQ_PROBE_BUFFER_BYTES];
    uint8_t received[MQ_PROBE_BUFFER_BYTES];
} mq_probe_mailbox_t;

extern volatile mq_probe_mailbox_t mq_probe_mailbox;
void mq_probe_exchange(void);

#endif
