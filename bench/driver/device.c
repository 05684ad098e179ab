/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the card in memory does with one pair of rings.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/driver/device.h"
#include "nic/ixgbe/ixgbe_regs.h"

#define SEQUENCE 16u /* where a frame has its number */
/* Bits of a received frame's status that say nothing about the buffer: checksums were right. */
#define RX_CHECKED UINT64_C(0x60)
/* At most so many frames are sent for one that reports; in place, where RS reports the head, as
 * many as a quarter of the ring.
 */
#define RS_EVERY 32u

#define BUFFERS_A_CHUNK (DMA_CHUNK_SIZE / NIC_BUFFER_STRIDE)

struct ring_of {
	uint64_t *words;
	uint32_t size;
	uint32_t head; /* the card's */
	uint32_t seen; /* the tail up to which descriptors were looked at */
	uint32_t tail; /* its register */
	uint32_t head_reg;
};

enum owner { DRIVERS, IN_RX, IN_TX };

struct device {
	struct card *card;
	bool legacy;       /* descriptors: the rings are one, and the transmit head is reported */
	uint8_t *report;   /* where to */
	uint32_t reported; /* slots up to here are known to be sent */
	uint32_t every;    /* descriptors a report, at most */
	const struct dma_region *frames;
	uint16_t len;
	struct ring_of rx, tx;
	uint64_t *shown;  /* receive descriptors as they were when they became the card's */
	uint8_t *owner;   /* enum owner, of each buffer */
	uint64_t arrived; /* frames that were received */
	uint64_t looked;  /* and looked at */
	uint64_t stamped;
	uint64_t sent;
	uint32_t unreported; /* descriptors since the last RS */
	enum spoil spoil;
	char fault[160];
};

void device_complain(struct device *device, const char *format, ...)
{
	va_list args;

	if (device->fault[0])
		return;
	va_start(args, format);
	(void)vsnprintf(device->fault, sizeof device->fault, format, args);
	va_end(args);
}

const char *device_fault(const struct device *device)
{
	return device->fault[0] ? device->fault : NULL;
}

void device_begin(struct device *device)
{
	device->arrived = device->looked = device->stamped = device->sent = 0;
}

void device_spoil(struct device *device, enum spoil what)
{
	device->spoil = what;
}

/* Whether it is that thing's turn: once. */
static bool spoils(struct device *device, enum spoil what)
{
	if (device->spoil != what)
		return false;
	device->spoil = SPOIL_NOTHING;
	return true;
}

/* --- frames --- */

static void write_frame(const struct device *device, uint8_t *data, uint64_t number)
{
	/* Broadcast, so that nobody asks whose it is, and an EtherType for experiments. */
	memset(data, 0xFF, 6);
	memset(data + 6, 0x02, 6);
	data[12] = 0x88;
	data[13] = 0xB5;
	memset(data + 14, (int)(number & 0x7F), device->len - 14u);
	data[DEVICE_TOUCHED] = 0;
	memcpy(data + SEQUENCE, &number, sizeof number);
}

static bool is_frame(
	const struct device *device, const uint8_t *data, uint64_t number, uint8_t touched)
{
	uint64_t found;

	memcpy(&found, data + SEQUENCE, sizeof found);
	return found == number && data[DEVICE_TOUCHED] == touched && data[0] == 0xFF &&
	       data[device->len - 1u] == (number & 0x7F);
}

void device_stamp(struct device *device, uint8_t *data)
{
	write_frame(device, data, device->stamped++);
}

void device_received(struct device *device, const uint8_t *data, uint16_t len)
{
	if (len != device->len)
		device_complain(device, "the driver says that a frame of %u bytes has %u",
			device->len, len);
	else if (!is_frame(device, data, device->looked, 0))
		device_complain(device, "received frame %llu is another one",
			(unsigned long long)device->looked);
	device->looked++;
}

/* --- rings --- */

