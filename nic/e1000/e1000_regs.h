/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Registers and descriptors of Intel's 1 Gbit/s family, as far as the driver uses them: the address
 * in BAR 0, its fields indented beneath. Sections are those of the 8254x software developer's
 * manual (revision 4.0, "8254x"), the 82574 datasheet (3.4) and the 82576 datasheet (2.63); a name
 * alone means that all three agree.
 */
#ifndef NIC_E1000_REGS_H
#define NIC_E1000_REGS_H

#define BIT(n) (UINT32_C(1) << (n))

/* --- general: 8254x 13.4, 82574 10.2.2, 82576 8.2 --- */

#define CTRL                    0x00000u
#define CTRL_GIO_MASTER_DISABLE BIT(2) /* PCI Express models */
#define CTRL_LRST               BIT(3) /* 8254x: the link held in reset */
#define CTRL_ASDE               BIT(5) /* speed as the PHY has it */
#define CTRL_SLU                BIT(6) /* set link up */
#define CTRL_ILOS               BIT(7)
#define CTRL_FRCSPD             BIT(11)
#define CTRL_FRCDPX             BIT(12)
#define CTRL_RST                BIT(26)
#define CTRL_RFCE               BIT(27)
#define CTRL_TFCE               BIT(28)
#define CTRL_VME                BIT(30)
#define CTRL_PHY_RST            BIT(31)
#define STATUS                  0x00008u
#define STATUS_LU               BIT(1)
#define STATUS_LAN_ID           BIT(2) /* 82576: port 1 */
#define STATUS_SPEED_SHIFT      6
#define STATUS_SPEED_MASK       0x3u
#define STATUS_GIO_MASTER       BIT(19) /* PCI Express models: requests are pending */
#define CTRL_EXT                0x00018u
#define CTRL_EXT_EIAME          BIT(24) /* 82574: a message masks what IAM names */
#define CTRL_EXT_DRV_LOAD       BIT(28)
#define CTRL_EXT_PBA_CLR        BIT(31) /* 82574: pending bits of MSI-X clear themselves */
#define EECD                    0x00010u
#define EECD_AUTO_RD            BIT(9) /* the EEPROM was read into the registers */
#define MDIC                    0x00020u
#define MDIC_DATA_MASK          0xFFFFu
#define MDIC_REG_SHIFT          16
#define MDIC_PHY_SHIFT          21
#define MDIC_OP_WRITE           (1u << 26)
#define MDIC_OP_READ            (2u << 26)
#define MDIC_READY              BIT(28)
#define MDIC_ERROR              BIT(30)
#define FCAL                    0x00028u /* what pause frames are sent to */
#define FCAH                    0x0002Cu
#define FCT                     0x00030u
#define VET                     0x00038u
#define FCTTV                   0x00170u
#define EXTCNF_CTRL             0x00F00u /* 82574 */
#define EXTCNF_MDIO_SW          BIT(5)   /* sticks when firmware has not got it */
#define GCR                     0x05B00u
#define GCR_22                  BIT(22)  /* 82574: named by nobody, set by Linux and FreeBSD */
#define SWSM                    0x05B50u /* 82576 8.16 */
#define SWSM_SMBI               BIT(0)   /* reading 0 sets it: the reader has it */
#define SWSM_SWESMBI            BIT(1)   /* sticks when firmware lets it */
#define SW_FW_SYNC              0x05B5Cu
#define SYNC_PHY0               BIT(1)
#define SYNC_PHY1               BIT(2)
#define SYNC_FIRMWARE_SHIFT     16
#define GCR2                    0x05B64u
#define GCR2_0                  BIT(0) /* 82574: the same */

/* --- interrupts: 8254x 13.4.17 to 13.4.21, 82574 10.2.4, 82576 8.8 --- */

#define ICR           0x000C0u
#define ITR           0x000C4u /* 256 ns from one to the next, at least */
#define ICS           0x000C8u
#define IMS           0x000D0u
#define IMC           0x000D8u
#define EIAC_82574    0x000DCu
#define IAM           0x000E0u
#define IVAR_82574    0x000E4u
#define IVAR_RX(n)    (4u * (n)) /* where a field of 3 bits begins */
#define IVAR_TX(n)    (8u + 4u * (n))
#define IVAR_OTHER    16u
#define IVAR_ENABLED  0x8u
#define EITR_82574(n) (0x000E8u + 4u * (n)) /* as ITR */
#define IRQ_TXDW      BIT(0)
#define IRQ_LSC       BIT(2)
#define IRQ_RXDMT     BIT(4)
#define IRQ_RXO       BIT(6)
#define IRQ_RXT       BIT(7)
#define IRQ_QUEUES    (IRQ_TXDW | IRQ_RXDMT | IRQ_RXO | IRQ_RXT)
#define IRQ_RXQ(n)    BIT(20 + (n)) /* 82574, with MSI-X */
#define IRQ_TXQ(n)    BIT(22 + (n))
#define IRQ_OTHER     BIT(24)

