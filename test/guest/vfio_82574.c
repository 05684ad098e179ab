/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pci/ on the kernel's VFIO, judged by a card that was not written here: QEMU's 82574L. Its frames
 * loop inside its MAC and its interrupts can be had by writing ICS, so that DMA both ways and each
 * kind of interrupt are seen without a wire. Register numbers: 82574 datasheet, section 10.
 *
 *     vfio_82574 ADDRESS      one line a thing that holds; exit code 1 at the first that does not
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pci/pci.h"

enum {
	CTRL = 0x0,
	STATUS = 0x8,
	ICR = 0xc0,
	ICS = 0xc8,
	IMS = 0xd0,
	IMC = 0xd8,
	IVAR = 0xe4,
	RCTL = 0x100,
	TCTL = 0x400,
	RDBAL = 0x2800,
	RDBAH = 0x2804,
	RDLEN = 0x2808,
	RDH = 0x2810,
	RDT = 0x2818,
	TDBAL = 0x3800,
	TDBAH = 0x3804,
	TDLEN = 0x3808,
	TDH = 0x3810,
	TDT = 0x3818,
};

#define CTRL_SLU              0x00000040
#define STATUS_LU             0x00000002
#define RCTL_EN_UPE_LBM_SECRC 0x0400004a
#define TCTL_EN_PSP           0x0000000a
#define TXD_EOP_IFCS_RS       0x0b000000u
#define ICR_LSC               0x00000004u
#define ICR_RXQ0_TXQ0         0x00500000u /* vectors 0 and 1, by IVAR */
#define IVAR_RXQ0_TXQ0        0x00000908u

/* An emulated machine is slow, and what it stands on may be busy. */
#define PATIENCE_MS 60000

#define RING   256u               /* bytes: 16 descriptors of 16 */
#define FRAMES (2 * 1024u * 1024) /* the second chunk holds the frames */
#define SIZE   1000u

/* Says whether it holds; a function in which something does not ends with 1. */
#define HOLD(what, is)                                                      \
	do {                                                                \
		if (!(is)) {                                                \
			printf("failed: %s: %s %s\n", what, #is, why.text); \
			return 1;                                           \
		}                                                           \
		printf("holds: %s\n", what);                                \
	} while (0)

/* Whether it was interrupted, at least once, within that time. */
static bool fires(int fd, int milliseconds)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	uint64_t count;

	return poll(&wait, 1, milliseconds) == 1 &&
	       read(fd, &count, sizeof(count)) == sizeof(count);
}

static int interrupts(struct pci_function *fn, const struct pci_bar *bar)
{
	struct pci_error why = {""};
	int fd[2];

	/* A message is a write to memory: without bus mastering there is none. */
	HOLD("bus mastering", pci_set_bus_master(fn, true) == 0);
	HOLD("MSI-X has five vectors", pci_irq_count(fn, PCI_IRQ_MSIX) == 5);
	HOLD("two of them", pci_irq_enable(fn, PCI_IRQ_MSIX, 2, fd) == 0);
	reg_write(bar, IVAR, IVAR_RXQ0_TXQ0);
	/* What the frame left behind is no cause of ours. */
	reg_write(bar, IMC, ~0u);
	reg_read(bar, ICR);
	(void)fires(fd[0], 0);
	(void)fires(fd[1], 0);
	reg_write(bar, IMS, ICR_RXQ0_TXQ0);
	reg_write(bar, ICS, ICR_RXQ0_TXQ0 & 0x00400000);
	HOLD("the second MSI-X vector", fires(fd[1], PATIENCE_MS));
	HOLD("it alone", !fires(fd[0], 0));
	/* Its cause stands until ICR is read, and may fire it again at any time. */
	reg_write(bar, IMC, ICR_RXQ0_TXQ0 & 0x00400000);
	(void)fires(fd[1], 0);
	reg_write(bar, ICS, ICR_RXQ0_TXQ0 & 0x00100000);
	HOLD("the first MSI-X vector alone", fires(fd[0], PATIENCE_MS) && !fires(fd[1], 0));
	reg_write(bar, IMC, ~0u);
	pci_irq_disable(fn);

	HOLD("MSI", pci_irq_enable(fn, PCI_IRQ_MSI, 1, fd) == 0);
	reg_read(bar, ICR);
	reg_write(bar, IMS, ICR_LSC);
	reg_write(bar, ICS, ICR_LSC);
	HOLD("an MSI", fires(fd[0], PATIENCE_MS));
	reg_write(bar, IMC, ~0u);
	pci_irq_disable(fn);

	reg_read(bar, ICR);
	HOLD("INTx", pci_irq_enable(fn, PCI_IRQ_INTX, 1, fd) == 0);
	reg_write(bar, IMS, ICR_LSC);
	for (int i = 0; i < 2; i++) {
		reg_write(bar, ICS, ICR_LSC);
		HOLD("an INTx", fires(fd[0], PATIENCE_MS));
		HOLD("its cause, read to clear", reg_read(bar, ICR) & ICR_LSC);
		HOLD("unmasked", pci_irq_unmask(fn) == 0);
	}
	reg_write(bar, IMC, ~0u);
	pci_irq_disable(fn);
	return 0;
}

