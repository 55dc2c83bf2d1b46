/* SPDX-License-Identifier: MIT */
/* The registers' names as the data sheet has them, for traces. */
#include "regs.h"

#define NAMED(register_)                                                    \
	{                                                                   \
		.offset = E1000_##register_, .width = 4, .name = #register_ \
	}
#define ARRAY(register_, count_, stride_)                                                          \
	{                                                                                          \
		.offset = E1000_##register_(0), .width = 4, .name = #register_, .count = (count_), \
		.stride = (stride_)                                                                \
	}

const struct userpci_register intel_e1000_registers[] = {
	NAMED(CTRL),
	NAMED(STATUS),
	NAMED(EERD),
	NAMED(FCAL),
	NAMED(FCAH),
	NAMED(FCT),
	NAMED(VET),
	NAMED(FCTTV),
	NAMED(ICR),
	NAMED(ITR),
	NAMED(IMS),
	NAMED(IMC),
	NAMED(RCTL),
	NAMED(TCTL),
	NAMED(TIPG),
	NAMED(RDBAL),
	NAMED(RDBAH),
	NAMED(RDLEN),
	NAMED(RDH),
	NAMED(RDT),
	NAMED(RDTR),
	NAMED(RADV),
	NAMED(TDBAL),
	NAMED(TDBAH),
	NAMED(TDLEN),
	NAMED(TDH),
	NAMED(TDT),
	NAMED(TIDV),
	NAMED(TADV),
	NAMED(CRCERRS),
	NAMED(ALGNERRC),
	NAMED(RXERRC),
	NAMED(MPC),
	NAMED(RLEC),
	NAMED(RXCSUM),
	ARRAY(MTA, E1000_MTA_COUNT, 4),
	ARRAY(RAL, E1000_RA_COUNT, 8),
	ARRAY(RAH, E1000_RA_COUNT, 8),
	{ .name = NULL },
};
