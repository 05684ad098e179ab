/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Registers and descriptors of the 82599, X540 and X550 families, as far as the driver uses them:
 * the address in BAR 0, its fields indented beneath. Section numbers are those of the 82599
 * datasheet (revision 3.4); the X540 and X550 datasheets keep addresses and fields, except where a
 * line says so.
 */
#ifndef NIC_IXGBE_REGS_H
#define NIC_IXGBE_REGS_H

#define BIT(n) (UINT32_C(1) << (n))

/* --- 8.2.3.1 general control --- */

#define CTRL                 0x00000u
#define CTRL_MASTER_DISABLE  BIT(2)
#define CTRL_RST             BIT(26)
#define STATUS               0x00008u /* never all-ones: bits 31:20 are reserved and 0 */
#define STATUS_LAN_ID_SHIFT  2
#define STATUS_LAN_ID_MASK   0x3u
#define STATUS_MASTER_ENABLE BIT(19)
#define CTRL_EXT             0x00018u
#define CTRL_EXT_NS_DIS      BIT(16)
#define CTRL_EXT_DRV_LOAD    BIT(28)
#define ESDP                 0x00020u
#define ESDP_SDP2            BIT(2)  /* SFP+ cards: there is a module */
#define ESDP_SDP3            BIT(3)  /* SFP+ cards: transmitter off */
#define ESDP_SDP5            BIT(5)  /* SFP+ cards: the module's rate select: fast */
#define ESDP_SDP3_OUT        BIT(11) /* SDP3 is an output */
#define ESDP_SDP5_OUT        BIT(13)
#define I2CCTL               0x00028u
#define I2CCTL_CLOCK_IN      BIT(0)
#define I2CCTL_CLOCK_OUT     BIT(1) /* 0 pulls it down, 1 lets go */
#define I2CCTL_DATA_IN       BIT(2)
#define I2CCTL_DATA_OUT      BIT(3)

/* --- 8.2.3.2 EEPROM, 8.2.3.4 firmware and semaphores; X550EM_a has moved some of them --- */

#define EEC                   0x10010u
#define EEC_X550EM_A          0x15FF8u
#define EEC_PRES              BIT(8)
#define EEC_AUTO_RD           BIT(9)
#define EEC_SIZE_SHIFT        11
#define EEC_SIZE_MASK         0xFu
#define EERD                  0x10014u
#define EERD_START            BIT(0)
#define EERD_DONE             BIT(1)
#define EERD_ADDRESS_SHIFT    2
#define EERD_DATA_SHIFT       16
#define SWSM                  0x10140u
#define SWSM_X550EM_A         0x15F70u
#define SWSM_SMBI             BIT(0) /* reading 0 sets it: the reader has it */
#define SWSM_SWESMBI          BIT(1) /* 82599: sticks when firmware lets it */
#define SW_FW_SYNC            0x10160u
#define SW_FW_SYNC_X550EM_A   0x15F78u
#define SYNC_EEPROM           BIT(0)
#define SYNC_PHY0             BIT(1)
#define SYNC_PHY1             BIT(2)
#define SYNC_MAC_CSR          BIT(3)
#define SYNC_MAILBOX          BIT(10) /* X550: FLEX_MNG; firmware has none to it */
#define SYNC_FIRMWARE_SHIFT   5       /* firmware's bit of the same resource */
#define SYNC_REGSMP           BIT(31) /* X540 on: as SWSM_SMBI, between software and firmware */
#define FWSM                  0x10148u
#define FWSM_RECOVERY         BIT(5) /* X550 */
#define GCR_EXT               0x11050u
#define GCR_EXT_BUFFERS_CLEAR BIT(30)

/* --- the X550's firmware (Intel's driver) --- */

#define FLEX_MNG(n)       (0x15800u + 4u * (n)) /* n < 448 */
#define HICR              0x15F00u
#define HICR_ENABLED      BIT(0)
#define HICR_COMMAND      BIT(1) /* the card clears it when the answer is there */
#define HICR_STATUS_VALID BIT(2)
#define FWSTS             0x15F0Cu
#define FWSTS_WAS_RESET   BIT(9)

