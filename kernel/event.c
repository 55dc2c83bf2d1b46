// SPDX-License-Identifier: GPL-2.0-only
/* What happens to the device: the statistics that processes map, PCI errors, power management. */
#include <linux/eventfd.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/pm_runtime.h>
#include <linux/vmalloc.h>

#include "internal.h"

/* For each vector that the function could be given. */
int userpci_stats_init(struct userpci_device *u)
{
	u32 vectors = max3(1u, userpci_irq_offered(u->pdev, USERPCI_IRQ_MSI),
			   userpci_irq_offered(u->pdev, USERPCI_IRQ_MSIX));

	u->num_vectors = vectors;
	u->stats_bytes =
		PAGE_ALIGN(sizeof(*u->stats) + vectors * sizeof(struct userpci_uapi_vector));
	u->stats = vmalloc_user(u->stats_bytes);
	if (!u->stats)
		return -ENOMEM;
	u->stats->size = sizeof(*u->stats);
	u->stats->vectors_offset = sizeof(*u->stats);
	u->stats->num_vectors = vectors;
	return 0;
}

void userpci_state(struct userpci_device *u, u32 bit, bool on)
{
	spin_lock_irq(&u->irq_lock);
	WRITE_ONCE(u->stats->state, on ? u->stats->state | bit : u->stats->state & ~bit);
	spin_unlock_irq(&u->irq_lock);
}

void userpci_event(struct userpci_device *u, u32 type, u32 value)
{
	struct userpci_uapi_stats *stats = u->stats;
	struct userpci_uapi_event *event;
	unsigned long flags;

	spin_lock_irqsave(&u->irq_lock, flags);
	event = &stats->events[stats->num_events % USERPCI_NUM_EVENTS];
	event->type = type;
	event->value = value;
	event->time_ns = ktime_get_ns();
	/* Pairs with the reader's acquire, in the process. */
	smp_store_release(&stats->num_events, stats->num_events + 1);
	if (u->events)
		userpci_eventfd_signal(u->events);
	spin_unlock_irqrestore(&u->irq_lock, flags);
}

/* The eventfd comes with a reference, or is NULL. */
void userpci_events_to(struct userpci_device *u, struct eventfd_ctx *eventfd)
{
	spin_lock_irq(&u->irq_lock);
	swap(u->events, eventfd);
	spin_unlock_irq(&u->irq_lock);
	if (eventfd)
		eventfd_ctx_put(eventfd);
}

/* --- PCI errors and resets --- */

/* pci_channel_state_t is 1 to 3, as USERPCI_EVENT_ERROR says. */
static pci_ers_result_t error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	userpci_event(pci_get_drvdata(pdev), USERPCI_EVENT_ERROR, (__force u32)state);
	if (state == pci_channel_io_perm_failure)
		return PCI_ERS_RESULT_DISCONNECT;
	return state == pci_channel_io_frozen ? PCI_ERS_RESULT_NEED_RESET
					      : PCI_ERS_RESULT_CAN_RECOVER;
}

/* As it was bound: bus mastering is off. */
static pci_ers_result_t slot_reset(struct pci_dev *pdev)
{
	struct userpci_device *u = pci_get_drvdata(pdev);

	pci_load_saved_state(pdev, u->saved);
	pci_restore_state(pdev);
	userpci_event(u, USERPCI_EVENT_RESET, 0);
	return PCI_ERS_RESULT_RECOVERED;
}

/* The kernel saves what is now, and restores it after the reset: bus mastering comes back off. */
static void reset_prepare(struct pci_dev *pdev)
{
	pci_clear_master(pdev);
	pci_wait_for_pending_transaction(pdev);
}

static void reset_done(struct pci_dev *pdev)
{
	struct userpci_device *u = pci_get_drvdata(pdev);

	if (u) /* not at probe */
		userpci_event(u, USERPCI_EVENT_RESET, 0);
}

const struct pci_error_handlers userpci_error_handlers = {
	.error_detected = error_detected,
	.slot_reset = slot_reset,
	.reset_prepare = reset_prepare,
	.reset_done = reset_done,
};

/* --- Power --- */

/* Processes are frozen. The kernel saves configuration space after this, and restores it. */
static int suspend(struct device *dev)
{
	struct userpci_device *u = dev_get_drvdata(dev);

	reset_prepare(u->pdev);
	userpci_state(u, USERPCI_STATE_ASLEEP, true);
	userpci_event(u, USERPCI_EVENT_SUSPEND, 0);
	return 0;
}

static int resume(struct device *dev)
{
	struct userpci_device *u = dev_get_drvdata(dev);

	userpci_state(u, USERPCI_STATE_ASLEEP, false);
	userpci_event(u, USERPCI_EVENT_RESUME, 0);
	return 0;
}

/* At run time the bus does all: an open file keeps the function awake. */
const struct dev_pm_ops userpci_pm_ops = { SYSTEM_SLEEP_PM_OPS(suspend, resume) };
