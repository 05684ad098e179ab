/* SPDX-License-Identifier: BSD-3-Clause
 *
 * A queue's way from the daemon to a client and back.
 */
#include "daemon/owner.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DRAIN_STEPS   100u
#define DRAIN_STEP_US 100u

void owners_init(struct owners *owners, struct port *port, struct resources *r, unsigned queues)
{
	*owners = (struct owners){.port = port, .resources = r, .queues = queues};
}

static struct owner *find(struct owners *owners, uint32_t id)
{
	for (unsigned i = 0; i < owners->queues; i++) {
		struct owner *o = &owners->queue[i];

		if (o->state != OWNER_NONE && o->client == id)
			return o;
	}
	return NULL;
}

static unsigned index_of(const struct owners *owners, const struct owner *o)
{
	return (unsigned)(o - owners->queue);
}

/* --- its memory --- */

/* Takes it from the card, then from here; then pcid may free it. Without pcid nobody has to. */
static void give_back(struct owners *owners, uint32_t id, struct dma_region *region)
{
	const struct pcid_message unmap = {.type = PCID_UNMAP, .unmap.id = id};

	pci_dma_destroy(owners->resources->fn, region);
	if (!owners->resources->alone)
		(void)pcid_send(owners->resources->channel, &unmap, NULL);
}

/* Memory that pcid has handed over for this client, or NULL. */
static struct dma_region *take_inherited(struct resources *r, uint32_t id)
{
	for (unsigned i = 0; i < PCID_MEMORIES; i++) {
		struct dma_region *region = r->memory[i].region;

		if (region != NULL && r->memory[i].client == id) {
			r->memory[i].region = NULL;
			pci_dma_own(region);
			return region;
		}
	}
	return NULL;
}

/* Addresses for it, and who is to map it there. On failure nothing is left. */
static int ask(struct owners *owners, struct owner *o, int memfd)
{
	struct resources *r = owners->resources;
	struct pcid_message map = {.type = PCID_MAP, .memory.id = o->client};
	struct stat status;
	int error;

	if (r->alone && pci_by_kernel(r->fn)) /* the cage leaves no way to map memory */
		return -ENOTSUP;
	if (fstat(memfd, &status) != 0)
		return -errno;
	if ((uint64_t)status.st_size > r->client_bytes)
		return -EDQUOT;
	error = pci_dma_place(r->fn, memfd, &o->region, NULL);
	if (error != 0)
		return error;
	if (r->alone) {
		error = pci_dma_map(r->fn, o->region, NULL);
	} else {
		pci_dma_export(o->region, &map.memory.at);
		error = pcid_send(r->channel, &map, NULL);
	}
	if (error != 0)
		pci_dma_destroy(r->fn, o->region);
	return error;
}

/* --- its queue --- */

static bool runs(const struct owners *owners, const struct owner *o)
{
	return o->region != NULL &&
	       nic_queue_frames(owners->port->nic, index_of(owners, o)) == o->region;
}

/* The queue is nobody's now, or not the client's as yet. */
static int stop(struct owners *owners, unsigned index)
{
	struct port *port = owners->port;
	int error = port->queue[index] != NULL ? port_yield(port, index)
					       : nic_queue_stop(port->nic, index);

	if (error != 0 && error != -ENOMEM) /* that leaves it as it was */
		owners->stuck = error;
	return error;
}

/* A queue is the daemon's when it is nobody else's. */
static void take_back(struct owners *owners, unsigned index)
{
	int error = port_regain(owners->port, index);

	if (error != 0)
		owners->stuck = error;
}

/* Whatever it had: first the queue stops, then the card loses the memory. */
static void forget(struct owners *owners, struct owner *o)
{
	unsigned index = index_of(owners, o);
	bool ran = runs(owners, o);

	/* A card that does not let go keeps the memory until it is reset. */
	if (ran && stop(owners, index) != 0)
		return;
	if (o->region != NULL)
		give_back(owners, o->client, o->region);
	*o = (struct owner){.state = OWNER_NONE};
	if (ran)
		take_back(owners, index);
}

void owners_forget(struct owners *owners, uint32_t id)
{
	struct owner *o = find(owners, id);

	if (o != NULL)
		forget(owners, o);
}

