/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The vfio-user client against a server that behaves, and one that does not: each way to mis-speak
 * ends in its own error, in bounded time, with every descriptor closed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_server.h"
#include "pci/pci.h"
#include "pci/recorder.h"
#include "pci/vfio_user.h"

static int open_descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(fds);
	while (readdir(fds))
		n++;
	closedir(fds);
	return n;
}

static struct pci_function *open_good(struct fake *f)
{
	struct pci_function *fn = NULL;
	struct pci_error why = {""};

	fake_start(f);
	if (pci_open(&fn, f->address, &why))
		fail_msg("%s", why.text);
	return fn;
}

/* A word of the BAR as the server has it. */
static uint32_t served(const struct fake *f, uint32_t offset)
{
	uint32_t value;

	memcpy(&value, f->bar + offset, 4);
	return value;
}

static void serve(struct fake *f, uint32_t offset, uint32_t value)
{
	memcpy(f->bar + offset, &value, 4);
}

/* --- good --- */

static void identity_and_config(void **state)
{
	struct fake f = {.max_fds = 8};
	struct pci_function *fn = open_good(&f);
	const struct pci_id *id = pci_ident(fn);
	uint32_t value;
	unsigned id_before;

	(void)state;
	assert_string_equal(pci_address(fn), f.address);
	assert_int_equal(id->vendor, 0x8086);
	assert_int_equal(id->device, 0x1528);
	assert_int_equal(id->subvendor, 0x8086);
	assert_int_equal(id->subdevice, 0x0002);
	assert_int_equal(id->class_code, 0x020000);
	assert_int_equal(id->revision, 1);

	assert_int_equal(pci_config_write(fn, 0x3c, 1, 0x5a), 0);
	assert_int_equal(f.config[0x3c], 0x5a);
	assert_int_equal(pci_config_write(fn, 0xffc, 4, 0x12345678), 0);
	assert_int_equal(pci_config_read(fn, 0xffe, 2, &value), 0);
	assert_int_equal(value, 0x1234);
	id_before = f.last_id;
	assert_int_equal(pci_config_read(fn, 0x1000, 4, &value), -EINVAL);
	assert_int_equal(pci_config_read(fn, 2, 4, &value), -EINVAL);
	assert_int_equal(pci_config_read(fn, 0, 3, &value), -EINVAL);
	assert_int_equal(pci_config_write(fn, 0, 8, 0), -EINVAL);
	assert_int_equal(f.last_id, id_before); /* not even asked for */

	assert_int_equal(pci_find_capability(fn, 0x10), 0x50);
	assert_int_equal(pci_find_capability(fn, 0x11), 0);
	f.config[0x51] = 0x40; /* a loop */
	assert_int_equal(pci_find_capability(fn, 0x11), 0);
	assert_int_equal(pci_find_capability(fn, 0x10), 0x50);
	f.config[0x34] = 0x43; /* its lower two bits mean nothing */
	assert_int_equal(pci_find_capability(fn, 0x10), 0x50);
	f.config[0x41] =
		0x3c; /* into the header, which holds no capability, whatever it looks like */
	f.config[0x3c] = 0x10;
	assert_int_equal(pci_find_capability(fn, 0x10), 0);
	f.config[0x06] = 0; /* no list at all */
	assert_int_equal(pci_find_capability(fn, 0x01), 0);

	assert_int_equal(pci_set_bus_master(fn, true), 0);
	assert_int_equal(f.config[4], 0x04);
	assert_int_equal(pci_set_bus_master(fn, false), 0);
	assert_int_equal(f.config[4], 0x00);
	pci_close(fn);
	fake_stop(&f);
}

static void registers(void **state)
{
	struct fake f = {.max_fds = 1};
	struct pci_function *fn = open_good(&f);
	struct pci_error why;
	struct pci_bar bar;
	unsigned reads;

	(void)state;
	assert_int_equal(pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why), 0);
	assert_int_equal(f.config[4], 0x02); /* it decodes memory accesses */

	/* A page that is mapped: no message. */
	serve(&f, 0x1010, 0xabcd0123);
	assert_int_equal(reg_read(&bar, 0x1010), 0xabcd0123);
	reg_write(&bar, 0x1014, 0x11223344);
	assert_int_equal(served(&f, 0x1014), 0x11223344);
	reg_write(&bar, 0x7ffc, 5); /* the last register of the other area */
	assert_int_equal(served(&f, 0x7ffc), 5);
	assert_int_equal(f.reads + f.writes, 0);

	/* One that is not: messages, and the write is waited for, as there are mapped pages. */
	serve(&f, 0x2000, 0x55667788);
	assert_int_equal(reg_read(&bar, 0x2000), 0x55667788);
	reg_write(&bar, 0x8000, 7);
	assert_int_equal(reg_read(&bar, 0x8000), 7);
	assert_int_equal(served(&f, 0x8000), 7);
	assert_int_equal(f.reads, 2);
	assert_int_equal(f.writes, 1);
	assert_int_equal(f.posted, 0);

	reg_set(&bar, 0x1ff0, 0x0f);
	reg_clear(&bar, 0x1ff0, 0x05);
	assert_int_equal(reg_read(&bar, 0x1ff0), 0x0a);
	assert_int_equal(reg_poll(&bar, 0x1ff0, 0xf, 0xa, 0), 0);
	assert_int_equal(reg_poll(&bar, 0x1ff0, 0x1, 0x1, 2000), -ETIMEDOUT);
	assert_int_equal(reg_poll(&bar, 0x2000, 0xff, 0x88, 1000), 0);

	/* Outside: nothing is touched, the card is not taken for gone. */
	assert_int_equal(bar_misuse(&bar), 0);
	reads = f.reads;
	assert_int_equal(reg_read(&bar, FAKE_BAR_SIZE), UINT32_MAX);
	assert_int_equal(reg_read(&bar, FAKE_BAR_SIZE - 2), UINT32_MAX);
	assert_int_equal(reg_read(&bar, 0x1002), UINT32_MAX);
	assert_int_equal(reg_read(&bar, UINT32_MAX - 3), UINT32_MAX);
	reg_write(&bar, FAKE_BAR_SIZE, 1);
	assert_int_equal(bar_misuse(&bar), 5);
	assert_int_equal(f.reads, reads);
	assert_int_equal(f.writes, 1);
	assert_false(pci_gone(fn));

	pci_bar_unmap(&bar);
	assert_int_equal(reg_read(&bar, 0), UINT32_MAX);
	reg_write(&bar, 0, 1);
	assert_int_equal(pci_bar_map(fn, 1, 0, &bar, &why), -EINVAL); /* has no bytes */
	assert_non_null(strstr(why.text, f.address));
	assert_int_equal(pci_bar_map(fn, 0, FAKE_BAR_SIZE, &bar, &why), -EINVAL);
	assert_int_equal(pci_bar_map(fn, 6, 0, &bar, &why), -EINVAL);
	assert_int_equal(pci_bar_map(fn, 7, 0, &bar, &why), -EINVAL); /* config space */
	pci_close(fn);
	fake_stop(&f);
}

