/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nicsim: network cards in software. One process serves one or several cards, each a vfio-user
 * server on a Unix socket with a wire behind it:
 *
 *     driver --vfio-user--> server (vfu) -> registers and rings (card) <-> wire <-> somebody else
 *
 *     nicsim.h   what the parts share          loop.h      events, timers, deferred work
 *     server.c   connections                   session.c   the vfio-user commands
 *     dma.c      the client's memory           pci.c       config space, registers, memory
 *     irq.c      interrupts as eventfds        ixgbe/, e1000/, rtl8168/  families of cards
 *     kind.c     what --device can name        fault*.c    what goes wrong
 *     wire*.c    what a port is plugged into   headers.c   what is in a frame
 *     offload.c  arithmetic over frames        toeplitz.c  a hash over addresses
 *     bytes.h    numbers as frames hold them   snapshot.h  registers that somebody else writes
 *     report.c   lines for people              control.c   what nicsim ctl asks for
 *     replay.c   a trace against the card      registers.c what a card has
 *     pause.c    flow control of a link        table.h     the rows of registers
 *     request.c  what is to be sent           filter.h    addresses, tags, sizes
 *     place.c    sockets with a name           detach.c    into the background, for one client
 *
 * It shares nothing with the drivers here but the numbers of the vfio-user protocol and the format
 * of traces, so that each side tests the other.
 */
#ifndef NICSIM_NICSIM_H
#define NICSIM_NICSIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What went wrong while starting, one line for people. */
struct sim_error {
	char text[256];
};

#define SIM_FRAME_MIN 14u    /* a frame's header */
#define SIM_FRAME_MAX 16384u /* the largest a wire carries, without CRC */

#endif
