/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The real driver on a card in memory, and its rounds.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/driver/rig.h"

/* In the rings, in the program's hands, and some that lie in the pool. */
static size_t frame_bytes(unsigned ring)
{
	size_t a_chunk = DMA_CHUNK_SIZE / NIC_BUFFER_STRIDE;
	size_t buffers = 2 * (size_t)ring + 2 * RIG_ROUND;

	return (buffers + a_chunk - 1) / a_chunk * DMA_CHUNK_SIZE;
}

int rig_open(struct rig *rig, const struct setting *setting, bool mapped, struct pci_error *why)
{
	struct pci_function *fn;
	int rc;

	*rig = (struct rig){.setting = *setting};
	(void)snprintf(why->text, sizeof why->text, "out of memory");
	rig->round = setting->ring / 2 < RIG_ROUND ? setting->ring / 2 : RIG_ROUND;
	rc = card_open(&rig->card, mapped);
	if (rc)
		return rc;
	fn = card_function(rig->card);
	rig->config = (struct nic_config){
		.queues = 1, .rx_ring = setting->ring, .tx_ring = setting->ring, .mtu = 1500};
	rc = pci_dma_create(fn, nic_ring_bytes(&rig->config), &rig->rings, why);
	if (!rc)
		rc = pci_dma_create(fn, frame_bytes(setting->ring), &rig->frames, why);
	if (rc)
		goto no_memory;
	rig->config.rings = rig->rings;
	rig->config.frames = rig->frames;
	rc = nic_open(&rig->nic, fn, &rig->config, why);
	if (rc)
		goto no_memory;
	rig->q = nic_queue(rig->nic, 0);
	rc = nic_pool_init(&rig->pool, rig->frames);
	if (rc)
		goto no_pool;
	rc = device_open(&rig->device, rig->card, &rig->config, 0, setting->len);
	if (rc)
		goto no_device;
	/* The receive ring is filled, before anything comes. */
	(void)nic_rx(rig->q, &rig->pool, rig->frame, 1);
	nic_flush(rig->q);
	return 0;
no_device:
	nic_pool_fini(&rig->pool);
no_pool:
	nic_close(rig->nic);
no_memory:
	card_close(rig->card);
	return rc;
}

void rig_close(struct rig *rig)
{
	device_close(rig->device);
	nic_pool_fini(&rig->pool);
	nic_close(rig->nic);
	card_close(rig->card);
}

const char *rig_fault(const struct rig *rig)
{
	return device_fault(rig->device);
}

void rig_before(struct rig *rig, enum warmth warmth)
{
	const struct mode *mode = rig->setting.mode;

	if (mode->sends)
		(void)device_transmit(rig->device, mode->receives, warmth);
	if (mode->receives)
		(void)device_receive(rig->device, rig->round, warmth);
	if (mode->before)
		mode->before(rig, rig->round);
}

bool rig_after(struct rig *rig, size_t done)
{
	const struct mode *mode = rig->setting.mode;

	if (mode->after)
		mode->after(rig, done);
	if (done != rig->round)
		device_complain(
			rig->device, "of %zu frames in a round %zu were handled", rig->round, done);
	return rig_fault(rig) == NULL;
}

bool rig_warm(struct rig *rig)
{
	size_t rounds = 8 * (size_t)rig->setting.ring / rig->round + 16;

	for (size_t i = 0; i < rounds; i++) {
		rig_before(rig, WARMTH_HOT);
		if (i == rounds / 2)
			device_spoil(rig->device, rig->setting.spoil);
		if (!rig_after(rig, rig->setting.mode->round(rig, rig->round)))
			return false;
	}
	return true;
}