int owners_ask(struct owners *owners, const struct scheme_client *client)
{
	int index = scheme_queue_path(client->request.path);
	struct owner *o;
	int error = 0;

	/* Of all else the core knows the answer. */
	if (index < 0 || (unsigned)index >= owners->queues ||
		!scheme_request_has_rings(&client->request))
		return 1;
	o = &owners->queue[index];
	if (o->state == OWNER_READY && o->client == client->id) {
		o->pid = client->pid;
		o->uid = client->uid;
		return 1;
	}
	if (o->state != OWNER_NONE)
		return -EBUSY;
	*o = (struct owner){.state = OWNER_READY,
		.client = client->id,
		.pid = client->pid,
		.uid = client->uid,
		.region = take_inherited(owners->resources, client->id)};
	if (o->region != NULL)
		return 1;
	error = ask(owners, o, client->ring_fds[SCHEME_FD_FRAMES]);
	if (error != 0) {
		*o = (struct owner){.state = OWNER_NONE};
		return error;
	}
	if (owners->resources->alone)
		return 1;
	o->state = OWNER_ASKED;
	o->waiting = *client;
	return 0;
}

bool owners_mapped(struct owners *owners, const struct pcid_message *message,
	struct scheme_client *client, int *error)
{
	struct owner *o = find(owners, message->mapped.id);

	if (o == NULL || o->state != OWNER_ASKED)
		return false;
	*client = o->waiting;
	*error = message->mapped.error;
	if (*error == 0 && message->mapped.done == 0)
		*error = pci_dma_map(owners->resources->fn, o->region, NULL);
	else if (*error == 0)
		pci_dma_own(o->region);
	o->state = OWNER_READY;
	if (*error != 0)
		forget(owners, o);
	return true;
}

/* The queue runs already, as the driver before left it. */
static int go_on(struct owners *owners, struct owner *o, struct scheme_rings *rings, uint32_t *lost)
{
	struct nic_queue *q = nic_queue(owners->port->nic, index_of(owners, o));
	int error = scheme_rings_resume(rings, true, lost);

	o->rings = rings;
	return error == 0 && !owner_in_step(o, q, rings) ? -EPROTO : error;
}

static int begin(struct owners *owners, struct owner *o, struct scheme_rings *rings, bool resumed,
	uint32_t *lost)
{
	unsigned index = index_of(owners, o);
	int error = resumed ? scheme_rings_resume(rings, false, lost) : 0;

	if (error == 0)
		error = stop(owners, index);
	if (error != 0)
		return error;
	o->refused = (struct owner_refused){0};
	error = nic_queue_start(owners->port->nic, index, o->region);
	if (error != 0)
		take_back(owners, index);
	return error;
}

static int own(void *ctx, unsigned index, struct scheme_rings *rings, bool resumed, uint32_t *lost)
{
	struct owners *owners = ctx;
	struct owner *o = &owners->queue[index];
	int error;

	*lost = 0;
	if (o->state != OWNER_READY)
		return -EBUSY;
	error = runs(owners, o) && resumed ? go_on(owners, o, rings, lost)
					   : begin(owners, o, rings, resumed, lost);
	if (error != 0)
		return error;
	o->rings = rings;
	o->state = OWNER_SERVED;
	return 0;
}

/* What the client still had provided to be sent goes to the card, as far as that takes it. */
static void drain(struct owners *owners, struct owner *o)
{
	struct nic_queue *q = nic_queue(owners->port->nic, index_of(owners, o));
	struct scheme_moved ignored = {0};

	for (unsigned step = 0; step < DRAIN_STEPS && scheme_rings_tx_waiting(o->rings) > 0;
		step++) {
		ssize_t n = owner_move(o, q, owners->port, SCHEME_WRITE, &ignored);

		if (n < 0 || nic_gone(owners->port->nic))
			return;
		if (n == 0)
			pci_delay_us(DRAIN_STEP_US);
	}
}

static void leave(void *ctx, unsigned index)
{
	struct owners *owners = ctx;

	if (index >= owners->queues) /* it was left to the next driver */
		return;
	drain(owners, &owners->queue[index]);
	forget(owners, &owners->queue[index]);
}

static unsigned room(void *ctx, unsigned index)
{
	const struct owners *owners = ctx;

	return owner_room(owners->port, nic_queue(owners->port->nic, index));
}

