/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Registers and descriptors of the RTL8168 family, as far as the driver uses them: the address in
 * BAR 2, its size where that is not 32 bits, its fields indented beneath. Names and layout are
 * those of Realtek's RTL8168 register description, from which [L] and [F] are missing: what Linux's
 * r8169 and FreeBSD's re(4) know besides.
 */
#ifndef NIC_RTL8168_REGS_H
#define NIC_RTL8168_REGS_H

#define BIT(n) (UINT32_C(1) << (n))

#define IDR0             0x00u /* the station's address, six bytes */
#define IDR4             0x04u
#define MAR0             0x08u /* the hash of group addresses: 64 bits, the last byte first */
#define MAR4             0x0Cu
#define DTCCR            0x10u /* where the tally is written, and the command to */
#define DTCCR_DUMP       BIT(3)
#define DTCCR_HIGH       0x14u
#define TNPDS            0x20u /* the transmit ring of normal priority */
#define TNPDS_HIGH       0x24u
#define CR               0x37u /* 8 */
#define CR_STOP          0x80u /* [L] */
#define CR_RST           0x10u
#define CR_RE            0x08u
#define CR_TE            0x04u
#define TPPOLL           0x38u /* 8 */
#define TPPOLL_NPQ       0x40u
#define IMR              0x3Cu /* 16 */
#define ISR              0x3Eu /* 16; writing 1 clears */
#define IRQ_ROK          0x0001u
#define IRQ_RER          0x0002u
#define IRQ_TOK          0x0004u
#define IRQ_TER          0x0008u
#define IRQ_LINK         0x0020u
#define IRQ_FOVW         0x0040u /* the receiver's FIFO was full */
#define IRQ_SERR         0x8000u /* the bus refused the card an access */
#define TCR              0x40u
#define TCR_BURST        (7u << 8) /* of DMA: no limit */
#define TCR_AUTO_FIFO    BIT(7)    /* [L] */
#define TCR_EMPTY        BIT(11)   /* [L] nothing is left to be sent */
#define TCR_XID_SHIFT    20        /* the model, [L] */
#define TCR_IFG          (3u << 24)
#define RCR              0x44u
#define RCR_AAP          BIT(0) /* of all stations */
#define RCR_APM          BIT(1) /* of this one */
#define RCR_AM           BIT(2)
#define RCR_AB           BIT(3)
#define RCR_ACCEPT       0x3Fu
#define RCR_BURST        (7u << 8)
#define RCR_EARLY_OFF    BIT(11) /* [L] */
#define RCR_THRESHOLD    (7u << 13)
#define RCR_MULTIPLE     BIT(14) /* [L] reads several descriptors at once */
#define RCR_128          BIT(15) /* [L] */
#define CR9346           0x50u   /* 8 */
#define CR9346_LOCK      0x00u
#define CR9346_UNLOCK    0xC0u
#define CONFIG3          0x54u /* 8 */
#define CONFIG3_JUMBO    0x04u
#define CONFIG4          0x55u /* 8 */
#define CONFIG4_JUMBO    0x02u
#define CONFIG4_JUMBO_BE 0x01u /* 8168B and 8168E */
#define PHYAR            0x60u
#define PHYAR_FLAG       BIT(31) /* to be written, or read; of GPHY_OCP, too */
#define PHYAR_REG_SHIFT  16
#define PHYSTATUS        0x6Cu /* 8 */
#define PHYSTATUS_1000   0x10u
#define PHYSTATUS_100    0x08u
#define PHYSTATUS_10     0x04u
#define PHYSTATUS_LINK   0x02u
#define PMCH             0x6Fu /* 8, [L] */
#define ERIDR            0x70u /* [L] behind it: the MAC's extended registers, by 32 bits */
#define ERIAR            0x74u
#define ERIAR_FLAG       BIT(31) /* to be written, or read */
#define ERIAR_ALL        0xF000u /* bytes */
#define EPHY_RXER        0x7Cu   /* [L] */
#define OCPDR            0xB0u   /* [L] behind it: the PHY, the management processor, the MAC's */
#define OCPDR_WRITE      BIT(31)
#define OCPAR            0xB4u
#define OCPAR_FLAG       BIT(31)
#define OCPAR_ALL        0xF000u /* bytes */
#define OCPAR_PHY_WRITE  0x8000F060u
#define OCPAR_PHY_READ   0x0000F060u
#define GPHY_OCP         0xB8u /* [L] */
#define GPHY_BASE        0xA400u
#define OCP_REG_SHIFT    15
#define DP_MDIO          0xD0u /* [L] 8168DP */
#define DP_MDIO_OFF      BIT(17)
#define MCU              0xD3u /* 8, [L] */
#define MCU_OOB          0x80u /* its firmware has the card */
#define MCU_EMPTY        0x30u /* both FIFOs */
#define MCU_LIST_READY   0x02u
#define RMS              0xDAu /* 16: the longest frame, with the CRC */
#define CPLUSCR          0xE0u /* 16 */
#define CPLUSCR_KEPT     0x2000u
#define INTMIT           0xE2u /* 16 */
#define RDSAR            0xE4u /* the receive ring */
#define RDSAR_HIGH       0xE8u
#define MTPS             0xECu /* 8 */
#define MISC             0xF0u /* [L] */
#define MISC_RXDV_GATED  BIT(19)

/* Behind ERIAR [L]. */
#define ERI_POWER    0x1A8u
#define ERI_POWER_ON 0xFC000000u

/* Behind OCPDR, of the MAC [L]. */
#define MAC_LIST     0xE8DEu
#define MAC_LIST_OLD BIT(14)
#define MAC_LIST_NEW BIT(15)

/* --- the first quadword of a descriptor: its lower half; the upper one is of VLAN and checksums
 * --- */

#define DESC_OWN     (UINT64_C(1) << 31) /* the card's */
#define DESC_EOR     (UINT64_C(1) << 30) /* the ring's last */
#define DESC_FS      (UINT64_C(1) << 29)
#define DESC_LS      (UINT64_C(1) << 28)
#define RX_RES       (UINT64_C(1) << 21) /* any error */
#define RX_LENGTH    UINT64_C(0x3FFF)    /* to be filled; written: the frame's, with the CRC */
#define TX_LENGTH    UINT64_C(0xFFFF)
#define DESCRIPTORS  1024u /* of a ring, at most */
#define BUFFER_ALIGN 8u    /* of received data */

/* --- the tally: 64 bytes, aligned to as many --- */

#define TALLY_BYTES  64u
#define TALLY_RX_ERR 3 /* its quadword; the lower half */
#define TALLY_MISSED 3 /* 16 bits from bit 32 on */

#endif
