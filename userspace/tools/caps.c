// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The capabilities in a function's configuration space, in words.
 * Spec: PCI Local Bus 3.0, section 6.7 and appendices H, I; PCI Bus Power Management 1.2, section
 * 3.2; PCI Express Base 4.0, section 7; Virtio 1.1, section 4.1.4.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "caps.h"
#include "vpd.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- Fields --- */

static struct cap_field *add(struct cap *cap, const char *key, enum cap_kind kind)
{
	struct cap_field *field = &cap->fields[cap->count < CAP_FIELDS ? cap->count++ : 0];

	*field = (struct cap_field){ .kind = kind };
	snprintf(field->key, sizeof(field->key), "%s", key);
	return field;
}

static void add_number(struct cap *cap, const char *key, uint64_t value)
{
	add(cap, key, CAP_NUMBER)->number = value;
}

static void add_bool(struct cap *cap, const char *key, bool value)
{
	add(cap, key, CAP_BOOL)->number = value;
}

__attribute__((format(printf, 3, 4))) static void add_text(struct cap *cap, const char *key,
							   const char *format, ...)
{
	struct cap_field *field = add(cap, key, CAP_TEXT);
	va_list args;

	va_start(args, format);
	vsnprintf(field->text, sizeof(field->text), format, args);
	va_end(args);
}

/* The names of the bits that are set, divided by blanks; "none". A NULL name is no bit. */
static void add_bits(struct cap *cap, const char *key, uint32_t value, const char *const *names,
		     size_t count)
{
	struct cap_field *field = add(cap, key, CAP_TEXT);
	size_t length = 0;

	for (size_t i = 0; i < count; i++)
		if (value >> i & 1 && names[i] && length < sizeof(field->text))
			length += (size_t)snprintf(field->text + length,
						   sizeof(field->text) - length, "%s%s",
						   length ? " " : "", names[i]);
	if (!length)
		snprintf(field->text, sizeof(field->text), "none");
}

static const char *name_of(const char *const *names, size_t count, unsigned int i)
{
	return i < count && names[i] ? names[i] : "reserved";
}

/* All ones, where it cannot be read. */
static uint32_t get(const struct config *config, unsigned int offset, unsigned int width)
{
	uint32_t value;

	if (config->read(config->context, offset, width, &value))
		return width < 4 ? (1u << 8 * width) - 1 : UINT32_MAX;
	return value;
}

/* --- The old list --- */

static void decode_pm(const struct config *config, struct cap *cap)
{
	static const char *const states[] = { "D0", "D1", "D2", "D3hot" };
	static const char *const from[] = { "D0", "D1", "D2", "D3hot", "D3cold" };
	static const unsigned int currents[] = { 0, 55, 100, 160, 220, 270, 320, 375 };
	uint32_t flags = get(config, cap->offset + PCI_PM_PMC, 2);
	uint32_t control = get(config, cap->offset + PCI_PM_CTRL, 2);

	add_number(cap, "version", flags & PCI_PM_CAP_VER_MASK);
	add_text(cap, "state", "%s", states[control & PCI_PM_CTRL_STATE_MASK]);
	add_bool(cap, "d1", flags & PCI_PM_CAP_D1);
	add_bool(cap, "d2", flags & PCI_PM_CAP_D2);
	add_bits(cap, "pme_from", flags >> PCI_PM_CAP_PME_SHIFT, from, COUNT(from));
	add_number(cap, "aux_current_ma", currents[(flags & PCI_PM_CAP_AUX_POWER) >> 6]);
	add_bool(cap, "soft_reset", !(control & PCI_PM_CTRL_NO_SOFT_RESET));
	add_bool(cap, "pme_enabled", control & PCI_PM_CTRL_PME_ENABLE);
	add_bool(cap, "pme", control & PCI_PM_CTRL_PME_STATUS);
}

