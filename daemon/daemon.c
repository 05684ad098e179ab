/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A daemon from start to end.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "daemon/again.h"
#include "daemon/cage.h"
#include "daemon/handover.h"
#include "daemon/loop.h"
#include "daemon/options.h"
#include "daemon/port.h"
#include "daemon/resources.h"

#define DRAIN_MS 100u

/* The last: the card is gone, which is nobody's fault here. pcid waits for it. */
enum status { STATUS_STOPPED = 0, STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_GONE = 3 };

/* What goes wrong is pcid's to say, where there is one. */
static void complain(const struct daemon_program *program, const struct resources *r,
	const struct pci_error *why)
{
	struct pcid_message message = {.type = PCID_FAILED};

	(void)snprintf(message.failed.text, sizeof(message.failed.text), "%s", why->text);
	if (r->alone || r->channel < 0 || pcid_send(r->channel, &message, NULL) != 0)
		(void)fprintf(stderr, "%s: %s\n", program->name, why->text);
}

static void announce(const struct daemon_program *program, const struct resources *r)
{
	const struct pcid_message ready = {.type = PCID_READY};

	(void)pcid_send(r->channel, &ready, NULL); /* if pcid is gone the loop will see it */
	if (!r->alone)
		return;
	(void)printf("%s: network:%s ready (%s)\n", program->name, r->name, pci_address(r->fn));
	(void)fflush(stdout);
}

/* What was to be kept and was not is a failure, too. */
static int end_trace(const struct daemon_program *program, const struct daemon_options *options,
	struct resources *r, int error)
{
	int result = trace_close(&r->trace);
	struct pci_error why;

	if (result == 0 || options->record == NULL || error != 0)
		return error;
	(void)snprintf(why.text, sizeof(why.text), "--record %.160s: the trace ends early: %s",
		options->record, strerror(-result));
	complain(program, r, &why);
	return result;
}

static int check_driver(
	const struct daemon_program *program, const struct resources *r, struct pci_error *why)
{
	const char *driver = nic_driver_for(pci_ident(r->fn), NULL);

	if (driver == NULL || strcmp(driver, program->driver) == 0)
		return 0; /* without a driver nic_open() says why */
	(void)snprintf(why->text, sizeof(why->text),
		"%.128s: this card is driver %s's, not %s's: correct the configuration",
		pci_address(r->fn), driver, program->driver);
	return -ENOTSUP;
}

/* What pcid has made is of a fixed size, and so is the memory for the state. */
static int check_rings(
	const struct resources *r, const struct nic_config *config, struct pci_error *why)
{
	const char *small = NULL;

	if (nic_ring_bytes(config) > r->region[0]->size)
		small = "the ring memory";
	else if (nic_state_bytes(config) > PCID_STATE_RECORDER - STATE_NIC)
		small = "the memory for a successor";
	if (small == NULL)
		return 0;
	(void)snprintf(why->text, sizeof(why->text),
		"%.128s: %s is too small for rings of %u and %u on %u queues: give fewer or "
		"smaller ones",
		pci_address(r->fn), small, config->rx_ring, config->tx_ring, config->queues);
	return -EINVAL;
}

static int start_card(struct nic **nic, struct port *port, struct owners *owners,
	struct resources *r, const struct nic_config *config, struct pci_error *why)
{
	int error = nic_open(nic, r->fn, config, why);

	if (error != 0)
		return error;
	error = port_init(port, *nic, config, why);
	if (error != 0)
		nic_close(*nic);
	owners_init(owners, port, r, config->queues);
	return error;
}