/* Registers of 16 and 8 bits, in mapped pages and by messages: they touch nothing beside them. */
static void narrow_registers(void **state)
{
	static const uint32_t pages[] = {0x1000, 0x2000}; /* the first one is mapped */
	struct fake f = {0};
	struct pci_function *fn = open_good(&f);
	uint8_t *memory = calloc(1, FLIGHT_BYTES);
	struct flight_record *found = calloc(FLIGHT_SLOTS, sizeof *found);
	struct recorder_found seen;
	struct recorder recorder;
	struct pci_error why;
	struct pci_bar bar;

	(void)state;
	assert_int_equal(recorder_open(&recorder, memory, FLIGHT_BYTES), 0);
	assert_int_equal(pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why), 0);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t at = pages[i];

		serve(&f, at + 4, 0x44332211);
		assert_int_equal(reg_read16(&bar, at + 4), 0x2211);
		assert_int_equal(reg_read16(&bar, at + 6), 0x4433);
		for (uint32_t byte = 0; byte < 4; byte++)
			assert_int_equal(reg_read8(&bar, at + 4 + byte), 0x11 * (byte + 1));
		reg_write16(&bar, at + 6, 0xabcd);
		assert_int_equal(served(&f, at + 4), 0xabcd2211);
		reg_write8(&bar, at + 5, 0x99);
		assert_int_equal(served(&f, at + 4), 0xabcd9911);
		assert_int_equal(served(&f, at) | served(&f, at + 8), 0);
		assert_int_equal(reg_poll8(&bar, at + 5, 0xf0, 0x90, 0), 0);
		assert_int_equal(reg_poll8(&bar, at + 5, 0x01, 0x00, 2000), -ETIMEDOUT);
		assert_int_equal(f.writes, 2 * i);
	}

	/* Not aligned to themselves, or outside. */
	assert_int_equal(bar_misuse(&bar), 0);
	assert_int_equal(reg_read16(&bar, 0x1001), UINT16_MAX);
	assert_int_equal(reg_read16(&bar, FAKE_BAR_SIZE), UINT16_MAX);
	assert_int_equal(reg_read16(&bar, FAKE_BAR_SIZE - 1), UINT16_MAX);
	assert_int_equal(reg_read8(&bar, FAKE_BAR_SIZE), UINT8_MAX);
	reg_write16(&bar, 0x1005, 0);
	reg_write8(&bar, UINT32_MAX, 0);
	assert_int_equal(bar_misuse(&bar), 6);
	assert_int_equal(served(&f, 0x1004), 0xabcd9911);
	serve(&f, FAKE_BAR_SIZE - 4, 0x77665544);
	assert_int_equal(reg_read16(&bar, FAKE_BAR_SIZE - 2), 0x7766);
	assert_int_equal(reg_read8(&bar, FAKE_BAR_SIZE - 1), 0x77);

	/* Their size is on record. */
	pci_record(fn, &recorder);
	(void)reg_read8(&bar, 0x1005);
	reg_write16(&bar, 0x1006, 0x1234);
	(void)reg_read(&bar, 0x1004);
	reg_publish8(&bar, 0x1004, 0x77);
	assert_int_equal(served(&f, 0x1004), 0x12349977);
	assert_int_equal(recorder_read(memory, FLIGHT_BYTES, found, &seen), 0);
	assert_int_equal(seen.records, 4);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(flight_bar(flight_where(&found[i])), 0);
		assert_int_equal(flight_size(flight_where(&found[i])), 1u << i);
	}
	assert_int_equal(found[0].value, 0x99);
	assert_int_equal(found[1].value, 0x1234);
	assert_int_equal(flight_kind(&found[3]), FLIGHT_PUBLISH);
	assert_int_equal(flight_size(flight_where(&found[3])), 1);

	/* All-ones of their own size has the card looked for. */
	serve(&f, 0x1004, 0x00ff0000);
	assert_int_equal(reg_read8(&bar, 0x1006), UINT8_MAX);
	assert_false(pci_gone(fn));
	serve(&f, FAKE_ALIVE, UINT32_MAX);
	assert_int_equal(reg_read8(&bar, 0x1004), 0);
	assert_int_equal(reg_read16(&bar, 0x1006), 0xff);
	assert_false(pci_gone(fn));
	assert_int_equal(reg_read8(&bar, 0x1006), UINT8_MAX);
	assert_true(pci_gone(fn));
	assert_int_equal(reg_read8(&bar, 0x1004), UINT8_MAX);
	assert_int_equal(reg_read16(&bar, 0x1004), UINT16_MAX);
	reg_write8(&bar, 0x1004, 1);
	assert_int_equal(served(&f, 0x1004), 0x00ff0000);
	assert_int_equal(reg_poll8(&bar, 0x1004, 1, 1, 1000000), -ENODEV);
	pci_bar_unmap(&bar);
	pci_close(fn);
	fake_stop(&f);
	free(memory);
	free(found);
}

/* All of the BAR in one piece; memory that the server could cut off under us is not mapped. */
static void mapping_kinds(void **state)
{
	struct fake whole = {.whole = true};
	struct fake loose = {.not_sealed = true};
	struct fake none = {.not_mappable = true};
	struct fake *const kinds[] = {&whole, &loose, &none};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct fake *f = kinds[i];
		struct pci_function *fn = open_good(f);
		struct pci_error why;
		struct pci_bar bar;

		assert_int_equal(pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why), 0);
		serve(f, FAKE_BAR_SIZE - 4, 0x1234);
		assert_int_equal(reg_read(&bar, FAKE_BAR_SIZE - 4), 0x1234);
		serve(f, 0x1000, 0x5678);
		assert_int_equal(reg_read(&bar, 0x1000), 0x5678);
		assert_int_equal(f->reads, i == 0 ? 0 : 2);
		/* Where nothing is mapped a write need not be waited for. */
		reg_write(&bar, 0x1000, 1);
		assert_int_equal(reg_read(&bar, 0x1000), 1);
		assert_int_equal(f->posted, i == 0 ? 0 : 1);
		pci_bar_unmap(&bar);
		pci_close(fn);
		fake_stop(f);
	}
}

/* The place of a register that may be written without a call, and for which none may. */
static void direct_registers(void **state)
{
	struct fake whole = {.whole = true};
	struct fake parts = {0};
	struct fake none = {.not_mappable = true};
	struct fake *const kinds[] = {&whole, &parts, &none};
	uint8_t *memory = calloc(1, FLIGHT_BYTES);
	struct recorder recorder;

	(void)state;
	assert_int_equal(recorder_open(&recorder, memory, FLIGHT_BYTES), 0);
	for (unsigned i = 0; i < 3; i++) {
		struct fake *f = kinds[i];
		struct pci_function *fn = open_good(f);
		volatile uint8_t __iomem *at;
		struct pci_error why;
		struct pci_bar bar;

		assert_int_equal(pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why), 0);
		at = reg_direct(&bar, 0x6018);
		assert_int_equal(at != NULL, f != &none);
		if (at) {
			mmio_write32(at, 0x1234);
			assert_int_equal(served(f, 0x6018), 0x1234);
		}
		/* A page that is not mapped, no whole register of the BAR, none at all. */
		assert_int_equal(reg_direct(&bar, 0x2000) != NULL, f == &whole);
		assert_int_equal(bar_misuse(&bar), 0);
		assert_null(reg_direct(&bar, FAKE_BAR_SIZE));
		assert_null(reg_direct(&bar, 0x6019));
		assert_int_equal(bar_misuse(&bar), 2);
		/* Nothing passes the recorder by. */
		pci_record(fn, &recorder);
		assert_null(reg_direct(&bar, 0x6018));
		pci_bar_unmap(&bar);
		pci_close(fn);
		fake_stop(f);
	}
	free(memory);
}

