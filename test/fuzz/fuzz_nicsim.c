/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libFuzzer: a driver that does anything to a card of nicsim's, another card at its cable that
 * sends anything, and somebody at its control. The input is a program: vfio-user messages in order
 * or not, maps, registers, descriptors, frames, faults. The card reads and writes nothing but what
 * was mapped for it, and every frame that it sends has a length that a wire carries.
 */
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cards.h"
#include "nicsim/kind.h"
#include "nicsim/session.h"
#include "nicsim/wire.h"
#include "pci/vfio_user.h"
#include "program.h"
#include "turns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILES     3u
#define FILE_SIZE 65536u
#define SPARE     16384u /* of each file, at its end: never mapped */
#define CALM      0x5au  /* what stands there, and in the file that is mapped for reading alone */
#define READ_ONLY 2u     /* that file */
#define PLACES    8u     /* where maps begin: so many, 1 MiB apart */

struct bench {
	const struct card_family *family;
	const struct card_words *words;
	void *card;
	struct dma *dma;
	struct report report;
	struct wire *peer; /* the cable's other end; NULL: it has another wire */
	uint32_t sent;     /* rows of the ring that live() made, as far as they are used */
	struct session session;
	uint8_t *window;
	size_t window_size;
};

static const struct {
	const char *name;
	const struct card_words *words;
	bool mapped, second; /* its doorbells; the second port of the one before */
	const char *wire;    /* NULL: a cable */
} kinds[] = {{"x540", &ixgbe_words, false, false, NULL},
	{"82599", &ixgbe_words, false, false, NULL}, {"x540", &ixgbe_words, true, false, NULL},
	{"82574l", &e1000_words, false, false, NULL}, {"x550", &ixgbe_words, false, false, NULL},
	{"x550", &ixgbe_words, false, true, NULL}, {"rtl8168", &rtl8168_words, false, false, NULL},
	{"rtl8168c", &rtl8168_words, false, false, NULL},
	{"x540", &ixgbe_words, false, false, "loop"},
	{"82599", &ixgbe_words, false, false, "gen:300"}};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

static struct loop *loop;
static struct bench benches[KINDS];
static int file[FILES];
static uint8_t *memory[FILES];
static char folder[] = "/tmp/fuzz_nicsim.XXXXXX";

/* --- the program --- */

/* An address in a map, more often than not. */
static uint64_t address(struct program *p)
{
	uint32_t value = word(p, 3);

	return ((uint64_t)(value >> 20 & (PLACES - 1)) << 20 | (value & 0xffff)) +
	       (value >> 23 ? number(p, 4) << 32 : 0);
}

/* --- the wire --- */

static bool peer_receive(void *ctx, const uint8_t *frame, size_t len, bool may_wait)
{
	static uint8_t copy[SIM_FRAME_MAX];

	(void)ctx;
	(void)may_wait;
	if (len < SIM_FRAME_MIN || len > SIM_FRAME_MAX)
		abort();
	memcpy(copy, frame, len);     /* all of it is there */
	return copy[len - 1] != 0xee; /* no room at times */
}

static void peer_carrier(void *ctx, bool up)
{
	(void)ctx;
	(void)up;
}

static void peer_sendable(void *ctx)
{
	(void)ctx;
}

/* --- messages --- */

static void send_message(
	struct bench *b, uint16_t command, uint32_t flags, const void *payload, size_t len, int fd)
{
	const struct vfio_user_header header = {
		.command = command, .size = (uint32_t)(sizeof(header) + len), .flags = flags};
	uint8_t copy[SESSION_MESSAGE];
	uint8_t *exact;

