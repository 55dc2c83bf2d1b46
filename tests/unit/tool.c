/* SPDX-License-Identifier: MIT */
/*
 * What the commands of userpci are made of: registers as words, capabilities and vital product data
 * in words, the file of a dump, JSON, modules by their aliases, the kernel's counts.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/stat.h>

#include <linux/pci_regs.h>

#include "harness.h"
#include "tools/caps.h"
#include "tools/dump.h"
#include "tools/interrupts.h"
#include "tools/json.h"
#include "tools/modules.h"
#include "tools/number.h"
#include "tools/place.h"
#include "tools/vpd.h"

/* Of userpci.c, which has main(). */
const struct cmd *const cmds[] = { NULL };

enum cmd_status cmd_error(const char *address, const char *action, int err, const char *why)
{
	(void)address, (void)action, (void)err, (void)why;
	return CMD_FAILURE;
}

enum cmd_status cmd_fail(const char *address, const char *action, const char *format, ...)
{
	(void)address, (void)action, (void)format;
	return CMD_FAILURE;
}

enum cmd_status cmd_usage(const char *action, const char *what, const char *which)
{
	(void)action, (void)what, (void)which;
	return CMD_USAGE;
}

/* --- A directory for what a test writes --- */

static const char *scratch(const char *name)
{
	static char directory[64], path[PATH_MAX];

	if (!directory[0]) {
		snprintf(directory, sizeof(directory), "/tmp/userpci-test.XXXXXX");
		CHECK(mkdtemp(directory));
	}
	snprintf(path, sizeof(path), "%s%s%s", directory, name[0] ? "/" : "", name);
	return path;
}

static void scratch_end(void)
{
	char command[PATH_MAX + 16];

	snprintf(command, sizeof(command), "rm -rf '%s'", scratch(""));
	CHECK_EQ(system(command), 0);
}

static void write_text(const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), "%s", scratch(name));
	for (char *slash = path + strlen(scratch("")) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		CHECK(!mkdir(path, 0755) || errno == EEXIST);
		*slash = '/';
	}
	file = fopen(path, "w");
	CHECK(file);
	CHECK(fputs(text, file) >= 0);
	CHECK_EQ(fclose(file), 0);
}

