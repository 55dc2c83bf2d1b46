// SPDX-License-Identifier: GPL-2.0-only
/*
 * userpci: a PCI function's registers, DMA memory and interrupts for a process.
 *
 * The driver's id table is empty: a function comes to it by driver_override, never by chance.
 */
#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/dma-mapping.h>

#include "internal.h"

/* Between "removal requested" and the revocation; a function that is already unplugged: none. */
static unsigned int remove_grace_ms;
module_param(remove_grace_ms, uint, 0644);
MODULE_PARM_DESC(remove_grace_ms, "how long an owner may take to close when unbound (default 0)");

static DEFINE_IDA(minors);
static dev_t first_devt;

static char *userpci_devnode(USERPCI_DEVNODE_CONST struct device *dev, umode_t *mode)
{
	if (mode)
		*mode = 0600;
	return kasprintf(GFP_KERNEL, "userpci/%s", dev_name(dev));
}

static struct class userpci_class = {
	.name = "userpci",
	.devnode = userpci_devnode,
};

bool userpci_iommu_translates(struct userpci_device *u)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&u->pdev->dev);

	return domain && (domain->type & __IOMMU_DOMAIN_PAGING);
}

/*
 * Resets the function where it has a reset. device_lock and u->lock are held. The kernel saves and
 * restores configuration space around it: bus mastering is cleared first, so that it comes back
 * off.
 */
int userpci_reset(struct userpci_device *u)
{
	pci_clear_master(u->pdev);
	pci_wait_for_pending_transaction(u->pdev);
	return pci_reset_function_locked(u->pdev);
}

/*
 * The order of the teardown: when this returns the function can neither interrupt nor write memory.
 * Returns whether it has also forgotten what it was told to write: a function without a reset goes
 * on when the next owner turns bus mastering on.
 */
bool userpci_quiesce(struct userpci_device *u)
{
	userpci_irq_stop(u);
	if (!pci_device_is_present(u->pdev))
		return true;
	return !userpci_reset(u) || userpci_iommu_translates(u);
}

int userpci_get_info(struct userpci_file *uf, void *arg)
{
	struct userpci_uapi_info *a = arg;
	struct pci_dev *pdev = uf->u->pdev;

	a->api_version = USERPCI_API_VERSION;
	a->flags = userpci_iommu_translates(uf->u) ? USERPCI_INFO_IOMMU : 0;
	if (pdev->reset_methods[0])
		a->flags |= USERPCI_INFO_RESET;
	a->vendor_id = pdev->vendor;
	a->device_id = pdev->device;
	a->subsystem_vendor_id = pdev->subsystem_vendor;
	a->subsystem_id = pdev->subsystem_device;
	a->class_code = pdev->class;
	a->num_regions = USERPCI_NUM_BARS;
	a->num_intx = userpci_irq_offered(pdev, USERPCI_IRQ_INTX);
	a->num_msi = userpci_irq_offered(pdev, USERPCI_IRQ_MSI);
	a->num_msix = userpci_irq_offered(pdev, USERPCI_IRQ_MSIX);
	a->dma_mask_bits = fls64(dma_get_mask(&pdev->dev));
	a->numa_node = dev_to_node(&pdev->dev);
	a->stats_offset = USERPCI_STATS_OFFSET;
	a->stats_bytes = uf->u->stats_bytes;
	return 0;
}

/* The last reference is gone: no file, no map. */
static void userpci_device_release(struct device *dev)
{
	struct userpci_device *u = container_of(dev, struct userpci_device, dev);

	ida_free(&minors, MINOR(dev->devt));
	vfree(u->stats);
	pci_dev_put(u->pdev);
	kfree(u);
}

static struct userpci_device *userpci_device_create(struct pci_dev *pdev)
{
	struct userpci_device *u;
	int minor;

	u = kzalloc(sizeof(*u), GFP_KERNEL);
	if (!u)
		return ERR_PTR(-ENOMEM);
	minor = ida_alloc_max(&minors, MINORMASK, GFP_KERNEL);
	if (minor < 0) {
		kfree(u);
		return ERR_PTR(minor);
	}
	u->pdev = pci_dev_get(pdev);
	mutex_init(&u->lock);
	INIT_LIST_HEAD(&u->maps);
	xa_init_flags(&u->buffers, XA_FLAGS_ALLOC);
	spin_lock_init(&u->irq_lock);
	init_waitqueue_head(&u->wait);
	rcuwait_init(&u->reader);

