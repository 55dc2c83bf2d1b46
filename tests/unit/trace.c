/* SPDX-License-Identifier: MIT */
/*
 * Traces: what is recorded, what survives, what reads it; and replays, above all of the golden
 * traces, which say what a driver does to its device.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <unic/driver.h>

#include "drivers/intel/regs.h"
#include "fake-device.h"
#include "harness.h"

#define GOLDEN "tests/golden/e1000-init.trace"

static char path[64];
static char text[512];

/* A file name for this test, of which there is no file. */
static const char *fresh(void)
{
	snprintf(path, sizeof(path), "/tmp/userpci-trace-%d", (int)getpid());
	unlink(path);
	return path;
}

/* The n-th line of the trace in `path`, from 1 on, without its time; "" behind the end. */
static const char *line(unsigned int n, const struct userpci_register *names)
{
	static char found[256];
	struct userpci_trace *trace;
	char whole[256] = "";
	int got = 1;

	CHECK_EQ(userpci_trace_open(path, &trace), 0);
	while (n-- && got > 0)
		got = userpci_trace_line(trace, names, whole, sizeof(whole));
	CHECK(got >= 0);
	userpci_trace_close(trace);
	if (!got)
		return "";
	CHECK(strstr(whole, "us  "));
	snprintf(found, sizeof(found), "%s", strstr(whole, "us  ") + 4);
	return found;
}

static struct userpci_device *open_qemu(const char *address)
{
	struct userpci_device *device;
	int err = userpci_open(address, 0, &device);

	if (err == -ENOENT)
		SKIP("there is no QEMU; run scripts/setup guest");
	CHECK_EQ(err, 0);
	return device;
}

TEST(trace_hides_the_map_and_accesses_exactly)
{
	struct userpci_device *device = fake_open();
	struct userpci_region region, wc;

	CHECK_EQ(userpci_region_map(device, 0, &region), 0);
	CHECK(region.va);
	CHECK_EQ(userpci_trace_start(device, fresh()), -EBUSY);
	userpci_region_unmap(&region);
	CHECK_EQ(fake.maps, 0);
	CHECK_EQ(userpci_trace_start(device, path), 0);
	CHECK_EQ(userpci_trace_start(device, path), -EBUSY);
	CHECK_STR(userpci_info(device)->backend, "fake");
	CHECK_EQ(userpci_region_map(device, 0, &region), 0);
	CHECK(!region.va);
	CHECK_EQ(userpci_region_map_wc(device, 0, &wc), 0);
	CHECK(!wc.va && wc.flags & USERPCI_REGION_WC);
	userpci_write64(&region, 8, 0x1122334455667788);
	userpci_write32(&region, 16, 0x99aabbcc);
	userpci_write16(&wc, 20, 0xddee);
	userpci_write8(&region, 23, 0xff);
	CHECK(!memcmp((const void *)(fake.bar + 8),
		      "\x88\x77\x66\x55\x44\x33\x22\x11\xcc\xbb\xaa\x99\xee\xdd\0\xff", 16));
	CHECK_EQ(userpci_read8(&region, 9), 0x77);
	CHECK_EQ(userpci_read16(&wc, 10), 0x5566);
	CHECK_EQ(userpci_read32(&region, 12), 0x11223344);
	CHECK_EQ(userpci_read64(&region, 8), 0x1122334455667788);
	/* What would be outside, or torn, is lost. */
	CHECK_EQ(userpci_read32(&region, FAKE_BYTES), UINT32_MAX);
	CHECK_EQ(userpci_read32(&region, 2), UINT32_MAX);
	CHECK_EQ(fake.calls, 0);
	userpci_region_unmap(&region);
	CHECK_EQ(fake.maps, 1);
	userpci_close(device); /* which has the other map still */
	CHECK_EQ(fake.maps, 0);
	CHECK_EQ(fake.closed, 1);
	CHECK_STR(line(1, NULL), "map BAR0: 0x1000 bytes");
	CHECK_STR(line(2, NULL), "map BAR0 write-combining: 0x1000 bytes");
	CHECK_STR(line(3, NULL), "BAR0 0x0008 w64 = 0x1122334455667788");
	CHECK_STR(line(6, NULL), "BAR0 0x0017 w8 = 0xff");
	CHECK_STR(line(11, NULL), "BAR0 0x1000 r32 = 0xffffffff");
	CHECK_STR(line(13, NULL), "unmap BAR0");
	CHECK_STR(line(14, NULL), "");
	unlink(path);
}