/* All-ones means gone only where the register that can't be all-ones is it too. */
static void all_ones(void **state)
{
	struct fake f = {0};
	struct pci_function *fn = open_good(&f);
	struct pci_error why;
	struct pci_bar bar;
	uint32_t value;

	(void)state;
	assert_int_equal(pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why), 0);
	serve(&f, 0x1000, UINT32_MAX);
	assert_int_equal(reg_read(&bar, 0x1000), UINT32_MAX);
	assert_false(pci_gone(fn));
	serve(&f, FAKE_ALIVE, UINT32_MAX);
	assert_int_equal(reg_poll(&bar, 0x1000, 1, 0, 1000000), -ENODEV);
	assert_true(pci_gone(fn));

	/* From here on nothing is asked any more. */
	f.reads = 0;
	serve(&f, 0x1000, 3);
	assert_int_equal(reg_read(&bar, 0x1000), UINT32_MAX);
	reg_write(&bar, 0x1000, 4);
	assert_int_equal(served(&f, 0x1000), 3);
	assert_int_equal(pci_config_read(fn, 0, 4, &value), -ENODEV);
	assert_int_equal(pci_config_write(fn, 4, 2, 0), -ENODEV);
	assert_int_equal(pci_find_capability(fn, 1), -ENODEV);
	assert_int_equal(pci_quiesce(fn), -ENODEV);
	assert_int_equal(pci_irq_count(fn, PCI_IRQ_MSIX), 0);
	assert_int_equal(pci_irq_enable(fn, PCI_IRQ_MSIX, 1, (int[1]){0}), -ENODEV);
	assert_int_equal(pci_irq_unmask(fn), -ENODEV);
	assert_int_equal(pci_dma_create(fn, 4096, &(struct dma_region *){0}, &why), -ENODEV);
	assert_int_equal(pci_dma_attach(fn, f.bar_fd, &(struct dma_region *){0}, &why), -ENODEV);
	assert_int_equal(pci_export(fn, &(struct pci_handover){0}, (int[3]){0}), -ENODEV);
	assert_int_equal(f.reads, 0);
	pci_bar_unmap(&bar);
	pci_close(fn);
	fake_stop(&f);
}

/* Addresses above 4 GiB first, but for conventional PCI and the first PCI Express. */
static void dma_addresses(void **state)
{
	static const unsigned express[] = {0xff, 0x01, 0x02, 0x12, 0x13};

	(void)state;
	for (unsigned i = 0; i < sizeof(express) / sizeof(*express); i++) {
		struct fake f = {.express = express[i]};
		struct pci_function *fn = open_good(&f);
		struct dma_region *region;
		struct pci_error why;

		assert_int_equal(pci_dma_create(fn, 4096, &region, &why), 0);
		assert_int_equal(region->iova[0], i < 2 ? 2 << 20 : UINT64_C(4) << 30);
		pci_close(fn);
		fake_stop(&f);
	}
}

static void dma_memory(void **state)
{
	struct fake f = {0};
	struct pci_function *fn = open_good(&f);
	struct dma_region *small, *large, *attached;
	struct pci_error why;
	uint8_t *theirs;
	int memfd;

	(void)state;
	assert_int_equal(pci_dma_create(fn, 5000, &small, &why), 0);
	assert_int_equal(small->size, 8192);
	assert_int_equal(small->chunks, 1);
	assert_int_equal(small->iova[0], UINT64_C(4) << 30);
	assert_int_equal(fcntl(small->memfd, F_GET_SEALS), 7);
	assert_int_equal(pci_dma_create(fn, 5 << 20, &large, &why), 0);
	assert_int_equal(large->chunks, 3);
	assert_int_equal(large->iova[0], (UINT64_C(4) << 30) + (2 << 20));
	assert_int_equal(large->iova[2], large->iova[0] + (4 << 20));
	assert_int_equal(dma_iova(large, (2 << 20) + 5), large->iova[1] + 5);

	/* One map message a region, with memory that both sides see. */
	assert_int_equal(f.maps, 2);
	assert_int_equal(f.map[1].iova, large->iova[0]);
	assert_int_equal(f.map[1].size, 5 << 20);
	assert_int_equal(f.map[1].offset, 0);
	theirs = mmap(NULL, 5 << 20, PROT_READ, MAP_SHARED, f.map[1].fd, 0);
	assert_ptr_not_equal(theirs, MAP_FAILED);
	assert_int_equal(theirs[(5 << 20) - 1], 0);
	large->base[(5 << 20) - 1] = 0xa5;
	assert_int_equal(theirs[(5 << 20) - 1], 0xa5);
	munmap(theirs, 5 << 20);

	assert_int_equal(pci_dma_create(fn, 0, &attached, &why), -EINVAL);
	assert_int_equal(pci_dma_create(fn, (1u << 30) + 1, &attached, &why), -EINVAL);

	/* Somebody else's memory: sealed or not at all. */
	memfd = memfd_create("client", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(memfd, 8192), 0);
	assert_int_equal(pci_dma_attach(fn, memfd, &attached, &why), -EINVAL);
	assert_non_null(strstr(why.text, "not sealed"));
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(pci_dma_attach(fn, memfd, &attached, &why), -EINVAL);
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(pci_dma_attach(fn, memfd, &attached, &why), 0);
	assert_int_not_equal(attached->memfd, memfd);
	close(memfd);
	attached->base[8191] = 1;
	assert_int_equal(f.maps, 3);
	memfd = memfd_create("odd", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(memfd, 8193), 0);
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
	assert_int_equal(pci_dma_attach(fn, memfd, &attached, &why), -EINVAL);
	close(memfd);
	assert_int_equal(pci_dma_attach(fn, STDIN_FILENO, &attached, &why), -EINVAL);

	/* Addresses are used again. */
	pci_dma_destroy(fn, large);
	assert_int_equal(f.maps, 2);
	assert_int_equal(pci_dma_create(fn, 4 << 20, &large, &why), 0);
	assert_int_equal(large->iova[0], (UINT64_C(4) << 30) + (2 << 20));
	assert_int_equal(f.maps, 3);
	pci_close(fn); /* with its regions */
	fake_stop(&f);
}

