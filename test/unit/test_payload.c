/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What rheinfall's frames carry: each change of any byte is noticed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rheinfall/payload.h"

static struct payload_tables tables;
static uint8_t frame[FRAME_MAX];
static struct stamp got;

static const struct stamp sent = {0xa1b2c3d4, 0x55aa, 0x0102030405060708, 0x1122334455667788};

static int init(void **state)
{
	(void)state;
	payload_init(&tables);
	return 0;
}

/* RFC 3720, B.4; its bytes are the CRC in memory order, least significant first. */
static void crc_vectors(void **state)
{
	(void)state;
	uint8_t data[32];
	memset(data, 0, sizeof(data));
	assert_int_equal(payload_crc(&tables, data, 8), 0x8a9136aa);
	memset(data, 0xff, sizeof(data));
	assert_int_equal(payload_crc(&tables, data, 8), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		data[i] = i;
	assert_int_equal(payload_crc(&tables, data, 8), 0x46dd794e);
	for (uint8_t i = 0; i < 32; i++)
		data[i] = (uint8_t)(31 - i);
	assert_int_equal(payload_crc(&tables, data, 8), 0x113fdb5c);
}

static void layout(void **state)
{
	(void)state;
	static const uint8_t fixed[] = {0x88, 0xb5, 'R', 'f', 'a', 'l'};
	static const uint8_t numbers[] = {0xa1, 0xb2, 0xc3, 0xd4, 0, 60, 0x55, 0xaa, 1, 2, 3, 4, 5,
		6, 7, 8, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88};
	memset(frame, 0xee, 100);
	payload_fill(&tables, frame, 60, &sent);
	for (size_t i = 0; i < 12; i++)
		assert_int_equal(frame[i], 0xee);
	assert_memory_equal(frame + 12, fixed, sizeof(fixed));
	assert_memory_equal(frame + 22, numbers, sizeof(numbers));
	for (size_t i = 60; i < 100; i++)
		assert_int_equal(frame[i], 0xee);
}

static void intact(void **state)
{
	(void)state;
	for (size_t len = FRAME_MIN; len <= FRAME_MAX; len = len < 1600 ? len + 1 : len * 2) {
		payload_fill(&tables, frame, len, &sent);
		memset(&got, 0, sizeof(got));
		assert_int_equal(payload_check(&tables, frame, len, &got), PAYLOAD_INTACT);
		assert_int_equal(got.stream, sent.stream);
		assert_int_equal(got.clock, sent.clock);
		assert_int_equal(got.number, sent.number);
		assert_int_equal(got.sent_ns, sent.sent_ns);
	}
}

static void any_bit(void **state)
{
	(void)state;
	static const size_t lens[] = {60, 61, 512, 1514};
	for (size_t l = 0; l < sizeof(lens) / sizeof(lens[0]); l++) {
		payload_fill(&tables, frame, lens[l], &sent);
		for (size_t bit = 12 * 8; bit < lens[l] * 8; bit++) {
			frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(
				payload_check(&tables, frame, lens[l], &got), PAYLOAD_CORRUPTED);
			frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		assert_int_equal(payload_check(&tables, frame, lens[l], &got), PAYLOAD_INTACT);
	}
}

static void addresses_may_change(void **state)
{
	(void)state;
	payload_fill(&tables, frame, 60, &sent);
	memset(frame, 0x42, 12);
	assert_int_equal(payload_check(&tables, frame, 60, &got), PAYLOAD_INTACT);
}

static void any_length(void **state)
{
	(void)state;
	memset(frame, 0, sizeof(frame));
	payload_fill(&tables, frame, 512, &sent);
	for (size_t len = 0; len < 18; len++)
		assert_int_equal(payload_check(&tables, frame, len, &got), PAYLOAD_FOREIGN);
	for (size_t len = 18; len < 1000; len++)
		assert_int_equal(payload_check(&tables, frame, len, &got),
			len == 512 ? PAYLOAD_INTACT : PAYLOAD_CORRUPTED);
}

/* The tail of one frame on the head of another. */
static void mixed_frames(void **state)
{
	(void)state;
	uint8_t other[512];
	for (uint64_t n = 1; n < PAYLOAD_PATTERN; n++) {
		struct stamp later = sent;
		later.number += n;
		payload_fill(&tables, frame, 512, &sent);
		payload_fill(&tables, other, 512, &later);
		memcpy(frame + 64, other + 64, 512 - 64);
		assert_int_equal(payload_check(&tables, frame, 512, &got), PAYLOAD_CORRUPTED);
	}
}

static void foreign(void **state)
{
	(void)state;
	static const uint8_t bytes[] = {0, 0xff, 0x88};
	for (size_t i = 0; i < sizeof(bytes); i++) {
		memset(frame, bytes[i], 1514);
		for (size_t len = 0; len <= 1514; len++)
			assert_int_equal(payload_check(&tables, frame, len, &got), PAYLOAD_FOREIGN);
	}
	/* Others may use that Ethertype as well. */
	frame[12] = 0x88;
	frame[13] = 0xb5;
	assert_int_equal(payload_check(&tables, frame, 512, &got), PAYLOAD_FOREIGN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc_vectors),
		cmocka_unit_test(layout),
		cmocka_unit_test(intact),
		cmocka_unit_test(any_bit),
		cmocka_unit_test(addresses_may_change),
		cmocka_unit_test(any_length),
		cmocka_unit_test(mixed_frames),
		cmocka_unit_test(foreign),
	};
	return cmocka_run_group_tests(tests, init, NULL);
}
