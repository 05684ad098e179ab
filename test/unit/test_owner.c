/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Queues that clients own: in which order a queue stops, its memory leaves the card and pcid is
 * told; and that whatever a client writes into its rings, the card gets nothing that it should not.
 * Card and DMA memory are fakes that take notes, the channel is a real one.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/owner.h"
#include "scheme/ring_layout.h"

#define RING   64u  /* the card's */
#define SLOTS  128u /* the client's */
#define MEMORY ((size_t)4 << 20)
#define CLIENT 7u

struct nic_queue {
	const struct dma_region *frames;
	uint32_t rx[RING];
	struct frame tx[RING];
	size_t rx_count, tx_count;
	size_t tx_bare;              /* descriptors without a buffer, at most */
	size_t sent;                 /* tx[0 .. sent) */
	struct frame got[4 * SLOTS]; /* that was to be sent, the newest */
	size_t gots;
};

struct nic {
	struct nic_queue queue[2];
	int stop_error, start_error, map_error;
};

static size_t longest = 1518; /* what the card may send */
static bool with_metadata;

static struct {
	char text[512]; /* what was done, in its order */
	struct dma_region region, inherited;
} notes;

static void note(const char *word)
{
	size_t len = strlen(notes.text);

	assert_true(len + strlen(word) + 2 < sizeof(notes.text));
	snprintf(notes.text + len, sizeof(notes.text) - len, "%s%s", len > 0 ? " " : "", word);
}

static void noted(const char *text)
{
	assert_string_equal(notes.text, text);
	notes.text[0] = '\0';
}

/* --- the card --- */

struct nic_queue *nic_queue(struct nic *nic, unsigned index)
{
	return &nic->queue[index];
}

const struct dma_region *nic_queue_frames(const struct nic *nic, unsigned index)
{
	return nic->queue[index].frames;
}

int nic_queue_stop(struct nic *nic, unsigned index)
{
	struct nic_queue *q = &nic->queue[index];

	if (q->frames == NULL)
		return 0;
	note("stop");
	q->frames = NULL;
	q->rx_count = q->tx_count = q->sent = 0;
	return nic->stop_error;
}

int nic_queue_start(struct nic *nic, unsigned index, const struct dma_region *frames)
{
	assert_null(nic->queue[index].frames);
	note("start");
	if (nic->start_error == 0)
		nic->queue[index].frames = frames;
	return nic->start_error;
}

static int yield_error;

int port_yield(struct port *port, unsigned index)
{
	if (yield_error != 0)
		return yield_error;
	note("yield");
	port->queue[index] = NULL;
	return 0;
}

int port_regain(struct port *port, unsigned index)
{
	note("regain");
	port->queue[index] = nic_queue(port->nic, index);
	return 0;
}

size_t nic_rx_provide(struct nic_queue *q, const uint32_t *offsets, size_t n)
{
	size_t i;

	assert_non_null(q->frames);
	for (i = 0; i < n; i++) {
		uint32_t within = offsets[i] & (DMA_CHUNK_SIZE - 1);

		assert_true(
			q->rx_count < RING - 4); /* it is not asked for more than it has room for */
		assert_true(offsets[i] >= NIC_BUFFER_HEAD &&
			    offsets[i] + (size_t)NIC_BUFFER_SIZE <= q->frames->size);
		if (within > DMA_CHUNK_SIZE - NIC_BUFFER_SIZE)
			break;
		q->rx[q->rx_count++] = offsets[i];
	}
	return i;
}

/* Each frame received is as long as it is old: 60, 61, ...; every seventh is damaged, and every
 * third lies in three buffers.
 */
size_t nic_rx_return(struct nic_queue *q, struct frame *frames, size_t n)
{
	static uint16_t age;
	size_t most = q->rx_count < n ? q->rx_count : n;
	size_t count = 0;

	most = most > 3 ? (size_t)rand() % most : 0;
	for (; count + 3 <= most; age++) {
		bool bad = age % 7 == 0;

		for (unsigned parts = age % 3 == 0 ? 3 : 1; parts > 0; parts--, count++)
			frames[count] =
				(struct frame){q->rx[count], parts > 1 ? 2048 : 60 + age % 1000,
					bad         ? FRAME_ERROR
					: parts > 1 ? FRAME_MORE
						    : 0};
	}
	q->rx_count -= count;
	memmove(q->rx, q->rx + count, q->rx_count * sizeof(q->rx[0]));
	return count;
}

