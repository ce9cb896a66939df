/* Conversion of numbers to text and back. printf's floating point alone would take more flash than the application. */
#ifndef MQ_FORMAT_H
#define MQ_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

enum { MQ_NUMBER_SIZE = 32 }; /* bytes for any of these texts and its final 0 */

/* Quotient and, through `rest`, remainder; `divisor` is not 0. The C library's function takes three times the flash. */
uint64_t mq_divide(uint64_t value, uint32_t divisor, uint32_t *rest);

/* Decimal text. Returns its end, as the next two functions do. */
char *mq_format_u64(char text[MQ_NUMBER_SIZE], uint64_t value);
/* Eight lower-case hexadecimal digits. */
char *mq_format_hex(char text[MQ_NUMBER_SIZE], uint32_t value);
/* As printf's "%0.3f": the exact value rounded to the nearest thousandth, ties to even. "inf" and "-inf" from 2^53 and down from
 * -2^53. */
char *mq_format_fixed3(char text[MQ_NUMBER_SIZE], float value);

bool mq_text_is(const char *text, const char *other);
/* All of `text`, decimal or hexadecimal, at most 32 bits. False for any other text. */
bool mq_parse_u32(const char *text, uint32_t *value);
bool mq_parse_hex(const char *text, uint32_t *value);
/* 0 to 15, or -1. */
int mq_hex_digit(char c);

#endif