TEST(trace_two_maps_of_a_region_are_one_inside)
{
	struct userpci_device *device = fake_open();
	struct userpci_region a, b;

	CHECK_EQ(userpci_trace_start(device, fresh()), 0);
	CHECK_EQ(userpci_region_map(device, 0, &a), 0);
	CHECK_EQ(userpci_region_map(device, 0, &b), 0);
	userpci_region_unmap(&a);
	userpci_write32(&b, 0, 7);
	CHECK_EQ(fake.bar[0], 7);
	userpci_region_unmap(&b);
	CHECK_EQ(userpci_trace_stop(device), 0);
	CHECK_EQ(userpci_trace_stop(device), -EINVAL);
	userpci_close(device);
	CHECK_STR(line(5, NULL), "unmap BAR0");
	unlink(path);
}

TEST(trace_of_a_region_without_a_map)
{
	struct userpci_device *device = fake_open();
	struct userpci_region region;

	CHECK_EQ(userpci_trace_start(device, fresh()), 0);
	CHECK_EQ(userpci_region_map(device, 1, &region), -ENOENT);
	CHECK_EQ(userpci_region_map(device, 2, &region), 0);
	userpci_write64(&region, 8, 5);
	CHECK_EQ(fake.by_call[1], 5);
	CHECK_EQ(userpci_read64(&region, 8), 5);
	CHECK_EQ(userpci_read16(&region, 8), UINT16_MAX);
	userpci_close(device);
	CHECK_STR(line(1, NULL), "map BAR1: 0x0 bytes: No such file or directory");
	CHECK_STR(line(4, NULL), "BAR2 0x0008 r64 = 0x0000000000000005");
	CHECK_STR(line(5, NULL), "BAR2 0x0008 r16 = 0xffff");
	unlink(path);
}

static const struct userpci_register names[] = {
	{ .offset = 0, .width = 4, .name = "ID" },
	{ .offset = 0x10, .width = 2, .name = "PAIR", .count = 3, .stride = 4 },
	{ .offset = 0, .width = 4, .name = "OTHER", .region = 2 },
	{ .name = NULL },
};

TEST(trace_names_registers)
{
	struct userpci_device *device = fake_open();
	struct userpci_region region;

	CHECK_EQ(userpci_trace_start(device, fresh()), 0);
	CHECK_EQ(userpci_region_map(device, 0, &region), 0);
	userpci_write32(&region, 0, 1);
	userpci_write16(&region, 2, 2);
	userpci_write16(&region, 0x18, 3);
	userpci_write16(&region, 0x1a, 4);
	userpci_write16(&region, 0x1c, 5);
	userpci_close(device);
	CHECK_STR(line(2, names), "BAR0 ID (0x0000) w32 = 0x00000001");
	CHECK_STR(line(3, names), "BAR0 ID+2 (0x0002) w16 = 0x0002");
	CHECK_STR(line(4, names), "BAR0 PAIR[2] (0x0018) w16 = 0x0003");
	CHECK_STR(line(5, names), "BAR0 0x001a w16 = 0x0004");
	CHECK_STR(line(6, names), "BAR0 0x001c w16 = 0x0005");
	unlink(path);
}

