/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The queue of bytes that wires share.
 */
#include "nicsim/wire_kind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int wire_fifo_create(struct wire_fifo *fifo, size_t capacity)
{
	fifo->bytes = malloc(2 * capacity);
	if (!fifo->bytes)
		return -ENOMEM;
	fifo->capacity = capacity;
	fifo->head = fifo->tail = 0;
	return 0;
}

void wire_fifo_destroy(struct wire_fifo *fifo)
{
	free(fifo->bytes);
	fifo->bytes = NULL;
}

uint8_t *wire_fifo_room(struct wire_fifo *fifo, size_t want)
{
	size_t used = wire_fifo_used(fifo);

	if (want > fifo->capacity - used)
		return NULL;
	if (want > 2 * fifo->capacity - fifo->tail) {
		memmove(fifo->bytes, fifo->bytes + fifo->head, used);
		fifo->head = 0;
		fifo->tail = used;
	}
	return fifo->bytes + fifo->tail;
}
