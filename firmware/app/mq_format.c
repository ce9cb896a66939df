#include "app/mq_format.h"

#include <string.h>

enum { FLOAT_MANTISSA_BITS = 23, FLOAT_BIAS = 127, FIXED3_LIMIT_EXPONENT = 53 };

uint64_t mq_divide(uint64_t value, uint32_t divisor, uint32_t *rest)
{
    uint64_t left = 0;
    for (int i = 0; i < 64; i++) {
        left = left << 1 | value >> 63;
        value <<= 1;
        if (left >= divisor) {
            left -= divisor;
            value |= 1u;
        }
    }
    *rest = (uint32_t)left;
    return value;
}

static uint64_t divide_by_10(uint64_t value, uint32_t *rest)
{
    if (value > UINT32_MAX) {
        return mq_divide(value, 10, rest);
    }
    *rest = (uint32_t)value % 10u;
    return (uint32_t)value / 10u;
}

static char *copy(char *to, const char *from)
{
    while (*from != 0) {
        *to++ = *from++;
    }
    *to = 0;
    return to;
}

char *mq_format_u64(char text[MQ_NUMBER_SIZE], uint64_t value)
{
    char digits[21];
    char *first = digits + sizeof digits - 1;
    *first = 0;
    do {
        uint32_t digit;
        value = divide_by_10(value, &digit);
        *--first = (char)('0' + digit);
    } while (value != 0);
    return copy(text, first);
}

char *mq_format_hex(char text[MQ_NUMBER_SIZE], uint32_t value)
{
    for (int i = 0; i < 8; i++) {
        text[i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 15u];
    }
    text[8] = 0;
    return text + 8;
}

/* value * 2^exponent to the nearest integer, ties to even; value < 2^34, exponent <= 30. */
static uint64_t scale_to_nearest(uint64_t value, int exponent)
{
    if (exponent >= 0) {
        return value << exponent;
    }
    if (exponent < -40) {
        return 0;
    }
    const uint64_t half = UINT64_C(1) << (-exponent - 1);
    const uint64_t whole = value >> -exponent;
    const uint64_t rest = value & (2u * half - 1u);
    return whole + (rest > half || (rest == half && (whole & 1u) != 0));
}

char *mq_format_fixed3(char text[MQ_NUMBER_SIZE], float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const int field = (int)(bits >> FLOAT_MANTISSA_BITS & 0xFFu);
    const uint32_t fraction = bits & ((UINT32_C(1) << FLOAT_MANTISSA_BITS) - 1u);
    if (field == 0xFF && fraction != 0) {
        return copy(text, "nan");
    }
    if (bits >> 31 != 0) {
        *text++ = '-';
    }
    if (field >= FLOAT_BIAS + FIXED3_LIMIT_EXPONENT) {
        return copy(text, "inf");
    }
    const uint32_t mantissa = field == 0 ? fraction : fraction | UINT32_C(1) << FLOAT_MANTISSA_BITS;
    const int exponent = (field == 0 ? 1 : field) - FLOAT_BIAS - FLOAT_MANTISSA_BITS;
    uint32_t rest;
    const uint64_t whole = mq_divide(scale_to_nearest((uint64_t)mantissa * 1000u, exponent), 1000, &rest);
    text = mq_format_u64(text, whole);
    char *const end = mq_format_u64(text, 1000u + rest); /* four digits; the first takes the place of the point */
    *text = '.';
    return end;
}

bool mq_text_is(const char *text, const char *other)
{
    while (*text != 0 && *text == *other) {
        text++;
        other++;
    }
    return *text == *other;
}

int mq_hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const int letter = c | 0x20;
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static bool parse(const char *text, uint32_t base, uint32_t *value)
{
    uint64_t sum = 0;
    if (*text == 0) {
        return false;
    }
    for (; *text != 0; text++) {
        const int digit = mq_hex_digit(*text);
        if (digit < 0 || (uint32_t)digit >= base) {
            return false;
        }
        sum = sum * base + (uint32_t)digit;
        if (sum > UINT32_MAX) {
            return false;
        }
    }
    *value = (uint32_t)sum;
    return true;
}

bool mq_parse_u32(const char *text, uint32_t *value)
{
    return parse(text, 10, value);
}

bool mq_parse_hex(const char *text, uint32_t *value)
{
    return parse(text, 16, value);
}
