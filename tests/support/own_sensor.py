"""A sensor driver of a user: one file with a warning, and a header and a source in a folder of their own."""

from __future__ import annotations

OWN_SENSOR = """
#include "node/node_sensor.h"
#include "hal/values.h"

const uint32_t mq_sensor_poll_us = 300;

static uint32_t number;

void mq_sensor_start(void)
{
    number = 0;
}

/* A sample every other time it is asked. */
bool mq_sensor_read(int16_t sample[MQ_NODE_CHANNELS])
{
    number++;
    for (uint32_t i = 0; i < MQ_NODE_CHANNELS; i++) {
        sample[i] = value(number / 2u * 2654435761u >> (i + 8u)); /* -Wconversion warns, and is no error */
    }
    return number % 2u == 0;
}
"""

OWN_VALUES = """
#include "hal/values.h"

int value(uint32_t random)
{
    int unused;
    return (int)(random % 6000u - 3000u);
}
"""
