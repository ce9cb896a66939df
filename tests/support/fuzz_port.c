/* A chip for the firmware under a fuzzer: implements app/mq_port.h on this computer. One case is all that the host sends after a
 * boot. The byte PAUSE stands for a silence that is longer than any timeout. After the case comes a probe, the command `name`,
 * which the firmware must answer whatever the case was.
 *
 * A build links this file, the firmware's sources but for its port (main() renamed to mq_firmware_main(), .data and .bss to mq_data
 * and mq_bss), and either libFuzzer or, with MQ_FUZZ_FROM_STDIN, the main() below. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/mq_crc.h"
#include "app/mq_port.h"
#include "board.h"

enum { PAUSE = 0xF5, TAIL_SIZE = 40, INFERENCES_MAX = 40 };
enum { CONTINUE, REBOOTED, ANSWERED, BUSY }; /* how a boot of the firmware ends; BUSY: inferences beyond INFERENCES_MAX */

/* Ends what the case left open: raw bytes or a checked request by silence, a typed command by its %. */
static const uint8_t probe[] = {PAUSE, '%', PAUSE, 'n', 'a', 'm', 'e', '%'};
static const char answer[] = "m-name-dut-[mcuquant]\r\nm-ready\r\n";

int mq_firmware_main(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static jmp_buf boot_end;
static const uint8_t *received; /* next byte of the case, then of the probe */
static size_t case_left, probe_left;
static char tail[TAIL_SIZE + 1]; /* last characters that the firmware sent */
static size_t sent;
static uint32_t inferences;
static uint32_t replies_ok, replies_error; /* in all cases */
static uint64_t ticks;
static bool has_fault;
static mq_fault_t fault;

static bool ends_with(const char *text)
{
    const size_t length = strlen(text);
    return sent >= length && memcmp(tail + TAIL_SIZE - length, text, length) == 0;
}

/* The byte that comes next, or PAUSE. */
static uint8_t peek(void)
{
    if (case_left == 0 && probe_left == 0) {
        if (ends_with(answer)) {
            longjmp(boot_end, ANSWERED);
        }
        fprintf(stderr, "the firmware did not answer the probe; it sent last: %s\n", tail);
        abort();
    }
    return case_left > 0 ? *received : probe[sizeof probe - probe_left];
}

static void drop(void)
{
    if (case_left > 0) {
        case_left--;
        received++;
    } else {
        probe_left--;
    }
}

int mq_port_getc(uint32_t timeout_us)
{
    while (timeout_us == 0 && peek() == PAUSE) { /* 0 waits for ever */
        drop();
    }
    const uint8_t byte = peek();
    drop();
    return byte == PAUSE ? -1 : byte;
}

void mq_port_wait(void)
{
    while (peek() == PAUSE) {
        drop();
    }
}

bool mq_port_await(uint32_t timeout_us)
{
    const bool is_silent = peek() == PAUSE;
    if (is_silent && timeout_us != 0) {
        drop();
    }
    return !is_silent;
}

void mq_port_putc(uint8_t byte)
{
    memmove(tail, tail + 1, TAIL_SIZE - 1);
    tail[TAIL_SIZE - 1] = (char)byte;
    sent++;
    replies_ok += ends_with(" ok");
    replies_error += ends_with(" error");
}

void mq_port_activity(uint32_t activity)
{
    inferences += activity != 0;
    if (inferences > INFERENCES_MAX) {
        longjmp(boot_end, BUSY);
    }
}

void mq_port_init(void)
{
    sent = 0;
    inferences = 0;
    memset(tail, ' ', TAIL_SIZE);
}

_Noreturn void mq_port_reset(void)
{
    longjmp(boot_end, REBOOTED);
}

uint32_t mq_port_clock_hz(void)
{
    return MQ_BOARD_CLOCK_HZ;
}

uint32_t mq_port_cpuid(void)
{
    return 0x410FC241; /* a Cortex-M4's */
}

uint64_t mq_port_ticks(void)
{
    return ++ticks;
}

uint32_t mq_port_ticks_hz(void)
{
    return MQ_BOARD_CLOCK_HZ;
}

const char *mq_port_ticks_source(void)
{
    return "timer";
}

bool mq_port_can_baud(uint32_t baud)
{
    return baud >= 1200 && baud <= 1000000;
}

void mq_port_set_baud(uint32_t baud)
{
    (void)baud;
}

uint32_t mq_port_stack_bytes(void)
{
    return 4096;
}

uint32_t mq_port_stack_depth_bytes(void)
{
    return 128;
}

uint32_t mq_port_stack_used_bytes(void)
{
    return 1024;
}

uint32_t mq_port_stack_peak_bytes(void)
{
    return 2048;
}

void mq_port_stack_paint(void)
{
}

const mq_fault_t *mq_port_fault(void)
{
    return has_fault ? &fault : NULL;
}

void mq_port_fault_clear(void)
{
    has_fault = false;
}

bool mq_port_crashed(void)
{
    return has_fault;
}

const mq_image_t *mq_port_image(void)
{
    static const mq_image_t image = {0x8000000, 4096, 0x12345678, 0x12345678};
    return &image;
}

/* The firmware's variables, as the linker bounds the renamed sections. */
extern uint8_t __start_mq_data[], __stop_mq_data[], __start_mq_bss[], __stop_mq_bss[];

/* Copies without the address sanitizer, which guards the space between variables. */
#if defined(__clang__)
__attribute__((no_sanitize("address"), noinline))
#else
__attribute__((no_sanitize_address, noinline))
#endif
static void copy(volatile uint8_t *to, const volatile uint8_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] = from == NULL ? 0 : from[i];
    }
}

