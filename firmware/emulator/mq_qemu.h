/* The few functions of QEMU's plugin interface that the cycle model calls.

   QEMU installs no header. MQ_QEMU_API is the version declared to it, chosen when the plugin is built. Two things differ
   between versions: from 3 on (QEMU 9.1) qemu_plugin_insn_data copies, from 7 on (11.1) a translation callback is given what it
   was registered with. Inline operations changed with version 2, and this is why the model counts in callbacks alone. */
#ifndef MQ_QEMU_H
#define MQ_QEMU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MQ_EXPORT __attribute__((visibility("default")))

enum { MQ_NO_REGISTERS = 0, MQ_READS_AND_WRITES = 3 };

struct qemu_plugin_tb;
struct qemu_plugin_insn;

typedef void (*mq_on_execute_t)(unsigned cpu, void *user);
typedef void (*mq_on_access_t)(unsigned cpu, uint32_t access, uint64_t address, void *user);

#if MQ_QEMU_API >= 7
typedef void (*mq_on_translate_t)(struct qemu_plugin_tb *block, void *user);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin, mq_on_translate_t call, void *user);
#else
typedef void (*mq_on_translate_t)(uint64_t plugin, struct qemu_plugin_tb *block);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin, mq_on_translate_t call);
#endif
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, mq_on_execute_t call, int registers, void *user);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, mq_on_execute_t call, int registers, void *user);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, mq_on_access_t call, int registers, int direction,
                                      void *user);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
unsigned qemu_plugin_mem_size_shift(uint32_t access);
bool qemu_plugin_mem_is_store(uint32_t access);

#if MQ_QEMU_API >= 3
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t bytes);
#else
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
#endif

#endif
