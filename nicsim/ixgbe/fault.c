/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A card that is out of order. Everything else asks only whether card->faults is there; while it
 * is, frames go the exact way.
 */
#include "nicsim/ixgbe/fault.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nicsim/ixgbe/card.h"

#define ALWAYS UINT64_MAX
#define MS_MAX 3600000u

#define RX_DD  0x1ull
#define RX_EOP 0x2ull

/* --- names --- */

static const struct row {
	const char *name, *values, *what;
	enum ixgbe_fault_kind kind;
	unsigned least, most; /* values */
	/* FAULT_BITS: of a register, and those of one family alone (0: of both) */
	uint32_t offset, clear, set;
} rows[] = {
	{"access", "N,HOW", "the Nth register access of a client; HOW: ones, zero, error, gone",
		FAULT_ACCESS, 2, 2},
	{"message", "N,HOW", "the Nth message of a client; HOW: error, hangup", FAULT_MESSAGE, 2,
		2},
	{"removed", "", "everything reads all-ones, nothing is heard", FAULT_REMOVED, 0, 0},
	{"dma-read", "[COUNT]", "reads of memory are refused", FAULT_DMA_READ, 0, 1},
	{"dma-write", "[COUNT]", "writes to memory are refused", FAULT_DMA_WRITE, 0, 1},
	{"irq-lost", "[COUNT]", "interrupts get lost", FAULT_IRQ_LOST, 0, 1},
	{"irq-spurious", "MS", "interrupts for no reason, that often", FAULT_IRQ_SPURIOUS, 1, 1},
	{"flap", "MS", "the link falls and comes back, that often", FAULT_FLAP, 1, 1},
	{"eeprom-sum", "", "the EEPROM's checksum is wrong", FAULT_EEPROM_SUM, 0, 0},
	{"stuck", "OFFSET,CLEAR,SET", "bits of a register read so", FAULT_STUCK, 3, 3},
	{"reset", "", "CTRL.RST stays", FAULT_BITS, 0, 0, CTRL, 0, CTRL_RESET},
	{"master", "", "STATUS says that requests are pending", FAULT_BITS, 0, 0, STATUS, 0,
		STATUS_MASTER_ENABLED},
	{"semaphore", "", "SWSM.SMBI is somebody else's", FAULT_BITS, 0, 0, SWSM, 0, SWSM_SMBI},
	{"sync", "", "SW_FW_SYNC: the firmware holds everything", FAULT_BITS, 0, 0, SW_FW_SYNC, 0,
		0x3e0},
	{"eeprom-load", "", "EEC.AUTO_RD stays away", FAULT_BITS, 0, 0, EEC, EEC_AUTO_READ, 0},
	{"eeprom-word", "", "EERD.DONE stays away", FAULT_BITS, 0, 0, EERD, EERW_DONE, 0},
	{"dma-init", "", "RDRXCTL.DMAIDONE stays away", FAULT_BITS, 0, 0, RDRXCTL,
		RDRXCTL_INIT_DONE, 0},
	{"mac", "", "no receive address is loaded", FAULT_BITS, 0, 0, RAH(0), RAH_VALID, 0},
	{"mdio", "", "MSCA.MDI_CMD stays", FAULT_BITS, 0, 0, MSCA, 0, MSCA_COMMAND},
	{"rx-path", "", "SECRXSTAT.SECRX_RDY stays away", FAULT_BITS, 0, 0, SECRXSTAT,
		SECRXSTAT_READY, 0},
	{"rx-queue", "", "RXDCTL.ENABLE of queue 0 stays away", FAULT_BITS, 0, 0,
		RX_QUEUE(0u) + RXDCTL, RXDCTL_ENABLE, 0},
	{"tx-queue", "", "TXDCTL.ENABLE of queue 0 stays away", FAULT_BITS, 0, 0,
		TX_QUEUE(0u) + TXDCTL, TXDCTL_ENABLE, 0},
	{"rx-stall", "", "receiving stops", FAULT_RX_STALL, 0, 0},
	{"tx-stall", "", "sending stops", FAULT_TX_STALL, 0, 0},
	{"rx-late", "MS[,COUNT]", "received: written back that much later", FAULT_RX_LATE, 1, 2},
	{"rx-torn", "MS[,COUNT]", "received: DD first, the rest that much later", FAULT_RX_TORN, 1,
		2},
	{"rx-half", "[COUNT]", "received: the half with DD is never written", FAULT_RX_HALF, 0, 1},
	{"rx-length", "BYTES[,COUNT]", "received: another length is written", FAULT_RX_LENGTH, 1,
		2},
	{"rx-endless", "[COUNT]", "received: no end of a frame (EOP)", FAULT_RX_ENDLESS, 0, 1},
	{"rx-garbage", "[COUNT]", "received: garbage is written, with DD", FAULT_RX_GARBAGE, 0, 1},
	{"rx-early", "[COUNT]", "received: DD also on the driver's own descriptors", FAULT_RX_EARLY,
		0, 1},
	{"tx-late", "MS[,COUNT]", "sent: written back that much later", FAULT_TX_LATE, 1, 2},
	{"tx-lost", "[COUNT]", "sent: never written back", FAULT_TX_LOST, 0, 1},
	{"tx-early", "[COUNT]", "sent: DD on all descriptors", FAULT_TX_EARLY, 0, 1},
	{"tx-garbage", "[COUNT]", "sent: garbage is written, with DD", FAULT_TX_GARBAGE, 0, 1},
	{"tx-head", "INDEX[,COUNT]", "sent: another head is written to memory", FAULT_TX_HEAD, 1,
		2},
};