	/* On the heap, so that a byte too far shows. */
	exact = malloc(len ? len : 1);
	if (!exact)
		abort();
	if (len)
		memcpy(exact, payload, len);
	if (fd >= 0)
		b->session.fds.fd[b->session.fds.count++] = fd;
	session_command(&b->session, &header, exact);
	free(exact);
	if (b->session.fds.count || b->session.out_len > SESSION_BUFFER)
		abort();
	/* The client reads all of it. */
	for (unsigned at = 0; at < b->session.out_len; at += header.size) {
		struct vfio_user_header reply;

		if (b->session.out_len - at < sizeof(reply))
			abort();
		memcpy(&reply, b->session.out + at, sizeof(reply));
		if (reply.size < sizeof(reply) || reply.size > b->session.out_len - at)
			abort();
		memcpy(copy, b->session.out + at,
			reply.size < sizeof(copy) ? reply.size : sizeof(copy));
		break; /* there is one at most */
	}
	b->session.out_len = 0;
	b->session.passes = 0;
}

static void access_region(struct bench *b, bool write, uint32_t region, uint64_t offset,
	uint32_t count, const void *value)
{
	struct {
		struct vfio_user_region_access access;
		uint8_t data[8];
	} message = {.access = {.offset = offset, .region = region, .count = count}};

	if (write)
		memcpy(message.data, value, count <= 8 ? count : 8);
	send_message(b, write ? VFIO_USER_REGION_WRITE : VFIO_USER_REGION_READ, 0, &message,
		sizeof(message.access) + (write ? (count <= 8 ? count : 8) : 0), -1);
}

void write_reg(struct bench *b, uint32_t offset, unsigned size, uint64_t value)
{
	access_region(b, true, VFIO_PCI_BAR0_REGION_INDEX + b->words->bar, offset, size, &value);
}

static void any_message(struct bench *b, struct program *p)
{
	uint8_t payload[512];
	uint16_t command = (uint16_t)(number(p, 1) % 16);
	uint32_t flags = word(p, 1) & (VFIO_USER_NO_REPLY | 0x40u);
	unsigned carries = word(p, 1) % 4;
	size_t len = take_bytes(p, payload, number(p, 1) * 2);
	int fd = -1;

	/* A map of a file may be of all of it: of none that must stay as it is. */
	if (carries == 1)
		fd = eventfd(0, EFD_CLOEXEC);
	else if (carries == 2 && command != VFIO_USER_DMA_MAP)
		fd = dup(file[0]);
	send_message(b, command, flags, payload, len, fd);
}

static void map(struct bench *b, struct program *p)
{
	uint32_t what = word(p, 2);
	unsigned which = what % FILES;
	uint64_t pages = 1 + (what >> 2) % 12;
	uint64_t first = (what >> 6) % 12;
	struct vfio_user_dma_map message = {.argsz = sizeof(message),
		.flags = which == READ_ONLY ? DMA_CAN_READ : what >> 10 & 3,
		.offset = first * DMA_PAGE,
		.address = (uint64_t)(what >> 12 & (PLACES - 1)) << 20,
		.size = pages * DMA_PAGE};

	if (first + pages > (FILE_SIZE - SPARE) / DMA_PAGE)
		message.size = (FILE_SIZE - SPARE) - message.offset;
	send_message(b, VFIO_USER_DMA_MAP, 0, &message, sizeof(message), dup(file[which]));
}

static void unmap(struct bench *b, struct program *p)
{
	uint32_t what = word(p, 1);
	struct vfio_user_dma_unmap message = {.argsz = sizeof(message),
		.address = (uint64_t)(what & (PLACES - 1)) << 20,
		.size = (uint64_t)(1 + (what >> 3)) * DMA_PAGE};

	if (what >= 0xf8)
		message = (struct vfio_user_dma_unmap){
			.argsz = sizeof(message), .flags = VFIO_DMA_UNMAP_FLAG_ALL};
	send_message(b, VFIO_USER_DMA_UNMAP, 0, &message, sizeof(message), -1);
}

