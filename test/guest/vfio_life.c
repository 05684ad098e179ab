/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The life of a function on the kernel's VFIO, with cards that were not written here: one process
 * opens it, another carries on; it is reset; it is asked back. Register numbers: 82574 datasheet,
 * chapter 10 (the 82576 has them at the same places).
 *
 *     vfio_life hand-over ADDRESS   to another process, with memory that this one mapped; an 82574L
 *     vfio_life addresses ADDRESS   with memory far up, and none where none can be; an 82574L
 *     vfio_life reset ADDRESS       whether the function's own reset brings VET back; an 82576
 *     vfio_life give-back ADDRESS   holds it until the kernel wants it back
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pci/pci.h"

enum {
	CTRL = 0x0000,
	CTRL_RST = 1 << 26,
	STATUS = 0x0008,
	VET = 0x0038,
	ICR = 0x00c0,
	ICS = 0x00c8,
	IMS = 0x00d0,
	CAUSE_LINK = 1 << 2,
	TCTL = 0x0400,
	TCTL_EN = 1 << 1,
	TDBAL = 0x3800,
	TDBAH = 0x3804,
	TDLEN = 0x3808,
	TDT = 0x3818,
};

#define WAIT_MS 20000

static void must(bool truth, const char *what)
{
	if (truth)
		return;
	printf("failed: %s\n", what);
	exit(1);
}

static struct pci_function *open_it(const char *address)
{
	struct pci_function *fn = NULL;
	struct pci_error why;
	int error = pci_open(&fn, address, &why);

	if (error) {
		printf("%d %s\n", error, why.text);
		exit(2);
	}
	return fn;
}

static void bring_up(struct pci_function *fn, struct pci_bar *bar)
{
	must(pci_bar_map(fn, 0, STATUS, bar, NULL) == 0, "pci_bar_map");
	reg_set(bar, CTRL, CTRL_RST);
	pci_delay_us(10000);
	must(reg_poll(bar, CTRL, CTRL_RST, 0, 1000000) == 0, "CTRL.RST stays set");
	must(pci_set_bus_master(fn, true) == 0, "bus master");
}

/* The card fetches a descriptor and a frame, and writes the descriptor back. */
static void send_a_frame(const struct pci_bar *bar, struct dma_region *memory)
{
	dma_word __dma *descriptor = (dma_word __dma *)(memory->base + 4096);
	uint64_t ring = dma_iova(memory, 4096);

	/* Legacy format (7.2.10.1.1): address; length and the commands EOP, IFCS, RS. */
	dma_write(descriptor, dma_iova(memory, 3 << 20));
	dma_write(descriptor + 1, 60 | UINT64_C(0x0b) << 24);
	reg_write(bar, TDBAL, (uint32_t)ring);
	reg_write(bar, TDBAH, (uint32_t)(ring >> 32));
	reg_write(bar, TDLEN, 4096);
	reg_set(bar, TCTL, TCTL_EN);
	dma_write_barrier();
	reg_write(bar, TDT, 1);
	for (unsigned ms = 0; ms < WAIT_MS && !(dma_read(descriptor + 1) >> 32 & 1); ms++)
		pci_delay_us(1000);
	must(dma_read(descriptor + 1) >> 32 & 1, "no descriptor written back");
}

static void hear_an_interrupt(struct pci_function *fn, const struct pci_bar *bar)
{
	struct pollfd p = {.events = POLLIN};

	must(pci_irq_enable(fn, PCI_IRQ_MSI, 1, &p.fd) == 0, "pci_irq_enable");
	reg_read(bar, ICR);
	reg_write(bar, IMS, CAUSE_LINK);
	reg_write(bar, ICS, CAUSE_LINK);
	must(poll(&p, 1, WAIT_MS) == 1, "no interrupt");
}

/* Ends without a word to the card, as a driver that crashed does. */
static int carry_on(const struct pci_handover *handover, const int fd[PCI_HANDOVER_FDS],
	const struct dma_handover *memory, int memfd)
{
	struct pci_function *fn = NULL;
	struct dma_region *region;
	struct pci_error why;
	struct pci_bar bar;

	if (pci_import(&fn, handover, fd, &why) ||
		pci_dma_import(fn, memory, memfd, &region, &why)) {
		printf("%s\n", why.text);
		return 1;
	}
	must(strcmp((char *)region->base, "left here") == 0, "the memory is another");
	bring_up(fn, &bar);
	send_a_frame(&bar, region);
	hear_an_interrupt(fn, &bar);
	printf("carried on\n");
	return 0;
}

