/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The numbers of the vfio-user protocol (vfio-user specification, version 0.x, sections "Header"
 * and "Commands"), and of the structures of linux/vfio.h that it carries. The only header that the
 * client in pci/ and the server in nicsim/ share.
 */
#ifndef PCI_VFIO_USER_H
#define PCI_VFIO_USER_H

#include <stdint.h>

struct vfio_user_header {
	uint16_t id;
	uint16_t command;
	uint32_t size; /* of the whole message */
	uint32_t flags;
	uint32_t error; /* errno, in a reply with VFIO_USER_ERROR */
};

enum vfio_user_command {
	VFIO_USER_VERSION = 1,
	VFIO_USER_DMA_MAP = 2,
	VFIO_USER_DMA_UNMAP = 3,
	VFIO_USER_DEVICE_GET_INFO = 4,
	VFIO_USER_DEVICE_GET_REGION_INFO = 5,
	VFIO_USER_DEVICE_GET_REGION_IO_FDS = 6,
	VFIO_USER_DEVICE_GET_IRQ_INFO = 7,
	VFIO_USER_DEVICE_SET_IRQS = 8,
	VFIO_USER_REGION_READ = 9,
	VFIO_USER_REGION_WRITE = 10,
	VFIO_USER_DMA_READ = 11,
	VFIO_USER_DMA_WRITE = 12,
	VFIO_USER_DEVICE_RESET = 13,
};

#define VFIO_USER_TYPE_MASK 0xfu
#define VFIO_USER_REPLY     1u
#define VFIO_USER_NO_REPLY  0x10u
#define VFIO_USER_ERROR     0x20u

struct vfio_user_version { /* followed by a NUL-terminated JSON object */
	uint16_t major;
	uint16_t minor;
};

struct vfio_user_dma_map {
	uint32_t argsz;
	uint32_t flags; /* 1 readable, 2 writable, by the device */
	uint64_t offset;
	uint64_t address;
	uint64_t size;
};

struct vfio_user_dma_unmap {
	uint32_t argsz;
	uint32_t flags;
	uint64_t address;
	uint64_t size;
};

struct vfio_user_region_access { /* followed by the data of a write, or of a read's reply */
	uint64_t offset;
	uint32_t region;
	uint32_t count;
};

struct vfio_user_dma_access {
	uint64_t address;
	uint64_t count;
};

_Static_assert(sizeof(struct vfio_user_header) == 16, "wire format");
_Static_assert(sizeof(struct vfio_user_dma_map) == 32, "wire format");
_Static_assert(sizeof(struct vfio_user_dma_unmap) == 24, "wire format");
_Static_assert(sizeof(struct vfio_user_region_access) == 16, "wire format");

#endif
