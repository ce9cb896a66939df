/* Who called whom, and the windows in which counting is on. */
#ifndef MQ_FRAMES_H
#define MQ_FRAMES_H

#include "mq_blocks.h"

enum { MQ_FRAMES = 1024 };

typedef enum { MQ_CALLED, MQ_TAIL_CALLED, MQ_INTERRUPT } mq_frame_kind_t;

typedef struct {
    mq_frame_kind_t kind;
    mq_function_t *function;
    uint64_t return_address;
    mq_counts_t start;
    mq_visit_t interrupted;
} mq_frame_t;

static mq_frame_t frames[MQ_FRAMES];
static size_t depth;
static size_t window; /* depth of the open window's frame, 0 when none is open */
static size_t interrupts;
static bool lost; /* too deep to follow */
static mq_counts_t totals;

static bool is_counting(void)
{
    return window > 0 && interrupts == 0;
}

static void print_counts(const char *key, const mq_counts_t *c)
{
    char cycles[32] = "null";
    if (is_modelled) {
        snprintf(cycles, sizeof cycles, "%llu", (unsigned long long)c->cycles);
    }
    fprintf(output, "\"%s\": [%s, %llu, %llu, %llu, %llu]", key, cycles, (unsigned long long)c->instructions,
            (unsigned long long)c->loads, (unsigned long long)c->stores, (unsigned long long)c->flash_bytes);
}

static void print_function(const mq_function_t *f, const char *separator)
{
    fprintf(output, "%s{\"name\": \"%s\", \"calls\": %llu, ", separator, f->name, (unsigned long long)f->calls);
    print_counts("own", &f->own);
    fputs(", ", output);
    print_counts("total", &f->total);
    fputs("}", output);
}

static void clear_function(mq_function_t *f)
{
    f->active = 0;
    f->calls = 0;
    f->own = f->total = (mq_counts_t){0};
}

static void open_window(void)
{
    window = depth;
    totals = (mq_counts_t){0};
    clear_function(&unnamed);
    for (size_t i = 0; i < function_count; i++) {
        clear_function(&functions[i]);
    }
}

static void close_window(const mq_function_t *function)
{
    const char *separator = "";
    fprintf(output, "{\"function\": \"%s\", ", function->name);
    print_counts("total", &totals);
    fputs(", \"functions\": [", output);
    for (size_t i = 0; i <= function_count; i++) {
        const mq_function_t *f = i < function_count ? &functions[i] : &unnamed;
        if (f->calls > 0 || f->own.instructions > 0) {
            print_function(f, separator);
            separator = ", ";
        }
    }
    fputs("]}\n", output);
    fflush(output);
    window = 0;
}

static void push(mq_frame_kind_t kind, mq_function_t *function, uint64_t return_address)
{
    if (depth == MQ_FRAMES) {
        fprintf(stderr, "mq_cycles: counting ends, calls nest deeper than it follows in %s\n", function->name);
        lost = true;
        return;
    }
    mq_frame_t *frame = &frames[depth++];
    *frame = (mq_frame_t){.kind = kind, .function = function, .return_address = return_address};
    if (function->is_window && window == 0 && interrupts == 0) {
        open_window();
    }
    frame->start = totals;
    function->calls += is_counting();
    function->active++;
}

static void pop(void)
{
    mq_frame_t *frame = &frames[--depth];
    mq_function_t *f = frame->function;
    if (f->active > 0 && --f->active == 0 && is_counting()) {
        f->total.cycles += totals.cycles - frame->start.cycles;
        f->total.instructions += totals.instructions - frame->start.instructions;
        f->total.loads += totals.loads - frame->start.loads;
        f->total.stores += totals.stores - frame->start.stores;
        f->total.flash_bytes += totals.flash_bytes - frame->start.flash_bytes;
    }
    if (window > depth) {
        close_window(f);
    }
}

/* Index + 1 of the innermost frame that is not a tail call, whose return it shares; 0 when there is none. */
static size_t base_frame(size_t from)
{
    while (from > 0 && frames[from - 1].kind == MQ_TAIL_CALLED) {
        from--;
    }
    return from;
}

/* A branch to another function. If this chain of tail calls already contains the function, its frame is used again,
   so that two functions that branch to each other stay two frames. */
static void tail_call(mq_function_t *function)
{
    size_t base = base_frame(depth);
    for (size_t i = depth; i > 0 && i >= base; i--) {
        if (frames[i - 1].function == function) {
            while (depth > i) {
                pop();
            }
            return;
        }
    }
    push(MQ_TAIL_CALLED, function, 0);
}

/* Pops the frame that returns to `address`, and all above it. Returns whether there is one. */
static bool unwind(uint64_t address)
{
    size_t base = base_frame(depth);
    while (base > 0 && frames[base - 1].kind == MQ_CALLED && frames[base - 1].return_address != address) {
        base = base_frame(base - 1);
    }
    if (base == 0 || frames[base - 1].kind != MQ_CALLED) {
        return false;
    }
    while (depth >= base) {
        pop();
    }
    return true;
}

#endif