TEST(trace_polls_are_one_record)
{
	struct userpci_device *device = fake_open();
	struct userpci_region region;
	unsigned int i;

	CHECK_EQ(userpci_trace_start(device, fresh()), 0);
	CHECK_EQ(userpci_region_map(device, 0, &region), 0);
	for (i = 0; i < 100000; i++)
		CHECK_EQ(userpci_read32(&region, 4), 0);
	fake.bar[4] = 1;
	CHECK_EQ(userpci_read32(&region, 4), 1);
	CHECK_EQ(userpci_read32(&region, 4), 1);
	CHECK_EQ(userpci_read16(&region, 4), 1);
	userpci_close(device);
	CHECK_STR(line(2, NULL), "BAR0 0x0004 r32 = 0x00000000");
	CHECK_STR(line(3, NULL), "the same 99999 times more");
	CHECK_STR(line(4, NULL), "BAR0 0x0004 r32 = 0x00000001");
	CHECK_STR(line(5, NULL), "the same once more");
	CHECK_STR(line(6, NULL), "BAR0 0x0004 r16 = 0x0001");
	CHECK_STR(line(7, NULL), "");
	unlink(path);
}

/* What the inner backend asks for itself is nobody's. */
TEST(trace_has_only_what_the_driver_did)
{
	struct userpci_device *device = fake_open();
	uint32_t value;

	CHECK_EQ(userpci_trace_start(device, fresh()), 0);
	CHECK_EQ(userpci_config_write(device, 0x40, 2, 0x1234), 0);
	CHECK_EQ(userpci_config_read(device, 0x44, 4, &value), 0);
	userpci_close(device);
	CHECK_STR(line(1, NULL), "config 0x040 w16 = 0x1234");
	CHECK_STR(line(2, NULL), "config 0x044 r32 = 0x00000044");
	CHECK_STR(line(3, NULL), "");
	unlink(path);
}

/* Far more than is mapped of the file at a time. */
TEST(trace_long_is_whole)
{
	struct userpci_device *device = fake_open();
	const unsigned int count = 200000;
	struct userpci_trace *trace;
	struct userpci_region region;
	unsigned int i;

	CHECK_EQ(userpci_trace_start(device, fresh()), 0);
	CHECK_EQ(userpci_region_map(device, 0, &region), 0);
	for (i = 0; i < count; i++)
		userpci_write32(&region, i % 512 * 4, i * 2654435761u);
	CHECK_EQ(userpci_trace_stop(device), 0);
	userpci_close(device);
	CHECK_EQ(userpci_trace_open(path, &trace), 0);
	CHECK_EQ(userpci_trace_line(trace, NULL, text, sizeof(text)), 1);
	for (i = 0; i < count; i++) {
		char expected[64];

		CHECK_EQ(userpci_trace_line(trace, NULL, text, sizeof(text)), 1);
		snprintf(expected, sizeof(expected), "BAR0 0x%04x w32 = 0x%08x", i % 512 * 4,
			 i * 2654435761u);
		CHECK_STR(strstr(text, "BAR0"), expected);
	}
	CHECK_EQ(userpci_trace_line(trace, NULL, text, sizeof(text)), 0);
	userpci_trace_close(trace);
	unlink(path);
}

