/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The registers that every PHY of 1 Gbit/s has (IEEE 802.3 clause 22.2.4, table 22-6; those of
 * 1000BASE-T: clause 40.5.1.1). What comes from 16 on is the maker's.
 */
#ifndef NICSIM_MII_H
#define NICSIM_MII_H

enum {
	MII_BMCR = 0,
	MII_BMSR = 1,
	MII_ID1 = 2,
	MII_ID2 = 3,
	MII_ADVERTISE = 4,
	MII_PARTNER = 5,
	MII_EXPANSION = 6,
	MII_CONTROL_1000 = 9,
	MII_STATUS_1000_T = 10,
	MII_EXTENDED = 15,
};

/* BMCR (22.2.4.1). */
#define BMCR_RESET    0x8000u
#define BMCR_LOOPBACK 0x4000u
#define BMCR_POWEROFF 0x0800u
#define BMCR_ISOLATE  0x0400u
#define BMCR_RESTART  0x0200u
/* BMSR (22.2.4.2): 10 and 100 Mbit/s in both duplexes, register 15, commands without a preamble,
 * negotiation, registers from 2 on.
 */
#define BMSR_STATIC 0x7949u
#define BMSR_DONE   0x0020u
#define BMSR_LINK   0x0004u

#endif