#define ROWS (sizeof(rows) / sizeof(*rows))

static const char *const access_words[] = {"ones", "zero", "error", "gone"};
static const char *const message_words[] = {"error", "hangup"};

static bool parse_word(
	const char *const *words, unsigned count, const char *text, size_t len, uint64_t *value)
{
	for (*value = 0; *value < count; ++*value) {
		if (strlen(words[*value]) == len && strncmp(words[*value], text, len) == 0)
			return true;
	}
	return false;
}

/* A number in C's notation, of `len` characters. */
static bool parse_number(const char *text, size_t len, uint64_t *value)
{
	char digits[24], *end;

	if (len == 0 || len >= sizeof(digits) || !(text[0] >= '0' && text[0] <= '9'))
		return false;
	memcpy(digits, text, len);
	digits[len] = '\0';
	errno = 0;
	*value = strtoull(digits, &end, 0);
	return *end == '\0' && errno == 0;
}

/* Its first value is in ms. */
static bool is_time(enum ixgbe_fault_kind kind)
{
	return kind == FAULT_IRQ_SPURIOUS || kind == FAULT_FLAP || kind == FAULT_RX_LATE ||
	       kind == FAULT_RX_TORN || kind == FAULT_TX_LATE;
}

static bool parse_value(
	const struct row *row, unsigned n, const char *text, size_t len, uint64_t *value)
{
	if (n == 1 && row->kind == FAULT_ACCESS)
		return parse_word(access_words, 4, text, len, value);
	if (n == 1 && row->kind == FAULT_MESSAGE)
		return parse_word(message_words, 2, text, len, value);
	if (!parse_number(text, len, value))
		return false;
	return n || !is_time(row->kind) || (*value > 0 && *value <= MS_MAX);
}

bool ixgbe_fault_parse(const char *text, struct ixgbe_fault_spec *spec)
{
	size_t name = strcspn(text, "=");
	const char *rest = text + name;

	*spec = (struct ixgbe_fault_spec){0};
	while (spec->row < ROWS && (strlen(rows[spec->row].name) != name ||
					   strncmp(rows[spec->row].name, text, name) != 0))
		spec->row++;
	if (spec->row == ROWS)
		return false;
	while (*rest) {
		const struct row *row = &rows[spec->row];
		size_t len = strcspn(++rest, ",");

		if (spec->values == row->most ||
			!parse_value(row, spec->values, rest, len, &spec->value[spec->values]))
			return false;
		spec->values++;
		rest += len;
	}
	return spec->values >= rows[spec->row].least;
}

