/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Writes what a card receives to a file that Wireshark and tcpdump read.
 *
 *     pcap 0000:01:00.0 FILE            until interrupted
 *     pcap sim:gen:60 FILE 1000         so many frames
 */
#include <nic/card.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#define BURST 32

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

/* Writes one frame of those that came. */
static void write_frame(pcap_dumper_t *file, const uint8_t *data, uint16_t len)
{
	struct pcap_pkthdr head = {.caplen = len, .len = len};

	gettimeofday(&head.ts, NULL);
	pcap_dump((u_char *)file, &head, data);
}

int main(int argc, char **argv)
{
	unsigned long long wanted = argc > 3 ? strtoull(argv[3], NULL, 10) : UINT64_MAX;
	unsigned long long written = 0;
	struct frame frames[BURST];
	struct nic_card card = {0};
	struct pci_error why;
	pcap_dumper_t *file = NULL;
	pcap_t *shape = NULL;
	int rc = 1;

	if (argc < 3 || argc > 4 || !wanted) {
		fprintf(stderr, "usage: pcap ADDRESS FILE [FRAMES]   (0000:01:00.0, sim:gen:60)\n");
		return 2;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	if (nic_card_open(&card, argv[1], NULL, NULL, &why)) {
		fprintf(stderr, "pcap: %s\n", why.text);
		goto out;
	}
	shape = pcap_open_dead(DLT_EN10MB, 65535);
	file = shape ? pcap_dump_open(shape, argv[2]) : NULL;
	if (!file) {
		fprintf(stderr, "pcap: %s\n", shape ? pcap_geterr(shape) : "no memory");
		goto out;
	}
	while (!stop && !nic_gone(card.nic) && written < wanted) {
		size_t n = nic_rx(card.queue, &card.pool, frames, BURST);

		for (size_t i = 0; i < n; i++) {
			/* A card may report a frame as damaged: then there is nothing to write. */
			if (!(frames[i].flags & FRAME_ERROR) && written < wanted) {
				write_frame(file, nic_data(&card.pool, frames[i].offset),
					frames[i].len);
				written++;
			}
			nic_pool_put(&card.pool, &frames[i].offset, 1);
		}
	}
	printf("%llu frames\n", written);
	rc = 0;
	if (nic_gone(card.nic)) {
		fprintf(stderr, "pcap: the card is gone\n");
		rc = 1;
	}
	if (pcap_dump_flush(file)) {
		perror("pcap: the file is not whole");
		rc = 1;
	}
out:
	if (file)
		pcap_dump_close(file);
	if (shape)
		pcap_close(shape);
	nic_card_close(&card);
	return rc;
}
