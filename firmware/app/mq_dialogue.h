/* The commands: MLPerf Tiny's, and those of our own. Each replies all lines but the closing "m-ready". */
#ifndef MQ_DIALOGUE_H
#define MQ_DIALOGUE_H

#include "app/mq_request.h"

/* m-lap-us-N */
void mq_put_lap(uint64_t now_us);
/* False when the command is none of them. */
bool mq_mlperf(const mq_request_t *request);
/* "mq ..." commands; the verb is word `verb`. Returns what is to be done once "m-ready" is out. */
typedef enum { MQ_THEN_NOTHING, MQ_THEN_REBOOT, MQ_THEN_SET_BAUD } mq_then_t;
mq_then_t mq_remote(const mq_request_t *request, uint32_t verb, uint32_t *baud);

#endif
