/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What is in force, when it strikes, and what it does then.
 */
#include "nicsim/fault_card.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STUCK 16u  /* registers with stuck bits */
#define LATE  256u /* write-backs that are late */
#define EARLY 4u   /* descriptors of the driver's that are written */

/* Where the status of Intel's receive descriptors begins. */
#define INTEL_DD  1ull
#define INTEL_EOP 2ull

struct late {
	uint64_t address, word[2];
	unsigned words; /* 0: DD of a transmit descriptor */
	unsigned queue;
	uint32_t index;
};

struct faults {
	const struct card_faults *of;
	struct fault function;
	/* What is in force: how often it will strike, and its value. */
	struct {
		uint64_t left, value;
	} kind[FAULT_KINDS];
	struct {
		uint32_t offset, clear, set;
	} stuck[STUCK];
	unsigned stucks;
	uint64_t struck; /* faults that took place, but for those of the function and stuck bits */
	uint64_t noise;  /* state of the generator of garbage */
	bool pulled;     /* the cable, by a flap */
	struct loop_timer spurious, flap, flush;
	struct late late[LATE];
	unsigned lates;
};

/* Whether it strikes now. */
static bool strikes(struct faults *f, enum fault_kind kind)
{
	if (f->kind[kind].left == 0)
		return false;
	if (f->kind[kind].left != FAULT_ALWAYS)
		f->kind[kind].left--;
	f->struck++;
	return true;
}

static uint64_t ns(const struct faults *f, enum fault_kind kind)
{
	return f->kind[kind].value * 1000000;
}

bool fault_stalls(const struct faults *f, bool rx)
{
	return f->kind[rx ? FAULT_RX_STALL : FAULT_TX_STALL].left != 0;
}

uint32_t fault_read(const struct faults *f, uint32_t offset, uint32_t value)
{
	for (unsigned i = 0; i < f->stucks; i++) {
		if (f->stuck[i].offset == offset)
			value = (value & ~f->stuck[i].clear) | f->stuck[i].set;
	}
	return value;
}

/* xorshift64: the same garbage each time. */
static uint64_t noise(struct faults *f)
{
	f->noise ^= f->noise << 13;
	f->noise ^= f->noise >> 7;
	f->noise ^= f->noise << 17;
	return f->noise;
}

/* --- write-backs --- */

static void write_words(const struct faults *f, uint64_t address, const void *words, size_t len)
{
	unsigned hint = 0;

	function_dma_write(f->of->fn, &hint, address, words, len);
}

static void write_late(const struct faults *f, const struct late *late)
{
	const struct fault_ops *ops = f->of->ops;

	if (late->words == 0)
		ops->set_done(f->of->card, late->queue, late->index);
	else
		write_words(f, late->address, late->word, 8ull * late->words);
	ops->cause_queue(f->of->card, late->queue, late->words == 0);
}

static void flush(struct faults *f)
{
	unsigned lates = f->lates;

	f->lates = 0;
	for (unsigned i = 0; i < lates; i++)
		write_late(f, &f->late[i]);
}

static void on_flush(struct loop_timer *timer)
{
	flush((struct faults *)((char *)timer - offsetof(struct faults, flush)));
}

/* Written when the first of them has waited so long. */
static void put_off(struct faults *f, const struct late *late, enum fault_kind kind)
{
	if (f->lates == LATE)
		flush(f);
	f->late[f->lates++] = *late;
	if (f->lates == 1)
		loop_timer_set(f->of->loop, &f->flush, ns(f, kind));
}

/* DD, EOP and a length on the first descriptors that the driver has not given. */
static void write_early(struct faults *f, const struct fault_received *received)
{
	const struct fault_ring ring = f->of->ops->ring(f->of->card, received->queue, false);
	const uint64_t second = received->done | received->end | 60ull << received->length;

	for (uint32_t i = 0; ring.size && i < EARLY; i++)
		write_words(f, ring.base + 16ull * ((ring.tail + i) % ring.size) + 8, &second,
			sizeof(second));
}

