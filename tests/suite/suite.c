/* SPDX-License-Identifier: MIT */
/* Which backend and which devices, and what all tests use. */
#include "suite.h"

#include <dirent.h>

#define LIMIT_S 120 /* a test that hangs is killed */

/* In TEST_EACH, in TEST_NIC (where there is a $SUITE_NIC, it alone); only where $SUITE_IGB names a
 * QEMU that has it, or $SUITE_TAP a tap device of two queues for the other end. */
enum { EACH = 1, NIC = 2, IGB = 4, TAP = 8 };

/* QEMU's virtio-net has offloads and queues where its netdev has them: of those only a tap. */
#define ON_TAP	 "netdev=wire,mq=on,vectors=6"
#define UNMERGED "mrg_rxbuf=off"

static const struct {
	const char *name, *open, *id; /* for a private QEMU; and on a bus, if there... */
	unsigned int first;	      /* ...where those of a model follow one another */
	unsigned int sets;
} models[] = {
	{ "edu", "qemu:edu", "1234:11e8", 0, EACH },
	{ "pci-testdev", "qemu:pci-testdev,membar=1M", "1b36:0005", 0, EACH },
	{ "e1000", "qemu:e1000", "8086:100e", 0, EACH | NIC },
	{ "e1000e", "qemu:e1000e", "8086:10d3", 0, EACH | NIC },
	{ "nvme", "qemu:nvme,serial=0", "1b36:0010", 0, EACH },
	{ "virtio-net", "qemu:virtio-net-pci", "1af4:1041", 0, EACH | NIC },
	{ "virtio-net-packed", "qemu:virtio-net-pci,packed=on", "1af4:1041", 2, NIC },
	{ "virtio-net-unmerged", "qemu:virtio-net-pci," UNMERGED, "", 0, NIC },
	{ "virtio-net-packed-unmerged", "qemu:virtio-net-pci,packed=on," UNMERGED, "", 0, NIC },
	{ "rtl8139", "qemu:rtl8139", "10ec:8139", 0, NIC },
	{ "igb", "qemu:igb", "8086:10c9", 0, NIC | IGB },
	{ "virtio-net-tap", "qemu:virtio-net-pci," ON_TAP, "", 0, NIC | TAP },
	{ "virtio-net-packed-tap", "qemu:virtio-net-pci,packed=on," ON_TAP, "", 0, NIC | TAP },
};
#define MODELS (sizeof(models) / sizeof(models[0]))

const char *suite_backend_name(void)
{
	const char *name = getenv("USERPCI_BACKEND");

	return name ? name : "qemu";
}

unsigned int suite_backend(void)
{
	static const char *const names[] = { "qemu", "stub", "vfio", "uio" };
	unsigned int i;

	for (i = 0; i < 4; i++)
		if (!strcmp(suite_backend_name(), names[i]))
			return 1u << i;
	fprintf(stderr, "USERPCI_BACKEND=%s: no such backend\n", suite_backend_name());
	exit(2);
}

void suite_add(unsigned int backends, struct harness_test *test)
{
	if (!(backends & suite_backend()))
		return;
	*harness.last = test;
	harness.last = &test->next;
}

static bool is_there(unsigned int i)
{
	if (!models[i].id[0] && suite_backend() != QEMU)
		return false;
	return !(models[i].sets & IGB && !getenv("SUITE_IGB")) &&
	       !(models[i].sets & TAP && !getenv("SUITE_TAP"));
}

static void add_set(unsigned int set, unsigned int backends, struct harness_test *tests,
		    const char *title, void (*run)(void))
{
	unsigned int count = set == EACH ? SUITE_MODELS : SUITE_NICS, i;
	const char *nic = getenv("SUITE_NIC");
	char *name;

	for (i = 0; i < MODELS; i++) {
		if (!(models[i].sets & set) || !is_there(i))
			continue;
		if (set == NIC && nic && strcmp(nic, models[i].name))
			continue;
		if (!count-- || asprintf(&name, "%s/%s", models[i].name, title) < 0)
			abort();
		tests->name = name;
		tests->run = run;
		suite_add(backends, tests++);
	}
}

void suite_add_each(struct harness_test *tests, const char *title, void (*run)(void))
{
	add_set(EACH, ~0u, tests, title, run);
}

void suite_add_nics(unsigned int backends, struct harness_test *tests, const char *title,
		    void (*run)(void))
{
	add_set(NIC, backends, tests, title, run);
}

static unsigned int index_of(const char *model)
{
	size_t length = strcspn(model, "/");
	unsigned int i;

	for (i = 0; i < MODELS; i++)
		if (strlen(models[i].name) == length && !strncmp(models[i].name, model, length))
			return i;
	HARNESS_FAIL("%s: no such model", model);
}

