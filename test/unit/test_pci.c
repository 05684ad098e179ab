/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The pure parts of pci/: addresses, I/O virtual addresses, descriptions of regions, and what sysfs
 * tells of IOMMU groups (on a tree of our own).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "pci/function.h"
#include "pci/vfio_group.h"

#define GIB ((uint64_t)1 << 30)
#define MIB ((uint64_t)1 << 20)

/* --- addresses --- */

static void addresses(void **state)
{
	static const struct {
		const char *text, *parsed;
	} good[] = {
		{"0000:01:00.0", "0000:01:00.0"},
		{"0000:FF:1F.7", "0000:ff:1f.7"},
		{"10000:e1:00.0", "10000:e1:00.0"},
		{"vfio-user:/run/s", "vfio-user:/run/s"},
		{"vfio-user:s", "vfio-user:s"},
		{"sim:", "sim:"},
		{"sim:pcap:a/b,c", "sim:pcap:a/b,c"},
	};
	static const char *const bad[] = {"", "01:00.0", "0000:01:00", "0000:01:00.",
		"0000:01:00.8", "0000:01:20.0", "0000:1:00.0", "0000:01:00.0 ", "0000:01:00.00",
		"000:01:00.0", "123456789:01:00.0", "0000-01-00.0", "0x00:01:00.0", " 0000:01:00.0",
		"../../etc/passwd", "vfio-user:", "vfio-user", "vfio:0000:01:00.0", "sim"};
	char address[PCI_ADDRESS_SIZE];
	char path[PCI_ADDRESS_SIZE + 16];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(pci_parse_address(good[i].text, address),
			strchr("vs", good[i].text[0]) ? PCI_KIND_VFIO_USER : PCI_KIND_VFIO);
		assert_string_equal(address, good[i].parsed);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pci_parse_address(bad[i], address), -EINVAL);

	/* As long as a socket's path can be: 107 bytes. */
	memset(path, 'p', sizeof(path));
	memcpy(path, "vfio-user:", 10);
	path[10 + 107] = '\0';
	assert_int_equal(pci_parse_address(path, address), PCI_KIND_VFIO_USER);
	assert_string_equal(address, path);
	path[10 + 107] = 'p';
	path[10 + 108] = '\0';
	assert_int_equal(pci_parse_address(path, address), -EINVAL);
	path[10 + 108] = 'p';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(pci_parse_address(path, address), -EINVAL);

	/* What is no socket's path is bounded by the room for it alone. */
	memcpy(path, "sim:cable:", 10);
	path[sizeof(address) - 1] = '\0';
	assert_int_equal(pci_parse_address(path, address), PCI_KIND_VFIO_USER);
	assert_string_equal(address, path);
	path[sizeof(address) - 1] = 'p';
	assert_int_equal(pci_parse_address(path, address), -EINVAL);
}

static void wrong_address_is_told(void **state)
{
	struct pci_function *fn = NULL;
	struct pci_error why;
	char path[PCI_ADDRESS_SIZE + 16];

	(void)state;
	assert_int_equal(pci_open(&fn, "eth0\n", &why), -EINVAL);
	assert_string_equal(why.text,
		"eth0?: no address of a PCI function: like 0000:01:00.0, vfio-user:PATH or "
		"sim:WIRE");
	memset(path, 'p', sizeof(path));
	memcpy(path, "sim:pcap:", 9);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(pci_open(&fn, path, &why), -EINVAL);
	assert_non_null(strstr(why.text, "longer than the 127 bytes of an address"));
	assert_int_equal(pci_open(&fn, "eth0", NULL), -EINVAL);
	assert_int_equal(pci_open(&fn, "fffe:fe:1f.7", &why), -ENOENT);
	assert_non_null(strstr(why.text, "fffe:fe:1f.7: no such PCI function"));
	assert_null(fn);
}

/* --- I/O virtual addresses --- */

