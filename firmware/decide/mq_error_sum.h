/* The difference between samples of the window and an output, summed over all elements. */
#ifndef MQ_ERROR_SUM_H
#define MQ_ERROR_SUM_H

#include <stdint.h>

#include "node/node_config.h"

/* Over MQ_ERROR_ROWS rows of the window from row MQ_ERROR_FIRST_ROW, and the same number of elements of `output`. manifest.json
 * contains the unit of the sum. */
int32_t mq_error_sum(const mq_node_score_t *output);

#endif
