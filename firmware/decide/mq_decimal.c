#include "decide/mq_decimal.h"

#include "app/mq_format.h"
#include "app/mq_serial.h"

void mq_put_decimal(int32_t value, const mq_decimal_t *scale)
{
    const int64_t units = (value * (int64_t)scale->multiplier + scale->offset) >> scale->shift;
    char text[MQ_NUMBER_SIZE];
    const char *const end = mq_format_u64(text, units < 0 ? 0u - (uint64_t)units : (uint64_t)units);
    uint32_t length = (uint32_t)(end - text);
    const char *digit = text;
    if (units < 0) {
        mq_put_char('-');
    }
    if (length <= scale->digits) {
        mq_put_char('0');
    }
    for (; length > scale->digits; length--) {
        mq_put_char(*digit++);
    }
    if (scale->digits == 0) {
        return;
    }
    mq_put_char('.');
    for (uint32_t missing = scale->digits - length; missing > 0; missing--) {
        mq_put_char('0');
    }
    mq_put_text(digit);
}
