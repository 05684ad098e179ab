/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A PCI Express function: config space, the way to the client's memory, interrupts. What the
 * server talks to on one side and a card's registers stand behind on the other.
 */
#ifndef NICSIM_PCI_H
#define NICSIM_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nicsim/dma.h"
#include "nicsim/fault.h"
#include "nicsim/irq.h"

#define PCI_CONFIG_SIZE 4096u

/* Offsets that more than pci.c needs (PCI Local Bus 3.0, 6.1). */
#define PCI_CFG_COMMAND 0x04u
#define PCI_CMD_IO      0x0001u
#define PCI_CMD_MEMORY  0x0002u
#define PCI_CMD_MASTER  0x0004u
#define PCI_CMD_INTX    0x0400u /* set: the line is disabled */

struct function;

/* The card behind a function. */
struct card_ops {
	/* offset is a multiple of size, in bytes, inside the BAR; a value has no bits above its
	 * size. Registers are 32 bits wide, and size is 4: a partial read is a part of one, a
	 * partial write changes nothing (82599 datasheet 8.1.1). With `narrow` the card sees
	 * accesses as they are: size is 1, 2 or 4. */
	bool narrow;
	uint32_t (*read)(void *card, unsigned bar, uint32_t offset, unsigned size);
	void (*write)(void *card, unsigned bar, uint32_t offset, unsigned size, uint32_t value);
	/* Everything as after power-on. */
	void (*reset)(void *card);
	/* The client changed the kind of interrupts, or bus mastering came on: look again at what
	 * waits for that. */
	void (*changed)(void *card);
	/* These two may be absent. Brings shared pages and registers to the same state: before a
	 * message is dealt with, which may depend on what the client wrote there, and after one
	 * that may have changed what stands there. */
	void (*settle)(void *card);
	/* The client has left: what it still has mapped is not the card's any more. */
	void (*left)(void *card);
};

/* Pages of BAR 0 that the client may map: a memory file, in which they lie where they do in the
 * BAR.
 */
#define FUNCTION_AREAS 4u

struct function_window {
	int fd; /* -1: there is none */
	unsigned areas;
	struct {
		uint32_t offset, size;
	} area[FUNCTION_AREAS];
};

struct function_ident {
	uint16_t vendor, device, subvendor, subdevice;
	uint32_t class;
	uint8_t revision;
	uint32_t bar_size[6]; /* of 64-bit memory BARs, at 0, 2 or 4; a power of two, or 0 */
	uint8_t io_bars;      /* a bit each: it is one of I/O space instead, of 256 bytes at most */
	unsigned msix_bar;    /* of the table, and nothing else; 0: none */
	unsigned msix_vectors;          /* 0: no MSI-X */
	uint8_t serial[6];              /* a MAC address */
	uint8_t pcie_speed, pcie_lanes; /* 1: 2.5 GT/s, 2: 5, 3: 8 */
	bool intx_untold;               /* the status register does not show the line */
	uint8_t function;               /* of the device: which decides on INTA or INTB */
};

struct function {
	const struct card_ops *ops;
	void *card;
	const struct function_ident *ident;
	struct dma *dma;
	struct irqs irqs;
	struct function_window window;
	struct fault *fault;               /* the card's; NULL: it is well */
	bool strict;                       /* report what a card must not be asked */
	bool attended;                     /* it has a client */
	bool multiple;                     /* there are other functions of the device */
	uint32_t msix[4 * IRQ_VECTORS];    /* the table */
	uint8_t config[PCI_CONFIG_SIZE];   /* little endian */
	uint8_t writable[PCI_CONFIG_SIZE]; /* bit set: the client may write it */
	uint8_t clears[PCI_CONFIG_SIZE];   /* bit set: writing 1 clears it */
};

void function_init(struct function *fn, const struct card_ops *ops, void *card,
	const struct function_ident *ident, struct dma *dma);
/* Both are functions of one device: their headers say so from now on. */
void function_share(struct function *fn, struct function *other);
/* As after a reset by VFIO: config space at its defaults but with memory decoding on, as the kernel
 * leaves it when it opens a device; no interrupts; the card reset.
 */
void function_reset(struct function *fn);
/* From here on; NULL: none. */
void function_set_fault(struct function *fn, struct fault *fault);

/* offset + len is within PCI_CONFIG_SIZE. */
void function_config_read(struct function *fn, unsigned offset, void *to, unsigned len);
void function_config_write(struct function *fn, unsigned offset, const void *from, unsigned len);

/* Access to a BAR of 1, 2, 4 or 8 bytes, aligned, inside it. What a card does not decode (memory
 * or I/O space disabled, power state D3) reads all-ones.
 */
uint64_t function_read(struct function *fn, unsigned bar, uint32_t offset, unsigned size);
void function_write(
	struct function *fn, unsigned bar, uint32_t offset, unsigned size, uint64_t value);

/* The card reads and writes its client's memory; -EFAULT as in dma.h, also without bus mastering.
 */
bool function_is_master(const struct function *fn);
int function_dma_read(struct function *fn, unsigned *hint, uint64_t address, void *to, size_t len);
int function_dma_write(
	struct function *fn, unsigned *hint, uint64_t address, const void *from, size_t len);

#endif
