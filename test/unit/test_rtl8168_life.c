/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The rtl8168 driver's life, as each of its models: start, link, filters, counters, interrupts,
 * checks, from one process to the next.
 */
#include "fake_rtl8168.h"
#include "far_memory.h"

#include <errno.h>

static bool has_firmware(uint16_t xid)
{
	return xid == 0x2C8 || xid >= 0x480;
}

static void it_starts(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct nic_link link;
		uint8_t mac[6];
		bool early = models[m] < 0x390 && models[m] >= 0x300;

		assert_int_equal(b->fn.bar, 2);
		nic_mac(b->nic, mac);
		assert_memory_equal(mac, "\x02\x11\x22\x33\x44\x55", 6);
		assert_int_equal(nic_link(b->nic, &link), 0);
		assert_true(link.up && link.mbit == 1000);
		assert_true(b->fn.master);
		assert_int_equal(b->fn.reg[CR], CR_TE | CR_RE | 1);
		assert_int_equal(get(&b->fn, RCR, 4) & RCR_ACCEPT, RCR_APM | RCR_AB | RCR_AM);
		assert_int_equal(get(&b->fn, MAR0, 4) & get(&b->fn, MAR4, 4), UINT32_MAX);
		assert_int_equal(get(&b->fn, RMS, 2), 2048);
		assert_int_equal(get(&b->fn, IMR, 2), 0);
		assert_int_equal(b->fn.reg[CR9346], CR9346_LOCK);
		assert_false(get(&b->fn, MISC, 4) & MISC_RXDV_GATED);
		/* Taken from its firmware, where there is some: from the E-VL on. */
		assert_int_equal(!(b->fn.reg[MCU] & MCU_OOB), has_firmware(models[m]));
		for (unsigned i = 0; i < RING; i++) {
			uint64_t eor = i == RING - 1 ? DESC_EOR : 0;

			assert_true(descriptor(b, RDSAR, i)[0] == eor);
			assert_true(descriptor(b, TNPDS, i)[0] == eor);
		}
		assert_int_equal(nic_set_promiscuous(b->nic, true), 0);
		assert_true(get(&b->fn, RCR, 4) & RCR_AAP);
		/* One vector, whatever MSI-X offers; INTx alone on the first. */
		assert_string_equal(nic_irq_name(b->nic), early ? "INTx" : "MSI-X");
		assert_int_equal(b->fn.irqs, 1);
		assert_int_equal(nic_mtu_max(b->nic), early ? 4074 : 2026);
		assert_non_null(strstr(nic_model(b->nic), "Realtek RTL8"));
	}
}

