/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every register that the models know: where it is, what it holds after a reset, which
 * bits can be written, and what else an access does. What has no row reads 0, ignores writes, and
 * is reported in strict mode.
 */
#include "nicsim/ixgbe/card.h"

#define TABLE_CARD struct ixgbe
#include "nicsim/table.h"

#define POWER  (1u * ROW_OWN) /* a software reset leaves it alone */
#define SHARED (2u * ROW_OWN) /* one for both ports, which a software reset leaves alone */

_Static_assert((ROW_FAMILIES & (4u * ROW_OWN - 1)) == 0, "flags of rows are apart");

/* clang-format off */
/* The blocks of n receive queues. */
#define RX_ROWS(base, n) \
	{(base) + RDBAL, n, 0x40, 0, 0xffffff80}, \
	{(base) + RDBAH, n, 0x40, 0, 0xffffffff}, \
	{(base) + RDLEN, n, 0x40, 0, 0x000fff80}, \
	{(base) + 0x0c, n, 0x40, 0x0000a200, 0xff00a2e0}, /* DCA_RXCTRL */ \
	{(base) + RDH, n, 0x40, 0, 0x0000ffff}, \
	{(base) + SRRCTL, n, 0x40, 0x00000402, 0x1fc7ff1f}, \
	{(base) + RDT, n, 0x40, 0, 0x0000ffff, NULL, ixgbe_write_rdt}, \
	{(base) + RXDCTL, n, 0x40, 0, 0x4200ffff, NULL, ixgbe_write_rxdctl}, \
	{(base) + 0x2c, n, 0x40, 0, 0x0000000d} /* RSCCTL */

#define COUNTERS(offset, n) {offset, n, 4, 0, 0, NULL, NULL, ROW_CLEARS}
#define COUNTER(offset) COUNTERS(offset, 1)
/* The halves are neighbours, low half first; reading the high one clears both (82599 datasheet
 * 8.2.3.23).
 */
#define COUNTER36(low, high, n, stride) \
	{low, n, stride, 0, 0, NULL, NULL, ROW_LOW}, \
	{high, n, stride, 0, 0, NULL, NULL, ROW_HIGH}
#define FIXED(offset, value) {offset, 1, 4, value, 0}
#define ALIAS(at, n, gap, of, of_gap) {at, n, gap, 0, 0, NULL, NULL, 0, of_gap, of}

