/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The registers that the models act upon; addresses, then their fields indented. All others
 * are rows of the table in table.c alone. Sources: Intel Ethernet Controller X540 datasheet
 * chapter 8, 82599 datasheet chapter 8 (the same registers), and Linux's ixgbe for what the
 * datasheets leave out.
 */
#ifndef NICSIM_IXGBE_REGS_H
#define NICSIM_IXGBE_REGS_H

/* Fields stand indented beneath their register. */
/* clang-format off */

/* --- general --- */
#define CTRL 0x00000u
#define   CTRL_MASTER_DISABLE 0x00000004u
#define   CTRL_LINK_RESET 0x00000008u
#define   CTRL_RESET 0x04000000u
#define STATUS 0x00008u
#define   STATUS_PORT(n) ((uint32_t)(n) << 2) /* LAN_ID */
#define   STATUS_LINK_UP 0x00000080u
#define   STATUS_MASTER_ENABLED 0x00080000u
#define ESDP 0x00020u
#define   ESDP_MODULE 0x00000004u /* SDP2: a module is in the cage */
#define   ESDP_LASER_OFF 0x00000008u /* SDP3 */
#define I2CCTL 0x00028u /* 82599 datasheet 8.2.3.1.5 */
#define   I2CCTL_CLOCK_IN 0x00000001u
#define   I2CCTL_CLOCK_OUT 0x00000002u
#define   I2CCTL_DATA_IN 0x00000004u
#define   I2CCTL_DATA_OUT 0x00000008u
#define FRTIMER 0x00048u

/* --- non-volatile memory, semaphores --- */
#define EEC 0x10010u
#define   EEC_CLOCK 0x00000001u /* from here: the 82599's, which reads its EEPROM by its pins, too */
#define   EEC_SELECT 0x00000002u /* low: selected */
#define   EEC_DATA_IN 0x00000004u /* into the EEPROM */
#define   EEC_DATA_OUT 0x00000008u
#define   EEC_REQUEST 0x00000040u
#define   EEC_GRANT 0x00000080u
#define   EEC_AUTO_READ 0x00000200u /* the EEPROM was loaded */
#define   EEC_UPDATE 0x00800000u
#define   EEC_UPDATE_DONE 0x04000000u
#define EERD 0x10014u
#define EEWR 0x10018u
#define   EERW_START 0x00000001u
#define   EERW_DONE 0x00000002u
#define SWSM 0x10140u
#define   SWSM_SMBI 0x00000001u
#define   SWSM_SWESMBI 0x00000002u
#define FACTPS 0x10150u
#define   FACTPS_PORT0 0x00000004u
#define   FACTPS_PORT1 0x00000100u
#define SW_FW_SYNC 0x10160u
#define   SW_FW_SYNC_MAILBOX 0x00000400u
#define   SW_FW_SYNC_REGSMP 0x80000000u

/* --- the firmware's host interface (X550) --- */
#define FLEX_MNG(n) (0x15800u + 4u * (n)) /* memory that both sides see */
#define FLEX_MNG_COUNT 448u
#define HICR 0x15f00u
#define   HICR_ENABLED 0x00000001u
#define   HICR_COMMAND 0x00000002u /* the driver's, until the firmware is done */
#define   HICR_STATUS_VALID 0x00000004u
#define FWSTS 0x15f0cu
#define   FWSTS_WAS_RESET 0x00000200u

/* --- interrupts --- */
#define EICR 0x00800u
#define   EICR_QUEUES 0x0000ffffu
#define   EICR_RX_MISS 0x00020000u
#define   EICR_LSC 0x00100000u
#define   EICR_SDP2 0x04000000u /* 82599: a module came or went */
#define   EICR_OTHER 0x3fff0000u /* causes that share the vector of IVAR_MISC */
#define   EICR_TIMER 0x40000000u
#define EICS 0x00808u
#define EIAC 0x00810u
#define EITR(n) ((n) < 24 ? 0x00820u + 4u * (n) : 0x12300u + 4u * ((n)-24u))
#define   EITR_UNIT 2048ull /* ns, at 1 and 10 Gbit/s */
#define   EITR_INTERVAL(v) (((v) >> 3) & 0x1ffu)
#define   EITR_COUNTER(n) (((n) & 0x1fcu) << 19) /* without its lowest two bits */
#define   EITR_LEFT(v) (((v) >> 19) & 0x1fcu)
#define   EITR_KEEP_COUNTER 0x80000000u
#define EIMS 0x00880u
#define EIMC 0x00888u
#define EIAM 0x00890u
#define GPIE 0x00898u
#define   GPIE_SDP2 0x00000004u
#define   GPIE_MULTIPLE_MSIX 0x00000010u
#define   GPIE_OCD 0x00000020u
#define   GPIE_EIAME 0x40000000u
#define IVAR(n) (0x00900u + 4u * (n)) /* queues 2n and 2n + 1: rx, tx, rx, tx */
#define   IVAR_VALID 0x80u
#define   IVAR_VECTOR 0x3fu
#define IVAR_MISC 0x00a00u /* TCP timer, other causes */
#define EICS_EX(n) (0x00a90u + 4u * (n))
#define EIMS_EX(n) (0x00aa0u + 4u * (n))
#define EIMC_EX(n) (0x00ab0u + 4u * (n))
#define EIAM_EX(n) (0x00ad0u + 4u * (n))