static void what_does_not_start_says_why(void **state)
{
	static const struct {
		int error;
		const char *word;
		uint16_t xid;
	} what[] = {
		{-ETIMEDOUT, "reset", 0x28B},
		{-EIO, "MAC address", 0x28B},
		{-EINVAL, "one queue pair", 0x28B},
		{-ETIMEDOUT, "PHY", 0x28A},
		{-ENODEV, "quiesced", 0x28B},
		{-ENOTSUP, "in place", 0x28B},
		{-EBUSY, "DASH", 0x28B},
		{-EIO, "did not start", 0x3C2},
		{-EINVAL, "up to 1024", 0x28B},
		{-ENOTSUP, "flow control", 0x28B},
		{-ENOTSUP, "XID 7c0", 0x7C0},
		{-ENOTSUP, "RTL8168EP", 0x502},
		{-ENOTSUP, "RTL8168FP", 0x54A},
		{-ENOTSUP, "INTx", 0x380},
		{-EINVAL, "up to 2026", 0x28B},
		{-ETIMEDOUT, "PHY", 0x288},
		{-ETIMEDOUT, "PHY", 0x4C0},
		{-ETIMEDOUT, "PHY", 0x3C0},
		{-ETIMEDOUT, "reset", 0x3C0},
	};

	(void)state;
	for (unsigned n = 0; n < sizeof what / sizeof *what; n++) {
		struct bench *b = make(what[n].xid);
		struct pci_error why = {""};

		b->fn.deaf = n == 0;
		b->fn.no_address = n == 1;
		b->config.queues = n == 2 ? 2 : 1;
		b->fn.no_phy = n == 3 || (n >= 15 && n < 18);
		b->fn.unheard = n == 18; /* while it runs with another's rings */
		if (b->fn.unheard)
			b->fn.reg[CR] = CR_TE | CR_RE;
		b->fn.gone = n == 4;
		if (n == 5) {
			b->config.in_place = NIC_MIRROR;
			b->config.state = NULL;
		}
		b->fn.dash = n == 6;
		b->fn.no_enable = n == 7;
		if (n == 8) {
			b->config.rx_ring = 2048;
			b->rings.size = nic_ring_bytes(&b->config);
			free(b->rings.base);
			b->rings.base = aligned_alloc(4096, 65536);
		}
		b->config.pause = n == 9 ? NIC_PAUSE_RX : 0;
		b->config.pick_irq = n == 13;
		b->config.mtu = n == 14 ? 2027 : 1500;
		b->fn.no_link = b->fn.no_phy;
		assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, &why), what[n].error);
		if (!strstr(why.text, what[n].word))
			fail_msg("%s: no %s", why.text, what[n].word);
		assert_null(b->nic);
		throw_away(b);
	}
}

/* A PHY that was left powered down negotiates, by each way to it; one with a link is left alone. */
static void a_link_that_is_down(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
		for (unsigned down = 0; down < 3; down++) {
			uint32_t power =
				down == 1 && (models[m] & ~1) == 0x4C0 ? 0xFD234567 : 0x01234567;
			struct bench *b = make(models[m]);
			struct nic_link link;

			b->fn.phy[0] = 0x0D40; /* powered down, isolated, full duplex at 1000 */
			b->fn.no_link = down != 0;
			b->fn.no_eri = down == 2; /* it negotiates all the same */
			assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);
			assert_int_equal(b->fn.phy[0], down ? 0x1340 : 0x0D40);
			/* The 8168G's own, beside what was there (Linux). */
			assert_int_equal(b->fn.power, power);
			if (down)
				assert_int_equal(b->fn.then, power);
			assert_int_equal(nic_link(b->nic, &link), 0);
			assert_true(link.up == !down && link.mbit == (down ? 0 : 1000));
			b->fn.reg[PHYSTATUS] = PHYSTATUS_LINK | PHYSTATUS_100;
			assert_int_equal(nic_link(b->nic, &link), 0);
			assert_int_equal(link.mbit, 100);
			b->fn.reg[PHYSTATUS] = PHYSTATUS_LINK | PHYSTATUS_10;
			assert_int_equal(nic_link(b->nic, &link), 0);
			assert_int_equal(link.mbit, 10);
			throw_away(b);
		}
	}
}