/* What the drivers' own check asks: they stop at what is not so. Metadata is in order where the
 * offset is a multiple of 8.
 */
size_t nic_tx_provide(struct nic_queue *q, const struct frame *frames, size_t n)
{
	size_t len = 0, entries = 0;
	bool meta = false;

	assert_non_null(q->frames);
	assert_true(n == 0 || (frames[n - 1].flags & FRAME_MORE) == 0);
	for (size_t i = 0; i < n; i++) {
		const struct frame *f = &frames[i];

		if ((f->flags & FRAME_META) != 0) {
			assert_true(entries == 0 && with_metadata);
			meta = true;
			q->tx_bare++;
			if (f->offset % 8 != 0)
				return i;
		}
		assert_true(q->tx_count + q->tx_bare < RING - 4);
		assert_true((f->flags & ~(FRAME_MORE | FRAME_META)) == 0 && f->len > 0);
		len += f->len;
		assert_true(++entries <= 40);
		if ((f->flags & FRAME_MORE) == 0) {
			assert_in_range(len, 14, meta ? 65535 : longest);
			len = entries = meta = 0;
		}
		assert_true(f->offset + (size_t)f->len <= q->frames->size);
		assert_true((f->offset & (DMA_CHUNK_SIZE - 1)) + f->len <= DMA_CHUNK_SIZE);
		q->tx[q->tx_count++] = *f;
		q->got[q->gots++ % (4 * SLOTS)] = *f;
	}
	return n;
}

size_t nic_tx_return(struct nic_queue *q, uint32_t *offsets, size_t n)
{
	size_t count = q->sent < n ? q->sent : n;

	for (size_t i = 0; i < count; i++)
		offsets[i] = q->tx[i].offset;
	q->sent -= count;
	q->tx_count -= count;
	q->tx_bare = q->tx_bare < q->tx_count ? q->tx_bare : q->tx_count;
	memmove(q->tx, q->tx + count, q->tx_count * sizeof(q->tx[0]));
	return count;
}

size_t nic_rx_held(const struct nic_queue *q)
{
	return q->rx_count;
}

size_t nic_tx_held(const struct nic_queue *q)
{
	return q->tx_count;
}

void nic_flush(struct nic_queue *q)
{
	(void)q;
}

bool nic_gone(const struct nic *nic)
{
	(void)nic;
	return false;
}

void pci_delay_us(unsigned us)
{
	(void)us;
}

/* --- DMA memory --- */

static struct nic nic;

bool pci_by_kernel(const struct pci_function *fn)
{
	return fn != NULL;
}

int pci_dma_place(
	struct pci_function *fn, int memfd, struct dma_region **out, struct pci_error *why)
{
	(void)fn;
	(void)memfd;
	(void)why;
	note("place");
	notes.region = (struct dma_region){.size = MEMORY, .chunks = 2, .iova = {1 << 21, 1 << 22}};
	*out = &notes.region;
	return 0;
}

int pci_dma_map(struct pci_function *fn, struct dma_region *region, struct pci_error *why)
{
	(void)fn;
	(void)why;
	assert_ptr_equal(region, &notes.region);
	note("map");
	return nic.map_error;
}

void pci_dma_own(struct dma_region *region)
{
	(void)region;
	note("own");
}

void pci_dma_export(const struct dma_region *region, struct dma_handover *handover)
{
	*handover = (struct dma_handover){.size = region->size, .chunks = region->chunks};
	memcpy(handover->iova, region->iova, sizeof(handover->iova));
}

void pci_dma_destroy(struct pci_function *fn, struct dma_region *region)
{
	(void)fn;
	assert_true(region == &notes.region || region == &notes.inherited);
	for (unsigned i = 0; i < 2; i++)
		assert_ptr_not_equal(nic.queue[i].frames, region); /* the queue has stopped */
	note("unmap");
}

/* --- the bench --- */

struct bench {
	struct port port;
	struct resources resources;
	struct owners owners;
	struct scheme_queues table;
	struct scheme_client client;
	int pcid; /* the other end of the channel */
	struct scheme_rings rings;
	struct ring_client *shared;
	union {
		struct scheme_status status;
		_Alignas(RING_APART) uint8_t bytes[4096];
	} page;
};

