/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Opening, handing over and closing a function; its config space; quiescing it.
 */
#include "pci/pci.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pci/function.h"

#define CONFIG_MIN 64u   /* the header that every function has */
#define CONFIG_MAX 4096u /* PCI Express Base 3.0, 7.2 */

#define PCI_STATUS              0x06u
#define PCI_STATUS_CAPABILITIES (1u << 4)
#define PCI_CAPABILITIES        0x34u
#define PCI_CAP_EXPRESS         0x10u
#define EXPRESS_FLAGS           0x02u /* PCI Express Capabilities (7.8.2) */
#define EXPRESS_VERSION         0x0fu
#define EXPRESS_STATUS          0x0au /* Device Status (PCI Express Base 3.0, 7.8.5) */
#define EXPRESS_STATUS_PENDING  (1u << 5)
#define PENDING_TIMEOUT_MS      1000u /* above the longest completion time-out a card here sets */
#define FIRST_CAPABILITY        0x40u
#define MAX_CAPABILITIES        48u /* as many 4-byte entries as fit between 0x40 and 0xff */

void pci_function_init(
	struct pci_function *fn, const struct pci_backend *backend, const char *address)
{
	fn->backend = backend;
	memcpy(fn->address, address, strlen(address) + 1);
	fn->gone_fd = -1;
}

/* Whether addresses above 4 GiB may be too much for the card, or for a bridge in front of it: on
 * conventional PCI they take a second address cycle, which not all are good at (Linux: some 8254x
 * hang), and some of the first on PCI Express are not trusted with them either (Linux: RTL8168B).
 * Or -errno.
 */
static int is_old(struct pci_function *fn)
{
	int express = pci_find_capability(fn, PCI_CAP_EXPRESS);
	uint32_t flags;
	int error;

	if (express <= 0)
		return express ? express : true;
	error = pci_config_read(fn, (unsigned)express + EXPRESS_FLAGS, 2, &flags);
	return error ? error : (flags & EXPRESS_VERSION) < 2;
}

/* What an open function needs to know of itself: the size of config space, its identity, and which
 * addresses are good for it.
 */
static int learn(struct pci_function *fn, struct pci_error *why)
{
	_Alignas(8) uint8_t info[PCI_MAX_INFO];
	struct pci_region region;
	struct pci_error what = {""};
	uint32_t ids, class, subsystem;
	int fd, size, error, old = 0;

	size = fn->backend->region(fn, VFIO_PCI_CONFIG_REGION_INDEX, info, &fd, why);
	if (size < 0)
		return size;
	if (fd >= 0)
		close(fd); /* config space is never mapped */
	error = pci_parse_region(&region, info, (size_t)size, &what);
	if (!error && (region.size < CONFIG_MIN || region.size > CONFIG_MAX))
		error = pci_fail(&what, -EPROTO, "config space of %llu bytes",
			(unsigned long long)region.size);
	if (error)
		return pci_fail(why, error, "%s: %s", fn->address, what.text);
	fn->config_size = (uint32_t)region.size;
	error = pci_config_read(fn, 0x00, 4, &ids);
	if (!error)
		error = pci_config_read(fn, 0x08, 4, &class);
	if (!error)
		error = pci_config_read(fn, 0x2c, 4, &subsystem);
	if (!error)
		old = is_old(fn);
	if (old < 0)
		error = old;
	if (error)
		return pci_fail(why, error, "%s: config space can't be read: %s", fn->address,
			strerror(-error));
	if (ids == UINT32_MAX)
		return pci_fail(why, -ENODEV,
			"%s: the card does not answer: is it still plugged in?", fn->address);
	fn->id = (struct pci_id){
		.vendor = (uint16_t)ids,
		.device = (uint16_t)(ids >> 16),
		.subvendor = (uint16_t)subsystem,
		.subdevice = (uint16_t)(subsystem >> 16),
		.class_code = class >> 8,
		.revision = (uint8_t) class,
	};
	fn->iova.low = old;
	return 0;
}