static void decode_vpd(const struct config *config, struct cap *cap)
{
	struct vpd_item item = { .next = 0 };

	while (config->vpd && vpd_next(config->vpd, config->vpd_size, &item))
		add_text(cap, item.key, "%s", item.text);
}

static void decode_msi(const struct config *config, struct cap *cap)
{
	uint32_t flags = get(config, cap->offset + PCI_MSI_FLAGS, 2);
	bool wide = flags & PCI_MSI_FLAGS_64BIT;
	uint64_t address = get(config, cap->offset + PCI_MSI_ADDRESS_LO, 4);

	if (wide)
		address |= (uint64_t)get(config, cap->offset + PCI_MSI_ADDRESS_HI, 4) << 32;
	add_bool(cap, "enabled", flags & PCI_MSI_FLAGS_ENABLE);
	add_number(cap, "vectors", 1u << ((flags & PCI_MSI_FLAGS_QMASK) >> 1));
	add_number(cap, "vectors_enabled", 1u << ((flags & PCI_MSI_FLAGS_QSIZE) >> 4));
	add_bool(cap, "address_64", wide);
	add_bool(cap, "maskable", flags & PCI_MSI_FLAGS_MASKBIT);
	add_text(cap, "address", "0x%0*" PRIx64, wide ? 16 : 8, address);
	add_text(cap, "data", "0x%04x",
		 get(config, cap->offset + (wide ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2));
	if (!(flags & PCI_MSI_FLAGS_MASKBIT))
		return;
	add_text(cap, "mask", "0x%08x",
		 get(config, cap->offset + (wide ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32), 4));
	add_text(cap, "pending", "0x%08x",
		 get(config, cap->offset + (wide ? PCI_MSI_PENDING_64 : PCI_MSI_PENDING_32), 4));
}

static void decode_msix(const struct config *config, struct cap *cap)
{
	uint32_t flags = get(config, cap->offset + PCI_MSIX_FLAGS, 2);
	uint32_t table = get(config, cap->offset + PCI_MSIX_TABLE, 4);
	uint32_t pba = get(config, cap->offset + PCI_MSIX_PBA, 4);

	add_bool(cap, "enabled", flags & PCI_MSIX_FLAGS_ENABLE);
	add_bool(cap, "masked", flags & PCI_MSIX_FLAGS_MASKALL);
	add_number(cap, "vectors", (flags & PCI_MSIX_FLAGS_QSIZE) + 1);
	add_number(cap, "table_bar", table & PCI_MSIX_TABLE_BIR);
	add_text(cap, "table_offset", "0x%08x", table & PCI_MSIX_TABLE_OFFSET);
	add_number(cap, "pba_bar", pba & PCI_MSIX_PBA_BIR);
	add_text(cap, "pba_offset", "0x%08x", pba & PCI_MSIX_PBA_OFFSET);
}

/* Virtio's own capabilities are vendor specific ones. */
static void decode_vendor(const struct config *config, struct cap *cap)
{
	static const char *const types[] = { NULL,  "common", "notify", "isr",	  "device",
					     "pci", NULL,     NULL,	"shared", "vendor" };
	unsigned int type = get(config, cap->offset + 3, 1);

	add_number(cap, "length", get(config, cap->offset + 2, 1));
	if (get(config, PCI_VENDOR_ID, 2) != 0x1af4 || get(config, PCI_DEVICE_ID, 2) < 0x1000)
		return;
	add_text(cap, "virtio", "%s", name_of(types, COUNT(types), type));
	add_number(cap, "bar", get(config, cap->offset + 4, 1));
	add_text(cap, "offset", "0x%08x", get(config, cap->offset + 8, 4));
	add_text(cap, "size", "0x%08x", get(config, cap->offset + 12, 4));
}

static void decode_af(const struct config *config, struct cap *cap)
{
	uint32_t flags = get(config, cap->offset + PCI_AF_CAP, 1);

	add_bool(cap, "flr", flags & PCI_AF_CAP_FLR);
	add_bool(cap, "transactions_pending",
		 get(config, cap->offset + PCI_AF_STATUS, 1) & PCI_AF_STATUS_TP);
}

static void decode_subsystem(const struct config *config, struct cap *cap)
{
	add_text(cap, "subsystem", "%04x:%04x", get(config, cap->offset + PCI_SSVID_VENDOR_ID, 2),
		 get(config, cap->offset + PCI_SSVID_DEVICE_ID, 2));
}

/* --- PCI Express --- */

static const char *const link_speeds[] = { NULL,      "2.5 GT/s", "5 GT/s", "8 GT/s",
					   "16 GT/s", "32 GT/s",  "64 GT/s" };
static const char *const aspm_names[] = { "off", "L0s", "L1", "L0s L1" };

static void decode_express_device(const struct config *config, struct cap *cap)
{
	static const char *const errors[] = { "correctable", "non-fatal", "fatal", "unsupported" };
	uint32_t can = get(config, cap->offset + PCI_EXP_DEVCAP, 4);
	uint32_t control = get(config, cap->offset + PCI_EXP_DEVCTL, 2);
	uint32_t status = get(config, cap->offset + PCI_EXP_DEVSTA, 2);

	add_bool(cap, "flr", can & PCI_EXP_DEVCAP_FLR);
	add_number(cap, "max_payload_supported", 128u << (can & PCI_EXP_DEVCAP_PAYLOAD));
	add_number(cap, "max_payload", 128u << ((control & PCI_EXP_DEVCTL_PAYLOAD) >> 5));
	add_number(cap, "max_read_request", 128u << ((control & PCI_EXP_DEVCTL_READRQ) >> 12));
	add_bool(cap, "relaxed_ordering", control & PCI_EXP_DEVCTL_RELAX_EN);
	add_bool(cap, "extended_tags", control & PCI_EXP_DEVCTL_EXT_TAG);
	add_bool(cap, "no_snoop", control & PCI_EXP_DEVCTL_NOSNOOP_EN);
	add_bits(cap, "errors_reported", control & 0xf, errors, COUNT(errors));
	add_bits(cap, "errors_seen", status & 0xf, errors, COUNT(errors));
	add_bool(cap, "aux_power", status & PCI_EXP_DEVSTA_AUXPD);
	add_bool(cap, "transactions_pending", status & PCI_EXP_DEVSTA_TRPND);
}

static void decode_express_link(const struct config *config, struct cap *cap)
{
	uint32_t can = get(config, cap->offset + PCI_EXP_LNKCAP, 4);
	uint32_t control = get(config, cap->offset + PCI_EXP_LNKCTL, 2);
	uint32_t status = get(config, cap->offset + PCI_EXP_LNKSTA, 2);

	add_number(cap, "port", can >> 24);
	add_text(cap, "speed_supported", "%s",
		 name_of(link_speeds, COUNT(link_speeds), can & PCI_EXP_LNKCAP_SLS));
	add_number(cap, "width_supported", (can & PCI_EXP_LNKCAP_MLW) >> 4);
	add_text(cap, "speed", "%s",
		 name_of(link_speeds, COUNT(link_speeds), status & PCI_EXP_LNKSTA_CLS));
	add_number(cap, "width", (status & PCI_EXP_LNKSTA_NLW) >> PCI_EXP_LNKSTA_NLW_SHIFT);
	add_text(cap, "aspm_supported", "%s", aspm_names[(can & PCI_EXP_LNKCAP_ASPMS) >> 10]);
	add_text(cap, "aspm", "%s", aspm_names[control & PCI_EXP_LNKCTL_ASPMC]);
	add_bool(cap, "common_clock", control & PCI_EXP_LNKCTL_CCC);
	add_bool(cap, "training", status & PCI_EXP_LNKSTA_LT);
}

static void decode_express_slot(const struct config *config, struct cap *cap)
{
	uint32_t can = get(config, cap->offset + PCI_EXP_SLTCAP, 4);
	uint32_t status = get(config, cap->offset + PCI_EXP_SLTSTA, 2);

	add_number(cap, "slot", can >> 19);
	add_bool(cap, "hot_plug", can & PCI_EXP_SLTCAP_HPC);
	add_bool(cap, "surprise", can & PCI_EXP_SLTCAP_HPS);
	add_bool(cap, "power_control", can & PCI_EXP_SLTCAP_PCP);
	add_bool(cap, "card", status & PCI_EXP_SLTSTA_PDS);
}

static void decode_express_2(const struct config *config, struct cap *cap)
{
	uint32_t can = get(config, cap->offset + PCI_EXP_DEVCAP2, 4);
	uint32_t control = get(config, cap->offset + PCI_EXP_DEVCTL2, 2);

	add_bool(cap, "completion_timeout", !(control & PCI_EXP_DEVCTL2_COMP_TMOUT_DIS));
	add_bool(cap, "ari_supported", can & PCI_EXP_DEVCAP2_ARI);
	add_bool(cap, "ari", control & PCI_EXP_DEVCTL2_ARI);
	add_bool(cap, "ltr_supported", can & PCI_EXP_DEVCAP2_LTR);
	add_bool(cap, "ltr", control & PCI_EXP_DEVCTL2_LTR_EN);
	add_bool(cap, "atomic_requests", control & PCI_EXP_DEVCTL2_ATOMIC_REQ);
}

static void decode_express(const struct config *config, struct cap *cap)
{
	static const char *const types[] = {
		[PCI_EXP_TYPE_ENDPOINT] = "endpoint",
		[PCI_EXP_TYPE_LEG_END] = "legacy endpoint",
		[PCI_EXP_TYPE_ROOT_PORT] = "root port",
		[PCI_EXP_TYPE_UPSTREAM] = "upstream port",
		[PCI_EXP_TYPE_DOWNSTREAM] = "downstream port",
		[PCI_EXP_TYPE_PCI_BRIDGE] = "bridge to PCI",
		[PCI_EXP_TYPE_PCIE_BRIDGE] = "bridge from PCI",
		[PCI_EXP_TYPE_RC_END] = "integrated endpoint",
		[PCI_EXP_TYPE_RC_EC] = "event collector",
	};
	uint32_t flags = get(config, cap->offset + PCI_EXP_FLAGS, 2);
	unsigned int type = (flags & PCI_EXP_FLAGS_TYPE) >> 4;

	add_number(cap, "version", flags & PCI_EXP_FLAGS_VERS);
	add_text(cap, "type", "%s", name_of(types, COUNT(types), type));
	decode_express_device(config, cap);
	if (type != PCI_EXP_TYPE_RC_END && type != PCI_EXP_TYPE_RC_EC)
		decode_express_link(config, cap);
	if (flags & PCI_EXP_FLAGS_SLOT)
		decode_express_slot(config, cap);
	if ((flags & PCI_EXP_FLAGS_VERS) >= 2)
		decode_express_2(config, cap);
}

/* --- The extended list --- */

static const char *const uncorrectable[] = {
	[4] = "data-link",
	[5] = "surprise-down",
	[12] = "poisoned",
	[13] = "flow-control",
	[14] = "completion-timeout",
	[15] = "completer-abort",
	[16] = "unexpected-completion",
	[17] = "overflow",
	[18] = "malformed",
	[19] = "ecrc",
	[20] = "unsupported",
	[21] = "acs",
	[22] = "internal",
	[23] = "multicast",
	[24] = "atomic",
	[25] = "prefix",
};

static const char *const correctable[] = {
	[0] = "receiver",	 [6] = "bad-tlp",    [7] = "bad-dllp",	[8] = "rollover",
	[12] = "replay-timeout", [13] = "non-fatal", [14] = "internal", [15] = "log-overflow",
};

static void decode_aer(const struct config *config, struct cap *cap)
{
	uint32_t seen = get(config, cap->offset + PCI_ERR_UNCOR_STATUS, 4);

	add_bits(cap, "uncorrectable", seen, uncorrectable, COUNT(uncorrectable));
	add_bits(cap, "uncorrectable_masked", get(config, cap->offset + PCI_ERR_UNCOR_MASK, 4),
		 uncorrectable, COUNT(uncorrectable));
	add_bits(cap, "fatal", get(config, cap->offset + PCI_ERR_UNCOR_SEVER, 4), uncorrectable,
		 COUNT(uncorrectable));
	add_bits(cap, "correctable", get(config, cap->offset + PCI_ERR_COR_STATUS, 4), correctable,
		 COUNT(correctable));
	add_bits(cap, "correctable_masked", get(config, cap->offset + PCI_ERR_COR_MASK, 4),
		 correctable, COUNT(correctable));
	if (!seen)
		return;
	add_number(cap, "first_error", PCI_ERR_CAP_FEP(get(config, cap->offset + PCI_ERR_CAP, 4)));
	add_text(cap, "header", "%08x %08x %08x %08x",
		 get(config, cap->offset + PCI_ERR_HEADER_LOG, 4),
		 get(config, cap->offset + PCI_ERR_HEADER_LOG + 4, 4),
		 get(config, cap->offset + PCI_ERR_HEADER_LOG + 8, 4),
		 get(config, cap->offset + PCI_ERR_HEADER_LOG + 12, 4));
}

static void decode_sriov(const struct config *config, struct cap *cap)
{
	uint32_t control = get(config, cap->offset + PCI_SRIOV_CTRL, 2);

	add_bool(cap, "enabled", control & PCI_SRIOV_CTRL_VFE);
	add_bool(cap, "memory", control & PCI_SRIOV_CTRL_MSE);
	add_bool(cap, "ari", control & PCI_SRIOV_CTRL_ARI);
	add_number(cap, "vfs", get(config, cap->offset + PCI_SRIOV_NUM_VF, 2));
	add_number(cap, "vfs_initial", get(config, cap->offset + PCI_SRIOV_INITIAL_VF, 2));
	add_number(cap, "vfs_total", get(config, cap->offset + PCI_SRIOV_TOTAL_VF, 2));
	add_number(cap, "vf_offset", get(config, cap->offset + PCI_SRIOV_VF_OFFSET, 2));
	add_number(cap, "vf_stride", get(config, cap->offset + PCI_SRIOV_VF_STRIDE, 2));
	add_text(cap, "vf_device", "%04x", get(config, cap->offset + PCI_SRIOV_VF_DID, 2));
	/* A bit for each power of two, from 4 KiB on. */
	add_text(cap, "page_sizes", "0x%08x", get(config, cap->offset + PCI_SRIOV_SUP_PGSIZE, 4));
	add_text(cap, "page_size", "0x%08x", get(config, cap->offset + PCI_SRIOV_SYS_PGSIZE, 4));
}

static void decode_serial(const struct config *config, struct cap *cap)
{
	uint32_t low = get(config, cap->offset + 4, 4), high = get(config, cap->offset + 8, 4);

	add_text(cap, "serial", "%02x-%02x-%02x-%02x-%02x-%02x-%02x-%02x", high >> 24,
		 high >> 16 & 0xff, high >> 8 & 0xff, high & 0xff, low >> 24, low >> 16 & 0xff,
		 low >> 8 & 0xff, low & 0xff);
}

static void decode_ari(const struct config *config, struct cap *cap)
{
	add_number(cap, "next_function", get(config, cap->offset + PCI_ARI_CAP + 1, 1));
}

static const struct {
	bool extended;
	unsigned int id;
	const char *name;
	void (*decode)(const struct config *config, struct cap *cap); /* NULL: the name is all */
} kinds[] = {
	{ false, PCI_CAP_ID_PM, "Power Management", decode_pm },
	{ false, PCI_CAP_ID_AGP, "AGP", NULL },
	{ false, PCI_CAP_ID_VPD, "Vital Product Data", decode_vpd },
	{ false, PCI_CAP_ID_SLOTID, "Slot Identification", NULL },
	{ false, PCI_CAP_ID_MSI, "MSI", decode_msi },
	{ false, PCI_CAP_ID_CHSWP, "CompactPCI Hot Swap", NULL },
	{ false, PCI_CAP_ID_PCIX, "PCI-X", NULL },
	{ false, PCI_CAP_ID_HT, "HyperTransport", NULL },
	{ false, PCI_CAP_ID_VNDR, "Vendor Specific", decode_vendor },
	{ false, PCI_CAP_ID_DBG, "Debug Port", NULL },
	{ false, PCI_CAP_ID_CCRC, "CompactPCI Resource Control", NULL },
	{ false, PCI_CAP_ID_SHPC, "Hot Plug Controller", NULL },
	{ false, PCI_CAP_ID_SSVID, "Subsystem", decode_subsystem },
	{ false, PCI_CAP_ID_AGP3, "AGP 8x", NULL },
	{ false, PCI_CAP_ID_SECDEV, "Secure Device", NULL },
	{ false, PCI_CAP_ID_EXP, "PCI Express", decode_express },
	{ false, PCI_CAP_ID_MSIX, "MSI-X", decode_msix },
	{ false, PCI_CAP_ID_SATA, "SATA", NULL },
	{ false, PCI_CAP_ID_AF, "Advanced Features", decode_af },
	{ false, PCI_CAP_ID_EA, "Enhanced Allocation", NULL },
	{ true, PCI_EXT_CAP_ID_ERR, "Advanced Error Reporting", decode_aer },
	{ true, PCI_EXT_CAP_ID_VC, "Virtual Channel", NULL },
	{ true, PCI_EXT_CAP_ID_DSN, "Device Serial Number", decode_serial },
	{ true, PCI_EXT_CAP_ID_PWR, "Power Budgeting", NULL },
	{ true, PCI_EXT_CAP_ID_RCLD, "Root Complex Link", NULL },
	{ true, PCI_EXT_CAP_ID_RCILC, "Root Complex Internal Link", NULL },
	{ true, PCI_EXT_CAP_ID_RCEC, "Root Complex Event Collector", NULL },
	{ true, PCI_EXT_CAP_ID_MFVC, "Multi-Function Virtual Channel", NULL },
	{ true, PCI_EXT_CAP_ID_VC9, "Virtual Channel", NULL },
	{ true, PCI_EXT_CAP_ID_RCRB, "Root Complex Registers", NULL },
	{ true, PCI_EXT_CAP_ID_VNDR, "Vendor Specific", NULL },
	{ true, PCI_EXT_CAP_ID_ACS, "Access Control Services", NULL },
	{ true, PCI_EXT_CAP_ID_ARI, "Alternative Routing-ID", decode_ari },
	{ true, PCI_EXT_CAP_ID_ATS, "Address Translation Services", NULL },
	{ true, PCI_EXT_CAP_ID_SRIOV, "SR-IOV", decode_sriov },
	{ true, PCI_EXT_CAP_ID_MRIOV, "MR-IOV", NULL },
	{ true, PCI_EXT_CAP_ID_MCAST, "Multicast", NULL },
	{ true, PCI_EXT_CAP_ID_PRI, "Page Request", NULL },
	{ true, PCI_EXT_CAP_ID_REBAR, "Resizable BAR", NULL },
	{ true, PCI_EXT_CAP_ID_DPA, "Dynamic Power Allocation", NULL },
	{ true, PCI_EXT_CAP_ID_TPH, "TLP Processing Hints", NULL },
	{ true, PCI_EXT_CAP_ID_LTR, "Latency Tolerance Reporting", NULL },
	{ true, PCI_EXT_CAP_ID_SECPCI, "Secondary PCI Express", NULL },
	{ true, PCI_EXT_CAP_ID_PMUX, "Protocol Multiplexing", NULL },
	{ true, PCI_EXT_CAP_ID_PASID, "Process Address Space ID", NULL },
	{ true, PCI_EXT_CAP_ID_DPC, "Downstream Port Containment", NULL },
	{ true, PCI_EXT_CAP_ID_L1SS, "L1 PM Substates", NULL },
	{ true, PCI_EXT_CAP_ID_PTM, "Precision Time Measurement", NULL },
	{ true, PCI_EXT_CAP_ID_DVSEC, "Designated Vendor Specific", NULL },
	{ true, PCI_EXT_CAP_ID_DLF, "Data Link Feature", NULL },
	{ true, PCI_EXT_CAP_ID_PL_16GT, "Physical Layer 16 GT/s", NULL },
	{ true, PCI_EXT_CAP_ID_DOE, "Data Object Exchange", NULL },
};

static void decode(const struct config *config, struct cap *cap)
{
	cap->count = 0;
	snprintf(cap->name, sizeof(cap->name), "capability 0x%02x", cap->id);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		if (kinds[i].extended != cap->extended || kinds[i].id != cap->id)
			continue;
		snprintf(cap->name, sizeof(cap->name), "%s", kinds[i].name);
		if (kinds[i].decode)
			kinds[i].decode(config, cap);
		return;
	}
}