void ixgbe_fault_help(char *text, size_t size)
{
	size_t at = 0;

	for (unsigned i = 0; i < ROWS && at < size; i++) {
		char head[40];

		snprintf(head, sizeof(head), "%s%s%s", rows[i].name, rows[i].values[0] ? "=" : "",
			rows[i].values);
		at += (size_t)snprintf(text + at, size - at, "  %-24s %s\n", head, rows[i].what);
	}
}

/* --- what is in force --- */

/* Whether it strikes now. */
static bool strikes(struct ixgbe_faults *f, enum ixgbe_fault_kind kind)
{
	if (f->of[kind].left == 0)
		return false;
	if (f->of[kind].left != ALWAYS)
		f->of[kind].left--;
	f->struck++;
	return true;
}

bool ixgbe_fault_stalls(const struct ixgbe *card, bool rx)
{
	return card->faults->of[rx ? FAULT_RX_STALL : FAULT_TX_STALL].left != 0;
}

uint32_t ixgbe_fault_read(const struct ixgbe *card, uint32_t offset, uint32_t value)
{
	const struct ixgbe_faults *f = card->faults;

	for (unsigned i = 0; i < f->stucks; i++) {
		if (f->stuck[i].offset == offset)
			value = (value & ~f->stuck[i].clear) | f->stuck[i].set;
	}
	return value;
}

/* xorshift64: the same garbage each time. */
static uint64_t noise(struct ixgbe_faults *f)
{
	f->noise ^= f->noise << 13;
	f->noise ^= f->noise >> 7;
	f->noise ^= f->noise << 17;
	return f->noise;
}

/* --- write-backs --- */

static void write_late(struct ixgbe *card, const struct ixgbe_late *late)
{
	unsigned hint = 0;

	if (late->words == 0) {
		ixgbe_tx_set_done(card, late->queue, late->index);
		ixgbe_cause_queue(card, late->queue, true);
		return;
	}
	function_dma_write(&card->fn, &hint, late->address, late->word, 8ull * late->words);
	ixgbe_cause_queue(card, late->queue, false);
}

static void flush(struct ixgbe *card)
{
	struct ixgbe_faults *f = card->faults;
	unsigned lates = f->lates;

	f->lates = 0;
	for (unsigned i = 0; i < lates; i++)
		write_late(card, &f->late[i]);
}

static void on_flush(struct loop_timer *timer)
{
	flush(((struct ixgbe_faults *)((char *)timer - offsetof(struct ixgbe_faults, flush)))
			->card);
}

/* Written when the first of them has waited so long. */
static void put_off(struct ixgbe *card, const struct ixgbe_late *late, uint64_t ns)
{
	struct ixgbe_faults *f = card->faults;

	if (f->lates == IXGBE_FAULT_LATE)
		flush(card);
	f->late[f->lates++] = *late;
	if (f->lates == 1)
		loop_timer_set(card->loop, &f->flush, ns);
}

/* DD, EOP and a length on the first descriptors that the driver has not given. */
static void write_early(struct ixgbe *card, unsigned queue)
{
	uint32_t size = *ixgbe_reg(card, RX_QUEUE(queue) + RDLEN) / 16;
	uint32_t tail = *ixgbe_reg(card, RX_QUEUE(queue) + RDT);
	uint64_t base = *ixgbe_reg(card, RX_QUEUE(queue) + RDBAL) |
			(uint64_t)*ixgbe_reg(card, RX_QUEUE(queue) + RDBAH) << 32;
	unsigned hint = 0;

	for (uint32_t i = 0; size && i < 4; i++) {
		const uint64_t second = RX_DD | RX_EOP | 60ull << 32;

		function_dma_write(&card->fn, &hint, base + 16ull * ((tail + i) % size) + 8,
			&second, sizeof(second));
	}
}

