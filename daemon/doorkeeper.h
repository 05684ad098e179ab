/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Lets clients in where there is no pcid: a process beside the daemon that holds the scheme's
 * socket, since a daemon in its cage can neither accept, nor make a client's page, nor unlink the
 * socket at its end. It speaks as pcid does (pcid/channel.h), begins when the daemon is READY and
 * ends with it, however that ends.
 */
#ifndef DAEMON_DOORKEEPER_H
#define DAEMON_DOORKEEPER_H

#include "scheme/linux.h"

/* Forks it; `registrar` is the child's from then on, freed here also on failure. Returns the
 * daemon's end of the channel, or -errno. Call it while nothing else is open that should end with
 * the daemon.
 */
int doorkeeper_start(struct scheme_registrar *registrar);

/* Ends it, and waits until the scheme's socket is gone. Closes the channel. */
void doorkeeper_stop(int channel);

#endif