static void init_rings(struct bench *b)
{
	scheme_rings_init(
		&b->rings, NULL, MEMORY, b->shared, ring_driver_of(&b->page.status), SLOTS, SLOTS);
}

static struct scheme_client client_of(const char *path, uint32_t id)
{
	struct scheme_client client = {.id = id, .pid = 42, .uid = 43, .held = true};

	assert_int_equal(scheme_request_make_rings(
				 &client.request, path, SCHEME_READ | SCHEME_WRITE, SLOTS, SLOTS),
		0);
	return client;
}

static int set_up(void **state)
{
	struct bench *b =
		aligned_alloc(RING_APART, (sizeof(*b) + RING_APART - 1) & ~(RING_APART - 1ul));
	size_t bytes = (ring_bytes(SLOTS, SLOTS) + 4095) & ~(size_t)4095;
	int ends[2];

	assert_non_null(b);
	memset(b, 0, sizeof(*b));
	memset(&notes, 0, sizeof(notes));
	nic = (struct nic){0};
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	b->pcid = ends[1];
	b->resources = (struct resources){.channel = ends[0], .client_bytes = MEMORY};
	b->port = (struct port){.nic = &nic,
		.queue = {nic_queue(&nic, 0), nic_queue(&nic, 1)},
		.rx_ring = RING,
		.tx_ring = RING,
		.mtu = 1500,
		.link = {.up = true, .mbit = 10000}};
	owners_init(&b->owners, &b->port, &b->resources, 2);
	b->table = owners_table(&b->owners);
	b->shared = aligned_alloc(4096, bytes);
	assert_non_null(b->shared);
	memset(b->shared, 0, bytes);
	init_rings(b);
	b->client = client_of("/queue/0", CLIENT);
	b->client.ring_fds[SCHEME_FD_FRAMES] = memfd_create("client", MFD_CLOEXEC);
	assert_int_equal(ftruncate(b->client.ring_fds[SCHEME_FD_FRAMES], (off_t)MEMORY), 0);
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	(void)close(b->pcid);
	(void)close(b->resources.channel);
	(void)close(b->client.ring_fds[SCHEME_FD_FRAMES]);
	free(b->shared);
	free(b);
	return 0;
}

/* What pcid was told, as "map 7 unmap 7". */
static void told(struct bench *b, const char *text)
{
	char said[128] = "";
	struct pcid_message message;
	int fds[PCID_CHANNEL_FDS];

	while (pcid_receive(b->pcid, &message, fds) > 0) {
		size_t len = strlen(said);

		if (message.type == PCID_MAP) {
			assert_int_equal(message.memory.at.size, MEMORY);
			assert_int_equal(message.memory.at.iova[1], 1 << 22);
		}
		snprintf(said + len, sizeof(said) - len, "%s%s %u", len > 0 ? " " : "",
			message.type == PCID_MAP     ? "map"
			: message.type == PCID_UNMAP ? "unmap"
						     : "?",
			message.type == PCID_MAP ? message.memory.id : message.unmap.id);
	}
	assert_string_equal(said, text);
}

static bool answer(struct bench *b, int32_t error, uint32_t done, int *verdict)
{
	const struct pcid_message mapped = {
		.type = PCID_MAPPED, .mapped = {.id = CLIENT, .error = error, .done = done}};
	struct scheme_client client;

	if (!owners_mapped(&b->owners, &mapped, &client, verdict))
		return false;
	assert_memory_equal(&client, &b->client, sizeof(client));
	return true;
}

static int own(struct bench *b, unsigned index, bool resumed, uint32_t *lost)
{
	return b->table.own(b->table.ctx, index, &b->rings, resumed, lost);
}

/* As far as the queue's being the client's. */
static void serve(struct bench *b)
{
	uint32_t lost;
	int error;

	assert_int_equal(owners_ask(&b->owners, &b->client), 0);
	assert_true(answer(b, 0, 1, &error));
	assert_int_equal(error, 0);
	assert_int_equal(own(b, 0, false, &lost), 0);
	told(b, "map 7");
	noted("place own yield start");
}

/* --- there and back --- */