static void iova_first_fit(void **state)
{
	const struct iova_run all = {0, UINT64_MAX};
	struct iova_space space;
	uint64_t a, b, c, d;

	(void)state;
	assert_int_equal(iova_init(&space, &all, 1), 0);
	assert_int_equal(iova_alloc(&space, 0, &a), -EINVAL);
	assert_int_equal(iova_alloc(&space, 4096, &a), 0);
	assert_int_equal(a, 4 * GIB);
	assert_int_equal(iova_alloc(&space, 5 * MIB, &b), 0);
	assert_int_equal(b, 4 * GIB + 2 * MIB);
	assert_int_equal(iova_alloc(&space, 4096, &c), 0);
	assert_int_equal(c, 4 * GIB + 8 * MIB);
	iova_free(&space, b + 4096); /* no run begins there */
	assert_int_equal(iova_alloc(&space, 4096, &d), 0);
	assert_int_equal(d, 4 * GIB + 10 * MIB);
	iova_free(&space, b);
	assert_int_equal(iova_alloc(&space, 7 * MIB, &d), 0); /* does not fit into b's place */
	assert_int_equal(d, 4 * GIB + 12 * MIB);
	assert_int_equal(iova_alloc(&space, 6 * MIB, &d), 0); /* that does */
	assert_int_equal(d, b);

	assert_int_equal(iova_reserve(&space, 5 * GIB, MIB), 0);
	assert_int_equal(iova_reserve(&space, 5 * GIB + MIB, MIB), 0);
	assert_int_equal(iova_reserve(&space, 5 * GIB + MIB - 4096, 8192), -EBUSY);
	assert_int_equal(iova_reserve(&space, 5 * GIB - 4096, 8192), -EBUSY);
	assert_int_equal(iova_reserve(&space, 0, 4096), -EBUSY);
	assert_int_equal(iova_reserve(&space, 0xfeefff000, 0), -EINVAL);
	assert_int_equal(iova_reserve(&space, 0xfeeff000, 8192), -EBUSY);
	assert_int_equal(iova_reserve(&space, UINT64_MAX - 4095, 8192), -EINVAL);
	assert_int_equal(iova_reserve(&space, UINT64_MAX - 4095, 4096), 0);
	iova_fini(&space);
}

/* A narrow IOMMU: below 4 GiB, if there is nothing above; around what may never be mapped. */
static void iova_narrow(void **state)
{
	const struct iova_run low[] = {{0xfef00000, UINT32_MAX}, {0, 0xfedfffff}};
	const struct iova_run split[] = {{0, 0xfedfffff}, {0xfef00000, 4 * GIB + 3 * MIB - 1}};
	const struct iova_run window = {0xfec00000, 0xff1fffff};
	const struct iova_run last = {UINT64_MAX - 2 * MIB + 1, UINT64_MAX};
	struct iova_space space;
	uint64_t a;

	(void)state;
	assert_int_equal(iova_init(&space, low, 2), 0);
	assert_int_equal(iova_alloc(&space, 8192, &a), 0);
	assert_int_equal(a, 2 * MIB); /* not 0 */
	assert_int_equal(iova_alloc(&space, 5 * GIB, &a), -ENOSPC);
	iova_fini(&space);

	/* 3 MiB above 4 GiB: one there, the next below. */
	assert_int_equal(iova_init(&space, split, 2), 0);
	assert_int_equal(iova_alloc(&space, 2 * MIB, &a), 0);
	assert_int_equal(a, 4 * GIB);
	assert_int_equal(iova_alloc(&space, MIB, &a), 0);
	assert_int_equal(a, 4 * GIB + 2 * MIB);
	assert_int_equal(iova_alloc(&space, 4096, &a), 0);
	assert_int_equal(a, 2 * MIB);
	iova_fini(&space);

	/* The range holds the interrupts' window: nothing is put there. */
	assert_int_equal(iova_init(&space, &window, 1), 0);
	assert_int_equal(iova_alloc(&space, 2 * MIB, &a), 0);
	assert_int_equal(a, 0xfec00000);
	assert_int_equal(iova_alloc(&space, 2 * MIB, &a), 0);
	assert_int_equal(a, 0xff000000);
	assert_int_equal(iova_alloc(&space, 4096, &a), -ENOSPC);
	iova_fini(&space);

	/* At the end of the world. */
	assert_int_equal(iova_init(&space, &last, 1), 0);
	assert_int_equal(iova_alloc(&space, 2 * MIB, &a), 0);
	assert_int_equal(a, UINT64_MAX - 2 * MIB + 1);
	assert_int_equal(iova_alloc(&space, 4096, &a), -ENOSPC);
	iova_free(&space, a);
	assert_int_equal(iova_alloc(&space, 2 * MIB - 4096, &a), 0);
	assert_int_equal(iova_alloc(&space, 4096, &a), -ENOSPC); /* the next 2 MiB would be at 0 */
	iova_fini(&space);

	assert_int_equal(iova_init(&space, NULL, 0), 0);
	assert_int_equal(iova_alloc(&space, 4096, &a), -ENOSPC);
	iova_fini(&space);
}

