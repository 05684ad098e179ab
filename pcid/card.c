/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A card: from its address to memory, scheme and a started driver; and back.
 */
#include "pcid/card.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pcid/control.h"
#include "pcid/life.h"
#include "pcid/orphan.h"
#include "pcid/state.h"

#define VFIO_USER   "vfio-user:"
#define RINGS_BYTES ((size_t)2 << 20) /* 16 queue pairs of the largest rings, 64 KiB each */

/* BARs in config space (PCI Local Bus 3.0, 6.2.5.1). */
#define CONFIG_BAR0 0x10u
#define CONFIG_IRQ  0x3cu

int card_create(struct card **out, struct pcid *pcid, const char *address)
{
	struct card *card = calloc(1, sizeof(*card));

	if (card == NULL)
		return -ENOMEM;
	card->pcid = pcid;
	card->listener.fd = -1;
	card->driver.channel.fd = -1;
	card->upgrade.channel.fd = card->upgrade.asker = card->control.fd = -1;
	card->asker.fd = -1;
	card->state_fd = -1;
	for (unsigned i = 0; i < PCID_REGIONS; i++)
		card->region_fd[i] = -1;
	if ((size_t)snprintf(card->address, sizeof(card->address), "%s", address) >=
		sizeof(card->address)) {
		complain("%s: the path is too long: give one of at most %zu bytes", address,
			sizeof(card->address) - sizeof(VFIO_USER));
		free(card);
		return -ENAMETOOLONG;
	}
	*out = card;
	return 0;
}

void card_destroy(struct card *card)
{
	char why[256];

	life_end(card);
	command_free(card->arguments);
	if (bind_restore(&card->binding, card->pcid->options.sysfs, why, sizeof(why)) != 0)
		complain("%s", why);
	free(card);
}

/* --- what it is called, and by whom it is served --- */

static int name_card(struct card *card)
{
	if (pcid_name(&card->name, card->address, card->entry->command[0]) != 0) {
		complain(
			"%s: cannot be the name of a scheme: use a short one of letters and digits",
			card->address);
		return -EINVAL;
	}
	for (size_t i = 0; i < card->pcid->cards; i++) {
		const struct card *other = card->pcid->card[i];

		if (other != card && strcmp(other->name.scheme, card->name.scheme) == 0) {
			complain("%s: network:%s is %s already: give its socket another name",
				card->address, card->name.scheme, other->address);
			return -EEXIST;
		}
	}
	return 0;
}

/* Entry, names and command. */
static int assign(struct card *card, struct command_values *values)
{
	struct pcid *pcid = card->pcid;
	int error;

	card->entry = config_match(&pcid->config, &card->id);
	if (card->entry == NULL) {
		complain("%s: no entry of the configuration serves %04x:%04x: add one, or give "
			 "another "
			 "--config",
			card->address, card->id.vendor, card->id.device);
		return -ENOENT;
	}
	error = name_card(card);
	if (error != 0)
		return error;
	error = command_find(card->entry->command[0], pcid->folder, getenv("PATH"), card->program,
		sizeof(card->program));
	if (error != 0) {
		complain("%s: driver %s %s: build or install it, or name its folder by "
			 "--driver-path",
			card->address, card->entry->command[0],
			error == -EACCES   ? "cannot be run"
			: error == -EINVAL ? "is a relative path"
					   : "is not found");
		return error;
	}
	values->name = card->name.card;
	values->id = card->id;
	error = command_expand(&card->arguments, card->entry->command, values);
	if (error != 0)
		complain("%s: no memory left", card->address);
	return error;
}

/* --- what commands want to know --- */

static void read_bars(struct pci_function *fn, struct command_values *values)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < COMMAND_BARS; i++) {
		uint32_t high = 0;
		struct pci_bar bar;

		if (pci_config_read(fn, CONFIG_BAR0 + 4 * i, 4, &value) != 0 ||
			pci_bar_map(fn, i, 0, &bar, NULL) != 0)
			continue;
		values->bar_size[i] = bar.size;
		pci_bar_unmap(&bar);
		/* Bits 2:1 are 2 where the next BAR holds the upper half. */
		if ((value & 7) == 4 && i + 1 < COMMAND_BARS)
			(void)pci_config_read(fn, CONFIG_BAR0 + 4 * i + 4, 4, &high);
		values->bar[i] = (uint64_t)high << 32 | (value & ~(uint32_t)0xf);
	}
	if (pci_config_read(fn, CONFIG_IRQ, 1, &value) == 0)
		values->irq = value;
}