TEST(trace_survives_its_process)
{
	struct userpci_region region;
	pid_t pid;
	int status;

	fresh();
	pid = fork();
	if (!pid) {
		struct userpci_device *device = fake_open();

		if (userpci_trace_start(device, path) || userpci_region_map(device, 0, &region))
			_exit(1);
		userpci_write32(&region, 4, 1);
		userpci_read32(&region, 4);
		userpci_read32(&region, 4);
		userpci_read32(&region, 4);
		raise(SIGKILL);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	CHECK_STR(line(3, NULL), "BAR0 0x0004 r32 = 0x00000001");
	CHECK_STR(line(4, NULL), "the same 2 times more");
	unlink(path);
}

/* Often, while the thread that passes interrupts on is at work: it may hold any lock. */
TEST(trace_of_a_child_is_not_its_parents)
{
	struct userpci_device *device = fake_open();
	struct userpci_region region;
	int status, i;
	pid_t pid;

	CHECK_EQ(userpci_trace_start(device, fresh()), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 1), 0);
	CHECK_EQ(userpci_region_map(device, 0, &region), 0);
	userpci_write32(&region, 0, 1);
	for (i = 0; i < 300; i++) {
		fake_raise(0);
		pid = fork();
		if (!pid) {
			alarm(60);
			userpci_write32(&region, 4, 2);
			userpci_close(device);
			_exit(0);
		}
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(fake.bar[4], 2);
	(void)userpci_irq_wait(device, 0, 0, NULL);
	fake_raise(0);
	CHECK_EQ(userpci_irq_wait(device, 0, 20000000, NULL), 0);
	userpci_write32(&region, 8, 3);
	userpci_close(device);
	CHECK_STR(line(1, NULL), "irq enable: 1 MSI-X");
	CHECK_STR(line(3, NULL), "BAR0 0x0000 w32 = 0x00000001");
	for (i = 4; strcmp(line((unsigned int)i, NULL), "BAR0 0x0008 w32 = 0x00000003"); i++)
		CHECK(*line((unsigned int)i, NULL) && !strstr(line((unsigned int)i, NULL), "BAR0"));
	unlink(path);
}

/* As when the disk is full: the driver goes on, and the trace is good up to there. */
TEST(trace_that_cannot_grow_ends)
{
	const struct rlimit limit = { 300000, 300000 };
	struct userpci_device *device = fake_open();
	struct userpci_trace *trace;
	struct userpci_region region;
	unsigned int i, lines = 0;

	signal(SIGXFSZ, SIG_IGN);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	CHECK_EQ(userpci_trace_start(device, fresh()), 0);
	CHECK_EQ(userpci_region_map(device, 0, &region), 0);
	for (i = 0; i < 100000; i++)
		userpci_write32(&region, i % 512 * 4, i);
	CHECK_EQ(*(volatile uint32_t *)(fake.bar + (i - 1) % 512 * 4), i - 1);
	CHECK_EQ(userpci_trace_stop(device), -EFBIG);
	userpci_close(device);
	CHECK_EQ(userpci_trace_open(path, &trace), 0);
	while (userpci_trace_line(trace, NULL, text, sizeof(text)) == 1)
		lines++;
	CHECK(lines > 10000 && lines < 100000);
	CHECK_EQ(userpci_trace_line(trace, NULL, text, sizeof(text)), 0);
	userpci_trace_close(trace);
	unlink(path);
}

TEST(trace_without_a_file_is_none)
{
	struct userpci_device *device = fake_open();

	CHECK_EQ(userpci_trace_start(device, "/dev/full"), -ENODEV);
	CHECK_EQ(userpci_trace_start(device, "/nowhere/x"), -ENOENT);
	CHECK_EQ(userpci_trace_start(device, "/"), -EISDIR);
	userpci_close(device);
}

TEST(trace_interrupts_arrive_however_one_waits)
{
	struct userpci_device *device = fake_open();
	struct pollfd p = { .events = POLLIN };
	uint64_t count;
	int own;

	CHECK_EQ(userpci_trace_start(device, fresh()), 0);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 2), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, 1000, NULL), -ETIMEDOUT);
	fake_raise(0);
	CHECK_EQ(userpci_irq_wait(device, 0, 20000000, &count), 0);
	CHECK_EQ(count, 1);
	p.fd = userpci_irq_fd(device, 1);
	fake_raise(1);
	CHECK_EQ(poll(&p, 1, 20000), 1);
	CHECK_EQ(read(p.fd, &count, 8), 8);
	own = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK_EQ(userpci_irq_set_fd(device, 1, own), 0);
	fake_raise(1);
	p.fd = own;
	CHECK_EQ(poll(&p, 1, 20000), 1);
	close(own);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_MSIX, 1), 0);
	fake_raise(0);
	CHECK_EQ(userpci_irq_wait(device, 0, 20000000, &count), 0);
	userpci_irq_disable(device);
	userpci_close(device);
	CHECK_STR(line(1, NULL), "irq enable: 2 MSI-X");
	CHECK_STR(line(2, NULL), "irq wait vector 0: 0 came: Connection timed out");
	CHECK_STR(line(3, NULL), "interrupt on vector 0: 1");
	CHECK_STR(line(4, NULL), "irq wait vector 0: 1 came");
	CHECK_STR(line(5, NULL), "interrupt on vector 1: 1");
	unlink(path);
}

