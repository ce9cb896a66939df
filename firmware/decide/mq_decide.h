/* Derives a decision from the network's first output. decision_config.h names the rule; each rule has a file in this
   folder. */
#ifndef MQ_DECIDE_H
#define MQ_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "decide/decision_config.h"
#include MQ_DECIDE_RULE /* declares mq_verdict_t */

void mq_decide_reset(void);
/* Evaluates the inference whose output is in the arena and whose samples are in the window. Returns true for a decision, which
 * is then in `verdict`. */
bool mq_decide(mq_verdict_t *verdict);
/* `crc` continued with the rule's score of this inference. */
uint32_t mq_decide_crc(uint32_t crc);
/* The rule's fields of the JSON object, each after a comma. */
void mq_decide_put(const mq_verdict_t *verdict);

#endif