/* What @print puts on stdout. */
static const char *printed(void (*print)(void))
{
	static char text[16384];
	int was, fd;
	ssize_t got;

	fflush(stdout);
	was = dup(STDOUT_FILENO);
	fd = open(scratch("stdout"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(was >= 0 && fd >= 0);
	CHECK(dup2(fd, STDOUT_FILENO) >= 0);
	print();
	fflush(stdout);
	CHECK(dup2(was, STDOUT_FILENO) >= 0);
	got = pread(fd, text, sizeof(text) - 1, 0);
	CHECK(got >= 0);
	text[got] = '\0';
	close(fd);
	close(was);
	return text;
}

/* --- Numbers and registers --- */

TEST(numbers)
{
	uint64_t value = 1;

	CHECK(number_parse("0", &value) && value == 0);
	CHECK(number_parse("010", &value) && value == 10);
	CHECK(number_parse("0x1F", &value) && value == 31);
	CHECK(number_parse("0xffffffffffffffff", &value) && value == UINT64_MAX);
	CHECK(!number_parse("", &value));
	CHECK(!number_parse("0x", &value));
	CHECK(!number_parse("-1", &value));
	CHECK(!number_parse("1 ", &value));
	CHECK(!number_parse("1f", &value));
	CHECK(!number_parse("0x10000000000000000", &value));
	CHECK_EQ(value, UINT64_MAX);
}

static const struct userpci_register names[] = {
	{ .offset = 0x00, .width = 4, .name = "CTRL" },
	{ .offset = 0x10, .width = 8, .name = "DMA" },
	{ .offset = 0x40, .width = 4, .name = "RAL", .count = 3, .stride = 8 },
	{ .offset = 0x04, .width = 2, .name = "BELL", .region = 2 },
	{ .name = NULL },
};

static const struct place_defaults defaults = { .names = names, .region = -1 };

static struct place good(const char *word)
{
	struct place place;
	const char *wrong = place_parse(word, &defaults, &place);

	if (wrong)
		HARNESS_FAIL("%s: %s", word, wrong);
	return place;
}

static const char *bad(const char *word)
{
	struct place place;
	const char *wrong = place_parse(word, &defaults, &place);

	if (!wrong)
		HARNESS_FAIL("%s is taken", word);
	return wrong;
}

static void check_place(const char *word, unsigned int region, uint64_t offset, unsigned int width)
{
	struct place place = good(word);

	if (place.region != region || place.offset != offset || place.width != width)
		HARNESS_FAIL("%s is region %u, offset %" PRIu64 ", width %u", word, place.region,
			     place.offset, place.width);
}

TEST(places)
{
	check_place("0x10", 0, 0x10, 4);
	check_place("16.b", 0, 16, 1);
	check_place("16.w", 0, 16, 2);
	check_place("16.l", 0, 16, 4);
	check_place("16.q", 0, 16, 8);
	check_place("5:0x1f8", 5, 0x1f8, 4);
	check_place("config:4.w", PLACE_CONFIG, 4, 2);
	check_place("config:COMMAND", PLACE_CONFIG, 4, 2);
	check_place("CTRL", 0, 0, 4);
	check_place("ctrl.b", 0, 0, 1);
	check_place("DMA", 0, 0x10, 8);
	check_place("RAL[2]", 0, 0x50, 4);
	check_place("BELL", 2, 4, 2);
	check_place("2:BELL", 2, 4, 2);
	CHECK_STR(good("0x48").name, "RAL[1]");
	CHECK_STR(good("0x44").name, "");
	CHECK_STR(good("config:0").name, "VENDOR_ID");
}

TEST(places_with_values)
{
	struct place place = good("CTRL=5");

	CHECK(place.write);
	CHECK_EQ(place.value, 5);
	CHECK_EQ(place.mask, 0xffffffff);
	place = good("2:0x8.b=0x40:0xc0");
	CHECK_EQ(place.value, 0x40);
	CHECK_EQ(place.mask, 0xc0);
	CHECK_EQ(good("DMA=0xffffffffffffffff").value, UINT64_MAX);
	CHECK(!good("CTRL").write);
}

TEST(places_refused)
{
	static const char *const words[] = {
		"",
		"=",
		"=5",
		"6:0",
		"9:0",
		"x:0",
		"-1",
		"0x",
		"0:",
		"0:.b",
		"CTR",
		"CTRL[0]",
		"RAL",
		"RAL[3]",
		"RAL[",
		"RAL[]",
		"RAL[x]",
		"RAL[-1]",
		"0x10.x",
		"0=",
		"0=x",
		"0.b=256",
		"0.w=65536",
		"CTRL=0:0x",
		"CTRL=1:x",
		"1:CTRL",
		"CTRL ",
		" CTRL",
		"config:NO",
		"0=1:0x100000000",
		"0x11111111111111111111111111111111111111111111111111",
		"RAL[1111111111111111111111111111111111111111111111111]",
		"0=1111111111111111111111111111111111111111111111111111",
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		CHECK(bad(words[i])[0]);
}

TEST(places_by_default)
{
	const struct place_defaults chosen = { .names = names, .region = 2, .width = 1 };
	struct place place;

	CHECK(!place_parse("4", &chosen, &place));
	CHECK_EQ(place.region, 2);
	CHECK_EQ(place.width, 1);
	CHECK(!place_parse("4.l", &chosen, &place));
	CHECK_EQ(place.width, 4);
	CHECK(!place_parse("0:4", &chosen, &place));
	CHECK_EQ(place.region, 0);
	CHECK(place_parse("CTRL", &chosen, &place)); /* which is in region 0 */
}

TEST(places_in_words)
{
	char text[PLACE_TEXT_SIZE];
	struct place place = good("RAL[1]");

	CHECK_STR(place_text(&place, text), "BAR0 RAL[1] (0x0048)");
	place = good("3:0x8");
	CHECK_STR(place_text(&place, text), "BAR3 0x0008");
	place = good("config:0x10c");
	CHECK_STR(place_text(&place, text), "config 0x10c");
}

/* --- Capabilities --- */

struct space {
	uint8_t bytes[4096];
	unsigned int size; /* that can be read */
};

static int space_read(void *context, unsigned int offset, unsigned int width, uint32_t *value)
{
	const struct space *space = context;

	CHECK(width == 1 || width == 2 || width == 4);
	CHECK_EQ(offset % width, 0);
	if (offset + width > space->size)
		return -EACCES;
	*value = 0;
	memcpy(value, space->bytes + offset, width);
	return 0;
}

static void put(struct space *space, unsigned int offset, unsigned int width, uint32_t value)
{
	memcpy(space->bytes + offset, &value, width);
}

static struct space *space_new(unsigned int size)
{
	static struct space space;

	memset(&space, 0, sizeof(space));
	space.size = size;
	put(&space, PCI_VENDOR_ID, 4, 0x10d38086);
	put(&space, PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
	return &space;
}

static void capability(struct space *space, unsigned int at, unsigned int id, unsigned int next)
{
	put(space, at, 1, id);
	put(space, at + 1, 1, next);
}

static void extended(struct space *space, unsigned int at, unsigned int id, unsigned int version,
		     unsigned int next)
{
	put(space, at, 4, id | version << 16 | next << 20);
}

static struct config config_of(struct space *space)
{
	return (struct config){ .read = space_read, .context = space };
}

static const struct cap_field *field(const struct cap *cap, const char *key)
{
	for (size_t i = 0; i < cap->count; i++)
		if (!strcmp(cap->fields[i].key, key))
			return &cap->fields[i];
	HARNESS_FAIL("%s has no %s", cap->name, key);
}

static uint64_t number(const struct cap *cap, const char *key)
{
	CHECK(field(cap, key)->kind != CAP_TEXT);
	return field(cap, key)->number;
}

static const char *text(const struct cap *cap, const char *key)
{
	CHECK_EQ(field(cap, key)->kind, CAP_TEXT);
	return field(cap, key)->text;
}

TEST(caps_none)
{
	struct space *space = space_new(256);
	struct config config = config_of(space);
	struct cap cap = { 0 };

	put(space, PCI_STATUS, 2, 0);
	put(space, PCI_CAPABILITY_LIST, 1, 0x40); /* means nothing then */
	CHECK_EQ(caps_next(&config, &cap), 0);
}

TEST(caps_old)
{
	struct space *space = space_new(256);
	struct config config = config_of(space);
	struct cap cap = { 0 };

	put(space, PCI_CAPABILITY_LIST, 1, 0x43); /* the two lowest bits are reserved */
	capability(space, 0x40, PCI_CAP_ID_PM, 0x50);
	put(space, 0x42, 2, 3 | PCI_PM_CAP_D1 | 2 << 6 | 0x11 << PCI_PM_CAP_PME_SHIFT);
	put(space, 0x44, 2, 3 | PCI_PM_CTRL_NO_SOFT_RESET | PCI_PM_CTRL_PME_STATUS);
	capability(space, 0x50, PCI_CAP_ID_MSI, 0x70);
	put(space, 0x52, 2,
	    PCI_MSI_FLAGS_ENABLE | 3 << 1 | 2 << 4 | PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT);
	put(space, 0x54, 4, 0xfee01000);
	put(space, 0x58, 4, 1);
	put(space, 0x5c, 2, 0x4041);
	put(space, 0x60, 4, 0x80000001);
	capability(space, 0x70, PCI_CAP_ID_MSIX, 0x80);
	put(space, 0x72, 2, PCI_MSIX_FLAGS_ENABLE | 4);
	put(space, 0x74, 4, 0x2003);
	put(space, 0x78, 4, 0x3004);
	capability(space, 0x80, 0x1f, 0);

	CHECK_EQ(caps_next(&config, &cap), 1);
	CHECK_EQ(cap.offset, 0x40);
	CHECK_STR(cap.name, "Power Management");
	CHECK_EQ(number(&cap, "version"), 3);
	CHECK_STR(text(&cap, "state"), "D3hot");
	CHECK_STR(text(&cap, "pme_from"), "D0 D3cold");
	CHECK_EQ(number(&cap, "aux_current_ma"), 100);
	CHECK(number(&cap, "d1") && !number(&cap, "d2"));
	CHECK(!number(&cap, "soft_reset") && number(&cap, "pme"));

	CHECK_EQ(caps_next(&config, &cap), 1);
	CHECK_STR(cap.name, "MSI");
	CHECK(number(&cap, "enabled"));
	CHECK_EQ(number(&cap, "vectors"), 8);
	CHECK_EQ(number(&cap, "vectors_enabled"), 4);
	CHECK_STR(text(&cap, "address"), "0x00000001fee01000");
	CHECK_STR(text(&cap, "data"), "0x4041");
	CHECK_STR(text(&cap, "mask"), "0x80000001");

	CHECK_EQ(caps_next(&config, &cap), 1);
	CHECK_STR(cap.name, "MSI-X");
	CHECK_EQ(number(&cap, "vectors"), 5);
	CHECK_EQ(number(&cap, "table_bar"), 3);
	CHECK_STR(text(&cap, "table_offset"), "0x00002000");
	CHECK_EQ(number(&cap, "pba_bar"), 4);

	CHECK_EQ(caps_next(&config, &cap), 1);
	CHECK_STR(cap.name, "capability 0x1f");
	CHECK_EQ(cap.count, 0);
	CHECK_EQ(caps_next(&config, &cap), 0); /* and no list of PCI Express: beyond the end */
}

TEST(caps_express)
{
	struct space *space = space_new(4096);
	struct config config = config_of(space);
	struct cap cap = { 0 };

	put(space, PCI_CAPABILITY_LIST, 1, 0x40);
	capability(space, 0x40, PCI_CAP_ID_EXP, 0);
	put(space, 0x42, 2, 2 | PCI_EXP_TYPE_ROOT_PORT << 4 | PCI_EXP_FLAGS_SLOT);
	put(space, 0x44, 4, 2 | PCI_EXP_DEVCAP_FLR);
	put(space, 0x48, 2, 1 << 5 | 2 << 12 | 0x5);
	put(space, 0x4a, 2, 0x8 | PCI_EXP_DEVSTA_TRPND);
	put(space, 0x4c, 4, 4 | 16 << 4 | 3 << 10 | 7u << 24);
	put(space, 0x52, 2, 3 | 8 << 4);
	put(space, 0x54, 4, PCI_EXP_SLTCAP_HPC | 9u << 19);
	put(space, 0x5a, 2, PCI_EXP_SLTSTA_PDS);
	put(space, 0x64, 4, PCI_EXP_DEVCAP2_ARI);

	CHECK_EQ(caps_next(&config, &cap), 1);
	CHECK_STR(text(&cap, "type"), "root port");
	CHECK(number(&cap, "flr"));
	CHECK_EQ(number(&cap, "max_payload_supported"), 512);
	CHECK_EQ(number(&cap, "max_payload"), 256);
	CHECK_EQ(number(&cap, "max_read_request"), 512);
	CHECK_STR(text(&cap, "errors_reported"), "correctable fatal");
	CHECK_STR(text(&cap, "errors_seen"), "unsupported");
	CHECK(number(&cap, "transactions_pending"));
	CHECK_STR(text(&cap, "speed_supported"), "16 GT/s");
	CHECK_EQ(number(&cap, "width_supported"), 16);
	CHECK_STR(text(&cap, "speed"), "8 GT/s");
	CHECK_EQ(number(&cap, "width"), 8);
	CHECK_STR(text(&cap, "aspm_supported"), "L0s L1");
	CHECK_EQ(number(&cap, "port"), 7);
	CHECK_EQ(number(&cap, "slot"), 9);
	CHECK(number(&cap, "card") && number(&cap, "hot_plug") && !number(&cap, "surprise"));
	CHECK(number(&cap, "ari_supported"));
	CHECK_EQ(caps_next(&config, &cap), 0);
}

TEST(caps_extended)
{
	struct space *space = space_new(4096);
	struct config config = config_of(space);
	struct cap cap = { 0 };

	extended(space, 0x100, PCI_EXT_CAP_ID_ERR, 2, 0x140);
	put(space, 0x104, 4, 1 << 20 | 1 << 14);
	put(space, 0x108, 4, 1 << 22);
	put(space, 0x10c, 4, 1 << 4);
	put(space, 0x110, 4, 1 << 6 | 1);
	put(space, 0x118, 4, 20);
	put(space, 0x11c, 4, 0x12345678);
	extended(space, 0x140, PCI_EXT_CAP_ID_SRIOV, 1, 0x200);
	put(space, 0x148, 2, PCI_SRIOV_CTRL_VFE | PCI_SRIOV_CTRL_MSE);
	put(space, 0x14c, 2, 8);
	put(space, 0x14e, 2, 7);
	put(space, 0x150, 2, 6);
	put(space, 0x154, 2, 0x80);
	put(space, 0x156, 2, 2);
	put(space, 0x15a, 2, 0x10ca);
	extended(space, 0x200, PCI_EXT_CAP_ID_DSN, 1, 0x300);
	put(space, 0x204, 4, 0xff563412);
	put(space, 0x208, 4, 0x525400ff);
	extended(space, 0x300, 0x7ff, 3, 0);

	CHECK_EQ(caps_next(&config, &cap), 1);
	CHECK(cap.extended);
	CHECK_STR(cap.name, "Advanced Error Reporting");
	CHECK_STR(text(&cap, "uncorrectable"), "completion-timeout unsupported");
	CHECK_STR(text(&cap, "uncorrectable_masked"), "internal");
	CHECK_STR(text(&cap, "fatal"), "data-link");
	CHECK_STR(text(&cap, "correctable"), "receiver bad-tlp");
	CHECK_EQ(number(&cap, "first_error"), 20);
	CHECK_STR(text(&cap, "header"), "12345678 00000000 00000000 00000000");

	CHECK_EQ(caps_next(&config, &cap), 1);
	CHECK_STR(cap.name, "SR-IOV");
	CHECK(number(&cap, "enabled") && number(&cap, "memory") && !number(&cap, "ari"));
	CHECK_EQ(number(&cap, "vfs_initial"), 8);
	CHECK_EQ(number(&cap, "vfs_total"), 7);
	CHECK_EQ(number(&cap, "vfs"), 6);
	CHECK_EQ(number(&cap, "vf_offset"), 0x80);
	CHECK_EQ(number(&cap, "vf_stride"), 2);
	CHECK_STR(text(&cap, "vf_device"), "10ca");

	CHECK_EQ(caps_next(&config, &cap), 1);
	CHECK_STR(text(&cap, "serial"), "52-54-00-ff-ff-56-34-12");
	CHECK_EQ(caps_next(&config, &cap), 1);
	CHECK_STR(cap.name, "capability 0x7ff");
	CHECK_EQ(cap.version, 3);
	CHECK_EQ(caps_next(&config, &cap), 0);
}

/* A device may say anything: the walk ends, and reads where it may. */
TEST(caps_broken)
{
	struct space *space = space_new(4096);
	struct config config = config_of(space);
	struct cap cap = { 0 };
	int got, steps = 0;

	put(space, PCI_CAPABILITY_LIST, 1, 0x40);
	capability(space, 0x40, PCI_CAP_ID_PM, 0x40);
	while ((got = caps_next(&config, &cap)) == 1)
		CHECK(steps++ < 100);
	CHECK_EQ(got, -EIO);

	capability(space, 0x40, PCI_CAP_ID_PM, 0);
	extended(space, 0x100, PCI_EXT_CAP_ID_DSN, 1, 0x100);
	memset(&cap, 0, sizeof(cap));
	for (steps = 0; (got = caps_next(&config, &cap)) == 1; steps++)
		CHECK(steps < 2000);
	CHECK_EQ(got, -EIO);

	/* Each value of each byte behind the header: fields at the very end, too. */
	for (unsigned int value = 0; value < 256; value++) {
		memset(space->bytes + PCI_CAPABILITY_LIST, (int)value,
		       sizeof(space->bytes) - PCI_CAPABILITY_LIST);
		memset(&cap, 0, sizeof(cap));
		for (steps = 0; (got = caps_next(&config, &cap)) == 1; steps++)
			CHECK(steps < 2000);
	}
}

/* Who is not root reads 64 bytes in sysfs. */
TEST(caps_unreadable)
{
	struct space *space = space_new(64);
	struct config config = config_of(space);
	struct cap cap = { 0 };

	put(space, PCI_CAPABILITY_LIST, 1, 0x40);
	CHECK_EQ(caps_next(&config, &cap), -EACCES);
}

/* --- Vital product data --- */

static const char vpd[] = "\x82\x05\x00"
			  "Board"
			  "\x90\x18\x00"
			  "PN\x04"
			  "A-1 "
			  "SN\x03"
			  "123"
			  "V0\x02"
			  "\x01z"
			  "RV\x03"
			  "\x55\0\0"
			  "\x91\x08\x00"
			  "YA\x02"
			  "zz"
			  "RW\x00"
			  "\x78";

TEST(vpd_items)
{
	struct vpd_item item = { .next = 0 };
	const uint8_t *data = (const uint8_t *)vpd;

	CHECK(vpd_next(data, sizeof(vpd), &item));
	CHECK_STR(item.key, "product");
	CHECK_STR(item.text, "Board");
	CHECK(vpd_next(data, sizeof(vpd), &item));
	CHECK_STR(item.key, "part_number");
	CHECK_STR(item.text, "A-1");
	CHECK(vpd_next(data, sizeof(vpd), &item));
	CHECK_STR(item.key, "serial_number");
	CHECK_STR(item.text, "123");
	CHECK(vpd_next(data, sizeof(vpd), &item));
	CHECK_STR(item.key, "keyword_V0");
	CHECK_STR(item.text, "?z");
	CHECK(vpd_next(data, sizeof(vpd), &item));
	CHECK_STR(item.key, "asset_tag");
	CHECK(!vpd_next(data, sizeof(vpd), &item));
}

/* Cut off anywhere, and with any byte wrong: it ends, and reads inside. */
TEST(vpd_damaged)
{
	struct vpd_item item;
	uint8_t *data;

	for (size_t size = 0; size < sizeof(vpd); size++) {
		data = malloc(size ? size : 1); /* so that a sanitizer sees a read beyond */
		CHECK(data);
		memcpy(data, vpd, size);
		item = (struct vpd_item){ .next = 0 };
		for (int i = 0; vpd_next(data, size, &item); i++)
			CHECK(i < 100);
		for (size_t at = 0; at < size; at++)
			for (unsigned int value = 0; value < 256; value += 5) {
				memcpy(data, vpd, size);
				data[at] = (uint8_t)value;
				item = (struct vpd_item){ .next = 0 };
				for (int i = 0; vpd_next(data, size, &item); i++)
					CHECK(i < 100);
			}
		free(data);
	}
}

TEST(caps_vpd)
{
	struct space *space = space_new(256);
	struct config config = config_of(space);
	struct cap cap = { 0 };

	put(space, PCI_CAPABILITY_LIST, 1, 0x40);
	capability(space, 0x40, PCI_CAP_ID_VPD, 0);
	config.vpd = (const uint8_t *)vpd;
	config.vpd_size = sizeof(vpd);
	CHECK_EQ(caps_next(&config, &cap), 1);
	CHECK_STR(text(&cap, "product"), "Board");
	CHECK_STR(text(&cap, "serial_number"), "123");
}

/* --- Dumps --- */

#define HEAD "# userpci dump qemu:edu 1234:11e8 BAR0\n"

static int open_dump(struct dump_file *dump, const char *content)
{
	static char path[PATH_MAX];

	write_text("dump", content);
	snprintf(path, sizeof(path), "%s", scratch("dump"));
	return dump_open(dump, path);
}

static void check_next(struct dump_file *dump, uint64_t offset, unsigned int width, uint64_t value)
{
	struct place place;

	CHECK_EQ(dump_next(dump, &place), 1);
	CHECK_EQ(place.offset, offset);
	CHECK_EQ(place.width, width);
	CHECK_EQ(place.value, value);
}

TEST(dump_reads)
{
	struct dump_file dump;
	struct place place;

	CHECK_EQ(open_dump(&dump, HEAD "00000000: 00000001 00000002 00000003 00000004\n"
				       "*\n"
				       "00000030: 0000000f 00000010\n"
				       "00000038 NAME: 0000000000000011\n"),
		 0);
	CHECK_EQ(dump.region, 0);
	CHECK_STR(dump.id, "1234:11e8");
	for (unsigned int i = 0; i < 12; i++)
		check_next(&dump, 4 * i, 4, i % 4 + 1);
	check_next(&dump, 0x30, 4, 15);
	check_next(&dump, 0x34, 4, 16);
	CHECK_EQ(dump_next(&dump, &place), 1);
	CHECK_STR(place.name, "NAME");
	CHECK_EQ(place.width, 8);
	CHECK_EQ(place.value, 17);
	CHECK_EQ(dump_next(&dump, &place), 0);
	CHECK_EQ(dump_next(&dump, &place), 0);
	dump_close(&dump);
	scratch_end();
}

TEST(dump_refuses)
{
	static const char *const contents[] = {
		"00000000 00000001\n",
		"0000000g: 00000001\n",
		"00000000:00000001\n",
		"00000000: 001\n",
		"00000000: 00000001 0001\n",
		"00000000: 00000001",
		"00000000:\n",
		"00000000: 1 2\n",
		"00000001: 00000001\n",
		"*\n00000000: 00000001\n",
		"00000000: 00000001\n*\n",
		"00000000: 00000001\n*\n*\n",
		"00000000: 00000001 00000002\n*\n0000000c: 00000001\n",
		"00000010: 00000001\n00000000: 00000001\n",
		"00000000: 00000001\n00000000: 00000001\n",
		"00000000: 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f 10\n",
		"ffffffffffffffff: 00\n",
		"11111111111111111: 00\n",
		"00000000 : 00\n",
		"00000000 A-NAME-THAT-IS-MUCH-LONGER-THAN-ANY-REGISTER-CAN-EVER-HAVE: 00\n",
	};
	char all[512];
	struct dump_file dump;
	struct place place;
	int got;

	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		snprintf(all, sizeof(all), HEAD "%s", contents[i]);
		CHECK_EQ(open_dump(&dump, all), 0);
		for (int n = 0; (got = dump_next(&dump, &place)) == 1; n++)
			CHECK(n < 100);
		if (got != -EINVAL)
			HARNESS_FAIL("it is taken: %s", contents[i]);
		dump_close(&dump);
	}
	CHECK_EQ(open_dump(&dump, ""), -EINVAL);
	CHECK_EQ(open_dump(&dump, "\n"), -EINVAL);
	CHECK_EQ(open_dump(&dump, "# userpci dump x 1234:11e8 BAR7\n"), -EINVAL);
	CHECK_EQ(open_dump(&dump, "# userpci dump x 1234:11e8 BAR0 and more\n"), -EINVAL);
	CHECK_EQ(dump_open(&dump, "/nonexistent/dump"), -ENOENT);
	CHECK_EQ(dump_open(&dump, "/"), -EISDIR);
	scratch_end();
}

static void print_dump(void)
{
	struct dump_lines lines = { .count = 0 };
	struct place place = { .width = 4 };

	for (unsigned int i = 0; i < 5 * 4; i++) {
		place.offset = 4 * i;
		dump_print(&lines, &place, i / 4 == 4 ? 9 : i / 4 == 0 ? i : 7);
	}
	dump_print_end(&lines);
}

/* Lines alike are one, but the last is there whatever it is; and it reads back. */
TEST(dump_prints)
{
	struct dump_file dump;
	const char *said = printed(print_dump);
	char all[1024];

	CHECK_STR(said, "00000000: 00000000 00000001 00000002 00000003\n"
			"00000010: 00000007 00000007 00000007 00000007\n"
			"*\n"
			"00000040: 00000009 00000009 00000009 00000009\n");
	snprintf(all, sizeof(all), HEAD "%s", said);
	CHECK_EQ(open_dump(&dump, all), 0);
	for (unsigned int i = 0; i < 20; i++)
		check_next(&dump, 4 * i, 4, i / 4 == 4 ? 9 : i / 4 == 0 ? i : 7);
	dump_close(&dump);
	scratch_end();
}

/* --- JSON --- */

static void print_values(void)
{
	struct json json = { 0 };

	json_object(&json, NULL);
	json_text(&json, "a", "\"\\\n\x1b\x7f");
	json_text(&json, "b", NULL);
	json_array(&json, "c");
	json_number(&json, NULL, UINT64_MAX);
	json_signed(&json, NULL, -1);
	json_array(&json, NULL);
	json_array_end(&json);
	json_array_end(&json);
	json_object(&json, "d");
	json_bool(&json, "e", true);
	json_object_end(&json);
	json_hex(&json, "f", 0xab, 2);
	json_decimal(&json, "g", 1.5);
	json_object_end(&json);
	json_object(&json, NULL);
	json_object_end(&json);
}

TEST(json_values)
{
	CHECK_STR(printed(print_values),
		  "{\"a\":\"\\\"\\\\\\u000a\\u001b\\u007f\",\"b\":null,\"c\":[18446744073709551615,"
		  "-1,[]],\"d\":{\"e\":true},\"f\":\"0x00ab\",\"g\":1.500}\n{}\n");
	scratch_end();
}

static void print_utf8(void)
{
	json_quote("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"); /* good */
	json_quote("\xe9|\xc0\xaf|\xed\xa0\x80|\xf5\x80\x80\x80|\xe2\x82");
}

TEST(json_replaces_what_is_no_utf8)
{
	CHECK_STR(printed(print_utf8),
		  "\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""
		  "\"\\ufffd|\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd|\\ufffd\\ufffd\\ufffd\\ufffd|"
		  "\\ufffd\\ufffd\"");
	scratch_end();
}

/* --- What the system says --- */

#define ADDRESS "0000:00:04.0"
#define DEVICE	"sys/bus/pci/devices/" ADDRESS "/"

static struct bind_env fake_env(void)
{
	static char sys[PATH_MAX], proc[PATH_MAX];

	snprintf(sys, sizeof(sys), "%s", scratch("sys"));
	snprintf(proc, sizeof(proc), "%s", scratch("proc"));
	return (struct bind_env){
		.sys = sys, .proc = proc, .dev = "/nowhere", .state = "/nowhere"
	};
}

TEST(modules_by_alias)
{
	struct bind_device devices[2] = { { .address = ADDRESS }, { .address = "0000:00:05.0" } };
	struct bind_env env = fake_env();
	char names_of[2][MODULES_SIZE];

	write_text(DEVICE "modalias", "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00\n");
	write_text("alias", "# Aliases extracted from modules themselves.\n"
			    "alias pci:v00008086d0000100Esv*sd*bc*sc*i* e1000\n"
			    "alias pci:v00008086d0000100Esv*sd*bc*sc*i* e1000\n"
			    "alias pci:v00008086d0000100Fsv*sd*bc*sc*i* other\n"
			    "alias usb:v8086p100E* usb\n"
			    "alias pci:v*d*sv*sd*bc02sc00i* any_net\n"
			    "alias broken\n");
	modules_find(&env, scratch("alias"), devices, 2, names_of);
	CHECK_STR(names_of[0], "e1000 any_net");
	CHECK_STR(names_of[1], "");
	modules_find(&env, "/nonexistent", devices, 2, names_of);
	CHECK_STR(names_of[0], "");
	scratch_end();
}

TEST(interrupts_of_messages)
{
	struct bind_env env = fake_env();
	struct interrupts found;

	write_text(DEVICE "irq", "11\n");
	write_text(DEVICE "msi_irqs/124", "msix\n");
	write_text(DEVICE "msi_irqs/25", "msix\n");
	write_text("proc/interrupts",
		   "           CPU0       CPU1\n"
		   "  11:          7          0   IO-APIC   11-fasteoi   shared\n"
		   "  25:          1          2   PCI-MSI 65537-edge      3com 5\n"
		   " 124:         30          3   PCI-MSI 65536-edge      eth0\n"
		   " NMI:          9          9   Non-maskable interrupts\n");
	interrupts_read(&env, ADDRESS, &found);
	CHECK_STR(found.kind, "MSI-X");
	CHECK_EQ(found.count, 2);
	CHECK_EQ(found.totals[0], 3);
	CHECK_EQ(found.totals[1], 33);
	free(found.totals);
	scratch_end();
}

TEST(interrupts_of_a_line)
{
	struct bind_env env = fake_env();
	struct interrupts found;

	write_text(DEVICE "irq", "11\n");
	write_text("proc/interrupts", "  11:  7  5  IO-APIC  11-fasteoi  e1000\n");
	interrupts_read(&env, ADDRESS, &found);
	CHECK_STR(found.kind, "INTx");
	CHECK_EQ(found.totals[0], 12);
	free(found.totals);
	/* Nobody has asked for it. */
	write_text("proc/interrupts", "  12:  7  5  IO-APIC  11-fasteoi  e1000\n");
	interrupts_read(&env, ADDRESS, &found);
	CHECK(!found.kind && !found.totals);
	scratch_end();
}

TEST_MAIN
