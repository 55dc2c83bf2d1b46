/* SPDX-License-Identifier: MIT */
/* Who knows the registers of a device. */
#ifndef TOOLS_TRACE_NAMES_H
#define TOOLS_TRACE_NAMES_H

#include <unic/driver.h>

/* The NIC driver of a device, or NULL. */
const struct unic_driver *trace_driver(const struct userpci_info *info);

/* The registers' names, or NULL. */
const struct userpci_register *trace_names(const struct userpci_info *info);

#endif
