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
#define FCAL                    0x00028u
#define FCAH                    0x0002Cu
#define FCT                     0x00030u
#define FCTTV                   0x00170u
#define EXTCNF_CTRL             0x00F00u /* 82574 */
#define EXTCNF_MDIO_SW          BIT(5)   /* sticks when firmware has not got it */
#define SWSM                    0x05B50u /* 82576 8.16 */
#define SWSM_SMBI               BIT(0)   /* reading 0 sets it: the reader has it */
#define SWSM_SWESMBI            BIT(1)   /* sticks when firmware lets it */
#define SW_FW_SYNC              0x05B5Cu
#define SYNC_PHY0               BIT(1)
#define SYNC_PHY1               BIT(2)
#define SYNC_FIRMWARE_SHIFT     16

/* --- interrupts: 8254x 13.4.17 to 13.4.21, 82574 10.2.4, 82576 8.8 --- */

#define ICR           0x000C0u
#define ITR           0x000C4u /* 256 ns from one to the next, at least */
#define ICS           0x000C8u
#define IMS           0x000D0u
#define IMC           0x000D8u
#define EIAC_82574    0x000DCu
#define IAM           0x000E0u
#define IVAR_82574    0x000E4u
#define IVAR_OTHER    16 /* where a field of 3 bits begins; RX queue 0 at 0, TX queue 0 at 8 */
#define IVAR_TX       8
#define IVAR_ENABLED  0x8u
#define EITR_82574(n) (0x000E8u + 4u * (n)) /* as ITR */
#define IRQ_TXDW      BIT(0)
#define IRQ_LSC       BIT(2)
#define IRQ_RXDMT     BIT(4)
#define IRQ_RXO       BIT(6)
#define IRQ_RXT       BIT(7)
#define IRQ_QUEUES    (IRQ_TXDW | IRQ_RXDMT | IRQ_RXO | IRQ_RXT)
#define IRQ_RXQ0      BIT(20) /* 82574, with MSI-X */
#define IRQ_TXQ0      BIT(22)
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
#define IVAR0            0x01700u /* RX queue 0 in the lowest byte, TX queue 0 in the next */
#define IVAR_MISC        0x01740u /* all else in the second byte */
#define IVAR_VALID       0x80u

/* --- receive: 8254x 13.4.22 to 13.4.31, 13.5; 82574 10.2.5; 82576 8.10 --- */

#define RCTL            0x00100u
#define RCTL_EN         BIT(1)
#define RCTL_UPE        BIT(3)
#define RCTL_MPE        BIT(4)
#define RCTL_LPE        BIT(5)
#define RCTL_BAM        BIT(15)
#define RCTL_SECRC      BIT(26)
#define FCRTL           0x02160u
#define FCRTH           0x02168u
#define RDBAL           0x02800u /* of queue 0; the 82576 has it also at 0xC000 (8.10.5) */
#define RDBAH           0x02804u
#define RDLEN           0x02808u
#define SRRCTL          0x0280Cu /* 82576 */
#define SRRCTL_KIB(k)   (k)
#define SRRCTL_ADVANCED BIT(25) /* DESCTYPE 001: advanced, one buffer */
#define RDH             0x02810u
#define RDT             0x02818u
#define RDTR            0x02820u
#define RXDCTL          0x02828u
#define RXDCTL_ENABLE   BIT(25) /* 82576 */
#define RADV            0x0282Cu
#define RLPML           0x05004u /* 82576: the longest frame with LPE */
#define RFCTL           0x05008u
#define MRQC            0x05818u
#define MTA(n)          (0x05200u + 4u * (n))
#define MTA_COUNT       128u
#define RAL             0x05400u
#define RAH             0x05404u
#define RAH_AV          BIT(31)
#define VFTA(n)         (0x05600u + 4u * (n))
#define VFTA_COUNT      128u

/* --- transmit: 8254x 13.4.33 to 13.4.43, 82574 10.2.6, 82576 8.12 --- */

#define TCTL            0x00400u
#define TCTL_EN         BIT(1)
#define TCTL_PSP        BIT(3) /* short frames are padded */
#define TCTL_CT_SHIFT   4
#define TCTL_COLD_SHIFT 12
#define TCTL_RTLC       BIT(24)
#define TIPG            0x00410u
#define TDBAL           0x03800u
#define TDBAH           0x03804u
#define TDLEN           0x03808u
#define TDH             0x03810u
#define TDT             0x03818u
#define TIDV            0x03820u
#define TXDCTL          0x03828u
#define TXDCTL_COUNT    BIT(22) /* 82574: must be 1 (10.2.6.9) */
#define TXDCTL_GRAN     BIT(24) /* 8254x, 82574: thresholds count descriptors, not lines */
#define TXDCTL_ENABLE   BIT(25) /* 82576 */
#define TADV            0x0382Cu

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

/* legacy: 8254x 3.2.3, 82574 7.1.4.1 */
#define RX_LEGACY_LENGTH 0 /* where its 16 bits begin */
#define RX_LEGACY_DD     (UINT64_C(1) << 32)
#define RX_LEGACY_EOP    (UINT64_C(1) << 33)
/* CRC or alignment, symbol, sequence, carrier extension, data */
#define RX_LEGACY_ERRORS (UINT64_C(0x97) << 40)
/* advanced: 82576 7.1.5.2 */
#define RX_ADVANCED_LENGTH 32
#define RX_ADVANCED_DD     (UINT64_C(1) << 0)
#define RX_ADVANCED_EOP    (UINT64_C(1) << 1)
#define RX_ADVANCED_ERRORS (UINT64_C(1) << 31) /* any error of the MAC */

/* --- the second quadword of a legacy transmit descriptor: 8254x 3.3.3, 82574 7.2.10.1, 82576
 * 7.2.2.1 --- */

#define TX_EOP  (UINT64_C(1) << 24)
#define TX_IFCS (UINT64_C(1) << 25)
#define TX_RS   (UINT64_C(1) << 27)
#define TX_DD   (UINT64_C(1) << 32)

#endif
