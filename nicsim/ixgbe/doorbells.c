/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Mapped doorbells: the pages that hold the queues' registers, heads and tails among them, are
 * memory that the driver has mapped. The card's own registers stay what they are; this file carries
 * changes from the pages to them, as if they had been written by messages, and back.
 *
 * The other side is a running program, which may write anything at any moment. A word is read from
 * the page into a variable once and what acts on it is that copy; a block of registers is believed
 * when it was read twice the same, with the tail read in between, so that a tail is never taken for
 * another ring's. What the card has to say goes out only where the driver has not written since
 * (compare and exchange): the driver's word is never lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "nicsim/ixgbe/card.h"
#include "nicsim/snapshot.h"

#define PAGE        4096u
#define BLOCK       0x40u /* the registers of a queue */
#define WORDS       SNAPSHOT_WORDS
#define BLOCKS      (PAGE / BLOCK)
#define TAIL        (RDT / 4)
#define CONTROL     (RXDCTL / 4)
#define ENABLE      RXDCTL_ENABLE
#define WHOLE_TURNS 64u /* between two looks at the queues that are off, under load */

_Static_assert(WORDS * 4 == BLOCK, "a queue's registers are one snapshot");
_Static_assert(RDT == TDT && RXDCTL == TXDCTL && RXDCTL_ENABLE == TXDCTL_ENABLE && RDH == TDH &&
		       RDBAL == TDBAL && RDBAH == TDBAH && RDLEN == TDLEN,
	"receive and transmit queues have the same layout, as far as this file knows it");

/* 64 queues a page: receive 0 and 64, transmit 0 and 64. */
static const uint32_t pages[IXGBE_WINDOW_PAGES] = {
	RX_QUEUE(0u), RX_QUEUE(64u), TX_QUEUE(0u), TX_QUEUE(64u)};

_Static_assert(RX_QUEUE(64u) + PAGE == IXGBE_WINDOW_SIZE, "the last page ends the window");

static struct ixgbe *of(struct loop_poll *poll)
{
	return (struct ixgbe *)((char *)poll - offsetof(struct ixgbe, doorbells.poll));
}

static bool listening(const struct ixgbe *card)
{
	return function_is_master(&card->fn) &&
	       (card->reg[RXCTRL / 4] & RXCTRL_ENABLE || card->reg[DMATXCTL / 4] & DMATXCTL_ENABLE);
}

static uint32_t load(struct ixgbe *card, uint32_t offset)
{
	return atomic_load_explicit(&card->doorbells.page[offset / 4], memory_order_relaxed);
}

/* --- from a page to the registers --- */

/* Whether the block holds nothing new but maybe its tail. */
static bool quiet(struct ixgbe *card, uint32_t block)
{
	uint32_t differ = 0;

	for (uint32_t i = 0; i < WORDS; i++) {
		if (i != TAIL)
			differ |= load(card, block + 4 * i) ^ card->doorbells.seen[block / 4 + i];
	}
	return differ == 0;
}

static void apply(struct ixgbe *card, uint32_t block, uint32_t i, uint32_t value)
{
	card->doorbells.seen[block / 4 + i] = value;
	ixgbe_reg_write(card, block + 4 * i, value);
}

/* In the order in which a driver sets up a queue: control comes late, the tail last. */
static void apply_block(struct ixgbe *card, uint32_t block, const uint32_t now[WORDS])
{
	const uint32_t *seen = card->doorbells.seen + block / 4;
	bool on = card->reg[block / 4 + CONTROL] & ENABLE;
	bool other_ring = now[RDBAL / 4] != seen[RDBAL / 4] || now[RDBAH / 4] != seen[RDBAH / 4] ||
			  now[RDLEN / 4] != seen[RDLEN / 4] || now[RDH / 4] != seen[RDH / 4];

	/* A queue that is on with another ring than before was off in between. */
	if (on && other_ring)
		ixgbe_reg_write(card, block + 4 * CONTROL, seen[CONTROL] & ~ENABLE);
	for (uint32_t i = 0; i < WORDS; i++) {
		if (i != TAIL && i != CONTROL && now[i] != seen[i])
			apply(card, block, i, now[i]);
	}
	if (now[CONTROL] != seen[CONTROL] || (on && other_ring))
		apply(card, block, CONTROL, now[CONTROL]);
	if (now[TAIL] != seen[TAIL])
		apply(card, block, TAIL, now[TAIL]);
}

/* What the driver wrote into a block; whether it did. */
static bool take(struct ixgbe *card, uint32_t block)
{
	uint32_t now[WORDS];

	if (load(card, block + 4 * TAIL) == card->doorbells.seen[block / 4 + TAIL] &&
		quiet(card, block))
		return false;
	if (!snapshot_take(card->doorbells.page + block / 4, TAIL, now))
		return false; /* the next turn looks again */
	apply_block(card, block, now);
	return true;
}

/* --- from the registers to a page --- */

static void give(struct ixgbe *card, uint32_t block)
{
	uint32_t *seen = card->doorbells.seen;

	for (uint32_t at = block / 4; at < block / 4 + WORDS; at++) {
		uint32_t expected = seen[at];

		if (card->reg[at] != expected &&
			atomic_compare_exchange_strong(
				&card->doorbells.page[at], &expected, card->reg[at]))
			seen[at] = card->reg[at];
	}
}

void ixgbe_doorbells_head(struct ixgbe *card, uint32_t offset, uint32_t head)
{
	uint32_t expected;

	if (!card->doorbells.page)
		return;
	expected = card->doorbells.seen[offset / 4];
	if (atomic_compare_exchange_strong(&card->doorbells.page[offset / 4], &expected, head))
		card->doorbells.seen[offset / 4] = head;
}

