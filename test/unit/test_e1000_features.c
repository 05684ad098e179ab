/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What the e1000 driver does beside the verbs, over a function in plain memory: several queues,
 * large frames, filters, flow control, whether the card is well; and that all of it goes from one
 * process to the next.
 */
#include <errno.h>

#include "fake_e1000.h"

/* Models with several queues. */
static const struct {
	uint16_t device;
	unsigned queues;
} several[] = {{0x10D3, 2}, {0x10C9, 16}};

#define FOR_EACH_WITH_QUEUES                                                                 \
	for (size_t d = 0; d < sizeof several / sizeof *several; d++)                        \
		for (struct bench *b = opened_with(several[d].device, several[d].queues); b; \
			throw_away(b), b = NULL)

static bool is_82576(const struct bench *b)
{
	return b->fn.id.device == 0x10C9;
}

static struct nic_stats stats_of(struct bench *b)
{
	struct nic_stats stats;

	assert_int_equal(nic_stats(b->nic, &stats), 0);
	return stats;
}

static void adopt(struct bench *b)
{
	struct pci_error why = {""};

	nic_release(b->nic);
	assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, &why), 0);
	b->q = nic_queue(b->nic, 0);
}

/* --- queues --- */

static unsigned entry_of(struct bench *b, unsigned i)
{
	uint32_t entry = *at(&b->fn, RETA(i / 4)) >> i % 4 * 8 & 0xFF;

	return is_82576(b) ? entry : entry >> 7;
}

static void frames_are_spread(void **state)
{
	(void)state;
	FOR_EACH_WITH_QUEUES
	{
		unsigned n = several[d].queues;

		assert_int_equal(*at(&b->fn, MRQC) & 7, is_82576(b) ? 2 : 1);
		assert_int_equal(*at(&b->fn, MRQC) >> 16, is_82576(b) ? 0xF3 : 0x17);
		assert_int_equal(*at(&b->fn, RSSRK(9)), NIC_RSS_KEY);
		assert_true(*at(&b->fn, RXCSUM) & RXCSUM_PCSD);
		assert_int_equal(*at(&b->fn, RFCTL), is_82576(b) ? 0 : RFCTL_EXSTEN);
		for (unsigned i = 0; i < 128; i++)
			assert_int_equal(entry_of(b, i), i % n);
		/* Who stands still gets nothing, and everybody else what was his. */
		assert_int_equal(nic_queue_stop(b->nic, 1), 0);
		for (unsigned i = 0; i < 128; i++)
			if (i % n == 1)
				assert_int_not_equal(entry_of(b, i), 1);
			else
				assert_int_equal(entry_of(b, i), i % n);
		assert_int_equal(nic_queue_start(b->nic, 1, &b->frames), 0);
		for (unsigned i = 0; i < 128; i++)
			assert_int_equal(entry_of(b, i), i % n);
	}
}