/* --- 8.2.3.3 flow control --- */

#define FCTTV(n)        (0x03200u + 4u * (n))
#define FCRTL(n)        (0x03220u + 4u * (n))
#define FCRTL_XONE      BIT(31)
#define FCRTH(n)        (0x03260u + 4u * (n))
#define FCRTH_FCEN      BIT(31)
#define FCRTV           0x032A0u
#define FCCFG           0x03D00u
#define FCCFG_TFCE_LINK BIT(3)

/* --- 8.2.3.5 interrupts --- */

#define EICR                  0x00800u
#define EIAC                  0x00810u
#define EITR(n)               (0x00820u + 4u * (n)) /* n < 24 */
#define EITR_CNT_WDIS         BIT(31)               /* leave the running counter alone */
#define EIMS                  0x00880u
#define EIMC                  0x00888u
#define EIMC_ALL              0x7FFFFFFFu /* bit 31 is reserved */
#define EIMC_EX(n)            (0x00AB0u + 4u * (n))
#define EIAM                  0x00890u
#define GPIE                  0x00898u
#define GPIE_SDP2             BIT(2) /* 82599 */
#define GPIE_MSIX             BIT(4)
#define GPIE_OCD              BIT(5) /* reading EICR clears bits 29:16 alone */
#define GPIE_EIAME            BIT(30)
#define GPIE_PBA_SUPPORT      BIT(31)
#define IVAR(n)               (0x00900u + 4u * (n)) /* of queues 2n and 2n + 1 */
#define IVAR_VALID            0x80u
#define IVAR_MISC             0x00A00u
#define IVAR_MISC_OTHER_SHIFT 8
#define IRQ_QUEUES            0x0000FFFFu /* of EICR, EIMS, EIAC, EIAM */
#define IRQ_LINK              BIT(20)
#define IRQ_SDP2              BIT(26) /* SFP+ cards: a module came or went */

/* --- 8.2.3.7 receive filters, 8.2.3.27 pools; RETA and RSSRK by their older addresses, which every
 * family answers at, too ---
 */

#define RXCSUM        0x05000u
#define RXCSUM_PCSD   BIT(13) /* the RSS hash, not a fragment's checksum, is written back */
#define RFCTL         0x05008u
#define RFCTL_RSC_DIS BIT(5)
#define FCTRL         0x05080u
#define FCTRL_MPE     BIT(8)
#define FCTRL_UPE     BIT(9)
#define FCTRL_BAM     BIT(10)
#define VLNCTRL       0x05088u
#define VLNCTRL_VFE   BIT(30)
#define MCSTCTRL      0x05090u /* bits 1:0 are 0: of an address the bits 47:36 are hashed */
#define MCSTCTRL_MFE  BIT(2)
#define MTA(n)        (0x05200u + 4u * (n))
#define MTA_COUNT     128u
#define MRQC          0x05818u
#define MRQC_RSS      0x1u
#define MRQC_TCP_IPV4 BIT(16)
#define MRQC_IPV4     BIT(17)
#define MRQC_IPV6     BIT(20)
#define MRQC_TCP_IPV6 BIT(21)
#define MRQC_UDP_IPV4 BIT(22)
#define MRQC_UDP_IPV6 BIT(23)
#define RETA(n)       (0x05C00u + 4u * (n)) /* of entries 4n to 4n + 3, a byte each */
#define RETA_COUNT    32u
#define ERETA(n)      (0x0EE80u + 4u * (n)) /* X550: the entries behind */
#define ERETA_COUNT   96u
#define RSSRK(n)      (0x05C80u + 4u * (n))
#define RSSRK_COUNT   10u
#define VFTA(n)       (0x0A000u + 4u * (n))
#define VFTA_COUNT    128u
#define RAL(n)        (0x0A200u + 8u * (n))
#define RAH(n)        (0x0A204u + 8u * (n))
#define RAH_VALID     BIT(31)
#define RA_COUNT      128u
#define MPSAR(n)      (0x0A600u + 4u * (n))
#define MPSAR_COUNT   256u
#define FTQF(n)       (0x0E600u + 4u * (n))
#define FTQF_COUNT    128u
#define PFUTA(n)      (0x0F400u + 4u * (n))
#define PFUTA_COUNT   128u
#define PFVLVF(n)     (0x0F100u + 4u * (n))
#define PFVLVF_COUNT  64u
#define PFVLVFB(n)    (0x0F200u + 4u * (n))
#define PFVLVFB_COUNT 128u