static void there_and_back(void **state)
{
	struct bench *b = *state;
	struct scheme_client other = client_of("/queue/0", CLIENT + 1);
	char text[256] = "";

	serve(b);
	assert_null(b->port.queue[0]);
	assert_ptr_equal(nic.queue[0].frames, &notes.region);
	assert_int_equal(owners_ask(&b->owners, &other), -EBUSY);
	b->table.text(b->table.ctx, 0, text, sizeof(text));
	assert_string_equal(text, "owned 1\npid 42\nuid 43\nmemory_kib 4096\nlimit_kib 4096\n"
				  "rx_held 0\ntx_held 0\noffloads 0\n");
	b->table.leave(b->table.ctx, 0);
	noted("stop unmap regain");
	told(b, "unmap 7");
	assert_non_null(b->port.queue[0]);
	assert_int_equal(owners_ask(&b->owners, &other), 0);
}

static void the_daemon_maps_where_the_card_is_its_own(void **state)
{
	struct bench *b = *state;
	uint32_t lost;
	int error;

	assert_int_equal(owners_ask(&b->owners, &b->client), 0);
	assert_true(answer(b, 0, 0, &error));
	assert_int_equal(error, 0);
	noted("place map");
	assert_int_equal(own(b, 0, false, &lost), 0);
	b->table.leave(b->table.ctx, 0);
	noted("yield start stop unmap regain");

	nic.map_error = -ENOSPC;
	assert_int_equal(owners_ask(&b->owners, &b->client), 0);
	assert_true(answer(b, 0, 0, &error));
	assert_int_equal(error, -ENOSPC);
	noted("place map unmap");
	told(b, "map 7 unmap 7 map 7 unmap 7");
	assert_int_equal(own(b, 0, false, &lost), -EBUSY);
}

static void pcid_does_not_map(void **state)
{
	struct bench *b = *state;
	struct scheme_client left;
	int error;

	assert_false(answer(b, 0, 1, &error)); /* nobody has asked */
	assert_int_equal(owners_ask(&b->owners, &b->client), 0);
	assert_true(answer(b, -EDQUOT, 1, &error));
	assert_int_equal(error, -EDQUOT);
	noted("place unmap");
	assert_false(answer(b, 0, 1, &error)); /* only once */
	/* pcid goes before it answers. */
	assert_int_equal(owners_ask(&b->owners, &b->client), 0);
	assert_true(owners_drop_asked(&b->owners, &left));
	assert_memory_equal(&left, &b->client, sizeof(left));
	assert_false(owners_drop_asked(&b->owners, &left));
	noted("place unmap");
}

static void what_is_not_asked_for(void **state)
{
	struct bench *b = *state;
	struct scheme_client other = client_of("/queue/2", CLIENT);

	assert_int_equal(owners_ask(&b->owners, &other), 1); /* the core says that there is none */
	other = client_of("", CLIENT);
	assert_int_equal(owners_ask(&b->owners, &other), 1);
	assert_int_equal(scheme_request_make(&b->client.request, "/queue/0", SCHEME_READ), 0);
	assert_int_equal(owners_ask(&b->owners, &b->client), 1);
	b->client.request = client_of("/queue/0", CLIENT).request;
	b->resources.client_bytes = MEMORY - 4096;
	assert_int_equal(owners_ask(&b->owners, &b->client), -EDQUOT);
	b->resources.client_bytes = MEMORY;
	b->resources.alone = true;
	assert_int_equal(owners_ask(&b->owners, &b->client), 1); /* vfio-user: mapped at once */
	noted("place map");
	owners_forget(&b->owners, CLIENT);
	noted("unmap");
	b->resources.fn = (struct pci_function *)(void *)b;
	assert_int_equal(owners_ask(&b->owners, &b->client), -ENOTSUP);
	noted("");
	told(b, "");
}

/* Its memory stays until a reset: nothing is unmapped, and pcid is not told. */
static void a_queue_that_does_not_stop(void **state)
{
	struct bench *b = *state;

	serve(b);
	nic.stop_error = -ETIMEDOUT;
	b->table.leave(b->table.ctx, 0);
	noted("stop");
	told(b, "");
	assert_int_equal(b->owners.stuck, -ETIMEDOUT);
}

static void a_queue_that_does_not_start(void **state)
{
	struct bench *b = *state;
	uint32_t lost;
	int error;

	assert_int_equal(owners_ask(&b->owners, &b->client), 0);
	assert_true(answer(b, 0, 1, &error));
	yield_error = -ENOMEM;
	assert_int_equal(own(b, 0, false, &lost), -ENOMEM);
	yield_error = 0;
	assert_int_equal(b->owners.stuck, 0);
	nic.start_error = -ETIMEDOUT;
	assert_int_equal(own(b, 0, false, &lost), -ETIMEDOUT);
	noted("place own yield start regain");
	owners_forget(&b->owners, CLIENT); /* the loop does, when it could not be opened */
	noted("unmap");
	told(b, "map 7 unmap 7");
	assert_int_equal(b->owners.stuck, 0);
}