static void set_irqs(struct bench *b, struct program *p)
{
	uint32_t what = word(p, 2);
	struct vfio_irq_set message = {.argsz = sizeof(message),
		.flags = what & 0x3f,
		.index = what >> 6 & 7,
		.start = what >> 9 & 0x7f,
		.count = word(p, 1)};

	send_message(b, VFIO_USER_DEVICE_SET_IRQS, 0, &message, sizeof(message),
		what & 0x8000 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -1);
}

/* --- what a driver does --- */

static void any_register(struct bench *b, struct program *p)
{
	const struct card_words *words = b->words;
	uint32_t which = word(p, 1);
	uint32_t offset = which < 0xc0 ? words->often[which % words->count] : word(p, 3);
	uint32_t value = word(p, 4);
	bool wide = which & 1 || (which < 0xc0 && !words->narrow);
	uint32_t size = wide ? 4 : 1u << (which >> 1 & 3);
	uint32_t region = VFIO_PCI_BAR0_REGION_INDEX + words->bar;

	/* The other BARs are small. */
	if (offset >= words->bar_size) {
		region = offset >> 20 & 7;
		offset &= 0x3fff;
	}
	offset &= ~(size - 1);
	if (which & 0x20)
		access_region(b, false, region, offset, size, NULL);
	else
		access_region(
			b, true, region, offset, size, &(uint64_t){value | (uint64_t)value << 32});
}

static void config_space(struct bench *b, struct program *p)
{
	uint32_t what = word(p, 2);
	uint16_t on = PCI_CMD_MEMORY | PCI_CMD_MASTER;
	uint32_t value;

	if (!(what & 0x8000)) {
		access_region(b, true, VFIO_PCI_CONFIG_REGION_INDEX, PCI_CFG_COMMAND, 2, &on);
		return;
	}
	value = word(p, 4);
	access_region(b, what & 0x4000, VFIO_PCI_CONFIG_REGION_INDEX, what & 0xfff,
		1u << (what >> 12 & 3), &(uint64_t){value});
}

/* A queue as drivers set it up, but for what the program says. */
static void set_up_queue(struct bench *b, struct program *p)
{
	uint32_t what = word(p, 1);
	uint64_t ring = address(p) & ~UINT64_C(255);
	uint32_t rows = 8u * (1 + (word(p, 1) & 31));

	b->words->set_up(b, what & 1, (what >> 1) % b->words->queues, ring, rows * 16, word(p, 2));
}

/* --- a driver that has done all of it rightly --- */

#define LIVE_ROWS   32u
#define LIVE_TX     0x1000u /* in the first file */
#define LIVE_RX     0x2000u
#define LIVE_FRAMES 0x4000u

/* Both files mapped, a queue of each direction at work. */
static void live(struct bench *b, struct program *p)
{
	const uint32_t how = word(p, 2);
	const unsigned queue = how % b->words->queues;
	const uint16_t on = PCI_CMD_MEMORY | PCI_CMD_MASTER;
	struct vfio_user_dma_map message = {
		.argsz = sizeof(message), .flags = 3, .size = FILE_SIZE - SPARE};

	for (unsigned i = 0; i < 2; i++) {
		message.address = (uint64_t)i << 20;
		send_message(b, VFIO_USER_DMA_MAP, 0, &message, sizeof(message), dup(file[i]));
	}
	for (unsigned i = 0; i < LIVE_ROWS; i++)
		b->words->empty((1u << 20) + i * 1024, 2048, i == LIVE_ROWS - 1,
			(uint64_t(*))(void *)(memory[0] + LIVE_RX + i * 16));
	access_region(b, true, VFIO_PCI_CONFIG_REGION_INDEX, PCI_CFG_COMMAND, 2, &on);
	b->words->set_up(b, false, queue, LIVE_RX, LIVE_ROWS * 16, how);
	b->words->set_up(b, true, queue, LIVE_TX, LIVE_ROWS * 16, how);
	b->words->tail(b, false, queue, LIVE_ROWS - 1);
	b->sent = 0;
}

