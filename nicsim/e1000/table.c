/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Every register that the model knows: where it is, what it holds after a reset, which bits can be
 * written, and what else an access does.
 */
#include "nicsim/e1000/card.h"

#define TABLE_CARD struct e1000
#include "nicsim/table.h"

/* clang-format off */
#define COUNTERS(offset, n) {offset, n, 4, 0, 0, NULL, NULL, ROW_CLEARS}
/* Octets in two registers; reading the high one clears both (82574 datasheet 10.2.7.21). */
#define COUNTER64(low) \
	{low, 1, 4, 0, 0, NULL, NULL, ROW_LOW}, \
	{(low) + 4, 1, 4, 0, 0, NULL, NULL, ROW_HIGH}
#define FIXED(offset, value) {offset, 1, 4, value, 0}
#define PLAIN(offset, writable) {offset, 1, 4, 0, writable}

/* One register a line. */
static const struct row rows[] = {
	{0, 0, 0, 0, 0},                                        /* row 0: none */

	/* General (10.2.2) */
	{E1000_CTRL, 2, 4, 0x00100201, 0xdbff9fff, NULL, e1000_write_ctrl},
	{E1000_STATUS, 1, 4, E1000_STATUS_PHY_RESET, E1000_STATUS_PHY_RESET, e1000_read_status},
	{E1000_EECD, 1, 4, 0x00001b10, 0},                      /* EEPROM present and read, 512 words */
	{E1000_EERD, 1, 4, E1000_EERW_DONE, 0, NULL, e1000_write_eerd},
	{E1000_EEWR, 1, 4, E1000_EERW_DONE, 0, NULL, e1000_write_eewr},
	{E1000_CTRL_EXT, 1, 4, 0, 0xffffdfff, NULL, e1000_write_ctrl_ext},
	PLAIN(0x0001c, 0x000000ff),                             /* FLA */
	{E1000_MDIC, 1, 4, E1000_MDIC_READY, 0, NULL, e1000_write_mdic},
	PLAIN(E1000_FCAL, 0xffffffff),
	PLAIN(E1000_FCAH, 0x0000ffff),
	PLAIN(E1000_FCT, 0x0000ffff),
	{E1000_VET, 1, 4, 0x00008100, 0x0000ffff},
	PLAIN(E1000_FCTTV, 0x0000ffff),
	PLAIN(0x00178, 0xc000ffff),                             /* TXCW */
	FIXED(0x00180, 0),                                      /* RXCW */
	{0x00e00, 1, 4, 0x07061302, 0xcfcfcfcf},                /* LEDCTL */
	PLAIN(E1000_EXTCNF_CTRL, 0x000000a0),                   /* who has MDIO: software, firmware */
	FIXED(0x00f08, 0),                                      /* EXTCNF_SIZE */
	PLAIN(0x00f10, 0x0000ffff),                             /* POEMB */
	FIXED(0x01010, 0x00040000),                             /* EEMNGCTL: configuration done */
	PLAIN(0x0103c, 0x0000ffff),                             /* FLOP */
	{E1000_SWSM, 1, 4, 0, E1000_SWSM_SMBI | E1000_SWSM_SWESMBI, e1000_read_swsm},
	FIXED(0x05b54, 0),                                      /* FWSM: no firmware */
	PLAIN(0x05b5c, 0xffffffff),                             /* SW_FW_SYNC */
	FIXED(0x05b30, 0x00000004),                             /* FACTPS */
	PLAIN(0x05b00, 0xffffffff),                             /* GCR */
	PLAIN(0x05b64, 0xffffffff),                             /* GCR2 */
	PLAIN(0x05b10, 0xffffffff), {0x05b14, 3, 4, 0, 0xffffffff}, {0x05b20, 4, 4, 0, 0xffffffff}, /* GSCL, GSCN */
	PLAIN(0x05820, 0xffffffff),                             /* MANC */
	PLAIN(0x05860, 0xffffffff),                             /* MANC2H */
	{0x05890, 8, 4, 0, 0xffffffff},                         /* MDEF */

	/* Wake-up (10.2.9): nobody sleeps */
	PLAIN(0x05800, 0x0000000f), PLAIN(0x05808, 0x000fffff), PLAIN(0x05810, 0xffffffff), PLAIN(0x05838, 0xffffffff),
	{0x05840, 4, 8, 0, 0xffffffff}, {0x05880, 4, 4, 0, 0xffffffff}, FIXED(0x05900, 0),

	/* Interrupts (10.2.4) */
	{E1000_ICR, 1, 4, 0, 0, e1000_read_icr, e1000_write_icr},
	PLAIN(E1000_ITR, 0x0000ffff),
	{E1000_ICS, 1, 4, 0, 0, e1000_read_nothing, e1000_write_ics},
	{E1000_IMS, 1, 4, 0, 0, e1000_read_ims, e1000_write_ims},
	{E1000_IMC, 1, 4, 0, 0, e1000_read_nothing, e1000_write_imc},
	PLAIN(E1000_EIAC, 0x01f00000),
	PLAIN(E1000_IAM, 0xffffffff),
	PLAIN(E1000_IVAR, 0x800fffff),
	{E1000_EITR(0), E1000_VECTORS, 4, 0, 0x0000ffff},

	/* Receive (10.2.5) */
	{E1000_RCTL, 1, 4, 0, 0x7fffffff, NULL, e1000_write_rctl},
	PLAIN(0x02008, 0x00003fff),                             /* ERT */
	PLAIN(E1000_FCRTL, 0x8000fff8),
	PLAIN(E1000_FCRTH, 0x8000fff8),
	{E1000_PSRCTL, 1, 4, 0x00040402, 0x3f3f3f7f},
	{E1000_RX_QUEUE(0u) + E1000_RDBAL, 2, 0x100, 0, 0xfffffff0},
	{E1000_RX_QUEUE(0u) + E1000_RDBAH, 2, 0x100, 0, 0xffffffff},
	{E1000_RX_QUEUE(0u) + E1000_RDLEN, 2, 0x100, 0, 0x000fff80},
	{E1000_RX_QUEUE(0u) + E1000_RDH, 2, 0x100, 0, 0x0000ffff, NULL, e1000_write_rdh},
	{E1000_RX_QUEUE(0u) + E1000_RDT, 2, 0x100, 0, 0x0000ffff, NULL, e1000_write_rdt},
	PLAIN(0x02820, 0x0000ffff),                             /* RDTR */
	{0x02828, 2, 0x100, 0x00010000, 0x013f3f3f},            /* RXDCTL */
	PLAIN(0x0282c, 0x0000ffff),                             /* RADV */
	PLAIN(0x02c00, 0x00000fff),                             /* RSRPD */
	PLAIN(0x02c08, 0x0000ffff),                             /* RAID */
	{E1000_PBA, 1, 4, 0x00140014, 0x0000003f},
	PLAIN(0x01008, 0x0000ffff),                             /* PBS */
	PLAIN(0x01100, 0xffffffff),                             /* PBA_ECC */
	{E1000_RXCSUM, 1, 4, 0, 0x00003fff},
	PLAIN(E1000_RFCTL, 0x0003ffff),
	{E1000_MTA(0), 128, 4, 0, 0xffffffff},
	{E1000_RAL(0), E1000_RA_COUNT, 8, 0, 0xffffffff},
	{E1000_RAH(0), E1000_RA_COUNT, 8, 0, 0x8003ffff},
	{E1000_VFTA(0), 128, 4, 0, 0xffffffff},
	PLAIN(E1000_MRQC, 0x003f0003),
	{E1000_RETA(0), 32, 4, 0, 0x80808080},
	{E1000_RSSRK(0), 10, 4, 0, 0xffffffff, NULL, e1000_write_rssrk},
	/* Time stamps: registers alone */
	{0x0b600, 16, 4, 0, 0xffffffff},

	/* Transmit (10.2.6) */
	{E1000_TCTL, 1, 4, 0, 0x1ffffffb, NULL, e1000_write_tctl},
	PLAIN(0x00404, 0xffffffff),                             /* TCTL_EXT */
	{0x00410, 1, 4, 0x00602006, 0x3fffffff},                /* TIPG */
	PLAIN(0x00458, 0x0000ffff),                             /* AIT */
	{E1000_TX_QUEUE(0u) + E1000_TDBAL, 2, 0x100, 0, 0xfffffff0},
	{E1000_TX_QUEUE(0u) + E1000_TDBAH, 2, 0x100, 0, 0xffffffff},
	{E1000_TX_QUEUE(0u) + E1000_TDLEN, 2, 0x100, 0, 0x000fff80},
	{E1000_TX_QUEUE(0u) + E1000_TDH, 2, 0x100, 0, 0x0000ffff, NULL, e1000_write_tdh},
	{E1000_TX_QUEUE(0u) + E1000_TDT, 2, 0x100, 0, 0x0000ffff, NULL, e1000_write_tdt},
	PLAIN(0x03820, 0x0000ffff),                             /* TIDV */
	{0x03828, 2, 0x100, 0, 0xff3f3f3f},                     /* TXDCTL */
	PLAIN(0x0382c, 0x0000ffff),                             /* TADV */
	{0x03840, 2, 0x100, 0x07800403, 0xffffffff},            /* TARC */

	/* Statistics (10.2.7) */
	COUNTERS(0x04000, 9), COUNTERS(0x04028, 7), COUNTERS(0x04048, 5), COUNTERS(E1000_PRC64, 10),
	COUNTERS(E1000_GPTC, 1), COUNTER64(E1000_GORCL), COUNTER64(E1000_GOTCL), COUNTERS(E1000_RNBC, 8), COUNTER64(E1000_TORL),
	COUNTER64(E1000_TOTL), COUNTERS(E1000_TPR, 12), COUNTERS(E1000_IAC, 5), COUNTERS(0x04118, 4),
};
/* clang-format on */

#define ROWS (sizeof(rows) / sizeof(*rows))

static inline uint32_t *table_value(struct e1000 *card, const struct row *row, uint32_t offset)
{
	(void)row;
	return e1000_reg(card, offset);
}

void e1000_list_registers(card_tell_register *each)
{
	for (unsigned r = 1; r < ROWS; r++)
		table_tell(&rows[r], each);
}

void e1000_table_init(struct e1000 *card)
{
	for (unsigned r = 1; r < ROWS; r++)
		table_enter(card, rows, r);
}

void e1000_table_reset(struct e1000 *card)
{
	for (unsigned r = 1; r < ROWS; r++)
		table_reset(card, &rows[r]);
}

bool e1000_is_counter(const struct e1000 *card, uint32_t offset)
{
	return offset < E1000_CSR_SIZE && table_find(card, rows, &offset)->flags & ROW_COUNTER;
}

uint32_t e1000_reg_read(struct e1000 *card, uint32_t offset)
{
	return table_read(card, rows, offset);
}

void e1000_reg_write(struct e1000 *card, uint32_t offset, uint32_t value)
{
	table_write(card, rows, offset, value);
}
