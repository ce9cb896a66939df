/* The request to the cycle model, read from the file that config= names. */
#ifndef MQ_SETUP_H
#define MQ_SETUP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mq_thumb.h"

enum { MQ_REGIONS = 8, MQ_HANDLERS = 256, MQ_LINE = 4096 };

typedef struct {
    uint64_t cycles, instructions, loads, stores, flash_bytes;
} mq_counts_t;

typedef struct {
    uint64_t address, end;
    char *name;
    bool is_window;
    unsigned active; /* frames of it on the stack */
    uint64_t calls;
    mq_counts_t own, total; /* without and with the functions it calls */
} mq_function_t;

typedef struct {
    uint64_t origin, bytes;
} mq_region_t;

static mq_core_t core = MQ_CORTEX_M4;
static bool is_modelled = true; /* else cycles are printed as null */
static FILE *output;
static mq_region_t flash[MQ_REGIONS];
static size_t flash_count;
static uint64_t reset_address = UINT64_MAX;
static uint64_t handlers[MQ_HANDLERS];
static size_t handler_count;
static mq_function_t *functions;
static size_t function_count;
static mq_function_t unnamed = {.name = "?"};

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "mq_cycles: %s%s\n", what, detail);
    exit(1);
}

static void *grow(void *array, size_t count, size_t size)
{
    array = realloc(array, count * size);
    if (array == NULL) {
        fail("out of memory", "");
    }
    return array;
}

static void add_function(const char *line)
{
    unsigned long long address, bytes;
    unsigned is_window;
    char name[MQ_LINE];
    if (sscanf(line, "%llx %llx %u %4095s", &address, &bytes, &is_window, name) != 4) {
        fail("not a function: ", line);
    }
    functions = grow(functions, function_count + 1, sizeof *functions);
    functions[function_count++] = (mq_function_t){
        .address = address, .end = address + bytes, .name = strdup(name), .is_window = is_window != 0};
}

static void add_flash(const char *line)
{
    unsigned long long origin, bytes;
    if (flash_count == MQ_REGIONS || sscanf(line, "%llx %llx", &origin, &bytes) != 2) {
        fail("not a flash region, or one too many: ", line);
    }
    flash[flash_count++] = (mq_region_t){origin, bytes};
}

static void add_handler(const char *line)
{
    if (handler_count == MQ_HANDLERS) {
        fail("too many handlers: ", line);
    }
    handlers[handler_count++] = strtoull(line, NULL, 16);
}

static void open_output(const char *path)
{
    output = fopen(path, "w");
    if (output == NULL) {
        fail("cannot write ", path);
    }
}

static const char *value_of(const char *line, const char *key)
{
    size_t length = strlen(key);
    return strncmp(line, key, length) == 0 && line[length] == ' ' ? line + length + 1 : NULL;
}

static mq_core_t core_named(const char *name)
{
    if (strcmp(name, "m0plus") == 0) {
        return MQ_CORTEX_M0PLUS;
    }
    return strcmp(name, "m3") == 0 ? MQ_CORTEX_M3 : MQ_CORTEX_M4;
}

static void configure_line(const char *line)
{
    const char *value;
    if ((value = value_of(line, "function"))) {
        add_function(value);
    } else if ((value = value_of(line, "flash"))) {
        add_flash(value);
    } else if ((value = value_of(line, "handler"))) {
        add_handler(value);
    } else if ((value = value_of(line, "reset"))) {
        reset_address = strtoull(value, NULL, 16);
    } else if ((value = value_of(line, "counts"))) {
        open_output(value);
    } else if ((value = value_of(line, "core"))) {
        core = core_named(value);
        is_modelled = strcmp(value, "none") != 0;
    } else {
        fail("unknown setting: ", line);
    }
}

static void configure(const char *path)
{
    char line[MQ_LINE];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        fail("cannot read ", path);
    }
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        configure_line(line);
    }
    fclose(file);
    if (output == NULL) {
        fail("no counts file is named in ", path);
    }
}

static mq_function_t *function_at(uint64_t address)
{
    size_t low = 0, high = function_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (functions[middle].address <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 && address < functions[low - 1].end ? &functions[low - 1] : &unnamed;
}

static bool is_handler(uint64_t address)
{
    for (size_t i = 0; i < handler_count; i++) {
        if (handlers[i] == address) {
            return true;
        }
    }
    return false;
}

static bool in_flash(uint64_t address)
{
    for (size_t i = 0; i < flash_count; i++) {
        if (address - flash[i].origin < flash[i].bytes) {
            return true;
        }
    }
    return false;
}

static void add_counts(mq_counts_t *to, const mq_counts_t *more)
{
    to->cycles += more->cycles;
    to->instructions += more->instructions;
    to->loads += more->loads;
    to->stores += more->stores;
    to->flash_bytes += more->flash_bytes;
}

#endif