static void addresses(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		/* mDNS's, IPv6's of all nodes, and the card's own. zlib's CRC, reversed, has 15 and
		 * 62 for the upper six bits of the first two, which count from the last byte of the
		 * eight on (Linux).
		 */
		static const uint8_t groups[][6] = {{0x01, 0x00, 0x5E, 0x00, 0x00, 0xFB},
			{0x33, 0x33, 0, 0, 0, 1}, {0x02, 0x11, 0x22, 0x33, 0x44, 0x55}};
		static const uint8_t other[][6] = {{2, 0, 0, 0, 0, 9}};
		bool all = models[m] == 0x480;
		uint8_t expected[8] = {[7 - 15 / 8] = 1u << 15 % 8, [7 - 62 / 8] = 1u << 62 % 8};

		if (all)
			memset(expected, 0xFF, 8);
		assert_int_equal(nic_set_addresses(b->nic, groups, 3), 0);
		assert_memory_equal(b->fn.reg + MAR0, expected, 8);
		assert_int_equal(get(&b->fn, RCR, 4) & RCR_ACCEPT, RCR_APM | RCR_AB | RCR_AM);
		/* It is handed over, and written again. */
		nic_release(b->nic);
		assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, NULL), 0);
		assert_int_equal(nic_set_promiscuous(b->nic, true), 0);
		assert_memory_equal(b->fn.reg + MAR0, expected, 8);
		assert_true(get(&b->fn, RCR, 4) & RCR_AAP);
		assert_int_equal(nic_set_promiscuous(b->nic, false), 0);
		assert_false(get(&b->fn, RCR, 4) & RCR_AAP);
		assert_int_equal(nic_set_addresses(b->nic, other, 1), 0);
		assert_true(get(&b->fn, RCR, 4) & RCR_AAP);
		assert_int_equal(nic_set_addresses(b->nic, NULL, 0), 0);
		assert_int_equal(get(&b->fn, RCR, 4) & RCR_ACCEPT, RCR_APM | RCR_AB | RCR_AM);
		assert_int_equal(get(&b->fn, MAR0, 4) & get(&b->fn, MAR4, 4), UINT32_MAX);
	}
}

static void counters(void **state)
{
	struct bench *b = make(0x3C2);

	(void)state;
	b->fn.missed = 65530;
	b->fn.errors = UINT32_MAX;
	assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);
	assert_int_equal(stats_of(b).rx_missed, 0);
	b->fn.missed = 4; /* it is narrow */
	b->fn.errors = 6;
	assert_int_equal(stats_of(b).rx_missed, 10);
	assert_int_equal(stats_of(b).rx_other_errors, 7);
	/* Who does not answer tells nothing. */
	b->fn.no_tally = true;
	b->fn.missed = 8;
	assert_int_equal(stats_of(b).rx_missed, 10);
	b->fn.no_tally = false;
	assert_int_equal(stats_of(b).rx_missed, 14);
	/* Counts go on in the next process. */
	nic_release(b->nic);
	assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, NULL), 0);
	assert_int_equal(stats_of(b).rx_missed, 14);
	b->fn.missed = 9;
	assert_int_equal(stats_of(b).rx_missed, 15);
	throw_away(b);
}

static void another_process_goes_on(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct frame frames[RING];
		uint32_t offsets[RING];
		struct pci_error why = {""};

		assert_int_equal(provide(b, 0, 40), 40);
		deliver(b, WHOLE, 64);
		deliver(b, WHOLE, 65);
		assert_int_equal(nic_rx_return(b->q, frames, 1), 1);
		for (unsigned i = 0; i < 5; i++)
			frames[i] = (struct frame){.offset = buffer(100 + i), .len = 60};
		assert_int_equal(nic_tx_provide(b->q, frames, 5), 5);
		nic_release(b->nic);
		assert_true(b->fn.master);
		deliver(b, WHOLE, 66);
		assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, &why), 0);
		b->q = nic_queue(b->nic, 0);
		assert_int_equal(b->fn.reg[CR] & (CR_RE | CR_TE), CR_RE | CR_TE);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 2);
		assert_int_equal(frames[0].offset, buffer(1));
		assert_int_equal(frames[1].len, 62);
		assert_int_equal(transmit(b), 5);
		assert_int_equal(nic_tx_return(b->q, offsets, RING), 5);
		assert_int_equal(offsets[4], buffer(104));
		assert_int_equal(stats_of(b).rx_frames, 3);
		assert_int_equal(stats_of(b).tx_frames, 5);

		/* The state is used up; one that was changed, and a card that was, are refused. */
		for (unsigned n = 0; n < 4; n++) {
			static const char *const word[] = {
				"none", "checksum", "does not run", "does not run"};
			struct nic *nic;

			if (n != 0)
				nic_release(b->nic);
			if (n == 1)
				b->state[200] ^= 1;
			if (n == 2)
				b->fn.reg[RDSAR + 1] ^= 0x10;
			if (n == 3)
				b->fn.reg[CR] = CR_TE;
			assert_int_equal(nic_adopt(&nic, &b->fn, &b->config, &why), -EINVAL);
			assert_non_null(strstr(why.text, word[n]));
			if (n == 0)
				continue;
			assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, &why), 0);
			b->q = nic_queue(b->nic, 0);
		}
	}
}