static void the_second_queue_is_like_the_first(void **state)
{
	struct bench *b = *state;
	uint32_t lost;
	int error;

	b->client.request = client_of("/queue/1", CLIENT).request;
	assert_int_equal(owners_ask(&b->owners, &b->client), 0);
	assert_true(answer(b, 0, 1, &error));
	assert_int_equal(own(b, 1, false, &lost), 0);
	assert_non_null(b->port.queue[0]);
	assert_null(b->port.queue[1]);
	b->table.leave(b->table.ctx, 1);
	noted("place own yield start stop unmap regain");
	assert_non_null(b->port.queue[1]);
}

/* --- from one driver to the next --- */

/* What a client in order does. */
static void provide(struct bench *b, bool tx, const struct scheme_frame *frame)
{
	_Atomic uint32_t *provided = tx ? &b->shared->tx_provided : &b->shared->rx_provided;
	_Atomic uint64_t *slots = tx ? b->rings.tx.slots : b->rings.rx.slots;

	ring_store(&slots[*provided % SLOTS], frame);
	(*provided)++;
}

static ssize_t move(struct bench *b, struct scheme_moved *moved)
{
	*moved = (struct scheme_moved){0};
	return b->table.move(b->table.ctx, 0, SCHEME_READ | SCHEME_WRITE, moved);
}

static void leave_something(struct bench *b)
{
	struct scheme_moved moved;

	serve(b);
	for (uint32_t i = 0; i < 3; i++)
		provide(b, false, &(struct scheme_frame){.offset = scheme_ring_buffer(i)});
	for (uint32_t i = 0; i < 4; i++)
		provide(b, true,
			&(struct scheme_frame){
				.offset = scheme_ring_buffer(10 + i), .len = i % 2 ? 5 : 60});
	assert_true(move(b, &moved) > 0);
	assert_int_equal(moved.sent, 2);
	assert_int_equal(moved.refused, 2);
	assert_int_equal(moved.error, -EINVAL);
	assert_int_equal(scheme_rings_tx_held(&b->rings), 4);
	assert_int_equal(nic.queue[0].tx_count, 2);
}

static void it_runs_on(void **state)
{
	struct bench *b = *state;
	struct owner_save save[NIC_MAX_QUEUES];
	struct dma_region *none = NULL;
	struct nic_config config = {.queues = 2};
	struct scheme_moved moved;
	struct pci_error why;
	uint32_t lost;

	leave_something(b);
	owners_leave(&b->owners, save);
	assert_int_equal(save[0].client, CLIENT);
	assert_int_equal(save[1].client, 0);
	b->table.leave(b->table.ctx, 0); /* its handle is closed, and nothing happens */
	noted("");
	told(b, "");

	/* The next driver: without the memory it cannot go on. */
	assert_int_equal(owners_find(&b->resources, save, &config, &why), -EINVAL);
	b->resources.memory[3].client = CLIENT;
	b->resources.memory[3].region = &notes.inherited;
	notes.inherited = notes.region;
	assert_int_equal(owners_find(&b->resources, save, &config, &why), 0);
	assert_ptr_equal(config.frames, &notes.inherited);
	nic.queue[0].frames = config.frames;
	b->port.queue[0] = NULL;
	owners_init(&b->owners, &b->port, &b->resources, 2);
	owners_take(&b->owners, save);
	noted("own");
	assert_ptr_equal(b->resources.memory[3].region, none);
	b->client.held = false;
	b->client.resumed = true;
	assert_int_equal(owners_ask(&b->owners, &b->client), 1);
	init_rings(b);
	assert_int_equal(own(b, 0, true, &lost), 0);
	assert_int_equal(lost, 0);
	noted("");
	/* What was refused still is, in its place. */
	nic.queue[0].sent = 2;
	assert_true(move(b, &moved) > 0);
	assert_int_equal(scheme_rings_tx_held(&b->rings), 0);
	owners_settle(&b->owners);
	noted("");
	b->table.leave(b->table.ctx, 0);
	noted("stop unmap regain");
	told(b, "unmap 7");
}