const char *suite_model(void)
{
	return models[index_of(harness.running->name)].name;
}

static unsigned int read_id(const char *address, const char *file)
{
	unsigned int id = 0;
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", address, file);
	f = fopen(path, "r");
	CHECK(f && fscanf(f, "%x", &id) == 1);
	fclose(f);
	return id;
}

/* The n-th of the machine with that vendor:device, in the order of the bus. */
static const char *find(const char *id, unsigned int n)
{
	static char found[16];
	struct dirent **list;
	int count = scandir("/sys/bus/pci/devices", &list, NULL, alphasort), i;
	char own_id[16];

	found[0] = 0;
	for (i = 0; i < count; i++) {
		const char *address = list[i]->d_name;

		if (address[0] != '.') {
			snprintf(own_id, sizeof(own_id), "%04x:%04x", read_id(address, "vendor"),
				 read_id(address, "device"));
			if (!strcmp(own_id, id) && !n--)
				snprintf(found, sizeof(found), "%.15s", address);
		}
		free(list[i]);
	}
	free(list);
	if (!found[0])
		HARNESS_FAIL("the machine has no %s", id);
	return found;
}

const char *suite_tap(const char *model)
{
	return models[index_of(model)].sets & TAP ? getenv("SUITE_TAP") : NULL;
}

/* Beside what a test has in the variable. */
static void use_tap(const char *name)
{
	const char *before = getenv("USERPCI_QEMU_ARGS");
	char *arguments;

	if (before && strstr(before, "id=wire"))
		return;
	if (asprintf(&arguments,
		     "%s -netdev tap,id=wire,ifname=%s,script=no,downscript=no,queues=2",
		     before ? before : "", name) < 0)
		abort();
	CHECK_EQ(setenv("USERPCI_QEMU_ARGS", arguments, 1), 0);
	free(arguments);
}

const char *suite_address(const char *model)
{
	unsigned int i = index_of(model);

	if (models[i].sets & IGB)
		setenv("USERPCI_QEMU", getenv("SUITE_IGB"), 1);
	if (models[i].sets & TAP)
		use_tap(getenv("SUITE_TAP"));
	return suite_backend() == QEMU ? models[i].open : find(models[i].id, models[i].first);
}

const char *suite_second(const char *model)
{
	unsigned int i = index_of(model);

	return find(models[i].id, models[i].first + 1);
}

struct userpci_device *own(const char *model)
{
	const char *address = suite_address(model);
	struct userpci_device *device;
	char why[256];
	int err;

	alarm(LIMIT_S);
	err = userpci_open(address, 0, &device);
	if (err == -ENOENT && suite_backend() == QEMU)
		SKIP("there is no QEMU; run scripts/setup guest");
	if (err)
		HARNESS_FAIL("%s: %s", address, userpci_explain(address, err, why, sizeof(why)));
	return device;
}

struct userpci_region map(struct userpci_device *device, unsigned int index)
{
	struct userpci_region region;

	CHECK_EQ(userpci_region_map(device, index, &region), 0);
	return region;
}

uint32_t config(struct userpci_device *device, unsigned int offset, unsigned int width)
{
	uint32_t value;

	CHECK_EQ(userpci_config_read(device, offset, width, &value), 0);
	return value;
}

bool is_bus_master(struct userpci_device *device)
{
	return config(device, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

/* What QEMU's device did before is complete when a read is; elsewhere, only time tells. */
bool is_quiet(struct userpci_device *device, unsigned int vector)
{
	int64_t time_us = suite_backend() == QEMU ? 0 : SHORT;

	(void)config(device, PCI_VENDOR_ID, 4);
	return userpci_irq_wait(device, vector, time_us, NULL) == -ETIMEDOUT;
}

bool is_zero(const struct userpci_dma *dma)
{
	const char *va = dma->va;

	return !va[0] && !memcmp(va, va + 1, dma->size - 1);
}

void pause_us(long us)
{
	const struct timespec time = { us / SECOND, us % SECOND * 1000 };

	nanosleep(&time, NULL);
}

unsigned int count_fds(void)
{
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

int wait_child(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void kill_while(void (*body)(const char *model), const char *model)
{
	int ready[2];
	pid_t child;
	char byte;

	CHECK_EQ(pipe(ready), 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		body(model);
		CHECK_EQ(write(ready[1], "", 1), 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	kill(child, SIGKILL);
	CHECK_EQ(wait_child(child), 128 + SIGKILL);
}

TEST_MAIN
