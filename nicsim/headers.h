/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The headers of a received frame, as far as cards understand them, in the words of the ixgbe
 * family's descriptors. Pure functions.
 */
#ifndef NICSIM_HEADERS_H
#define NICSIM_HEADERS_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_ETHERTYPE_IPV4 0x0800u
#define SIM_ETHERTYPE_IPV6 0x86ddu
#define SIM_PROTOCOL_TCP   6u
#define SIM_PROTOCOL_UDP   17u
#define SIM_PROTOCOL_SCTP  132u

/* Packet type, as it lies in the first doubleword of an advanced descriptor (82599 datasheet
 * 7.1.6.2). With SIM_TYPE_L2 the three bits above the RSS type are the number of an ETQF.
 */
#define SIM_TYPE_IPV4         0x00000010u
#define SIM_TYPE_IPV4_OPTIONS 0x00000020u
#define SIM_TYPE_IPV6         0x00000040u
#define SIM_TYPE_IPV6_EXT     0x00000080u
#define SIM_TYPE_TCP          0x00000100u
#define SIM_TYPE_UDP          0x00000200u
#define SIM_TYPE_SCTP         0x00000400u
#define SIM_TYPE_ESP          0x00001000u
#define SIM_TYPE_AH           0x00002000u
#define SIM_TYPE_L2           0x00008000u
#define SIM_TYPE_ETQF(n)      ((uint32_t)(n) << 4)

/* Status and errors of its third doubleword (the same section). */
#define SIM_STATUS_FLM   0x00000004u /* the flow director knows it */
#define SIM_STATUS_UDPCS 0x00000010u
#define SIM_STATUS_L4CS  0x00000020u
#define SIM_STATUS_IPCS  0x00000040u
#define SIM_STATUS_PIF   0x00000080u /* to a group, or to all */
#define SIM_STATUS_UDPV  0x00000400u
#define SIM_ERROR_L4     0x40000000u
#define SIM_ERROR_IP     0x80000000u

/* Offsets count from the frame's first byte; 0: there is no such thing. */
struct sim_headers {
	unsigned ethertype; /* behind a VLAN tag and a SNAP header; below 0x600: a length */
	uint32_t types;     /* SIM_TYPE_... of what was found */
	uint32_t ip;        /* the outermost IP header */
	uint32_t
		inner; /* the IP header that `next` and `end` belong to: of IPv6 in IPv4 the IPv6 */
	uint32_t next; /* what follows it and its extension headers, of `protocol` */
	uint32_t end;  /* of the packet; 0: its length says what cannot be */
	uint32_t l4;   /* a TCP, UDP or SCTP header, which is there whole */
	unsigned protocol;
	bool fragment;
	bool first;    /* fragment */
	bool rerouted; /* IPv6: the address in the header is not the last one */
};

/* `tag`: the EtherType of VLAN tags, one of which is skipped. */
void sim_headers(struct sim_headers *out, const uint8_t *frame, uint32_t len, unsigned tag);
/* Status and errors of the checksums in a frame with these headers. */
uint32_t sim_check_sums(const struct sim_headers *headers, const uint8_t *frame);
/* An IPv4 fragment of UDP: the checksum of its payload, and its identification, as the descriptor
 * has them instead of a hash. Adds to *status; 0 of all other frames.
 */
uint32_t sim_check_fragment(
	const struct sim_headers *headers, const uint8_t *frame, uint32_t *status);

#endif
