// SPDX-License-Identifier: GPL-2.0-only
/* INTx, MSI and MSI-X: each vector to an eventfd, all of them to the device's count. */
#include <linux/eventfd.h>
#include <linux/interrupt.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "internal.h"

static irqreturn_t deliver(struct userpci_vector *v)
{
	struct userpci_device *u = v->u;
	struct eventfd_ctx *eventfd = READ_ONCE(v->eventfd);

	WRITE_ONCE(v->stats->interrupts, v->stats->interrupts + 1);
	atomic_inc(&u->interrupts);
	smp_mb__after_atomic(); /* pairs with those of who goes to sleep: he looks for it after */
	if (eventfd)
		userpci_eventfd_signal(eventfd);
	else
		WRITE_ONCE(v->missed, true);
	if (rcuwait_active(&u->reader))
		rcuwait_wake_up(&u->reader);
	if (waitqueue_active(&u->wait))
		wake_up_interruptible(&u->wait);
	return IRQ_HANDLED;
}

/* The state at the interrupt controller, where masks nest. Returns whether it was the other one. */
static bool set_masked(struct userpci_vector *v, bool masked)
{
	unsigned long flags;
	bool differs;

	spin_lock_irqsave(&v->u->irq_lock, flags);
	differs = v->masked != masked;
	if (differs) {
		v->masked = masked;
		v->recent = 0;
		if (masked)
			disable_irq_nosync(v->irq);
		else
			enable_irq(v->irq);
	}
	spin_unlock_irqrestore(&v->u->irq_lock, flags);
	return differs;
}

/* Whether more came within a second than the limit. */
static bool is_storm(struct userpci_vector *v)
{
	u32 limit = READ_ONCE(v->limit);

	if (!limit)
		return false;
	if (time_after_eq(jiffies, v->since + HZ)) {
		v->since = jiffies;
		v->recent = 0;
	}
	return ++v->recent > limit;
}

static irqreturn_t handle_message(int irq, void *data)
{
	struct userpci_vector *v = data;

	if (unlikely(is_storm(v)) && set_masked(v, true)) {
		WRITE_ONCE(v->stats->storms, v->stats->storms + 1);
		userpci_event(v->u, USERPCI_EVENT_STORM, v - v->u->vectors);
	}
	return deliver(v);
}

/* A shared line: ours if the function says so. It is silenced then, until it is unmasked. */
static irqreturn_t handle_intx(int irq, void *data)
{
	struct userpci_vector *v = data;
	bool ours;

	spin_lock(&v->u->irq_lock);
	ours = !v->masked && pci_check_and_mask_intx(v->u->pdev);
	if (ours)
		v->masked = true;
	spin_unlock(&v->u->irq_lock);
	return ours ? deliver(v) : IRQ_NONE;
}

/* The same for a function that has no working INTx disable bit; its line is not shared. */
static irqreturn_t handle_intx_exclusive(int irq, void *data)
{
	set_masked(data, true);
	return deliver(data);
}

static bool masks_at_function(struct userpci_device *u)
{
	return u->irq_kind == USERPCI_IRQ_INTX && pci_intx_mask_supported(u->pdev);
}

static void vector_mask(struct userpci_device *u, struct userpci_vector *v, bool masked)
{
	unsigned long flags;

	if (!masks_at_function(u)) {
		set_masked(v, masked);
		return;
	}
	spin_lock_irqsave(&u->irq_lock, flags);
	if (masked || !v->masked) {
		v->masked = masked;
		pci_intx(u->pdev, !masked);
	} else if (pci_check_and_unmask_intx(u->pdev)) {
		v->masked = false;
	} else {
		/* The line is up: told without an interrupt, and the function stays masked. */
		deliver(v);
	}
	spin_unlock_irqrestore(&u->irq_lock, flags);
}

void userpci_irq_mask_all(struct userpci_device *u, bool masked)
{
	unsigned int i;

	for (i = 0; i < u->irq_count; i++)
		vector_mask(u, &u->vectors[i], masked);
}

/* What read() does with USERPCI_IRQ_READ_UNMASKS. */
void userpci_irq_let_in(struct userpci_device *u)
{
	mutex_lock(&u->lock);
	if (!u->gone && u->irq_count && u->vectors[0].masked)
		vector_mask(u, &u->vectors[0], false);
	mutex_unlock(&u->lock);
}

static int vector_request(struct userpci_device *u, unsigned int i)
{
	struct userpci_vector *v = &u->vectors[i];
	irq_handler_t handler = handle_message;
	unsigned long flags = 0;

	v->u = u;
	v->stats = (struct userpci_uapi_vector *)(u->stats + 1) + i;
	v->irq = pci_irq_vector(u->pdev, i);
	if (v->irq < 0)
		return v->irq;
	snprintf(v->name, sizeof(v->name), "userpci-%u:%s", i, pci_name(u->pdev));
	if (masks_at_function(u)) {
		/* Until all is set up: some interrupt controllers lose a line that is up early. */
		vector_mask(u, v, true);
		handler = handle_intx;
		flags = IRQF_SHARED;
	} else if (u->irq_kind == USERPCI_IRQ_INTX) {
		handler = handle_intx_exclusive;
	}
	return request_irq(v->irq, handler, flags, v->name, v);
}