/* The queue holds something else than the rings say: somebody has gone mad. */
static void it_is_out_of_step(void **state)
{
	struct bench *b = *state;
	struct owner_save save[NIC_MAX_QUEUES];
	uint32_t lost;

	leave_something(b);
	owners_leave(&b->owners, save);
	nic.queue[0].tx_count--;
	b->resources.memory[0].client = CLIENT;
	b->resources.memory[0].region = &notes.region;
	owners_init(&b->owners, &b->port, &b->resources, 2);
	owners_take(&b->owners, save);
	assert_int_equal(owners_ask(&b->owners, &b->client), 1);
	init_rings(b);
	assert_int_equal(own(b, 0, true, &lost), -EPROTO);
	owners_forget(&b->owners, CLIENT);
	noted("own stop unmap regain");
}

/* Its client has gone while there was no driver; another's memory nobody asks for. */
static void nobody_comes(void **state)
{
	struct bench *b = *state;
	struct owner_save save[NIC_MAX_QUEUES];

	leave_something(b);
	owners_leave(&b->owners, save);
	b->resources.memory[0].client = CLIENT;
	b->resources.memory[0].region = &notes.region;
	b->resources.memory[1].client = CLIENT + 1;
	b->resources.memory[1].region = &notes.inherited;
	owners_init(&b->owners, &b->port, &b->resources, 2);
	owners_take(&b->owners, save);
	owners_settle(&b->owners);
	noted("own stop unmap regain own unmap");
	told(b, "unmap 7 unmap 8");
}

/* The driver before has died: the card was reset, what was to be sent is lost. */
static void it_starts_afresh(void **state)
{
	struct bench *b = *state;
	struct scheme_moved moved;
	uint32_t lost;
	int error;

	leave_something(b);
	nic = (struct nic){0};
	b->port.queue[0] = nic_queue(&nic, 0);
	owners_init(&b->owners, &b->port, &b->resources, 2);
	assert_int_equal(owners_ask(&b->owners, &b->client), 0);
	assert_true(answer(b, 0, 1, &error));
	init_rings(b);
	assert_int_equal(own(b, 0, true, &lost), 0);
	assert_int_equal(lost, 4);
	noted("place own yield start");
	assert_true(move(b, &moved) > 0);
	assert_int_equal(nic.queue[0].rx_count, 3);
	assert_int_equal(nic.queue[0].tx_count, 0);
}

/* --- rings in order, and not --- */

/* A frame of up to four entries; of one that is none at least one is not in order, or all of them
 * are.
 */
static void provide_chain(struct bench *b, bool good, uint32_t *sent)
{
	unsigned entries = 1 + (unsigned)rand() % 4, fault = (unsigned)rand() % 4;

	for (unsigned i = 0; i < entries; i++) {
		struct scheme_frame f = {.offset = 4096, .len = 60};

		f.flags = i + 1 < entries ? SCHEME_FRAME_MORE : 0;
		if (good)
			f.offset = 4096 + 4 * ((*sent)++ % 1000);
		else if (fault == 0)
			f.len = entries == 1 ? 13 : 0;
		else if (fault == 1)
			f.len = 9729;
		else if (fault == 2) /* across two chunks */
			f.offset = (uint32_t)DMA_CHUNK_SIZE - 59;
		else
			f.flags |= 4;
		provide(b, true, &f);
	}
}

/* Frames of which some are none, as many as there is room for: all come back, the good ones were
 * sent in their order, and buffers come back in theirs.
 */
