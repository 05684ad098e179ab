/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Which frames come (82599 datasheet 7.1.1): by their address, exactly or by a hash of it, and by
 * their VLAN.
 */
#include "nic/filter.h"
#include "nic/ixgbe/ixgbe.h"

/* nic.filters: groups by the table, instead of all */
#define SOME_GROUPS 1u

static void clear_table(struct ixgbe *dev, uint32_t first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		reg_write(&dev->nic.bar, first + 4 * i, 0);
}

void ixgbe_filter_write(struct ixgbe *dev)
{
	reg_write(&dev->nic.bar, FCTRL,
		FCTRL_BAM | (dev->nic.filters & SOME_GROUPS ? 0 : FCTRL_MPE) |
			(dev->nic.config.promiscuous ? FCTRL_MPE | FCTRL_UPE : 0));
}

void ixgbe_filter_start(struct ixgbe *dev)
{
	clear_table(dev, MTA(0), MTA_COUNT);
	clear_table(dev, VFTA(0), VFTA_COUNT);
	clear_table(dev, PFUTA(0), PFUTA_COUNT);
	clear_table(dev, PFVLVF(0), PFVLVF_COUNT);
	clear_table(dev, PFVLVFB(0), PFVLVFB_COUNT);
	clear_table(dev, FTQF(0), FTQF_COUNT); /* undefined after power-up (8.2.3.7.19) */
	clear_table(dev, MPSAR(0), MPSAR_COUNT);
	reg_write(&dev->nic.bar, MPSAR(0), 1); /* our address belongs to pool 0 (8.2.3.7.10) */
	reg_write(&dev->nic.bar, MCSTCTRL, 0);
	dev->nic.filters = 0;
	ixgbe_filter_write(dev);
}

/* The exact filter's entry: entry 0 is the card's own. NULL: none. */
static void write_exact(struct ixgbe *dev, unsigned entry, const uint8_t *address)
{
	struct nic_exact exact = nic_exact(address);

	/* Not valid while it is half written. */
	reg_write(&dev->nic.bar, RAH(entry), 0);
	reg_write(&dev->nic.bar, RAL(entry), exact.low);
	reg_write(&dev->nic.bar, MPSAR(2 * entry), address ? 1 : 0);
	reg_write(&dev->nic.bar, RAH(entry), exact.high);
}

void ixgbe_set_addresses(struct nic *nic, const uint8_t (*addresses)[6], size_t n)
{
	struct ixgbe *dev = ixgbe_of(nic);
	uint32_t groups[NIC_TABLE_WORDS] = {0}, stations[NIC_TABLE_WORDS] = {0};
	unsigned entry = 1;

	/* Meanwhile all come: no frame that is let through before and after is lost. */
	reg_write(&nic->bar, FCTRL, FCTRL_BAM | FCTRL_MPE | FCTRL_UPE);
	for (size_t i = 0; i < n; i++) {
		if (addresses[i][0] & 1)
			nic_table_set(groups, nic_address_hash(addresses[i]));
		else if (entry < RA_COUNT)
			write_exact(dev, entry++, addresses[i]);
		else
			nic_table_set(stations, nic_address_hash(addresses[i]));
	}
	for (; entry < RA_COUNT; entry++)
		write_exact(dev, entry, NULL);
	nic_table_write(&dev->nic.bar, MTA(0), groups);
	nic_table_write(&dev->nic.bar, PFUTA(0), stations);
	nic->filters = addresses ? SOME_GROUPS : 0;
	reg_write(&nic->bar, MCSTCTRL, addresses ? MCSTCTRL_MFE : 0);
	ixgbe_filter_write(dev);
}

void ixgbe_set_vlans(struct nic *nic, const uint16_t *vlans, size_t n)
{
	struct ixgbe *dev = ixgbe_of(nic);
	uint32_t words[NIC_TABLE_WORDS] = {0};

	for (size_t i = 0; i < n; i++)
		nic_table_set(words, vlans[i]);
	if (!vlans)
		reg_clear(&nic->bar, VLNCTRL, VLNCTRL_VFE);
	nic_table_write(&dev->nic.bar, VFTA(0), words);
	if (vlans)
		reg_set(&nic->bar, VLNCTRL, VLNCTRL_VFE);
}
