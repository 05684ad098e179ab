/* SPDX-License-Identifier: BSD-3-Clause
 *
 * From one driver to the next while frames flow.
 */
#include "daemon/handover.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int handover_take(struct nic **nic, struct port *port, struct owners *owners,
	struct scheme_totals *totals, struct resources *r, const struct nic_config *config,
	struct pci_error *why)
{
	struct daemon_state left;
	struct nic_config runs = *config;
	int error = state_take(r->state, &left, why);

	if (error == 0)
		error = owners_find(r, left.owner, &runs, why);
	if (error == 0)
		error = nic_adopt(nic, r->fn, &runs, why);
	if (error != 0)
		return error;
	error = port_init(port, *nic, config, why);
	if (error != 0)
		goto no_port;
	error = port_resume(port, &left.port, why);
	if (error != 0)
		goto no_resume;
	/* Before the scheme serves: with a link that seems down it drops what clients send. */
	(void)port_read_link(port);
	owners_init(owners, port, r, config->queues);
	owners_take(owners, left.owner);
	*totals = left.totals;
	return 0;
no_resume:
	port_fini(port);
no_port:
	nic_close(*nic);
	*nic = NULL;
	return error;
}

int handover_give(struct loop *loop, struct port *port, struct owners *owners, struct nic *nic,
	struct resources *r, struct pci_error *why)
{
	struct pcid_message stopped = {.type = PCID_STOPPED};
	struct daemon_state state;
	int fds[PCI_HANDOVER_FDS];
	int error;

	/* The more the card has, the longer it can do without a driver. */
	(void)port_flush(port);
	port_publish(port);
	owners_flush(owners);
	memset(&state, 0, sizeof(state));
	scheme_get_totals(loop_scheme(loop), &state.totals);
	port_save(port, &state.port);
	owners_leave(owners, state.owner);
	loop_destroy(loop); /* clients notice nothing */
	port_fini(port);
	nic_release(nic);
	state_leave(r->state, &state);
	error = pci_export(r->fn, &stopped.stopped.function, fds);
	stopped.fds = stopped.stopped.function.fds;
	if (error == 0)
		error = pcid_send(r->channel, &stopped, fds);
	if (error != 0)
		(void)snprintf(why->text, sizeof(why->text),
			"%.140s: the card cannot be handed back: %s", pci_address(r->fn),
			strerror(-error));
	return error;
}