static void send_frame(struct bench *b, struct program *p)
{
	const uint32_t what = word(p, 1);
	uint8_t *to = memory[0] + LIVE_FRAMES;
	uint64_t row[3][2];
	struct shape shape;
	unsigned n;

	memset(to, 0, 128);
	shape = make_frame(p, to, 16384);
	n = b->words->send(&shape, LIVE_FRAMES, what, LIVE_ROWS - b->sent % LIVE_ROWS, row);
	for (unsigned i = 0; i < n; i++)
		memcpy(memory[0] + LIVE_TX + b->sent++ % LIVE_ROWS * 16, row[i], 16);
	b->words->tail(b, true, (what >> 6) % b->words->queues, b->sent % LIVE_ROWS);
}

static void tail(struct bench *b, struct program *p)
{
	uint32_t what = word(p, 1);

	b->words->tail(b, what & 1, (what >> 1) % b->words->queues, word(p, 2) & 0x1ff);
}

/* Descriptors, into files that may be written. */
static void descriptors(struct bench *b, struct program *p)
{
	uint32_t where = word(p, 3);
	uint8_t *to = memory[where >> 16 & 1] + (where & 0xfff0) % (FILE_SIZE - SPARE - 64 * 16);
	unsigned n = 1 + word(p, 1) % 16;

	for (unsigned i = 0; i < n; i++) {
		uint64_t at = address(p), row[2];
		uint32_t what = word(p, 2);
		uint32_t len = word(p, 2);

		b->words->descriptor(at, what, len, row);
		if (what & 0x8000) { /* a context, too: as it comes */
			row[0] = number(p, 8);
			row[1] = number(p, 8);
		}
		memcpy(to + (size_t)i * 16, row, sizeof(row));
	}
}

static void scribble(struct bench *b, struct program *p)
{
	uint32_t where = word(p, 3);
	uint32_t value = word(p, 4);

	if (b->window && where & 0x800000)
		*(volatile uint32_t *)(b->window + (where & 0xfffc) % b->window_size) = value;
	else
		take_bytes(p,
			memory[where >> 16 & 1] + (where & 0xffff) % (FILE_SIZE - SPARE - 256),
			value & 0xff);
}

static void from_wire(struct bench *b, struct program *p)
{
	uint8_t frame[2048] = {0};
	uint32_t what = word(p, 2);
	size_t len = SIM_FRAME_MIN + what % (sizeof(frame) - SIM_FRAME_MIN);

	if (what & 0x8000)
		memset(frame, 0xff, 6);
	else
		memcpy(frame, "\x02\0\0\0\0\1", 6);
	take_bytes(p, frame + 12, number(p, 1) % 128);
	if (b->peer)
		(void)wire_send(b->peer, frame, len);
}

static void packet_from_wire(struct bench *b, struct program *p)
{
	static uint8_t frame[9000];
	struct shape shape;

	memset(frame, 0, 128);
	shape = make_frame(p, frame, sizeof(frame));
	if (b->peer)
		(void)wire_send(b->peer, frame, shape.len);
}

static void leave(struct bench *b)
{
	struct function *fn = b->session.fn;

	b->session.versioned = b->session.hangs_up = false;
	dma_unmap_all(b->dma);
	if (fn->ops->left)
		fn->ops->left(fn->card);
	function_reset(fn);
}

static void cut_file(struct program *p)
{
	if (ftruncate(file[0], (off_t)(number(p, 1) % 16 * DMA_PAGE)) ||
		ftruncate(file[0], FILE_SIZE))
		abort();
}

static void greet(struct bench *b)
{
	const struct vfio_user_version version = {0, 0};

	send_message(b, VFIO_USER_VERSION, 0, &version, sizeof(version), -1);
}