static void bus_values(const struct bus_function *f, struct command_values *values)
{
	values->bus = f->bus;
	values->device = f->device;
	values->function = f->function;
	values->irq = f->irq;
	memcpy(values->bar, f->bar, sizeof(values->bar));
	memcpy(values->bar_size, f->bar_size, sizeof(values->bar_size));
}

int card_plan(struct card *card)
{
	struct command_values values = {0};
	const struct bus_function *f = bus_find(&card->pcid->bus, card->address);

	if (f == NULL) {
		complain("%s: there is no such PCI function: see pcid --list", card->address);
		return -ENOENT;
	}
	bus_values(f, &values);
	card->id = (struct pci_id){
		.vendor = f->vendor_id,
		.device = f->device_id,
		.subvendor = f->subvendor_id,
		.subdevice = f->subdevice_id,
		.class_code = f->class,
		.revision = f->revision,
	};
	return assign(card, &values);
}

int card_open(struct card *card)
{
	struct command_values values = {0};
	struct pci_error why = {""};
	char name[SCHEME_NAME_MAX];
	pid_t pid;
	int error;

	if (bus_find(&card->pcid->bus, card->address) != NULL) {
		error = card_plan(card);
		if (error != 0)
			return error;
		error = pci_open(&card->fn, card->address, &why);
	} else {
		error = pci_open(&card->fn, card->address, &why);
		if (error == 0) {
			card->id = *pci_ident(card->fn);
			read_bars(card->fn, &values);
			return assign(card, &values);
		}
	}
	if (error != 0 && orphan_find(card, &pid, name))
		complain("%s (pid %d drives it for network:%s; if its pcid was killed, that ends "
			 "with its "
			 "last client, or by: kill %d)",
			why.text, (int)pid, name, (int)pid);
	else if (error != 0)
		complain("%s", why.text);
	return error;
}

/* --- starting --- */

static int make_regions(struct card *card)
{
	const size_t size[PCID_REGIONS] = {RINGS_BYTES, card->pcid->options.frame_bytes};
	struct pci_error why = {""};

	for (unsigned i = 0; i < PCID_REGIONS; i++) {
		int error = pci_dma_create(card->fn, size[i], &card->region[i], &why);

		if (error != 0) {
			complain("%s", why.text);
			return error;
		}
		/* A process beside this one may outlive it (scheme/receiver.h): not with this. */
		(void)madvise(card->region[i]->base, size[i], MADV_DONTFORK);
		pci_dma_export(card->region[i], &card->table[i]);
		card->region_fd[i] = fcntl(card->region[i]->memfd, F_DUPFD_CLOEXEC, 3);
		if (card->region_fd[i] < 0) {
			complain("%s: memory cannot be kept: %s", card->address, strerror(errno));
			return -EMFILE;
		}
	}
	card->state_fd = state_create();
	if (card->state_fd < 0) {
		complain("%s: no memory for the driver's state: %s", card->address,
			strerror(-card->state_fd));
		return card->state_fd;
	}
	return 0;
}

static int make_scheme(struct card *card)
{
	char folder[PATH_MAX] = "";
	int error = scheme_registrar_create(
		&card->registrar, card->name.scheme, &card->pcid->options.access);

	if (error == 0)
		return 0;
	(void)scheme_directory(folder, sizeof(folder));
	if (error == -EADDRINUSE)
		complain("network:%s: somebody serves it already: is another pcid running?",
			card->name.scheme);
	else
		complain("network:%s: cannot be made in %s (%s): run as root, or set SCHEME_ROOT "
			 "to a "
			 "folder of your own",
			card->name.scheme, folder, strerror(-error));
	return error;
}

int card_start(struct card *card)
{
	int error = make_regions(card);

	if (error == 0)
		error = make_scheme(card);
	if (error == 0) {
		int deaf = control_listen(card);

		if (deaf != 0) /* it serves all the same */
			complain("network:%s: cannot be asked for an upgrade: %s",
				card->name.scheme, strerror(-deaf));
	}
	return error == 0 ? life_begin(card) : error;
}
