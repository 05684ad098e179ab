/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The registers that the model acts upon; addresses, then their fields indented. All others are
 * rows of the table in table.c alone. Sources: Intel 82574 datasheet chapter 10, the 8254x software
 * developer's manual chapter 13 for what is older, and Linux's e1000e for what both leave out.
 */
#ifndef NICSIM_E1000_REGS_H
#define NICSIM_E1000_REGS_H

/* Fields stand indented beneath their register. */
/* clang-format off */

/* --- general (10.2.2) --- */
#define CTRL 0x00000u
#define   CTRL_MASTER_DISABLE 0x00000004u
#define   CTRL_LINK_UP 0x00000040u /* SLU: the MAC takes the link that the PHY has */
#define   CTRL_RESET 0x04000000u
#define   CTRL_VLAN 0x40000000u /* VME */
#define   CTRL_PHY_RESET 0x80000000u
#define STATUS 0x00008u
#define   STATUS_FULL_DUPLEX 0x00000001u
#define   STATUS_LINK_UP 0x00000002u
#define   STATUS_1000 0x00000280u /* SPEED, ASDV */
#define   STATUS_PHY_RESET 0x00000400u /* PHYRA */
#define   STATUS_MASTER_ENABLED 0x00080000u
#define EECD 0x00010u
#define EERD 0x00014u
#define EEWR 0x0102cu
#define   EERW_START 0x00000001u
#define   EERW_DONE 0x00000002u
#define CTRL_EXT 0x00018u
#define   CTRL_EXT_RELOAD 0x00002000u /* EE_RST: as if the EEPROM were read anew */
#define   CTRL_EXT_EIAME 0x01000000u
#define   CTRL_EXT_IAME 0x08000000u
#define MDIC 0x00020u
#define   MDIC_READY 0x10000000u
#define   MDIC_INTERRUPT 0x20000000u
#define   MDIC_ERROR 0x40000000u
#define VET 0x00038u
#define EXTCNF_CTRL 0x00f00u
#define SWSM 0x05b50u
#define   SWSM_SMBI 0x00000001u
#define   SWSM_SWESMBI 0x00000002u

/* --- interrupts (10.2.4) --- */
#define ICR 0x000c0u
#define ICS 0x000c8u
#define IMS 0x000d0u
#define IMC 0x000d8u
#define   CAUSE_TXDW 0x00000001u
#define   CAUSE_TXQE 0x00000002u
#define   CAUSE_LSC 0x00000004u
#define   CAUSE_RXDMT 0x00000010u
#define   CAUSE_RXO 0x00000040u
#define   CAUSE_RXT 0x00000080u
#define   CAUSE_MDAC 0x00000200u
#define   CAUSE_RXQ(q) (0x00100000u << (q))
#define   CAUSE_TXQ(q) (0x00400000u << (q))
#define   CAUSE_OTHER 0x01000000u
#define   CAUSES 0x01f7ffffu
#define   ICR_ASSERTED 0x80000000u
#define ITR 0x000c4u /* units of 256 ns */
#define EIAC 0x000dcu
#define IAM 0x000e0u
#define IVAR 0x000e4u /* four bits each: RX queues 0 and 1, TX queues 0 and 1, all else */
#define   IVAR_VECTOR 7u
#define   IVAR_VALID 8u
#define EITR(n) (0x000e8u + 4u * (n))

/* --- receive (10.2.5) --- */
#define RCTL 0x00100u
#define   RCTL_ENABLE 0x00000002u
#define   RCTL_UPE 0x00000008u
#define   RCTL_MPE 0x00000010u
#define   RCTL_LPE 0x00000020u
#define   RCTL_LOOPBACK 0x000000c0u /* LBM: 01 MAC loopback */
#define   RCTL_LOOPBACK_MAC 0x00000040u
#define   RCTL_RDMTS(v) ((v) >> 8 & 3u)
#define   RCTL_DTYP(v) ((v) >> 10 & 3u) /* 1: packet split */
#define   RCTL_OFFSET(v) ((v) >> 12 & 3u) /* MO */
#define   RCTL_BAM 0x00008000u
#define   RCTL_BSIZE(v) ((v) >> 16 & 3u)
#define   RCTL_VFE 0x00040000u
#define   RCTL_CFIEN 0x00080000u
#define   RCTL_CFI 0x00100000u
#define   RCTL_BSEX 0x02000000u
#define   RCTL_SECRC 0x04000000u
#define   RCTL_FLEX(v) ((v) >> 27 & 15u) /* KiB */
#define PSRCTL 0x02170u
#define   PSRCTL_BSIZE0(v) (128u * ((v) & 0x7fu))
#define   PSRCTL_BSIZE(v, n) (1024u * ((v) >> 8 * (n) & 0x3fu)) /* n: 1 to 3 */
#define RX_QUEUE(q) (0x02800u + 0x100u * (q))
#define   RDBAL 0x00u
#define   RDBAH 0x04u
#define   RDLEN 0x08u
#define   RDH 0x10u
#define   RDT 0x18u
#define PBA 0x01000u /* KiB: of the receive buffer, of the transmit buffer */
#define RXCSUM 0x05000u
#define   RXCSUM_START(v) ((v) & 0xffu)
#define   RXCSUM_IP 0x00000100u
#define   RXCSUM_L4 0x00000200u
#define   RXCSUM_PCSD 0x00002000u
#define RFCTL 0x05008u
#define   RFCTL_EXTENDED 0x00008000u
#define MTA(n) (0x05200u + 4u * (n))
#define RAL(n) (0x05400u + 8u * (n))
#define RAH(n) (0x05404u + 8u * (n))
#define   RAH_VALID 0x80000000u
#define RA_COUNT 16u
#define VFTA(n) (0x05600u + 4u * (n))
#define MRQC 0x05818u
#define   MRQC_MODE(v) ((v) & 3u) /* 1: RSS */
#define   MRQC_TCP_IPV4 0x00010000u
#define   MRQC_IPV4 0x00020000u
#define   MRQC_TCP_IPV6 0x00040000u
#define   MRQC_IPV6 0x00100000u
#define RETA(n) (0x05c00u + 4u * (n))
#define RSSRK(n) (0x05c80u + 4u * (n))

/* --- transmit (10.2.6) --- */
#define TCTL 0x00400u
#define   TCTL_ENABLE 0x00000002u
#define   TCTL_PAD 0x00000008u
#define TX_QUEUE(q) (0x03800u + 0x100u * (q))
#define   TDBAL 0x00u
#define   TDBAH 0x04u
#define   TDLEN 0x08u
#define   TDH 0x10u
#define   TDT 0x18u

/* --- statistics (10.2.7) --- */
#define MPC 0x04010u
#define PRC64 0x0405cu
#define GPRC 0x04074u
#define BPRC 0x04078u
#define MPRC 0x0407cu
#define GPTC 0x04080u
#define GORCL 0x04088u
#define GOTCL 0x04090u
#define RNBC 0x040a0u
#define ROC 0x040acu
#define TORL 0x040c0u
#define TOTL 0x040c8u
#define TPR 0x040d0u
#define TPT 0x040d4u
#define PTC64 0x040d8u
#define MPTC 0x040f0u
#define BPTC 0x040f4u
#define TSCTC 0x040f8u
#define TSCTFC 0x040fcu
#define IAC 0x04100u

/* clang-format on */

#endif
