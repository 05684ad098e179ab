/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The real driver on a card in memory, and its rounds.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/driver/rig.h"
#include "nic/ixgbe/ixgbe_path.h"

bool rig_has_path(const char *name)
{
	return ixgbe_path_verbs(name) != NULL;
}

/* In the rings, in the program's hands, and some that lie in the pool. */
static size_t frame_bytes(unsigned ring)
{
	size_t a_chunk = DMA_CHUNK_SIZE / NIC_BUFFER_STRIDE;
	size_t buffers = 2 * (size_t)ring + 2 * RIG_ROUND;

	return (buffers + a_chunk - 1) / a_chunk * DMA_CHUNK_SIZE;
}

static const struct dma_region *frames_of(const struct bed *bed, unsigned index)
{
	return index ? bed->config.queue_frames[index] : bed->config.frames;
}

static int make_memory(struct bed *bed, struct pci_error *why)
{
	struct pci_function *fn = card_function(bed->card);
	int rc = pci_dma_create(fn, nic_ring_bytes(&bed->config), &bed->rings, why);

	bed->config.rings = bed->rings;
	for (unsigned i = 0; i < bed->setting.queues && !rc; i++) {
		struct dma_region *frames = NULL;

		rc = pci_dma_create(fn, frame_bytes(bed->setting.ring), &frames, why);
		if (i == 0)
			bed->config.frames = frames;
		else
			bed->config.queue_frames[i] = frames;
	}
	return rc;
}

static void close_rig(struct rig *rig)
{
	if (rig->device)
		device_close(rig->device);
	nic_pool_fini(&rig->pool);
}

static int open_rig(struct bed *bed, unsigned index)
{
	struct rig *rig = &bed->rig[index];
	int rc;

	rig->setting = &bed->setting;
	rig->round = bed->setting.ring / bed->setting.mode->in_round;
	if (rig->round > RIG_ROUND)
		rig->round = RIG_ROUND;
	rig->q = nic_queue(bed->nic, index);
	rig->q->verbs = bed->setting.mode->in_place ? ixgbe_path_in_place(bed->setting.path)
						    : ixgbe_path_verbs(bed->setting.path);
	rc = nic_pool_init(&rig->pool, frames_of(bed, index));
	if (!rc)
		rc = device_open(&rig->device, bed->card, &bed->config, index, bed->setting.len);
	if (rc) {
		close_rig(rig);
		return rc;
	}
	bed->setting.mode->begin(rig);
	return 0;
}

int bed_open(struct bed *bed, const struct setting *setting, bool mapped, struct pci_error *why)
{
	unsigned opened = 0;
	int rc;

	*bed = (struct bed){.setting = *setting};
	(void)snprintf(why->text, sizeof why->text, "out of memory");
	rc = card_open(&bed->card, mapped);
	if (rc)
		return rc;
	bed->config = (struct nic_config){.queues = setting->queues,
		.rx_ring = setting->ring,
		.tx_ring = setting->ring,
		.in_place = setting->mode->in_place ? NIC_MIRROR : NIC_APART,
		.mtu = 1500};
	rc = make_memory(bed, why);
	if (rc)
		goto no_memory;
	rc = nic_open(&bed->nic, card_function(bed->card), &bed->config, why);
	if (rc)
		goto no_memory;
	for (; opened < setting->queues; opened++) {
		rc = open_rig(bed, opened);
		if (rc)
			goto no_rig;
	}
	return 0;
no_rig:
	while (opened-- > 0)
		close_rig(&bed->rig[opened]);
	nic_close(bed->nic);
no_memory:
	card_close(bed->card);
	return rc;
}

void bed_close(struct bed *bed)
{
	for (unsigned i = 0; i < bed->setting.queues; i++)
		close_rig(&bed->rig[i]);
	nic_close(bed->nic);
	card_close(bed->card);
}

const char *rig_fault(const struct rig *rig)
{
	return device_fault(rig->device);
}

void rig_before(struct rig *rig, enum warmth warmth)
{
	const struct mode *mode = rig->setting->mode;

	if (mode->sends)
		(void)device_transmit(rig->device, mode->receives, warmth);
	if (mode->receives)
		(void)device_receive(rig->device, rig->round, warmth);
	if (mode->before)
		mode->before(rig, rig->round);
}

bool rig_after(struct rig *rig, size_t done)
{
	const struct mode *mode = rig->setting->mode;

	if (mode->after)
		mode->after(rig, done);
	if (done != rig->round)
		device_complain(
			rig->device, "of %zu frames in a round %zu were handled", rig->round, done);
	return rig_fault(rig) == NULL;
}

bool rig_warm(struct rig *rig)
{
	size_t rounds = 8 * (size_t)rig->setting->ring / rig->round + 16;

	for (size_t i = 0; i < rounds; i++) {
		rig_before(rig, WARMTH_HOT);
		if (i == rounds / 2)
			device_spoil(rig->device, rig->setting->spoil);
		if (!rig_after(rig, rig->setting->mode->round(rig, rig->round)))
			return false;
	}
	return true;
}
