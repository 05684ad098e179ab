/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pci: access to one PCI function, whatever stands between: the kernel's VFIO, a vfio-user socket,
 * a software card of one's own, or a function that pcid opened and handed over. It knows the
 * operating system and no network card.
 *
 * A program opens a function, maps a BAR, makes DMA memory, asks for interrupts; everything after
 * pci_open() is the same for each way in.
 *
 * All functions return 0 or a count, or -errno. -ENODEV means that the card is gone (unplugged, or
 * its server died): once seen, every later operation on the function returns -ENODEV at once.
 * Nothing here is safe to call from two threads on one function, except reg_read() and reg_write().
 */
#ifndef PCI_PCI_H
#define PCI_PCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pci/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What failed, on which device, and what to do next: one line, no newline, for people. */
struct pci_error {
	char text[256];
};

struct pci_function;

struct pci_id {
	uint16_t vendor;
	uint16_t device;
	uint16_t subvendor;
	uint16_t subdevice;
	uint32_t class_code; /* class, subclass and interface: 0x020000 is an Ethernet controller */
	uint8_t revision;
};

/* --- opening --- */

/* Opens the function at `address`:
 *
 *     0000:01:00.0      a card, bound to vfio-pci
 *     vfio-user:PATH    a device that another process serves on a socket, as nicsim does
 *     sim:WIRE          a software card that nobody else has: nicsim in a process of its own, with
 *                       a port on one of its wires: sim:loop (or sim:), sim:gen:60, sim:sink,
 *                       sim:pcap:IN,OUT, sim:cable:NAME (doc/nicsim.md). It ends with this one,
 *                       and pci_close() waits for that: what was sent is then in OUT.
 *
 * nicsim is looked for as $IXGBED_NICSIM says, else beside the program, where it is installed, and
 * in $PATH. An address has at most 127 bytes.
 *
 * -EINVAL: no address of these forms, or no wire; -ENOENT: no such function, socket or nicsim;
 * -EACCES, -EPERM: not allowed; -EBUSY: in use, or the IOMMU group is shared with a device that is;
 * -ENOTSUP: no IOMMU; -EPROTO: the peer is no vfio-user server; -ETIMEDOUT: it does not answer.
 */
int pci_open(struct pci_function **out, const char *address, struct pci_error *why);
/* Also frees the function's DMA regions; BARs are to be unmapped before. NULL does nothing. */
void pci_close(struct pci_function *fn);

const char *pci_address(const struct pci_function *fn);
const struct pci_id *pci_ident(const struct pci_function *fn);
/* Whether the kernel's VFIO is between; else it is a socket. */
bool pci_by_kernel(const struct pci_function *fn);
bool pci_gone(const struct pci_function *fn);
/* Where that is written, for a loop that looks every burst (__atomic_load_n()); as long as fn. */
const bool *pci_gone_flag(const struct pci_function *fn);
/* For a driver that read all-ones from a register that cannot be. */
void pci_set_gone(struct pci_function *fn);

/* A descriptor that becomes readable (POLLIN or POLLHUP) when the function is gone, or -1 where the
 * operating system has none: the vfio-user socket; VFIO's request eventfd. Then pci_check_gone()
 * tells whether it is: a vfio-user server may also have sent what nobody asked for.
 */
int pci_gone_fd(const struct pci_function *fn);
bool pci_check_gone(struct pci_function *fn);

/* --- hand-over: pcid opens the function and makes its DMA memory, the daemon carries on --- */

#define PCI_HANDOVER_FDS 3

struct pci_handover {
	uint32_t kind; /* private to pci/ */
	uint32_t fds;  /* how many of fd[] count */
	uint32_t state[2];
	char address[128];
};

/* Describes an open function so that another process can import it. The descriptors in fd[] stay
 * the exporter's; they are to be sent by SCM_RIGHTS. A vfio-user connection has one user at a time:
 * after the export, the exporter closes its side with pci_close() and does not use it in between.
 * pci_close() of an exported function leaves the card as it is: memory stays mapped for it.
 * What the importer needs to know of regions and vectors it asks the card. -ENODEV.
 */
int pci_export(struct pci_function *fn, struct pci_handover *handover, int fd[PCI_HANDOVER_FDS]);

/* Takes over `fd` (also on failure, then closed). The text comes from another process: checked. */
int pci_import(struct pci_function **out, const struct pci_handover *handover,
	const int fd[PCI_HANDOVER_FDS], struct pci_error *why);

/* --- config space --- */