static void each_queue_has_its_rings(void **state)
{
	(void)state;
	FOR_EACH_WITH_QUEUES
	{
		unsigned n = several[d].queues;
		struct frame frames[RING];
		struct nic_queue_stats stats;
		uint32_t offset;

		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(provide_to(b, i, 10 * i, 8), 8);
			nic_flush(nic_queue(b->nic, i));
			assert_int_equal(*at(&b->fn, RDT(i)), 8);
			assert_true(descriptor(b, RDBAL(i), 0)[0] == 2 * b->iova + buffer(10 * i));
			if (is_82576(b))
				assert_true(*at(&b->fn, SRRCTL(i)) & SRRCTL_DROP_EN);
		}
		for (unsigned i = 0; i < n; i++) {
			struct frame frame = {buffer(200 + i), (uint16_t)(50 + i), 0};

			deliver_to(b, i, (uint16_t)(100 + i), true, false);
			assert_int_equal(nic_rx_return(nic_queue(b->nic, i), frames, RING), 1);
			assert_int_equal(frames[0].offset, buffer(10 * i));
			assert_int_equal(nic_tx_provide(nic_queue(b->nic, i), &frame, 1), 1);
			assert_int_equal(transmit_of(b, i), 1);
			assert_int_equal(nic_tx_return(nic_queue(b->nic, i), &offset, 1), 1);
			assert_int_equal(offset, buffer(200 + i));
			if (is_82576(b))
				*at(&b->fn, RQDPC(i)) = i;
			assert_int_equal(nic_queue_stats(b->nic, i, &stats), 0);
			assert_int_equal(stats.rx_frames, 1);
			assert_int_equal(stats.rx_bytes, 100 + i);
			assert_int_equal(stats.tx_frames, 1);
			assert_int_equal(stats.tx_bytes, (i < 10 ? 60 : 50 + i) + 4);
			assert_int_equal(stats.rx_dropped, is_82576(b) ? i : 0);
			*at(&b->fn, RQDPC(i)) = 0; /* reading has cleared it */
		}
		assert_int_equal(stats_of(b).rx_dropped, is_82576(b) ? 120 : 0);
		adopt(b);
		assert_int_equal(nic_queue_stats(b->nic, n - 1, &stats), 0);
		assert_int_equal(stats.rx_bytes, 100 + n - 1);
		assert_int_equal(nic_rx_held(nic_queue(b->nic, n - 1)), 7);
		assert_int_equal(nic_queue_stats(b->nic, n, &stats), -EINVAL);
	}
}

static bool receives(struct bench *b)
{
	return *at(&b->fn, RCTL) & RCTL_EN;
}

static bool sends(struct bench *b)
{
	return *at(&b->fn, TCTL) & TCTL_EN;
}

static void queues_come_and_go(void **state)
{
	(void)state;
	FOR_EACH_WITH_QUEUES
	{
		unsigned n = several[d].queues;
		struct frame frame = {buffer(1), 60, 0};

		assert_int_equal(provide_to(b, 0, 30, 20), 20);
		assert_int_equal(nic_tx_provide(b->q, &frame, 1), 1);
		assert_int_equal(provide_to(b, 1, 0, 20), 20);
		assert_int_equal(nic_tx_provide(nic_queue(b->nic, 1), &frame, 1), 1);
		assert_int_equal(nic_queue_stop(b->nic, 1), 0);
		assert_true(receives(b) && sends(b));
		assert_int_equal(provide_to(b, 1, 0, 20), 0);
		/* The other one keeps what it has, sent late or not. */
		assert_int_equal(nic_rx_held(b->q), 20);
		assert_int_equal(transmit(b), 1);
		if (is_82576(b)) {
			assert_false(*at(&b->fn, RXDCTL(1)) & RXDCTL_ENABLE);
			assert_false(*at(&b->fn, TXDCTL(1)) & TXDCTL_ENABLE);
		} else {
			assert_int_equal(*at(&b->fn, RDT(1)), 0);
			assert_int_equal(*at(&b->fn, TDT(1)), 0);
			assert_false(*at(&b->fn, TARC(1)) & TARC_ENABLE);
		}
		/* Also while it stands still another process can go on; not if it does not. */
		adopt(b);
		assert_null(nic_queue_frames(b->nic, 1));
		assert_int_equal(provide_to(b, 0, 0, 20), 20);
		nic_release(b->nic);
		*at(&b->fn, is_82576(b) ? RXDCTL(1) : RDT(1)) = RXDCTL_ENABLE | 1;
		assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, NULL), -EINVAL);
		assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);

		for (unsigned i = 0; i < n; i++) {
			assert_true(receives(b) && sends(b));
			assert_int_equal(nic_queue_stop(b->nic, i), 0);
		}
		assert_false(receives(b) || sends(b));
		assert_int_equal(nic_queue_start(b->nic, n - 1, &b->frames), 0);
		assert_int_equal(nic_queue_start(b->nic, n - 1, &b->frames), -EBUSY);
		assert_true(receives(b) && sends(b));
		if (!is_82576(b))
			assert_true(*at(&b->fn, TARC(1)) & TARC_ENABLE);
		assert_int_equal(provide_to(b, n - 1, 3, 1), 1);
	}
}

