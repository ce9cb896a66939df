/* From the network's first output to a decision. decision_config.h names the rule; each has a file of this folder. */
#ifndef MQ_DECIDE_H
#define MQ_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "decide/decision_config.h"
#include MQ_DECIDE_RULE /* declares mq_verdict_t */

void mq_decide_reset(void);
/* Judges the inference whose output is in the arena and whose samples are in the window. True when that is a decision, which is
 * in `verdict`. */
bool mq_decide(mq_verdict_t *verdict);
/* `crc` continued with the score that the rule keeps of this inference. */
uint32_t mq_decide_crc(uint32_t crc);
/* The rule's fields of the JSON object, each after a comma. */
void mq_decide_put(const mq_verdict_t *verdict);

#endif
