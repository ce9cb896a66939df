/* One "mq" command and its reply; mq_remote.c describes the format. */
#ifndef MQ_CALL_H
#define MQ_CALL_H

#include "app/mq_dialogue.h"

enum { MQ_CALL_CHUNK_BYTES = 512 }; /* most raw bytes of one request or reply */

typedef struct {
    const mq_request_t *request;
    uint32_t first; /* index of the first argument */
    mq_then_t then;
    uint32_t baud;
} mq_call_t;

typedef struct {
    const char *name;
    void (*handle)(mq_call_t *call);
} mq_verb_t;

/* Commands of the application in addition to those of mq_remote.c; an empty row ends the table. */
extern const mq_verb_t mq_app_verbs[];

/* Argument i as a decimal number. */
bool mq_call_u32(const mq_call_t *call, uint32_t i, uint32_t *value);
/* Reads the `count` raw bytes after the request. Returns false, after an error reply, if bytes are missing or damaged; the
 * contents of `to` are then invalid. */
bool mq_call_take(const mq_call_t *call, void *to, uint32_t count);

/* A reply: mq_call_ok, any number of fields, mq_call_end, which returns the CRC of the line. For errors mq_call_error
   alone. */
void mq_call_ok(const mq_call_t *call);
void mq_call_put_name(const char *name);
void mq_call_put_u64(const char *name, uint64_t value);
void mq_call_put_hex(const char *name, uint32_t value);
void mq_call_put_text(const char *name, const char *value);
uint32_t mq_call_end(void);
void mq_call_error(const mq_call_t *call, const char *code);

#endif
