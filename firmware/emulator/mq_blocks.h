/* A block of code as QEMU translates it, and what is known of its cycles before it runs. */
#ifndef MQ_BLOCKS_H
#define MQ_BLOCKS_H

#include "mq_qemu.h"
#include "mq_setup.h"

typedef struct {
    uint64_t address;
    mq_timing_t timing;
    bool maybe; /* a conditional access: whether it happens is known once it has */
    bool seen;
} mq_insn_t;

typedef struct {
    uint64_t start, end;
    mq_function_t *function;
    bool is_handler, has_maybe;
    size_t count;
    uint64_t cycles; /* when all of it is executed, nothing pipelined with what went before */
    mq_insn_t insns[];
} mq_block_t;

/* One run through a block, until the block behind it begins. */
typedef struct {
    mq_block_t *block;
    bool behind_load; /* when it began */
    bool complete;    /* its last instruction was reached */
    mq_counts_t counts;
} mq_visit_t;

/* Addresses where a block was cut inside an IT block, and how many conditional instructions follow there. */
static struct {
    uint64_t address;
    unsigned left;
} *cuts;
static size_t cut_count;

static unsigned cut_at(uint64_t address)
{
    for (size_t i = 0; i < cut_count; i++) {
        if (cuts[i].address == address) {
            return cuts[i].left;
        }
    }
    return 0;
}

static void remember_cut(uint64_t address, unsigned left)
{
    if (left > 0 && cut_at(address) == 0) {
        cuts = grow(cuts, cut_count + 1, sizeof *cuts);
        cuts[cut_count].address = address;
        cuts[cut_count++].left = left;
    }
}

/* The instruction, its first halfword on top when there are two. */
static uint32_t encoding(const struct qemu_plugin_insn *insn, size_t bytes)
{
    uint8_t b[4] = {0};
#if MQ_QEMU_API >= 3
    qemu_plugin_insn_data(insn, b, bytes);
#else
    memcpy(b, qemu_plugin_insn_data(insn), bytes);
#endif
    uint32_t first = (uint32_t)(b[0] | b[1] << 8);
    uint32_t second = (uint32_t)(b[2] | b[3] << 8);
    return bytes == 2 ? first : first << 16 | second;
}

/* Adds one executed (or, being conditional, skipped: one cycle) instruction's cycles. */
static void add_cycles(const mq_insn_t *insn, bool executed, bool *behind_load, uint64_t *cycles)
{
    bool pipelined = executed && (insn->timing.flags & MQ_PIPELINED);
    *cycles += !executed ? 1u : insn->timing.cycles - (pipelined && *behind_load ? 1u : 0u);
    *behind_load = pipelined;
}

static void describe(mq_block_t *block, size_t i, const struct qemu_plugin_insn *from, unsigned *conditional)
{
    size_t bytes = qemu_plugin_insn_size(from);
    uint32_t code = encoding(from, bytes);
    mq_insn_t *insn = &block->insns[i];
    *insn = (mq_insn_t){.address = qemu_plugin_insn_vaddr(from), .timing = mq_timing(code, bytes, core)};
    if (*conditional > 0) {
        insn->timing.flags |= MQ_CONDITIONAL;
        insn->maybe = (insn->timing.flags & MQ_MEMORY) != 0;
        block->has_maybe |= insn->maybe;
        --*conditional;
    } else {
        *conditional = mq_it_length(code, bytes);
    }
    block->end = insn->address + bytes;
}

static mq_block_t *new_block(const struct qemu_plugin_tb *from)
{
    size_t count = qemu_plugin_tb_n_insns(from);
    mq_block_t *block = grow(NULL, 1, sizeof *block + count * sizeof block->insns[0]);
    uint64_t start = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(from, 0));
    *block = (mq_block_t){.start = start, .count = count, .function = function_at(start), .is_handler = is_handler(start)};
    unsigned conditional = cut_at(start);
    bool behind_load = false;
    for (size_t i = 0; i < count; i++) {
        describe(block, i, qemu_plugin_tb_get_insn(from, i), &conditional);
        add_cycles(&block->insns[i], true, &behind_load, &block->cycles);
    }
    remember_cut(block->end, conditional);
    return block;
}

static const mq_timing_t *last_of(const mq_block_t *block)
{
    return &block->insns[block->count - 1].timing;
}

#endif
