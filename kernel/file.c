// SPDX-License-Identifier: GPL-2.0-only
/* The character device: open, release, read, write, poll, and the table of ioctl commands. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/iommu.h>
#include <linux/nospec.h>
#include <linux/pid.h>
#include <linux/pm_runtime.h>
#include <linux/poll.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/dma-mapping.h>

#include "internal.h"

static int is_kernels(struct device *dev, void *own)
{
	const struct device_driver *driver = READ_ONCE(dev->driver);

	return driver && driver != own && !(dev_is_pci(dev) && pci_is_bridge(to_pci_dev(dev)));
}

/* An IOMMU translates, and shares that, by its group, with no driver of the kernel. */
static bool is_confined(struct userpci_device *u)
{
	struct iommu_group *group = iommu_group_get(&u->pdev->dev);
	bool confined = userpci_iommu_translates(u) &&
			!iommu_group_for_each_dev(group, u->pdev->dev.driver, is_kernels);

	if (group)
		iommu_group_put(group);
	return confined;
}

/* The device of an owner who is not confined reaches memory of others. */
static int may_own(struct userpci_device *u)
{
	int err;

	if (is_confined(u))
		return 0;
	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	err = security_locked_down(LOCKDOWN_PCI_ACCESS);
	if (err)
		return err;
	if (!test_taint(TAINT_USER)) {
		add_taint(TAINT_USER, LOCKDEP_STILL_OK);
		pci_warn(u->pdev,
			 "no IOMMU confines it: user space reaches memory of others by DMA\n");
	}
	return 0;
}

static int become_owner(struct userpci_device *u, struct userpci_file *uf)
{
	int err;

	if (u->gone)
		return -ENODEV;
	if (u->owner)
		return -EBUSY;
	err = may_own(u);
	if (err)
		return err;
	err = dma_set_mask_and_coherent(&u->pdev->dev, DMA_BIT_MASK(32));
	if (err)
		return err;
	u->owner = uf;
	u->leaving = false;
	u->stats->owner = task_tgid_nr(current);
	userpci_state(u, USERPCI_STATE_OWNED, true);
	return 0;
}

static int userpci_open(struct inode *inode, struct file *file)
{
	struct userpci_device *u = container_of(inode->i_cdev, struct userpci_device, cdev);
	struct userpci_file *uf;
	int err;

	if (!(file->f_mode & FMODE_READ))
		return -EACCES;
	uf = kzalloc(sizeof(*uf), GFP_KERNEL_ACCOUNT);
	if (!uf)
		return -ENOMEM;
	uf->u = u;
	uf->seen = atomic_read(&u->interrupts);
	/* Until release: a function that nobody has open may sleep (power/control of sysfs). */
	err = pm_runtime_resume_and_get(&u->pdev->dev);
	if (err)
		goto free_file;

	mutex_lock(&u->lock);
	if (file->f_mode & FMODE_WRITE)
		err = become_owner(u, uf);
	else if (u->gone)
		err = -ENODEV;
	mutex_unlock(&u->lock);
	if (err)
		goto put_power;

	get_device(&u->dev);
	file->private_data = uf;
	return nonseekable_open(inode, file);

put_power:
	pm_runtime_put(&u->pdev->dev);
free_file:
	kfree(uf);
	return err;
}

/*
 * The last close, however it comes. device_lock: a removal is either over (gone), or waits until
 * the function is quiet; nobody else's driver is reset.
 */
static void release_owner(struct userpci_device *u)
{
	/* A removal that waits for this one has the lock: it does all that is left to do. */
	WRITE_ONCE(u->leaving, true);
	wake_up_all(&u->wait);
	device_lock(&u->pdev->dev);
	mutex_lock(&u->lock);
	if (!u->gone)
		userpci_dma_stop(u, userpci_quiesce(u));
	userpci_events_to(u, NULL);
	u->owner = NULL;
	u->stats->owner = 0;
	userpci_state(u, USERPCI_STATE_OWNED, false);
	mutex_unlock(&u->lock);
	device_unlock(&u->pdev->dev);
}

static int userpci_release(struct inode *inode, struct file *file)
{
	struct userpci_file *uf = file->private_data;
	struct userpci_device *u = uf->u;

	if (file->f_mode & FMODE_WRITE)
		release_owner(u);
	pm_runtime_put(&u->pdev->dev);
	if (uf->ones)
		__free_page(uf->ones);
	kfree(uf);
	put_device(&u->dev);
	return 0;
}

/* Whoever sleeps for an interrupt looks again: for it may not come any more. */
void userpci_wake(struct userpci_device *u)
{
	rcuwait_wake_up(&u->reader);
	wake_up_all(&u->wait);
}

