/* SPDX-License-Identifier: BSD-3-Clause
 *
 * nicsim's reading of received frames: never a byte beyond their ends (ASan watches), wherever they
 * are cut off and whatever their lengths say. What is found is judged by test_nicsim_status.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nicsim/headers.h"

#define TAG 0x8100u

/* A tag, IPv4 with options, IPv6 with three extension headers. */
static const uint8_t deep[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 5, 0x08, 0x00,
	/* IPv4: 24 bytes, protocol 41 */
	0x46, 0, 0, 132, 0, 1, 0, 0, 64, 41, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 1, 1, 1,
	/* IPv6 */
	0x60, 0, 0, 0, 0, 68, 0, 64, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xfd, 0, 0,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
	/* hop by hop, routing, destination options of 16 bytes */
	43, 0, 1, 4, 0, 0, 0, 0, 60, 0, 0, 0, 0, 0, 0, 0, 6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0, 0,
	/* TCP, and data */
	0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x10, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
	10, 11, 12, 13, 14, 15, 16};

/* A copy with nothing behind it. */
static uint8_t *copy_of(const uint8_t *frame, uint32_t len)
{
	uint8_t *copy = malloc(len);

	assert_non_null(copy);
	memcpy(copy, frame, len);
	return copy;
}

static uint32_t read_all(const uint8_t *frame, uint32_t len)
{
	uint8_t *copy = copy_of(frame, len);
	struct sim_headers headers;
	uint32_t status;

	sim_headers(&headers, copy, len, TAG);
	assert_true(headers.next <= len && headers.end <= len && headers.l4 <= len);
	status = sim_check_sums(&headers, copy);
	sim_check_fragment(&headers, copy, &status);
	free(copy);
	return headers.types;
}

static void test_cut_off_anywhere(void **state)
{
	(void)state;
	for (uint32_t len = 14; len < sizeof(deep); len++)
		read_all(deep, len);
	assert_int_equal(read_all(deep, sizeof(deep)), SIM_TYPE_IPV4 | SIM_TYPE_IPV4_OPTIONS |
							       SIM_TYPE_IPV6 | SIM_TYPE_IPV6_EXT |
							       SIM_TYPE_TCP);
}

/* Each byte of the headers with each value, and the frame cut off behind what they say. */
static void test_any_byte(void **state)
{
	uint8_t frame[sizeof(deep)];

	(void)state;
	for (uint32_t at = 12; at < sizeof(deep); at++) {
		memcpy(frame, deep, sizeof(frame));
		for (unsigned value = 0; value < 256; value++) {
			frame[at] = (uint8_t)value;
			read_all(frame, sizeof(frame));
			read_all(frame, at < 14 ? 14 : at + 1);
		}
	}
}

/* Transport headers of every kind behind IPv4, whole and in pieces, at every length. */
static void test_transports(void **state)
{
	static const uint8_t protocols[] = {1, 4, 6, 17, 41, 44, 50, 51, 132};
	uint8_t frame[80] = {0};

	(void)state;
	frame[12] = 0x08;
	frame[14] = 0x45;
	memset(frame + 34, 0x60, sizeof(frame) - 34);
	for (uint32_t len = 14; len <= sizeof(frame); len++) {
		for (uint32_t total = 0; total <= sizeof(frame); total++) {
			frame[17] = (uint8_t)total;
			frame[39] = (uint8_t)total; /* UDP's */
			frame[38] = 0;
			for (unsigned i = 0; i < sizeof(protocols); i++) {
				frame[23] = protocols[i];
				frame[20] = 0;
				read_all(frame, len);
				frame[20] = 0x20;
				read_all(frame, len);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut_off_anywhere),
		cmocka_unit_test(test_any_byte),
		cmocka_unit_test(test_transports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