/* What nicsim ctl asks for: words, a line each. */
static void ask(struct bench *b, const char *text)
{
	char copy[64], answer[4080], *rest = copy;
	char *words[8];
	unsigned n = 0;
	int rc;

	snprintf(copy, sizeof(copy), "%s", text);
	while (rest && *rest && n < 8)
		words[n++] = strsep(&rest, "\n");
	answer[0] = '\0';
	if (n == 2 && strcmp(words[0], "fault") == 0)
		rc = fault_command(b->family->faults(b->card), words[1], answer, sizeof(answer));
	else
		rc = n ? b->family->command(b->card, words, n, answer, sizeof(answer)) : 0;
	if (rc && !answer[0])
		abort(); /* no reason */
	b->family->counters(b->card, answer, sizeof(answer));
	fault_counters(b->family->faults(b->card), answer, sizeof(answer));
}

/* Of what there is to ask for. */
static void ask_something(struct bench *b, struct program *p)
{
	static const char *const plain[] = {"link\ndown", "link\nup", "plug\nsr", "plug\ncopper",
		"plug\n1g-sx", "plug\nforeign", "plug\nnone", "fault\nhelp", "fault\nnone",
		"fault\nremoved", "fault\neeprom-sum", "fault\nrx-stall", "fault\ntx-stall"};
	/* A number stands between. */
	static const char *const valued[][2] = {{"access=", ",ones"}, {"access=", ",zero"},
		{"access=", ",error"}, {"access=", ",gone"}, {"message=", ",error"},
		{"message=", ",hangup"}, {"dma-read=", ""}, {"dma-write=", ""}, {"irq-lost=", ""},
		{"irq-spurious=", ""}, {"flap=", ""}, {"stuck=", ",255,0"}, {"rx-late=1,", ""},
		{"rx-torn=1,", ""}, {"rx-half=", ""}, {"rx-length=", ""}, {"rx-endless=", ""},
		{"rx-garbage=", ""}, {"rx-early=", ""}, {"tx-late=1,", ""}, {"tx-lost=", ""},
		{"tx-early=", ""}, {"tx-garbage=", ""}, {"tx-head=", ""}};
	const unsigned plains = sizeof(plain) / sizeof(*plain);
	const unsigned values = sizeof(valued) / sizeof(*valued);
	const struct fault_list *list = b->family->fault_list;
	unsigned which = word(p, 1) % (plains + values + list->bits_count);
	char text[64];

	if (which < plains)
		snprintf(text, sizeof(text), "%s", plain[which]);
	else if (which < plains + values)
		snprintf(text, sizeof(text), "fault\n%s%u%s", valued[which - plains][0], word(p, 2),
			valued[which - plains][1]);
	else
		snprintf(text, sizeof(text), "fault\n%s", list->bits[which - plains - values].name);
	ask(b, text);
}

static void happen(struct bench *b, struct program *p)
{
	char text[64] = "fault\n";

	switch (word(p, 1) % 8) {
	case 0: cut_file(p); break;
	case 1: send_message(b, VFIO_USER_DEVICE_RESET, 0, NULL, 0, -1); break;
	case 2:
		text[6 + take_bytes(p, text + 6, word(p, 1) % 40)] = '\0';
		ask(b, text);
		break;
	default: ask_something(b, p);
	}
}

static void step(struct bench *b, struct program *p)
{
	switch (word(p, 1) % 20) {
	case 0: any_message(b, p); break;
	case 1:
	case 2: map(b, p); break;
	case 3: unmap(b, p); break;
	case 4: set_irqs(b, p); break;
	case 5:
	case 6: any_register(b, p); break;
	case 7: config_space(b, p); break;
	case 8: set_up_queue(b, p); break;
	case 9:
	case 10: tail(b, p); break;
	case 11: descriptors(b, p); break;
	case 12: scribble(b, p); break;
	case 13: from_wire(b, p); break;
	case 14: turn(loop, word(p, 1) % 4); break;
	case 15: live(b, p); break;
	case 16:
	case 17: send_frame(b, p); break;
	case 18: packet_from_wire(b, p); break;
	default: happen(b, p);
	}
	if (b->session.hangs_up) { /* a fault: there is another client */
		leave(b);
		ask(b, "fault\nnone");
		greet(b);
	}
}