/* --- 8.2.3.8 receive DMA, 8.2.3.11 DCA, 8.2.3.12 the security block in the receive path --- */

#define RDBAL(n)              (0x01000u + 0x40u * (n)) /* n < 64 */
#define RDBAH(n)              (0x01004u + 0x40u * (n))
#define RDLEN(n)              (0x01008u + 0x40u * (n))
#define DCA_RXCTRL(n)         (0x0100Cu + 0x40u * (n))
#define DCA_RXCTRL_MUST_BE_0  BIT(12)
#define DCA_RXCTRL_DATA_WRO   BIT(13)
#define DCA_RXCTRL_HEADER_WRO BIT(15)
#define RDH(n)                (0x01010u + 0x40u * (n))
#define SRRCTL(n)             (0x01014u + 0x40u * (n))
#define SRRCTL_PACKET_KIB(k)  (k)
#define SRRCTL_HEADER_64(h)   ((h) << 8)
#define SRRCTL_ADVANCED       BIT(25) /* DESCTYPE 001: advanced, one buffer */
#define SRRCTL_DROP_EN        BIT(28)
#define SRRCTL_FORMAT         0x0E00001Fu /* DESCTYPE, BSIZEPACKET */
#define RDT(n)                (0x01018u + 0x40u * (n))
#define RXDCTL(n)             (0x01028u + 0x40u * (n))
#define RXDCTL_ENABLE         BIT(25)
#define RXDCTL_VME            BIT(30)
#define RDRXCTL               0x02F00u
#define RDRXCTL_CRC_STRIP     BIT(1)
#define RDRXCTL_DMAIDONE      BIT(3)
#define RDRXCTL_RSCFRSTSIZE   (0x1Fu << 17)
#define RDRXCTL_RSCACKC       BIT(25)
#define RDRXCTL_FCOE_WRFIX    BIT(26)
#define RXCTRL                0x03000u
#define RXCTRL_RXEN           BIT(0)
#define RXPBSIZE(n)           (0x03C00u + 4u * (n))
#define RXPBSIZE_KIB_SHIFT    10
#define SECRXCTRL             0x08D00u
#define SECRXCTRL_RX_DIS      BIT(1)
#define SECRXSTAT             0x08D04u
#define SECRXSTAT_RDY         BIT(0)

/* --- 8.2.3.9 transmit DMA, 8.2.3.10 its arbiters --- */

#define RTTDCS              0x04900u
#define RTTDCS_ARBDIS       BIT(6)
#define RTTDQSEL            0x04904u
#define RTTDT1C             0x04908u
#define RTTBCNRC            0x04984u
#define TXPBTHRESH(n)       (0x04950u + 4u * (n))
#define DMATXCTL            0x04A80u
#define DMATXCTL_TE         BIT(0)
#define TDBAL(n)            (0x06000u + 0x40u * (n))
#define TDBAH(n)            (0x06004u + 0x40u * (n))
#define TDLEN(n)            (0x06008u + 0x40u * (n))
#define DCA_TXCTRL(n)       (0x0600Cu + 0x40u * (n))
#define DCA_TXCTRL_DESC_WRO BIT(11)
#define TDH(n)              (0x06010u + 0x40u * (n))
#define TDT(n)              (0x06018u + 0x40u * (n))
#define TXDCTL(n)           (0x06028u + 0x40u * (n))
#define TXDCTL_PTHRESH(d)   (d)
#define TXDCTL_HTHRESH(d)   ((d) << 8)
#define TXDCTL_ENABLE       BIT(25)
#define TDWBAL(n)           (0x06038u + 0x40u * (n))
#define TDWBAL_HEAD_WB_EN   BIT(0)
#define TDWBAH(n)           (0x0603Cu + 0x40u * (n))
#define DTXMXSZRQ           0x08100u
#define DTXMXSZRQ_ALL       0xFFFu
#define MTQC                0x08120u
#define TXPBSIZE(n)         (0x0CC00u + 4u * (n))
#define TXPBSIZE_KIB_SHIFT  10
#define TX_QUEUES_ALL       128u
#define PACKET_BUFFERS      8u