/* The buffer that a descriptor names, as an index; SIZE_MAX, and a fault: there is none. */
static size_t buffer_at(struct device *device, uint64_t iova)
{
	const struct dma_region *frames = device->frames;

	for (uint32_t chunk = 0; chunk < frames->chunks; chunk++) {
		uint64_t at = iova - frames->iova[chunk];

		if (at >= DMA_CHUNK_SIZE || at % NIC_BUFFER_STRIDE != NIC_BUFFER_HEAD)
			continue;
		if (at / NIC_BUFFER_STRIDE < BUFFERS_A_CHUNK)
			return chunk * BUFFERS_A_CHUNK + at / NIC_BUFFER_STRIDE;
	}
	device_complain(device, "a descriptor names %#llx, where no buffer begins",
		(unsigned long long)iova);
	return SIZE_MAX;
}

static uint8_t *data_of(const struct device *device, size_t buffer)
{
	return device->frames->base + (buffer / BUFFERS_A_CHUNK << DMA_CHUNK_SHIFT) +
	       buffer % BUFFERS_A_CHUNK * NIC_BUFFER_STRIDE + NIC_BUFFER_HEAD;
}

/* The driver's hands off: it is the card's now. */
static void take(struct device *device, uint64_t iova, enum owner owner)
{
	static const char *const whose[] = {"", "to receive into", "to send"};
	size_t buffer = buffer_at(device, iova);

	if (buffer == SIZE_MAX)
		return;
	if (device->owner[buffer] != DRIVERS)
		device_complain(device,
			"a buffer was given %s that the card had already been given %s",
			whose[owner], whose[device->owner[buffer]]);
	device->owner[buffer] = (uint8_t)owner;
}

static void give_back(struct device *device, uint64_t iova)
{
	size_t buffer = buffer_at(device, iova);

	if (buffer != SIZE_MAX)
		device->owner[buffer] = DRIVERS;
}

/* The tail as the driver wrote it, if it can be: descriptors it has shown are not taken back, and
 * four are never shown.
 */
static uint32_t read_tail(struct device *device, struct ring_of *ring)
{
	uint32_t tail = card_read(device->card, ring->tail);
	uint32_t mask = ring->size - 1;

	if (spoils(device, SPOIL_TAIL))
		tail = (ring->head - 1) & mask;
	if (tail >= ring->size || ((tail - ring->head) & mask) > ring->size - 4 ||
		((tail - ring->head) & mask) < ((ring->seen - ring->head) & mask)) {
		device_complain(device, "a tail of %u where the head is %u and the tail was %u",
			tail, ring->head, ring->seen);
		return ring->seen;
	}
	return tail;
}

/* Looks at the receive descriptors that are new. */
static void fetch_rx(struct device *device)
{
	struct ring_of *rx = &device->rx;
	uint32_t tail = read_tail(device, rx);

	for (; rx->seen != tail; rx->seen = (rx->seen + 1) & (rx->size - 1)) {
		uint64_t *at = rx->words + 2 * rx->seen;

		if (rx->seen != rx->head && spoils(device, SPOIL_GIVEN))
			at[0] = rx->words[2 * rx->head];
		if (at[1] != 0 && !device->legacy)
			device_complain(device,
				"a receive descriptor's second quadword is %#llx, not 0",
				(unsigned long long)at[1]);
		take(device, at[0], IN_RX);
		memcpy(device->shown + 2 * rx->seen, at, 16);
	}
}

static void write_back_rx(const struct device *device, uint64_t *at)
{
	uint64_t word = RX_DD | RX_EOP | RX_CHECKED | (uint64_t)device->len << RX_LENGTH_SHIFT;

	if (device->legacy) /* 7.1.5: the address stays */
		word = LEGACY_RX_DD | LEGACY_RX_EOP | device->len;
	else /* 7.1.6.2: packet type and hash */
		at[0] = 0x10;
	__atomic_store_n(&at[1], word, __ATOMIC_RELEASE);
}