/* --- before and after --- */

static void clean(void)
{
	for (unsigned i = KINDS; i-- > 0;) { /* a second port before its first */
		if (benches[i].peer)
			wire_close(benches[i].peer);
		benches[i].family->destroy(benches[i].card);
	}
	rmdir(folder);
}

static void make_bench(struct bench *b, unsigned kind)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	static const struct wire_port port = {
		.receive = peer_receive, .carrier = peer_carrier, .sendable = peer_sendable};
	char wire[64];
	struct sim_error why;
	struct card_kind what;
	struct card_options options = {.mac = mac,
		.wire = wire,
		.module = SFP_SR,
		.first = kinds[kind].second ? b[-1].card : NULL,
		.mapped = kinds[kind].mapped};

	if (kinds[kind].wire)
		options.wire = kinds[kind].wire;
	snprintf(wire, sizeof(wire), "cable:%s/%u", folder, kind);
	b->words = kinds[kind].words;
	b->report = (struct report){.who = kinds[kind].name, .strict = true};
	if (!card_find_kind(kinds[kind].name, &what) || dma_create(&b->dma))
		abort();
	b->family = what.family;
	options.model = what.model;
	if (b->family->create(&b->card, &options, loop, b->dma, &b->report, &why) ||
		(!kinds[kind].wire && wire_open(&b->peer, wire, loop, &port, &why))) {
		fprintf(stderr, "%s\n", why.text);
		abort();
	}
	b->session.fn = b->family->function(b->card);
	function_reset(b->session.fn);
	if (b->peer)
		wire_set_link(b->peer, true);
	turn(loop, 4);
}

/* The window is another file for each client. */
static void map_window(struct bench *b)
{
	const struct function_window *window = &b->session.fn->window;

	b->window = NULL;
	if (window->fd < 0)
		return;
	b->window_size =
		window->area[window->areas - 1].offset + window->area[window->areas - 1].size;
	b->window = mmap(NULL, b->window_size, PROT_READ | PROT_WRITE, MAP_SHARED, window->fd, 0);
	if (b->window == MAP_FAILED)
		abort();
}

static void make_all(void)
{
	if (!mkdtemp(folder) || loop_create(&loop) || dma_survive_sigbus())
		abort();
	for (unsigned i = 0; i < FILES; i++) {
		file[i] = memfd_create("driver", MFD_CLOEXEC);
		if (file[i] < 0 || ftruncate(file[i], FILE_SIZE))
			abort();
		memory[i] = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, file[i], 0);
		if (memory[i] == MAP_FAILED)
			abort();
	}
	for (unsigned i = 0; i < KINDS; i++)
		make_bench(&benches[i], i);
	atexit(clean);
}

static void check_calm(const uint8_t *at, size_t n)
{
	/* Each byte is what the one before it is. */
	if (*at != CALM || memcmp(at, at + 1, n - 1) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct program program = {data, data + size};
	struct bench *b;

	if (!loop)
		make_all();
	b = &benches[word(&program, 1) % KINDS];
	for (unsigned i = 0; i < FILES; i++)
		memset(memory[i], i == READ_ONLY ? CALM : 0, FILE_SIZE);
	for (unsigned i = 0; i < 2; i++)
		memset(memory[i] + FILE_SIZE - SPARE, CALM, SPARE);
	map_window(b);
	greet(b);
	while (program.at < program.end)
		step(b, &program);
	turn(loop, 2);
	ask(b, "fault\nnone");
	ask(b, "plug\nsr");
	ask(b, "link\nup");
	leave(b);
	turn(loop, 1);
	if (b->window)
		munmap(b->window, b->window_size);
	check_calm(memory[READ_ONLY], FILE_SIZE);
	/* What was cut off came back as zeros. */
	check_calm(memory[1] + FILE_SIZE - SPARE, SPARE);
	return 0;
}
