/* A sensor that replays samples from a computer (`mcuquant node`, or the command `mq samples`), so that the node can be tested
 * with recorded data. Replace these three functions to use a real sensor. */
#include "node/node_sensor.h"

#include "node/mq_replay.h"

const uint32_t mq_sensor_poll_us = 0;

void mq_sensor_start(void)
{
}

bool mq_sensor_read(int16_t sample[MQ_NODE_CHANNELS])
{
    return mq_replay_take(sample);
}