static void a_queue_comes_and_goes(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		struct dma_region other = b->frames;
		struct pci_error why;

		nic_irq_arm(b->nic);
		assert_int_equal(provide(b, 0, 40), 40);
		assert_int_equal(nic_queue_stop(b->nic, 0), 0);
		assert_false(b->fn.reg[CR] & (CR_RE | CR_TE));
		assert_int_not_equal(get(&b->fn, IMR, 2), 0); /* the link's is still wanted */
		assert_int_equal(nic_rx_held(b->q), 0);
		assert_int_equal(provide(b, 0, 40), 0);
		b->fn.reg[MCU] |= MCU_OOB; /* it may be the reset that does so */
		assert_int_equal(nic_set_promiscuous(b->nic, true), 0);
		assert_int_equal(nic_set_mtu(b->nic, 100), 0);
		assert_false(b->fn.reg[CR] & CR_RE);
		/* It stands still in the next process, too. */
		nic_release(b->nic);
		b->config.promiscuous = true;
		b->config.mtu = 100;
		assert_int_equal(nic_adopt(&b->nic, &b->fn, &b->config, &why), 0);
		b->q = nic_queue(b->nic, 0);
		assert_null(nic_queue_frames(b->nic, 0));
		other.iova[0] = 5 * b->iova;
		assert_int_equal(nic_queue_start(b->nic, 0, &other), 0);
		assert_int_equal(b->fn.reg[CR] & (CR_RE | CR_TE), CR_RE | CR_TE);
		assert_int_equal(!(b->fn.reg[MCU] & MCU_OOB), has_firmware(models[m]));
		assert_true(get(&b->fn, RCR, 4) & RCR_AAP);
		assert_int_equal(provide(b, 7, 1), 1);
		assert_true(descriptor(b, RDSAR, 0)[1] == 5 * b->iova + buffer(7));
		b->fn.deaf = true;
		assert_int_equal(nic_queue_stop(b->nic, 0), -ETIMEDOUT);
		assert_int_equal(provide(b, 7, 1), 0);
		b->fn.deaf = false;
	}
}

static void interrupts(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		int fd[NIC_MAX_QUEUES + 1];

		assert_int_equal(nic_irq_fds(b->nic, fd), 1);
		nic_irq_arm(b->nic);
		assert_int_equal(get(&b->fn, IMR, 2), 0x2F);
		put(&b->fn, ISR, 2, IRQ_ROK | IRQ_LINK);
		assert_int_equal(nic_irq_ack(b->nic, 0), NIC_EVENT_QUEUES | NIC_EVENT_LINK);
		assert_int_equal(get(&b->fn, IMR, 2), 0); /* masked until it is armed */
		assert_int_equal(get(&b->fn, ISR, 2), 0);
		assert_int_equal(nic_irq_ack(b->nic, 0), 0);
		put(&b->fn, ISR, 2, IRQ_TOK);
		assert_int_equal(nic_irq_ack(b->nic, 0), NIC_EVENT_QUEUES);
		/* What it did not ask for stays. */
		put(&b->fn, ISR, 2, IRQ_SERR | 0x80);
		assert_int_equal(nic_irq_ack(b->nic, 0), 0);
		assert_int_equal(get(&b->fn, ISR, 2), IRQ_SERR | 0x80);
		nic_irq_arm_queue(b->nic, 0);
		assert_int_not_equal(get(&b->fn, IMR, 2), 0);
		b->fn.gone = true;
		assert_int_equal(nic_irq_ack(b->nic, 0), -ENODEV);
		b->fn.gone = false;
	}
}

