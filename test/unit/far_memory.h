/* SPDX-License-Identifier: BSD-3-Clause
 *
 * What a card cannot reach it is not given: an 8168B, or an 8254x, nothing above 4 GiB. For one .c
 * file, behind the header of its fake, whose bench this is.
 */
#ifndef TEST_FAR_MEMORY_H
#define TEST_FAR_MEMORY_H

#include <errno.h>

#define FOUR_GIB UINT64_C(0x100000000)

/* `narrow`: it is such a card. */
static void give_far_memory(uint16_t model, bool narrow)
{
	for (unsigned n = 0; n < 4; n++) {
		struct bench *b = make(model);
		struct dma_region other = b->frames;
		struct pci_error why = {""};

		if (n == 0)
			b->rings.iova[0] = FOUR_GIB;
		if (n == 1) /* the last page alone */
			b->frames.iova[1] = FOUR_GIB - DMA_CHUNK_SIZE + 4096;
		if (n == 2) /* this is all within */
			b->frames.iova[1] = FOUR_GIB - DMA_CHUNK_SIZE;
		other.iova[1] = FOUR_GIB;
		assert_int_equal(
			nic_open(&b->nic, &b->fn, &b->config, &why), narrow && n < 2 ? -EINVAL : 0);
		assert_int_equal(strstr(why.text, "4 GiB") != NULL, narrow && n < 2);
		if (n == 3) {
			assert_int_equal(nic_queue_stop(b->nic, 0), 0);
			assert_int_equal(nic_queue_start(b->nic, 0, &other), narrow ? -EINVAL : 0);
		}
		throw_away(b);
	}
}

#endif