static void interrupts(void **state)
{
	struct fake f = {.max_fds = 2};
	struct pci_function *fn = open_good(&f);
	int fd[FAKE_VECTORS];
	uint64_t count;

	(void)state;
	assert_int_equal(pci_irq_count(fn, PCI_IRQ_MSIX), FAKE_VECTORS);
	assert_int_equal(pci_irq_count(fn, PCI_IRQ_MSI), 1);
	assert_int_equal(pci_irq_count(fn, PCI_IRQ_INTX), 1);
	assert_int_equal(pci_irq_count(fn, (enum pci_irq)3), 0);
	assert_int_equal(pci_irq_enable(fn, PCI_IRQ_MSIX, FAKE_VECTORS + 1, fd), -EINVAL);
	assert_int_equal(pci_irq_enable(fn, PCI_IRQ_MSIX, 0, fd), -EINVAL);
	assert_int_equal(f.irq_messages, 0);

	/* Two descriptors a message: three messages for five vectors, after one to switch each
	 * kind off.
	 */
	assert_int_equal(pci_irq_enable(fn, PCI_IRQ_MSIX, FAKE_VECTORS, fd), 0);
	assert_int_equal(f.irq_messages, 6);
	for (uint64_t i = 0; i < FAKE_VECTORS; i++) {
		assert_int_equal(read(fd[i], &count, 8), -1);
		assert_int_equal(errno, EAGAIN);
		count = i + 1;
		assert_int_equal(write(f.irq[2][i], &count, 8), 8);
	}
	for (uint64_t i = 0; i < FAKE_VECTORS; i++) {
		assert_int_equal(read(fd[i], &count, 8), 8);
		assert_int_equal(count, i + 1);
	}
	assert_int_equal(pci_irq_unmask(fn), 0);
	assert_int_equal(f.unmasks, 0);

	/* INTx takes MSI-X's place, and wants to be unmasked. */
	assert_int_equal(pci_irq_enable(fn, PCI_IRQ_INTX, 1, fd), 0);
	assert_int_equal(f.irq[2][0], -1);
	assert_true(f.irq[0][0] >= 0);
	assert_int_equal(pci_irq_unmask(fn), 0);
	assert_int_equal(f.unmasks, 1);
	pci_irq_disable(fn);
	assert_int_equal(f.irq[0][0], -1);
	assert_int_equal(fcntl(fd[0], F_GETFD), -1);
	pci_close(fn);
	fake_stop(&f);
}

static void quiesce(void **state)
{
	struct fake f = {0};
	struct pci_function *fn = open_good(&f);
	int fd[2];

	(void)state;
	f.config[4] = 0x06;
	assert_int_equal(pci_irq_enable(fn, PCI_IRQ_MSIX, 2, fd), 0);
	assert_int_equal(pci_quiesce(fn), 0);
	assert_int_equal(f.resets, 1);
	assert_int_equal(f.config[4], 0x02); /* decodes, masters nothing */
	assert_int_equal(f.irq[2][0], -1);
	/* Transactions that stay pending: it is reset, and said. */
	f.config[0x5a] = 0x20;
	assert_int_equal(pci_quiesce(fn), -ETIMEDOUT);
	assert_int_equal(f.resets, 2);
	pci_close(fn);
	fake_stop(&f);
}

/* pcid opens, a daemon carries on. */
static void hand_over(void **state)
{
	struct fake f = {.max_fds = 4};
	struct pci_function *fn = open_good(&f);
	struct pci_handover handover;
	struct dma_handover memory;
	struct dma_region *region, *taken, *more;
	struct pci_error why;
	struct pci_bar bar;
	unsigned id;
	int fd[PCI_HANDOVER_FDS], memfd;

	(void)state;
	assert_int_equal(pci_dma_create(fn, 3 << 20, &region, &why), 0);
	region->base[77] = 7;
	pci_dma_export(region, &memory);
	assert_int_equal(memory.size, 3 << 20);
	assert_int_equal(memory.chunks, 2);
	assert_int_equal(memory.iova[1], region->iova[1]);
	assert_int_equal(pci_export(fn, &handover, fd), 0);
	assert_int_equal(handover.fds, 1);
	assert_int_equal(fd[1], -1);
	memfd = fcntl(region->memfd, F_DUPFD_CLOEXEC, 0);
	fd[0] = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
	id = f.last_id;
	pci_close(fn);
	assert_int_equal(f.maps, 1);     /* still there for the card */
	assert_int_equal(f.last_id, id); /* and not a word was said */

	assert_int_equal(pci_import(&fn, &handover, fd, &why), 0);
	assert_int_equal(pci_ident(fn)->device, 0x1528);
	assert_true((uint16_t)(f.last_id - id) > 0 && (uint16_t)(f.last_id - id) < 16);
	assert_int_equal(pci_dma_import(fn, &memory, memfd, &taken, &why), 0);
	assert_int_equal(taken->base[77], 7);
	assert_int_equal(taken->iova[1], memory.iova[1]);
	assert_int_equal(f.maps, 1); /* the exporter had mapped it */

	/* What was taken over is taken. */
	assert_int_equal(pci_dma_create(fn, 4096, &more, &why), 0);
	assert_int_equal(more->iova[0], memory.iova[1] + (2 << 20));
	memfd = fcntl(taken->memfd, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(pci_dma_import(fn, &memory, memfd, &more, &why), -EBUSY);
	assert_int_equal(fcntl(memfd, F_GETFD), -1);
	pci_dma_destroy(fn, taken);
	assert_int_equal(f.maps, 2);

	assert_int_equal(pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why), 0);
	serve(&f, 0x3000, 99);
	assert_int_equal(reg_read(&bar, 0x3000), 99);
	pci_bar_unmap(&bar);

	/* The next owner quiets the interrupts of this one. */
	assert_int_equal(pci_irq_enable(fn, PCI_IRQ_MSIX, 1, fd), 0);
	assert_int_equal(pci_export(fn, &handover, fd), 0);
	fd[0] = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
	pci_close(fn);
	assert_true(f.irq[2][0] >= 0);
	assert_int_equal(pci_import(&fn, &handover, fd, &why), 0);
	assert_int_equal(pci_quiesce(fn), 0);
	assert_int_equal(f.irq[2][0], -1);
	pci_close(fn);
	fake_stop(&f);
}

