/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which frames come (8254x 13.4.22, 13.5; 82574 7.1.1, 82576 7.1.1): by their address, exactly or
 * by a hash of it, by their VLAN, by their size.
 */
#include "nic/e1000/e1000.h"
#include "nic/filter.h"

/* nic.filters */
enum {
	SOME_GROUPS = 1 << 0,  /* by the table, instead of all */
	ALL_STATIONS = 1 << 1, /* more are listed than there are filters for */
	SOME_VLANS = 1 << 2,
};

void e1000_write_rctl(struct e1000 *dev, bool on)
{
	const struct nic_config *config = &dev->nic.config;
	unsigned filters = dev->nic.filters;
	uint32_t rctl = RCTL_BAM | RCTL_SECRC; /* BSIZE 0: buffers of 2048 bytes */

	if (!(filters & SOME_GROUPS) || config->promiscuous)
		rctl |= RCTL_MPE;
	if (filters & ALL_STATIONS || config->promiscuous)
		rctl |= RCTL_UPE;
	if (filters & SOME_VLANS)
		rctl |= RCTL_VFE;
	if (e1000_is_large(config->mtu))
		rctl |= RCTL_LPE;
	reg_write(&dev->nic.bar, RCTL, rctl | (on ? RCTL_EN : 0));
}

void e1000_write_size(struct e1000 *dev)
{
	if (e1000_is(dev, E1000_82576))
		reg_write(&dev->nic.bar, RLPML, e1000_frame_max(dev->nic.config.mtu) + 4);
}

/* The exact filter's entry: entry 0 is the card's own. NULL: none. */
static void write_exact(struct e1000 *dev, unsigned entry, const uint8_t *address)
{
	struct nic_exact exact = nic_exact(address);

	/* Not valid while it is half written. */
	reg_write(&dev->nic.bar, RAH(entry), 0);
	reg_write(&dev->nic.bar, RAL(entry), exact.low);
	reg_write(&dev->nic.bar, RAH(entry), exact.high);
}

void e1000_filter_start(struct e1000 *dev)
{
	static const uint32_t none[NIC_TABLE_WORDS];

	for (unsigned i = 1; i < RA_COUNT; i++)
		write_exact(dev, i, NULL);
	nic_table_write(&dev->nic.bar, MTA(0), none);
	nic_table_write(&dev->nic.bar, VFTA(0), none);
	reg_write(&dev->nic.bar, VET, 0x8100); /* 8254x 13.4.12: none after a reset */
	e1000_write_size(dev);
	dev->nic.filters = 0;
}

void e1000_set_addresses(struct nic *nic, const uint8_t (*addresses)[6], size_t n)
{
	struct e1000 *dev = e1000_of(nic);
	bool runs = e1000_any_runs(dev);
	unsigned filters = nic->filters & ~(unsigned)(SOME_GROUPS | ALL_STATIONS);
	uint32_t groups[NIC_TABLE_WORDS] = {0};
	unsigned entry = 1;

	/* Meanwhile all come: no frame that is let through before and after is lost. */
	nic->filters = (uint16_t)(filters | ALL_STATIONS);
	e1000_write_rctl(dev, runs);
	for (size_t i = 0; i < n; i++) {
		if (addresses[i][0] & 1)
			nic_table_set(groups, nic_address_hash(addresses[i]));
		else if (entry < RA_COUNT)
			write_exact(dev, entry++, addresses[i]);
		else
			filters |= ALL_STATIONS;
	}
	for (; entry < RA_COUNT; entry++)
		write_exact(dev, entry, NULL);
	nic_table_write(&dev->nic.bar, MTA(0), groups);
	if (addresses)
		filters |= SOME_GROUPS;
	nic->filters = (uint16_t)filters;
	e1000_write_rctl(dev, runs);
}

void e1000_set_vlans(struct nic *nic, const uint16_t *vlans, size_t n)
{
	struct e1000 *dev = e1000_of(nic);
	bool runs = e1000_any_runs(dev);
	uint32_t words[NIC_TABLE_WORDS] = {0};

	for (size_t i = 0; i < n; i++)
		nic_table_set(words, vlans[i]);
	if (!vlans) {
		nic->filters &= (uint16_t)~SOME_VLANS;
		e1000_write_rctl(dev, runs);
	}
	nic_table_write(&dev->nic.bar, VFTA(0), words);
	if (vlans) {
		nic->filters |= SOME_VLANS;
		e1000_write_rctl(dev, runs);
	}
}
