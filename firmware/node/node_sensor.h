/* The sensor of a node. The file to write is node_sensor.c (mcuquant compile --sensor FILE.c). */
#ifndef NODE_SENSOR_H
#define NODE_SENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "node/node_config.h"

/* Called once, after clock set-up: power, pins, the sensor's own registers. */
void mq_sensor_start(void);

/* The next sample: one raw count per channel, in the order and at the rate of the training data. Returns false immediately if
 * there is none yet. */
bool mq_sensor_read(int16_t sample[MQ_NODE_CHANNELS]);

/* The longest sleep before the next query, in microseconds: less than the time in which the sensor's FIFO, or its single
 * register, overflows. 0: until a byte arrives over the serial port. */
extern const uint32_t mq_sensor_poll_us;

#endif