static void bad_hand_over(void **state)
{
	struct fake f = {0};
	struct pci_function *fn = open_good(&f);
	struct pci_function *other;
	struct pci_handover good, bad;
	struct dma_handover memory = {.size = 8192, .chunks = 1, .iova = {UINT64_C(8) << 30}};
	struct dma_region *region;
	struct pci_error why;
	int fd[PCI_HANDOVER_FDS], before;

	(void)state;
	assert_int_equal(pci_export(fn, &good, fd), 0);
	for (unsigned i = 0; i < 9; i++) {
		int given[PCI_HANDOVER_FDS] = {-1, -1, -1};

		before = open_descriptors();
		bad = good;
		given[0] = fcntl(fd[0], F_DUPFD_CLOEXEC, 0);
		switch (i) {
		case 0: bad.kind = 3; break;
		case 1: bad.kind = 1; break; /* the address is another kind's */
		case 2: memset(bad.address, 'x', sizeof(bad.address)); break;
		case 3: strcpy(bad.address, "0000:01:00.0"); break;
		case 4: bad.state[0] = 0x10000; break;
		case 5: bad.state[1] = 0; break;
		case 6: bad.state[1] = 17; break;
		case 7: bad.fds = 2; break;
		default: /* no socket */
			close(given[0]);
			given[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
		}
		if (bad.fds == 2)
			given[1] = open("/dev/null", O_RDWR | O_CLOEXEC);
		assert_int_equal(pci_import(&other, &bad, given, &why), -EINVAL);
		assert_int_equal(open_descriptors(), before);
	}
	/* VFIO's three descriptors, none of which is VFIO's. */
	bad = good;
	bad.kind = 1;
	bad.fds = 3;
	strcpy(bad.address, "0000:01:00.0");
	before = open_descriptors();
	assert_int_equal(pci_import(&other, &bad,
				 (int[3]){open("/dev/null", O_RDWR), open("/dev/null", O_RDWR),
					 open("/dev/null", O_RDWR)},
				 &why),
		-EINVAL);
	assert_int_equal(open_descriptors(), before);

	/* Two of them: what stands where the third would be is not touched. */
	bad.fds = 2;
	assert_int_equal(
		pci_import(&other, &bad,
			(int[3]){open("/dev/null", O_RDWR), open("/dev/null", O_RDWR), fd[0]},
			&why),
		-EINVAL);
	assert_int_equal(open_descriptors(), before);
	/* An address without an end. */
	bad = good;
	memset(bad.address, 'p', sizeof(bad.address));
	memcpy(bad.address, "vfio-user:", 10);
	assert_int_equal(
		pci_import(&other, &bad, (int[3]){fcntl(fd[0], F_DUPFD_CLOEXEC, 0), -1, -1}, &why),
		-EINVAL);
	assert_int_equal(open_descriptors(), before);

	for (unsigned i = 0; i < 8; i++) {
		struct dma_handover wrong = memory;
		int memfd = memfd_create("frames", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		before = open_descriptors() - 1;
		assert_int_equal(ftruncate(memfd, i == 5 ? 4096 : 8192), 0);
		if (i != 6)
			assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
		switch (i) {
		case 0: wrong.size = 12288; break;
		case 1: wrong.chunks = 2; break;
		case 2: wrong.iova[0] = 0; break;
		case 3: wrong.iova[0] = 0xfee00000; break;
		case 4: wrong.iova[0] += 8; break;
		case 7: wrong.iova[0] = UINT64_MAX - 4095; break;
		default: break;
		}
		assert_true(pci_dma_import(fn, &wrong, memfd, &region, &why) < 0);
		assert_int_equal(open_descriptors(), before);
	}
	assert_int_equal(f.maps, 0);
	pci_close(fn);
	fake_stop(&f);
}

/* --- bad --- */

struct bad_case {
	struct fake_mischief mischief;
	int error;
	const char *text;
};

#define REGION(offset, value)                                                        \
	{                                                                            \
		VFIO_USER_DEVICE_GET_REGION_INFO, 0, FAKE_PATCH, offset, value, NULL \
	}
#define DEED(command, deed)                              \
	{                                                \
		VFIO_USER_##command, 0, deed, 0, 0, NULL \
	}

static const struct bad_case bad_opens[] = {
	{DEED(VERSION, FAKE_DIE), -EPROTO, "no vfio-user server"},
	{DEED(VERSION, FAKE_DIE_HALF), -EPROTO, "no vfio-user server"},
	{DEED(VERSION, FAKE_DIE_PAYLOAD), -EPROTO, "no vfio-user server"},
	{DEED(VERSION, FAKE_WRONG_ID), -EPROTO, "no vfio-user server"},
	{DEED(VERSION, FAKE_WRONG_COMMAND), -EPROTO, "no vfio-user server"},
	{DEED(VERSION, FAKE_WRONG_TYPE), -EPROTO, "no vfio-user server"},
	{DEED(VERSION, FAKE_TINY), -EPROTO, "no vfio-user server"},
	{DEED(VERSION, FAKE_HUGE), -EPROTO, "no vfio-user server"},
	{DEED(VERSION, FAKE_FD), -EPROTO, "no vfio-user server"},
	{DEED(VERSION, FAKE_FDS), -EPROTO, "no vfio-user server"},
	{DEED(VERSION, FAKE_FLOOD), -EPROTO, "no vfio-user server"},
	{DEED(VERSION, FAKE_UNASKED_FD), -EPROTO, "no vfio-user server"},
	{{VFIO_USER_VERSION, 0, FAKE_REFUSE, 0, EBUSY, NULL}, -EBUSY, "refuses"},
	{{VFIO_USER_VERSION, 0, FAKE_PATCH, 0, 1, NULL}, -EPROTO, "version 1.0"},
	{{VFIO_USER_VERSION, 0, FAKE_PATCH, 0, 1u << 16, NULL}, -EPROTO, "version 0.1"},
	{{VFIO_USER_VERSION, 0, FAKE_TEXT, 0, 0, "{"}, -EPROTO, "JSON"},
	{{VFIO_USER_VERSION, 0, FAKE_TEXT, 0, 0, "[]"}, -EPROTO, "JSON"},
	{{VFIO_USER_VERSION, 0, FAKE_TEXT, 0, 0, "{\"capabilities\":3}"}, -EPROTO, "JSON"},
	{{VFIO_USER_VERSION, 0, FAKE_TEXT, 0, 0, "{\"capabilities\":{\"max_msg_fds\":0}}"}, -EPROTO,
		"max_msg_fds"},
	{{VFIO_USER_VERSION, 0, FAKE_TEXT, 0, 0, "{\"capabilities\":{\"max_msg_fds\":\"8\"}}"},
		-EPROTO, "max_msg_fds"},
	{{VFIO_USER_VERSION, 0, FAKE_TEXT, 0, 0, "{\"capabilities\":{\"max_data_xfer_size\":3}}"},
		-EPROTO, "max_data_xfer_size"},
	{DEED(DEVICE_GET_INFO, FAKE_DIE), -ENODEV, "closed"},
	{DEED(DEVICE_GET_INFO, FAKE_SHORT), -EPROTO, "not in order"},
	{DEED(DEVICE_GET_INFO, FAKE_LONG), -EPROTO, "not in order"},
	{DEED(DEVICE_GET_INFO, FAKE_REFUSE_LONG), -EPROTO, "not in order"},
	{{VFIO_USER_DEVICE_GET_INFO, 0, FAKE_REFUSE, 0, EPERM, NULL}, -EPERM, "refuses"},
	{{VFIO_USER_DEVICE_GET_INFO, 0, FAKE_REFUSE, 0, 0, NULL}, -EIO, "refuses"},
	{{VFIO_USER_DEVICE_GET_INFO, 0, FAKE_REFUSE, 0, 0x80000005, NULL}, -EIO, "refuses"},
	{{VFIO_USER_DEVICE_GET_INFO, 0, FAKE_PATCH, 4, 1, NULL}, -EPROTO, "no PCI device"},
	{{VFIO_USER_DEVICE_GET_INFO, 0, FAKE_PATCH, 8, 7, NULL}, -EPROTO, "7 regions"},
	{{VFIO_USER_DEVICE_GET_INFO, 0, FAKE_PATCH, 8, UINT32_MAX, NULL}, -EPROTO, "regions"},
	{{VFIO_USER_DEVICE_GET_INFO, 0, FAKE_PATCH, 12, 2, NULL}, -EPROTO, "2 kinds"},
	{{VFIO_USER_DEVICE_GET_INFO, 0, FAKE_PATCH, 12, 65, NULL}, -EPROTO, "65 kinds"},
	{DEED(DEVICE_GET_REGION_INFO, FAKE_DIE), -ENODEV, "closed"},
	{DEED(DEVICE_GET_REGION_INFO, FAKE_SHORT), -EPROTO, "not in order"},
	{DEED(DEVICE_GET_REGION_INFO, FAKE_LONG), -EPROTO, "not in order"},
	{DEED(DEVICE_GET_REGION_INFO, FAKE_FDS), -EPROTO, "not in order"},
	{DEED(DEVICE_GET_REGION_INFO, FAKE_UNASKED_FD), -EPROTO, "not in order"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 0, FAKE_UNASKED, 0, UINT32_MAX, NULL}, -EPROTO,
		"not in order"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 0, FAKE_UNASKED, 0, 15, NULL}, -EPROTO, "not in order"},
	{REGION(0, 2000), -EPROTO, "in 2000 bytes"},
	{REGION(8, 3), -EPROTO, "as 3"},
	{REGION(16, 63), -EPROTO, "config space of 63 bytes"},
	{REGION(16, 4097), -EPROTO, "config space of 4097 bytes"},
	{DEED(REGION_READ, FAKE_DIE), -ENODEV, "config space"},
	{DEED(REGION_READ, FAKE_SHORT), -EPROTO, "config space"},
	{DEED(REGION_READ, FAKE_LONG), -EPROTO, "config space"},
	{DEED(REGION_READ, FAKE_FD), -EPROTO, "config space"},
	{{VFIO_USER_REGION_READ, 0, FAKE_PATCH, 0, 4, NULL}, -EPROTO, "config space"},
	{{VFIO_USER_REGION_READ, 0, FAKE_PATCH, 8, 0, NULL}, -EPROTO, "config space"},
	{{VFIO_USER_REGION_READ, 0, FAKE_PATCH, 12, 8, NULL}, -EPROTO, "config space"},
	{{VFIO_USER_REGION_READ, 0, FAKE_PATCH, 16, UINT32_MAX, NULL}, -ENODEV, "plugged in"},
	{{VFIO_USER_REGION_READ, 2, FAKE_REFUSE, 0, EIO, NULL}, -EIO, "config space"},
	{{VFIO_USER_REGION_READ, 3, FAKE_REFUSE, 0, EIO, NULL}, -EIO, "config space"},
	{{VFIO_USER_REGION_READ, 7, FAKE_REFUSE, 0, EIO, NULL}, -EIO, "config space"},
};

