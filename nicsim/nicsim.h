/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nicsim: network cards in software. One process serves one or several cards, each a vfio-user
 * server on a Unix socket with a wire behind it:
 *
 *     driver --vfio-user--> server (vfu) -> registers and rings (card) <-> wire <-> somebody else
 *
 *     nicsim.h   what the parts share          loop.h     one thread, events, timers, deferred work
 *     server.c   connections                   session.c  the vfio-user commands
 *     dma.c      the client's memory           pci.c      config space, ways to registers, memory
 *     irq.c      interrupts as eventfds        ixgbe/, e1000/  the cards: registers, EEPROM, rings
 *     report.c   lines for people              wire*.c    what a port is plugged into
 *     replay.c   a trace against the card      detach.c   into the background, for one client
 *     place.c    sockets with a name      control.c  what nicsim ctl asks for
 *     kind.c     what --device can name
 *     fault.c    what goes wrong           headers.c  what is in a frame
 *     registers.c what a card has
 *     snapshot.h registers that somebody else writes
 *     offload.c  arithmetic over frames    toeplitz.c a hash over addresses
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
