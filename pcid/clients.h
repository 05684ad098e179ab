/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The clients of a card, which outlive its drivers: pcid lets them in, answers them and keeps a
 * duplicate of their connections; the driver of the day moves their frames. Private to the card.
 */
#ifndef PCID_CLIENTS_H
#define PCID_CLIENTS_H

#include "pcid/card.h"

/* Tells a driver that is ready of every client that it does not know yet, as far as the channel has
 * room, then lets others in. To be called again when the channel has room.
 */
void clients_hand_over(struct card *card);
/* What the driver says of a client's request: the client is answered, once. */
void clients_opened(struct card *card, uint32_t id, int error);
/* The driver asks for a client's memory, and is answered. */
void clients_map(struct card *card, uint32_t id, const struct dma_handover *at);
/* Others may come in. */
void clients_listen(struct card *card);
/* The registrar's time-outs; ms until the next, or -1. */
int clients_due(struct card *card);

/* There is no driver now: who is there sees the link go down and waits, who comes waits outside. */
void clients_wait(struct card *card);
/* Another driver follows at once, on a card that runs: it knows none of them. */
void clients_next_driver(struct card *card);
/* There will be none: end of file for all. */
void clients_end(struct card *card);

#endif