static void each_queue_has_a_vector(void **state)
{
	(void)state;
	FOR_EACH_WITH_QUEUES
	{
		unsigned n = several[d].queues;
		int fd[NIC_MAX_QUEUES + 1];

		assert_int_equal(nic_irq_fds(b->nic, fd), n + 1);
		assert_int_equal(nic_irq_vector(b->nic, n - 1), n - 1);
		if (is_82576(b)) {
			/* RX 0, TX 0, RX 8, TX 8; RX 7, TX 7, RX 15, TX 15. */
			assert_int_equal(*at(&b->fn, IVAR(0)), 0x88888080);
			assert_int_equal(*at(&b->fn, IVAR(7)), 0x8F8F8787);
			assert_int_equal(*at(&b->fn, IVAR_MISC), 0x9000);
			assert_int_equal(*at(&b->fn, EIAC), 0xFFFF);
			assert_int_equal(*at(&b->fn, EIAM), 0x1FFFF);
			nic_irq_arm(b->nic);
			assert_int_equal(*at(&b->fn, EIMS), 0x1FFFF);
			nic_irq_arm_queue(b->nic, 5);
			assert_int_equal(*at(&b->fn, EIMS), 1 << 5);
		} else {
			/* RX 0, RX 1, TX 0, TX 1, all else, four bits each. */
			assert_int_equal(*at(&b->fn, IVAR_82574), 0xA9898);
			assert_int_equal(*at(&b->fn, EIAC_82574), 0xF00000);
			assert_int_equal(*at(&b->fn, IAM), 0xF00000);
			nic_irq_arm_queue(b->nic, 1);
			assert_int_equal(*at(&b->fn, IMS), 0xA00000);
			nic_irq_arm(b->nic);
			assert_int_equal(*at(&b->fn, IMS), 0x1F00004);
			/* What the link's reader finds of queues is told again. */
			*at(&b->fn, ICR) = IRQ_LSC | IRQ_RXQ(1);
			assert_int_equal(nic_irq_ack(b->nic, 2), NIC_EVENT_LINK);
			assert_int_equal(*at(&b->fn, ICS), IRQ_RXQ(1));
		}
		assert_int_equal(nic_irq_ack(b->nic, n - 1), NIC_EVENT_QUEUES);
		assert_int_equal(nic_irq_ack(b->nic, n), 0);

		/* Too few vectors: one for all. */
		nic_close(b->nic);
		b->fn.vectors = 2;
		assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);
		assert_int_equal(nic_irq_fds(b->nic, fd), 1);
		if (is_82576(b))
			assert_int_equal(*at(&b->fn, IVAR(7)), 0x80808080);
		else
			assert_int_equal(*at(&b->fn, IVAR_82574), 0x88888);
		nic_irq_arm_queue(b->nic, 1);
		assert_true(is_82576(b) ? *at(&b->fn, EIMS) == 1 : *at(&b->fn, IMS) == 0x1F00004);
		*at(&b->fn, ICR) = is_82576(b) ? IRQ_RXT : IRQ_TXQ(1);
		assert_int_equal(nic_irq_ack(b->nic, 0), NIC_EVENT_QUEUES);
	}
}

/* --- large frames --- */

static void the_mtu_is_the_models(void **state)
{
	(void)state;
	FOR_EACH_DEVICE
	{
		static const uint16_t largest[] = {9710, 9710, 9194, 9706};
		static const uint32_t room[] = {48, 48, 20, 0};

		assert_int_equal(nic_mtu_max(b->nic), largest[d]);
		assert_int_equal(*at(&b->fn, PBA), is_82576(b) ? 0 : room[d]);
		assert_int_equal(nic_set_mtu(b->nic, (uint16_t)(largest[d] + 1)), -EINVAL);
		assert_false(*at(&b->fn, RCTL) & RCTL_LPE);
		assert_int_equal(nic_set_mtu(b->nic, 1501), 0);
		assert_true(*at(&b->fn, RCTL) & RCTL_LPE);
		assert_true(receives(b));
		assert_int_equal(*at(&b->fn, RLPML), is_82576(b) ? 1523 : 0);
		assert_int_equal(nic_set_mtu(b->nic, 1500), 0);
		assert_false(*at(&b->fn, RCTL) & RCTL_LPE);
		nic_close(b->nic);
		b->config.mtu = largest[d];
		assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);
		assert_true(*at(&b->fn, RCTL) & RCTL_LPE);
	}
}