TEST(trace_by_the_environment)
{
	struct userpci_device *device, *second;
	char other[80];

	CHECK_EQ(setenv("USERPCI_TRACE", fresh(), 1), 0);
	device = open_qemu("qemu:edu");
	second = open_qemu("qemu:edu");
	CHECK_EQ(userpci_dma_set_mask(device, 28), 0);
	userpci_close(device);
	userpci_close(second);
	CHECK_STR(line(1, NULL), "dma mask: 28 bits");
	snprintf(other, sizeof(other), "%s.2", path);
	CHECK_EQ(unlink(other), 0);
	unlink(path);
	CHECK_EQ(setenv("USERPCI_TRACE", "/nowhere/x", 1), 0);
	CHECK_EQ(userpci_open("qemu:edu", 0, &device), -EIO);
}

/* A frame in, under INTx, with everything recorded. */
TEST(trace_of_a_nic_at_work)
{
	static uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	struct unic_packet *packets[4];
	struct unic_port *port;
	int err, wire;

	CHECK_EQ(setenv("USERPCI_TRACE", fresh(), 1), 0);
	err = unic_open("qemu:e1000", NULL, &port);
	if (err == -ENOENT)
		SKIP("there is no QEMU; run scripts/setup guest");
	CHECK_EQ(err, 0);
	CHECK_EQ(unic_start(port), 0);
	wire = userpci_wire_fd(port->device);
	CHECK(wire >= 0);
	CHECK_EQ(send(wire, frame, sizeof(frame), 0), (ssize_t)sizeof(frame));
	CHECK_EQ(unic_wait(port, 0, 20000000), 0);
	CHECK_EQ(unic_rx_burst(port, 0, packets, 4), 1);
	unic_packet_free(packets[0]);
	unic_close(port);
	unlink(path);
}

/* Reading what may be anything */

static uint8_t *golden_read(size_t *size)
{
	static uint8_t data[65536];
	int fd = open(GOLDEN, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, data, sizeof(data));

	if (n <= 0)
		HARNESS_FAIL("%s cannot be read", GOLDEN);
	close(fd);
	*size = (size_t)n;
	return data;
}

static void file_write(const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK_EQ(write(fd, data, size), (ssize_t)size);
	close(fd);
}

/* To its end, or to where it is damaged. */
static int read_through(void)
{
	struct userpci_trace *trace;
	int got = userpci_trace_open(path, &trace);

	if (got)
		return got;
	do
		got = userpci_trace_line(trace, intel_e1000_registers, text, sizeof(text));
	while (got > 0);
	userpci_trace_close(trace);
	return got;
}

TEST(trace_that_is_none_is_refused)
{
	struct userpci_trace *trace;

	fresh();
	CHECK_EQ(userpci_trace_open(path, &trace), -ENOENT);
	CHECK_EQ(userpci_trace_open("/tmp", &trace), -EINVAL);
	file_write("", 0);
	CHECK_EQ(userpci_trace_open(path, &trace), -EINVAL);
	file_write("userpci", 8);
	CHECK_EQ(userpci_trace_open(path, &trace), -EINVAL);
	file_write("userpci\0\x02", 9);
	CHECK_EQ(userpci_trace_open(path, &trace), -EPROTO);
	unlink(path);
}