/* For what is at home below 4 GiB: above only if there is nothing below. */
static void iova_low(void **state)
{
	const struct iova_run all = {0, UINT64_MAX};
	struct iova_space space;
	uint64_t a;

	(void)state;
	assert_int_equal(iova_init(&space, &all, 1), 0);
	space.low = true;
	assert_int_equal(iova_alloc(&space, 4096, &a), 0);
	assert_int_equal(a, 2 * MIB);
	assert_int_equal(iova_alloc(&space, 4 * GIB - 32 * MIB, &a), 0);
	assert_int_equal(a, 4 * MIB);
	/* 12 MiB are left before the interrupts' window, and 16 MiB behind it. */
	assert_int_equal(iova_alloc(&space, 15 * MIB, &a), 0);
	assert_int_equal(a, 4 * GIB - 16 * MIB);
	assert_int_equal(iova_alloc(&space, 15 * MIB, &a), 0);
	assert_int_equal(a, 4 * GIB);
	assert_int_equal(iova_alloc(&space, 2 * MIB, &a), 0);
	assert_true(a < 4 * GIB);
	iova_fini(&space);
}

/* Many runs, freed and taken again in no order: none overlaps another. */
static void iova_many(void **state)
{
	const struct iova_run all = {0, (UINT64_C(1) << 39) - 1};
	struct iova_space space;
	struct iova_run run[64] = {{0, 0}};

	(void)state;
	assert_int_equal(iova_init(&space, &all, 1), 0);
	srandom(1);
	for (unsigned step = 0; step < 5000; step++) {
		unsigned i = (unsigned)random() % 64;

		if (run[i].last) {
			iova_free(&space, run[i].start);
			run[i].last = 0;
			continue;
		}
		run[i].last = (uint64_t)(random() % 2000 + 1) * 4096;
		assert_int_equal(iova_alloc(&space, run[i].last, &run[i].start), 0);
		run[i].last += run[i].start - 1;
		assert_int_equal(run[i].start % (2 * MIB), 0);
		assert_true(run[i].start >= 4 * GIB);
		for (unsigned k = 0; k < 64; k++)
			assert_true(k == i || !run[k].last || run[k].start > run[i].last ||
				    run[k].last < run[i].start);
	}
	iova_fini(&space);
}

/* --- DMA memory, with a backend that only takes notes --- */

static struct {
	unsigned maps, unmaps, fail_at; /* fail_at: that map fails; 0: none does */
	struct {
		uint64_t iova;
		size_t offset, size;
	} map[8];
} notes;

static int note_map(struct pci_function *fn, const struct dma_region *region, size_t offset,
	uint64_t iova, size_t size, struct pci_error *why)
{
	(void)fn;
	(void)region;
	if (notes.fail_at == notes.maps + 1)
		return pci_fail(why, -EIO, "no more");
	notes.map[notes.maps].iova = iova;
	notes.map[notes.maps].offset = offset;
	notes.map[notes.maps++].size = size;
	return 0;
}

static void note_unmap(struct pci_function *fn, uint64_t iova, size_t size)
{
	(void)fn;
	assert_int_equal(iova, notes.map[notes.unmaps].iova);
	assert_int_equal(size, notes.map[notes.unmaps++].size);
}

