/* SPDX-License-Identifier: BSD-3-Clause
 *
 * The 40 ids of the paper's configuration: 35 are driven, 5 are virtual functions.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "fake_card.h"

static const uint16_t driven[] = {0x10F7, 0x1514, 0x1517, 0x151C, 0x10F9, 0x10FB, 0x152a, 0x1529,
	0x1507, 0x154D, 0x1557, 0x10FC, 0x10F8, 0x154F, 0x1528, 0x154A, 0x1558, 0x1560, 0x1563,
	0x15D1, 0x15AA, 0x15AB, 0x15AC, 0x15AD, 0x15AE, 0x15B0, 0x15C2, 0x15C3, 0x15C4, 0x15C6,
	0x15C7, 0x15C8, 0x15CE, 0x15E4, 0x15E5};
static const uint16_t virtual[] = {0x10ED, 0x1515, 0x1565, 0x15A8, 0x15C5};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void each_id_has_a_model_of_its_own(void **state)
{
	(void)state;
	assert_int_equal(COUNT(driven) + COUNT(virtual), 40);
	for (size_t i = 0; i < COUNT(driven); i++) {
		struct pci_id id = {.vendor = 0x8086, .device = driven[i]};
		const struct ixgbe_model *model = ixgbe_find_model(&id);
		const char *why = "unset";

		assert_string_equal(nic_driver_for(&id, &why), "ixgbe");
		assert_null(why);
		assert_int_not_equal(model->family, IXGBE_VF);
		for (size_t k = 0; k < i; k++) {
			struct pci_id other = {.vendor = 0x8086, .device = driven[k]};

			assert_string_not_equal(model->name, ixgbe_find_model(&other)->name);
		}
	}
}

static void families(void **state)
{
	static const struct {
		uint16_t device;
		uint8_t family, media;
	} some[] = {
		{0x10FB, IXGBE_82599, IXGBE_SFP},
		{0x10F7, IXGBE_82599, IXGBE_BACKPLANE},
		{0x151C, IXGBE_82599, IXGBE_COPPER},
		{0x1528, IXGBE_X540, IXGBE_COPPER},
		{0x1560, IXGBE_X540, IXGBE_COPPER},
		{0x1563, IXGBE_X550, IXGBE_COPPER},
		{0x15AC, IXGBE_X550EM_X, IXGBE_SFP},
		{0x15C2, IXGBE_X550EM_A, IXGBE_BACKPLANE},
		{0x15E5, IXGBE_X550EM_A, IXGBE_COPPER},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(some); i++) {
		struct pci_id id = {.vendor = 0x8086, .device = some[i].device};

		assert_int_equal(ixgbe_find_model(&id)->family, some[i].family);
		assert_int_equal(ixgbe_find_model(&id)->media, some[i].media);
	}
}

static void virtual_functions_are_refused_with_a_word(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(virtual); i++) {
		struct pci_function *fn = fake_card_new(virtual[i]);
		struct nic_config config = {0};
		struct pci_error error;
		struct nic *nic;
		const char *why = NULL;

		assert_null(nic_driver_for(&fn->id, &why));
		assert_non_null(strstr(why, "virtual function"));
		assert_int_equal(nic_open(&nic, fn, &config, &error), -ENOTSUP);
		assert_non_null(strstr(error.text, "virtual function"));
		assert_int_equal(fn->accesses + fn->quiesced, 0);
		fake_card_free(fn);
	}
}

static void others_are_unknown(void **state)
{
	static const struct pci_id others[] = {
		{.vendor = 0x8086, .device = 0x1004}, {.vendor = 0x8087, .device = 0x1528},
		{.vendor = 0x8086, .device = 0x10C6}, /* 82598: another design */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(others); i++) {
		struct pci_function *fn = fake_card_new(0);
		struct nic_config config = {0};
		struct nic *nic;
		const char *why = "unset";

		fn->id = others[i];
		assert_null(nic_driver_for(&fn->id, &why));
		assert_null(why);
		assert_int_equal(nic_open(&nic, fn, &config, NULL), -ENOTSUP);
		fake_card_free(fn);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_id_has_a_model_of_its_own),
		cmocka_unit_test(families),
		cmocka_unit_test(virtual_functions_are_refused_with_a_word),
		cmocka_unit_test(others_are_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