/* --- receive --- */
#define RX_QUEUE(n) ((n) < 64 ? 0x01000u + 0x40u * (n) : 0x0d000u + 0x40u * ((n)-64u))
#define RDBAL 0x00u /* from here: offsets inside a queue's block */
#define RDBAH 0x04u
#define RDLEN 0x08u
#define RDH 0x10u
#define SRRCTL 0x14u
#define   SRRCTL_BUFFER(v) (((v)&0x1fu) << 10) /* bytes */
#define   SRRCTL_TYPE(v) (((v) >> 25) & 7u)
#define   SRRCTL_DROP 0x10000000u
#define RDT 0x18u
#define RXDCTL 0x28u
#define   RXDCTL_ENABLE 0x02000000u
#define   RXDCTL_VME 0x40000000u
#define QPRC 0x30u
#define QBRC_L 0x34u
#define QBRC_H 0x38u
#define QPRDC(n) (0x01430u + 0x40u * (n))
#define RQSMR(n) (0x02300u + 4u * (n)) /* the counters of queues 4n to 4n + 3 */
#define RDRXCTL 0x02f00u
#define   RDRXCTL_CRC_STRIP 0x00000002u
#define   RDRXCTL_INIT_DONE 0x00000008u
#define RXCTRL 0x03000u
#define   RXCTRL_ENABLE 0x00000001u
#define RXPBSIZE(n) (0x03c00u + 4u * (n))
#define RXCSUM 0x05000u
#define   RXCSUM_IPPCSE 0x00001000u
#define   RXCSUM_PCSD 0x00002000u
#define RSS_TYPE 0x0000000fu /* of a descriptor's first doubleword */
#define FCTRL 0x05080u
#define   FCTRL_MPE 0x00000100u
#define   FCTRL_UPE 0x00000200u
#define   FCTRL_BAM 0x00000400u
#define VLNCTRL 0x05088u
#define   VLNCTRL_CFI 0x10000000u
#define   VLNCTRL_CFI_COMPARED 0x20000000u
#define   VLNCTRL_TYPE(v) ((v)&0xffffu)
#define   VLNCTRL_FILTER 0x40000000u
#define MCSTCTRL 0x05090u
#define   MCSTCTRL_OFFSET(v) ((v)&3u)
#define   MCSTCTRL_ENABLE 0x00000004u
#define ETQF(n) (0x05128u + 4u * (n))
#define ETQF_COUNT 8u
#define   ETQF_TYPE(v) ((v)&0xffffu)
#define   ETQF_ENABLE 0x80000000u
#define ETQS(n) (0x0ec00u + 4u * (uint32_t)(n))
#define   ETQS_QUEUE(v) (((v) >> 16) & 0x7fu)
#define   ETQS_ENABLE 0x80000000u
#define SYNQF 0x0ec30u
#define   SYNQF_ENABLE 0x00000001u
#define   SYNQF_QUEUE(v) (((v) >> 1) & 0x7fu)
#define   SYNQF_FIRST 0x80000000u /* before the 5-tuple filters */
#define SAQF(n) (0x0e000u + 4u * (n))
#define DAQF(n) (0x0e200u + 4u * (n))
#define SDPQF(n) (0x0e400u + 4u * (n)) /* source port, destination port */
#define FTQF(n) (0x0e600u + 4u * (n))
#define FTQF_COUNT 128u
#define   FTQF_OF(v) ((v)&3u) /* the protocol */
#define   FTQF_TCP 0u
#define   FTQF_UDP 1u
#define   FTQF_SCTP 2u
#define   FTQF_OTHER 3u
#define   FTQF_PRIORITY(v) (((v) >> 2) & 7u)
#define   FTQF_IGNORED(v) (((v) >> 25) & 0x1fu) /* fields that are not compared */
#define   FTQF_SOURCE 0x01u
#define   FTQF_DESTINATION 0x02u
#define   FTQF_SOURCE_PORT 0x04u
#define   FTQF_DESTINATION_PORT 0x08u
#define   FTQF_PROTOCOL 0x10u
#define   FTQF_ENABLE 0x80000000u
#define L34TIMIR(n) (0x0e800u + 4u * (n))
#define   L34TIMIR_QUEUE(v) (((v) >> 21) & 0x7fu)
#define MRQC 0x05818u
#define   MRQC_MODE(v) ((v)&15u)
#define   MRQC_MODE_RSS 1u
#define   MRQC_TCP_IPV4 0x00010000u
#define   MRQC_IPV4 0x00020000u
#define   MRQC_IPV6 0x00100000u
#define   MRQC_TCP_IPV6 0x00200000u
#define   MRQC_UDP_IPV4 0x00400000u
#define   MRQC_UDP_IPV6 0x00800000u
#define RETA(n) (0x0eb00u + 4u * (n)) /* entries 4n to 4n + 3, a byte each */
#define RETA_COUNT 32u
#define RETA_ENTRIES 128u
#define ERETA(n) (0x0ee80u + 4u * (n)) /* X550: the entries behind */
#define ERETA_COUNT 96u
#define ERETA_ENTRIES 512u /* with those of RETA */
#define RSSRK(n) (0x0eb80u + 4u * (n))
#define RSSRK_COUNT 10u
#define UTA(n) (0x0f400u + 4u * (n))
#define MTA(n) (0x05200u + 4u * (n))
#define VFTA(n) (0x0a000u + 4u * (n))
#define RAL(n) (0x0a200u + 8u * (n))
#define RAH(n) (0x0a204u + 8u * (n))
#define   RAH_VALID 0x80000000u
#define RAR_ENTRIES 128u
#define SECRXSTAT 0x08d04u
#define   SECRXSTAT_READY 0x00000001u

