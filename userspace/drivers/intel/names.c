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

#define E1000E_NAMED(register_)                                              \
	{                                                                    \
		.offset = E1000E_##register_, .width = 4, .name = #register_ \
	}
#define E1000E_ARRAY(register_, count_)                                          \
	{                                                                        \
		.offset = E1000E_##register_(0), .width = 4, .name = #register_, \
		.count = (count_), .stride = 4                                   \
	}
#define E1000E_QUEUES(register_, offset_)                                                        \
	{                                                                                        \
		.offset = (offset_), .width = 4, .name = #register_, .count = 2, .stride = 0x100 \
	}

const struct userpci_register intel_e1000e_registers[] = {
	NAMED(CTRL),
	NAMED(STATUS),
	E1000E_NAMED(EECD),
	NAMED(EERD),
	E1000E_NAMED(CTRL_EXT),
	NAMED(FCAL),
	NAMED(FCAH),
	NAMED(FCT),
	NAMED(VET),
	NAMED(ICR),
	NAMED(ITR),
	NAMED(IMS),
	NAMED(IMC),
	E1000E_NAMED(EIAC),
	E1000E_NAMED(IVAR),
	E1000E_ARRAY(EITR, E1000E_EITR_COUNT),
	NAMED(RCTL),
	NAMED(FCTTV),
	NAMED(TCTL),
	NAMED(TIPG),
	E1000E_NAMED(EXTCNF_CTRL),
	E1000E_QUEUES(RDBAL, E1000E_RDBAL(0)),
	E1000E_QUEUES(RDBAH, E1000E_RDBAL(0) + 0x4),
	E1000E_QUEUES(RDLEN, E1000E_RDBAL(0) + 0x8),
	E1000E_QUEUES(RDH, E1000E_RDBAL(0) + 0x10),
	E1000E_QUEUES(RDT, E1000E_RDBAL(0) + 0x18),
	E1000E_QUEUES(RDTR, E1000E_RDTR(0)),
	E1000E_QUEUES(RXDCTL, E1000E_RXDCTL(0)),
	NAMED(RADV),
	E1000E_QUEUES(TDBAL, E1000E_TDBAL(0)),
	E1000E_QUEUES(TDBAH, E1000E_TDBAL(0) + 0x4),
	E1000E_QUEUES(TDLEN, E1000E_TDBAL(0) + 0x8),
	E1000E_QUEUES(TDH, E1000E_TDH(0)),
	E1000E_QUEUES(TDT, E1000E_TDBAL(0) + 0x18),
	NAMED(TIDV),
	E1000E_QUEUES(TXDCTL, E1000E_TXDCTL(0)),
	NAMED(TADV),
	E1000E_QUEUES(TARC, E1000E_TARC(0)),
	NAMED(CRCERRS),
	NAMED(ALGNERRC),
	NAMED(RXERRC),
	NAMED(MPC),
	NAMED(RLEC),
	NAMED(RXCSUM),
	E1000E_NAMED(RFCTL),
	ARRAY(MTA, E1000_MTA_COUNT, 4),
	ARRAY(RAL, E1000_RA_COUNT, 8),
	ARRAY(RAH, E1000_RA_COUNT, 8),
	E1000E_NAMED(MRQC),
	E1000E_ARRAY(RETA, E1000E_RETA_COUNT),
	E1000E_ARRAY(RSSRK, E1000E_RSSRK_COUNT),
	{ .name = NULL },
};

#define IGB_NAMED(register_)                                              \
	{                                                                 \
		.offset = IGB_##register_, .width = 4, .name = #register_ \
	}
#define IGB_ARRAY(register_, count_)                                                             \
	{                                                                                        \
		.offset = IGB_##register_(0), .width = 4, .name = #register_, .count = (count_), \
		.stride = 4                                                                      \
	}
#define IGB_QUEUES(register_, offset_)                                                         \
	{                                                                                      \
		.offset = (offset_), .width = 4, .name = #register_, .count = 16, .stride = 64 \
	}

const struct userpci_register intel_igb_registers[] = {
	NAMED(CTRL),
	NAMED(STATUS),
	IGB_NAMED(CTRL_EXT),
	IGB_NAMED(MDIC),
	NAMED(VET),
	NAMED(RCTL),
	NAMED(TCTL),
	NAMED(ICR),
	NAMED(IMS),
	NAMED(IMC),
	IGB_NAMED(GPIE),
	IGB_NAMED(EIMS),
	IGB_NAMED(EIMC),
	IGB_NAMED(EIAC),
	IGB_NAMED(EICR),
	IGB_ARRAY(EITR, IGB_EITR_COUNT),
	IGB_ARRAY(IVAR, IGB_IVAR_COUNT),
	IGB_NAMED(IVAR_MISC),
	NAMED(CRCERRS),
	NAMED(ALGNERRC),
	NAMED(RXERRC),
	NAMED(MPC),
	NAMED(RLEC),
	NAMED(RXCSUM),
	IGB_NAMED(RLPML),
	ARRAY(MTA, E1000_MTA_COUNT, 4),
	ARRAY(RAL, E1000_RA_COUNT, 8),
	ARRAY(RAH, E1000_RA_COUNT, 8),
	E1000E_NAMED(MRQC),
	E1000E_ARRAY(RETA, E1000E_RETA_COUNT),
	E1000E_ARRAY(RSSRK, E1000E_RSSRK_COUNT),
	IGB_QUEUES(RDBAL, IGB_RDBAL(0)),
	IGB_QUEUES(RDBAH, IGB_RDBAL(0) + 0x4),
	IGB_QUEUES(RDLEN, IGB_RDBAL(0) + 0x8),
	IGB_QUEUES(SRRCTL, IGB_SRRCTL(0)),
	IGB_QUEUES(RDH, IGB_RDBAL(0) + 0x10),
	IGB_QUEUES(RDT, IGB_RDT(0)),
	IGB_QUEUES(RXDCTL, IGB_RXDCTL(0)),
	IGB_QUEUES(RQDPC, IGB_RQDPC(0)),
	IGB_QUEUES(TDBAL, IGB_TDBAL(0)),
	IGB_QUEUES(TDBAH, IGB_TDBAL(0) + 0x4),
	IGB_QUEUES(TDLEN, IGB_TDBAL(0) + 0x8),
	IGB_QUEUES(TDH, IGB_TDH(0)),
	IGB_QUEUES(TDT, IGB_TDBAL(0) + 0x18),
	IGB_QUEUES(TXDCTL, IGB_TXDCTL(0)),
	{ .name = NULL },
};
