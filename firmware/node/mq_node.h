/* Samples in, decisions out: normalisation, sliding window, inference every stride, decision. */
#ifndef MQ_NODE_H
#define MQ_NODE_H

#include <stdbool.h>

#include "node/node_config.h"

enum { MQ_NODE_NO_CLASS = -1 };

/* A class that stood MQ_NODE_DEBOUNCE inferences in a row, and is another than the last decision's. */
typedef struct {
    uint32_t number; /* from 1 */
    uint32_t sample; /* the newest one the inference saw, from 0 */
    int32_t label;   /* the class, or MQ_NODE_NO_CLASS: no score reached the threshold */
    int32_t score;   /* the largest, as the network stores it */
} mq_decision_t;

typedef struct {
    uint32_t samples, inferences, decisions; /* so far */
    uint32_t outputs_crc;                    /* CRC-32 of the first output of all inferences */
} mq_node_count_t;

/* Forgets all samples. */
void mq_node_reset(void);
/* Takes one sample. True when it led to a decision, which is in `made`. */
bool mq_node_take(const int16_t sample[MQ_NODE_CHANNELS], mq_decision_t *made);
mq_node_count_t mq_node_count(void);
/* {"decision":1,"sample":191,"class":2,"score":0.672,"stored":41} and "\r\n". */
void mq_node_put(const mq_decision_t *decision);

#endif
