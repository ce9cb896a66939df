/* The sensor of a node: the file to fill in is node_sensor.c (mcuquant compile --sensor FILE.c). */
#ifndef NODE_SENSOR_H
#define NODE_SENSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "node/node_config.h"

/* Called once, after the clocks are up: power, pins, the sensor's own registers. */
void mq_sensor_start(void);

/* The next sample: one raw count of every channel, in the order and at the rate that the network was trained with. False, and
 * at once, when there is none yet. */
bool mq_sensor_read(int16_t sample[MQ_NODE_CHANNELS]);

/* How long the core may sleep before it asks again, in microseconds: less than the time in which the sensor's own FIFO, or its
 * one register, overflows. 0: until a byte comes over the serial port. */
extern const uint32_t mq_sensor_poll_us;

#endif