bool ixgbe_fault_rx(struct ixgbe *card, unsigned queue, uint64_t address, bool advanced,
	uint64_t *first, uint64_t *second)
{
	struct ixgbe_faults *f = card->faults;
	struct ixgbe_late late = {.address = address, .word = {*first, *second}, .queue = queue};
	unsigned status = advanced ? 0 : 32; /* of the second half, where DD is */
	unsigned hint = 0;

	if (!advanced) { /* one half alone is written back */
		late.address += 8;
		late.word[0] = *second;
	}
	late.words = advanced ? 2 : 1;
	if (strikes(f, FAULT_RX_LATE)) {
		put_off(card, &late, f->of[FAULT_RX_LATE].value * 1000000);
		return true;
	}
	if (strikes(f, FAULT_RX_TORN)) {
		/* The half with DD holds no length yet; a part of a quadword is never seen by one
		 * who reads it whole, but for a card that writes it twice. */
		uint64_t torn = *second & (RX_DD | RX_EOP) << status;

		function_dma_write(&card->fn, &hint, address + 8, &torn, sizeof(torn));
		put_off(card, &late, f->of[FAULT_RX_TORN].value * 1000000);
		return true;
	}
	if (strikes(f, FAULT_RX_HALF)) {
		if (advanced)
			function_dma_write(&card->fn, &hint, address, first, sizeof(*first));
		return true;
	}
	if (strikes(f, FAULT_RX_LENGTH)) {
		unsigned at = advanced ? 32 : 0;

		*second = (*second & ~(0xffffull << at)) | (f->of[FAULT_RX_LENGTH].value & 0xffff)
								   << at;
	}
	if (strikes(f, FAULT_RX_ENDLESS))
		*second &= ~(RX_EOP << status);
	if (strikes(f, FAULT_RX_GARBAGE)) {
		*first = noise(f);
		*second = noise(f) | RX_DD << status;
	}
	if (strikes(f, FAULT_RX_EARLY))
		write_early(card, queue);
	return false;
}

bool ixgbe_fault_tx(struct ixgbe *card, unsigned queue, uint32_t index)
{
	struct ixgbe_faults *f = card->faults;
	uint32_t size = *ixgbe_reg(card, TX_QUEUE(queue) + TDLEN) / 16;
	uint64_t base = *ixgbe_reg(card, TX_QUEUE(queue) + TDBAL) |
			(uint64_t)*ixgbe_reg(card, TX_QUEUE(queue) + TDBAH) << 32;
	unsigned hint = 0;

	if (strikes(f, FAULT_TX_LOST))
		return true;
	if (strikes(f, FAULT_TX_LATE)) {
		const struct ixgbe_late late = {.queue = queue, .index = index};

		put_off(card, &late, f->of[FAULT_TX_LATE].value * 1000000);
		return true;
	}
	if (strikes(f, FAULT_TX_GARBAGE)) {
		const uint64_t word[2] = {noise(f), noise(f) | 1ull << 32};

		function_dma_write(&card->fn, &hint, base + 16ull * index, word, sizeof(word));
		return true;
	}
	if (strikes(f, FAULT_TX_EARLY)) {
		for (uint32_t i = 0; i < size; i++)
			ixgbe_tx_set_done(card, queue, i);
	}
	return false;
}

uint32_t ixgbe_fault_head(struct ixgbe *card, uint32_t head)
{
	return strikes(card->faults, FAULT_TX_HEAD)
		       ? (uint32_t)card->faults->of[FAULT_TX_HEAD].value
		       : head;
}

/* --- timers --- */

static void on_spurious(struct loop_timer *timer)
{
	struct ixgbe_faults *f =
		(struct ixgbe_faults *)((char *)timer - offsetof(struct ixgbe_faults, spurious));

	f->struck++;
	irqs_spurious(&f->card->fn.irqs);
	loop_timer_set(f->card->loop, timer, f->of[FAULT_IRQ_SPURIOUS].value * 1000000);
}

static void on_flap(struct loop_timer *timer)
{
	struct ixgbe_faults *f =
		(struct ixgbe_faults *)((char *)timer - offsetof(struct ixgbe_faults, flap));

	f->struck++;
	ixgbe_pull_cable(f->card, !f->card->pulled);
	loop_timer_set(f->card->loop, timer, f->of[FAULT_FLAP].value * 1000000);
}

/* --- beginning and end --- */

