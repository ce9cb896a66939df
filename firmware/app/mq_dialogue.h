/* The commands of MLPerf Tiny and of mcuquant. Each sends all lines of its reply except the final "m-ready". */
#ifndef MQ_DIALOGUE_H
#define MQ_DIALOGUE_H

#include "app/mq_request.h"

/* m-lap-us-N */
void mq_put_lap(uint64_t now_us);
/* Returns false for an unknown command. */
bool mq_mlperf(const mq_request_t *request);
/* "mq ..." commands; the verb is word `verb`. Returns the action to take after "m-ready" is sent. */
typedef enum { MQ_THEN_NOTHING, MQ_THEN_REBOOT, MQ_THEN_SET_BAUD } mq_then_t;
mq_then_t mq_remote(const mq_request_t *request, uint32_t verb, uint32_t *baud);

#endif