size_t device_receive(struct device *device, size_t n, enum warmth warmth)
{
	struct ring_of *rx = &device->rx;
	size_t i;

	fetch_rx(device);
	for (i = 0; i < n && rx->head != rx->seen; i++) {
		uint64_t *at = rx->words + 2 * rx->head;
		size_t buffer;
		uint8_t *data;

		if (spoils(device, SPOIL_SLOT))
			at[0] ^= 4096;
		if (memcmp(at, device->shown + 2 * rx->head, 16) != 0) {
			device_complain(device,
				"receive descriptor %u was changed while it was the card's",
				rx->head);
			break;
		}
		buffer = buffer_at(device, at[0]);
		if (buffer == SIZE_MAX)
			break;
		device->owner[buffer] = DRIVERS;
		data = data_of(device, buffer);
		write_frame(device, data, device->arrived++);
		cache_push(data, device->len, warmth);
		write_back_rx(device, at);
		rx->head = (rx->head + 1) & (rx->size - 1);
		if (rx->head % 4 == 0)
			cache_push(at, 16, warmth);
	}
	cache_settle();
	card_write(device->card, rx->head_reg, rx->head);
	return i;
}

/* What a descriptor says beside lengths and RS, and the length again in it: 7.2.3.2.4, and of the
 * legacy format 7.2.3.2.2.
 */
static void check_word(struct device *device, uint64_t word)
{
	const uint64_t lengths = UINT64_C(0xFFFF) | UINT64_C(0x3FFFF) << TX_PAYLEN_SHIFT;
	uint64_t always = TX_EOP | TX_IFCS;
	unsigned length = (unsigned)(word & 0xFFFF);
	unsigned whole = (unsigned)(word >> TX_PAYLEN_SHIFT);

	if (!device->legacy)
		always |= TX_DATA | TX_DEXT;
	if ((word & ~lengths & ~TX_RS) != always)
		device_complain(
			device, "a transmit descriptor says %#llx", (unsigned long long)word);
	else if (length != device->len || whole != (device->legacy ? 0 : device->len))
		device_complain(device, "a frame of %u bytes is sent with %u, of a length of %u",
			device->len, length, whole);
}

/* A frame in one descriptor. */
static void check_tx(struct device *device, const uint64_t *at, bool forwarded)
{
	size_t buffer = buffer_at(device, at[0]);

	check_word(device, at[1]);
	if (buffer != SIZE_MAX &&
		!is_frame(device, data_of(device, buffer), device->sent, forwarded ? 1 : 0))
		device_complain(
			device, "sent frame %llu is another one", (unsigned long long)device->sent);
	device->unreported = at[1] & TX_RS ? 0 : device->unreported + 1;
	if (device->unreported >= device->every)
		device_complain(
			device, "%u frames in a row do not report (RS)", device->unreported);
}

/* What was asked for: the card sees something else than the driver wrote. */
static void spoil_tx(struct device *device, uint64_t *at, bool last)
{
	uint32_t slot = device->tx.seen;
	size_t buffer;

	if (at[1] & TX_RS && (spoils(device, SPOIL_RS) || (last && spoils(device, SPOIL_LAST))))
		at[1] &= ~TX_RS;
	if (spoils(device, SPOIL_EOP))
		at[1] &= ~TX_EOP;
	if (spoils(device, SPOIL_LENGTH))
		at[1] += 1;
	if (slot != device->tx.head && spoils(device, SPOIL_SENT))
		at[0] = device->tx.words[2 * device->tx.head];
	buffer = buffer_at(device, at[0]);
	if (buffer != SIZE_MAX && spoils(device, SPOIL_FRAME))
		data_of(device, buffer)[SEQUENCE]++;
}

/* The frames up to the one of descriptor `at`, which is the last before the head, are the driver's
 * again, who is told so.
 */
static void report_tx(struct device *device, uint64_t *at, enum warmth warmth)
{
	struct ring_of *tx = &device->tx;

	for (; device->reported != tx->head;
		device->reported = (device->reported + 1) & (tx->size - 1))
		give_back(device, tx->words[2 * device->reported]);
	if (device->legacy) { /* 7.2.3.5.2 */
		__atomic_store_n((uint32_t *)(void *)device->report, tx->head, __ATOMIC_RELEASE);
		cache_push(device->report, 4, warmth);
	} else {
		at[0] = 0;
		__atomic_store_n(&at[1], TX_DD, __ATOMIC_RELEASE);
		cache_push(at, 16, warmth);
	}
}

