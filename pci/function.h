/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a way to a PCI function (the kernel's VFIO, a vfio-user socket) has to provide, and what
 * both share. Private to pci/. Regions and interrupts are numbered as in linux/vfio.h: vfio-user
 * carries the same structures.
 */
#ifndef PCI_FUNCTION_H
#define PCI_FUNCTION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pci/iova.h"
#include "pci/pci.h"
#include "pci/recorder.h"

#define PCI_PAGE         4096u
#define PCI_BARS         6u
#define PCI_MAX_VECTORS  32u        /* that this library hands out; a function may have 2048 */
#define PCI_MAX_BAR      (1u << 30) /* larger ones are no network card's */
#define PCI_MAX_AREAS    32u
#define PCI_MAX_INFO     1024u /* a region's description with its capabilities */
#define PCI_ADDRESS_SIZE sizeof(((struct pci_handover *)0)->address)

/* Command and status registers of config space (PCI Local Bus 3.0, 6.2). */
#define PCI_COMMAND            0x04u
#define PCI_COMMAND_MEMORY     (1u << 1)
#define PCI_COMMAND_BUS_MASTER (1u << 2)

enum pci_kind { PCI_KIND_VFIO = 1, PCI_KIND_VFIO_USER = 2 };

/* Parts of a region that may be mapped; offsets count from the region's start. */
struct pci_region {
	uint64_t size;
	uint64_t offset; /* of the region in its file */
	uint32_t flags;  /* VFIO_REGION_INFO_FLAG_... */
	unsigned areas;
	struct {
		uint64_t offset, size;
	} area[PCI_MAX_AREAS];
};

struct pci_backend {
	/* What region() gives to map is the kernel's: its pages stay, whoever else has the file. */
	bool kernel;
	void (*close)(struct pci_function *fn);
	/* One access of 1, 2 or 4 bytes to a region. A posted write need not have arrived. */
	int (*read)(struct pci_function *fn, unsigned region, uint64_t offset, unsigned size,
		uint32_t *value);
	int (*write)(struct pci_function *fn, unsigned region, uint64_t offset, unsigned size,
		uint32_t value, bool posted);
	/* struct vfio_region_info and its capabilities: bytes written to info, or -errno. *fd is
	 * the file to map, the caller's to close, or -1.
	 */
	int (*region)(struct pci_function *fn, unsigned index, uint8_t info[PCI_MAX_INFO], int *fd,
		struct pci_error *why);
	/* How many interrupts of an index, or -errno. */
	int (*irq_count)(struct pci_function *fn, unsigned index);
	/* VFIO_DEVICE_SET_IRQS; fds is NULL or holds `count` descriptors. */
	int (*irq_set)(struct pci_function *fn, unsigned index, uint32_t flags, unsigned count,
		const int *fds);
	int (*dma_map)(struct pci_function *fn, const struct dma_region *region, size_t offset,
		uint64_t iova, size_t size, struct pci_error *why);
	void (*dma_unmap)(struct pci_function *fn, uint64_t iova, size_t size);
	/* -ENOTSUP: there is none. */
	int (*reset)(struct pci_function *fn);
	/* The gone descriptor is readable: is it true? */
	bool (*check)(struct pci_function *fn);
	/* Fills in all but the address. */
	void (*export)(const struct pci_function *fn, struct pci_handover *handover,
		int fd[PCI_HANDOVER_FDS]);
};

struct dma_entry;

struct pci_function {
	const struct pci_backend *backend;
	char address[PCI_ADDRESS_SIZE];
	struct pci_id id;
	bool gone;   /* atomic: any thread reads and sets it */
	int gone_fd; /* -1, or the backend's */
	uint32_t config_size;
	atomic_uint misuse[PCI_BARS];
	struct recorder *recorder; /* of accesses, or NULL */
	bool exported;             /* what the card was told is no longer ours to undo */
	struct iova_space iova;
	struct dma_entry *regions;
	unsigned vectors; /* enabled; 0: none */
	enum pci_irq irq;
	int vector_fd[PCI_MAX_VECTORS];
};

/* Writes the text where there is room for one and returns `error`. */
int pci_fail(struct pci_error *why, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Copies a well-formed address in the form that sysfs uses; its kind (of sim: vfio-user), or
 * -EINVAL, also where the text does not end within PCI_ADDRESS_SIZE bytes, of which it reads no
 * more.
 */
int pci_parse_address(const char *text, char address[PCI_ADDRESS_SIZE]);

/* What struct vfio_region_info and its capabilities say, checked: areas are whole pages inside the
 * region. -EPROTO with a text without a name in front.
 */
int pci_parse_region(
	struct pci_region *region, const uint8_t *info, size_t size, struct pci_error *why);

void pci_function_init(
	struct pci_function *fn, const struct pci_backend *backend, const char *address);

/* The backends. They take over fd (also on failure). */
int vfio_open(struct pci_function **out, const char *address, struct pci_error *why);
int vfio_import(struct pci_function **out, const struct pci_handover *handover,
	const int fd[PCI_HANDOVER_FDS], struct pci_error *why);
int vfio_user_open(struct pci_function **out, const char *address, struct pci_error *why);
int vfio_user_import(struct pci_function **out, const struct pci_handover *handover,
	const int fd[PCI_HANDOVER_FDS], struct pci_error *why);

/* Frees what is left of a function's regions. */
void pci_dma_release(struct pci_function *fn);
/* Closes the eventfds, without telling the card. */
void pci_irq_release(struct pci_function *fn);
/* Switches all interrupts off, whoever switched them on. */
void pci_irq_all_off(struct pci_function *fn);
/* Memory decoding on: without it a BAR does not answer. */
int pci_set_memory(struct pci_function *fn);

#endif