int pci_open(struct pci_function **out, const char *address, struct pci_error *why)
{
	char name[PCI_ADDRESS_SIZE];
	struct pci_function *fn = NULL;
	int kind = pci_parse_address(address, name);
	int error;

	if (kind < 0 && strnlen(address, PCI_ADDRESS_SIZE) == PCI_ADDRESS_SIZE)
		return pci_fail(why, kind,
			"%.100s...: longer than the %zu bytes of an address: "
			"relative paths are shorter",
			address, PCI_ADDRESS_SIZE - 1);
	if (kind < 0)
		return pci_fail(why, kind,
			"%.120s: no address of a PCI function: like 0000:01:00.0, vfio-user:PATH "
			"or "
			"sim:WIRE",
			address);
	error = kind == PCI_KIND_VFIO ? vfio_open(&fn, name, why) : vfio_user_open(&fn, name, why);
	if (error)
		return error;
	error = learn(fn, why);
	if (error) {
		pci_close(fn);
		return error;
	}
	*out = fn;
	return 0;
}

int pci_export(struct pci_function *fn, struct pci_handover *handover, int fd[PCI_HANDOVER_FDS])
{
	if (pci_gone(fn))
		return -ENODEV;
	*handover = (struct pci_handover){0};
	for (size_t i = 0; i < PCI_HANDOVER_FDS; i++)
		fd[i] = -1;
	memcpy(handover->address, fn->address, sizeof(handover->address));
	fn->backend->export(fn, handover, fd);
	fn->exported = true;
	return 0;
}

int pci_import(struct pci_function **out, const struct pci_handover *handover,
	const int fd[PCI_HANDOVER_FDS], struct pci_error *why)
{
	char name[PCI_ADDRESS_SIZE];
	struct pci_function *fn = NULL;
	int kind = pci_parse_address(handover->address, name);
	int error;

	if (kind == PCI_KIND_VFIO && handover->kind == PCI_KIND_VFIO && handover->fds == 3) {
		error = vfio_import(&fn, handover, fd, why);
	} else if (kind == PCI_KIND_VFIO_USER && handover->kind == PCI_KIND_VFIO_USER &&
		   handover->fds == 1) {
		error = vfio_user_import(&fn, handover, fd, why);
	} else {
		for (size_t i = 0; i < handover->fds && i < PCI_HANDOVER_FDS; i++)
			close(fd[i]);
		return pci_fail(why, -EINVAL, "what was handed over is no PCI function");
	}
	if (error)
		return error;
	error = learn(fn, why);
	if (error) {
		pci_close(fn);
		return error;
	}
	*out = fn;
	return 0;
}

void pci_close(struct pci_function *fn)
{
	if (!fn)
		return;
	if (!fn->exported)
		pci_irq_disable(fn);
	pci_irq_release(fn);
	pci_dma_release(fn);
	iova_fini(&fn->iova);
	fn->backend->close(fn);
}

const char *pci_address(const struct pci_function *fn)
{
	return fn->address;
}

const struct pci_id *pci_ident(const struct pci_function *fn)
{
	return &fn->id;
}

bool pci_by_kernel(const struct pci_function *fn)
{
	return fn->backend->kernel;
}

bool pci_gone(const struct pci_function *fn)
{
	return __atomic_load_n(&fn->gone, __ATOMIC_RELAXED);
}

const bool *pci_gone_flag(const struct pci_function *fn)
{
	return &fn->gone;
}

void pci_set_gone(struct pci_function *fn)
{
	__atomic_store_n(&fn->gone, true, __ATOMIC_RELAXED);
}

int pci_gone_fd(const struct pci_function *fn)
{
	return fn->gone_fd;
}

bool pci_check_gone(struct pci_function *fn)
{
	if (!pci_gone(fn) && fn->backend->check(fn))
		pci_set_gone(fn);
	return pci_gone(fn);
}

static int check_config(const struct pci_function *fn, unsigned offset, unsigned size)
{
	if ((size != 1 && size != 2 && size != 4) || offset % size != 0 ||
		offset >= fn->config_size)
		return -EINVAL;
	return pci_gone(fn) ? -ENODEV : 0;
}

