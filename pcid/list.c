/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pcid --list and --dry-run: what there is, and what would be done.
 */
#include <stdio.h>
#include <string.h>

#include "pcid/card.h"
#include "pcid/judge.h"

#define CLASS_NETWORK 0x02u

static void print_entry(const struct pcid_driver *entry)
{
	if (entry == NULL)
		(void)printf("no entry serves it");
	else if (entry->name != NULL)
		(void)printf("entry \"%s\"", entry->name);
	else
		(void)printf("entry of line %u", entry->line);
}

static void list_function(const struct pcid *pcid, const struct bus_function *f)
{
	const struct pci_id id = {
		.vendor = f->vendor_id, .device = f->device_id, .class_code = f->class};
	const struct pcid_driver *entry = config_match(&pcid->config, &id);
	char name[256];
	char text[512];
	enum verdict verdict;

	if (entry == NULL && f->class >> 16 != CLASS_NETWORK)
		return;
	bus_name(&pcid->bus, f->vendor_id, f->device_id, name, sizeof(name));
	(void)printf("%s %04x:%04x %s\n    driver %s, ", f->address, f->vendor_id, f->device_id,
		name, f->driver[0] != '\0' ? f->driver : "none");
	if (f->group >= 0)
		(void)printf("IOMMU group %d, ", f->group);
	else
		(void)printf("no IOMMU group, ");
	print_entry(entry);
	if (entry == NULL) {
		(void)printf("\n");
		return;
	}
	verdict = judge_function(&pcid->bus, f, false, pcid->options.sysfs, text, sizeof(text));
	(void)printf("\n    %s%s%s\n", verdict == VERDICT_READY ? "can be taken" : "not taken: ",
		verdict == VERDICT_READY && text[0] != '\0' ? "; " : "", text);
}

static int list_socket(const struct pcid *pcid, const char *path)
{
	char address[PATH_MAX + 16];
	struct pci_error why = {""};
	struct pci_function *fn;
	const struct pci_id *id;
	char name[256];

	(void)snprintf(address, sizeof(address), "vfio-user:%s", path);
	if (pci_open(&fn, address, &why) != 0) {
		(void)printf("%s\n    not taken: %s\n", address, why.text);
		return 1;
	}
	id = pci_ident(fn);
	bus_name(&pcid->bus, id->vendor, id->device, name, sizeof(name));
	(void)printf("%s %04x:%04x %s\n    in software, ", address, id->vendor, id->device, name);
	print_entry(config_match(&pcid->config, id));
	(void)printf("\n    %s\n",
		config_match(&pcid->config, id) != NULL ? "can be taken" : "not taken");
	pci_close(fn);
	return 0;
}

int list_cards(struct pcid *pcid)
{
	int status = 0;

	for (size_t i = 0; i < pcid->bus.count; i++)
		list_function(pcid, &pcid->bus.functions[i]);
	for (size_t i = 0; i < pcid->options.sockets; i++)
		status |= list_socket(pcid, pcid->options.socket[i]);
	return status;
}

int show_starts(struct pcid *pcid)
{
	for (size_t i = 0; i < pcid->cards; i++) {
		struct card *card = pcid->card[i];
		const struct bus_function *f = bus_find(&pcid->bus, card->address);
		int error = f != NULL ? card_plan(card) : card_open(card);

		if (error != 0 && card->by_hand)
			return error;
		if (error != 0)
			continue;
		if (f != NULL && strcmp(f->driver, VFIO_DRIVER) != 0)
			(void)printf("pcid: would bind %s to %s (bound to %s now)\n", card->address,
				VFIO_DRIVER, f->driver[0] != '\0' ? f->driver : "no driver");
		(void)printf("pcid: would serve %s as network:%s by: %s", card->address,
			card->name.scheme, card->program);
		for (char **argument = card->arguments + 1; *argument != NULL; argument++)
			(void)printf(" %s", **argument != '\0' ? *argument : "''");
		(void)printf("\n");
	}
	return 0;
}