/* --- queues, pages, everything --- */

static void note(struct ixgbe *card, unsigned page, unsigned queue)
{
	uint64_t bit = 1ull << queue;

	if (card->reg[pages[page] / 4 + queue * WORDS + CONTROL] & ENABLE)
		card->doorbells.on[page] |= bit;
	else
		card->doorbells.on[page] &= ~bit;
}

/* The queues that are on. */
static bool settle_page(struct ixgbe *card, unsigned page)
{
	bool found = false;

	for (uint64_t on = card->doorbells.on[page]; on; on &= on - 1) {
		unsigned queue = (unsigned)__builtin_ctzll(on);
		uint32_t block = pages[page] + queue * BLOCK;

		if (take(card, block)) {
			note(card, page, queue);
			found = true;
		}
		give(card, block);
	}
	return found;
}

/* Whether any word of a page is new, four times as fast as word by word. */
static bool page_differs(struct ixgbe *card, uint32_t page)
{
	const _Atomic(uint64_t) *shared =
		(const _Atomic(uint64_t) *)(const void *)(card->doorbells.page + page / 4);
	const uint32_t *seen = card->doorbells.seen + page / 4;
	uint64_t differ = 0;

	for (uint32_t i = 0; i < PAGE / 8; i++) {
		uint64_t known;

		memcpy(&known, seen + 2 * i, sizeof(known));
		differ |= atomic_load_explicit(&shared[i], memory_order_relaxed) ^ known;
	}
	return differ != 0;
}

static bool settle_all(struct ixgbe *card)
{
	bool found = false;

	for (unsigned page = 0; page < IXGBE_WINDOW_PAGES; page++) {
		bool fresh = page_differs(card, pages[page]);

		if (!fresh && memcmp(card->reg + pages[page] / 4,
				      card->doorbells.seen + pages[page] / 4, PAGE) == 0)
			continue;
		for (unsigned queue = 0; queue < BLOCKS; queue++) {
			uint32_t block = pages[page] + queue * BLOCK;

			if (fresh && take(card, block))
				found = true;
			note(card, page, queue);
			give(card, block);
		}
	}
	return found;
}

static enum loop_found look(struct loop_poll *poll)
{
	struct ixgbe *card = of(poll);
	bool found = false;

	if (!card->doorbells.page || !listening(card))
		return LOOP_NEVER;
	for (unsigned page = 0; page < IXGBE_WINDOW_PAGES; page++)
		found |= settle_page(card, page);
	if (!found || ++card->doorbells.turns % WHOLE_TURNS == 0)
		found |= settle_all(card);
	return found ? LOOP_SOMETHING : LOOP_NOTHING;
}

void ixgbe_doorbells_settle(void *ctx)
{
	struct ixgbe *card = ctx;

	if (card->doorbells.page)
		settle_all(card);
}

void ixgbe_doorbells_receive(struct ixgbe *card)
{
	if (!card->doorbells.page)
		return;
	settle_page(card, 0);
	settle_page(card, 1);
}

/* --- the shared memory --- */

static void drop_window(struct ixgbe *card)
{
	if (card->doorbells.page)
		munmap((void *)card->doorbells.page, IXGBE_WINDOW_SIZE);
	if (card->fn.window.fd >= 0)
		close(card->fn.window.fd);
	card->doorbells.page = NULL;
	card->fn.window.fd = -1;
}

/* New memory for a new client. Of the file, which has the BAR's offsets, only the pages offered are
 * ever looked at. Sealed, so that it cannot be cut off under the card; a hole punched into it reads
 * as zeros, like anything else that the client might write there.
 */
static int make_window(struct ixgbe *card)
{
	struct function_window *window = &card->fn.window;
	void *page;
	int rc;

	window->fd = memfd_create("nicsim-doorbells", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (window->fd < 0)
		return -errno;
	if (ftruncate(window->fd, IXGBE_WINDOW_SIZE) < 0 ||
		fcntl(window->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		goto failed;
	page = mmap(NULL, IXGBE_WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, window->fd, 0);
	if (page == MAP_FAILED)
		goto failed;
	card->doorbells.page = page;
	for (unsigned i = 0; i < IXGBE_WINDOW_PAGES; i++) {
		memset(card->doorbells.seen + pages[i] / 4, 0, PAGE);
		card->doorbells.on[i] = 0;
	}
	settle_all(card);
	return 0;

failed:
	rc = -errno;
	drop_window(card);
	return rc;
}

int ixgbe_doorbells_init(struct ixgbe *card)
{
	struct function_window *window = &card->fn.window;
	int rc;

	for (unsigned i = 0; i < IXGBE_WINDOW_PAGES; i++) {
		window->area[i].offset = pages[i];
		window->area[i].size = PAGE;
	}
	window->areas = IXGBE_WINDOW_PAGES;
	rc = make_window(card);
	if (rc)
		return rc;
	card->doorbells.poll.look = look;
	loop_poll_add(card->loop, &card->doorbells.poll);
	return 0;
}

void ixgbe_doorbells_left(void *ctx)
{
	struct ixgbe *card = ctx;
	int rc;

	if (!card->doorbells.page)
		return;
	drop_window(card);
	rc = make_window(card);
	if (rc) {
		char text[128];

		snprintf(text, sizeof(text),
			"no memory for doorbells (%s): they are trapped from here on",
			strerror(-rc));
		report_trouble(card->report, text);
	}
}

void ixgbe_doorbells_destroy(struct ixgbe *card)
{
	loop_poll_remove(card->loop, &card->doorbells.poll);
	drop_window(card);
}