/* --- transmit --- */
#define TX_QUEUE(n) (0x06000u + 0x40u * (n))
#define TDBAL 0x00u
#define TDBAH 0x04u
#define TDLEN 0x08u
#define TDH 0x10u
#define TDT 0x18u
#define TXDCTL 0x28u
#define   TXDCTL_WTHRESH(v) (((v) >> 16) & 0x7fu)
#define   TXDCTL_ENABLE 0x02000000u
#define   TXDCTL_FLUSH 0x04000000u
#define QPTC 0x30u
#define TDWBAL 0x38u
#define   TDWBAL_ENABLE 0x00000001u
#define TDWBAH 0x3cu
#define TQSM(n) (0x08600u + 4u * (n))
#define QBTC_L(n) (0x08700u + 8u * (n))
#define QBTC_H(n) (0x08704u + 8u * (n))
#define DMATXCTL 0x04a80u
#define   DMATXCTL_ENABLE 0x00000001u
#define   DMATXCTL_VLAN_TYPE(v) ((v) >> 16)
#define DTXTCPFLGL 0x04a88u
#define DTXTCPFLGH 0x04a8cu

/* --- MAC --- */
#define HLREG0 0x04240u
#define   HLREG0_TX_CRC 0x00000001u
#define   HLREG0_RX_STRIP 0x00000002u
#define   HLREG0_JUMBO 0x00000004u
#define   HLREG0_TX_PAD 0x00000400u
#define   HLREG0_LOOPBACK 0x00008000u
#define   HLREG0_LEN_ERRORS 0x08000000u
#define MSCA 0x0425cu
#define   MSCA_COMMAND 0x40000000u
#define MSRWD 0x04260u
#define MAXFRS 0x04268u
#define MFLCN 0x04294u
#define   MFLCN_PASS_CONTROL 0x00000001u
#define   MFLCN_DISCARD_PAUSE 0x00000002u
#define   MFLCN_RFCE 0x00000008u
#define AUTOC 0x042a0u /* 82599 */
#define   AUTOC_RESTART 0x00001000u
#define   AUTOC_LMS 0x0000e000u
#define   AUTOC_LMS_1G 0x00000000u
#define   AUTOC_LMS_1G_AN 0x00004000u
#define   AUTOC_LMS_10G_SERIAL 0x00006000u
#define   AUTOC_LMS_KX4 0x00008000u
#define AUTOC2 0x042a8u
#define   AUTOC2_SFI 0x00020000u
#define   AUTOC2_LINK_DISABLE 0x70000000u
#define ANLP1 0x042b0u
#define   ANLP1_AN_STATE 0x000f0000u
#define LINKS 0x042a4u
#define   LINKS_NOW 0x00000080u
#define   LINKS_SPEED 0x30000000u /* both bits: 10 Gbit/s */
#define   LINKS_SPEED_1G 0x20000000u
#define   LINKS_UP 0x40000000u /* latched low */
#define   LINKS_AN_DONE 0x80000000u

