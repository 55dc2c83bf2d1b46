/* SPDX-License-Identifier: MIT */
/*
 * Events of a device where no module of ours writes them: a page of statistics that the process
 * itself keeps, and a thread that turns the kernel's eventfds into records.
 */
#ifndef USERPCI_WATCH_H
#define USERPCI_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct userpci_watch;

/*
 * Starts it. *end polls POLLHUP when the kernel wants the device back. *request and *error receive
 * eventfds for the kernel to signal: give the device back; a PCI error.
 */
int userpci_watch_start(struct userpci_watch **watch, int *end, int *request, int *error);
/* `join`: the thread runs in this process; false in a child of the one that started it. */
void userpci_watch_stop(struct userpci_watch *watch, bool join);

/* For all that follow, `watch` may be NULL: there are no events. */

/* As the backend's stats_map and, of USERPCI_EVENTS, irq_eventfd. -EOPNOTSUPP: no events. */
int userpci_watch_map(struct userpci_watch *watch, void **va, uint64_t *size);
int userpci_watch_eventfd(struct userpci_watch *watch, int fd);

/* What the page tells. */
void userpci_watch_event(struct userpci_watch *watch, uint32_t type, uint32_t value);
void userpci_watch_irqs(struct userpci_watch *watch, uint32_t kind, uint32_t count);
void userpci_watch_dma(struct userpci_watch *watch, int64_t bytes);

#endif