/* No run is long enough: chunks go where there is room, what lies together is one mapping. */
static void dma_in_pieces(void **state)
{
	static const struct pci_backend backend = {.dma_map = note_map, .dma_unmap = note_unmap};
	const struct iova_run ranges[] = {
		{4 * GIB, 4 * GIB + 2 * MIB - 1},
		{4 * GIB + 6 * MIB, 4 * GIB + 10 * MIB - 1},
	};
	struct pci_function fn = {.backend = &backend, .address = "card"};
	struct dma_region *region, *other;
	struct pci_error why;

	(void)state;
	assert_int_equal(iova_init(&fn.iova, ranges, 2), 0);
	assert_int_equal(pci_dma_create(&fn, 5 * MIB, &region, &why), 0);
	assert_int_equal(region->chunks, 3);
	assert_int_equal(region->iova[0], 4 * GIB);
	assert_int_equal(region->iova[1], 4 * GIB + 6 * MIB);
	assert_int_equal(region->iova[2], 4 * GIB + 8 * MIB);
	assert_int_equal(notes.maps, 2);
	assert_int_equal(notes.map[0].size, 2 * MIB);
	assert_int_equal(notes.map[1].offset, 2 * MIB);
	assert_int_equal(notes.map[1].size, 3 * MIB);
	assert_int_equal(pci_dma_create(&fn, 4096, &other, &why), -ENOSPC);
	assert_string_equal(why.text, "card: no I/O virtual addresses left for 4 KiB");
	pci_dma_destroy(&fn, region);
	assert_int_equal(notes.unmaps, 2);

	/* The second mapping fails: the first is undone, and no address is lost. */
	memset(&notes, 0, sizeof(notes));
	notes.fail_at = 2;
	assert_int_equal(pci_dma_create(&fn, 5 * MIB, &region, &why), -EIO);
	assert_int_equal(notes.maps, 1);
	assert_int_equal(notes.unmaps, 1);
	memset(&notes, 0, sizeof(notes));
	assert_int_equal(pci_dma_create(&fn, 6 * MIB, &region, &why), 0);
	assert_int_equal(pci_dma_create(&fn, 8 * MIB, &other, &why), -ENOSPC);
	pci_dma_destroy(&fn, region);
	assert_int_equal(notes.unmaps, 2);
	iova_fini(&fn.iova);
}

static int sealed_memfd(size_t size)
{
	int memfd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(memfd >= 0);
	assert_int_equal(ftruncate(memfd, (off_t)size), 0);
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	return memfd;
}

/* Two processes and a client's memory: one names addresses, the other maps at them, the first
 * unmaps; and nobody gets addresses that somebody has.
 */