TEST(trace_damaged_or_cut_off_does_no_harm)
{
	size_t size, at;
	uint8_t *data = golden_read(&size), keep;
	unsigned int damaged = 0;

	fresh();
	/* Each byte of the beginning, then every third. */
	for (at = 0; at < size; at += at < 256 ? 1 : 3) {
		keep = data[at];
		data[at] ^= (uint8_t)(at & 1 ? 0xff : 0x80);
		file_write(data, size);
		damaged += read_through() != 0;
		data[at] = keep;
		file_write(data, at);
		read_through();
	}
	CHECK(damaged);
	unlink(path);
}

/* Replays */

static int run_driver(const char *file, uint32_t flags)
{
	struct unic_config config = { .flags = flags };
	struct unic_port *port;
	struct unic_link link;
	char address[80];
	int err;

	snprintf(address, sizeof(address), "replay:%s", file);
	err = unic_open(address, &config, &port);
	if (err)
		return err;
	err = unic_start(port);
	if (!err)
		err = unic_link(port, &link);
	unic_close(port);
	return err;
}

/* The driver in this tree does to its device what is recorded. doc/trace.md: what to do if not. */
static void check_golden(const char *name, const struct unic_driver *driver)
{
	char file[80];
	int err;

	snprintf(file, sizeof(file), "tests/golden/%s-init.trace", name);
	err = run_driver(file, 0);
	CHECK(driver->registers);
	if (userpci_replay_difference(NULL, driver->registers, text, sizeof(text)))
		HARNESS_FAIL("%s", text);
	CHECK_EQ(err, 0);
	CHECK_STR(text, "");
}

TEST(golden_e1000_init)
{
	check_golden("e1000", &unic_e1000);
}

TEST(golden_e1000e_init)
{
	check_golden("e1000e", &unic_e1000e);
}

TEST(golden_igb_init)
{
	check_golden("igb", &unic_igb);
}

TEST(golden_rtl8139_init)
{
	check_golden("rtl8139", &unic_rtl8139);
}

TEST(golden_virtio_net_init)
{
	check_golden("virtio-net", &unic_virtio_net);
}

TEST(golden_virtio_net_packed_init)
{
	check_golden("virtio-net-packed", &unic_virtio_net);
}

/* Every register that the golden traces access has a name. */
TEST(golden_registers_have_names)
{
	static const struct {
		const char *name;
		const struct unic_driver *driver;
	} rows[] = {
		{ "e1000", &unic_e1000 },
		{ "e1000e", &unic_e1000e },
		{ "igb", &unic_igb },
		{ "rtl8139", &unic_rtl8139 },
		{ "virtio-net", &unic_virtio_net },
		{ "virtio-net-packed", &unic_virtio_net },
	};
	struct userpci_trace *trace;
	const char *at;
	char file[80];
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(file, sizeof(file), "tests/golden/%s-init.trace", rows[i].name);
		CHECK_EQ(userpci_trace_open(file, &trace), 0);
		while (userpci_trace_line(trace, rows[i].driver->registers, text, sizeof(text)) >
		       0) {
			at = strstr(text, "us  BAR");
			if (at && !strchr(at, '('))
				HARNESS_FAIL("%s: %s", rows[i].name, text);
		}
		userpci_trace_close(trace);
	}
}

TEST(golden_a_changed_driver_is_noticed)
{
	const char *said;

	(void)run_driver(GOLDEN, UNIC_CONFIG_PROMISCUOUS);
	CHECK_EQ(userpci_replay_difference(NULL, intel_e1000_registers, text, sizeof(text)), 1);
	said = strstr(text, "expected");
	CHECK(said && !strncmp(text, "record ", 7));
	CHECK_STR(said, "expected BAR0 RCTL (0x0100) w32 = 0x04008002; "
			"got BAR0 RCTL (0x0100) w32 = 0x0400801a");
}

