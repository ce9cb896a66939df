/* Stored integers as decimal numbers, without floating point. */
#ifndef MQ_DECIMAL_H
#define MQ_DECIMAL_H

#include <stdint.h>

/* floor((value * multiplier + offset) / 2^shift) is the number in units of 10^-digits. */
typedef struct {
    int32_t multiplier;
    int32_t shift;   /* 0 to 62 */
    int64_t offset;  /* below 2^62 */
    uint32_t digits; /* digits after the point, 0 to 9 */
} mq_decimal_t;

void mq_put_decimal(int32_t value, const mq_decimal_t *scale);

#endif