/* --- flow control --- */
#define FCTTV 0x03200u /* of traffic classes 0 and 1 */
#define FCRTL(n) (0x03220u + 4u * (n))
#define   FCRTL_XON 0x80000000u
#define FCRTH(n) (0x03260u + 4u * (n))
#define   FCRTH_ENABLE 0x80000000u
#define   FCRT_BYTES(v) ((v)&0x0007ffe0u) /* of both */
#define FCRTV 0x032a0u
#define FCCFG 0x03d00u
#define   FCCFG_TFCE(v) (((v) >> 3) & 3u)
#define   FCCFG_TFCE_LINK 1u
#define TFCS 0x0ce00u
#define   TFCS_TXOFF 0x00000001u

/* --- statistics --- */
#define RXMPC(n) (0x03fa0u + 4u * (n))
#define CRCERRS 0x04000u
#define RLEC 0x04040u
#define LXONTXC 0x03f60u
#define LXOFFTXC 0x03f68u
#define LXONRXCNT 0x041a4u
#define LXOFFRXCNT 0x041a8u
#define PRC64 0x0405cu /* to PRC1522, six of them */
#define GPRC 0x04074u
#define BPRC 0x04078u
#define MPRC 0x0407cu
#define GPTC 0x04080u
#define GORCL 0x04088u
#define GORCH 0x0408cu
#define GOTCL 0x04090u
#define GOTCH 0x04094u
#define RUC 0x040a4u
#define ROC 0x040acu
#define TORL 0x040c0u
#define TORH 0x040c4u
#define TPR 0x040d0u
#define TPT 0x040d4u
#define PTC64 0x040d8u /* to PTC1522 */
#define MPTC 0x040f0u
#define BPTC 0x040f4u
#define RXNFGPC 0x041b0u
#define RXNFGBCL 0x041b4u
#define RXNFGBCH 0x041b8u
#define RXDGPC 0x02f50u
#define RXDGBCL 0x02f54u
#define RXDGBCH 0x02f58u
#define TXDGPC 0x087a0u
#define TXDGBCL 0x087a4u
#define TXDGBCH 0x087a8u

/* --- flow director --- */
#define FDIRCTRL 0x0ee00u
#define   FDIRCTRL_PBALLOC(v) ((v)&3u) /* memory for 8, 16, 32 Ki filters; 0: off */
#define   FDIRCTRL_INIT_DONE 0x00000008u
#define   FDIRCTRL_PERFECT 0x00000010u
#define   FDIRCTRL_FLEX(v) (((v) >> 16) & 0x1fu) /* words into the frame */
#define FDIRHASH 0x0ee28u
#define   FDIRHASH_BUCKET(v) ((v)&0x7fffu)
#define   FDIRHASH_SIGNATURE(v) (((v) >> 16) & 0x7fffu)
#define FDIRCMD 0x0ee2cu
#define   FDIRCMD_COMMAND 0x00000003u
#define   FDIRCMD_ADD 1u
#define   FDIRCMD_REMOVE 2u
#define   FDIRCMD_QUERY 3u
#define   FDIRCMD_VALID 0x00000004u
#define   FDIRCMD_UPDATE 0x00000008u
#define   FDIRCMD_CLEAR 0x00000100u
#define   FDIRCMD_QUEUES 0x007f0000u
#define   FDIRCMD_QUEUE(v) (((v) >> 16) & 0x7fu)
#define FDIRFREE 0x0ee38u
#define FDIRUSTAT 0x0ee50u /* filters added, removed */
#define FDIRFSTAT 0x0ee54u /* not added, not removed */
#define FDIRMATCH 0x0ee58u
#define FDIRMISS 0x0ee5cu
#define FDIRHKEY 0x0ee68u
#define FDIRSKEY 0x0ee6cu

#endif