static void a_check(void **state)
{
	struct bench *b = opened(0x28B);
	struct frame frame = {buffer(0), 60, 0}, frames[RING];
	uint32_t offset;
	struct pci_error why;
	unsigned polls;

	(void)state;
	polls = b->fn.polls;
	assert_int_equal(provide(b, 0, 8), 8);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(b->fn.polls, polls);
	/* A word that got lost is said again. */
	assert_int_equal(nic_tx_provide(b->q, &frame, 1), 1);
	assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(b->fn.polls, polls + 2);
	assert_int_equal(transmit(b), 1);
	assert_int_equal(nic_tx_return(b->q, &offset, 1), 1);
	assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(b->fn.polls, polls + 2);

	/* A card that has something to send may take its time; one that has not, may not. */
	assert_int_equal(nic_tx_provide(b->q, &frame, 1), 1);
	for (unsigned i = 0; i < 5; i++) {
		b->fn.reg[TPPOLL] = TPPOLL_NPQ;
		assert_int_equal(nic_check(b->nic, &why), 0);
	}
	for (unsigned i = 0; i < NIC_CHECKS - 1; i++)
		assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(nic_check(b->nic, &why), -EIO);
	assert_non_null(strstr(why.text, "not reported"));
	assert_int_equal(transmit(b), 1);
	assert_int_equal(nic_check(b->nic, &why), 0);

	/* Of received frames the second one is there, the first one not; with another one each
	 * time that is no fault.
	 */
	for (unsigned i = 0; i < NIC_CHECKS + 1; i++) {
		b->rx++;
		deliver(b, WHOLE, 64);
		b->rx -= 2;
		assert_int_equal(nic_rx_return(b->q, frames, RING), 0);
		assert_int_equal(nic_check(b->nic, &why), 0);
		deliver(b, WHOLE, 64);
		b->rx++;
		assert_int_equal(nic_rx_return(b->q, frames, RING), 2);
		assert_int_equal(provide(b, 0, 2), 2);
	}
	b->rx++;
	deliver(b, WHOLE, 64);
	for (unsigned i = 0; i < NIC_CHECKS - 1; i++)
		assert_int_equal(nic_check(b->nic, &why), 0);
	assert_int_equal(nic_check(b->nic, &why), -EIO);
	assert_non_null(strstr(why.text, "passed over"));

	put(&b->fn, ISR, 2, UINT16_MAX);
	why.text[0] = '\0';
	assert_int_equal(nic_check(b->nic, &why), -EIO);
	assert_non_null(strstr(why.text, "passed over"));
	put(&b->fn, ISR, 2, IRQ_SERR);
	assert_int_equal(nic_check(b->nic, &why), -EIO);
	assert_non_null(strstr(why.text, "refused"));
	b->fn.gone = true;
	assert_int_equal(nic_check(b->nic, &why), -ENODEV);
	assert_int_equal(nic_rx_provide(b->q, &offset, 1), 0);
	b->fn.gone = false;
	throw_away(b);
}

static int check_often(struct bench *b, unsigned n)
{
	struct pci_error why = {""};
	int rc = 0;

	for (unsigned i = 0; i < n && rc == 0; i++)
		rc = nic_check(b->nic, &why);
	if (rc)
		assert_non_null(strstr(why.text, "ran over"));
	return rc;
}