/* 82576: the extended causes, one a vector. */
#define GPIE             0x01514u
#define GPIE_MSIX        BIT(4)
#define GPIE_EIAME       BIT(30)
#define GPIE_PBA_SUPPORT BIT(31)
#define EICR             0x01580u
#define EIMS             0x01524u
#define EIMC             0x01528u
#define EIAC             0x0152Cu
#define EIAM             0x01530u
#define EITR(n)          (0x01680u + 4u * (n)) /* us from one to the next, from bit 2 on */
#define EITR_CNT_IGNR    BIT(31)
#define IVAR(n)          (0x01700u + 4u * (n)) /* RX n, TX n, RX n + 8, TX n + 8, a byte each */
#define IVAR_MISC        0x01740u              /* all else in the second byte */
#define IVAR_VALID       0x80u

/* --- receive: 8254x 13.4.22 to 13.4.31, 13.5; 82574 10.2.5; 82576 8.10 --- */

#define RCTL       0x00100u
#define RCTL_EN    BIT(1)
#define RCTL_UPE   BIT(3)
#define RCTL_MPE   BIT(4)
#define RCTL_LPE   BIT(5)
#define RCTL_BAM   BIT(15)
#define RCTL_VFE   BIT(18)
#define RCTL_SECRC BIT(26)
#define PBA        0x01000u /* 8254x, 82574: KiB to receive with */
#define FCRTL      0x02160u
#define FCRTL_XONE BIT(31) /* tells when there is room again */
#define FCRTH      0x02168u
#define FCRTV      0x02460u /* 82576 */
/* The registers of a queue: the 82574 has two, the 82576 sixteen, of which the first four are at
 * the places of the others' (82576 8.10.5).
 */
#define RX_QUEUE(n)     ((n) < 4 ? 0x02800u + 0x100u * (n) : 0x0C000u + 0x40u * (n))
#define RDBAL(n)        (RX_QUEUE(n) + 0x00u)
#define RDBAH(n)        (RX_QUEUE(n) + 0x04u)
#define RDLEN(n)        (RX_QUEUE(n) + 0x08u)
#define SRRCTL(n)       (RX_QUEUE(n) + 0x0Cu) /* 82576 */
#define SRRCTL_KIB(k)   (k)
#define SRRCTL_ADVANCED BIT(25) /* DESCTYPE 001: advanced, one buffer */
#define SRRCTL_DROP_EN  BIT(31)
#define RDH(n)          (RX_QUEUE(n) + 0x10u)
#define RDT(n)          (RX_QUEUE(n) + 0x18u)
#define RXDCTL(n)       (RX_QUEUE(n) + 0x28u)
#define RXDCTL_ENABLE   BIT(25)               /* 82576 */
#define RQDPC(n)        (RX_QUEUE(n) + 0x30u) /* 82576: frames dropped, cleared by reading */
#define RQDPC_MASK      0xFFFu
#define RDTR            0x02820u
#define RADV            0x0282Cu
#define RXCSUM          0x05000u
#define RXCSUM_PCSD     BIT(13)  /* the hash in the descriptor */
#define RLPML           0x05004u /* 82576: the longest frame with LPE */
#define RFCTL           0x05008u
#define RFCTL_EXSTEN    BIT(15) /* 82574: extended descriptors */
#define MTA(n)          (0x05200u + 4u * (n))
#define MTA_COUNT       128u
#define RAL(n)          (0x05400u + 8u * (n))
#define RAH(n)          (0x05404u + 8u * (n))
#define RAH_AV          BIT(31)
#define RA_COUNT        16u
#define VFTA(n)         (0x05600u + 4u * (n))
#define VFTA_COUNT      128u
/* Which queue: 82574 10.2.5.26 to 28, 82576 8.10.20 to 22. */
#define MRQC            0x05818u
#define MRQC_RSS_82574  0x1u
#define MRQC_RSS_82576  0x2u
#define MRQC_TCP_IPV4   BIT(16)
#define MRQC_IPV4       BIT(17)
#define MRQC_TCP_IPV6   BIT(18) /* 82576: with extension headers */
#define MRQC_IPV6       BIT(20)
#define MRQC_TCP_IPV6_X BIT(21) /* the 82576's other one, and UDP */
#define MRQC_UDP_IPV4   BIT(22)
#define MRQC_UDP_IPV6   BIT(23)
#define RETA(n)         (0x05C00u + 4u * (n))
#define RETA_COUNT      32u
#define RETA_82574      7 /* the bit of an entry that names the queue */
#define RSSRK(n)        (0x05C80u + 4u * (n))
#define RSSRK_COUNT     10u