/* size is 1, 2 or 4, offset a multiple of it, below 4096. */
int pci_config_read(struct pci_function *fn, unsigned offset, unsigned size, uint32_t *value);
int pci_config_write(struct pci_function *fn, unsigned offset, unsigned size, uint32_t value);
/* Offset of a capability (PCI Local Bus 3.0, 6.7), 0 where there is none, or -errno. Loops are cut.
 */
int pci_find_capability(struct pci_function *fn, uint8_t id);

/* Bus mastering: until it is on, the card reads and writes no memory. */
int pci_set_bus_master(struct pci_function *fn, bool on);

/* Bus mastering off, no transaction pending, interrupts off, the reset the operating system offers
 * (many functions have none). The driver's own reset comes after it, then interrupts and bus
 * mastering. Takes up to a second. -ETIMEDOUT: transactions stay pending (the reset was done all
 * the same).
 */
int pci_quiesce(struct pci_function *fn);

/* --- registers --- */

/* A mapped BAR. Where `base` is NULL, or a page is not mapped, an access is a message; a driver
 * does not notice. Fields are private to pci/.
 */
struct pci_bar {
	struct pci_function *fn;
	volatile uint8_t __iomem *base;
	uint64_t mapped; /* bit n: the n-th part of 1 << part_shift bytes is mapped */
	uint32_t part_shift;
	uint32_t size;
	uint32_t alive; /* offset of a register that never reads all-ones */
	unsigned index;
};

/* Maps BAR `index` (0 to 5), as far as it can be mapped. -EINVAL: there is no such BAR, or it is
 * too small to hold `alive`; -EPROTO: its description makes no sense; -ENODEV. `alive` is the
 * offset of a register that never reads all-ones on a card that is present: when any register reads
 * all-ones, that one decides whether the card is gone.
 */
int pci_bar_map(struct pci_function *fn, unsigned index, uint32_t alive, struct pci_bar *bar,
	struct pci_error *why);
void pci_bar_unmap(struct pci_bar *bar);

/* 32-bit registers, little endian; offset is a multiple of 4 inside the BAR: anything else reads
 * all-ones, writes nothing, and counts as a bug of the driver (bar_misuse()). A card that is gone
 * reads all-ones. reg_write() is posted; over vfio-user, where some pages of the BAR are mapped and
 * others are not, it is waited for, so that accesses keep their order.
 */
uint32_t reg_read(const struct pci_bar *bar, uint32_t offset);
void reg_write(const struct pci_bar *bar, uint32_t offset, uint32_t value);
/* The same for the tail of a ring: the flight recorder (pci/recorder.h) tells them apart. */
void reg_publish(const struct pci_bar *bar, uint32_t offset, uint32_t value);
/* Where the data path may write that tail by itself (mmio_write32()), until the BAR is unmapped; or
 * NULL: reg_publish() alone can, as the register is not mapped, or recorded, or none of the BAR's.
 */
volatile uint8_t __iomem *reg_direct(const struct pci_bar *bar, uint32_t offset);
void reg_set(const struct pci_bar *bar, uint32_t offset, uint32_t bits);
void reg_clear(const struct pci_bar *bar, uint32_t offset, uint32_t bits);
/* Waits until (register & mask) == value. -ETIMEDOUT after timeout_us microseconds, -ENODEV. */
int reg_poll(const struct pci_bar *bar, uint32_t offset, uint32_t mask, uint32_t value,
	unsigned timeout_us);
/* The same for cards with registers of 16 and 8 bits; offset is a multiple of that size. */
uint16_t reg_read16(const struct pci_bar *bar, uint32_t offset);
void reg_write16(const struct pci_bar *bar, uint32_t offset, uint16_t value);
uint8_t reg_read8(const struct pci_bar *bar, uint32_t offset);
void reg_write8(const struct pci_bar *bar, uint32_t offset, uint8_t value);
/* reg_publish() of a register of 8 bits. */
void reg_publish8(const struct pci_bar *bar, uint32_t offset, uint8_t value);
int reg_poll8(const struct pci_bar *bar, uint32_t offset, uint8_t mask, uint8_t value,
	unsigned timeout_us);
/* How many accesses of this process fell outside their BAR since the BAR was mapped. */
unsigned bar_misuse(const struct pci_bar *bar);
/* Sleeps at least that long: the waits that datasheets prescribe. */
void pci_delay_us(unsigned us);

/* --- DMA memory --- */

/* A region is a memfd, sealed against resizing, and the IOVA of each of its chunks of 2 MiB (the
 * last may be shorter). What must be contiguous for the card must not cross a chunk's boundary.
 */
#define DMA_CHUNK_SHIFT 21
#define DMA_CHUNK_SIZE  ((size_t)1 << DMA_CHUNK_SHIFT)
#define DMA_MAX_CHUNKS  512

