/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The cards that share these registers, and where they differ.
 */
#ifndef NICSIM_IXGBE_MODEL_H
#define NICSIM_IXGBE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "nicsim/registers.h"

enum ixgbe_media { MEDIA_COPPER, MEDIA_SFP, MEDIA_KX4 };

struct ixgbe_model {
	const char *name; /* of --device */
	const char *text;
	uint16_t device, subdevice;
	uint32_t bar_size; /* BAR 0 */
	uint32_t rx_kib;   /* of the packet buffer after a reset */
	uint8_t media;
	uint16_t rows; /* of table.c, that it has of its family's own: ROW_X540, ROW_82599, ROW_X550
			*/
	uint8_t rss_queues;             /* that RSS can lead to: a power of two */
	uint8_t pcie_speed, pcie_lanes; /* PCI Express: 2.5, 5 or 8 GT/s as 1, 2, 3 */
	uint32_t phy;                   /* its identifier, or 0 */
};

#define IXGBE_MODEL_NAMES "x540, x550, 82599, 82599-kx4" /* for messages */

/* NULL: there is none of that name. */
const struct ixgbe_model *ixgbe_find_model(const char *name);
/* The model with that PCI device id of Intel's, or NULL. */
const struct ixgbe_model *ixgbe_find_id(uint16_t device);

/* All that a model has (table.c), in the table's order. */
void ixgbe_list_registers(const struct ixgbe_model *model, card_tell_register *each);

#endif
