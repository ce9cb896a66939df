/* A cycle model of Cortex-M0+, M3 and M4, run inside QEMU as a plugin. docs/cycle-model.md says what it charges and what not.

   QEMU runs code in blocks: straight lines that end at a branch. Each block's cycles are added up once, when it is translated.
   What only running can tell is settled at the start of the block behind it: whether the branch was taken, whether a first
   load stands behind a last one, and which of the conditional loads and stores happened. Calls and returns are followed on a
   stack of frames, so that a function is counted with and without those it calls, and counting is limited to windows: from
   the call of a function to its return. Interrupt handlers in between are left out.

   config=FILE names a file of lines, the functions in ascending order of address, numbers hexadecimal:
     counts PATH | core m0plus|m3|m4|none | flash ORIGIN BYTES | reset ADDRESS | handler ADDRESS |
     function ADDRESS BYTES IS_WINDOW NAME
   Every window closed adds a line of JSON to PATH. */
#include "mq_frames.h"

MQ_EXPORT int qemu_plugin_version = MQ_QEMU_API;
MQ_EXPORT int qemu_plugin_install(uint64_t plugin, const void *info, int argc, char **argv);

static mq_visit_t visit;

/* Whether the visit ended in a branch that led to `next`, not in its being passed by. */
static bool is_taken(const mq_visit_t *v, uint64_t next)
{
    const mq_timing_t *last = last_of(v->block);
    bool may_pass = (last->flags & MQ_CONDITIONAL) != 0;
    return v->complete && last->flow != MQ_NEXT && !(may_pass && next == v->block->end);
}

static bool add_whole_block(mq_visit_t *v)
{
    const mq_block_t *block = v->block;
    bool saves = v->behind_load && (block->insns[0].timing.flags & MQ_PIPELINED);
    v->counts.cycles += block->cycles - (saves ? 1u : 0u);
    v->counts.instructions += block->count;
    return (last_of(block)->flags & MQ_PIPELINED) != 0;
}

/* Instruction by instruction, up to `stop`. */
static bool add_part_of_block(mq_visit_t *v, uint64_t stop)
{
    bool behind_load = v->behind_load;
    for (size_t i = 0; i < v->block->count && v->block->insns[i].address < stop; i++) {
        mq_insn_t *insn = &v->block->insns[i];
        add_cycles(insn, !insn->maybe || insn->seen, &behind_load, &v->counts.cycles);
        insn->seen = false;
        v->counts.instructions++;
    }
    return behind_load;
}

/* Settles the visit, now that the block behind it is known. Returns whether that one begins right behind a load. A visit that
   did not reach its end was broken off by an access to a peripheral, which QEMU repeats on its own; `next` then goes on. */
static bool finish_visit(uint64_t next)
{
    bool whole = visit.complete && !visit.block->has_maybe;
    bool behind_load = whole ? add_whole_block(&visit) : add_part_of_block(&visit, visit.complete ? UINT64_MAX : next);
    visit.counts.cycles += is_taken(&visit, next) ? MQ_REFILL[core] : 0;
    if (is_counting()) {
        add_counts(&totals, &visit.counts);
        add_counts(&visit.block->function->own, &visit.counts);
    }
    return behind_load;
}

static void follow(const mq_block_t *next)
{
    if (!is_taken(&visit, next->start)) {
        return;
    }
    mq_flow_t flow = (mq_flow_t)last_of(visit.block)->flow;
    bool other = next->start == next->function->address && next->function != visit.block->function;
    if (flow == MQ_CALL) {
        push(MQ_CALLED, next->function, visit.block->end);
    } else if (flow != MQ_BRANCH && unwind(next->start)) {
        return;
    } else if (other) {
        tail_call(next->function);
    }
}

static bool ends_interrupt(const mq_block_t *next)
{
    size_t base = base_frame(depth);
    bool in_handler = base > 0 && frames[base - 1].kind == MQ_INTERRUPT;
    return in_handler && last_of(visit.block)->flow == MQ_RETURN && is_taken(&visit, next->start);
}

static void leave_interrupt(void)
{
    size_t base = base_frame(depth);
    visit = frames[base - 1].interrupted;
    while (depth >= base) {
        pop();
    }
    interrupts--;
}

static void enter_interrupt(const mq_block_t *handler)
{
    mq_visit_t interrupted = visit;
    interrupts++;
    push(MQ_INTERRUPT, handler->function, 0);
    frames[depth - 1].interrupted = interrupted; /* when lost, of no use */
}

/* The board resets: no present call will return, and an open window never closes. */
static void forget(void)
{
    visit = (mq_visit_t){0};
    depth = window = interrupts = 0;
}

/* QEMU calls it when a block begins. */
static void on_block(unsigned cpu, void *user)
{
    mq_block_t *next = user;
    bool behind_load = false;
    if (cpu != 0 || lost) {
        return;
    }
    if (next->start == reset_address) {
        forget();
    }
    if (visit.block != NULL && ends_interrupt(next)) {
        leave_interrupt();
    }
    if (next->is_handler && (visit.block == NULL || visit.block->function != next->function)) {
        enter_interrupt(next);
    } else if (visit.block != NULL) {
        behind_load = finish_visit(next->start);
        follow(next);
    }
    visit = (mq_visit_t){.block = next, .behind_load = behind_load, .complete = next->count == 1};
}

static void on_last_instruction(unsigned cpu, void *user)
{
    (void)user;
    visit.complete |= cpu == 0;
}

static void on_access(unsigned cpu, uint32_t access, uint64_t address, void *user)
{
    mq_insn_t *insn = user;
    if (cpu != 0) {
        return;
    }
    uint64_t bytes = 1u << qemu_plugin_mem_size_shift(access);
    uint64_t transfers = (bytes + 3) / 4;
    insn->seen = true;
    if (qemu_plugin_mem_is_store(access)) {
        visit.counts.stores += transfers;
    } else {
        visit.counts.loads += transfers;
        visit.counts.flash_bytes += in_flash(address) ? bytes : 0;
    }
}

static void instrument(struct qemu_plugin_tb *from)
{
    mq_block_t *block = new_block(from);
    qemu_plugin_register_vcpu_tb_exec_cb(from, on_block, MQ_NO_REGISTERS, block);
    for (size_t i = 0; i < block->count; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(from, i);
        qemu_plugin_register_vcpu_mem_cb(insn, on_access, MQ_NO_REGISTERS, MQ_READS_AND_WRITES, &block->insns[i]);
        if (i > 0 && i == block->count - 1) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_last_instruction, MQ_NO_REGISTERS, NULL);
        }
    }
}

#if MQ_QEMU_API >= 7
static void on_translate(struct qemu_plugin_tb *block, void *user)
{
    (void)user;
    instrument(block);
}

static void count_from_now_on(uint64_t plugin)
{
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, on_translate, NULL);
}
#else
static void on_translate(uint64_t plugin, struct qemu_plugin_tb *block)
{
    (void)plugin;
    instrument(block);
}

static void count_from_now_on(uint64_t plugin)
{
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, on_translate);
}
#endif

/* With no config it only says that it could be loaded, and refuses: so a caller learns whether this QEMU takes it. */
int qemu_plugin_install(uint64_t plugin, const void *info, int argc, char **argv)
{
    (void)info;
    const char *key = "config=";
    if (argc != 1 || strncmp(argv[0], key, strlen(key)) != 0) {
        fputs("mq_cycles: loaded, but no config is given\n", stderr);
        return -1;
    }
    configure(argv[0] + strlen(key));
    count_from_now_on(plugin);
    return 0;
}