static void opens_that_fail(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_opens) / sizeof(bad_opens[0]); i++) {
		const struct bad_case *bad = &bad_opens[i];
		struct fake f = {.mischief = bad->mischief};
		struct pci_function *fn = NULL;
		struct pci_error why = {""};
		int before = open_descriptors();
		int error;

		fake_start(&f);
		error = pci_open(&fn, f.address, &why);
		if (error != bad->error || !strstr(why.text, bad->text) ||
			strncmp(why.text, f.address, strlen(f.address)) != 0)
			fail_msg("case %zu: %d (%d expected), \"%s\" (\"%s\" expected)", i, error,
				bad->error, why.text, bad->text);
		fake_stop(&f);
		assert_null(fn);
		assert_int_equal(open_descriptors(), before);
	}
}

/* Requests of memory before a reply are refused, and change nothing. */
static void unasked(void **state)
{
	struct fake f = {.mischief = DEED(DEVICE_GET_INFO, FAKE_UNASKED)};
	struct pci_function *fn = open_good(&f);

	(void)state;
	assert_int_equal(f.refusals, 1);
	assert_false(pci_check_gone(fn));
	pci_close(fn);
	fake_stop(&f);
}

/* The same while nothing is under way: the socket is readable, the card is not gone. A message that
 * is no command ends the connection.
 */
static void unasked_later(void **state)
{
	static const uint32_t sizes[] = {0, 15};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fake f = {.mischief = {VFIO_USER_DEVICE_GET_IRQ_INFO, 0, FAKE_UNASKED_LATER,
					 0, sizes[i], NULL}};
		struct pci_function *fn = open_good(&f);
		struct pollfd p = {.fd = pci_gone_fd(fn), .events = POLLIN};

		assert_int_equal(pci_irq_count(fn, PCI_IRQ_MSIX), FAKE_VECTORS);
		assert_int_equal(poll(&p, 1, 5000), 1);
		assert_int_equal(pci_check_gone(fn), sizes[i] != 0);
		assert_int_equal(poll(&p, 1, 0), sizes[i] != 0);
		if (!sizes[i]) {
			assert_int_equal(pci_irq_count(fn, PCI_IRQ_MSIX), FAKE_VECTORS);
			assert_int_equal(f.refusals, 1);
		}
		pci_close(fn);
		fake_stop(&f);
	}
}

static const struct bad_case bad_bars[] = {
	/* The first GET_REGION_INFO is config space's. */
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 20, 1, NULL}, -EPROTO, "bytes"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 16, 8, NULL}, -EPROTO, "area"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 12, 28, NULL}, -EPROTO, "no list"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 12, 34, NULL}, -EPROTO, "no list"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 12, 80, NULL}, -EPROTO, "no list"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 12, UINT32_MAX, NULL}, -EPROTO,
		"no list"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 36, 32, NULL}, -EPROTO, "no list"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 40, 3, NULL}, -EPROTO, "3 areas"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 40, UINT32_MAX, NULL}, -EPROTO, "areas"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 48, 0x1004, NULL}, -EPROTO, "area"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 52, 1, NULL}, -EPROTO, "area"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 56, 0x20000, NULL}, -EPROTO, "area"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 60, UINT32_MAX, NULL}, -EPROTO, "area"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 24, 0x800, NULL}, -EPROTO, "place"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 28, 0x80000000, NULL}, -EPROTO, "place"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_FD, 0, 0, NULL}, -EPROTO, "not in order"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_DIE_PAYLOAD, 0, 0, NULL}, -ENODEV, "closed"},
	{{VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_REFUSE, 0, EINVAL, NULL}, -EINVAL, "refuses"},
	{{VFIO_USER_REGION_WRITE, 0, FAKE_REFUSE, 0, EACCES, NULL}, -EACCES, "memory access"},
};

static void bars_that_fail(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_bars) / sizeof(bad_bars[0]); i++) {
		const struct bad_case *bad = &bad_bars[i];
		struct fake f = {.mischief = bad->mischief};
		struct pci_error why = {""};
		struct pci_bar bar;
		int before = open_descriptors();
		struct pci_function *fn = open_good(&f);
		int error = pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why);

		if (error != bad->error || !strstr(why.text, bad->text) ||
			strncmp(why.text, f.address, strlen(f.address)) != 0)
			fail_msg("case %zu: %d (%d expected), \"%s\" (\"%s\" expected)", i, error,
				bad->error, why.text, bad->text);
		pci_close(fn);
		fake_stop(&f);
		assert_int_equal(open_descriptors(), before);
	}
}

/* A file that is smaller than what is said of it is not mapped. */
static void short_file(void **state)
{
	struct fake f = {.mischief = {VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 24,
				 FAKE_BAR_SIZE - 0x6000, NULL}};
	struct pci_function *fn = open_good(&f);
	struct pci_error why;
	struct pci_bar bar;

	(void)state;
	assert_int_equal(pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why), 0);
	serve(&f, 0x6000, 17);
	assert_int_equal(reg_read(&bar, 0x6000), 17);
	assert_int_equal(f.reads, 1); /* its page lay behind the file's end */
	pci_bar_unmap(&bar);
	pci_close(fn);
	fake_stop(&f);
}

