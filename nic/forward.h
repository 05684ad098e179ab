/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Forwarding without a pool: frames go from one queue's receive ring into another one's transmit
 * ring, of the same card or of another, and the buffers that were sent go the other way.
 *
 *     from: receive ring  --- frames, as the caller changes them --->  to: transmit ring
 *                         <------ buffers that have been sent -------
 *
 * Both queues are on the same frame memory and are the calling thread's. Give `from` its buffers by
 * nic_rx_provide() once; from then on they are in the two rings.
 *
 * Queues that were opened for it (nic_config.in_place) do it in place: both rings are one, a frame
 * is sent from the slot that it was received in, and no buffer ever moves. It costs about half.
 *
 *     mirror:   one card, its rings are one
 *     two cards: receive ring left  = transmit ring right, and the other way round;
 * nic_config.rings and .frames are the same memory at the same addresses (pci_dma_share())
 *
 * In return an output that does not send (its link is down, its wire full) stops its input, and
 * what comes meanwhile is lost there; frames leave in the order in which they came; and the four
 * verbs do nothing but take the buffers: nic_rx_provide() of a whole ring of them to each queue,
 * nic_config.rx_ring, before it receives. To begin anew, close both queues or stop both.
 */
#ifndef NIC_FORWARD_H
#define NIC_FORWARD_H

#include "nic/nic.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NIC_FORWARD_MAX 256u /* frames a call */

/* Looks at what has come: frames[0 .. n), whose data lies at base + offset. Data, len and offset
 * may be changed, the latter inside the frame's own buffer and its headroom (not in place: there a
 * frame begins where it did); a len of 0 drops the frame, of one in several entries that of any. An
 * entry with FRAME_ERROR is no frame and is dropped.
 */
typedef void nic_look(void *ctx, uint8_t *base, struct frame *frames, size_t n);

/* Forwards up to n entries of frames, but no more than NIC_FORWARD_MAX and than `to` has room for
 * (a frame in several goes whole, so n as nic_rx_return() wants it): what it cannot take yet waits
 * in the receive ring of `from`, and beyond it is lost there. Without `look` all go on as they
 * came. Returns how many were taken from `from`, sent or not. What may not be sent, too long for
 * the MTU of `to` for example, is dropped and counted in its nic_stats.bad_offsets.
 *
 * Whatever `to` has sent becomes buffers of `from`, also frames of nic_tx_provide(), as long as
 * `from` has room; what is no such buffer stays for nic_tx_return(). Before sleeping, nic_flush()
 * both.
 */
size_t nic_forward(
	struct nic_queue *from, struct nic_queue *to, size_t n, nic_look *look, void *ctx);

/* Whether nic_forward() can work between the two: -EINVAL with a text if not. For once, before the
 * first frame.
 */
int nic_forward_check(
	const struct nic_queue *from, const struct nic_queue *to, struct pci_error *why);

#ifdef __cplusplus
}
#endif

#endif