size_t device_transmit(struct device *device, bool forwarded, enum warmth warmth)
{
	struct ring_of *tx = &device->tx;
	uint32_t tail = read_tail(device, tx);
	size_t sent = 0;

	for (; tx->seen != tail; tx->seen = (tx->seen + 1) & (tx->size - 1)) {
		uint64_t *at = tx->words + 2 * tx->seen;

		if (device->spoil)
			spoil_tx(device, at, ((tx->seen + 1) & (tx->size - 1)) == tail);
		take(device, at[0], IN_TX);
		check_tx(device, at, forwarded);
		device->sent++;
		sent++;
	}
	/* Where nothing more comes, who waits for the last buffers would wait for ever. */
	if (device->unreported && !device->legacy)
		device_complain(device, "the last frame sent does not report (RS)");
	while (tx->head != tail) {
		uint64_t *at = tx->words + 2 * tx->head;

		tx->head = (tx->head + 1) & (tx->size - 1);
		if (at[1] & TX_RS)
			report_tx(device, at, warmth);
	}
	cache_settle();
	card_write(device->card, tx->head_reg, tx->head);
	return sent;
}

/* --- opening --- */

static int find_ring(
	struct device *device, struct ring_of *ring, uint32_t base, uint32_t head, uint32_t tail)
{
	uint64_t iova =
		(uint64_t)card_read(device->card, base + 4) << 32 | card_read(device->card, base);
	uint32_t bytes = card_read(device->card, base + 8);

	ring->size = bytes / 16;
	ring->head = ring->seen = card_read(device->card, head);
	ring->head_reg = head;
	ring->tail = tail;
	ring->words = (uint64_t *)(void *)card_reach(device->card, iova, bytes);
	return ring->words && ring->size >= NIC_RING_MIN && (ring->size & (ring->size - 1)) == 0
		       ? 0
		       : -EINVAL;
}

/* Whether the rings are one, with legacy descriptors and a place for the head. */
static int find_report(struct device *device, unsigned index)
{
	uint64_t place = (uint64_t)card_read(device->card, TDWBAH(index)) << 32 |
			 card_read(device->card, TDWBAL(index));

	device->legacy = !(card_read(device->card, SRRCTL(index)) & SRRCTL_ADVANCED);
	device->every = device->legacy ? device->tx.size / 4 : RS_EVERY;
	device->reported = device->tx.head;
	if (!device->legacy)
		return 0;
	device->report = card_reach(device->card, place & ~UINT64_C(3), 4);
	return device->report && place & TDWBAL_HEAD_WB_EN && device->rx.words == device->tx.words
		       ? 0
		       : -EINVAL;
}

int device_open(struct device **out, struct card *card, const struct nic_config *config,
	unsigned index, uint16_t len)
{
	struct device *device = calloc(1, sizeof *device);
	int rc = -ENOMEM;

	if (!device)
		return -ENOMEM;
	device->card = card;
	device->frames = index ? config->queue_frames[index] : config->frames;
	device->len = len;
	device->shown = calloc(config->rx_ring, 16);
	device->owner = calloc(device->frames->chunks, BUFFERS_A_CHUNK);
	if (!device->shown || !device->owner)
		goto fail;
	rc = find_ring(device, &device->rx, RDBAL(index), RDH(index), RDT(index));
	if (!rc)
		rc = find_ring(device, &device->tx, TDBAL(index), TDH(index), TDT(index));
	if (!rc)
		rc = find_report(device, index);
	if (rc)
		goto fail;
	*out = device;
	return 0;
fail:
	device_close(device);
	return rc;
}

void device_close(struct device *device)
{
	free(device->shown);
	free(device->owner);
	free(device);
}
