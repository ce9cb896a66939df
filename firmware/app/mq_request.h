/* A command as words, and the checked form of mcuquant's commands.
 *
 *     mq VERB ARGUMENTS            as a person types it
 *     mq #SSSSSSSS VERB ARGUMENTS *CCCCCCCC     as a program sends it
 *
 * S is the request's number and C the CRC-32 of all before " *", both as eight hexadecimal digits. The reply repeats the
 * number under a CRC of its own, so that it cannot be taken for the reply to any other request. */
#ifndef MQ_REQUEST_H
#define MQ_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

enum { MQ_WORDS_MAX = 6, MQ_REQUEST_MARK_SIZE = 4 };

typedef struct {
    uint32_t count;
    char *words[MQ_WORDS_MAX];
    bool checked;
    uint32_t number;
    uint32_t crc; /* CRC of the text before " *": the check of raw bytes after the request continues from it */
} mq_request_t;

/* Whether it begins with "mq #". */
bool mq_is_checked(const char *command);
/* Splits at spaces, in place; words beyond MQ_WORDS_MAX stay in the last one. `mq` and the number are not among the words of a
 * checked request. Returns false if a checked request fails its check. */
bool mq_parse_request(char *command, mq_request_t *request);
bool mq_word_is(const mq_request_t *request, uint32_t i, const char *text);
/* Word i as a decimal or hexadecimal number; false if the word is missing or is no number. */
bool mq_word_u32(const mq_request_t *request, uint32_t i, uint32_t *value);
bool mq_word_hex(const mq_request_t *request, uint32_t i, uint32_t *value);

#endif