/* A frame of that size, in as many buffers. */
static unsigned deliver_large(struct bench *b, unsigned size, bool error)
{
	unsigned n = 0;

	for (; size > NIC_BUFFER_SIZE; size -= NIC_BUFFER_SIZE, n++)
		deliver(b, NIC_BUFFER_SIZE, false, false);
	deliver(b, (uint16_t)size, true, error);
	return n + 1;
}

static void large_frames_come(void **state)
{
	(void)state;
	FOR_EACH_DEVICE
	{
		static const unsigned sizes[] = {60, 2048, 2049, 4096, 9000, 9018, 1514};
		struct frame frames[RING];
		struct nic_queue_stats stats;
		unsigned at_frame = 0, sum = 0;

		b->config.mtu = 9000;
		assert_int_equal(nic_set_mtu(b->nic, 9000), 0);
		assert_int_equal(provide(b, 0, 40), 40);
		nic_flush(b->q);
		for (unsigned i = 0; i < 7; i++) {
			unsigned n = deliver_large(b, sizes[i], false), bytes = 0;

			/* Whole or not at all. */
			if (n > 1)
				assert_int_equal(nic_rx_return(b->q, frames, n - 1), 0);
			assert_int_equal(nic_rx_return(b->q, frames, RING), n);
			for (unsigned k = 0; k < n; k++) {
				assert_int_equal(frames[k].offset, buffer(at_frame++));
				assert_int_equal(frames[k].flags, k + 1 < n ? FRAME_MORE : 0);
				bytes += frames[k].len;
			}
			assert_int_equal(bytes, sizes[i]);
			sum += bytes;
		}
		/* Half of one; and the rest of it, damaged. */
		deliver(b, 2048, false, false);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 0);
		deliver(b, 100, true, true);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 2);
		assert_true(frames[0].flags == FRAME_ERROR && frames[1].flags == FRAME_ERROR);
		/* One above the MTU, which not each card sees to. */
		assert_int_equal(deliver_large(b, 9019, false), 5);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 5);
		for (unsigned k = 0; k < 5; k++)
			assert_int_equal(frames[k].flags, FRAME_ERROR);
		/* And one that was under way when the MTU fell. */
		assert_int_equal(nic_set_mtu(b->nic, 1500), 0);
		assert_int_equal(deliver_large(b, 4000, false), 2);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 2);
		assert_true(frames[0].flags == FRAME_ERROR && frames[1].flags == FRAME_ERROR);
		assert_int_equal(nic_set_mtu(b->nic, 9000), 0);
		assert_int_equal(stats_of(b).rx_length_errors, 2);
		assert_int_equal(stats_of(b).bad_writebacks, 0);
		assert_int_equal(nic_queue_stats(b->nic, 0, &stats), 0);
		assert_int_equal(stats.rx_frames, 7);
		assert_int_equal(stats.rx_bytes, sum);
		adopt(b);
		assert_int_equal(stats_of(b).rx_length_errors, 2);
	}
}