/* --- 8.2.3.22 MAC and link --- */

#define HLREG0               0x04240u
#define HLREG0_TXCRCEN       BIT(0)
#define HLREG0_RXCRCSTRP     BIT(1)
#define HLREG0_JUMBOEN       BIT(2)
#define HLREG0_TXPADEN       BIT(10)
#define HLREG0_LPBK          BIT(15)
#define MSCA                 0x0425Cu
#define MSCA_DEVICE_SHIFT    16
#define MSCA_PHY_SHIFT       21
#define MSCA_ADDRESS         (0x0u << 26)
#define MSCA_WRITE           (0x1u << 26)
#define MSCA_READ            (0x3u << 26)
#define MSCA_COMMAND         BIT(30)
#define MSRWD                0x04260u
#define MSRWD_READ_SHIFT     16
#define MAXFRS               0x04268u
#define MAXFRS_SHIFT         16
#define MFLCN                0x04294u
#define MFLCN_DPF            BIT(1)
#define MFLCN_RFCE           BIT(3)
#define AUTOC                0x042A0u
#define AUTOC_1G_KX          BIT(9) /* 1 Gbit/s over KX or BX, instead of SFI */
#define AUTOC_RESTART_AN     BIT(12)
#define AUTOC_LMS_SHIFT      13
#define AUTOC_LMS_MASK       (0x7u << AUTOC_LMS_SHIFT)
#define AUTOC_LMS_1G_AN      (0x2u << AUTOC_LMS_SHIFT)
#define AUTOC_LMS_10G_SERIAL (0x3u << AUTOC_LMS_SHIFT)
#define AUTOC_LMS_TOP        (0x4u << AUTOC_LMS_SHIFT)
#define LINKS                0x042A4u
#define LINKS_UP             BIT(30)
#define LINKS_SPEED_SHIFT    28
#define LINKS_SPEED_MASK     0x3u
#define LINKS_SPEED_OTHER    BIT(27) /* X550: 2.5 instead of 10, 5 instead of 0.1 Gbit/s */
#define AUTOC2               0x042A8u
#define AUTOC2_SERIAL_MASK   (0x3u << 16)
#define AUTOC2_SERIAL_SFI    (0x2u << 16)
#define AUTOC2_LINK_DISABLE  (0x7u << 28)
#define ANLP1                0x042B0u
#define ANLP1_STATE_MASK     (0xFu << 16)
#define MMNGC                0x042D0u
#define MMNGC_MNG_VETO       BIT(0)
#define CORECTL              0x14F00u /* 82599; of no datasheet: what its EEPROM lists goes there */

/* --- 8.2.3.23 statistics; all are cleared by reading --- */

