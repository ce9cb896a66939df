#include "app/mq_request.h"

#include <stddef.h>

#include "app/mq_crc.h"
#include "app/mq_format.h"

enum { NUMBER_DIGITS = 8, TAIL_SIZE = 2 + NUMBER_DIGITS }; /* " *" and the CRC */

bool mq_is_checked(const char *command)
{
    return command[0] == 'm' && command[1] == 'q' && command[2] == ' ' && command[3] == '#';
}

static void split(char *text, mq_request_t *request)
{
    bool inside = false;
    for (; *text != 0; text++) {
        const bool space = *text == ' ';
        if (!space && !inside && request->count < MQ_WORDS_MAX) {
            request->words[request->count++] = text;
        }
        if (space && request->count < MQ_WORDS_MAX) {
            *text = 0;
        }
        inside = !space;
    }
}

/* Checks the CRC and removes it and the number. Returns the start of the words, or null. */
static char *check(char *command, mq_request_t *request)
{
    enum { HEAD = MQ_REQUEST_MARK_SIZE + NUMBER_DIGITS };
    uint32_t length = 0, crc;
    while (command[length] != 0) {
        length++;
    }
    char *const tail = command + length - TAIL_SIZE;
    if (length <= HEAD + TAIL_SIZE || tail[0] != ' ' || tail[1] != '*') {
        return NULL;
    }
    request->crc = mq_crc32(0, command, length - TAIL_SIZE);
    *tail = 0;
    command[HEAD] = 0;
    const bool right = mq_parse_hex(tail + 2, &crc) && crc == request->crc;
    return right && mq_parse_hex(command + MQ_REQUEST_MARK_SIZE, &request->number) ? command + HEAD + 1 : NULL;
}

bool mq_parse_request(char *command, mq_request_t *request)
{
    *request = (mq_request_t){.checked = mq_is_checked(command)};
    if (request->checked) {
        command = check(command, request);
        if (command == NULL) {
            return false;
        }
    }
    split(command, request);
    return true;
}

bool mq_word_is(const mq_request_t *request, uint32_t i, const char *text)
{
    return i < request->count && mq_text_is(request->words[i], text);
}

bool mq_word_u32(const mq_request_t *request, uint32_t i, uint32_t *value)
{
    return i < request->count && mq_parse_u32(request->words[i], value);
}

bool mq_word_hex(const mq_request_t *request, uint32_t i, uint32_t *value)
{
    return i < request->count && mq_parse_hex(request->words[i], value);
}