static void large_lies_of_the_card(void **state)
{
	(void)state;
	FOR_EACH_DEVICE
	{
		struct frame frames[RING];

		b->config.mtu = 9000;
		assert_int_equal(nic_set_mtu(b->nic, 9000), 0);
		assert_int_equal(provide(b, 0, 40), 40);
		nic_flush(b->q);
		/* Six buffers: none ends in five. Then a good one. */
		assert_int_equal(deliver_large(b, 6 * 2048, false), 6);
		deliver(b, 60, true, false);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 7);
		for (unsigned k = 0; k < 6; k++) {
			assert_int_equal(frames[k].flags, FRAME_ERROR);
			assert_int_equal(frames[k].len, 0);
			assert_int_equal(frames[k].offset, buffer(k));
		}
		assert_true(frames[6].flags == 0 && frames[6].len == 60);
		assert_int_equal(stats_of(b).bad_writebacks, 6);
		/* A piece of nothing, and one beyond its buffer. */
		deliver(b, 2048, false, false);
		deliver(b, 0, true, false);
		deliver(b, 2049, false, false);
		deliver(b, 1, true, false);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 4);
		for (unsigned k = 0; k < 4; k++)
			assert_true(frames[k].flags == FRAME_ERROR && frames[k].len == 0);
		assert_int_equal(stats_of(b).bad_writebacks, 8);
		/* More in one buffer than that has. */
		deliver(b, 2049, true, false);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 1);
		assert_true(frames[0].flags == FRAME_ERROR && frames[0].len == 0);
		assert_int_equal(stats_of(b).bad_writebacks, 9);
		/* One that has begun is another process's to end. */
		deliver_large(b, 5 * 2048, false);
		deliver(b, 2048, false, false);
		adopt(b);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 5);
		deliver(b, 10, true, false);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 2);
		assert_true(frames[0].flags == FRAME_MORE && frames[1].flags == 0);
	}
}

static void large_frames_go(void **state)
{
	(void)state;
	FOR_EACH_DEVICE
	{
		struct frame frames[6] = {{buffer(0), 9018, 0}};

		assert_int_equal(nic_tx_provide(b->q, frames, 1), 0);
		assert_int_equal(nic_set_mtu(b->nic, 9000), 0);
		assert_int_equal(nic_tx_provide(b->q, frames, 1), 1);
		frames[0].len = 9019;
		assert_int_equal(nic_tx_provide(b->q, frames, 1), 0);
		for (unsigned i = 0; i < 5; i++)
			frames[i] = (struct frame){
				buffer(i), i < 4 ? 2048 : 826, i < 4 ? FRAME_MORE : 0};
		assert_int_equal(nic_tx_provide(b->q, frames, 5), 5);
		frames[4].len++;
		assert_int_equal(nic_tx_provide(b->q, frames, 5), 0);
		assert_int_equal(transmit(b), 2);
		assert_int_equal(stats_of(b).bad_offsets, 3);
	}
}

/* --- filters --- */

/* A station for an even number, and a group for an odd one. */
static void address_of(unsigned number, uint8_t address[6])
{
	const uint8_t made[6] = {(uint8_t)(2 + (number & 1)), 0xAA, (uint8_t)(number >> 8), 0x55,
		(uint8_t)(number * 7), (uint8_t)number};

	memcpy(address, made, 6);
}

static unsigned bits_in(struct bench *b, uint32_t first)
{
	unsigned count = 0;

	for (unsigned i = 0; i < 128; i++)
		count += (unsigned)__builtin_popcount(*at(&b->fn, first + 4 * i));
	return count;
}

static uint32_t passes(struct bench *b)
{
	return *at(&b->fn, RCTL) & (RCTL_UPE | RCTL_MPE | RCTL_BAM | RCTL_VFE | RCTL_EN);
}

