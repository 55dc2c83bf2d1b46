/* SPDX-License-Identifier: MIT */
/*
 * Memory near the device: for a while, the calling thread's pages come from its node, if it has one
 * and there are some. Spec: Linux, set_mempolicy(2), get_mempolicy(2).
 *
 * The module takes contiguous memory from there by itself; the pages of shared memory, and of the
 * backends that map their own, follow the thread that allocates them.
 */
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backend.h"

#define WORD_BITS (8 * sizeof(unsigned long))
/* The kernel takes one bit less than it is told. */
#define BITS_OF(nodes) (8 * sizeof(nodes) + 1)

void userpci_near_begin(struct userpci_near *near, int node)
{
	unsigned long wanted[USERPCI_NEAR_WORDS] = { 0 };

	near->changed = false;
	if (node < 0 || (size_t)node >= 8 * sizeof(wanted))
		return;
	if (syscall(SYS_get_mempolicy, &near->mode, near->nodes, BITS_OF(near->nodes), NULL, 0))
		return;
	wanted[(size_t)node / WORD_BITS] = 1ul << (size_t)node % WORD_BITS;
	near->changed = !syscall(SYS_set_mempolicy, MPOL_PREFERRED, wanted, BITS_OF(wanted));
}

void userpci_near_end(const struct userpci_near *near)
{
	if (near->changed)
		(void)syscall(SYS_set_mempolicy, near->mode, near->nodes, BITS_OF(near->nodes));
}