/* The size of a BAR need not be what anybody expects. */
static void odd_sizes(void **state)
{
	static const uint32_t sizes[] = {FAKE_BAR_SIZE - 2, 0x80000};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fake f = {.mischief = {VFIO_USER_DEVICE_GET_REGION_INFO, 1, FAKE_PATCH, 16,
					 sizes[i], NULL}};
		struct pci_function *fn = open_good(&f);
		struct pci_error why;
		struct pci_bar bar;

		assert_int_equal(pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why), 0);
		assert_int_equal(bar.size, sizes[i]);
		/* Only half of the last register lies inside. */
		assert_int_equal(reg_read(&bar, FAKE_BAR_SIZE - 4), i == 0 ? UINT32_MAX : 0);
		assert_int_equal(bar_misuse(&bar), i == 0);
		/* Page 0x46, of which nothing is known, is not taken for page 6, which is mapped.
		 */
		f.reads = 0;
		assert_int_equal(reg_read(&bar, 0x46000), UINT32_MAX);
		assert_int_equal(
			f.reads, i == 0 ? 0 : 1); /* of FAKE_ALIVE: the server refused the other */
		assert_false(pci_gone(fn));
		pci_bar_unmap(&bar);
		pci_close(fn);
		fake_stop(&f);
	}
}

static void later_failures(void **state)
{
	static const struct {
		struct fake_mischief mischief;
		int error;
	} cases[] = {
		{{VFIO_USER_DMA_MAP, 0, FAKE_REFUSE, 0, ENOMEM, NULL}, -ENOMEM},
		{{VFIO_USER_DMA_MAP, 0, FAKE_LONG, 0, 0, NULL}, -EPROTO},
		{{VFIO_USER_DMA_MAP, 0, FAKE_DIE, 0, 0, NULL}, -ENODEV},
		{{VFIO_USER_DMA_MAP, 0, FAKE_FD, 0, 0, NULL}, -EPROTO},
		/* Three messages switch the kinds off, the fourth and fifth bring vectors. */
		{{VFIO_USER_DEVICE_SET_IRQS, 4, FAKE_REFUSE, 0, EINVAL, NULL}, -EINVAL},
		{{VFIO_USER_DEVICE_SET_IRQS, 4, FAKE_DIE_HALF, 0, 0, NULL}, -ENODEV},
		{{VFIO_USER_DEVICE_SET_IRQS, 3, FAKE_LONG, 0, 0, NULL}, -EPROTO},
		{{VFIO_USER_DEVICE_GET_IRQ_INFO, 0, FAKE_PATCH, 12, 2049, NULL}, -ENOTSUP},
		{{VFIO_USER_DEVICE_GET_IRQ_INFO, 0, FAKE_PATCH, 12, UINT32_MAX, NULL}, -ENOTSUP},
		{{VFIO_USER_DEVICE_GET_IRQ_INFO, 0, FAKE_PATCH, 8, 1, NULL}, -ENOTSUP},
		{{VFIO_USER_DEVICE_GET_IRQ_INFO, 0, FAKE_PATCH, 4, 0, NULL}, -ENOTSUP},
		{{VFIO_USER_DEVICE_RESET, 0, FAKE_REFUSE, 0, EBUSY, NULL}, -EBUSY},
		{{VFIO_USER_DEVICE_RESET, 0, FAKE_WRONG_ID, 0, 0, NULL}, -EPROTO},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fake f = {.mischief = cases[i].mischief};
		int before = open_descriptors();
		struct pci_function *fn = open_good(&f);
		struct dma_region *region;
		struct pci_error why;
		int fd[2], error;

		error = pci_dma_create(fn, 4096, &region, &why);
		if (!error)
			error = pci_irq_enable(fn, PCI_IRQ_MSIX, 2, fd);
		if (!error)
			error = pci_quiesce(fn);
		if (error != cases[i].error)
			fail_msg("case %zu: %d, not %d", i, error, cases[i].error);
		assert_int_equal(pci_gone(fn), error == -EPROTO || error == -ENODEV);
		pci_close(fn);
		fake_stop(&f);
		assert_int_equal(open_descriptors(), before);
	}
}

/* The server dies at a register access. */
static void death(void **state)
{
	struct fake f = {.mischief = {VFIO_USER_REGION_READ, 14, FAKE_DIE, 0, 0, NULL}};
	struct pci_function *fn = open_good(&f);
	struct pollfd p = {.fd = pci_gone_fd(fn), .events = POLLIN};
	struct pci_error why;
	struct pci_bar bar;
	unsigned reads = 0;

	(void)state;
	assert_int_equal(pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	assert_false(pci_check_gone(fn));
	while (!pci_gone(fn) && reads < 20) {
		reg_read(&bar, 0x2000);
		reads++;
	}
	assert_in_range(reads, 1, 10);
	assert_int_equal(poll(&p, 1, 5000), 1);
	assert_true(pci_check_gone(fn));
	assert_int_equal(reg_read(&bar, 0x1000), UINT32_MAX);
	pci_bar_unmap(&bar);
	pci_close(fn);
	fake_stop(&f);
}

/* It dies between two accesses: the descriptor tells, and a posted write finds out too. */
static void quiet_death(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct fake f = {.mischief = {VFIO_USER_DEVICE_GET_IRQ_INFO, 0, FAKE_DIE_PAYLOAD, 0,
					 0, NULL}};
		struct pci_function *fn = open_good(&f);
		struct pollfd p = {.fd = pci_gone_fd(fn), .events = POLLIN};
		struct pci_error why;
		struct pci_bar bar;

		assert_int_equal(pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why), 0);
		/* shutdown() of our side ends the server, as if by itself. */
		assert_int_equal(shutdown(pci_gone_fd(fn), SHUT_WR), 0);
		assert_int_equal(poll(&p, 1, 5000), 1);
		if (i == 0)
			assert_true(pci_check_gone(fn));
		else
			reg_write(&bar, 0x2000, 1);
		assert_true(pci_gone(fn));
		pci_bar_unmap(&bar);
		pci_close(fn);
		fake_stop(&f);
	}
}

/* One bit of one reply is wrong: an error or not, but never a crash, a leak or an endless wait. */
static void flipped_bits(void **state)
{
	static const uint16_t commands[] = {VFIO_USER_VERSION, VFIO_USER_DEVICE_GET_INFO,
		VFIO_USER_DEVICE_GET_REGION_INFO, VFIO_USER_DEVICE_GET_REGION_INFO,
		VFIO_USER_REGION_READ};
	int before = open_descriptors();

	(void)state;
	for (unsigned i = 0; i < 5 * 350; i++) {
		struct fake f = {.max_fds = 8,
			.mischief = {commands[i % 5], i % 5 == 3, FAKE_FLIP, 0, i / 5 * 3 + i % 3,
				NULL}};
		struct pci_function *fn = NULL;
		struct pci_error why = {""};
		struct pci_bar bar;

		fake_start(&f);
		if (pci_open(&fn, f.address, &why) == 0) {
			if (pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why) == 0)
				pci_bar_unmap(&bar);
			pci_close(fn);
		}
		/* The server ended the connection in any case. */
		assert_true(strncmp(why.text, f.address, strlen(f.address)) == 0);
		fake_stop(&f);
	}
	assert_int_equal(open_descriptors(), before);
}