static void in_order(void **state)
{
	struct bench *b = *state;
	uint32_t sent = 0, expected = 0, received = 0, errors = 0, good = 0, bad = 0, whole = 0;
	bool more = false;

	serve(b);
	srand(1);
	b->port.mtu = 9710;
	longest = 9728;
	for (unsigned round = 0; round < 20000; round++) {
		struct ring_driver *d = b->rings.driver;
		struct scheme_moved moved;

		for (int n = rand() % 20; n > 0 && b->shared->tx_provided - d->tx_done < SLOTS - 3;
			n--) {
			bool right = rand() % 4 > 0;

			provide_chain(b, right, &sent);
			good += right;
			bad += !right;
		}
		for (int n = rand() % 20; n > 0 && b->shared->rx_provided - d->rx_returned < SLOTS;
			n--)
			provide(b, false,
				&(struct scheme_frame){.offset = scheme_ring_buffer(
							       b->shared->rx_provided % 500)});
		assert_true(move(b, &moved) >= 0);
		/* None comes back before the card has given it back. */
		assert_true(owner_in_step(&b->owners.queue[0], &nic.queue[0], &b->rings));
		good -= moved.sent;
		bad -= moved.refused;
		errors += moved.no_link;
		nic.queue[0].sent = nic.queue[0].tx_count > 0
					    ? (size_t)rand() % (nic.queue[0].tx_count + 1)
					    : 0;
		for (; expected != nic.queue[0].gots; expected++)
			assert_int_equal(nic.queue[0].got[expected % (4 * SLOTS)].offset,
				4096 + 4 * (expected % 1000));
		for (; received != d->rx_returned; received++) {
			struct scheme_frame f = ring_load(&b->rings.rx.slots[received % SLOTS]);

			assert_int_equal(f.offset, scheme_ring_buffer(received % 500));
			assert_true(
				f.flags == SCHEME_FRAME_ERROR ? f.len == 0 && !more : f.len >= 60);
			assert_true(f.flags != SCHEME_FRAME_MORE || f.len == 2048);
			more = f.flags == SCHEME_FRAME_MORE;
			whole += f.flags == 0;
		}
		assert_false(more);
		whole -= moved.received;
		assert_int_equal(whole, 0);
	}
	assert_int_equal(errors, 0);
	/* All that was provided is counted once, as what it was, but for what waits. */
	for (uint32_t at = b->rings.tx.taken; at != b->shared->tx_provided; at++)
		errors += ring_load(&b->rings.tx.slots[at % SLOTS]).flags % 2 == 0;
	assert_int_equal(good + bad, errors);
	assert_true(received > 5000 && expected > 5000);
	longest = 1518;
}

/* Less room than the longest frame may have entries is none to sleep for. */
static void room_is_for_any_frame(void **state)
{
	struct bench *b = *state;
	struct scheme_moved moved;

	serve(b);
	assert_int_equal(b->table.room(b->table.ctx, 0), SCHEME_RING_RX | SCHEME_RING_TX);
	for (uint32_t i = 0; i < RING - 4 - SCHEME_RING_CHAIN; i++)
		provide(b, true,
			&(struct scheme_frame){.offset = scheme_ring_buffer(i), .len = 60});
	assert_true(move(b, &moved) > 0);
	assert_int_equal(b->table.room(b->table.ctx, 0), SCHEME_RING_RX | SCHEME_RING_TX);
	provide(b, true, &(struct scheme_frame){.offset = scheme_ring_buffer(30), .len = 60});
	assert_true(move(b, &moved) > 0);
	assert_int_equal(b->table.room(b->table.ctx, 0), SCHEME_RING_RX);
	/* A chain that does not fit goes whole when it does. */
	for (uint32_t i = 0; i < SCHEME_RING_CHAIN; i++)
		provide(b, true,
			&(struct scheme_frame){.offset = scheme_ring_buffer(i),
				.len = 30,
				.flags = i + 1 < SCHEME_RING_CHAIN ? SCHEME_FRAME_MORE : 0});
	assert_int_equal(move(b, &moved), 0);
	nic.queue[0].sent = 1;
	assert_true(move(b, &moved) > 0);
	assert_int_equal(moved.sent, 1);
	assert_int_equal(nic.queue[0].tx_count, RING - 4);
	/* Another driver after this one's death: in frames. */
	uint32_t lost;
	init_rings(b);
	assert_int_equal(scheme_rings_resume(&b->rings, false, &lost), 0);
	assert_int_equal(lost, RING - 4 - SCHEME_RING_CHAIN + 1);
}

/* The daemon lets metadata through where the card has it, and the driver judges it: what that does
 * not take comes back in its place, and the next ones go on.
 */