static bool has_news(struct userpci_file *uf)
{
	struct userpci_device *u = uf->u;

	return atomic_read(&u->interrupts) != uf->seen || READ_ONCE(u->gone) ||
	       !READ_ONCE(u->irq_count);
}

static int sleep_for_news(struct userpci_file *uf)
{
	struct userpci_device *u = uf->u;
	int err;

	if (xchg(&u->reading, true))
		return wait_event_interruptible(u->wait, has_news(uf));
	err = rcuwait_wait_event(&u->reader, has_news(uf), TASK_INTERRUPTIBLE);
	smp_store_release(&u->reading, false);
	return err ? -ERESTARTSYS : 0;
}

/* Sleeps until an interrupt came that this file has not seen, as UIO's read() does. */
static ssize_t userpci_read(struct file *file, char __user *to, size_t size, loff_t *position)
{
	struct userpci_file *uf = file->private_data;
	struct userpci_device *u = uf->u;
	u32 count;
	int err;

	if (size != sizeof(count))
		return -EINVAL;
	if (READ_ONCE(u->read_unmasks) && file->f_mode & FMODE_WRITE &&
	    atomic_read(&u->interrupts) == uf->seen)
		userpci_irq_let_in(u);
	for (;;) {
		count = atomic_read(&u->interrupts);
		if (READ_ONCE(u->gone))
			return -ENODEV;
		if (count != uf->seen)
			break;
		if (!READ_ONCE(u->irq_count))
			return -EIO;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = sleep_for_news(uf);
		if (err)
			return err;
	}
	if (put_user(count, (u32 __user *)to))
		return -EFAULT;
	uf->seen = count;
	return sizeof(count);
}

/* UIO's irqcontrol: 1 unmasks, 0 masks. */
static ssize_t userpci_write(struct file *file, const char __user *from, size_t size,
			     loff_t *position)
{
	struct userpci_file *uf = file->private_data;
	struct userpci_device *u = uf->u;
	ssize_t done = sizeof(u32);
	u32 unmask;

	if (size != sizeof(unmask))
		return -EINVAL;
	if (get_user(unmask, (const u32 __user *)from))
		return -EFAULT;
	if (unmask > 1)
		return -EINVAL;
	mutex_lock(&u->lock);
	if (u->gone)
		done = -ENODEV;
	else if (!u->irq_count)
		done = -EIO;
	else
		userpci_irq_mask_all(u, !unmask);
	mutex_unlock(&u->lock);
	return done;
}

static __poll_t userpci_poll(struct file *file, poll_table *wait)
{
	struct userpci_file *uf = file->private_data;
	struct userpci_device *u = uf->u;

	poll_wait(file, &u->wait, wait);
	if (READ_ONCE(u->gone))
		return EPOLLHUP | EPOLLERR;
	return atomic_read(&u->interrupts) != uf->seen ? EPOLLIN | EPOLLRDNORM : 0;
}

#define ANYONE	(1u << 0) /* an observer may call it too */
#define ANSWERS (1u << 1) /* the structure is copied back */
#define RESETS	(1u << 2) /* under device_lock */
#define LOCKS	(1u << 3) /* takes u->lock itself; all others run under it */
#define OBTAINS (1u << 4) /* what it gave is freed when the caller cannot be told of it */

#define LARGEST 128 /* bytes of an argument */

