/* MLPerf Tiny's commands for a device under test. */
#include "app/mq_app.h"
#include "app/mq_dialogue.h"
#include "app/mq_format.h"
#include "app/mq_port.h"
#include "app/mq_serial.h"

enum { BYTES_PER_LINE = 8, DEFAULT_WARMUPS = 10 };

static uint32_t expected_bytes; /* bytes that `db load` announced */
static uint32_t loaded_bytes;

void mq_put_lap(uint64_t now_us)
{
    mq_put_text("m-lap-us-");
    mq_put_u64(now_us);
    mq_put_end();
}

static void put_line(const char *text)
{
    mq_put_text(text);
    mq_put_end();
}

static void put_number_line(const char *before, uint32_t number, const char *after)
{
    mq_put_text(before);
    mq_put_u64(number);
    put_line(after);
}

static void put_help(void)
{
    put_line("name, profile, timestamp, help, results");
    put_line("db load N, db HH.., db print: the input, N bytes, as hexadecimal digits");
    put_line("infer N [W=10]: N inferences, timed, after W others");
    put_line("mq info, mq seed N, mq run, mq step I, mq memory, mq fault [clear], mq baud N, mq reboot");
#if MQ_APP_STATE_BYTES
    put_line("mq reset: the next inference is the first");
#endif
}

static void put_profile(void)
{
    put_line("m-profile-[ULPMark for tinyML Firmware V0.0.1]");
    put_line("m-model-[" MQ_APP_MODEL_ID "]");
}

static void put_results(void)
{
    if (mq_app_result.tensors != mq_app_model->outputs) {
        put_line("e-[No inference has run]");
        return;
    }
    mq_put_text("m-results-[");
    mq_app_results();
    put_line("]");
}

static void db_load(const mq_request_t *request)
{
    uint32_t count;
    if (request->count < 3) {
        put_line("e-[Command 'db load' requires the # of bytes]");
    } else if (!mq_word_u32(request, 2, &count) || count == 0) {
        put_line("e-[Command 'db load' must be >0 bytes]");
    } else if (count > mq_app_wire_bytes) {
        mq_put_text("e-[Supplied buffer size ");
        mq_put_u64(count);
        put_number_line(" exceeds maximum of ", mq_app_wire_bytes, "]");
    } else {
        expected_bytes = count;
        loaded_bytes = 0;
        put_number_line("m-[Expecting ", count, " bytes]");
    }
}

static void db_print(void)
{
    for (uint32_t i = 0; i < expected_bytes; i++) {
        const char digits[] = {"0123456789abcdef"[mq_app_wire[i] >> 4], "0123456789abcdef"[mq_app_wire[i] & 15u], 0};
        const bool last = (i + 1u) % BYTES_PER_LINE == 0 || i + 1u == expected_bytes;
        mq_put_text(i % BYTES_PER_LINE == 0 ? "m-buffer-" : "-");
        mq_put_text(digits);
        mq_put_text(last ? "\r\n" : "");
    }
}

static void put_bad_digits(const char *digits)
{
    const char shown[] = {digits[0], digits[1], 0};
    mq_put_text("e-[Invalid hex digit '");
    mq_put_foreign(shown);
    put_line("']");
}

/* An even number of digits. Digits after the last expected byte are left unread. */
static void db_bytes(const char *digits)
{
    mq_app_wire_changed(MQ_FORM_WIRE);
    for (; digits[0] != 0 && loaded_bytes < expected_bytes; digits += 2) {
        const int high = mq_hex_digit(digits[0]), low = mq_hex_digit(digits[1]);
        if (high < 0 || low < 0) {
            put_bad_digits(digits);
            return;
        }
        mq_app_wire[loaded_bytes++] = (uint8_t)(high << 4 | low);
        if (loaded_bytes == expected_bytes) {
            put_line("m-load-done");
        }
    }
}

static bool is_odd(const char *text)
{
    while (text[0] != 0 && text[1] != 0) {
        text += 2;
    }
    return text[0] != 0;
}

static void db(const mq_request_t *request)
{
    if (request->count < 2) {
        put_line("e-[Command 'db' requires a subcommand]");
    } else if (mq_word_is(request, 1, "load")) {
        db_load(request);
    } else if (mq_word_is(request, 1, "print")) {
        db_print();
    } else if (is_odd(request->words[1])) {
        put_line("e-[Insufficent number of hex digits]");
    } else if (loaded_bytes == expected_bytes) {
        put_line("e-[Command 'db load' must come first]");
    } else {
        db_bytes(request->words[1]);
    }
}

/* The clock stops while an input is restored, so that the two laps differ by the inferences alone. */
static void run(uint32_t count, uint32_t warmups)
{
#if MQ_APP_STATE_BYTES
    put_line("m-state-[lives on from inference to inference; mq reset makes the next the first]");
#endif
    put_number_line("m-warmup-start-", warmups, "");
    for (uint32_t i = 0; i < warmups; i++) {
        (void)mq_app_infer(0);
    }
    put_line("m-warmup-done");
    put_number_line("m-infer-start-", count, "");
    const uint64_t start_us = mq_app_now_us();
    mq_put_lap(start_us);
    uint64_t ticks = 0;
    for (uint32_t i = 0; i < count; i++) {
        ticks += mq_app_infer(0);
    }
    mq_put_lap(start_us + mq_app_us(ticks));
    put_line("m-infer-done");
    put_results();
}

static void infer(const mq_request_t *request)
{
    uint32_t count = 1, warmups = DEFAULT_WARMUPS;
    if (request->count > 1 && (!mq_word_u32(request, 1, &count) || count == 0)) {
        put_line("e-[Inference iterations must be >0]");
    } else if (request->count > 2 && !mq_word_u32(request, 2, &warmups)) {
        put_line("e-[Inference warmup must be >=0]");
    } else {
        run(count, warmups);
    }
}

bool mq_mlperf(const mq_request_t *request)
{
    if (mq_word_is(request, 0, "name")) {
        put_line("m-name-dut-[mcuquant]");
    } else if (mq_word_is(request, 0, "profile")) {
        put_profile();
    } else if (mq_word_is(request, 0, "timestamp")) {
        mq_put_lap(mq_app_now_us());
    } else if (mq_word_is(request, 0, "help")) {
        put_help();
    } else if (mq_word_is(request, 0, "db")) {
        db(request);
    } else if (mq_word_is(request, 0, "infer")) {
        infer(request);
    } else if (mq_word_is(request, 0, "results")) {
        put_results();
    } else {
        return false;
    }
    return true;
}