/* --- no server --- */

static void expect_open(const char *address, int error, const char *text)
{
	struct pci_function *fn = NULL;
	struct pci_error why = {""};
	int before = open_descriptors();
	int result = pci_open(&fn, address, &why);

	if (result != error || !strstr(why.text, text))
		fail_msg("%s: %d (%d expected), \"%s\" (\"%s\" expected)", address, result, error,
			why.text, text);
	assert_int_equal(open_descriptors(), before);
}

static void no_server(void **state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	char dir[] = "/tmp/no-server-XXXXXX";
	char address[128], path[108];
	int listener, file;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	snprintf(address, sizeof(address), "vfio-user:%s", path);
	memcpy(name.sun_path, path, sizeof(path));
	expect_open(address, -ENOENT, "start the server");

	file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	close(file);
	expect_open(address, -ENOENT, "is no socket");
	unlink(path);

	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(listener, 1), 0);
	expect_open(address, -EPROTO, "no vfio-user server");
	close(listener);
	unlink(path);

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(listener, 1), 0);
	/* Somebody who may not write to the socket (root may: so another user, if this is root). */
	assert_int_equal(chmod(path, 0400), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	if (fork() == 0) {
		struct pci_function *fn;
		struct pci_error why = {""};

		if (geteuid() == 0 && setresuid(65534, 65534, 65534))
			_exit(2);
		_exit(pci_open(&fn, address, &why) != -EACCES || !strstr(why.text, "not allowed"));
	} else {
		int status;

		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	close(listener);
	expect_open(address, geteuid() ? -EACCES : -ENOENT, geteuid() ? "allowed" : "any more");
	unlink(path);
	rmdir(dir);
}

/* --- no answer: all of them wait at the same time --- */

static void *stall_at_version(void *argument)
{
	struct fake f = {.mischief = DEED(VERSION, FAKE_STALL)};
	struct pci_function *fn;

	fake_start(&f);
	*(int *)argument = pci_open(&fn, f.address, NULL);
	fake_stop(&f);
	return NULL;
}

static void *stall_at_register(void *argument)
{
	struct fake f = {.mischief = {VFIO_USER_REGION_READ, 10, FAKE_STALL, 0, 0, NULL}};
	struct pci_function *fn;
	struct pci_bar bar;

	fake_start(&f);
	*(int *)argument = -1;
	if (pci_open(&fn, f.address, NULL) == 0 &&
		pci_bar_map(fn, 0, FAKE_ALIVE, &bar, NULL) == 0) {
		for (unsigned i = 0; i < 5; i++)
			reg_read(&bar, 0x2000);
		*(int *)argument = pci_gone(fn);
		pci_bar_unmap(&bar);
		pci_close(fn);
	}
	fake_stop(&f);
	return NULL;
}

/* Takes no more messages: posted writes fill the socket, then the card is gone. */
static void *deaf(void *argument)
{
	struct fake f = {.not_mappable = true, .mischief = DEED(REGION_WRITE, FAKE_DEAF)};
	struct pci_function *fn;
	struct pci_bar bar;

	fake_start(&f);
	f.config[4] = 0x02; /* so that mapping the BAR writes nothing */
	*(int *)argument = -1;
	if (pci_open(&fn, f.address, NULL) == 0 &&
		pci_bar_map(fn, 0, FAKE_ALIVE, &bar, NULL) == 0) {
		unsigned i = 0;

		while (!pci_gone(fn) && i < 1000000) {
			reg_write(&bar, 0x2000, i);
			i++;
		}
		*(int *)argument = pci_gone(fn) && i > 100;
		pci_bar_unmap(&bar);
		pci_close(fn);
	}
	fake_stop(&f);
	return NULL;
}

/* Listens and never accepts; its backlog is full. */
static void *full_backlog(void *argument)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	char dir[] = "/tmp/backlog-XXXXXX";
	char address[128];
	struct pci_function *fn;
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int other[4];

	if (!mkdtemp(dir))
		abort();
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", dir);
	snprintf(address, sizeof(address), "vfio-user:%s", name.sun_path);
	if (bind(listener, (struct sockaddr *)&name, sizeof(name)) || listen(listener, 0))
		abort();
	for (unsigned i = 0; i < 4; i++) {
		other[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)!connect(other[i], (struct sockaddr *)&name, sizeof(name));
	}
	*(int *)argument = pci_open(&fn, address, NULL);
	for (unsigned i = 0; i < 4; i++)
		close(other[i]);
	close(listener);
	unlink(name.sun_path);
	rmdir(dir);
	return NULL;
}

static void no_answer(void **state)
{
	static void *(*const waits[])(void *) = {
		stall_at_version, stall_at_register, deaf, full_backlog};
	static const int expected[] = {-ETIMEDOUT, 1, 1, -ETIMEDOUT};
	pthread_t thread[4];
	int result[4];
	int before = open_descriptors();

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, waits[i], &result[i]), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(result[i], expected[i]);
	assert_int_equal(open_descriptors(), before);
}

/* Two threads use registers of one function at the same time. */
struct worker {
	const struct pci_bar *bar;
	uint32_t offset;
	unsigned wrong;
};

static void *work(void *argument)
{
	struct worker *w = argument;

	for (uint32_t i = 0; i < 2000; i++) {
		reg_write(w->bar, w->offset, i);
		w->wrong += reg_read(w->bar, w->offset) != i;
	}
	return NULL;
}

static void two_threads(void **state)
{
	struct fake f = {0};
	struct pci_function *fn = open_good(&f);
	struct pci_error why;
	struct pci_bar bar;
	struct worker w[2] = {{&bar, 0x2000, 0}, {&bar, 0x3000, 0}};
	pthread_t thread[2];

	(void)state;
	assert_int_equal(pci_bar_map(fn, 0, FAKE_ALIVE, &bar, &why), 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, work, &w[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(w[0].wrong + w[1].wrong, 0);
	assert_false(pci_gone(fn));
	pci_bar_unmap(&bar);
	pci_close(fn);
	fake_stop(&f);
}

static int before_all;

static int count_descriptors(void **state)
{
	(void)state;
	before_all = open_descriptors();
	return 0;
}

static int no_descriptor_leaked(void **state)
{
	(void)state;
	return open_descriptors() == before_all ? 0 : -1;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, count_descriptors, no_descriptor_leaked)
	const struct CMUnitTest tests[] = {
		TEST(identity_and_config),
		TEST(registers),
		TEST(narrow_registers),
		TEST(mapping_kinds),
		TEST(direct_registers),
		TEST(all_ones),
		TEST(dma_addresses),
		TEST(dma_memory),
		TEST(interrupts),
		TEST(quiesce),
		TEST(hand_over),
		TEST(bad_hand_over),
		TEST(opens_that_fail),
		TEST(unasked),
		TEST(unasked_later),
		TEST(bars_that_fail),
		TEST(short_file),
		TEST(odd_sizes),
		TEST(later_failures),
		TEST(death),
		TEST(quiet_death),
		TEST(flipped_bits),
		TEST(no_server),
		TEST(no_answer),
		TEST(two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
