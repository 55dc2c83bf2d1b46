/* SPDX-License-Identifier: MIT */
/*
 * Registers and descriptors of Intel's gigabit controllers, with the names of the data sheet.
 *
 * Spec: PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (317453),
 * chapter 13; descriptors in chapter 3. Sections are behind the names.
 */
#ifndef INTEL_REGS_H
#define INTEL_REGS_H

#include <userpci/mmio.h>

#define E1000_CTRL		  0x0000 /* 13.4.1 */
#define E1000_CTRL_FD		  (1u << 0)
#define E1000_CTRL_ASDE		  (1u << 5) /* the speed is that of the PHY */
#define E1000_CTRL_SLU		  (1u << 6) /* set link up */
#define E1000_CTRL_ILOS		  (1u << 7)
#define E1000_CTRL_FRCSPD	  (1u << 11)
#define E1000_CTRL_FRCDPLX	  (1u << 12)
#define E1000_CTRL_RST		  (1u << 26)
#define E1000_CTRL_RFCE		  (1u << 27)
#define E1000_CTRL_TFCE		  (1u << 28)
#define E1000_CTRL_VME		  (1u << 30) /* strips VLAN tags */
#define E1000_CTRL_PHY_RST	  (1u << 31)

#define E1000_STATUS		  0x0008 /* 13.4.2 */
#define E1000_STATUS_FD		  (1u << 0)
#define E1000_STATUS_LU		  (1u << 1)
#define E1000_STATUS_SPEED(x)	  (((x) >> 6) & 3) /* 10, 100, 1000, 1000 Mbit/s */

#define E1000_EERD		  0x0014 /* 13.4.4, use in 5.3.1 */
#define E1000_EERD_START	  (1u << 0)
#define E1000_EERD_DONE		  (1u << 4)
#define E1000_EERD_ADDR(x)	  ((x) << 8)
#define E1000_EERD_DATA(x)	  ((x) >> 16)

#define E1000_FCAL		  0x0028
#define E1000_FCAH		  0x002c
#define E1000_FCT		  0x0030
#define E1000_FCTTV		  0x0170

#define E1000_ICR		  0x00c0 /* 13.4.17, cleared by reading */
#define E1000_ITR		  0x00c4 /* 13.4.18 */
#define E1000_IMS		  0x00d0 /* 13.4.20 */
#define E1000_IMC		  0x00d8 /* 13.4.21 */
#define E1000_INT_LSC		  (1u << 2)
#define E1000_INT_RXDMT0	  (1u << 4)
#define E1000_INT_RXO		  (1u << 6)
#define E1000_INT_RXT0		  (1u << 7)
#define E1000_INT_ALL		  0xffffffffu

#define E1000_RCTL		  0x0100 /* 13.4.22 */
#define E1000_RCTL_EN		  (1u << 1)
#define E1000_RCTL_UPE		  (1u << 3)  /* all unicast frames */
#define E1000_RCTL_MPE		  (1u << 4)  /* all multicast frames */
#define E1000_RCTL_BAM		  (1u << 15) /* broadcasts */
#define E1000_RCTL_BSIZE_2048	  (0u << 16)
#define E1000_RCTL_SECRC	  (1u << 26) /* strips the FCS */

#define E1000_TCTL		  0x0400 /* 13.4.33 */
#define E1000_TCTL_EN		  (1u << 1)
#define E1000_TCTL_PSP		  (1u << 3)
#define E1000_TCTL_CT(x)	  ((x) << 4)
#define E1000_TCTL_COLD(x)	  ((x) << 12)
#define E1000_TIPG		  0x0410 /* 13.4.34 */
#define E1000_TIPG_VALUE(t, a, b) ((t) | (a) << 10 | (b) << 20)

#define E1000_RDBAL		  0x2800 /* 13.4.25 */
#define E1000_RDBAH		  0x2804
#define E1000_RDLEN		  0x2808
#define E1000_RDH		  0x2810
#define E1000_RDT		  0x2818
#define E1000_RDTR		  0x2820 /* 13.4.30 */
#define E1000_RADV		  0x282c

#define E1000_TDBAL		  0x3800 /* 13.4.36 */
#define E1000_TDBAH		  0x3804
#define E1000_TDLEN		  0x3808
#define E1000_TDH		  0x3810
#define E1000_TDT		  0x3818
#define E1000_TIDV		  0x3820
#define E1000_TADV		  0x382c

/* Statistics, 13.7: cleared by reading, and stick at all ones. */
#define E1000_CRCERRS	0x4000
#define E1000_ALGNERRC	0x4004
#define E1000_RXERRC	0x400c
#define E1000_MPC	0x4010
#define E1000_RLEC	0x4040

#define E1000_RXCSUM	0x5000
#define E1000_MTA(n)	(0x5200 + 4 * (n)) /* 13.5.1 */
#define E1000_MTA_COUNT 128
#define E1000_RAL(n)	(0x5400 + 8 * (n)) /* 13.5.2 */
#define E1000_RAH(n)	(0x5404 + 8 * (n)) /* 13.5.3 */
#define E1000_RA_COUNT	16
#define E1000_RAH_AV	(1u << 31)

/* Names for traces (names.c). */
extern const struct userpci_register intel_e1000_registers[];

/* A legacy descriptor of either ring: section 3.2.3 (receive) and 3.3.3 (transmit). */
struct e1000_desc {
	le64_t address;
	le64_t word;
};
_Static_assert(sizeof(struct e1000_desc) == 16, "descriptor layout");

/* The second word of a receive descriptor: length in bits 0 to 15. */
#define E1000_RXD_DD  (1ull << 32)
#define E1000_RXD_EOP (1ull << 33)
#define E1000_RXD_CE  (1ull << 40) /* CRC or alignment */
#define E1000_RXD_SE  (1ull << 41) /* symbol */
#define E1000_RXD_SEQ (1ull << 42) /* sequence */
#define E1000_RXD_CXE (1ull << 44) /* carrier extension */
#define E1000_RXD_RXE (1ull << 47) /* data */

/* Of a transmit descriptor: likewise. */
#define E1000_TXD_EOP  (1ull << 24)
#define E1000_TXD_IFCS (1ull << 25) /* adds the FCS */
#define E1000_TXD_RS   (1ull << 27) /* sets DD when done */
#define E1000_TXD_DD   (1ull << 32)

#endif
