#include "app/mq_call.h"

#include "app/mq_crc.h"
#include "app/mq_serial.h"

bool mq_call_u32(const mq_call_t *call, uint32_t i, uint32_t *value)
{
    return mq_word_u32(call->request, call->first + i, value);
}

bool mq_call_take(const mq_call_t *call, void *to, uint32_t count)
{
    uint32_t crc;
    if (!mq_get_bytes(to, count) || !mq_get_bytes(&crc, sizeof crc)) {
        mq_call_error(call, "silence");
        return false;
    }
    if (crc != mq_crc32(call->request->crc, to, count)) {
        mq_get_silence();
        mq_call_error(call, "crc");
        return false;
    }
    return true;
}

static void begin(const mq_call_t *call, const char *status)
{
    mq_put_crc_set(0);
    mq_put_text("mq #");
    if (call->request->checked) {
        mq_put_hex(call->request->number);
    } else {
        mq_put_char('-');
    }
    mq_put_text(status);
}

uint32_t mq_call_end(void)
{
    const uint32_t crc = mq_put_crc();
    mq_put_text(" *");
    mq_put_hex(crc);
    mq_put_end();
    return crc;
}

void mq_call_ok(const mq_call_t *call)
{
    begin(call, " ok");
}

void mq_call_error(const mq_call_t *call, const char *code)
{
    begin(call, " error ");
    mq_put_text(code);
    (void)mq_call_end();
}

void mq_call_put_name(const char *name)
{
    mq_put_char(' ');
    mq_put_text(name);
    mq_put_char('=');
}

void mq_call_put_u64(const char *name, uint64_t value)
{
    mq_call_put_name(name);
    mq_put_u64(value);
}

void mq_call_put_hex(const char *name, uint32_t value)
{
    mq_call_put_name(name);
    mq_put_hex(value);
}

void mq_call_put_text(const char *name, const char *value)
{
    mq_call_put_name(name);
    mq_put_text(value);
}