/* --- The lists --- */

/* Where the old list begins, in 192 bytes behind the header; 0: there is none. */
static int first(const struct config *config, struct cap *cap)
{
	uint32_t status, at;
	int err = config->read(config->context, PCI_STATUS, 2, &status);

	if (err)
		return err;
	cap->next = 0;
	if (!(status & PCI_STATUS_CAP_LIST))
		return 0;
	/* Spec: PCI to PCMCIA CardBus bridges have it elsewhere. */
	at = (get(config, PCI_HEADER_TYPE, 1) & 0x7f) == PCI_HEADER_TYPE_CARDBUS
		     ? PCI_CB_CAPABILITY_LIST
		     : PCI_CAPABILITY_LIST;
	err = config->read(config->context, at, 1, &at);
	if (err)
		return err;
	cap->next = at & ~3u;
	return 0;
}

/* At cap->next, in the old list. */
static int next_old(const struct config *config, struct cap *cap)
{
	uint32_t header;
	int err;

	if (cap->steps++ == 48)
		return -EIO;
	cap->offset = cap->next;
	err = config->read(config->context, cap->offset, 2, &header);
	if (err)
		return err;
	cap->id = header & 0xff;
	cap->next = header >> 8 & ~3u;
	if (cap->id == 0xff)
		return -EIO;
	decode(config, cap);
	return 1;
}

/* At cap->next, in the list of PCI Express, which a function may not have. */
static int next_extended(const struct config *config, struct cap *cap)
{
	uint32_t header;

	if (cap->steps++ == 1024)
		return -EIO;
	cap->offset = cap->next;
	if (config->read(config->context, cap->offset, 4, &header) || !header ||
	    header == UINT32_MAX)
		return 0;
	cap->id = PCI_EXT_CAP_ID(header);
	cap->version = PCI_EXT_CAP_VER(header);
	cap->next = PCI_EXT_CAP_NEXT(header);
	decode(config, cap);
	return 1;
}

int caps_next(const struct config *config, struct cap *cap)
{
	int err = 0;

	if (!cap->extended && !cap->offset)
		err = first(config, cap);
	if (err)
		return err;
	if (!cap->extended && cap->next)
		return next_old(config, cap);
	if (!cap->extended) {
		cap->extended = true;
		cap->next = 0x100;
		cap->steps = 0;
	}
	return cap->next ? next_extended(config, cap) : 0;
}
