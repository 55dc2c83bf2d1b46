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
#define E1000_VET		  0x0038 /* 13.4.11 */
#define E1000_VET_8021Q		  0x8100
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
#define E1000_RCTL_LPE		  (1u << 5)  /* frames above 1522 bytes with FCS */
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
#define E1000_CRCERRS	   0x4000
#define E1000_ALGNERRC	   0x4004
#define E1000_RXERRC	   0x400c
#define E1000_MPC	   0x4010
#define E1000_RLEC	   0x4040

#define E1000_RXCSUM	   0x5000	      /* 13.4.40 */
#define E1000_RXCSUM_IPOFL (1u << 8)	      /* looks at IPv4 checksums */
#define E1000_RXCSUM_TUOFL (1u << 9)	      /* at TCP's and UDP's */
#define E1000_MTA(n)	   (0x5200 + 4 * (n)) /* 13.5.1 */
#define E1000_MTA_COUNT	   128
#define E1000_RAL(n)	   (0x5400 + 8 * (n)) /* 13.5.2 */
#define E1000_RAH(n)	   (0x5404 + 8 * (n)) /* 13.5.3 */
#define E1000_RA_COUNT	   16
#define E1000_RAH_AV	   (1u << 31)

/* Names for traces (names.c). */
extern const struct userpci_register intel_e1000_registers[];
extern const struct userpci_register intel_e1000e_registers[];
extern const struct userpci_register intel_igb_registers[];

/* A descriptor of either ring, of whatever format, as it is given to the device. */
struct intel_desc {
	le64_t address;
	le64_t word;
};
_Static_assert(sizeof(struct intel_desc) == 16, "descriptor layout");

/* The second word of a legacy receive descriptor (3.2.3): length in bits 0 to 15, VLAN tag in 48 to
 * 63. */
#define E1000_RXD_DD	(1ull << 32)
#define E1000_RXD_EOP	(1ull << 33)
#define E1000_RXD_IXSM	(1ull << 34) /* the checksum bits say nothing */
#define E1000_RXD_VP	(1ull << 35) /* a tag was taken out */
#define E1000_RXD_TCPCS (1ull << 37) /* TCP's or UDP's checksum was looked at */
#define E1000_RXD_IPCS	(1ull << 38) /* that of the IPv4 header */
#define E1000_RXD_CE	(1ull << 40) /* CRC or alignment */
#define E1000_RXD_SE	(1ull << 41) /* symbol */
#define E1000_RXD_SEQ	(1ull << 42) /* sequence */
#define E1000_RXD_CXE	(1ull << 44) /* carrier extension */
#define E1000_RXD_TCPE	(1ull << 45) /* wrong */
#define E1000_RXD_IPE	(1ull << 46)
#define E1000_RXD_RXE	(1ull << 47) /* data */

/* Of a transmit descriptor, legacy (3.3.3) or with DEXT (3.3.7): likewise. */
#define E1000_TXD_EOP  (1ull << 24)
#define E1000_TXD_IFCS (1ull << 25) /* adds the FCS */
#define E1000_TXD_RS   (1ull << 27) /* sets DD when done */
#define E1000_TXD_VLE  (1ull << 30) /* adds a tag */
#define E1000_TXD_DD   (1ull << 32)
#define E1000_TXD_DATA (1ull << 20) /* with DEXT */
#define E1000_TXD_TSE  (1ull << 26) /* with DEXT: a part of what is cut */
#define E1000_TXD_DEXT (1ull << 29)
#define E1000_TXD_IXSM (1ull << 40) /* with DEXT: fills in the IPv4 checksum */
#define E1000_TXD_TXSM (1ull << 41) /* TCP's or UDP's */

/* Of a context descriptor (3.3.6), besides TSE and DEXT. */
#define E1000_TXC_TCP (1ull << 24)
#define E1000_TXC_IP  (1ull << 25) /* version 4 */