static void listed_addresses_pass(void **state)
{
	(void)state;
	FOR_EACH_DEVICE
	{
		const uint32_t always = RCTL_BAM | RCTL_EN;
		uint8_t list[20][6];

		assert_int_equal(passes(b), always | RCTL_MPE);
		for (unsigned i = 0; i < 6; i++)
			address_of(i, list[i]);
		assert_int_equal(nic_set_addresses(b->nic, list, 6), 0);
		assert_int_equal(passes(b), always);
		for (unsigned i = 0; i < 3; i++) {
			/* bits 47:36 of the address */
			const uint8_t *group = list[2 * i + 1];
			unsigned hash = (unsigned)group[5] << 4 | group[4] >> 4;

			assert_memory_equal(at(&b->fn, RAL(i + 1)), list[2 * i], 4);
			assert_int_equal(*at(&b->fn, RAH(i + 1)),
				0x80000000 | list[2 * i][4] | (uint32_t)list[2 * i][5] << 8);
			assert_true(*at(&b->fn, MTA(hash / 32)) >> hash % 32 & 1);
		}
		assert_int_equal(*at(&b->fn, RAH(4)), 0);
		assert_int_equal(bits_in(b, MTA(0)), 3);
		assert_int_equal(*at(&b->fn, RAL(0)), 0x33221102);

		/* Promiscuous and back keeps the list, also in another process. */
		assert_int_equal(nic_set_promiscuous(b->nic, true), 0);
		assert_int_equal(passes(b), always | RCTL_UPE | RCTL_MPE);
		b->config.promiscuous = true;
		adopt(b);
		b->config.promiscuous = false;
		assert_int_equal(nic_set_promiscuous(b->nic, false), 0);
		assert_int_equal(passes(b), always);

		/* More stations than there are filters: then all; what was is gone. */
		for (unsigned i = 0; i < 16; i++)
			address_of(2 * i, list[i]);
		assert_int_equal(nic_set_addresses(b->nic, list, 15), 0);
		assert_int_equal(passes(b), always);
		assert_int_equal(*at(&b->fn, RAH(15)) >> 31, 1);
		assert_int_equal(bits_in(b, MTA(0)), 0);
		assert_int_equal(nic_set_addresses(b->nic, list, 16), 0);
		assert_int_equal(passes(b), always | RCTL_UPE);
		adopt(b);
		assert_int_equal(nic_set_mtu(b->nic, 1400), 0);
		assert_int_equal(passes(b), always | RCTL_UPE);
		b->config.mtu = 1400;

		assert_int_equal(nic_set_addresses(b->nic, NULL, 0), 0);
		assert_int_equal(passes(b), always | RCTL_MPE);
		assert_int_equal(*at(&b->fn, RAH(1)), 0);
		b->fn.gone = true;
		assert_int_equal(nic_set_addresses(b->nic, NULL, 0), -ENODEV);
		b->fn.gone = false;
	}
}

static void listed_vlans_pass(void **state)
{
	(void)state;
	FOR_EACH_DEVICE
	{
		static const uint16_t vlans[] = {0, 33, 4095}, wrong[] = {4096};

		assert_int_equal(*at(&b->fn, VET), 0x8100);
		assert_false(passes(b) & RCTL_VFE);
		assert_int_equal(nic_set_vlans(b->nic, wrong, 1), -EINVAL);
		assert_int_equal(nic_set_vlans(b->nic, vlans, 3), 0);
		assert_int_equal(bits_in(b, VFTA(0)), 3);
		assert_int_equal(*at(&b->fn, VFTA(1)), 2);
		assert_int_equal(*at(&b->fn, VFTA(127)), 0x80000000);
		assert_true(passes(b) & RCTL_VFE);
		adopt(b);
		assert_int_equal(nic_set_promiscuous(b->nic, true), 0);
		assert_true(passes(b) & RCTL_VFE);
		assert_int_equal(nic_set_promiscuous(b->nic, false), 0);
		assert_int_equal(nic_set_vlans(b->nic, NULL, 0), 0);
		assert_false(passes(b) & RCTL_VFE);
		assert_int_equal(bits_in(b, VFTA(0)), 0);
	}
}

/* --- flow control, drops --- */