int pci_config_read(struct pci_function *fn, unsigned offset, unsigned size, uint32_t *value)
{
	int error = check_config(fn, offset, size);

	if (error)
		return error;
	error = fn->backend->read(fn, VFIO_PCI_CONFIG_REGION_INDEX, offset, size, value);
	if (!error && fn->recorder)
		recorder_add(fn->recorder, FLIGHT_CONFIG_READ, (uint8_t)size, offset, *value);
	return error;
}

int pci_config_write(struct pci_function *fn, unsigned offset, unsigned size, uint32_t value)
{
	int error = check_config(fn, offset, size);

	if (error)
		return error;
	if (fn->recorder)
		recorder_add(fn->recorder, FLIGHT_CONFIG_WRITE, (uint8_t)size, offset, value);
	return fn->backend->write(fn, VFIO_PCI_CONFIG_REGION_INDEX, offset, size, value, false);
}

int pci_find_capability(struct pci_function *fn, uint8_t id)
{
	uint32_t status, at, entry;
	int error = pci_config_read(fn, PCI_STATUS, 2, &status);

	if (error)
		return error;
	if (!(status & PCI_STATUS_CAPABILITIES))
		return 0;
	error = pci_config_read(fn, PCI_CAPABILITIES, 1, &at);
	if (error)
		return error;
	for (unsigned n = 0; n < MAX_CAPABILITIES; n++) {
		at &= ~3u; /* its lower two bits are reserved */
		if (at < FIRST_CAPABILITY)
			return 0;
		error = pci_config_read(fn, at, 2, &entry);
		if (error)
			return error;
		if ((entry & 0xff) == id)
			return (int)at;
		at = entry >> 8 & 0xff;
	}
	return 0;
}

static int set_command(struct pci_function *fn, uint32_t clear, uint32_t set)
{
	uint32_t old;
	int error = pci_config_read(fn, PCI_COMMAND, 2, &old);

	if (error)
		return error;
	if (((old & ~clear) | set) == old)
		return 0;
	return pci_config_write(fn, PCI_COMMAND, 2, (old & ~clear) | set);
}

int pci_set_bus_master(struct pci_function *fn, bool on)
{
	return set_command(fn, on ? 0 : PCI_COMMAND_BUS_MASTER, on ? PCI_COMMAND_BUS_MASTER : 0);
}

int pci_set_memory(struct pci_function *fn)
{
	return set_command(fn, 0, PCI_COMMAND_MEMORY);
}

/* Waits until the function has no request of its own outstanding. */
static int wait_for_transactions(struct pci_function *fn)
{
	int express = pci_find_capability(fn, PCI_CAP_EXPRESS);
	uint32_t status;
	int error;

	if (express <= 0)
		return express;
	for (unsigned ms = 0;; ms++) {
		error = pci_config_read(fn, (unsigned)express + EXPRESS_STATUS, 2, &status);
		if (error)
			return error;
		if (!(status & EXPRESS_STATUS_PENDING))
			return 0;
		if (ms >= PENDING_TIMEOUT_MS)
			return -ETIMEDOUT;
		pci_delay_us(1000);
	}
}

int pci_quiesce(struct pci_function *fn)
{
	int pending, error;

	error = pci_set_bus_master(fn, false);
	if (error)
		return error;
	pending = wait_for_transactions(fn);
	if (pending && pending != -ETIMEDOUT)
		return pending;
	pci_irq_all_off(fn);
	error = fn->backend->reset(fn);
	if (fn->recorder)
		recorder_add(fn->recorder, FLIGHT_RESET, 0, 0, (uint32_t)error);
	if (error && error != -ENOTSUP)
		return error;
	/* A reset clears the command register; VFIO brings it back, a vfio-user server does not. */
	error = pci_set_memory(fn);
	return error ? error : pending;
}

void pci_delay_us(unsigned us)
{
	struct timespec left = {us / 1000000, us % 1000000 * 1000L};

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}