/*
 * 82574. Spec: Intel 82574 GbE Controller Family Datasheet, 317694, revision 3.4: registers in
 * chapter 10, extended receive descriptors in section 7.1.5. What has the same place and meaning as
 * above keeps its name from there.
 */
#define E1000E_CTRL_GIO_DISABLE	  (1u << 2)  /* 10.2.2.1: no more requests to memory */
#define E1000E_STATUS_GIO	  (1u << 19) /* 10.2.2.2: it still makes some */
#define E1000E_EECD		  0x0010
#define E1000E_EECD_AUTO_RD	  (1u << 9) /* the NVM was loaded */
#define E1000E_EERD_DONE	  (1u << 1)
#define E1000E_EERD_ADDR(x)	  ((x) << 2)
#define E1000E_CTRL_EXT		  0x0018
#define E1000E_CTRL_EXT_EIAME	  (1u << 24) /* a message masks what IAM says */
#define E1000E_CTRL_EXT_IAME	  (1u << 27) /* so does reading or writing ICR */
#define E1000E_CTRL_EXT_DRV_LOAD  (1u << 28) /* for the firmware: there is a driver */
#define E1000E_CTRL_EXT_PBA_CLR	  (1u << 31) /* MSI-X: unmasking forgets a pending message */

#define E1000E_EIAC		  0x00dc /* bits of ICR that a message clears */
#define E1000E_IVAR		  0x00e4 /* 10.2.4.9: which vector, for each cause */
#define E1000E_IVAR_RX(q, vector) (((vector) | 8u) << 4 * (q))
#define E1000E_IVAR_OTHER(vector) (((vector) | 8u) << 16)
#define E1000E_EITR(n)		  (0x00e8 + 4 * (n))
#define E1000E_EITR_COUNT	  5
#define E1000E_INT_RXQ(q)	  (1u << (20 + (q))) /* 10.2.4.1: with MSI-X in place of RXT0 */
#define E1000E_INT_OTHER	  (1u << 24)	     /* with MSI-X: LSC and the like */

#define E1000E_TCTL_COLD_MASK	  (0x3ffu << 12)
#define E1000E_TCTL_CT_MASK	  (0xffu << 4)
#define E1000E_EXTCNF_CTRL	  0x0f00 /* 4.5.2: who may use the MDIO interface */
#define E1000E_EXTCNF_MDIO_SW	  (1u << 5)

#define E1000E_RDBAL(q)		  (0x2800 + 0x100 * (q))
#define E1000E_RDTR(q)		  (0x2820 + 0x100 * (q))
#define E1000E_RXDCTL(q)	  (0x2828 + 0x100 * (q))
#define E1000E_TDBAL(q)		  (0x3800 + 0x100 * (q))
#define E1000E_TDH(q)		  (0x3810 + 0x100 * (q))
#define E1000E_TXDCTL(q)	  (0x3828 + 0x100 * (q)) /* 10.2.6.10 */
#define E1000E_TARC(q)		  (0x3840 + 0x100 * (q))
#define E1000E_TARC_ENABLE	  (1u << 10)
/* Of both DCTLs: write back each descriptor at once. */
#define E1000E_DCTL_WTHRESH(n) ((n) << 16)
#define E1000E_DCTL_GRAN       (1u << 24) /* thresholds count descriptors */
#define E1000E_TXDCTL_COUNT    (1u << 22)

#define E1000E_RXCSUM_PCSD     (1u << 13) /* the descriptor has the hash */
#define E1000E_RFCTL	       0x5008
#define E1000E_RFCTL_ISCSI_DIS (1u << 0)
#define E1000E_RFCTL_NFSW_DIS  (1u << 6)
#define E1000E_RFCTL_NFSR_DIS  (1u << 7)
#define E1000E_RFCTL_ACK_DIS   (1u << 12) /* no cause of their own for TCP's ACKs */
#define E1000E_RFCTL_EXSTEN    (1u << 15) /* extended receive descriptors */
#define E1000E_MRQC	       0x5818
#define E1000E_MRQC_RSS	       1u
#define E1000E_MRQC_FIELDS     (1u << 16 | 1u << 17 | 1u << 18 | 1u << 20) /* IPv4, IPv6, TCP */
#define E1000E_RETA(n)	       (0x5c00 + 4 * (n))			   /* four entries each */
#define E1000E_RETA_COUNT      32
#define E1000E_RETA_QUEUE      7 /* the bit of an entry that is the queue */
#define E1000E_RSSRK(n)	       (0x5c80 + 4 * (n))
#define E1000E_RSSRK_COUNT     10