/* The first model alone is to be reset, if nothing comes after its receiver ran over. */
static void a_receiver_that_ran_over(void **state)
{
	(void)state;
	FOR_EACH_MODEL
	{
		const int dead = models[m] == 0x300 ? -EIO : 0;
		struct frame frames[RING];

		/* Without a buffer, or with frames that nobody fetches, nothing can come. */
		put(&b->fn, ISR, 2, IRQ_ROK | 0x40);
		assert_int_equal(nic_irq_ack(b->nic, 0), NIC_EVENT_QUEUES);
		assert_int_equal(check_often(b, NIC_CHECKS + 1), 0);
		assert_int_equal(provide(b, 0, 8), 8);
		deliver(b, WHOLE, 64);
		assert_int_equal(check_often(b, NIC_CHECKS + 1), 0);
		/* Those that are fetched may be older; what comes after them is not. */
		assert_int_equal(nic_rx_return(b->q, frames, RING), 1);
		assert_int_equal(check_often(b, 1), 0);
		assert_int_equal(get(&b->fn, ISR, 2), 0x40);
		deliver(b, WHOLE, 64);
		assert_int_equal(nic_rx_return(b->q, frames, RING), 1);
		assert_int_equal(check_often(b, 1), 0);
		assert_int_equal(get(&b->fn, ISR, 2), dead ? 0 : 0x40);
		assert_int_equal(check_often(b, NIC_CHECKS + 1), 0);
		/* A reading that failed says nothing, and a queue that stops begins anew. */
		put(&b->fn, ISR, 2, 0x40);
		assert_int_equal(check_often(b, NIC_CHECKS - 1), 0);
		put(&b->fn, ISR, 2, UINT16_MAX);
		assert_int_equal(check_often(b, NIC_CHECKS + 1), 0);
		put(&b->fn, ISR, 2, 0x40);
		assert_int_equal(check_often(b, NIC_CHECKS - 1), 0);
		assert_int_equal(nic_queue_stop(b->nic, 0), 0);
		assert_int_equal(nic_queue_start(b->nic, 0, &b->frames), 0);
		assert_int_equal(provide(b, 0, 8), 8);
		put(&b->fn, ISR, 2, 0x40);
		assert_int_equal(check_often(b, NIC_CHECKS - 1), 0);
		assert_int_equal(check_often(b, 1), dead);
		/* Once it was reset all is well. */
		nic_close(b->nic);
		assert_int_equal(nic_open(&b->nic, &b->fn, &b->config, NULL), 0);
		b->q = nic_queue(b->nic, 0);
		assert_int_equal(provide(b, 0, 8), 8);
		assert_int_equal(check_often(b, NIC_CHECKS + 1), 0);
	}
}

static void memory_beyond_its_reach(void **state)
{
	(void)state;
	for (size_t m = 0; m < sizeof models / sizeof *models; m++)
		give_far_memory(models[m], models[m] >= 0x300 && models[m] < 0x390);
}

static void ids(void **state)
{
	static const struct pci_id known[] = {
		{.vendor = 0x10EC, .device = 0x8168}, {.vendor = 0x10EC, .device = 0x8161}};
	static const struct pci_id unknown[] = {{.vendor = 0x10EC, .device = 0x8136},
		{.vendor = 0x10EC, .device = 0x8125}, {.vendor = 0x10EC, .device = 0x8169},
		{.vendor = 0x8086, .device = 0x8168}};
	const char *why;

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		assert_string_equal(nic_driver_for(&known[i], &why), "rtl8168");
	for (unsigned i = 0; i < 4; i++) {
		assert_null(nic_driver_for(&unknown[i], &why));
		assert_int_equal(why != NULL, i < 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_starts),
		cmocka_unit_test(what_does_not_start_says_why),
		cmocka_unit_test(a_link_that_is_down),
		cmocka_unit_test(addresses),
		cmocka_unit_test(counters),
		cmocka_unit_test(another_process_goes_on),
		cmocka_unit_test(a_queue_comes_and_goes),
		cmocka_unit_test(interrupts),
		cmocka_unit_test(a_check),
		cmocka_unit_test(a_receiver_that_ran_over),
		cmocka_unit_test(memory_beyond_its_reach),
		cmocka_unit_test(ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