/* One register a line. */
static const struct row rows[] = {
	{0, 0, 0, 0, 0},                                        /* row 0: none */

	/* General (X540 datasheet 8.2.4.1) */
	{CTRL, 2, 4, 0, CTRL_MASTER_DISABLE, NULL, ixgbe_write_ctrl},
	{STATUS, 1, 4, 0, 0, ixgbe_read_status},
	{0x00018, 1, 4, 0, 0x1405c000},                         /* CTRL_EXT */
	{ESDP, 1, 4, 0, 0x0003ffff, NULL, NULL, ROW_X540 | ROW_X550},
	{ESDP, 1, 4, 0x00000800, 0x0003fffb, ixgbe_read_esdp, ixgbe_write_link, ROW_82599},
	{I2CCTL, 1, 4, 0, 0x0000000f, NULL, NULL, ROW_X540},
	{0x15f5c, 1, 4, 0, 0x00002f00, NULL, NULL, ROW_X550},   /* I2CCTL's place there */
	{I2CCTL, 1, 4, I2CCTL_CLOCK_OUT | I2CCTL_DATA_OUT, I2CCTL_CLOCK_OUT | I2CCTL_DATA_OUT,
		ixgbe_read_i2cctl, ixgbe_write_i2cctl, ROW_82599},
	{0x00030, 1, 4, 0, 0xffffffff},                         /* PHY_GPIO */
	{FRTIMER, 1, 4, 0, 0, ixgbe_read_timer},
	{0x0004c, 1, 4, 0, 0x00000fff},                         /* TCPTIMER */
	{0x00200, 1, 4, 0x00006084, 0xcfcfcfcf},                /* LEDCTL */
	{0x05078, 1, 4, 0x81000000, 0xffff0000},                /* EXVET */
	{0x14f10, 1, 4, 0, 0xffffffff},                         /* SMADARCTL */

	/* Non-volatile memory, semaphores, manageability (8.2.4.2, 8.2.4.30): no firmware runs */
	{EEC, 1, 4, 0x04002710, 0x00000070, NULL, ixgbe_write_eec, POWER | ROW_X540},
	{EEC, 1, 4, 0x00002712, 0x00000077, ixgbe_read_eec_pins, ixgbe_write_eec_pins,
		POWER | ROW_82599},
	{EEC, 1, 4, 0x00002710, 0x00000070, NULL, NULL, POWER | ROW_X550},
	{EERD, 1, 4, EERW_DONE, 0, NULL, ixgbe_write_eerd, POWER | ROW_X540 | ROW_82599},
	{EEWR, 1, 4, EERW_DONE, 0, NULL, ixgbe_write_eewr, POWER | ROW_X540 | ROW_82599},
	{0x1001c, 1, 4, 0, 0x0000003f, NULL, NULL, POWER},      /* FLA */
	FIXED(0x10110, 0x000c0000),                             /* EEMNGCTL: configuration done */
	{SWSM, 1, 4, 0, SWSM_SMBI | SWSM_SWESMBI, ixgbe_read_swsm, NULL, SHARED},
	FIXED(0x10148, 0x00008000),                             /* FWSM: the firmware is valid, in no mode */
	{FACTPS, 1, 4, 0, 0, ixgbe_read_factps},
	{SW_FW_SYNC, 1, 4, 0, 0xffffffff, ixgbe_read_sw_fw_sync, NULL,
		SHARED | ROW_X540 | ROW_X550},
	{SW_FW_SYNC, 1, 4, 0, 0xffffffff, NULL, NULL, SHARED | ROW_82599},
	{0x10200, 1, 4, 0, 0x00000003},                         /* GRC */
	{FLEX_MNG(0), FLEX_MNG_COUNT, 4, 0, 0xffffffff, NULL, NULL, SHARED},
	{HICR, 1, 4, 0, 0, NULL, NULL, ROW_X540 | ROW_82599},   /* not enabled */
	{FWSTS, 1, 4, 0, 0xffffffff, NULL, NULL, ROW_X540 | ROW_82599},
	{HICR, 1, 4, HICR_ENABLED, HICR_COMMAND, NULL, ixgbe_write_hicr, SHARED | ROW_X550},
	{FWSTS, 1, 4, FWSTS_WAS_RESET, FWSTS_WAS_RESET, NULL, NULL, SHARED | ROW_ONE | ROW_X550},
	{0x15f10, 4, 4, 0, 0},                                  /* SWSR, LSWFW */
	FIXED(0x042d0, 0),                                      /* MMNGC: no veto */
	FIXED(0x05820, 0),                                      /* MANC */

	/* PCI Express (8.2.4.4) */
	{0x11000, 1, 4, 0, 0xffffffff},                         /* GCR */
	{0x11004, 3, 4, 0, 0xffffffff},
	{0x11010, 16, 4, 0, 0xffffffff, NULL, NULL, ROW_X540 | ROW_82599}, /* GSCL, GSCN */
	{0x11800, 12, 4, 0, 0xffffffff, NULL, NULL, ROW_X550},
	{0x11050, 1, 4, 0, 0xffffffff},                         /* GCR_EXT */
	FIXED(0x11064, 0x00000001),                             /* MREVID */
	{0x11068, 1, 4, 0, 0xffffffff, NULL, NULL, ROW_ONE},        /* PBACL */
	FIXED(0x11070, 0),                                      /* DCA_ID */
	{0x11074, 1, 4, 0, 0x0000001f},                         /* DCA_CTRL */
	{0x11088, 2, 4, 0, 0xffffffff, NULL, NULL, ROW_X540 | ROW_82599}, /* CIAA, CIAD */
	{0x11508, 1, 4, 0, 0xffffffff, NULL, NULL, ROW_X550},   /* CIAA */
	{0x11510, 1, 4, 0, 0xffffffff, NULL, NULL, ROW_X550},   /* CIAD */
	{0x11090, 8, 4, 0, 0},                                  /* PCIE_DIAG */
	{0x110b0, 1, 4, 0, 0xffffffff, NULL, NULL, ROW_ONE},        /* PICAUSE */
	{0x110b4, 4, 4, 0, 0xffffffff},                         /* PIENA ... */
	{0x110c4, 4, 4, 0, 0xffffffff, NULL, NULL, ROW_ONE},        /* PBACL 1 to 4 */
	{0x110f0, 1, 4, 0, 0xffffffff},                         /* MISC_REG */
	FIXED(0x110f4, 0x00004000),                             /* BARCTRL */

	/* Interrupts (8.2.4.5) */
	{EICR, 1, 4, 0, 0, ixgbe_read_eicr, ixgbe_write_eicr},
	{EICS, 1, 4, 0, 0, ixgbe_read_mask, ixgbe_write_mask},
	{EIMS, 1, 4, 0, 0, ixgbe_read_mask, ixgbe_write_mask},
	{EIMC, 1, 4, 0, 0, ixgbe_read_mask, ixgbe_write_mask},
	{EIAC, 1, 4, 0, 0x7fffffff},
	{EIAM, 1, 4, 0, 0, ixgbe_read_mask, ixgbe_write_mask},
	{EICS_EX(0), 2, 4, 0, 0, ixgbe_read_mask, ixgbe_write_mask},
	{EIMS_EX(0), 2, 4, 0, 0, ixgbe_read_mask, ixgbe_write_mask},
	{EIMC_EX(0), 2, 4, 0, 0, ixgbe_read_mask, ixgbe_write_mask},
	{EIAM_EX(0), 2, 4, 0, 0, ixgbe_read_mask, ixgbe_write_mask},
	{EITR(0), 24, 4, 0, 0x001ffff8, ixgbe_read_eitr, ixgbe_write_eitr},
	{EITR(24), 105, 4, 0, 0x001ffff8, ixgbe_read_eitr, ixgbe_write_eitr},
	{0x00894, 1, 4, 0, 0xffffffff},                         /* EITRSEL */
	{GPIE, 1, 4, 0, 0xc000ffff},
	{IVAR(0), 64, 4, 0, 0xbfbfbfbf},
	{IVAR_MISC, 1, 4, 0, 0x0000bfbf},
	{0x12000, 128, 4, 0, 0x00000fff},                       /* RSCINT */

	/* Receive filters (8.2.4.7) */
	{RXCSUM, 1, 4, 0, RXCSUM_IPPCSE | RXCSUM_PCSD},
	{0x05008, 1, 4, 0, 0x0003ffff},                         /* RFCTL */
	{FCTRL, 1, 4, 0, 0x00000702},
	{VLNCTRL, 1, 4, 0x00008100, 0x7000ffff},
	{MCSTCTRL, 1, 4, 0, 0x00000007},
	{0x050a0, 1, 4, 0, 0xffffffff},                         /* RUPPBMR */
	{0x05084, 1, 4, 0, 0x8000ffff, NULL, NULL, ROW_X550},   /* ETAG_ETYPE */
	{0x050b0, 2, 4, 0, 0xffffffff},                         /* PFFLPL, PFFLPH */
	{0x05108, 4, 4, 0, 0xffffffff},                         /* FCoE filters */
	{0x05100, 1, 4, 0, 0x00000fff},                         /* FCRXCTRL */
	{0x0511c, 1, 4, 0, 0},
	{ETQF(0), ETQF_COUNT, 4, 0, 0xffffffff},
	{0x05158, 1, 4, 0, 0xffffffff},                         /* REOFF */
	{0x051b0, 1, 4, 0, 0x60001f81},                         /* VT_CTL */
	{0x051e0, 2, 4, 0, 0xffffffff},                         /* VFRE */
	{0x051f8, 1, 4, 0, 0xffffffff},                         /* RSOFF */
	{0x05180, 2, 4, 0, 0xffffffff},                         /* VMTXSW */
	{MTA(0), 128, 4, 0, 0xffffffff},
	{0x0ea00, 64, 4, 0, 0xffffffff},                        /* PSRTYPE */
	ALIAS(0x05480, 16, 4, 0x0ea00, 4),
	{RAL(0), RAR_ENTRIES, 8, 0, 0xffffffff},
	{RAH(0), RAR_ENTRIES, 8, 0, 0x8000ffff, NULL, ixgbe_write_rah},
	ALIAS(0x05400, 16, 8, RAL(0), 8),
	ALIAS(0x05404, 16, 8, RAH(0), 8),
	{0x0a600, 256, 4, 0, 0xffffffff},                       /* MPSAR */
	{VFTA(0), 128, 4, 0, 0xffffffff},
	{MRQC, 1, 4, 0, 0xffff200f, NULL, ixgbe_write_mrqc},
	{RETA(0), RETA_COUNT, 4, 0, 0x0f0f0f0f, NULL, NULL, ROW_X540 | ROW_82599},
	{RETA(0), RETA_COUNT, 4, 0, 0x3f3f3f3f, NULL, NULL, ROW_X550},
	{ERETA(0), ERETA_COUNT, 4, 0, 0x3f3f3f3f, NULL, NULL, ROW_X550},
	ALIAS(0x05c00, RETA_COUNT, 4, RETA(0), 4),
	{RSSRK(0), RSSRK_COUNT, 4, 0, 0xffffffff, NULL, ixgbe_write_rssrk},
	ALIAS(0x05c80, RSSRK_COUNT, 4, RSSRK(0), 4),
	{SAQF(0), FTQF_COUNT, 4, 0, 0xffffffff},
	{DAQF(0), FTQF_COUNT, 4, 0, 0xffffffff},
	{SDPQF(0), FTQF_COUNT, 4, 0, 0xffffffff},
	{FTQF(0), FTQF_COUNT, 4, 0, 0xffffffff, NULL, ixgbe_write_ftqf},
	{L34TIMIR(0), FTQF_COUNT, 4, 0, 0xffffffff},
	{ETQS(0), ETQF_COUNT, 4, 0, 0xffffffff},
	{SYNQF, 1, 4, 0, 0x800000ff},
	{0x0ec60, 1, 4, 0, 0xffffffff},                         /* IMIRVP */
	{0x0ec70, 1, 4, 0, 0x77777777},                         /* RQTC */
	{0x0ec90, 1, 4, 0, 0xffffffff},                         /* LLITHRESH */
	{0x0ed00, 1, 4, 0, 0x00000003},                         /* FCRECTL */
	{0x0ed10, 8, 4, 0, 0x0000007f},                         /* FCRETA */
	{FDIRCTRL, 1, 4, 0, 0xffffffff, ixgbe_read_fdirctrl, ixgbe_write_fdirctrl},
	{0x0ee04, 10, 4, 0, 0xffffffff},                        /* flow director: addresses, ports, hash */
	{FDIRCMD, 1, 4, 0, 0xffffffff, NULL, ixgbe_write_fdircmd},
	{0x0ee30, 2, 4, 0, 0xffffffff},
	{FDIRFREE, 1, 4, 0, 0xffffffff},
	{0x0ee3c, 4, 4, 0, 0xffffffff},                         /* masks */
	{0x0ee4c, 1, 4, 0, 0xffffffff},                         /* FDIRLEN */
	COUNTERS(FDIRUSTAT, 4),
	{0x0ee60, 7, 4, 0, 0xffffffff},                         /* keys, masks */
	{0x0f000, 64, 4, 0, 0xffffffff},                        /* VMOLR */
	{0x0f100, 64, 4, 0, 0x80000fff},                        /* VLVF */
	{0x0f200, 128, 4, 0, 0xffffffff},                       /* VLVFB */
	{UTA(0), 128, 4, 0, 0xffffffff},
	{0x0f600, 4, 4, 0, 0x00001f0f},                         /* MRCTL */
	{0x0f610, 8, 4, 0, 0xffffffff},                         /* VMRVLAN */
	{0x0f630, 8, 4, 0, 0xffffffff},                         /* VMRVM */

	/* Receive DMA (8.2.4.8, 8.2.4.9) */
	RX_ROWS(0x01000, 64),
	RX_ROWS(0x0d000, 64),
	ALIAS(0x02100, 16, 4, RX_QUEUE(0u) + SRRCTL, 0x40),
	ALIAS(0x02200, 16, 4, RX_QUEUE(0u) + 0x0c, 0x40),
	{RDRXCTL, 1, 4, 0x00108800 | RDRXCTL_INIT_DONE, 0x077f0022},
	{0x02f04, 1, 4, 0, 0x00017f01},                         /* QDE */
	{0x02f08, 1, 4, 0, 0xffffffff},                         /* RDHMPN, DRECCCTL */
	{0x02f20, 1, 4, 0, 0xffffffff},                         /* RDDCC */
	{0x02f30, 2, 4, 0, 0xffffffff},                         /* RDMAM, RDMAD */
	{0x02f8c, 1, 4, 0, 0xffffffff},                         /* DRECCCTL2 */
	{RXCTRL, 1, 4, 0, RXCTRL_ENABLE, NULL, ixgbe_write_rxctrl},
	{0x03008, 1, 4, 0, 0xffffffff},                         /* PFCTOP */
	{0x03020, 1, 4, 0, 0x00ffffff},                         /* RTRUP2TC */
	{0x03028, 1, 4, 0x00000020, 0x000000ff},                /* RSCDBU */
	FIXED(0x03190, 0),                                      /* RXMEMWRAP */
	{RXPBSIZE(0), 1, 4, 384u * 1024u, 0x000ffc00, NULL, NULL, ROW_X540 | ROW_X550},
	{RXPBSIZE(0), 1, 4, 512u * 1024u, 0x000ffc00, NULL, NULL, ROW_82599},
	{RXPBSIZE(1), 7, 4, 0, 0x000ffc00},
	{0x03d04, 1, 4, 0, 0x000000ff},                         /* DROPEN */
	{0x02400, 2, 4, 0, 0xffffffff},                         /* DMACR, DMCTLX */
	{0x03300, 8, 4, 0, 0x000001ff},                         /* DMCTH */
	{0x15f20, 1, 4, 0, 0x000ffff0},                         /* DMCMNGTH */
	{0x02410, 3, 4, 0, 0xffffffff},                         /* FCoE direct placement */
	{0x02420, 1, 4, 0, 0xffffffff},
	{0x02430, 1, 4, 0, 0xffffffff},                         /* RTRPCS */
	{0x02140, 8, 4, 0, 0xffffffff},                         /* RTRPT4C */
	{0x02160, 8, 4, 0, 0},                                  /* RTRPT4S */
	{0x02fa4, 2, 4, 0, 0},                                  /* LMVM_RX, LVMMC_RX */
	{0x02fb0, 4, 4, 0, 0xffffffff, NULL, NULL, ROW_ONE},        /* WQBR_RX */
	{0x051b8, 1, 4, 0, 0xffffffff},                         /* RXFECCERR0 */

	/* Transmit (8.2.4.10 to 8.2.4.12) */
	{TX_QUEUE(0u) + TDBAL, 128, 0x40, 0, 0xffffff80},
	{TX_QUEUE(0u) + TDBAH, 128, 0x40, 0, 0xffffffff},
	{TX_QUEUE(0u) + TDLEN, 128, 0x40, 0, 0x000fff80},
	{TX_QUEUE(0u) + 0x0c, 128, 0x40, 0x00002a00, 0xff002a20}, /* DCA_TXCTRL */
	{TX_QUEUE(0u) + TDH, 128, 0x40, 0, 0x0000ffff},
	{TX_QUEUE(0u) + TDT, 128, 0x40, 0, 0x0000ffff, NULL, ixgbe_write_tdt},
	{TX_QUEUE(0u) + TXDCTL, 128, 0x40, 0, 0x067f7f7f, NULL, ixgbe_write_txdctl},
	{TX_QUEUE(0u) + TDWBAL, 128, 0x40, 0, 0xffffffff},
	{TX_QUEUE(0u) + TDWBAH, 128, 0x40, 0, 0xffffffff},
	{DMATXCTL, 1, 4, 0x81000000, 0xffff006b, NULL, ixgbe_write_dmatxctl},
	{DTXTCPFLGL, 1, 4, 0x0f760ff6, 0x0fff0fff},
	{DTXTCPFLGH, 1, 4, 0x00000f7f, 0x00000fff},
	{0x08100, 1, 4, 0x00000010, 0x00000fff},                /* DTXMXSZRQ */
	{0x08120, 1, 4, 0, 0x0000000f},                         /* MTQC */
	{0x0ca00, 1, 4, 0, 0xffffffff},                         /* LBDRPEN */
	{0x0cb00, 1, 4, 0, 0x000000ff},                         /* TIPG */
	{0x0cc00, 1, 4, 0x00028000, 0x000ffc00},                /* TXPBSIZE 0 */
	{0x0cc04, 7, 4, 0, 0x000ffc00},
	{0x04950, 1, 4, 0x00000096, 0x000003ff},                /* TXPBTHRESH 0 */
	{0x04954, 7, 4, 0, 0x000003ff},
	{0x0cd10, 1, 4, 0, 0x0000ffff},                         /* MNGTXMAP */
	{0x04900, 1, 4, 0, 0xffffffff},                         /* RTTDCS */
	{0x04904, 1, 4, 0, 0x0000007f},                         /* RTTDQSEL */
	{0x04908, 1, 4, 0, 0xffffffff},                         /* RTTDT1C */
	FIXED(0x0490c, 0),                                      /* RTTDT1S */
	{0x04910, 8, 4, 0, 0xffffffff},                         /* RTTDT2C */
	{0x04930, 8, 4, 0, 0},                                  /* RTTDT2S */
	{0x04980, 2, 4, 0, 0xffffffff},                         /* RTTBCNRM, RTTBCNRC */
	{0x04988, 3, 4, 0, 0xffffffff},                         /* RTTBCNRS, RTTBCNRD, RTTDTECC */
	{0x04a90, 3, 4, 0, 0xffffffff},                         /* RTTQCNTG, TEOFF, TSOFF */
	{0x0c800, 1, 4, 0, 0x00ffffff},                         /* RTTUP2TC */
	{0x0cd00, 1, 4, 0, 0xffffffff},                         /* RTTPCS */
	{0x0cd20, 8, 4, 0, 0xffffffff},                         /* RTTPT2C */
	{0x0cd40, 8, 4, 0, 0},                                  /* RTTPT2S */
	{0x08000, 64, 4, 0, 0xffffffff},                        /* VMVIR */
	{0x08108, 1, 4, 0, 0},                                  /* LVMMC_TX */
	{0x08110, 2, 4, 0, 0xffffffff},                         /* VFTE */
	{0x08124, 1, 4, 0, 0},                                  /* LMVM_TX */
	{0x08130, 4, 4, 0, 0xffffffff, NULL, NULL, ROW_ONE},        /* WQBR_TX */
	{0x08200, 8, 4, 0, 0xffffffff},                         /* PFVFSPOOF */
	{0x08220, 1, 4, 0, 0x00000001},                         /* PFDTXGSWC */
	{0x082e0, 4, 4, 0, 0xffffffff},                         /* TXLLQ */
	{0x08790, 2, 4, 0, 0xffffffff},                         /* VMECM */

	/* Flow control (8.2.4.13) */
	{FCTTV, 4, 4, 0, 0xffffffff},
	{FCRTL(0), 8, 4, 0, 0x8007fff0},
	{FCRTH(0), 8, 4, 0, 0x8007fff0},
	{FCRTV, 1, 4, 0, 0x0000ffff},
	{FCCFG, 1, 4, 0, 0x0000001a},
	{TFCS, 1, 4, 0, 0, ixgbe_read_tfcs},

	/* Security (8.2.4.22, 8.2.4.23): the engines are off, as on parts without them */
	{0x08800, 1, 4, 0, 0x00000007},                         /* SECTXCTRL */
	FIXED(0x08804, 0x00000003),                             /* SECTXSTAT: ready, offload disabled */
	{0x08808, 1, 4, 0x00000250, 0x000003ff},                /* SECTXBUFFAF */
	{0x08810, 1, 4, 0x00001000, 0x00001fff},                /* SECTXMINIFG */
	{0x08d00, 1, 4, 0, 0x00000003},                         /* SECRXCTRL */
	FIXED(0x08d04, 0x00000003),                             /* SECRXSTAT */
	{0x08900, 6, 4, 0, 0xffffffff},                         /* IPSTX */
	{0x08e00, 13, 4, 0, 0xffffffff},                        /* IPSRX */
	{0x08a00, 15, 4, 0, 0xffffffff},                        /* LSECTX */
	{0x08f00, 12, 4, 0, 0xffffffff},                        /* LSECRX */
	COUNTERS(0x08a3c, 5), COUNTERS(0x08f40, 17),            /* what they count: LSECTXUT, LSECRXUT ... */

	/* Time synchronisation (8.2.4.26): the clock stands */
	{0x05120, 1, 4, 0, 0xffffffff},                         /* RXMTRL */
	{0x05188, 1, 4, 0, 0x0000001e},                         /* TSYNCRXCTL */
	{0x051a0, 3, 4, 0, 0},                                  /* RXSATR, RXSTMPH */
	{0x051e8, 1, 4, 0, 0},                                  /* RXSTMPL */
	{0x08c00, 1, 4, 0, 0x00000010},                         /* TSYNCTXCTL */
	{0x08c04, 2, 4, 0, 0},                                  /* TXSTMP */
	{0x08c0c, 19, 4, 0, 0xffffffff},                        /* SYSTIM ... */
	{0x08c58, 1, 4, 0, 0xffffffff},                         /* SYSTIMR */
	{0x08c60, 1, 4, 0, 0xffffffff},
	{0x08c68, 1, 4, 0, 0xffffffff},                         /* TSIM */
	{0x0003c, 1, 4, 0, 0xffffffff},                         /* TSSDP */

	/* Virtualisation (8.2.4.27): mailboxes hold what is written, no other function exists */
	{0x00600, 1, 4, 0, 0},                                  /* PFVFLRE */
	{0x001c0, 1, 4, 0, 0},
	{0x00700, 2, 4, 0, 0xffffffff, NULL, NULL, ROW_ONE},        /* PFVFLREC */
	{0x00710, 4, 4, 0, 0xffffffff, NULL, NULL, ROW_ONE},        /* PFMBICR */
	{0x00720, 4, 4, 0, 0xffffffff},                         /* PFMBIMR */
	{0x04b00, 64, 4, 0, 0x0000001f},                        /* PFMAILBOX */
	{0x13000, 1024, 4, 0, 0xffffffff},                      /* PFMBMEM */

	/* Power management, wake-up (8.2.4.16): nothing wakes */
	{0x05800, 1, 4, 0, 0x00000017},                         /* WUC */
	{0x05808, 1, 4, 0, 0x803f80ff},                         /* WUFC */
	{0x05810, 1, 4, 0, 0xffffffff, NULL, NULL, ROW_ONE},        /* WUS */
	{0x05838, 1, 4, 0, 0x0001000f},                         /* IPAV */
	{0x05840, 8, 4, 0, 0xffffffff},                         /* IP4AT */
	{0x05880, 4, 4, 0, 0xffffffff},                         /* IP6AT */
	FIXED(0x05900, 0),                                      /* WUPL */
	{0x05a00, 32, 4, 0, 0},                                 /* WUPM */
	{0x05f64, 1, 4, 0, 0xffffffff},                         /* PROXYFC */
	{0x09000, 256, 4, 0, 0xffffffff},                       /* FHFT */
	{0x09800, 128, 4, 0, 0xffffffff},                       /* FHFT_EXT */
	{0x05010, 16, 4, 0, 0xffffffff},                        /* MAVTV, MFUTP */

	/* MAC (8.2.4.17, 8.2.4.18) */
	{HLREG0, 1, 4, 0x08012c0b, 0x1f7ff407},
	FIXED(0x04244, 0),                                      /* HLREG1 */
	{0x04248, 1, 4, 0x0000ffff, 0x0000ffff},                /* PAP */
	{0x0424c, 1, 4, 0, 0xffffffff},                         /* MACA */
	{MSCA, 1, 4, 0, 0xffffffff, NULL, ixgbe_write_msca},
	{MSRWD, 1, 4, 0, 0x0000ffff},
	{MAXFRS, 1, 4, 0x05ee0000, 0xffff0000},
	FIXED(0x04288, 0),                                      /* PCSS1 */
	FIXED(0x0428c, 0),                                      /* PCSS2 */
	FIXED(0x04290, 0),                                      /* XPCSS */
	{MFLCN, 1, 4, 0, 0x00000fff},
	{0x04298, 1, 4, 0, 0xffffffff},                         /* SERDESC */
	{0x0429c, 1, 4, 0, 0xffffffff},                         /* MACS */
	{AUTOC, 1, 4, 0, 0, NULL, NULL, ROW_X540 | ROW_X550},   /* none, the PHY negotiates */
	/* 82599 datasheet 8.2.3.22.19 to .25; ixgbe_reset_link() has their values after a reset */
	{AUTOC, 1, 4, 0, 0xffffffff, NULL, ixgbe_write_autoc, ROW_82599},
	{AUTOC2, 1, 4, 0, 0xffffffff, NULL, ixgbe_write_link, ROW_82599},
	{0x042ac, 1, 4, 0, 0xffffffff, NULL, NULL, ROW_82599},  /* AUTOC3 */
	{ANLP1, 1, 4, 0x00080000, 0, NULL, NULL, ROW_82599},    /* past its first state */
	{0x042b4, 1, 4, 0, 0, NULL, NULL, ROW_82599},           /* ANLP2 */
	{0x042b8, 1, 4, 0, 0xffffffff, NULL, NULL, ROW_82599},  /* ATLASCTL's neighbour */
	{0x04200, 1, 4, 0, 0xffffffff, NULL, NULL, ROW_82599},  /* PCS1GCFIG */
	{0x04208, 1, 4, 0, 0xffffffff, NULL, NULL, ROW_82599},  /* PCS1GLCTL */
	{0x0420c, 1, 4, 0, 0, NULL, NULL, ROW_82599},           /* PCS1GLSTA */
	{0x04210, 2, 4, 0, 0xffffffff, NULL, NULL, ROW_82599},  /* PCS1GDBG0, 1 */
	{0x04218, 1, 4, 0, 0xffffffff, NULL, NULL, ROW_82599},  /* PCS1GANA */
	{0x0421c, 3, 4, 0, 0, NULL, NULL, ROW_82599},           /* PCS1GANLP ... */
	{LINKS, 1, 4, 0, 0, ixgbe_read_links},
	FIXED(0x04324, 0),                                      /* LINKS2 */
	{0x04318, 1, 4, 0, 0},                                  /* MPVC */
	{0x04330, 1, 4, 0, 0xffffffff},                         /* MACC */
	{0x04380, 1, 4, 0, 0xffffffff},                         /* EEE_SU */
	FIXED(0x04398, 0),                                      /* EEE_STAT */
	{0x043a0, 1, 4, 0, 0x00030000},                         /* EEER */
	{0x14f00, 1, 4, 0, 0xffffffff},                         /* CORECTL */

	/* Statistics (8.2.4.24): cleared by reading; they wrap */
	COUNTERS(CRCERRS, 3), COUNTER(0x04010), COUNTERS(0x04034, 2), COUNTER(RLEC),
	COUNTERS(RXMPC(0), 8), COUNTERS(0x03fc0, 8), COUNTER(LXONTXC), COUNTER(LXOFFTXC),
	COUNTER(0x0cf60), COUNTER(0x0cf68), COUNTER(LXONRXCNT), COUNTER(LXOFFRXCNT),
	COUNTERS(0x04140, 16), COUNTERS(0x03240, 8), COUNTERS(0x03f00, 16), COUNTERS(0x0cf00, 16),
	COUNTERS(PRC64, 6), COUNTER(GPRC), COUNTER(BPRC), COUNTER(MPRC), COUNTER(GPTC),
	COUNTER36(GORCL, GORCH, 1, 4), COUNTER36(GOTCL, GOTCH, 1, 4), COUNTER(RUC),
	COUNTER(0x040a8), COUNTER(ROC), COUNTER(0x040b0), COUNTERS(0x040b4, 2), COUNTER(0x0cf90),
	COUNTER36(TORL, TORH, 1, 4), COUNTER(TPR), COUNTER(TPT), COUNTERS(PTC64, 6), COUNTER(MPTC),
	COUNTER(BPTC), COUNTER(0x04120), COUNTER(0x08780), COUNTER(0x05118), COUNTER(0x0241c),
	COUNTER(0x02424), COUNTERS(0x02428, 2), COUNTERS(0x08784, 2), COUNTERS(0x041c0, 2),
	COUNTER(0x087b0), COUNTER(0x02f90), COUNTERS(0x04180, 9), COUNTERS(0x041e0, 6),
	COUNTER(RXNFGPC), COUNTER36(RXNFGBCL, RXNFGBCH, 1, 4), COUNTER(RXDGPC),
	COUNTER36(RXDGBCL, RXDGBCH, 1, 4), COUNTER(0x02f5c), COUNTER36(0x02f60, 0x02f64, 1, 4),
	COUNTER(0x02f68), COUNTER36(0x02f6c, 0x02f70, 1, 4), COUNTER(0x02f74),
	COUNTER36(0x02f78, 0x02f7c, 1, 4), COUNTER(TXDGPC), COUNTER36(TXDGBCL, TXDGBCH, 1, 4),
	{0x02f40, 1, 4, 0, 0x0000001f},                         /* RXDSTATCTRL */
	{RX_QUEUE(0u) + QPRC, 16, 0x40, 0, 0, NULL, NULL, ROW_CLEARS},
	COUNTER36(RX_QUEUE(0u) + QBRC_L, RX_QUEUE(0u) + QBRC_H, 16, 0x40),
	{QPRDC(0), 16, 0x40, 0, 0, NULL, NULL, ROW_CLEARS},
	{TX_QUEUE(0u) + QPTC, 16, 0x40, 0, 0, NULL, NULL, ROW_CLEARS},
	COUNTER36(QBTC_L(0), QBTC_H(0), 16, 8),
	{RQSMR(0), 32, 4, 0, 0x0f0f0f0f},
	{TQSM(0), 32, 4, 0, 0x0f0f0f0f},
};
/* clang-format on */

