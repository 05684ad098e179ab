/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Card, memory and clients, from pcid or by oneself.
 */
#include "daemon/resources.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/doorkeeper.h"
#include "pcid/name.h"
#include "pcid/state.h"

#define START_LIMIT_MS 10000

__attribute__((format(printf, 3, 4))) static int fail(
	struct pci_error *why, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
	return error;
}

int resources_channel(void)
{
	const char *text = getenv(PCID_CHANNEL_ENV);
	socklen_t size = sizeof(int);
	int type = 0;
	char *end;
	long fd;

	if (text == NULL)
		return -1;
	errno = 0;
	fd = strtol(text, &end, 10);
	if (errno != 0 || *text == '\0' || *end != '\0' || fd < 3 || fd > INT16_MAX ||
		getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
		type != SOCK_SEQPACKET || fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
		return -EINVAL;
	(void)unsetenv(PCID_CHANNEL_ENV);
	return (int)fd;
}

/* One message, waited for. */
static int wait_for_message(
	int channel, struct pcid_message *message, int fds[PCID_CHANNEL_FDS], struct pci_error *why)
{
	struct pollfd channel_poll = {.fd = channel, .events = POLLIN};
	int n;
	int result;

	do {
		n = poll(&channel_poll, 1, START_LIMIT_MS);
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		return fail(why, -ETIMEDOUT, "pcid does not say what to start with");
	result = pcid_receive(channel, message, fds);
	if (result == 0)
		return fail(why, -EPIPE, "pcid is gone");
	if (result < 0)
		return fail(
			why, result, "what pcid says is not understood: is it of this version?");
	return 0;
}

static int wait_for_start(
	int channel, struct pcid_message *message, int fds[PCID_CHANNEL_FDS], struct pci_error *why)
{
	const struct pcid_message pong = {.type = PCID_PONG};
	int error = wait_for_message(channel, message, fds, why);

	/* Another driver has the card still: pcid asks whether this one is ready to follow. */
	if (error == 0 && message->type == PCID_PING) {
		(void)pcid_send(channel, &pong, NULL);
		error = wait_for_message(channel, message, fds, why);
	}
	if (error != 0 || message->type == PCID_START)
		return error;
	while (message->fds > 0)
		(void)close(fds[--message->fds]);
	return fail(why, -EPROTO, "pcid does not begin with a card");
}

/* Clients' memory, as the card has it. */
static int inherit_memories(struct resources *r, uint32_t count, struct pci_error *why)
{
	struct pcid_message message = {0};
	int fds[PCID_CHANNEL_FDS];
	int error = 0;

	for (uint32_t i = 0; i < count && error == 0; i++) {
		error = wait_for_message(r->channel, &message, fds, why);
		if (error != 0)
			return error;
		if (message.type != PCID_MEMORY) {
			while (message.fds > 0)
				(void)close(fds[--message.fds]);
			return fail(why, -EPROTO, "pcid does not go on with clients' memory");
		}
		r->memory[i].client = message.memory.id;
		error = pci_dma_import(
			r->fn, &message.memory.at, fds[0], &r->memory[i].region, why);
	}
	return error;
}

int resources_inherit(struct resources *r, int channel, struct pci_error *why)
{
	struct pcid_message message = {0};
	int fds[PCID_CHANNEL_FDS];
	int error;
	int state;

	*r = (struct resources){.channel = channel, .trace = {.fd = -1}};
	error = wait_for_start(channel, &message, fds, why);
	if (error != 0)
		return error;
	(void)snprintf(r->name, sizeof(r->name), "%s", message.start.name);
	r->adopt = message.start.adopt != 0;
	r->client_bytes = message.start.client_bytes;
	error = pci_import(&r->fn, &message.start.function, fds, why);
	for (unsigned i = 0; i < PCID_REGIONS; i++) {
		int fd = fds[message.start.function.fds + i];

		if (error == 0)
			error = pci_dma_import(
				r->fn, &message.start.region[i], fd, &r->region[i], why);
		else
			(void)close(fd);
	}
	state = fds[message.start.function.fds + PCID_REGIONS];
	if (error == 0 && state_map(state, &r->state) != 0)
		error = fail(why, -EINVAL, "pcid's memory for the driver's state cannot be used");
	(void)close(state);
	return error == 0 ? inherit_memories(r, message.start.memories, why) : error;
}

/* Memory of its own, where nobody else is to keep it. */
static int make_state(struct resources *r, struct pci_error *why)
{
	int memfd = state_create();
	int error = memfd < 0 ? memfd : state_map(memfd, &r->state);

	if (memfd >= 0)
		(void)close(memfd);
	if (error != 0)
		return fail(why, error, "no memory for the driver's state: %s", strerror(-error));
	return 0;
}

static int listen_as(struct resources *r, const struct daemon_options *options,
	const struct daemon_program *program, struct pci_error *why)
{
	char folder[4096] = "";
	struct scheme_registrar *registrar;
	struct pcid_name name;
	int error;

	if (options->name != NULL) {
		if ((size_t)snprintf(r->name, sizeof(r->name), "%s", options->name) >=
			sizeof(r->name))
			return fail(
				why, -EINVAL, "--name %.32s...: too long a name", options->name);
	} else {
		if (pcid_name(&name, options->device, program->name) != 0)
			return fail(why, -EINVAL, "%.160s: makes no name for a scheme: give --name",
				options->device);
		memcpy(r->name, name.scheme, sizeof(r->name));
	}
	error = scheme_registrar_create(&registrar, r->name, &options->access);
	(void)scheme_directory(folder, sizeof(folder));
	if (error == -EADDRINUSE)
		return fail(why, error,
			"network:%s: somebody serves it already: give another --name", r->name);
	if (error != 0)
		return fail(why, error,
			"network:%s: cannot be made in %.100s (%s): run as root, or set "
			"SCHEME_ROOT",
			r->name, folder, strerror(-error));
	r->channel = doorkeeper_start(registrar);
	if (r->channel < 0)
		return fail(why, r->channel, "network:%s: no process to let clients in: %s",
			r->name, strerror(-r->channel));
	return 0;
}

int resources_open(struct resources *r, const struct daemon_options *options,
	const struct daemon_program *program, struct pci_error *why)
{
	const struct nic_config config = {.queues = options->queues,
		.rx_ring = options->rx_ring,
		.tx_ring = options->tx_ring};
	const size_t size[PCID_REGIONS] = {nic_ring_bytes(&config), options->frame_bytes};
	int error;

	*r = (struct resources){.channel = -1,
		.trace = {.fd = -1},
		.alone = true,
		.client_bytes = options->client_bytes};
	/* First, so that the doorkeeper has nothing of the card's. It lets nobody in yet. */
	error = listen_as(r, options, program, why);
	if (error == 0)
		error = pci_open(&r->fn, options->device, why);
	for (unsigned i = 0; error == 0 && i < PCID_REGIONS; i++)
		error = pci_dma_create(r->fn, size[i], &r->region[i], why);
	if (error == 0)
		error = make_state(r, why);
	return error;
}

int resources_record(struct resources *r, const struct daemon_options *options,
	const struct daemon_program *program, struct pci_error *why)
{
	char version[32];
	int error = recorder_open(&r->recorder, (uint8_t *)r->state + PCID_STATE_RECORDER,
		PCID_STATE_BYTES - PCID_STATE_RECORDER);

	if (error != 0)
		return fail(why, error, "network:%s: no flight recorder: %s", r->name,
			strerror(-error));
	if (options->record != NULL) {
		(void)snprintf(version, sizeof(version), "%.20s " DAEMON_VERSION, program->name);
		error = trace_open(&r->trace, options->record, &r->recorder, r->fn, program->driver,
			version, why);
		if (error != 0)
			return error;
	}
	recorder_add(&r->recorder, FLIGHT_START, 0, 0, (uint32_t)getpid());
	pci_record(r->fn, &r->recorder);
	return 0;
}

void resources_close(struct resources *r)
{
	if (r->alone && r->channel >= 0) {
		doorkeeper_stop(r->channel);
		r->channel = -1;
	}
	for (unsigned i = 0; i < PCID_REGIONS; i++) {
		if (r->region[i] != NULL)
			pci_dma_destroy(r->fn, r->region[i]);
	}
	if (r->fn != NULL)
		pci_record(r->fn, NULL);
	state_unmap(r->state);
	pci_close(r->fn);
	if (r->channel >= 0)
		(void)close(r->channel);
	*r = (struct resources){.channel = -1};
}