/* --- transmit: 8254x 13.4.33 to 13.4.43, 82574 10.2.6, 82576 8.12 --- */

#define TCTL            0x00400u
#define TCTL_EN         BIT(1)
#define TCTL_PSP        BIT(3) /* short frames are padded */
#define TCTL_CT_SHIFT   4
#define TCTL_COLD_SHIFT 12
#define TCTL_RTLC       BIT(24)
#define TIPG            0x00410u
#define TX_QUEUE(n)     ((n) < 4 ? 0x03800u + 0x100u * (n) : 0x0E000u + 0x40u * (n))
#define TDBAL(n)        (TX_QUEUE(n) + 0x00u)
#define TDBAH(n)        (TX_QUEUE(n) + 0x04u)
#define TDLEN(n)        (TX_QUEUE(n) + 0x08u)
#define TDH(n)          (TX_QUEUE(n) + 0x10u)
#define TDT(n)          (TX_QUEUE(n) + 0x18u)
#define TXDCTL(n)       (TX_QUEUE(n) + 0x28u)
#define TXDCTL_COUNT    BIT(22) /* 82574: must be 1 (10.2.6.9) */
#define TXDCTL_GRAN     BIT(24) /* 8254x, 82574: thresholds count descriptors, not lines */
#define TXDCTL_ENABLE   BIT(25) /* 82576 */
#define TIDV            0x03820u
#define TADV            0x0382Cu
#define TARC(n)         (0x03840u + 0x100u * (n)) /* 82574 */
#define TARC_ENABLE     BIT(10)

/* --- statistics, cleared by reading: 8254x 13.7, 82574 10.2.7, 82576 8.19 --- */

#define CRCERRS  0x04000u
#define ALGNERRC 0x04004u
#define RXERRC   0x0400Cu
#define MPC      0x04010u
#define SEC      0x04038u
#define RLEC     0x04040u
#define GPRC     0x04074u
#define GPTC     0x04080u
#define GORCL    0x04088u
#define GORCH    0x0408Cu
#define GOTCL    0x04090u
#define GOTCH    0x04094u
#define RNBC     0x040A0u
#define RUC      0x040A4u
#define RFC      0x040A8u
#define ROC      0x040ACu
#define RJC      0x040B0u

/* --- the second quadword of a receive descriptor, as written back --- */

/* legacy: 8254x 3.2.3 */
#define RX_LEGACY_LENGTH 0 /* where its 16 bits begin */
#define RX_LEGACY_DD     (UINT64_C(1) << 32)
#define RX_LEGACY_EOP    (UINT64_C(1) << 33)
/* CRC or alignment, symbol, sequence, carrier extension, data */
#define RX_LEGACY_ERRORS (UINT64_C(0x97) << 40)
/* extended: 82574 7.1.4.2; advanced: 82576 7.1.5.2 */
#define RX_EXTENDED_LENGTH 32
#define RX_EXTENDED_DD     (UINT64_C(1) << 0)
#define RX_EXTENDED_EOP    (UINT64_C(1) << 1)
#define RX_EXTENDED_ERRORS (UINT64_C(0x97) << 24) /* as legacy */
#define RX_ADVANCED_ERRORS (UINT64_C(1) << 31)    /* any error of the MAC */

/* --- the second quadword of a legacy transmit descriptor: 8254x 3.3.3, 82574 7.2.10.1, 82576
 * 7.2.2.1 --- */

#define TX_EOP  (UINT64_C(1) << 24)
#define TX_IFCS (UINT64_C(1) << 25)
#define TX_RS   (UINT64_C(1) << 27)
#define TX_DD   (UINT64_C(1) << 32)
/* From that byte on a descriptor has its checksum start and "special", which stay 0. */
#define TX_ZERO 13u

#endif