bool fault_rx(struct faults *f, struct fault_received *received)
{
	unsigned words = received->words;
	uint64_t *last = &received->word[words - 1];
	const struct late late = {.address = received->address,
		.word = {received->word[0], received->word[1]},
		.words = words,
		.queue = received->queue};

	if (strikes(f, FAULT_RX_LATE)) {
		put_off(f, &late, FAULT_RX_LATE);
		return true;
	}
	if (strikes(f, FAULT_RX_TORN)) {
		/* The half with DD holds no length yet; a part of a quadword is never seen by one
		 * who reads it whole, but for a card that writes it twice. */
		uint64_t torn = *last & (received->done | received->end);

		write_words(f, received->address + 8 * (words - 1), &torn, sizeof(torn));
		put_off(f, &late, FAULT_RX_TORN);
		return true;
	}
	if (strikes(f, FAULT_RX_HALF)) {
		if (words > 1)
			write_words(f, received->address, received->word, 8);
		return true;
	}
	if (strikes(f, FAULT_RX_LENGTH))
		*last = (*last & ~(0xffffull << received->length)) |
			(f->kind[FAULT_RX_LENGTH].value & 0xffff) << received->length;
	if (strikes(f, FAULT_RX_ENDLESS))
		*last &= ~received->end;
	if (strikes(f, FAULT_RX_GARBAGE)) {
		for (unsigned i = 0; i < words; i++)
			received->word[i] = noise(f);
		*last = (*last | received->done) & ~received->owned;
	}
	if (strikes(f, FAULT_RX_EARLY))
		write_early(f, received);
	return false;
}

bool fault_rx_words(struct faults *f, unsigned queue, uint64_t address, bool extended,
	uint64_t *first, uint64_t *second)
{
	unsigned status = extended ? 0 : 32;
	struct fault_received received = {.queue = queue,
		.address = extended ? address : address + 8,
		.word = {extended ? *first : *second, *second},
		.words = extended ? 2 : 1,
		.done = INTEL_DD << status,
		.end = INTEL_EOP << status,
		.length = 32 - status};
	bool dealt = fault_rx(f, &received);

	*first = received.word[0];
	*second = received.word[received.words - 1];
	return dealt;
}

bool fault_tx(struct faults *f, unsigned queue, uint32_t index)
{
	const struct fault_ops *ops = f->of->ops;
	const struct fault_ring ring = ops->ring(f->of->card, queue, true);

	if (strikes(f, FAULT_TX_LOST))
		return true;
	if (strikes(f, FAULT_TX_LATE)) {
		const struct late late = {.queue = queue, .index = index};

		put_off(f, &late, FAULT_TX_LATE);
		return true;
	}
	if (strikes(f, FAULT_TX_GARBAGE)) {
		const uint64_t word[2] = {noise(f) & ~ops->tx_owned, noise(f) | ops->tx_done};

		write_words(f, ring.base + 16ull * index, word, sizeof(word));
		return true;
	}
	if (strikes(f, FAULT_TX_EARLY)) {
		for (uint32_t i = 0; i < ring.size; i++)
			ops->set_done(f->of->card, queue, i);
	}
	return false;
}

uint32_t fault_head(struct faults *f, uint32_t head)
{
	return strikes(f, FAULT_TX_HEAD) ? (uint32_t)f->kind[FAULT_TX_HEAD].value : head;
}

/* --- timers --- */

static void on_spurious(struct loop_timer *timer)
{
	struct faults *f = (struct faults *)((char *)timer - offsetof(struct faults, spurious));

	f->struck++;
	irqs_spurious(&f->of->fn->irqs);
	loop_timer_set(f->of->loop, timer, ns(f, FAULT_IRQ_SPURIOUS));
}

static void on_flap(struct loop_timer *timer)
{
	struct faults *f = (struct faults *)((char *)timer - offsetof(struct faults, flap));

	f->struck++;
	f->pulled = !f->pulled;
	f->of->ops->pull_cable(f->of->card, f->pulled);
	loop_timer_set(f->of->loop, timer, ns(f, FAULT_FLAP));
}

/* --- beginning and end --- */

static int begin(struct card_faults *faults)
{
	struct faults *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->of = faults;
	f->noise = 0x9e3779b97f4a7c15;
	f->spurious.fire = on_spurious;
	f->flap.fire = on_flap;
	f->flush.fire = on_flush;
	faults->now = f;
	function_set_fault(faults->fn, &f->function);
	return 0;
}