static ssize_t move(void *ctx, unsigned index, uint32_t access, struct scheme_moved *moved)
{
	struct owners *owners = ctx;

	return owner_move(&owners->queue[index], nic_queue(owners->port->nic, index), owners->port,
		access, moved);
}

static size_t text(void *ctx, unsigned index, char *out, size_t size)
{
	const struct owners *owners = ctx;
	const struct owner *o = &owners->queue[index];
	const struct nic_queue *q = nic_queue(owners->port->nic, index);
	bool owned = o->state == OWNER_SERVED;
	int n = snprintf(out, size,
		"owned %d\npid %d\nuid %u\nmemory_kib %zu\nlimit_kib %zu\nrx_held %zu\ntx_held "
		"%zu\noffloads %" PRIu32 "\n",
		owned, owned ? (int)o->pid : 0, owned ? (unsigned)o->uid : 0,
		owned ? o->region->size >> 10 : 0, owners->resources->client_bytes >> 10,
		nic_rx_held(q), nic_tx_held(q), owners->port->offloads);

	return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size;
}

struct scheme_queues owners_table(struct owners *owners)
{
	return (struct scheme_queues){
		.ctx = owners,
		.count = owners->queues,
		.offloads = owners->port->offloads,
		.own = own,
		.move = move,
		.room = room,
		.leave = leave,
		.text = text,
	};
}

void owners_flush(struct owners *owners)
{
	for (unsigned i = 0; i < owners->queues; i++) {
		if (owners->queue[i].state == OWNER_SERVED)
			nic_flush(nic_queue(owners->port->nic, i));
	}
}

/* --- from one driver to the next --- */

bool owners_drop_asked(struct owners *owners, struct scheme_client *client)
{
	for (unsigned i = 0; i < owners->queues; i++) {
		struct owner *o = &owners->queue[i];

		if (o->state != OWNER_ASKED)
			continue;
		*client = o->waiting;
		forget(owners, o);
		return true;
	}
	return false;
}

static void drop_inherited(struct owners *owners)
{
	struct resources *r = owners->resources;

	for (unsigned i = 0; i < PCID_MEMORIES; i++) {
		uint32_t id = r->memory[i].client;

		if (r->memory[i].region != NULL)
			give_back(owners, id, take_inherited(r, id));
	}
}

void owners_settle(struct owners *owners)
{
	for (unsigned i = 0; i < owners->queues; i++) {
		if (owners->queue[i].state == OWNER_READY)
			forget(owners, &owners->queue[i]);
	}
	drop_inherited(owners);
}

void owners_leave(struct owners *owners, struct owner_save save[NIC_MAX_QUEUES])
{
	for (unsigned i = 0; i < owners->queues; i++) {
		struct owner *o = &owners->queue[i];

		save[i] = (struct owner_save){0};
		if (!runs(owners, o)) {
			if (o->state != OWNER_NONE)
				forget(owners, o);
			continue;
		}
		save[i].client = o->client;
		save[i].refused = o->refused;
	}
	drop_inherited(owners);
	owners->queues = 0;
}

int owners_find(const struct resources *r, const struct owner_save save[NIC_MAX_QUEUES],
	struct nic_config *config, struct pci_error *why)
{
	for (unsigned i = 0; i < config->queues; i++) {
		const struct dma_region **frames =
			i == 0 ? &config->frames : &config->queue_frames[i];
		unsigned at = 0;

		if (save[i].client == 0)
			continue;
		while (at < PCID_MEMORIES &&
			(r->memory[at].region == NULL || r->memory[at].client != save[i].client))
			at++;
		if (at == PCID_MEMORIES) {
			(void)snprintf(why->text, sizeof(why->text),
				"state of the port: queue %u is a client's whose memory nobody has",
				i);
			return -EINVAL;
		}
		*frames = r->memory[at].region;
	}
	return 0;
}

void owners_take(struct owners *owners, const struct owner_save save[NIC_MAX_QUEUES])
{
	for (unsigned i = 0; i < owners->queues; i++) {
		struct dma_region *region =
			save[i].client == 0 ? NULL
					    : take_inherited(owners->resources, save[i].client);

		if (region != NULL)
			owners->queue[i] = (struct owner){.state = OWNER_READY,
				.client = save[i].client,
				.region = region,
				.refused = save[i].refused};
	}
}
