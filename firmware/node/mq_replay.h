/* Samples that came over the serial port, one after the other. */
#ifndef MQ_REPLAY_H
#define MQ_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "node/node_config.h"

/* The next sample; false if all are consumed. */
bool mq_replay_take(int16_t sample[MQ_NODE_CHANNELS]);

#endif
