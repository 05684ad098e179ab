/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The scheme on Linux, in two halves that meet at struct scheme_client:
 *
 *     registrar   owns the listening socket, checks who connects, reads the request     (pcid)
 *     transport   answers the request and moves frames between the socket and the core  (daemon)
 */
#ifndef SCHEME_LINUX_H
#define SCHEME_LINUX_H

#include <stdbool.h>
#include <sys/types.h>

#include "scheme/server.h"
#include "scheme/wire.h"

/* A client that was let in: its request and its descriptors. */
struct scheme_client {
	struct scheme_request request; /* checked */
	uint32_t id;                   /* the registrar's number for it */
	pid_t pid;
	uid_t uid;
	gid_t gid;
	int fd;                           /* the connection */
	int status_fd;                    /* its page, to write: sealed at its size */
	int reader_fd;                    /* the same page, read only, to be sent to the client */
	int ring_fds[SCHEME_REQUEST_FDS]; /* where its request asks for rings, else -1: judged */
	/* Where connections outlive the driver, their owner answers: see scheme_linux_adopt(). */
	bool held;    /* to be opened, but neither answered nor served before it is released */
	bool resumed; /* answered long ago: the page and what it has read are an earlier driver's */
};

/* Answers a request: 0 with the page's descriptor, or -errno and -1. -errno of sendmsg(2). */
int scheme_answer(int fd, int error, int page);

/* Ends a connection for all who hold a descriptor of it, so that the peer reads what was sent to it
 * and then end of file (input left unread would make that ECONNRESET), and closes this one. For the
 * registrar's owner too, whose duplicate would keep the connection of a dead driver open.
 */
void scheme_hang_up(int fd);

/* Whether the peers of a Unix socket (of a listener: of those who will connect) may send
 * descriptors along, or get EPERM. By default they may. Linux before 6.16 knows no such choice.
 */
void scheme_take_rights(int fd, bool take);

/* --- registrar --- */

struct scheme_registrar;

struct scheme_access {
	bool anyone; /* for tests on one's own machine */
	gid_t group; /* besides root and this process's own user; (gid_t)-1: none */
};

/* Creates the scheme's directory if need be and listens on the socket of `name`. A dead socket of
 * that name is replaced, a live one is -EADDRINUSE. -EINVAL: the name (1 to 63 printable bytes
 * without a slash, and no leading dot); -EEXIST: something else has it; -ENOENT: no place for the
 * directory ($SCHEME_ROOT's parent must exist), -EACCES: not allowed to make it. Starts a process
 * (scheme/receiver.h), which ends when neither this one nor any forked since has the registrar.
 */
int scheme_registrar_create(
	struct scheme_registrar **out, const char *name, const struct scheme_access *access);
/* Unlinks the socket, refuses whoever waits; nobody is let in any more. */
void scheme_registrar_stop(struct scheme_registrar *r);
/* The same, and frees it. */
void scheme_registrar_destroy(struct scheme_registrar *r);
/* Frees it here and leaves socket and connections alone: they are those of a process forked since.
 */
void scheme_registrar_forget(struct scheme_registrar *r);
/* An epoll descriptor: readable when scheme_registrar_next() has something to do. */
int scheme_registrar_fd(const struct scheme_registrar *r);
/* Accepts, judges, reads requests; never blocks. 1 with a client (the caller owns its descriptors),
 * 0 when there is none now, -errno when the system refused descriptors or memory (the registrar
 * goes on: accepting pauses for 100 ms). Who is not allowed, sends nonsense, or says nothing for 2
 * s is answered with an error and closed here. At most 64 connections wait.
 */
int scheme_registrar_next(struct scheme_registrar *r, struct scheme_client *client);
/* For its owner: scheme_hang_up() of a client's connection, and close(2) of what it gave, but they
 * do not wait, whatever it is (scheme/closer.h).
 */
void scheme_registrar_hang_up(const struct scheme_registrar *r, int fd);
void scheme_registrar_close(const struct scheme_registrar *r, int fd);
/* Milliseconds until scheme_registrar_next() must be called for time-outs' sake, -1: never. */
int scheme_registrar_timeout(const struct scheme_registrar *r);

/* --- transport --- */

/* System calls that the transport makes, for a filter: epoll_create1, eventfd2 (create); mmap,
 * fstat, sendmsg, epoll_ctl (adopt); epoll_wait, sendmmsg, recvmmsg, epoll_ctl, futex (FUTEX_WAKE),
 * shutdown, munmap, sendto, recvfrom, close (round, destroy); write (arm); and what malloc and free
 * make.
 */
struct scheme_linux;

int scheme_linux_create(struct scheme_linux **out, struct scheme *core);
/* Closes every connection: clients read end of file. */
void scheme_linux_destroy(struct scheme_linux *t);
/* The same where somebody else keeps the connections: clients notice nothing. */
void scheme_linux_leave(struct scheme_linux *t);
/* Opens what the client asked for and answers it; one that is resumed goes on where it was; one
 * that is held waits for scheme_linux_release(). Owns the client's descriptors, also on failure.
 * -errno when the client was refused; one that is held has then not been told.
 */
int scheme_linux_adopt(struct scheme_linux *t, const struct scheme_client *client);
/* What that does with a client that cannot be opened, for its owner to do: owns its descriptors. */
void scheme_linux_refuse(const struct scheme_client *client, int error);
/* A held client, by its id, was answered and is served from now on. No such client, or one that was
 * dropped: nothing.
 */
void scheme_linux_release(struct scheme_linux *t, uint32_t id);
/* Hangs up all that are still held: whoever was to answer them is gone. */
void scheme_linux_drop_held(struct scheme_linux *t);
/* How many connections there are. */
unsigned scheme_linux_count(const struct scheme_linux *t);
/* An epoll descriptor to sleep on. */
int scheme_linux_fd(const struct scheme_linux *t);
/* One round: frames out to the clients that have room, frames in from those that wrote, each with
 * its share. Returns how many frames and values moved; 0: nothing to do now.
 */
size_t scheme_linux_round(struct scheme_linux *t);
/* Before sleeping on scheme_linux_fd(), which then wakes for what can be served, and soon for what
 * already could be. frames_wait: the port has received frames; can_send: it has a buffer to
 * reserve. Where it has none, its owner must wake by other means when it has one again (the card's
 * interrupt).
 */
void scheme_linux_arm(struct scheme_linux *t, bool frames_wait, bool can_send);

#endif