void fault_end(struct card_faults *faults)
{
	struct faults *f = faults->now;

	if (!f)
		return;
	if (f->kind[FAULT_EEPROM_SUM].left)
		faults->ops->spoil_checksum(faults->card);
	if (f->pulled)
		faults->ops->pull_cable(faults->card, false);
	loop_timer_cancel(faults->loop, &f->spurious);
	loop_timer_cancel(faults->loop, &f->flap);
	loop_timer_cancel(faults->loop, &f->flush);
	flush(f);
	function_set_fault(faults->fn, NULL);
	faults->now = NULL;
	free(f);
	faults->ops->look_again(faults->card);
}

void fault_forget(struct card_faults *faults)
{
	if (faults->now) {
		loop_timer_cancel(faults->loop, &faults->now->flush);
		faults->now->lates = 0;
	}
}

static void set_function(struct fault *function, const struct fault_spec *spec)
{
	switch (spec->kind) {
	case FAULT_ACCESS:
		function->access_at = spec->value[0];
		function->how = (enum fault_access)spec->value[1];
		break;
	case FAULT_MESSAGE:
		function->message_at = spec->value[0];
		function->hangs_up = spec->value[1] != 0;
		break;
	case FAULT_REMOVED: function->gone = true; break;
	case FAULT_DMA_READ: function->dma_reads = spec->left; break;
	case FAULT_DMA_WRITE: function->dma_writes = spec->left; break;
	case FAULT_IRQ_LOST: function->interrupts = spec->left; break;
	default: break;
	}
}

static int set_stuck(struct faults *f, uint64_t offset, uint64_t clear, uint64_t set)
{
	if (f->stucks == STUCK)
		return -ENOSPC;
	f->stuck[f->stucks].offset = (uint32_t)offset;
	f->stuck[f->stucks].clear = (uint32_t)clear;
	f->stuck[f->stucks++].set = (uint32_t)set;
	return 0;
}

int fault_set(struct card_faults *faults, const struct fault_spec *spec)
{
	struct faults *f;
	int rc = faults->now ? 0 : begin(faults);

	if (rc)
		return rc;
	f = faults->now;
	if (spec->kind == FAULT_EEPROM_SUM && !f->kind[FAULT_EEPROM_SUM].left)
		faults->ops->spoil_checksum(faults->card);
	if (spec->kind == FAULT_STUCK)
		return set_stuck(f, spec->value[0], spec->value[1], spec->value[2]);
	if (spec->kind == FAULT_BITS)
		return set_stuck(f, spec->bits->offset, spec->bits->clear, spec->bits->set);
	f->kind[spec->kind].left = spec->left;
	f->kind[spec->kind].value = spec->value[0];
	set_function(&f->function, spec);
	if (spec->kind == FAULT_IRQ_SPURIOUS)
		loop_timer_set(faults->loop, &f->spurious, ns(f, FAULT_IRQ_SPURIOUS));
	if (spec->kind == FAULT_FLAP)
		loop_timer_set(faults->loop, &f->flap, ns(f, FAULT_FLAP));
	return 0;
}

/* --- for people --- */

int fault_command(struct card_faults *faults, const char *word, char *text, size_t size)
{
	struct fault_spec spec;
	int rc;

	if (strcmp(word, "none") == 0) {
		fault_end(faults);
		return 0;
	}
	if (strcmp(word, "help") == 0) {
		fault_help(&faults->ops->list, text, size);
		return 0;
	}
	if (!fault_parse(&faults->ops->list, word, &spec)) {
		snprintf(text, size,
			"no such fault, or not with these values: fault help lists them");
		return -EINVAL;
	}
	rc = fault_set(faults, &spec);
	if (rc)
		snprintf(text, size, "%s", strerror(-rc));
	return rc;
}

void fault_counters(const struct card_faults *faults, char *text, size_t size)
{
	const struct faults *f = faults->now;

	snprintf(text, size, "faults %" PRIu64 "\naccesses %" PRIu64 "\nmessages %" PRIu64 "\n",
		f ? f->struck : 0, f ? f->function.accesses : 0, f ? f->function.messages : 0);
}