static void spoil_checksum(struct ixgbe *card)
{
	card->shared->nvm.flash[IXGBE_NVM_CHECKSUM] ^= 1;
	card->shared->nvm.shadow[IXGBE_NVM_CHECKSUM] ^= 1;
}

static int begin(struct ixgbe *card)
{
	struct ixgbe_faults *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->card = card;
	f->noise = 0x9e3779b97f4a7c15;
	f->spurious.fire = on_spurious;
	f->flap.fire = on_flap;
	f->flush.fire = on_flush;
	card->faults = f;
	function_set_fault(&card->fn, &f->function);
	return 0;
}

void ixgbe_fault_end(struct ixgbe *card)
{
	struct ixgbe_faults *f = card->faults;

	if (!f)
		return;
	if (f->of[FAULT_EEPROM_SUM].left)
		spoil_checksum(card);
	if (f->of[FAULT_FLAP].left && card->pulled)
		ixgbe_pull_cable(card, false);
	loop_timer_cancel(card->loop, &f->spurious);
	loop_timer_cancel(card->loop, &f->flap);
	loop_timer_cancel(card->loop, &f->flush);
	flush(card);
	function_set_fault(&card->fn, NULL);
	card->faults = NULL;
	free(f);
	ixgbe_look_again(card);
}

void ixgbe_fault_forget(struct ixgbe *card)
{
	if (card->faults) {
		loop_timer_cancel(card->loop, &card->faults->flush);
		card->faults->lates = 0;
	}
}

static void set_function(struct ixgbe_faults *f, enum ixgbe_fault_kind kind,
	const struct ixgbe_fault_spec *spec, uint64_t left)
{
	switch (kind) {
	case FAULT_ACCESS:
		f->function.access_at = spec->value[0];
		f->function.how = (enum fault_access)spec->value[1];
		break;
	case FAULT_MESSAGE:
		f->function.message_at = spec->value[0];
		f->function.hangs_up = spec->value[1] != 0;
		break;
	case FAULT_REMOVED: f->function.gone = true; break;
	case FAULT_DMA_READ: f->function.dma_reads = left; break;
	case FAULT_DMA_WRITE: f->function.dma_writes = left; break;
	case FAULT_IRQ_LOST: f->function.interrupts = left; break;
	default: break;
	}
}

static int set_stuck(struct ixgbe_faults *f, uint64_t offset, uint64_t clear, uint64_t set)
{
	if (f->stucks == IXGBE_FAULT_STUCK)
		return -ENOSPC;
	f->stuck[f->stucks].offset = (uint32_t)offset;
	f->stuck[f->stucks].clear = (uint32_t)clear;
	f->stuck[f->stucks++].set = (uint32_t)set;
	return 0;
}

/* The last value beyond those that must be there is how often it strikes. */
static uint64_t how_often(const struct row *row, const struct ixgbe_fault_spec *spec)
{
	return spec->values > row->least ? spec->value[row->least] : ALWAYS;
}

int ixgbe_fault_set(struct ixgbe *card, const struct ixgbe_fault_spec *spec)
{
	const struct row *row = &rows[spec->row];
	uint64_t left = how_often(row, spec);
	struct ixgbe_faults *f;
	int rc = card->faults ? 0 : begin(card);

	if (rc)
		return rc;
	f = card->faults;
	if (row->kind == FAULT_EEPROM_SUM && !f->of[FAULT_EEPROM_SUM].left)
		spoil_checksum(card);
	if (row->kind == FAULT_STUCK)
		return set_stuck(f, spec->value[0], spec->value[1], spec->value[2]);
	if (row->kind == FAULT_BITS)
		return set_stuck(f, row->offset, row->clear, row->set);
	f->of[row->kind].left = left;
	f->of[row->kind].value = spec->value[0];
	set_function(f, row->kind, spec, left);
	if (row->kind == FAULT_IRQ_SPURIOUS)
		loop_timer_set(card->loop, &f->spurious, spec->value[0] * 1000000);
	if (row->kind == FAULT_FLAP)
		loop_timer_set(card->loop, &f->flap, spec->value[0] * 1000000);
	return 0;
}
