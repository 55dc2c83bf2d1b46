/* SPDX-License-Identifier: MIT */
/*
 * What qemu/icount.c uses of the interface between QEMU and its plugins (QEMU's manual, "QEMU TCG
 * Plugins"), as versions 1 (QEMU 7.2) to 4 (QEMU 10) have it: Debian packages no header of it.
 */
#ifndef QEMU_PLUGIN_H
#define QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLUGIN_EXPORT __attribute__((visibility("default")))

/* What a plugin gives. */
extern PLUGIN_EXPORT int qemu_plugin_version;
PLUGIN_EXPORT int qemu_plugin_install(uint64_t id, const void *info, int count, char **arguments);

struct qemu_plugin_tb;	   /* a block of instructions that QEMU translates */
struct qemu_plugin_insn;   /* one of them */
struct qemu_plugin_hwaddr; /* where a memory access went */

#define PLUGIN_NO_REGS	 0 /* a callback that looks at no register */
#define PLUGIN_MEMORY_RW 3

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
					   void (*callback)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    void (*callback)(unsigned int cpu, void *user),
					    int flags, void *user);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn,
				      void (*callback)(unsigned int cpu, uint32_t info,
						       uint64_t address, void *user),
				      int flags, int rw, void *user);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*callback)(uint64_t, void *), void *user);
void qemu_plugin_reset(uint64_t id, void (*callback)(uint64_t id));

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
/* Version 1 and 2: returns the bytes, and knows no second parameter. From 3 on: copies them. */
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t size);

struct qemu_plugin_hwaddr *qemu_plugin_get_hwaddr(uint32_t info, uint64_t address);
bool qemu_plugin_mem_is_store(uint32_t info);
bool qemu_plugin_hwaddr_is_io(const struct qemu_plugin_hwaddr *address);
uint64_t qemu_plugin_hwaddr_phys_addr(const struct qemu_plugin_hwaddr *address);

#endif