#define RXMPC(n) (0x03FA0u + 4u * (n))
#define CRCERRS  0x04000u
#define ILLERRC  0x04004u
#define ERRBC    0x04008u
#define RLEC     0x04040u
#define GPRC     0x04074u
#define GPTC     0x04080u
#define GORCL    0x04088u
#define GORCH    0x0408Cu /* 4 bits */
#define GOTCL    0x04090u
#define GOTCH    0x04094u
#define RUC      0x040A4u
#define RFC      0x040A8u
#define ROC      0x040ACu
#define RJC      0x040B0u
#define QPRC(n)  (0x01030u + 0x40u * (n)) /* these by counter, n < 16 */
#define QBRCL(n) (0x01034u + 0x40u * (n))
#define QBRCH(n) (0x01038u + 0x40u * (n)) /* 4 bits */
#define QPRDC(n) (0x01430u + 0x40u * (n))
#define QPTC(n)  (0x06030u + 0x40u * (n))
#define QBTCL(n) (0x08700u + 8u * (n))
#define QBTCH(n) (0x08704u + 8u * (n)) /* 4 bits */
#define RQSMR(n) (0x02300u + 4u * (n)) /* the counters of receive queues 4n to 4n + 3 */
#define TQSM(n)  (0x08600u + 4u * (n)) /* and of transmit queues */

/* --- 7.1.6.2 the second quadword of an advanced receive descriptor, as written back --- */

#define RX_DD           (UINT64_C(1) << 0)
#define RX_EOP          (UINT64_C(1) << 1)
#define RX_VP           (UINT64_C(1) << 3)  /* it had a tag */
#define RX_L4CS         (UINT64_C(1) << 5)  /* TCP, UDP or SCTP: its checksum was computed */
#define RX_IPCS         (UINT64_C(1) << 6)  /* that of the IPv4 header, too */
#define RX_RXE          (UINT64_C(1) << 29) /* any error of the MAC */
#define RX_L4E          (UINT64_C(1) << 30)
#define RX_IPE          (UINT64_C(1) << 31)
#define RX_LENGTH_SHIFT 32
#define RX_VLAN_SHIFT   48

/* --- and the first --- */

#define RX_RSS_TYPE   UINT64_C(0xF) /* 0: no hash */
#define RX_TYPE_SHIFT 4
#define RX_TYPE_MASK  0x7Fu               /* as enum meta_type */
#define RX_TYPE_L2    (UINT64_C(1) << 15) /* the bits above are another thing's */
#define RX_HASH_SHIFT 32

/* --- 7.2.3.2.4 the second quadword of an advanced transmit data descriptor --- */

#define TX_DATA         (UINT64_C(3) << 20)
#define TX_EOP          (UINT64_C(1) << 24)
#define TX_IFCS         (UINT64_C(1) << 25)
#define TX_RS           (UINT64_C(1) << 27)
#define TX_DEXT         (UINT64_C(1) << 29)
#define TX_VLE          (UINT64_C(1) << 30)
#define TX_TSE          (UINT64_C(1) << 31)
#define TX_DD           (UINT64_C(1) << 32)
#define TX_IDX_SHIFT    36                  /* of a context too */
#define TX_IXSM         (UINT64_C(1) << 40) /* insert the IPv4 header's checksum */
#define TX_TXSM         (UINT64_C(1) << 41) /* and that of TCP, UDP, SCTP */
#define TX_PAYLEN_SHIFT 46                  /* of the frame; TSE: without its headers */

/* --- 7.2.3.2.3 a transmit context descriptor, both quadwords --- */

#define CONTEXT_IPLEN_SHIFT  0
#define CONTEXT_MACLEN_SHIFT 9
#define CONTEXT_VLAN_SHIFT   16

#define CONTEXT_WORD        ((UINT64_C(2) << 20) | TX_DEXT)
#define CONTEXT_IPV4        (UINT64_C(1) << 10)
#define CONTEXT_L4_TCP      (UINT64_C(1) << 11)
#define CONTEXT_L4_SCTP     (UINT64_C(2) << 11)
#define CONTEXT_L4LEN_SHIFT 40
#define CONTEXT_MSS_SHIFT   48

/* --- 7.1.5, 7.2.3.2.2 the legacy formats: received; sent with EOP, IFCS and RS as above --- */

#define LEGACY_RX_DD     (UINT64_C(1) << 32)
#define LEGACY_RX_EOP    (UINT64_C(1) << 33)
#define LEGACY_RX_ERRORS (UINT64_C(0x3F) << 40) /* but for checksums', the frame's own */

#endif