/* Gives back the first `count` vectors. free_irq() waits for a handler that runs. */
static void vectors_free(struct userpci_device *u, unsigned int count)
{
	unsigned int i;

	if (masks_at_function(u))
		vector_mask(u, &u->vectors[0], true);
	for (i = 0; i < count; i++) {
		struct userpci_vector *v = &u->vectors[i];

		free_irq(v->irq, v);
		if (v->eventfd)
			eventfd_ctx_put(v->eventfd);
	}
	pci_free_irq_vectors(u->pdev);
	kvfree(u->vectors);
	u->vectors = NULL;
}

void userpci_irq_stop(struct userpci_device *u)
{
	if (!u->irq_count)
		return;
	vectors_free(u, u->irq_count);
	u->irq_count = 0;
	WRITE_ONCE(u->stats->irq_count, 0);
	/* A read() that sleeps has nothing to wait for any more. */
	userpci_wake(u);
}

static int vectors_enable(struct userpci_device *u, unsigned int kind, unsigned int count)
{
	static const unsigned int type[] = {
		[USERPCI_IRQ_INTX] = PCI_IRQ_INTX,
		[USERPCI_IRQ_MSI] = PCI_IRQ_MSI,
		[USERPCI_IRQ_MSIX] = PCI_IRQ_MSIX,
	};
	unsigned int i;
	int err;

	err = pci_alloc_irq_vectors(u->pdev, count, count, type[kind]);
	if (err < 0)
		return -ENOSPC;
	u->irq_kind = kind;
	u->vectors = kvcalloc(count, sizeof(*u->vectors), GFP_KERNEL_ACCOUNT);
	if (!u->vectors) {
		pci_free_irq_vectors(u->pdev);
		return -ENOMEM;
	}
	for (i = 0; i < count; i++) {
		err = vector_request(u, i);
		if (err) {
			vectors_free(u, i);
			return err;
		}
	}
	u->irq_count = count;
	WRITE_ONCE(u->stats->irq_kind, kind);
	WRITE_ONCE(u->stats->irq_count, count);
	if (kind == USERPCI_IRQ_INTX)
		vector_mask(u, &u->vectors[0], false);
	return 0;
}

unsigned int userpci_irq_offered(struct pci_dev *pdev, unsigned int kind)
{
	switch (kind) {
	case USERPCI_IRQ_INTX:
		return pdev->irq && pdev->pin;
	case USERPCI_IRQ_MSI:
		return max(pci_msi_vec_count(pdev), 0);
	default:
		return max(pci_msix_vec_count(pdev), 0);
	}
}

int userpci_irq_enable(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_irq *a = arg;
	struct userpci_device *u = uf->u;

	if (a->kind > USERPCI_IRQ_MSIX || a->flags & ~USERPCI_IRQ_READ_UNMASKS)
		return -EINVAL;
	if (a->kind == USERPCI_IRQ_INTX ? a->count > 1 : a->flags)
		return -EINVAL;
	/* Checked before the old vectors go, so that a mistake costs nothing. */
	if (a->count > min(userpci_irq_offered(u->pdev, a->kind), u->num_vectors))
		return -ENOSPC;
	userpci_irq_stop(u);
	WRITE_ONCE(u->read_unmasks, a->flags);
	return a->count ? vectors_enable(u, a->kind, a->count) : 0;
}

static struct userpci_vector *vector_get(struct userpci_device *u, u32 index)
{
	if (index >= u->irq_count)
		return NULL;
	return &u->vectors[array_index_nospec(index, u->irq_count)];
}

int userpci_irq_eventfd(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_irq_eventfd *a = arg;
	struct userpci_device *u = uf->u;
	struct userpci_vector *v = vector_get(u, a->vector);
	struct eventfd_ctx *eventfd = NULL, *old;

	if ((!v && a->vector != USERPCI_EVENTS) || a->fd < -1 || a->reserved)
		return -EINVAL;
	if (a->fd >= 0) {
		eventfd = eventfd_ctx_fdget(a->fd);
		if (IS_ERR(eventfd))
			return PTR_ERR(eventfd);
	}
	if (!v) {
		userpci_events_to(u, eventfd);
		return 0;
	}
	old = xchg(&v->eventfd, eventfd);
	/* A handler on another CPU may hold the old one, or have found none. */
	synchronize_irq(v->irq);
	if (old)
		eventfd_ctx_put(old);
	if (eventfd && xchg(&v->missed, false))
		userpci_eventfd_signal(eventfd);
	return 0;
}

int userpci_irq_mask(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_irq_mask *a = arg;
	struct userpci_vector *v = vector_get(uf->u, a->vector);

	if (!v || a->masked > 1 || a->reserved)
		return -EINVAL;
	vector_mask(uf->u, v, a->masked);
	return 0;
}

int userpci_irq_limit(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_irq_limit *a = arg;
	struct userpci_vector *v = vector_get(uf->u, a->vector);

	if (!v || a->reserved)
		return -EINVAL;
	v->since = jiffies - HZ;
	WRITE_ONCE(v->limit, a->per_second);
	return 0;
}
