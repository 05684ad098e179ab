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
#define E1000_CTRL 0x00000u
#define   E1000_CTRL_MASTER_DISABLE 0x00000004u
#define   E1000_CTRL_LINK_UP 0x00000040u /* SLU: the MAC takes the link that the PHY has */
#define   E1000_CTRL_RESET 0x04000000u
#define   E1000_CTRL_RFCE 0x08000000u
#define   E1000_CTRL_TFCE 0x10000000u
#define   E1000_CTRL_VLAN 0x40000000u /* VME */
#define   E1000_CTRL_PHY_RESET 0x80000000u
#define E1000_STATUS 0x00008u
#define   E1000_STATUS_FULL_DUPLEX 0x00000001u
#define   E1000_STATUS_LINK_UP 0x00000002u
#define   E1000_STATUS_TXOFF 0x00000010u /* a pause holds what is sent */
#define   E1000_STATUS_1000 0x00000280u /* SPEED, ASDV */
#define   E1000_STATUS_PHY_RESET 0x00000400u /* PHYRA */
#define   E1000_STATUS_MASTER_ENABLED 0x00080000u
#define E1000_EECD 0x00010u
#define   E1000_EECD_AUTO_READ 0x00000200u
#define E1000_EERD 0x00014u
#define E1000_EEWR 0x0102cu
#define   E1000_EERW_START 0x00000001u
#define   E1000_EERW_DONE 0x00000002u
#define E1000_CTRL_EXT 0x00018u
#define   E1000_CTRL_EXT_RELOAD 0x00002000u /* EE_RST: as if the EEPROM were read anew */
#define   E1000_CTRL_EXT_EIAME 0x01000000u
#define   E1000_CTRL_EXT_IAME 0x08000000u
#define E1000_MDIC 0x00020u
#define   E1000_MDIC_READY 0x10000000u
#define   E1000_MDIC_INTERRUPT 0x20000000u
#define   E1000_MDIC_ERROR 0x40000000u
#define E1000_VET 0x00038u
/* Pause frames: where to, of what type, for how long; and when (of the 8254x). */
#define E1000_FCAL 0x00028u
#define E1000_FCAH 0x0002cu
#define E1000_FCT 0x00030u
#define E1000_FCTTV 0x00170u
#define E1000_FCRTL 0x02160u
#define   E1000_FCRTL_XON 0x80000000u
#define E1000_FCRTH 0x02168u
#define   E1000_FCRT_BYTES(v) ((v) & 0x0000fff8u) /* of both */
#define E1000_EXTCNF_CTRL 0x00f00u
#define   E1000_EXTCNF_CTRL_SW 0x00000020u /* MDIO_SW_OWNERSHIP */
#define E1000_SWSM 0x05b50u
#define   E1000_SWSM_SMBI 0x00000001u
#define   E1000_SWSM_SWESMBI 0x00000002u

/* --- interrupts (10.2.4) --- */
#define E1000_ICR 0x000c0u
#define E1000_ICS 0x000c8u
#define E1000_IMS 0x000d0u
#define E1000_IMC 0x000d8u
#define   E1000_CAUSE_TXDW 0x00000001u
#define   E1000_CAUSE_TXQE 0x00000002u
#define   E1000_CAUSE_LSC 0x00000004u
#define   E1000_CAUSE_RXDMT 0x00000010u
#define   E1000_CAUSE_RXO 0x00000040u
#define   E1000_CAUSE_RXT 0x00000080u
#define   E1000_CAUSE_MDAC 0x00000200u
#define   E1000_CAUSE_RXQ(q) (0x00100000u << (q))
#define   E1000_CAUSE_TXQ(q) (0x00400000u << (q))
#define   E1000_CAUSE_OTHER 0x01000000u
#define   E1000_CAUSES 0x01f7ffffu
#define   E1000_ICR_ASSERTED 0x80000000u
#define E1000_ITR 0x000c4u /* units of 256 ns */
#define E1000_EIAC 0x000dcu
#define E1000_IAM 0x000e0u
#define E1000_IVAR 0x000e4u /* four bits each: RX queues 0 and 1, TX queues 0 and 1, all else */
#define   E1000_IVAR_VECTOR 7u
#define   E1000_IVAR_VALID 8u
#define E1000_EITR(n) (0x000e8u + 4u * (n))

