/* Samples in, decisions out: normalisation, sliding window, inference every stride, decision. */
#ifndef MQ_NODE_H
#define MQ_NODE_H

#include <stdbool.h>

#include "decide/mq_decide.h"
#include "node/node_config.h"

typedef struct {
    uint32_t number; /* from 1 */
    uint32_t sample; /* the newest one the inference saw, from 0 */
    mq_verdict_t verdict;
} mq_decision_t;

typedef struct {
    uint32_t samples, inferences, decisions; /* so far */
    uint32_t outputs_crc;                    /* CRC-32 of the first output and the score of all inferences */
} mq_node_count_t;

/* Forgets all samples. */
void mq_node_reset(void);
/* Takes one sample. True when it led to a decision, which is in `made`. */
bool mq_node_take(const int16_t sample[MQ_NODE_CHANNELS], mq_decision_t *made);
mq_node_count_t mq_node_count(void);
/* Stored samples of the window from row `first` on, oldest first: as many of `*rows`, and at least one, as lie in one piece. */
const mq_node_stored_t *mq_node_rows(uint32_t first, uint32_t *rows);
/* {"decision":1,"sample":191,"class":2,"score":0.672,"stored":41} and "\r\n"; the fields after the sample are the rule's. */
void mq_node_put(const mq_decision_t *decision);

#endif
