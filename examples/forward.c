/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Forwards what comes in at one card to another one, and back. With one card: back to where it came
 * from. A byte of each frame is touched, as a program with a purpose would.
 *
 *     forward 0000:01:00.0 0000:02:00.0
 */
#include <nic/card.h>
#include <nic/forward.h>
#include <signal.h>
#include <stdio.h>

#define BURST 64

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	(void)number;
	stop = 1;
}

/* Sees each burst between the two cards; could change, shorten or drop (len = 0) frames. */
static void look(void *ctx, uint8_t *base, struct frame *frames, size_t n)
{
	unsigned long *multicast = ctx;

	for (size_t i = 0; i < n; i++)
		*multicast += base[frames[i].offset] & 1;
}

int main(int argc, char **argv)
{
	struct nic_card left = {0}, right = {0};
	struct nic_card *far = argc > 2 ? &right : &left;
	unsigned long frames = 0, multicast = 0;
	struct pci_error why;
	int rc = 1;

	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: forward ADDRESS [ADDRESS]   (0000:01:00.0, sim:loop)\n");
		return 2;
	}
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	/* The second card on the memory of the first: nothing is copied. */
	if (nic_card_open(&left, argv[1], NULL, NULL, &why) ||
		(argc > 2 && nic_card_open(&right, argv[2], NULL, &left, &why))) {
		fprintf(stderr, "forward: %s\n", why.text);
		goto out;
	}
	if (nic_forward_check(left.queue, far->queue, &why)) {
		fprintf(stderr, "forward: %s\n", why.text);
		goto out;
	}
	/* Buffers for what comes, from the pool. From then on nic_forward() brings those back that
	 * were sent.
	 */
	nic_rx(left.queue, &left.pool, NULL, 0);
	if (far == &right)
		nic_rx(right.queue, &left.pool, NULL, 0);
	printf("forwarding\n");
	fflush(stdout);
	while (!stop && !nic_gone(left.nic) && !nic_gone(far->nic)) {
		frames += nic_forward(left.queue, far->queue, BURST, look, &multicast);
		if (far == &right)
			frames += nic_forward(right.queue, left.queue, BURST, look, &multicast);
	}
	printf("%lu frames, %lu of them multicast\n", frames, multicast);
	if (stop)
		rc = 0;
	else
		fprintf(stderr, "forward: a card is gone\n");
out:
	nic_card_close(&right);
	nic_card_close(&left);
	return rc;
}