static void hand_over(const char *address)
{
	struct pci_function *fn = open_it(address);
	struct pci_function *second = NULL;
	struct pci_handover handover;
	struct dma_handover memory;
	struct dma_region *region;
	struct pci_error why;
	struct pci_bar bar;
	int fd[PCI_HANDOVER_FDS], status;

	must(pci_open(&second, address, &why) == -EBUSY, "a second opening");
	printf("%s\n", why.text);
	must(pci_dma_create(fn, 4 << 20, &region, &why) == 0, "pci_dma_create");
	snprintf((char *)region->base, 16, "left here");
	pci_dma_export(region, &memory);
	for (unsigned i = 0; i < 2; i++) {
		must(pci_export(fn, &handover, fd) == 0, "pci_export");
		fflush(stdout);
		if (fork() == 0)
			exit(carry_on(&handover, fd, &memory, region->memfd));
		must(wait(&status) > 0 && status == 0, "the other process");
		must(pci_quiesce(fn) == 0, "pci_quiesce");
	}
	bring_up(fn, &bar); /* and this process still can */
	send_a_frame(&bar, region);
	hear_an_interrupt(fn, &bar);
	pci_bar_unmap(&bar);
	pci_close(fn);
	pci_close(open_it(address)); /* all of it was given back */
	printf("closed\n");
}

/* What the kernel says of the IOMMU holds: it has more than the 39 bits that any has, here 48. */
static void addresses(const char *address)
{
	/* In reach; where writes are interrupts; out of reach. */
	static const uint64_t places[] = {UINT64_C(1) << 40, 0xfee00000, UINT64_C(1) << 48};
	struct pci_function *fn = open_it(address);
	struct dma_region *first, *region;
	struct dma_handover at;
	struct pci_error why;
	struct pci_bar bar;

	must(pci_dma_create(fn, 4 << 20, &first, &why) == 0, "pci_dma_create");
	pci_dma_export(first, &at);
	bring_up(fn, &bar);
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int error;

		at.iova[0] = places[i];
		at.iova[1] = places[i] + DMA_CHUNK_SIZE;
		error = pci_dma_attach_at(fn, first->memfd, &at, &region, &why);
		if (!error)
			send_a_frame(&bar, region);
		printf("%" PRIx64 " %d %s\n", places[i], error, error ? why.text : "reached");
	}
	pci_bar_unmap(&bar);
	pci_close(fn);
}

static void reset(const char *address)
{
	struct pci_function *fn = open_it(address);
	struct pci_bar bar;

	bring_up(fn, &bar);
	reg_write(&bar, VET, 0x1234);
	must(reg_read(&bar, VET) == 0x1234, "VET does not keep what is written");
	must(pci_quiesce(fn) == 0, "pci_quiesce");
	printf("VET %x\n", reg_read(&bar, VET));
	pci_bar_unmap(&bar);
	pci_close(fn);
}

static void give_back(const char *address)
{
	struct pci_function *fn = open_it(address);
	struct pollfd p = {.fd = pci_gone_fd(fn), .events = POLLIN};

	must(p.fd >= 0 && poll(&p, 1, 0) == 0 && !pci_check_gone(fn), "gone too early");
	printf("held\n");
	fflush(stdout);
	must(poll(&p, 1, WAIT_MS) == 1, "nobody asked for it");
	must(pci_check_gone(fn), "not gone");
	must(pci_set_bus_master(fn, true) == -ENODEV, "something still works");
	pci_close(fn);
	printf("given back\n");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "hand-over") == 0)
		hand_over(argv[2]);
	else if (argc == 3 && strcmp(argv[1], "addresses") == 0)
		addresses(argv[2]);
	else if (argc == 3 && strcmp(argv[1], "reset") == 0)
		reset(argv[2]);
	else if (argc == 3 && strcmp(argv[1], "give-back") == 0)
		give_back(argv[2]);
	else
		return 64;
	return 0;
}