static void metadata_is_the_drivers_to_judge(void **state)
{
	struct bench *b = *state;
	static const struct scheme_frame frames[] = {
		{8192, 60, 0},
		{8192, 60, SCHEME_FRAME_META},
		{8196, 60, SCHEME_FRAME_META | SCHEME_FRAME_MORE}, /* not in order */
		{8192, 60, 0},
		{8196, 60, SCHEME_FRAME_META}, /* neither */
		{8192, 40000, SCHEME_FRAME_META | SCHEME_FRAME_MORE},
		{8192, 9000, 0},
		{8192, 60, SCHEME_FRAME_MORE}, /* in the wrong place */
		{8192, 60, SCHEME_FRAME_META},
		{8192, 60, 0},
	};
	struct scheme_moved moved;

	for (unsigned with = 0; with < 2; with++) {
		b->port.offloads = with != 0 ? NIC_TX_META : 0;
		with_metadata = with != 0;
		serve(b);
		for (unsigned i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
			provide(b, true, &frames[i]);
		assert_true(move(b, &moved) > 0);
		assert_int_equal(moved.sent, with != 0 ? 4 : 2);
		assert_int_equal(moved.refused, with != 0 ? 3 : 5);
		assert_int_equal(moved.error, -EINVAL);
		assert_int_equal(nic.queue[0].tx_count, with != 0 ? 5 : 2);
		assert_true(owner_in_step(&b->owners.queue[0], &nic.queue[0], &b->rings));
		nic.queue[0].sent = nic.queue[0].tx_count;
		assert_true(move(b, &moved) > 0);
		assert_int_equal(scheme_rings_tx_held(&b->rings), 0);
		b->table.leave(b->table.ctx, 0);
		notes.text[0] = '\0';
		told(b, "unmap 7");
		memset(b->page.bytes, 0, sizeof(b->page.bytes));
		b->shared->rx_provided = b->shared->tx_provided = 0;
		init_rings(b);
	}
	/* Each of what is held, and each of what comes, may take two descriptors. */
	serve(b);
	for (uint32_t i = 0; i < 9; i++)
		provide(b, true, &frames[1]);
	assert_true(move(b, &moved) > 0);
	assert_int_equal(b->table.room(b->table.ctx, 0), SCHEME_RING_RX | SCHEME_RING_TX);
	for (uint32_t i = 0; i < SLOTS - 9; i++)
		provide(b, true, &frames[1]);
	while (move(b, &moved) > 0)
		;
	assert_int_equal(b->table.room(b->table.ctx, 0), SCHEME_RING_RX);
	assert_in_range(nic.queue[0].tx_count, 25, 30);
	with_metadata = false;
}

/* Any bytes at any time. The fakes check what reaches the card. */
static void wild(void **state)
{
	struct bench *b = *state;
	unsigned broken = 0;

	serve(b);
	srand(2);
	for (unsigned round = 0; round < 50000; round++) {
		struct scheme_moved moved;

		for (int n = rand() % 40; n > 0; n--) {
			uint64_t word =
				(uint64_t)rand() << 33 ^ (uint64_t)rand() << 11 ^ (uint64_t)rand();

			if (rand() % 3 > 0)
				word &= rand() % 4 > 0 ? UINT64_C(0x07ff003fffff)
						       : UINT64_C(0x107ff003fffff);
			b->rings.rx.slots[(unsigned)rand() % (2 * SLOTS)] = word;
		}
		b->shared->rx_provided += (uint32_t)rand() % 5;
		b->shared->tx_provided += (uint32_t)rand() % 5;
		if (rand() % 500 == 0)
			b->shared->tx_provided = (uint32_t)rand();
		if (rand() % 1000 == 0)
			b->port.link.up = !b->port.link.up;
		if (move(b, &moved) < 0) {
			broken++;
			b->table.leave(b->table.ctx, 0);
			memset(b->page.bytes, 0, sizeof(b->page.bytes));
			b->shared->rx_provided = b->shared->tx_provided = 0;
			init_rings(b);
			notes.text[0] = '\0';
			told(b, "unmap 7");
			serve(b);
		}
		assert_true(owner_in_step(&b->owners.queue[0], &nic.queue[0], &b->rings));
		nic.queue[0].sent = nic.queue[0].tx_count / 2;
	}
	assert_true(broken > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(there_and_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_daemon_maps_where_the_card_is_its_own, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pcid_does_not_map, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_asked_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_queue_that_does_not_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_queue_that_does_not_start, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_second_queue_is_like_the_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_runs_on, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_is_out_of_step, set_up, tear_down),
		cmocka_unit_test_setup_teardown(nobody_comes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(it_starts_afresh, set_up, tear_down),
		cmocka_unit_test_setup_teardown(in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(room_is_for_any_frame, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			metadata_is_the_drivers_to_judge, set_up, tear_down),
		cmocka_unit_test_setup_teardown(wild, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