/* With card and memory at hand: brings the card up, serves it, stops it. */
static int serve(const struct daemon_program *program, const struct daemon_options *options,
	struct resources *r, struct pci_error *why)
{
	struct nic_config config = {
		.queues = options->queues,
		.rx_ring = options->rx_ring,
		.tx_ring = options->tx_ring,
		.rings = r->region[0],
		.frames = r->region[1],
		.promiscuous = options->promiscuous,
		.mtu = options->mtu,
		.offloads = options->offloads,
		.pause = options->pause,
		.drop = options->drop,
		.interrupts = options->mode != MODE_POLL,
		.pick_irq = options->pick_irq,
		.irq = options->irq,
		.state = state_nic(r->state),
	};
	struct scheme_totals totals = {0};
	struct owners owners;
	struct loop *loop = NULL;
	struct cage cage;
	struct nic *nic = NULL;
	struct port port;
	uint32_t limit = options->rx_ring + options->tx_ring + (1 + PORT_PIECES) * PORT_BURST;
	uint32_t in_flight = again_in_flight(r->state);
	struct again *again = again_begin(r->state, &config, limit, program->mtu_max);
	int error = check_driver(program, r, why);

	for (unsigned i = 1; i < config.queues; i++)
		config.queue_frames[i] = config.frames;
	if (error == 0)
		error = check_rings(r, &config, why);
	if (error != 0)
		return error;
	if (r->adopt)
		error = handover_take(&nic, &port, &owners, &totals, r, &config, why);
	if (error == -EINVAL) {
		complain(program, r, why);
		again_failed(again, in_flight, limit);
	}
	if (!r->adopt || error == -EINVAL)
		error = start_card(&nic, &port, &owners, r, &config, why);
	trace_drain(&r->trace);
	if (error != 0)
		return error;
	port.again = again;
	port.blocking = options->blocking_tx;
	port.program = program->name;
	error = loop_create(&loop, r, &port, &owners, options->mode, why);
	if (error != 0)
		goto no_loop;
	error = cage_enter(&cage, &options->cage, pci_by_kernel(r->fn), why);
	if (error != 0)
		goto no_cage;
	port.cage = &cage;
	if (options->cage.off)
		(void)fprintf(stderr,
			"%s: network:%s: --no-cage: this driver can do what its user can\n",
			program->name, r->name);
	recorder_add(&r->recorder, FLIGHT_READY, 0, 0, 0);
	scheme_set_totals(loop_scheme(loop), &totals);
	announce(program, r);
	error = loop_run(loop, why);
	if (loop_hands_over(loop)) {
		again_end(again);
		return handover_give(loop, &port, &owners, nic, r, why);
	}
	if (error == 0)
		port_drain(&port, DRAIN_MS);
	if (error == 0)
		again_end(again);
no_cage:
	loop_destroy(loop);
no_loop:
	port_fini(&port);
	nic_close(nic);
	return error;
}

int daemon_main(const struct daemon_program *program, int argc, char **argv)
{
	struct daemon_options options;
	struct resources r = {.channel = -1, .trace = {.fd = -1}};
	struct pci_error why = {""};
	int channel = resources_channel();
	int error;

	if (channel == -EINVAL) {
		(void)fprintf(stderr,
			"%s: $" PCID_CHANNEL_ENV " is no channel: only pcid sets it\n",
			program->name);
		return STATUS_USAGE;
	}
	error = daemon_options_read(&options, program, channel >= 0, argc, argv);
	if (error != 0)
		return error > 0 ? STATUS_STOPPED : STATUS_USAGE;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a trace as long as it may be is no reason to die */
	error = channel >= 0 ? resources_inherit(&r, channel, &why)
			     : resources_open(&r, &options, program, &why);
	if (error == 0)
		error = resources_record(&r, &options, program, &why);
	if (error == 0) {
		error = serve(program, &options, &r, &why);
		recorder_add(&r.recorder, FLIGHT_STOP, 0, 0, (uint32_t)error);
	}
	if (error != 0)
		complain(program, &r, &why);
	error = end_trace(program, &options, &r, error);
	resources_close(&r);
	return error == 0 ? STATUS_STOPPED : error == -ENODEV ? STATUS_GONE : STATUS_FAILED;
}