/* What a chip's start-up code does: initial values of .data, and zeros. */
static void initialise_variables(void)
{
    static uint8_t *initial;
    const size_t count = (size_t)(__stop_mq_data - __start_mq_data);
    if (initial == NULL) {
        initial = malloc(count + 1);
        if (initial == NULL) {
            abort();
        }
        copy(initial, __start_mq_data, count);
    }
    copy(__start_mq_data, initial, count);
    copy(__start_mq_bss, NULL, (size_t)(__stop_mq_bss - __start_mq_bss));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    received = data;
    case_left = size;
    probe_left = sizeof probe;
    has_fault = true;
    volatile int end = REBOOTED;
    while (end == REBOOTED) {
        initialise_variables();
        end = setjmp(boot_end);
        if (end == CONTINUE) {
            (void)mq_firmware_main();
            abort();
        }
    }
    return 0;
}

#ifdef MQ_FUZZ_FROM_STDIN
/* Standard input: cases, each after its length, 32 bits little endian. Prints their number, and that of mcuquant's own replies. */
int main(void)
{
    static uint8_t data[1 << 16];
    uint32_t count = 0, size;
    while (fread(&size, sizeof size, 1, stdin) == 1) {
        if (size > sizeof data || fread(data, 1, size, stdin) != size) {
            fprintf(stderr, "case %u is cut short\n", count);
            return 2;
        }
        (void)LLVMFuzzerTestOneInput(data, size);
        count++;
    }
    printf("%u cases, %u ok, %u error\n", count, replies_ok, replies_error);
    return 0;
}
#else
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

enum { DIGITS = 8, CRC_BYTES = 4 };

/* The number at the start of some text of `size` bytes. */
static uint32_t number(const uint8_t *text, size_t size)
{
    uint32_t value = 0;
    for (size_t i = 0; i < size && text[i] >= '0' && text[i] <= '9'; i++) {
        value = value * 10u + (uint32_t)(text[i] - '0');
    }
    return value;
}

/* Raw bytes that follow a request of `size` characters: its last word is their number, or that of samples. */
static uint32_t raw_bytes(const uint8_t *request, size_t size)
{
    size_t word = size;
    while (word > 0 && request[word - 1] != ' ') {
        word--;
    }
    const uint32_t count = number(request + word, size - word);
    const uint8_t *const verb = request + sizeof "mq #" - 1 + DIGITS + 1;
    if (size > 20 && (memcmp(verb, "in ", 3) == 0 || memcmp(verb, "feed ", 5) == 0)) {
        return count;
    }
    return size > 20 && memcmp(verb, "samples ", 8) == 0 ? count * MQ_FUZZ_SAMPLE_BYTES : 0;
}

/* Gives the request from `at` to its % the right CRC, and the bytes after it. Returns the position after them. */
static size_t seal(uint8_t *data, size_t at, size_t end, size_t size)
{
    if (end - at < 2 * DIGITS + 7 || data[end - DIGITS - 2] != ' ' || data[end - DIGITS - 1] != '*') {
        return end + 1;
    }
    char digits[DIGITS + 1];
    const size_t length = end - at - DIGITS - 2;
    const uint32_t crc = mq_crc32(0, data + at, (uint32_t)length);
    (void)snprintf(digits, sizeof digits, "%08x", crc);
    memcpy(data + end - DIGITS, digits, DIGITS);
    const uint32_t raw = raw_bytes(data + at, length);
    if (raw == 0 || raw > size || end + 1 + raw + CRC_BYTES > size) {
        return end + 1;
    }
    const uint32_t raw_crc = mq_crc32(crc, data + end + 1, raw);
    memcpy(data + end + 1 + raw, &raw_crc, CRC_BYTES);
    return end + 1 + raw + CRC_BYTES;
}

/* Mutations seldom keep a CRC: three of four cases get right ones, so that what lies behind the check is reached. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    size = LLVMFuzzerMutate(data, size, max_size);
    size_t at = 0;
    while (seed % 4u != 0 && at + 4 < size) {
        if (memcmp(data + at, "mq #", 4) != 0) {
            at++;
            continue;
        }
        const uint8_t *const end = memchr(data + at, '%', size - at);
        at = end == NULL ? size : seal(data, at, (size_t)(end - data), size);
    }
    return size;
}
#endif