/* Flips the lowest bit of bytes here and there. Those of times do not matter, most others do. */
TEST(golden_a_changed_record_is_noticed)
{
	unsigned int noticed = 0, tried = 0;
	size_t size, at;
	uint8_t *data = golden_read(&size);

	fresh();
	for (at = 60; at < size; at += 41, tried++) {
		data[at] ^= 1;
		file_write(data, size);
		(void)run_driver(path, 0);
		noticed += userpci_replay_difference(NULL, NULL, text, sizeof(text)) == 1;
		data[at] ^= 1;
	}
	CHECK(noticed > tried / 4);
	unlink(path);
}

/* Any byte, any value: an end, and no harm. */
TEST(golden_damaged_or_cut_off_does_no_harm)
{
	size_t size, at;
	uint8_t *data = golden_read(&size), keep;

	fresh();
	for (at = 8; at < size; at += 23) {
		keep = data[at];
		data[at] = (uint8_t)(at * 37);
		file_write(data, size);
		(void)run_driver(path, 0);
		data[at] = keep;
		file_write(data, at);
		(void)run_driver(path, 0);
	}
	unlink(path);
}

static void fill_device(struct userpci_device *device, struct userpci_region *region)
{
	CHECK_EQ(userpci_region_map(device, 0, region), 0);
	userpci_write32(region, 0, 1);
	CHECK_EQ(userpci_read32(region, 0), 1);
	CHECK_EQ(userpci_read32(region, 0), 1);
	CHECK_EQ(userpci_read32(region, 0), 1);
}

/* A trace of fill_device() in `path`. */
static void record_fill(void)
{
	struct userpci_device *device = fake_open();
	struct userpci_region region;

	CHECK_EQ(userpci_trace_start(device, fresh()), 0);
	fill_device(device, &region);
	userpci_close(device);
}

static struct userpci_device *open_replay(void)
{
	struct userpci_device *device;
	char address[80];

	snprintf(address, sizeof(address), "replay:%s", path);
	CHECK_EQ(userpci_open(address, 0, &device), 0);
	return device;
}

TEST(replay_is_the_device)
{
	struct userpci_device *device;
	struct userpci_region region;

	record_fill();
	device = open_replay();
	CHECK_STR(userpci_info(device)->backend, "replay");
	CHECK_EQ(userpci_info(device)->device_id, 0x5678);
	CHECK_EQ(userpci_info(device)->numa_node, -1);
	CHECK_EQ(userpci_replay_difference(NULL, NULL, text, sizeof(text)), -EINVAL);
	fill_device(device, &region);
	CHECK_EQ(userpci_replay_difference(device, NULL, text, sizeof(text)), 0);
	userpci_close(device);
	CHECK_EQ(userpci_replay_difference(NULL, NULL, text, sizeof(text)), 0);
	device = fake_open();
	CHECK_EQ(userpci_replay_difference(device, NULL, text, sizeof(text)), -EINVAL);
	userpci_close(device);
	unlink(path);
}

TEST(replay_after_a_difference_the_device_is_gone)
{
	struct userpci_device *device;
	struct userpci_region region;

	record_fill();
	device = open_replay();
	fill_device(device, &region);
	CHECK_EQ(userpci_read32(&region, 0), UINT32_MAX);
	CHECK_EQ(userpci_bus_master_enable(device), -ENODEV);
	CHECK_EQ(userpci_replay_difference(device, names, text, sizeof(text)), 1);
	CHECK_STR(strstr(text, "expected"), "expected the end; got BAR0 ID (0x0000) r32");
	userpci_close(device);
	unlink(path);
}

TEST(replay_notices_what_is_left_out)
{
	struct userpci_device *device;
	struct userpci_region region;

	record_fill();
	device = open_replay();
	CHECK_EQ(userpci_region_map(device, 0, &region), 0);
	userpci_write32(&region, 0, 1);
	CHECK_EQ(userpci_read32(&region, 0), 1);
	CHECK_EQ(userpci_read32(&region, 0), 1);
	CHECK_EQ(userpci_replay_difference(device, NULL, text, sizeof(text)), 0);
	userpci_close(device);
	CHECK_EQ(userpci_replay_difference(NULL, NULL, text, sizeof(text)), 1);
	CHECK_STR(strstr(text, "expected"), "expected BAR0 0x0000 r32 = 0x00000001; got the end");
	unlink(path);
}

