/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a service manager is told (systemd's sd_notify(3) protocol: datagrams of NAME=VALUE lines to
 * the socket that $NOTIFY_SOCKET names).
 */
#ifndef PCID_NOTIFY_H
#define PCID_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>

struct notify {
	bool told, ready;
	size_t serving, cards; /* as told */
};

/* How many of the cards have a driver that serves. READY=1 goes out when all have for the first
 * time, STATUS= whenever it changes. Without $NOTIFY_SOCKET nothing happens.
 */
void notify_serving(struct notify *notify, size_t serving, size_t cards);
/* STOPPING=1. */
void notify_stopping(void);

/* Sends lines as they are. 0; -ENOENT: nobody asked for it; -EINVAL: $NOTIFY_SOCKET is neither a
 * path nor an abstract name that fits; errors of sendto(2).
 */
int notify_send(const char *lines);

#endif