struct dma_region {
	uint8_t *base; /* this process's mapping */
	size_t size;   /* bytes, a multiple of 4096, at most DMA_MAX_CHUNKS chunks */
	int memfd;
	uint32_t chunks;
	uint64_t iova[DMA_MAX_CHUNKS];
};

/* For a region that crosses a process boundary beside its memfd. */
struct dma_handover {
	uint64_t size;
	uint32_t chunks;
	uint32_t reserved;
	uint64_t iova[DMA_MAX_CHUNKS];
};

/* New zeroed memory of `size` bytes (rounded up to 4096), mapped for the card to read and write.
 * A size of whole chunks is had in huge pages where the system has some set aside: not to be given
 * to somebody who is not trusted, since holes can be punched in them.
 * -ENOMEM with the figure that RLIMIT_MEMLOCK would need; -ENOSPC: no IOVA left; -EINVAL: 0, or
 * more than DMA_MAX_CHUNKS.
 */
int pci_dma_create(
	struct pci_function *fn, size_t size, struct dma_region **out, struct pci_error *why);
/* The same for memory that somebody else brings. The memfd is duplicated. -EINVAL: not sealed
 * against shrinking and growing, of huge pages, or of no whole number of pages.
 */
int pci_dma_attach(
	struct pci_function *fn, int memfd, struct dma_region **out, struct pci_error *why);
/* The same for memory of pci_dma_create(), mapped before for a function that was opened anew since:
 * its own memory may be of huge pages.
 */
int pci_dma_again(
	struct pci_function *fn, int memfd, struct dma_region **out, struct pci_error *why);
/* pci_dma_attach() at the addresses that the handover names, so that several functions have the
 * memory at the same ones, or two processes agree. -EEXIST: one of them is taken; -EINVAL also: out
 * of the card's reach, or the handover is of memory of another size.
 */
int pci_dma_attach_at(struct pci_function *fn, int memfd, const struct dma_handover *at,
	struct dma_region **out, struct pci_error *why);
/* The same for a region that this process made for another function, of huge pages too: two cards
 * then mean the same memory by the same addresses. To be called before other memory is made for
 * `fn`, which would take the lowest addresses. Errors as pci_dma_attach_at().
 */
int pci_dma_share(struct pci_function *fn, const struct dma_region *region, struct dma_region **out,
	struct pci_error *why);
/* Whether two regions are the same memory, at whatever addresses. */
bool pci_dma_same(const struct dma_region *a, const struct dma_region *b);
/* pci_dma_attach() in two steps. The first takes addresses, which pci_dma_export() names, and maps
 * the memory here alone. The second maps it for the card; or another process does, and
 * pci_dma_own() notes that it is this process's to unmap.
 */
int pci_dma_place(
	struct pci_function *fn, int memfd, struct dma_region **out, struct pci_error *why);
int pci_dma_map(struct pci_function *fn, struct dma_region *region, struct pci_error *why);
void pci_dma_own(struct dma_region *region);
/* Takes over a region that the exporter of `fn` has mapped already; owns memfd also on failure. */
int pci_dma_import(struct pci_function *fn, const struct dma_handover *handover, int memfd,
	struct dma_region **out, struct pci_error *why);
void pci_dma_export(const struct dma_region *region, struct dma_handover *handover);
/* Unmaps it from the card and from this process; what was imported or placed, and is not owned,
 * from this process alone.
 */
void pci_dma_destroy(struct pci_function *fn, struct dma_region *region);

static inline uint64_t dma_iova(const struct dma_region *region, size_t offset)
{
	return region->iova[offset >> DMA_CHUNK_SHIFT] + (offset & (DMA_CHUNK_SIZE - 1));
}

/* --- interrupts --- */

enum pci_irq { PCI_IRQ_MSIX, PCI_IRQ_MSI, PCI_IRQ_INTX };
#define PCI_IRQ_KINDS 3

/* How many vectors of that kind the function has (0: none). */
unsigned pci_irq_count(struct pci_function *fn, enum pci_irq kind);
/* Switches the function to `vectors` vectors of that kind; fd[i] becomes a non-blocking eventfd
 * that counts vector i's interrupts. The descriptors belong to the function. -ENOTSUP, -EINVAL,
 * -ENODEV.
 */
int pci_irq_enable(struct pci_function *fn, enum pci_irq kind, unsigned vectors, int fd[]);
void pci_irq_disable(struct pci_function *fn);
/* An INTx line is masked when its eventfd fires; this unmasks it. Nothing to do for the others. */
int pci_irq_unmask(struct pci_function *fn);

#ifdef __cplusplus
}
#endif

#endif
