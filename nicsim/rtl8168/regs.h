/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Registers of the RTL8168, by byte. The names are Realtek's (RTL8169 datasheet 1.21, chapter 6),
 * where it has them; those without a datasheet are Linux's r8169's.
 */
#ifndef NICSIM_RTL8168_REGS_H
#define NICSIM_RTL8168_REGS_H

#define RTL_IDR        0x00u /* six bytes: our address */
#define RTL_MAR        0x08u /* eight: the multicast hash table */
#define RTL_DTCCR      0x10u /* dump of the tally counters, 64 bits */
#define DTCCR_DUMP     0x00000008u
#define DTCCR_RESET    0x00000001u /* r8169: from the 8168C on */
#define DTCCR_ADDRESS  0xffffffc0u
#define RTL_TNPDS      0x20u /* the ring, 64 bits */
#define RTL_THPDS      0x28u /* that of high priority */
#define RING_ALIGN     0xffffff00u
#define RTL_FLASH      0x30u
#define RTL_CR         0x37u
#define CR_STOP        0x80u /* r8169 */
#define CR_RESET       0x10u
#define CR_RX          0x08u
#define CR_TX          0x04u
#define CR_RX_EMPTY    0x01u
#define RTL_TPPOLL     0x38u
#define TPPOLL_HIGH    0x80u
#define TPPOLL_NORMAL  0x40u
#define TPPOLL_FSWINT  0x01u
#define RTL_IMR        0x3cu
#define RTL_ISR        0x3eu
#define INT_SYSERR     0x8000u
#define INT_TIMEOUT    0x4000u
#define INT_SW         0x0100u
#define INT_TDU        0x0080u
#define INT_FOVW       0x0040u
#define INT_LINK       0x0020u
#define INT_RDU        0x0010u
#define INT_TER        0x0008u
#define INT_TOK        0x0004u
#define INT_RER        0x0002u
#define INT_ROK        0x0001u
#define INT_ALL        0xc1ffu
#define RTL_TCR        0x40u
#define TCR_XID        0x7cf00000u /* which chip it is (r8169) */
#define TCR_LOOPBACK   0x00060000u
#define RTL_RCR        0x44u
#define RCR_ERRORS     0x20u
#define RCR_BROADCAST  0x08u
#define RCR_MULTICAST  0x04u
#define RCR_PHYSICAL   0x02u
#define RCR_ALL        0x01u
#define RTL_TCTR       0x48u
#define RTL_MPC        0x4cu
#define RTL_9346CR     0x50u
#define CR9346_MODE    0xc0u
#define CR9346_NORMAL  0x00u
#define CR9346_LOAD    0x40u
#define CR9346_UNLOCK  0xc0u
#define RTL_CONFIG(n)  (0x51u + (n))
#define RTL_TIMERINT   0x58u
#define RTL_PHYAR      0x60u
#define PHYAR_FLAG     0x80000000u /* to be written; or: read */
#define RTL_CSIDR      0x64u
#define RTL_CSIAR      0x68u
#define RTL_PHYSTATUS  0x6cu
#define PHYSTATUS_1000 0x10u
#define PHYSTATUS_LINK 0x02u
#define PHYSTATUS_FULL 0x01u
#define RTL_PMCH       0x6fu
#define RTL_ERIDR      0x70u
#define RTL_ERIAR      0x74u
#define RTL_EPHY_RXER  0x7cu
#define RTL_EPHYAR     0x80u
#define RTL_OCPDR      0xb0u
#define RTL_OCPAR      0xb4u
#define INDIRECT_FLAG  0x80000000u /* of the four above: to be written, or: done reading */
#define RTL_RDSAR1     0xd0u
#define RTL_RMS        0xdau
#define RTL_CPCR       0xe0u
#define CPCR_VLAN      0x0040u
#define CPCR_CHECKSUM  0x0020u
#define RTL_MITIGATE   0xe2u
#define RTL_RDSAR      0xe4u /* 64 bits */
#define RTL_MTPS       0xecu
#define RTL_MISC       0xf0u

/* The first doubleword of descriptors (9.1). */
#define DESC_OWN   0x80000000u
#define DESC_EOR   0x40000000u
#define DESC_FIRST 0x20000000u
#define DESC_LAST  0x10000000u

#endif