/* --- receive (10.2.5) --- */
#define E1000_RCTL 0x00100u
#define   E1000_RCTL_ENABLE 0x00000002u
#define   E1000_RCTL_UPE 0x00000008u
#define   E1000_RCTL_MPE 0x00000010u
#define   E1000_RCTL_LPE 0x00000020u
#define   E1000_RCTL_LOOPBACK 0x000000c0u /* LBM: 01 MAC loopback */
#define   E1000_RCTL_LOOPBACK_MAC 0x00000040u
#define   E1000_RCTL_RDMTS(v) ((v) >> 8 & 3u)
#define   E1000_RCTL_DTYP(v) ((v) >> 10 & 3u) /* 1: packet split */
#define   E1000_RCTL_OFFSET(v) ((v) >> 12 & 3u) /* MO */
#define   E1000_RCTL_BAM 0x00008000u
#define   E1000_RCTL_BSIZE(v) ((v) >> 16 & 3u)
#define   E1000_RCTL_VFE 0x00040000u
#define   E1000_RCTL_CFIEN 0x00080000u
#define   E1000_RCTL_CFI 0x00100000u
#define   E1000_RCTL_DPF 0x00400000u
#define   E1000_RCTL_PMCF 0x00800000u
#define   E1000_RCTL_BSEX 0x02000000u
#define   E1000_RCTL_SECRC 0x04000000u
#define   E1000_RCTL_FLEX(v) ((v) >> 27 & 15u) /* KiB */
#define E1000_PSRCTL 0x02170u
#define   E1000_PSRCTL_BSIZE0(v) (128u * ((v) & 0x7fu))
#define   E1000_PSRCTL_BSIZE(v, n) (1024u * ((v) >> 8 * (n) & 0x3fu)) /* n: 1 to 3 */
#define E1000_RX_QUEUE(q) (0x02800u + 0x100u * (q))
#define   E1000_RDBAL 0x00u
#define   E1000_RDBAH 0x04u
#define   E1000_RDLEN 0x08u
#define   E1000_RDH 0x10u
#define   E1000_RDT 0x18u
#define E1000_PBA 0x01000u /* KiB: of the receive buffer, of the transmit buffer */
#define E1000_RXCSUM 0x05000u
#define   E1000_RXCSUM_START(v) ((v) & 0xffu)
#define   E1000_RXCSUM_IP 0x00000100u
#define   E1000_RXCSUM_L4 0x00000200u
#define   E1000_RXCSUM_PCSD 0x00002000u
#define E1000_RFCTL 0x05008u
#define   E1000_RFCTL_EXTENDED 0x00008000u
#define E1000_MTA(n) (0x05200u + 4u * (n))
#define E1000_RAL(n) (0x05400u + 8u * (n))
#define E1000_RAH(n) (0x05404u + 8u * (n))
#define   E1000_RAH_VALID 0x80000000u
#define E1000_RA_COUNT 16u
#define E1000_VFTA(n) (0x05600u + 4u * (n))
#define E1000_MRQC 0x05818u
#define   E1000_MRQC_MODE(v) ((v) & 3u) /* 1: RSS */
#define   E1000_MRQC_TCP_IPV4 0x00010000u
#define   E1000_MRQC_IPV4 0x00020000u
#define   E1000_MRQC_TCP_IPV6 0x00040000u
#define   E1000_MRQC_IPV6 0x00100000u
#define E1000_RETA(n) (0x05c00u + 4u * (n))
#define E1000_RSSRK(n) (0x05c80u + 4u * (n))

/* --- transmit (10.2.6) --- */
#define E1000_TCTL 0x00400u
#define   E1000_TCTL_ENABLE 0x00000002u
#define   E1000_TCTL_PAD 0x00000008u
#define   E1000_TCTL_SWXOFF 0x00400000u
#define E1000_TX_QUEUE(q) (0x03800u + 0x100u * (q))
#define   E1000_TDBAL 0x00u
#define   E1000_TDBAH 0x04u
#define   E1000_TDLEN 0x08u
#define   E1000_TDH 0x10u
#define   E1000_TDT 0x18u

/* --- statistics (10.2.7) --- */
#define E1000_MPC 0x04010u
#define E1000_XONRXC 0x04048u
#define E1000_XONTXC 0x0404cu
#define E1000_XOFFRXC 0x04050u
#define E1000_XOFFTXC 0x04054u
#define E1000_PRC64 0x0405cu
#define E1000_GPRC 0x04074u
#define E1000_BPRC 0x04078u
#define E1000_MPRC 0x0407cu
#define E1000_GPTC 0x04080u
#define E1000_GORCL 0x04088u
#define E1000_GOTCL 0x04090u
#define E1000_RNBC 0x040a0u
#define E1000_ROC 0x040acu
#define E1000_TORL 0x040c0u
#define E1000_TOTL 0x040c8u
#define E1000_TPR 0x040d0u
#define E1000_TPT 0x040d4u
#define E1000_PTC64 0x040d8u
#define E1000_MPTC 0x040f0u
#define E1000_BPTC 0x040f4u
#define E1000_TSCTC 0x040f8u
#define E1000_TSCTFC 0x040fcu
#define E1000_IAC 0x04100u

/* clang-format on */

#endif