/* Sends one frame of `SIZE` bytes round inside the card. */
static int loopback(struct pci_function *fn, const struct pci_bar *bar)
{
	struct pci_error why = {""};
	struct dma_region *memory;
	uint8_t *sent, *received;
	uint64_t *rx, *tx;

	HOLD("memory for the card", pci_dma_create(fn, 2 * FRAMES, &memory, &why) == 0);
	rx = (uint64_t *)(void *)memory->base;
	tx = (uint64_t *)(void *)(memory->base + RING);
	sent = memory->base + FRAMES;
	received = sent + 4096;
	for (unsigned i = 0; i < SIZE; i++)
		sent[i] = (uint8_t)(i * 6 + 2);
	for (unsigned i = 0; i < RING / 16; i++)
		rx[2 * i] = dma_iova(memory, FRAMES + 4096 * (i + 1));
	tx[0] = dma_iova(memory, FRAMES);
	tx[1] = TXD_EOP_IFCS_RS | SIZE;

	reg_set(bar, CTRL, CTRL_SLU);
	HOLD("link", reg_poll(bar, STATUS, STATUS_LU, STATUS_LU, PATIENCE_MS * 1000) == 0);
	HOLD("bus mastering", pci_set_bus_master(fn, true) == 0);
	reg_write(bar, RDBAL, (uint32_t)dma_iova(memory, 0));
	reg_write(bar, RDBAH, (uint32_t)(dma_iova(memory, 0) >> 32));
	reg_write(bar, RDLEN, RING);
	reg_write(bar, RDH, 0);
	reg_write(bar, RCTL, RCTL_EN_UPE_LBM_SECRC);
	reg_write(bar, RDT, RING / 16 - 1);
	reg_write(bar, TDBAL, (uint32_t)dma_iova(memory, RING));
	reg_write(bar, TDBAH, (uint32_t)(dma_iova(memory, RING) >> 32));
	reg_write(bar, TDLEN, RING);
	reg_write(bar, TDH, 0);
	reg_write(bar, TCTL, TCTL_EN_PSP);
	reg_write(bar, TDT, 1);
	HOLD("a frame taken by the card", reg_poll(bar, TDH, 0xffff, 1, PATIENCE_MS * 1000) == 0);
	HOLD("a frame given back", reg_poll(bar, RDH, 0xffff, 1, PATIENCE_MS * 1000) == 0);
	dma_read_barrier();
	HOLD("its descriptor is done", *(volatile uint64_t *)&rx[1] >> 32 & 1);
	HOLD("every byte of it", memcmp(sent, received, SIZE) == 0);
	pci_dma_destroy(fn, memory);
	return 0;
}

int main(int argc, char **argv)
{
	struct pci_error why = {""};
	struct pci_function *fn;
	struct pci_bar bar;

	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	HOLD("open", pci_open(&fn, argv[1], &why) == 0);
	HOLD("it is an 82574L", pci_ident(fn)->vendor == 0x8086 && pci_ident(fn)->device == 0x10d3);
	HOLD("an Ethernet controller", pci_ident(fn)->class_code == 0x020000);
	HOLD("no BAR 5", pci_bar_map(fn, 5, 0, &bar, &why) == -EINVAL);
	HOLD("BAR 0", pci_bar_map(fn, 0, STATUS, &bar, &why) == 0);
	HOLD("of 128 KiB, mapped", bar.size == 0x20000 && bar.base && bar.mapped);
	HOLD("quiet", pci_quiesce(fn) == 0);
	HOLD("a register", reg_read(&bar, STATUS) != UINT32_MAX);
	if (loopback(fn, &bar) || pci_quiesce(fn) || interrupts(fn, &bar))
		return 1;
	HOLD("not gone", !pci_gone(fn));
	HOLD("no misuse", bar_misuse(&bar) == 0);
	pci_bar_unmap(&bar);
	pci_close(fn);
	return 0;
}