/* A command's number is its place here. Each runs on a copy of its argument. */
static const struct command {
	size_t size;	 /* of the structure in this version */
	size_t smallest; /* of its first version */
	unsigned int flags;
	int (*run)(struct userpci_file *uf, void *arg);
} commands[] = {
#define COMMAND(name, type, last, flags_, function)                                   \
	[_IOC_NR(name)] = { sizeof(struct type) +                                     \
				    BUILD_BUG_ON_ZERO(sizeof(struct type) > LARGEST), \
			    offsetofend(struct type, last), flags_, function }
	COMMAND(USERPCI_GET_INFO, userpci_uapi_info, numa_node, ANYONE | ANSWERS, userpci_get_info),
	COMMAND(USERPCI_GET_REGION, userpci_uapi_region, wc_offset, ANYONE | ANSWERS,
		userpci_get_region),
	COMMAND(USERPCI_REGION_READ, userpci_uapi_access, value, ANSWERS, userpci_region_read),
	COMMAND(USERPCI_REGION_WRITE, userpci_uapi_access, value, 0, userpci_region_write),
	COMMAND(USERPCI_CONFIG_READ, userpci_uapi_config, value, ANYONE | ANSWERS,
		userpci_config_read),
	COMMAND(USERPCI_DMA_SET_MASK, userpci_uapi_dma_mask, bits, 0, userpci_dma_set_mask),
	COMMAND(USERPCI_DMA_ALLOC, userpci_uapi_dma, reserved, ANSWERS | LOCKS | OBTAINS,
		userpci_dma_alloc),
	COMMAND(USERPCI_DMA_FREE, userpci_uapi_dma, reserved, 0, userpci_dma_free),
	COMMAND(USERPCI_IRQ_ENABLE, userpci_uapi_irq, flags, 0, userpci_irq_enable),
	COMMAND(USERPCI_IRQ_EVENTFD, userpci_uapi_irq_eventfd, reserved, 0, userpci_irq_eventfd),
	COMMAND(USERPCI_IRQ_MASK, userpci_uapi_irq_mask, reserved, 0, userpci_irq_mask),
	COMMAND(USERPCI_BUS_MASTER, userpci_uapi_bus_master, enable, 0, userpci_bus_master),
	COMMAND(USERPCI_CONFIG_WRITE, userpci_uapi_config, value, 0, userpci_config_write),
	COMMAND(USERPCI_RESET, userpci_uapi_reset, flags, RESETS, userpci_reset_call),
	COMMAND(USERPCI_DMA_GET, userpci_uapi_dma_get, name, ANYONE | ANSWERS, userpci_dma_get),
	COMMAND(USERPCI_IRQ_LIMIT, userpci_uapi_irq_limit, reserved, 0, userpci_irq_limit),
	COMMAND(USERPCI_GET_MAP, userpci_uapi_map, offset, ANYONE | ANSWERS, userpci_get_map),
#undef COMMAND
};

static int run_command(const struct command *command, struct userpci_file *uf, void *arg)
{
	struct userpci_device *u = uf->u;
	int err;

	if (command->flags & LOCKS)
		return READ_ONCE(u->gone) ? -ENODEV : command->run(uf, arg);
	if (command->flags & RESETS)
		device_lock(&u->pdev->dev);
	mutex_lock(&u->lock);
	err = u->gone ? -ENODEV : command->run(uf, arg);
	mutex_unlock(&u->lock);
	if (command->flags & RESETS)
		device_unlock(&u->pdev->dev);
	return err;
}

static long userpci_ioctl(struct file *file, unsigned int cmd, unsigned long user)
{
	struct userpci_file *uf = file->private_data;
	void __user *uarg = (void __user *)user;
	const struct command *command;
	u64 arg[LARGEST / sizeof(u64)] = {};
	u32 size;
	int err;

	if (_IOC_NR(cmd) >= ARRAY_SIZE(commands) || cmd != _IO(USERPCI_IOC_TYPE, _IOC_NR(cmd)))
		return -ENOTTY;
	command = &commands[array_index_nospec(_IOC_NR(cmd), ARRAY_SIZE(commands))];
	if (!(command->flags & ANYONE) && !(file->f_mode & FMODE_WRITE))
		return -EACCES;
	if (get_user(size, (u32 __user *)uarg))
		return -EFAULT;
	if (size < command->smallest)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	err = copy_struct_from_user(arg, command->size, uarg, size);
	if (err)
		return err;
	err = run_command(command, uf, arg);
	if (err)
		return err;
	/* `size` is the caller's and stays as it is: the copy begins behind it. */
	if (!(command->flags & ANSWERS) ||
	    !copy_to_user(uarg + sizeof(u32), (u8 *)arg + sizeof(u32),
			  min_t(size_t, size, command->size) - sizeof(u32)))
		return 0;
	if (command->flags & OBTAINS) {
		mutex_lock(&uf->u->lock);
		userpci_dma_free(uf, arg);
		mutex_unlock(&uf->u->lock);
	}
	return -EFAULT;
}

/* msync() of a map: a read of the function pushes the writes before it there (PCI 3.0, 3.2.5). */
static int userpci_fsync(struct file *file, loff_t start, loff_t end, int datasync)
{
	struct userpci_file *uf = file->private_data;
	u16 vendor;
	int err = 0;

	mutex_lock(&uf->u->lock);
	if (uf->u->gone)
		err = -ENODEV;
	else
		pci_user_read_config_word(uf->u->pdev, PCI_VENDOR_ID, &vendor);
	mutex_unlock(&uf->u->lock);
	return err;
}

const struct file_operations userpci_fops = {
	.owner = THIS_MODULE,
	.open = userpci_open,
	.release = userpci_release,
	.read = userpci_read,
	.write = userpci_write,
	.poll = userpci_poll,
	.unlocked_ioctl = userpci_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.mmap = userpci_mmap,
	.get_unmapped_area = thp_get_unmapped_area, /* aligned as the BAR is */
	.fsync = userpci_fsync,
	.llseek = noop_llseek,
};
