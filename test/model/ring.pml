/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sleeping and waking over shared rings (scheme/ring_layout.h), for spin: a client that has FRAMES
 * frames to send through a ring of SIZE slots, and a driver; each sleeps when it has nothing to do.
 * That no wake-up is lost means: nobody waits for ever while there is something to do, so that the
 * only end is the one with all frames sent and returned.
 *
 * Stores are seen by the other side later, at any time, as x86 has them (a store buffer of one entry
 * for each shared word, which is more freedom than one queue for all): `flush` brings them there,
 * and so does a fence, and a message. Built with -DNO_CLIENT_FENCE or -DNO_DRIVER_FENCE it must
 * fail; test/model/run sees to it that it does.
 */
#define FRAMES 3
#define SIZE   2

/* A word of shared memory that one side writes: what is there, and what is still on its way. */
typedef word {
	byte there;
	byte next;
	bool pending
}

word offered;         /* the client's: `provided`, a word of spin's own */
word done;            /* the driver's */
word sleeps;          /* the driver's: even awake, odd asleep */
word sleeping;        /* the client's ... */
word sleeping_driver; /* ... and what the driver stores into it */
byte to_driver, to_client; /* messages on the connection; a full one takes no more */

#define ROOM 2

inline store(w, value)
{
	w.next = value;
	w.pending = true
}

inline arrive(w)
{
	d_step {
		if
		:: w.pending -> w.there = w.next; w.pending = false
		:: else
		fi
	}
}

/* Both sides store into `sleeping`: the last to arrive is what is there. */
inline arrive_sleeping()
{
	arrive(sleeping)
}

inline arrive_cleared()
{
	d_step {
		if
		:: sleeping_driver.pending ->
			sleeping.there = sleeping_driver.next;
			sleeping_driver.pending = false
		:: else
		fi
	}
}

inline client_arrives()
{
	arrive(offered);
	arrive_sleeping()
}

inline driver_arrives()
{
	arrive(done);
	arrive(sleeps);
	arrive_cleared()
}

inline client_fence()
{
#ifndef NO_CLIENT_FENCE
	client_arrives()
#else
	skip
#endif
}

inline driver_fence()
{
#ifndef NO_DRIVER_FENCE
	driver_arrives()
#else
	skip
#endif
}

inline send(count)
{
	d_step {
		if
		:: count < ROOM -> count++
		:: else
		fi
	}
}

active proctype flush()
{
end:	do
	:: offered.pending -> arrive(offered)
	:: sleeping.pending -> arrive_sleeping()
	:: done.pending -> arrive(done)
	:: sleeps.pending -> arrive(sleeps)
	:: sleeping_driver.pending -> arrive_cleared()
	od
}

active proctype client()
{
	byte sent = 0, freed = 0, seen, woken = 0;

	do
	:: freed == FRAMES -> break
	:: sent < FRAMES && sent - freed < SIZE ->
		/* scheme_ring_tx_provide() */
		sent++;
		store(offered, sent);
		client_fence();
		seen = sleeps.there;
		if
		:: seen % 2 == 1 && seen != woken -> client_arrives(); send(to_driver); woken = seen
		:: else
		fi
	:: done.there != freed -> freed = done.there /* scheme_ring_tx_return() */
	:: freed < FRAMES && (sent == FRAMES || sent - freed == SIZE) && done.there == freed ->
		/* scheme_ring_sleep(), poll(2), scheme_ring_awake() */
		store(sleeping, 1);
		client_fence();
		if
		:: done.there == freed -> to_client > 0
		:: else
		fi;
		store(sleeping, 0);
		to_client = 0
	od;
	assert(freed == FRAMES)
}

active proctype driver()
{
	byte taken = 0, count = 0;

end:	do
	:: offered.there != taken ->
		/* a round: scheme_handle_exchange(), scheme_rings_must_wake() */
		taken++;
		store(done, taken);
		driver_fence();
		if
		:: sleeping.there == 1 ->
			store(sleeping_driver, 0);
			driver_arrives();
			send(to_client)
		:: else
		fi
	:: offered.there == taken ->
		/* scheme_rings_sleep(), epoll_wait(2), scheme_rings_awake() */
		count++;
		store(sleeps, count);
		driver_fence();
		if
		:: offered.there == taken ->
end_asleep:		to_driver > 0
		:: else
		fi;
		count++;
		store(sleeps, count);
		to_driver = 0
	od
}
