/* Raw counts of a sensor to stored values of the network, by one multiplication: floor((raw * multiplier + offset) / 2^shift),
 * limited to the type. The constants combine the sensor's unit, mean, deviation, scale, zero point, and the rounding half. */
#ifndef MQ_NORMALISE_H
#define MQ_NORMALISE_H

#include <stdint.h>

typedef struct {
    int32_t multiplier;
    int32_t shift;  /* 0 to 46 */
    int64_t offset; /* below 2^62 */
} mq_normal_t;

static inline int32_t mq_normalise(int16_t raw, const mq_normal_t *normal, int32_t low, int32_t high)
{
    const int64_t stored = (raw * (int64_t)normal->multiplier + normal->offset) >> normal->shift;
    return stored < low ? low : stored > high ? high : (int32_t)stored;
}

#endif