static void dma_at_agreed_addresses(void **state)
{
	static const struct pci_backend backend = {.dma_map = note_map, .dma_unmap = note_unmap};
	const struct iova_run range = {4 * GIB, 4 * GIB + 8 * MIB - 1};
	struct pci_function daemon = {.backend = &backend, .address = "daemon"};
	struct pci_function manager = {.backend = &backend, .address = "manager"};
	struct dma_region *placed, *mapped, *other;
	struct dma_handover at, wrong;
	struct pci_error why;
	int memfd = sealed_memfd(3 * MIB);

	(void)state;
	memset(&notes, 0, sizeof(notes));
	assert_int_equal(iova_init(&daemon.iova, &range, 1), 0);
	assert_int_equal(iova_init(&manager.iova, &range, 1), 0);
	assert_int_equal(pci_dma_place(&daemon, memfd, &placed, &why), 0);
	assert_int_equal(notes.maps, 0);
	pci_dma_export(placed, &at);
	assert_int_equal(at.iova[0], 4 * GIB);
	assert_int_equal(at.iova[1], 4 * GIB + 2 * MIB);

	assert_int_equal(pci_dma_attach_at(&manager, memfd, &at, &mapped, &why), 0);
	assert_int_equal(notes.maps, 1);
	assert_int_equal(notes.map[0].iova, 4 * GIB);
	assert_int_equal(notes.map[0].size, 3 * MIB);
	assert_int_equal(pci_dma_attach_at(&manager, memfd, &at, &other, &why), -EEXIST);
	wrong = at;
	wrong.size += 4096;
	assert_int_equal(pci_dma_attach_at(&manager, memfd, &wrong, &other, &why), -EINVAL);
	wrong = at;
	wrong.chunks = 1;
	assert_int_equal(pci_dma_attach_at(&manager, memfd, &wrong, &other, &why), -EINVAL);
	wrong = at;
	wrong.iova[1] = 4 * GIB + 8 * MIB; /* out of reach, and the first is given back */
	wrong.iova[0] = 4 * GIB + 4 * MIB;
	assert_int_equal(pci_dma_attach_at(&manager, memfd, &wrong, &other, &why), -EINVAL);
	wrong.iova[1] = 4 * GIB + 6 * MIB;
	assert_int_equal(pci_dma_attach_at(&manager, memfd, &wrong, &other, &why), 0);
	assert_int_equal(notes.maps, 2);

	/* One that somebody else has mapped, and who was told so. */
	pci_dma_own(placed);
	pci_dma_destroy(&daemon, placed);
	assert_int_equal(notes.unmaps, 1);
	pci_dma_destroy(&manager, other);
	assert_int_equal(notes.unmaps, 2);
	notes.unmaps = 0;
	pci_dma_destroy(&manager, mapped);
	assert_int_equal(notes.unmaps, 1);

	/* One that was never mapped is only forgotten, and its addresses are free again. */
	memset(&notes, 0, sizeof(notes));
	assert_int_equal(pci_dma_place(&daemon, memfd, &placed, &why), 0);
	assert_int_equal(placed->iova[0], 4 * GIB);
	pci_dma_destroy(&daemon, placed);
	assert_int_equal(notes.unmaps, 0);
	assert_int_equal(pci_dma_place(&daemon, memfd, &placed, &why), 0);
	assert_int_equal(placed->iova[0], 4 * GIB);
	/* Twice the same memory is twice its addresses. */
	assert_int_equal(pci_dma_place(&daemon, memfd, &other, &why), 0);
	assert_int_equal(other->iova[0], 4 * GIB + 4 * MIB);
	assert_int_equal(pci_dma_place(&daemon, memfd, &mapped, &why), -ENOSPC);
	assert_string_equal(why.text, "daemon: no I/O virtual addresses left for 3072 KiB");
	notes.fail_at = 1;
	assert_int_equal(pci_dma_map(&daemon, placed, &why), -EIO);
	pci_dma_destroy(&daemon, placed);
	assert_int_equal(notes.unmaps, 0);
	assert_int_equal(pci_dma_map(&daemon, other, &why), -EIO);
	notes.fail_at = 0;
	assert_int_equal(pci_dma_map(&daemon, other, &why), 0);
	pci_dma_destroy(&daemon, other);
	assert_int_equal(notes.unmaps, 1);

	iova_fini(&manager.iova);
	iova_fini(&daemon.iova);
	close(memfd);
}