	device_initialize(&u->dev);
	u->dev.class = &userpci_class;
	u->dev.parent = &pdev->dev;
	u->dev.devt = MKDEV(MAJOR(first_devt), minor);
	u->dev.release = userpci_device_release;
	cdev_init(&u->cdev, &userpci_fops);
	u->cdev.owner = THIS_MODULE;
	return u;
}

static int userpci_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct userpci_device *u;
	int err;

	if (pdev->hdr_type != PCI_HEADER_TYPE_NORMAL)
		return -EINVAL;
	u = userpci_device_create(pdev);
	if (IS_ERR(u))
		return PTR_ERR(u);
	err = dev_set_name(&u->dev, "%s", pci_name(pdev));
	if (!err)
		err = userpci_stats_init(u);
	if (err)
		goto put;
	err = pci_enable_device(pdev);
	if (err)
		goto put;
	err = pci_request_regions_exclusive(pdev, "userpci");
	if (err)
		goto disable;
	/* Whatever the former driver left behind. */
	userpci_reset(u);
	pci_save_state(pdev);
	u->saved = pci_store_saved_state(pdev);
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	userpci_regions_init(u);
	pci_set_drvdata(pdev, u);
	err = cdev_device_add(&u->cdev, &u->dev);
	if (err)
		goto release_regions;
	/* From now on only open files keep the function awake. */
	pm_runtime_put(&pdev->dev);
	return 0;

release_regions:
	userpci_regions_exit(u);
	kfree(u->saved);
	pci_release_regions(pdev);
disable:
	pci_disable_device(pdev);
put:
	put_device(&u->dev);
	return err;
}

/* The core holds device_lock. Files and maps may live on: they find `gone`. */
static void userpci_remove(struct pci_dev *pdev)
{
	struct userpci_device *u = pci_get_drvdata(pdev);

	pm_runtime_get_noresume(&pdev->dev);
	userpci_event(u, USERPCI_EVENT_REMOVE, 0);
	if (pci_device_is_present(pdev))
		wait_event_timeout(u->wait, !READ_ONCE(u->owner) || READ_ONCE(u->leaving),
				   msecs_to_jiffies(READ_ONCE(remove_grace_ms)));
	mutex_lock(&u->lock);
	u->gone = true;
	mutex_unlock(&u->lock);
	userpci_state(u, USERPCI_STATE_GONE, true);
	userpci_revoke(u);

	mutex_lock(&u->lock);
	userpci_quiesce(u);
	userpci_dma_stop(u, true);
	userpci_regions_exit(u);
	mutex_unlock(&u->lock);
	userpci_wake(u);
	userpci_event(u, USERPCI_EVENT_GONE, 0);
	userpci_events_to(u, NULL);

	cdev_device_del(&u->cdev, &u->dev);
	kfree(u->saved);
	dma_set_max_seg_size(&pdev->dev, SZ_64K); /* as every function begins */
	pci_release_regions(pdev);
	pci_disable_device(pdev);
	put_device(&u->dev);
}

/* Reboot and kexec: the next kernel must not find a function that writes memory. */
static void userpci_shutdown(struct pci_dev *pdev)
{
	pci_clear_master(pdev);
}

static const struct pci_device_id no_ids[] = { {} };

static struct pci_driver userpci_driver = {
	.name = "userpci",
	.id_table = no_ids,
	.probe = userpci_probe,
	.remove = userpci_remove,
	.shutdown = userpci_shutdown,
	.err_handler = &userpci_error_handlers,
	.driver.pm = pm_ptr(&userpci_pm_ops),
};

static int __init userpci_init(void)
{
	int err;

	err = alloc_chrdev_region(&first_devt, 0, MINORMASK + 1, "userpci");
	if (err)
		return err;
	err = class_register(&userpci_class);
	if (err)
		goto chrdev;
	err = pci_register_driver(&userpci_driver);
	if (err)
		goto unregister_class;
	return 0;

unregister_class:
	class_unregister(&userpci_class);
chrdev:
	unregister_chrdev_region(first_devt, MINORMASK + 1);
	return err;
}
module_init(userpci_init);

static void __exit userpci_exit(void)
{
	pci_unregister_driver(&userpci_driver);
	class_unregister(&userpci_class);
	unregister_chrdev_region(first_devt, MINORMASK + 1);
	ida_destroy(&minors);
}
module_exit(userpci_exit);

MODULE_LICENSE("GPL");
MODULE_VERSION(USERPCI_VERSION);
MODULE_DESCRIPTION("PCI devices driven from user space");