#define ROWS (sizeof(rows) / sizeof(*rows))

/* Rows of some families are of no other. */
static bool has_row(const struct ixgbe_model *model, const struct row *row)
{
	unsigned families = row->flags & ROW_FAMILIES;

	return families == 0 || (families & model->rows) != 0;
}

void ixgbe_list_registers(const struct ixgbe_model *model, card_tell_register *each)
{
	for (unsigned r = 1; r < ROWS; r++) {
		if (has_row(model, &rows[r]))
			table_tell(&rows[r], each);
	}
}

void ixgbe_table_init(struct ixgbe *card)
{
	for (unsigned r = 1; r < ROWS; r++) {
		if (has_row(card->model, &rows[r]))
			table_enter(card, rows, r);
	}
}

static inline uint32_t *table_value(struct ixgbe *card, const struct row *row, uint32_t offset)
{
	return row->flags & SHARED ? ixgbe_shared_reg(card, offset) : ixgbe_reg(card, offset);
}

/* Whether a reset reaches a row. */
static bool is_reset(const struct row *row, enum ixgbe_reset reset)
{
	if (row->flags & SHARED)
		return reset == RESET_CARD;
	return !(row->flags & POWER) || reset != RESET_MAC;
}

void ixgbe_table_reset(struct ixgbe *card, enum ixgbe_reset reset)
{
	for (unsigned r = 1; r < ROWS; r++) {
		if (is_reset(&rows[r], reset) && has_row(card->model, &rows[r]))
			table_reset(card, &rows[r]);
	}
}

bool ixgbe_is_counter(const struct ixgbe *card, uint32_t offset)
{
	return offset < IXGBE_CSR_SIZE && table_find(card, rows, &offset)->flags & ROW_COUNTER;
}

uint32_t ixgbe_reg_read(struct ixgbe *card, uint32_t offset)
{
	return table_read(card, rows, offset);
}

void ixgbe_reg_write(struct ixgbe *card, uint32_t offset, uint32_t value)
{
	table_write(card, rows, offset, value);
}
