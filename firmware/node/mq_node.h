/* Samples in, decisions out: normalization, sliding window, inference every stride, decision. */
#ifndef MQ_NODE_H
#define MQ_NODE_H

#include <stdbool.h>

#include "decide/mq_decide.h"
#include "node/node_config.h"

typedef struct {
    uint32_t number; /* from 1 */
    uint32_t sample; /* newest sample of the inference, from 0 */
    mq_verdict_t verdict;
} mq_decision_t;

typedef struct {
    uint32_t samples, inferences, decisions; /* number so far */
    uint32_t outputs_crc;                    /* CRC-32 of the first output and the score of all inferences */
} mq_node_count_t;

/* Discards all samples. */
void mq_node_reset(void);
/* Adds one sample. Returns true if it caused a decision, which is then in `made`. */
bool mq_node_take(const int16_t sample[MQ_NODE_CHANNELS], mq_decision_t *made);
mq_node_count_t mq_node_count(void);
/* Stored samples of the window from row `first`, oldest first: at most `*rows` rows, and at least one, as far as they
   are contiguous. */
const mq_node_stored_t *mq_node_rows(uint32_t first, uint32_t *rows);
/* {"decision":1,"sample":191,"class":2,"score":0.672,"stored":41} and "\r\n"; the fields after the sample depend on
   the rule. */
void mq_node_put(const mq_decision_t *decision);

#endif
