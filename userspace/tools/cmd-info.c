/* SPDX-License-Identifier: MIT */
/* unic info: what a network interface is, and how it is connected. */
#include <stdio.h>

#include "unic-cmd.h"

static const char info_help[] =
	"show an interface's driver, MAC address and link\n"
	"\n"
	"usage: unic info ADDRESS\n"
	"\n"
	"Resets the device, and waits up to 5 seconds for its link. Prints a line each:\n"
	"address, driver, MAC, link, rings (receive and transmit descriptors), the most\n"
	"queues, the largest MTU, and what the device can do for an application.\n";

static const struct {
	uint32_t offload;
	const char *name;
} offloads[] = {
	{ UNIC_OFFLOAD_RX_CHECKSUM, "rx-checksum" },
	{ UNIC_OFFLOAD_TX_CHECKSUM, "tx-checksum" },
	{ UNIC_OFFLOAD_VLAN_STRIP, "vlan-strip" },
	{ UNIC_OFFLOAD_VLAN_INSERT, "vlan-insert" },
	{ UNIC_OFFLOAD_TSO, "tso" },
	{ UNIC_OFFLOAD_RSS, "rss" },
	{ UNIC_OFFLOAD_HASH, "hash" },
};

static void print_offloads(uint32_t can)
{
	size_t i;

	printf("offloads");
	for (i = 0; i < sizeof(offloads) / sizeof(offloads[0]); i++)
		if (can & offloads[i].offload)
			printf(" %s", offloads[i].name);
	puts(can ? "" : " none");
}

static enum unic_status info_run(int argc, char **argv)
{
	char mac[UNIC_CMD_TEXT], link[UNIC_CMD_TEXT];
	const struct unic_port_info *info;
	struct unic_port *port;
	enum unic_status status;

	if (argc < 2)
		return unic_cmd_usage("info", "ADDRESS is missing", "");
	if (argv[1][0] == '-')
		return unic_cmd_usage("info", "unknown option ", argv[1]);
	if (argc > 2)
		return unic_cmd_usage("info", "one too many: ", argv[2]);
	status = unic_cmd_open(argv[1], &port);
	if (status)
		return status;
	info = unic_info(port);
	printf("address  %s\n"
	       "driver   %s\n"
	       "MAC      %s\n"
	       "link     %s\n"
	       "rings    %u and %u descriptors\n"
	       "queues   %u\n"
	       "MTU      %u\n",
	       info->address, info->driver, unic_cmd_mac(info->mac, mac), unic_cmd_link(port, link),
	       info->rx_descriptors, info->tx_descriptors, info->max_queues, info->max_mtu);
	print_offloads(info->can_offload);
	unic_close(port);
	return UNIC_OK;
}

const struct unic_cmd unic_cmd_info = { "info", info_help, info_run };