/* Two cards of one process: the same memory at the same addresses. */
static void dma_shared(void **state)
{
	static const struct pci_backend backend = {.dma_map = note_map, .dma_unmap = note_unmap};
	const struct iova_run range = {4 * GIB, 4 * GIB + 16 * MIB - 1};
	const struct iova_run narrow = {4 * GIB, 4 * GIB + 2 * MIB - 1};
	struct pci_function left = {.backend = &backend, .address = "left"};
	struct pci_function right = {.backend = &backend, .address = "right"};
	struct pci_function small = {.backend = &backend, .address = "small"};
	struct dma_region *first, *second, *shared, *other;
	struct dma_region none = {.memfd = -1};
	struct pci_error why;

	(void)state;
	memset(&notes, 0, sizeof(notes));
	assert_int_equal(iova_init(&left.iova, &range, 1), 0);
	assert_int_equal(iova_init(&right.iova, &range, 1), 0);
	assert_int_equal(iova_init(&small.iova, &narrow, 1), 0);
	assert_int_equal(pci_dma_create(&left, 4096, &first, &why), 0);
	/* Of huge pages, where there are any. */
	assert_int_equal(pci_dma_create(&left, 4 * MIB, &second, &why), 0);
	assert_int_equal(pci_dma_share(&right, second, &shared, &why), 0);
	assert_int_equal(notes.maps, 3);
	assert_int_equal(notes.map[2].iova, 4 * GIB + 2 * MIB);
	assert_int_equal(notes.map[2].size, 4 * MIB);
	assert_memory_equal(shared->iova, second->iova, 2 * sizeof(shared->iova[0]));
	second->base[4 * MIB - 1] = 0x5a;
	assert_int_equal(shared->base[4 * MIB - 1], 0x5a);
	assert_true(pci_dma_same(second, shared));
	assert_false(pci_dma_same(first, shared));
	assert_int_equal(pci_dma_share(&right, second, &other, &why), -EEXIST);
	assert_int_equal(pci_dma_share(&small, second, &other, &why), -EINVAL);
	assert_string_equal(why.text,
		"small: memory can't be attached: its addresses are taken or out of reach");
	/* What is free goes on being had. */
	assert_int_equal(pci_dma_share(&right, first, &other, &why), 0);
	assert_false(pci_dma_same(other, shared));
	assert_false(pci_dma_same(&none, &none));
	pci_dma_destroy(&left, first);
	pci_dma_destroy(&left, second);
	assert_int_equal(shared->base[4 * MIB - 1], 0x5a);
	pci_dma_destroy(&right, shared);
	pci_dma_destroy(&right, other);
	assert_int_equal(notes.unmaps, 4);
	iova_fini(&left.iova);
	iova_fini(&right.iova);
	iova_fini(&small.iova);
}

/* --- descriptions of regions --- */

struct described {
	struct vfio_region_info info;
	struct vfio_info_cap_header other; /* a capability of no interest */
	struct vfio_info_cap_header sparse;
	uint32_t areas, reserved;
	struct vfio_region_sparse_mmap_area area[2];
};

static const struct described whole = {
	{sizeof(struct described), 0xf, 0, 32, 0x20000, 0x10000},
	{VFIO_REGION_INFO_CAP_MSIX_MAPPABLE, 1, 40},
	{VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0},
	2,
	0,
	{{0x1000, 0x1000}, {0x8000, 0x17fff}},
};

static int parse(struct pci_region *region, const struct described *d, size_t size)
{
	/* Of its very size, so that a sanitizer sees a read behind it. */
	uint8_t *copy = malloc(size ? size : 1);
	int error;

	assert_non_null(copy);
	memcpy(copy, d, size);
	error = pci_parse_region(region, copy, size, NULL);
	free(copy);
	return error;
}

static void regions(void **state)
{
	struct described d = whole;
	struct pci_region region;

	(void)state;
	assert_int_equal(parse(&region, &d, sizeof(d)), 0);
	assert_int_equal(region.size, 0x20000);
	assert_int_equal(region.offset, 0x10000);
	assert_int_equal(region.areas, 2);
	assert_int_equal(region.area[0].offset, 0x1000);
	assert_int_equal(region.area[0].size, 0x1000);
	assert_int_equal(region.area[1].offset, 0x8000);
	assert_int_equal(region.area[1].size, 0x17000); /* whole pages */
	for (size_t size = 0; size < sizeof(d); size++)
		assert_int_equal(parse(&region, &d, size), -EPROTO);

	/* Without a list all of it can be mapped; without the flag nothing. */
	d.info.flags = 0x7;
	assert_int_equal(parse(&region, &d, sizeof(d)), 0);
	assert_int_equal(region.areas, 1);
	assert_int_equal(region.area[0].size, 0x20000);
	d.info.size = 8; /* less than a page */
	assert_int_equal(parse(&region, &d, sizeof(d)), 0);
	assert_int_equal(region.areas, 0);
	d.info.flags = 0x3;
	assert_int_equal(parse(&region, &d, sizeof(d)), 0);
	assert_int_equal(region.areas, 0);

	d = whole;
	d.other.next = 32; /* itself */
	assert_int_equal(parse(&region, &d, sizeof(d)), -EPROTO);
	d = whole;
	d.sparse.next = 32; /* back */
	assert_int_equal(parse(&region, &d, sizeof(d)), -EPROTO);
	d = whole;
	d.areas = 3;
	assert_int_equal(parse(&region, &d, sizeof(d)), -EPROTO);
	d = whole;
	d.area[1].size = 0x18001;
	assert_int_equal(parse(&region, &d, sizeof(d)), -EPROTO);
	d = whole;
	d.area[1].offset = UINT64_MAX - 4095;
	assert_int_equal(parse(&region, &d, sizeof(d)), -EPROTO);
	d = whole;
	d.info.size = UINT64_MAX;
	assert_int_equal(parse(&region, &d, sizeof(d)), -EPROTO);
	d = whole;
	d.info.offset = INT64_MAX - 4095;
	assert_int_equal(parse(&region, &d, sizeof(d)), -EPROTO);
}

