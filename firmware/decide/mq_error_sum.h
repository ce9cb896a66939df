/* The difference between samples of the window and an output, summed over all elements. */
#ifndef MQ_ERROR_SUM_H
#define MQ_ERROR_SUM_H

#include <stdint.h>

#include "node/node_config.h"

/* Over MQ_ERROR_ROWS rows of the window from MQ_ERROR_FIRST_ROW on, and as many elements of `output`. The unit of the sum is in
 * manifest.json. */
int32_t mq_error_sum(const mq_node_score_t *output);

#endif