/* What the device makes of an extended receive descriptor: in `address` the RSS type in bits 0 to
 * 3 and the hash in 32 to 63; in `word` the length in bits 32 to 47, the tag in 48 to 63, and what
 * E1000E_RXD_* says; of its errors RXE stands for all but those of checksums. */
#define E1000E_RXD_DD	 (1ull << 0)
#define E1000E_RXD_EOP	 (1ull << 1)
#define E1000E_RXD_IXSM	 (1ull << 2) /* the checksum bits say nothing */
#define E1000E_RXD_VP	 (1ull << 3) /* a tag was taken out */
#define E1000E_RXD_TCPCS (1ull << 5) /* TCP's or UDP's checksum was looked at */
#define E1000E_RXD_IPCS	 (1ull << 6) /* that of the IPv4 header */
#define E1000E_RXD_CE	 (1ull << 24)
#define E1000E_RXD_SE	 (1ull << 25)
#define E1000E_RXD_SEQ	 (1ull << 26)
#define E1000E_RXD_CXE	 (1ull << 28)
#define E1000E_RXD_TCPE	 (1ull << 29) /* wrong */
#define E1000E_RXD_IPE	 (1ull << 30)
#define E1000E_RXD_RXE	 (1ull << 31)

/*
 * 82576. Spec: Intel 82576EB Gigabit Ethernet Controller Datasheet, revision 2.7: registers in
 * chapter 8, descriptors in sections 7.1.5 (receive) and 7.2.2 (transmit). What has the same place
 * and meaning as above keeps its name from there.
 */
#define IGB_CTRL_GIO_DISABLE	       (1u << 2) /* 8.2.1: no more requests to memory */
#define IGB_CTRL_LRST		       (1u << 3)
#define IGB_STATUS_GIO		       (1u << 19) /* 8.2.2: it still makes some */
#define IGB_CTRL_EXT		       0x0018	  /* 8.2.3 */
#define IGB_CTRL_EXT_DRV_LOAD	       (1u << 28) /* for the firmware: there is a driver */

#define IGB_MDIC		       0x0020 /* 8.2.4 */
#define IGB_MDIC_READ(phy_reg)	       (2u << 26 | 1u << 21 | (phy_reg) << 16)
#define IGB_MDIC_WRITE(phy_reg, value) (1u << 26 | 1u << 21 | (phy_reg) << 16 | (value))
#define IGB_MDIC_DATA		       0xffffu
#define IGB_MDIC_READY		       (1u << 28)
/* IEEE 802.3, 22.2.4. */
#define IGB_PHY_CONTROL	   0
#define IGB_PHY_RESTART	   (1u << 9)
#define IGB_PHY_NEGOTIATE  (1u << 12)
#define IGB_PHY_STATUS	   1
#define IGB_PHY_NEGOTIATED (1u << 5)