/* All that can be asked of a device, but register accesses. */
static void use_all(struct userpci_device *device, bool real)
{
	const struct userpci_dma_options chunked = { .kind = USERPCI_DMA_CHUNKED,
						     .size = 3 * 4096,
						     .name = "ring" };
	struct pollfd p = { .events = POLLIN };
	struct userpci_region region;
	struct userpci_dma dma;
	uint64_t count;

	CHECK_EQ(userpci_dma_set_mask(device, 48), 0);
	CHECK_EQ(userpci_dma_create(device, &chunked, &dma), 0);
	CHECK_EQ(dma.iova, 0x123450000000);
	CHECK_EQ(dma.chunks, 3);
	CHECK_EQ(userpci_dma_iova(&dma, 4097), 0x123450001001);
	CHECK_EQ(*(uint8_t *)dma.va, 0);
	userpci_dma_free(&dma);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 3), -ENOSPC);
	CHECK_EQ(userpci_irq_enable(device, USERPCI_IRQ_BEST, 2), 0);
	CHECK_EQ(userpci_bus_master_enable(device), 0);
	if (real)
		fake_raise(1);
	CHECK_EQ(userpci_irq_wait(device, 1, 20000000, &count), 0);
	CHECK_EQ(count, 1);
	CHECK_EQ(userpci_irq_mask(device, 1), 0);
	CHECK_EQ(userpci_irq_unmask(device, 1), 0);
	CHECK_EQ(userpci_irq_wait(device, 0, 1000, &count), -ETIMEDOUT);
	if (real)
		fake_raise(0);
	p.fd = userpci_irq_fd(device, 0);
	CHECK_EQ(poll(&p, 1, 20000), 1);
	CHECK_EQ(userpci_region_map(device, 2, &region), 0);
	userpci_region_unmap(&region);
	userpci_irq_disable(device);
	CHECK_EQ(userpci_bus_master_disable(device), 0);
}

TEST(replay_of_everything)
{
	struct userpci_device *device = fake_open();

	CHECK_EQ(userpci_trace_start(device, fresh()), 0);
	use_all(device, true);
	userpci_close(device);
	device = open_replay();
	use_all(device, false);
	userpci_close(device);
	if (userpci_replay_difference(NULL, NULL, text, sizeof(text)))
		HARNESS_FAIL("%s", text);
	unlink(path);
}

TEST(replay_can_be_traced)
{
	char copy[80];

	snprintf(copy, sizeof(copy), "%s", fresh());
	CHECK_EQ(setenv("USERPCI_TRACE", copy, 1), 0);
	CHECK_EQ(run_driver(GOLDEN, 0), 0);
	CHECK_EQ(unsetenv("USERPCI_TRACE"), 0);
	CHECK_EQ(run_driver(copy, 0), 0);
	CHECK_EQ(userpci_replay_difference(NULL, NULL, text, sizeof(text)), 0);
	unlink(copy);
}

/* As the golden trace was made. */
TEST(replay_of_a_nic_in_qemu)
{
	struct unic_port *port;
	struct unic_link link;
	int err;

	CHECK_EQ(setenv("USERPCI_TRACE", fresh(), 1), 0);
	err = unic_open("qemu:e1000", NULL, &port);
	if (err == -ENOENT)
		SKIP("there is no QEMU; run scripts/setup guest");
	CHECK_EQ(err, 0);
	CHECK_EQ(unic_start(port), 0);
	CHECK_EQ(unic_link(port, &link), 0);
	unic_close(port);
	CHECK_EQ(unsetenv("USERPCI_TRACE"), 0);
	CHECK_EQ(run_driver(path, 0), 0);
	CHECK_EQ(userpci_replay_difference(NULL, NULL, text, sizeof(text)), 0);
	unlink(path);
}

TEST_MAIN