/* As many areas as there is room for, and one more. */
static void many_areas(void **state)
{
	struct {
		struct described d;
		struct vfio_region_sparse_mmap_area more[PCI_MAX_AREAS];
	} all = {.d = whole};
	struct pci_region region;

	(void)state;
	for (unsigned i = 0; i < PCI_MAX_AREAS; i++)
		all.more[i] = (struct vfio_region_sparse_mmap_area){0, 0x1000};
	all.d.areas = PCI_MAX_AREAS;
	assert_int_equal(pci_parse_region(&region, (const uint8_t *)&all, sizeof(all), NULL), 0);
	assert_int_equal(region.areas, PCI_MAX_AREAS);
	all.d.areas = PCI_MAX_AREAS + 1;
	assert_int_equal(
		pci_parse_region(&region, (const uint8_t *)&all, sizeof(all), NULL), -EPROTO);
}

/* Whatever the bytes, areas lie inside the region. */
static void random_regions(void **state)
{
	struct pci_region region;
	unsigned parsed = 0;

	(void)state;
	srandom(2);
	for (unsigned step = 0; step < 200000; step++) {
		struct described d = whole;

		for (unsigned n = 0; n < 3; n++)
			((uint8_t *)&d)[(size_t)random() % sizeof(d)] = (uint8_t)random();
		if (parse(&region, &d, (size_t)random() % (sizeof(d) + 1)))
			continue;
		parsed++;
		for (unsigned i = 0; i < region.areas; i++) {
			assert_true(region.area[i].offset % PCI_PAGE == 0);
			assert_true(region.area[i].size % PCI_PAGE == 0);
			assert_true(region.area[i].offset <= region.size);
			assert_true(region.area[i].size <= region.size - region.area[i].offset);
		}
	}
	assert_true(parsed > 100);
}

/* --- IOMMU groups --- */

/* A sysfs of our own with the function 0000:01:00.0 and what else a test puts there. */
struct tree {
	char root[64];
	struct vfio_paths paths;
	char sysfs[80], dev[80];
};

static void shell(const struct tree *t, const char *command)
{
	char line[1024];

	snprintf(line, sizeof(line), "cd %s && %s", t->root, command);
	assert_int_equal(system(line), 0); // NOLINT(cert-env33-c)
}

static void grow(struct tree *t)
{
	strcpy(t->root, "/tmp/sysfs-XXXXXX");
	assert_non_null(mkdtemp(t->root));
	snprintf(t->sysfs, sizeof(t->sysfs), "%s/sys", t->root);
	snprintf(t->dev, sizeof(t->dev), "%s/dev", t->root);
	t->paths = (struct vfio_paths){t->sysfs, t->dev};
	shell(t, "mkdir -p dev sys/bus/pci/devices/0000:01:00.0 sys/bus/pci/devices/0000:01:00.1 "
		 "sys/bus/pci/drivers/vfio-pci sys/bus/pci/drivers/ixgbe "
		 "sys/bus/pci/drivers/pcieport "
		 "sys/kernel/iommu_groups/17/devices");
}

static void fell(struct tree *t)
{
	char line[256];

	snprintf(line, sizeof(line), "chmod -R u+w %s; rm -rf %s", t->root, t->root);
	assert_int_equal(system(line), 0); // NOLINT(cert-env33-c)
}

