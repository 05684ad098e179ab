/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Counters. Frames and bytes are counted by the verbs, as the card has no bytes: sent ones when
 * they are given to it. What is lost before it reaches a buffer the card writes into memory when it
 * is told to; those counters are never cleared, and one is narrow.
 */
#include <errno.h>

#include "nic/rtl8168/rtl8168.h"

#define DUMP_US 10000u /* as Linux waits */

/* False: nothing is known, as the receiver stands still (some models answer only with it) or the
 * card does not answer.
 */
static bool dump(struct rtl8168 *dev, uint64_t *words)
{
	const struct pci_bar *bar = &dev->nic.bar;
	const struct dma_region *rings = dev->nic.config.rings;
	uint64_t iova = dma_iova(rings, dev->tally);
	const dma_word __dma *tally = (const dma_word __dma *)(uintptr_t)(rings->base + dev->tally);

	if (!dev->nic.queue[0]->frames)
		return false;
	reg_write(bar, DTCCR_HIGH, (uint32_t)(iova >> 32));
	reg_write(bar, DTCCR, (uint32_t)iova);
	/* It writes there: a single access may have failed. */
	if (reg_read(bar, DTCCR_HIGH) != (uint32_t)(iova >> 32))
		return false;
	reg_write(bar, DTCCR, (uint32_t)iova | DTCCR_DUMP);
	if (reg_poll(bar, DTCCR, DTCCR_DUMP, 0, DUMP_US))
		return false;
	/* The command's end, before the words that it announced. */
	dma_read_barrier();
	*words = dma_read(tally + TALLY_MISSED);
	return true;
}

static void add_tally(struct rtl8168 *dev)
{
	uint64_t words;

	if (!dump(dev, &words))
		return;
	if (dev->tally_known) {
		dev->sum.rx_other_errors += (uint32_t)words - (uint32_t)dev->tally_words;
		dev->sum.rx_missed += (uint16_t)((words >> 32) - (dev->tally_words >> 32));
	}
	dev->tally_words = words;
	dev->tally_known = true;
}

void rtl8168_stats_clear(struct rtl8168 *dev)
{
	dev->tally_known = false;
	add_tally(dev);
	dev->sum = (struct nic_stats){0};
}

static uint64_t look(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

int rtl8168_queue_stats(struct nic *nic, unsigned index, struct nic_queue_stats *stats)
{
	const struct rtl8168_queue *q = rtl8168_queue_of(rtl8168_of(nic));

	(void)index;
	*stats = (struct nic_queue_stats){
		.rx_frames = look(&q->stats.rx_frames),
		.rx_bytes = look(&q->stats.rx_bytes),
		.tx_frames = look(&q->stats.tx_frames),
		.tx_bytes = look(&q->stats.tx_bytes),
	};
	return pci_gone(nic->fn) ? -ENODEV : 0;
}

int rtl8168_stats(struct nic *nic, struct nic_stats *stats)
{
	struct rtl8168 *dev = rtl8168_of(nic);
	struct nic_queue_stats queue;
	int rc;

	add_tally(dev);
	rc = rtl8168_queue_stats(nic, 0, &queue);
	*stats = dev->sum;
	stats->rx_frames = queue.rx_frames;
	stats->rx_bytes = queue.rx_bytes + 4 * queue.rx_frames;
	stats->tx_frames = queue.tx_frames;
	stats->tx_bytes = queue.tx_bytes;
	stats->rx_length_errors += look(&rtl8168_queue_of(dev)->rx_long);
	return rc;
}
