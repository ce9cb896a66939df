/* One "mq" command and its reply; mq_remote.c tells their form. */
#ifndef MQ_CALL_H
#define MQ_CALL_H

#include "app/mq_dialogue.h"

enum { MQ_CALL_CHUNK_BYTES = 512 }; /* the most raw bytes of one request or reply */

typedef struct {
    const mq_request_t *request;
    uint32_t first; /* word of the first argument */
    mq_then_t then;
    uint32_t baud;
} mq_call_t;

typedef struct {
    const char *name;
    void (*handle)(mq_call_t *call);
} mq_verb_t;

/* Of the application, beside those of mq_remote.c; an empty row ends them. */
extern const mq_verb_t mq_app_verbs[];

/* Argument i as a decimal number. */
bool mq_call_u32(const mq_call_t *call, uint32_t i, uint32_t *value);
/* The `count` raw bytes behind the request. False, and the reply is given, when they stop coming or are damaged: what is at
 * `to` is then worth nothing. */
bool mq_call_take(const mq_call_t *call, void *to, uint32_t count);

/* A reply: mq_call_ok, any number of fields, mq_call_end, which returns the CRC of the line. Or mq_call_error alone. */
void mq_call_ok(const mq_call_t *call);
void mq_call_put_name(const char *name);
void mq_call_put_u64(const char *name, uint64_t value);
void mq_call_put_hex(const char *name, uint32_t value);
void mq_call_put_text(const char *name, const char *value);
uint32_t mq_call_end(void);
void mq_call_error(const mq_call_t *call, const char *code);

#endif