static void expect_group(const struct tree *t, int result, const char *text)
{
	struct pci_error why = {""};
	int group = vfio_find_group(&t->paths, "0000:01:00.0", &why);

	if (group != result || !strstr(why.text, text))
		fail_msg("%d (%d expected), \"%s\" (\"%s\" expected)", group, result, why.text,
			text);
}

static void groups(void **state)
{
	struct tree t;

	(void)state;
	grow(&t);
	expect_group(&t, -ENOTSUP, "intel_iommu=on");
	shell(&t, "ln -s ../../../../kernel/iommu_groups/x "
		  "sys/bus/pci/devices/0000:01:00.0/iommu_group");
	expect_group(&t, -ENOTSUP, "x is no number");
	shell(&t, "ln -sfn ../../../../kernel/iommu_groups/17 "
		  "sys/bus/pci/devices/0000:01:00.0/iommu_group && "
		  "ln -s ../../../../bus/pci/devices/0000:01:00.0 "
		  "sys/kernel/iommu_groups/17/devices/");
	expect_group(&t, -EBUSY, "no driver has it");
	shell(&t, "ln -s ../../drivers/ixgbe sys/bus/pci/devices/0000:01:00.0/driver");
	expect_group(&t, -EBUSY, "driver ixgbe has it, vfio-pci should: pcid --bind 0000:01:00.0");
	shell(&t, "ln -sfn ../../drivers/vfio-pci sys/bus/pci/devices/0000:01:00.0/driver");
	expect_group(&t, 17, "");

	/* Another function in the group: without a driver, with a bridge's, with one that uses it.
	 */
	shell(&t, "ln -s ../../../../bus/pci/devices/0000:01:00.1 "
		  "sys/kernel/iommu_groups/17/devices/");
	expect_group(&t, 17, "");
	shell(&t, "ln -s ../../drivers/pcieport sys/bus/pci/devices/0000:01:00.1/driver");
	expect_group(&t, 17, "");
	shell(&t, "ln -sfn ../../drivers/ixgbe sys/bus/pci/devices/0000:01:00.1/driver");
	expect_group(&t, -EBUSY, "group 17 also holds 0000:01:00.1, which driver ixgbe uses");

	shell(&t, "rm -r sys/bus/pci/devices/0000:01:00.0");
	expect_group(&t, -ENOENT, "no such PCI function");
	fell(&t);
}

static void expect_device(const struct tree *t, int result, const char *text)
{
	struct pci_error why = {""};
	int fd = vfio_open_group(&t->paths, "0000:01:00.0", 17, &why);

	if (fd != result || !strstr(why.text, text))
		fail_msg("%d (%d expected), \"%s\" (\"%s\" expected)", fd, result, why.text, text);
}

static void group_devices(void **state)
{
	struct tree t;
	int status;

	(void)state;
	grow(&t);
	expect_device(&t, -ENOTSUP, "modprobe vfio-pci");
	shell(&t, "touch dev/noiommu-17");
	expect_device(&t, -ENOTSUP, "without an IOMMU");
	shell(&t, "touch dev/17 && chmod 0 dev/17 && chmod 755 . dev");
	fflush(NULL);
	if (fork() == 0) { /* as nobody, if this is root */
		struct pci_error why = {""};

		if (geteuid() == 0 && setresuid(65534, 65534, 65534))
			_exit(2);
		_exit(vfio_open_group(&t.paths, "0000:01:00.0", 17, &why) != -EACCES ||
			!strstr(why.text, "dev/17: as root, chown it"));
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
	fell(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses),
		cmocka_unit_test(wrong_address_is_told),
		cmocka_unit_test(iova_first_fit),
		cmocka_unit_test(iova_narrow),
		cmocka_unit_test(iova_low),
		cmocka_unit_test(iova_many),
		cmocka_unit_test(dma_in_pieces),
		cmocka_unit_test(dma_at_agreed_addresses),
		cmocka_unit_test(dma_shared),
		cmocka_unit_test(regions),
		cmocka_unit_test(many_areas),
		cmocka_unit_test(random_regions),
		cmocka_unit_test(groups),
		cmocka_unit_test(group_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