/* ICR, IMS and IMC have their aliases where E1000_ICR and the others are (8.8). */
#define IGB_GPIE		    0x1514     /* 7.3.2.11 */
#define IGB_GPIE_NSICR		    (1u << 0)  /* each read of ICR clears it */
#define IGB_GPIE_MULTIPLE	    (1u << 4)  /* MSI-X: causes go where IVAR says */
#define IGB_GPIE_PBA		    (1u << 31) /* MSI-X */
#define IGB_EIMS		    0x1524     /* a bit for each vector */
#define IGB_EIMC		    0x1528
#define IGB_EIAC		    0x152c /* 8.8.5: its bit of EICR goes when the message does */
#define IGB_EICR		    0x1580
#define IGB_EITR(n)		    (0x1680 + 4 * (n))
#define IGB_EITR_COUNT		    25
#define IGB_IVAR(n)		    (0x1700 + 4 * (n)) /* 8.8.13: of queues n and n + 8 */
#define IGB_IVAR_COUNT		    8
#define IGB_IVAR_RX(q, vector)	    (((vector) | 0x80u) << (q) / 8 * 16)
#define IGB_IVAR_MISC		    0x1740
#define IGB_IVAR_MISC_OTHER(vector) (((vector) | 0x80u) << 8)

#define IGB_RLPML		    0x5004	/* bytes with FCS, where RCTL.LPE is set */
#define IGB_MRQC_RSS		    2u		/* of E1000E_MRQC */
#define IGB_MRQC_FIELDS		    0x00f70000u /* IPv4, IPv6, TCP and UDP on both */

/* 8.10 and 8.12: of queue n, 0 to 15. */
#define IGB_RDBAL(n)	(0xc000 + 0x40 * (n))
#define IGB_SRRCTL(n)	(0xc00c + 0x40 * (n)) /* 8.10.2 */
#define IGB_SRRCTL_2048 2u		      /* bytes of a buffer, in KB */
#define IGB_SRRCTL_ONE	(1u << 25)	      /* advanced descriptors, one buffer each */
#define IGB_SRRCTL_DROP (1u << 31)	      /* without a descriptor: do not wait for one */
#define IGB_RDT(n)	(0xc018 + 0x40 * (n))
#define IGB_RXDCTL(n)	(0xc028 + 0x40 * (n)) /* 8.10.10 */
#define IGB_RQDPC(n)	(0xc030 + 0x40 * (n)) /* dropped; cleared by reading */
#define IGB_RQDPC_MASK	0xfffu
#define IGB_TDBAL(n)	(0xe000 + 0x40 * (n))
#define IGB_TDH(n)	(0xe010 + 0x40 * (n))
#define IGB_TXDCTL(n)	(0xe028 + 0x40 * (n)) /* 8.12.13 */
/* Of both: how many descriptors to fetch, and to write back, at once. */
#define IGB_DCTL_THRESHOLDS(fetch, host, back) ((fetch) | (host) << 8 | (back) << 16)
#define IGB_DCTL_ENABLE			       (1u << 25)

/* What the device makes of a receive descriptor (7.1.5.2): in `address` the RSS type in bits 0 to 3
 * and the hash in 32 to 63; in `word` the length in bits 32 to 47, the tag in 48 to 63, and: */

/* The second word of an advanced transmit descriptor (7.2.2.3), besides what it has in common with
 * E1000_TXD_*: the length in bits 0 to 15. */
#define IGB_TXD_DATA	      (3ull << 20)
#define IGB_TXD_TSE	      (1ull << 31)
#define IGB_TXD_PAYLEN(bytes) ((uint64_t)(bytes) << 46) /* without the headers of TSE */

/* A context descriptor (7.2.2.2): in `address`... */
#define IGB_TXC_IPLEN(bytes)  ((uint64_t)(bytes))
#define IGB_TXC_MACLEN(bytes) ((uint64_t)(bytes) << 9)
#define IGB_TXC_MACLEN_MAX    127
#define IGB_TXC_VLAN(tag)     ((uint64_t)(tag) << 16)
/* ...and in `word`. */
#define IGB_TXC_IP	     (1ull << 10) /* version 4 */
#define IGB_TXC_TCP	     (1ull << 11)
#define IGB_TXC		     (2ull << 20)
#define IGB_TXC_L4LEN(bytes) ((uint64_t)(bytes) << 40)
#define IGB_TXC_MSS(bytes)   ((uint64_t)(bytes) << 48)

#endif