static void flow_control_is_as_configured(void **state)
{
	(void)state;
	FOR_EACH_DEVICE
	{
		static const uint32_t kib[] = {48, 48, 20, 64};
		uint32_t room = kib[d] * 1024;

		assert_int_equal(*at(&b->fn, FCT), 0);
		assert_int_equal(*at(&b->fn, CTRL) & (CTRL_RFCE | CTRL_TFCE), 0);
		for (unsigned pause = 1; pause < 4; pause++) {
			bool tells = pause & NIC_PAUSE_TX;

			nic_close(b->nic);
			b->config.pause = pause;
			b->config.drop = NIC_DROP_NEVER;
			assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);
			assert_int_equal(*at(&b->fn, CTRL) & (CTRL_RFCE | CTRL_TFCE),
				(pause & NIC_PAUSE_RX ? CTRL_RFCE : 0) | (tells ? CTRL_TFCE : 0));
			assert_int_equal(*at(&b->fn, FCT), 0x8808);
			assert_int_equal(*at(&b->fn, FCAL), 0x00C28001);
			assert_int_equal(*at(&b->fn, FCTTV), tells ? 0xFFFF : 0);
			assert_int_equal(*at(&b->fn, FCRTH), tells ? room / 10 * 9 / 16 * 16 : 0);
			assert_int_equal(nic_set_mtu(b->nic, 9000), 0);
			if (tells) {
				uint32_t high = *at(&b->fn, FCRTH);

				/* A whole frame fits above, and the low mark lies below it. */
				assert_true(high <= room - 9022 && high > 8192);
				assert_int_equal(*at(&b->fn, FCRTL) & FCRTL_XONE, FCRTL_XONE);
				assert_true((*at(&b->fn, FCRTL) & ~FCRTL_XONE) < high);
			} else {
				assert_int_equal(*at(&b->fn, FCRTL) | *at(&b->fn, FCRTH), 0);
			}
		}
	}
}

static void frames_without_a_buffer(void **state)
{
	struct bench *b = opened(0x10C9);

	(void)state;
	assert_false(*at(&b->fn, SRRCTL(0)) & SRRCTL_DROP_EN);
	nic_close(b->nic);
	b->config.drop = NIC_DROP_ALWAYS;
	assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);
	assert_true(*at(&b->fn, SRRCTL(0)) & SRRCTL_DROP_EN);
	throw_away(b);
}

/* --- whether it is well --- */

static void what_does_not_come_back_is_noticed(void **state)
{
	(void)state;
	FOR_EACH_DEVICE
	{
		struct frame frame = {buffer(100), 60, 0};
		struct pci_error why = {""};

		for (unsigned way = 0; way < 2; way++) {
			assert_int_equal(provide(b, 0, 8), 8);
			assert_int_equal(nic_tx_provide(b->q, &frame, 1), 1);
			nic_flush(b->q);
			for (unsigned i = 0; i < 10; i++)
				assert_int_equal(nic_check(b->nic, &why), 0);
			/* Tails that got lost are written again. */
			*at(&b->fn, RDT(0)) = *at(&b->fn, TDT(0)) = 0;
			assert_int_equal(nic_check(b->nic, &why), 0);
			assert_int_equal(*at(&b->fn, RDT(0)), 8);
			assert_int_equal(*at(&b->fn, TDT(0)), 1);
			/* Done, and not fetched. */
			deliver(b, 60, true, false);
			assert_int_equal(transmit(b), 1);
			for (unsigned i = 0; i < 10; i++)
				assert_int_equal(nic_check(b->nic, &why), 0);
			/* Used up, and not written back. */
			descriptor(b, way ? RDBAL(0) : TDBAL(0), 0)[1] = 0;
			assert_int_equal(nic_check(b->nic, &why), 0);
			assert_int_equal(nic_check(b->nic, &why), 0);
			assert_int_equal(nic_check(b->nic, &why), -EIO);
			assert_non_null(
				strstr(why.text, way ? "receive queue 0: a descriptor is used up"
						     : "transmit queue 0: a frame is sent"));
			nic_close(b->nic);
			assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, &why), 0);
			b->q = nic_queue(b->nic, 0);
			b->rx[0] = b->tx[0] = 0;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_are_spread),
		cmocka_unit_test(each_queue_has_its_rings),
		cmocka_unit_test(queues_come_and_go),
		cmocka_unit_test(each_queue_has_a_vector),
		cmocka_unit_test(the_mtu_is_the_models),
		cmocka_unit_test(large_frames_come),
		cmocka_unit_test(large_lies_of_the_card),
		cmocka_unit_test(large_frames_go),
		cmocka_unit_test(listed_addresses_pass),
		cmocka_unit_test(listed_vlans_pass),
		cmocka_unit_test(flow_control_is_as_configured),
		cmocka_unit_test(frames_without_a_buffer),
		cmocka_unit_test(what_does_not_come_back_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
