/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Requests, whose meaning families know.
 */
#include "nicsim/request.h"

#include <errno.h>
#include <string.h>

#include "nicsim/bytes.h"

#define FRAME_MIN 60u /* on a link, without CRC */
#define CRC_LEN   4u
#define TAG_LEN   4u

void request_begin(struct request *request)
{
	request->length = 0;
	request->sent = 0;
	request->segments = 0;
	request->broken = false;
}

int request_gather(struct request *request, struct function *fn, unsigned *hint, uint64_t address,
	uint32_t len, uint32_t max)
{
	int rc = len > max - request->length ? -E2BIG : 0;

	if (rc == 0 && len)
		rc = function_dma_read(fn, hint, address, request->data + request->length, len);
	if (rc)
		request->broken = true;
	else
		request->length += len;
	return rc;
}

uint8_t *request_tag(
	struct request *request, const uint8_t *frame, uint32_t *len, unsigned type, unsigned tag)
{
	uint8_t *tagged = request->tagged;

	memcpy(tagged, frame, 12);
	sim_put_be16(tagged + 12, type);
	sim_put_be16(tagged + 14, tag);
	memcpy(tagged + 16, frame + 12, *len - 12);
	*len += TAG_LEN;
	return tagged;
}

uint32_t request_pad(uint8_t *frame, uint32_t len)
{
	if (len >= FRAME_MIN)
		return len;
	memset(frame + len, 0, FRAME_MIN - len);
	return FRAME_MIN;
}

bool request_take_crc(const uint8_t *frame, uint32_t *len)
{
	uint32_t check;

	if (*len < SIM_FRAME_MIN + CRC_LEN)
		return false;
	*len -= CRC_LEN;
	check = sim_crc32(frame, *len);
	return memcmp(frame + *len, &check, CRC_LEN) == 0;
}

int request_send_segments(struct request *request, const struct sim_context *context,
	const struct sim_segment_flags *flags,
	int (*send)(void *card, uint8_t *frame, uint32_t len), void *card)
{
	uint32_t header = sim_segment_header(context), payload = request->length - header;

	while (request->sent < payload) {
		uint32_t len = sim_segment(request->frame, request->data, request->length,
			request->sent, request->segments, context, flags);
		int rc = send(card, request->frame, len);

		if (rc)
			return rc;
		request->sent += len - header;
		request->segments++;
	}
	return 0;
}
