/* SPDX-License-Identifier: BSD-3-Clause
 *
 * pcid's configuration: the TOML reader, the entries, their commands. Bad input by the dozen, each
 * with the line and the words that its error must have.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pcid/command.h"
#include "pcid/config.h"
#include "pcid/name.h"
#include "pcid/toml.h"

/* --- TOML --- */

static struct toml_value *parse(const char *text)
{
	struct toml_error why = {0};
	struct toml_value *root = NULL;

	if (toml_parse(&root, text, strlen(text), &why) != 0)
		fail_msg("line %u: %s\nof: %s", why.line, why.text, text);
	return root;
}

static const struct toml_value *get(const struct toml_value *table, const char *key)
{
	const struct toml_value *v = table->first;

	while (v != NULL && strcmp(v->key, key) != 0)
		v = v->next;
	assert_non_null(v);
	return v;
}

static void test_values(void **state)
{
	struct toml_value *root =
		parse("# a comment\n"
		      "name = \"Intel \\\"10G\\\" \\u00e9\\t\"   # another\r\n"
		      "'literal key' = 'C:\\no\\escape'\n"
		      "dec = -1_000\nplus = +7\nzero = 0\n"
		      "hex = 0xDEAD_beef\n"
		      "min = -9223372036854775808\nmax = 9223372036854775807\n"
		      "list = [ 1, # one\n\n 'two', [3],\n]\n"
		      "empty = []\nnone = {}\n"
		      "inline = { a = 1, 0x8086 = [ 1,\n2 ], \"q r\" = { } }\n"
		      "[[drivers]]\nclass = 2\n\n[[ drivers ]] # second\nclass = 3");
	const struct toml_value *list;
	const struct toml_value *drivers;

	(void)state;
	assert_string_equal(get(root, "name")->string, "Intel \"10G\" \xc3\xa9\t");
	assert_int_equal(get(root, "name")->line, 2);
	assert_string_equal(get(root, "literal key")->string, "C:\\no\\escape");
	assert_int_equal(get(root, "dec")->integer, -1000);
	assert_int_equal(get(root, "plus")->integer, 7);
	assert_int_equal(get(root, "zero")->integer, 0);
	assert_int_equal(get(root, "hex")->integer, 0xdeadbeef);
	assert_true(get(root, "min")->integer == INT64_MIN);
	assert_true(get(root, "max")->integer == INT64_MAX);
	list = get(root, "list");
	assert_int_equal(list->count, 3);
	assert_int_equal(list->first->integer, 1);
	assert_string_equal(list->first->next->string, "two");
	assert_int_equal(list->first->next->line, 12);
	assert_int_equal(list->first->next->next->first->integer, 3);
	assert_int_equal(get(root, "empty")->count, 0);
	assert_int_equal(get(root, "none")->type, TOML_TABLE);
	assert_int_equal(get(get(root, "inline"), "0x8086")->count, 2);
	assert_int_equal(get(get(root, "inline"), "q r")->count, 0);
	drivers = get(root, "drivers");
	assert_int_equal(drivers->count, 2);
	assert_int_equal(get(drivers->first, "class")->integer, 2);
	assert_int_equal(get(drivers->first->next, "class")->integer, 3);
	assert_int_equal(drivers->first->next->line, 21);
	toml_free(root);
}

struct bad {
	const char *text;
	unsigned line;
	const char *words; /* that the error holds */
};

static void test_bad_toml(void **state)
{
	static const struct bad bad[] = {
		{"a", 1, "expected '='"},
		{"\n\na = ", 3, "unexpected end of file"},
		{"a =\n1", 1, "unexpected end of line"},
		{"= 1", 1, "expected a key"},
		{"a = 1 b = 2", 1, "expected the end of the line"},
		{"a = 1\na = 2", 2, "duplicate key 'a'; expected it once (line 1 has it)"},
		{"a = 1\n'a' = 2", 2, "duplicate key 'a'"},
		{"a.b = 1", 1, "keys with dots are not supported"},
		{"[table]\n", 1, "expected an array of tables"},
		{"[[a]\n", 1, "expected ']]'"},
		{"[[a.b]]\n", 1, "expected ']]'"},
		{"[[a]] 1\n", 1, "expected the end of the line"},
		{"[[]]\n", 1, "expected a key"},
		{"a = [1]\n[[a]]\n", 2, "duplicate key 'a'"},
		{"[[a]]\nb = 1\nb = 2", 3, "duplicate key 'b'"},
		{"a = true", 1, "expected a string, an integer, an array or an inline table"},
		{"a = 1.5", 1, "unexpected '.'"},
		{"a = 1e5", 1, "unexpected 'e'"},
		{"a = 1979-05-27", 1, "unexpected '-'"},
		{"a = 0x", 1, "expected a digit"},
		{"a = 0xg", 1, "expected hexadecimal digits"},
		{"a = -0x1", 1, "unexpected 'x'"},
		{"a = 0o7", 1, "unexpected 'o'"},
		{"a = 012", 1, "begins with 0"},
		{"a = _1", 1, "unexpected '_'"},
		{"a = 1_", 1, "expected a digit"},
		{"a = 1__0", 1, "unexpected '_'"},
		{"a = +", 1, "expected a digit"},
		{"a = 9223372036854775808", 1, "too large"},
		{"a = -9223372036854775809", 1, "too large"},
		{"a = 0x1_0000_0000_0000_0000", 1, "too large"},
		{"a = \"x", 1, "without end; expected \""},
		{"a = \"x\\\"", 1, "without end; expected \""},
		{"a = \"x\\", 1, "expected an escape"},
		{"a = 'x\n'", 1, "without end; expected '"},
		{"a = \"\"\"x\"\"\"", 1, "over several lines"},
		{"a = '''x'''", 1, "over several lines"},
		{"a = \"\\q\"", 1, "expected an escape"},
		{"a = \"\\u12\"", 1, "expected a hexadecimal digit"},
		{"a = \"\\u0000\"", 1, "other than NUL"},
		{"a = \"\\ud800\"", 1, "U+D800"},
		{"a = \"\\U00110000\"", 1, "U+110000"},
		{"a = [1\n2]", 2, "expected ',' or ']'"},
		{"a = [1,\n\n", 3, "unexpected end of file"},
		{"a = [,]", 1, "unexpected ','"},
		{"a = {b = 1,}", 1, "expected a key"},
		{"a = {b = 1\n}", 1, "expected ',' or '}' on the same line"},
		{"a = {b = 1, b = 2}", 1, "duplicate key 'b'"},
		{"a = {b 1}", 1, "expected '='"},
		{"a = [[[[[[[[[1]]]]]]]]]", 1, "too deep"},
		{"a = {a={a={a={a={a={a={a={a={a=1}}}}}}}}}}", 1, "too deep"},
		{"\n# \x01", 2, "control character 0x01"},
		{"# \x7f", 1, "control character 0x7f"},
		{"a = 1\rb = 2", 1, "control character 0x0d"},
		{"# \xff", 1, "no UTF-8"},
		{"# \xc0\x80", 1, "no UTF-8"},
		{"# \xe0\x80\x80", 1, "no UTF-8"},
		{"# \xed\xa0\x80", 1, "no UTF-8"},
		{"# \xf0\x80\x80\x80", 1, "no UTF-8"},
		{"# \xf4\x90\x80\x80", 1, "no UTF-8"},
		{"# \xf5\x80\x80\x80", 1, "no UTF-8"},
		{"# \xc3", 1, "no UTF-8"},
		{"# \xe2\x28\xa1", 1, "no UTF-8"},
		{"\xc3\xa9 = 1", 1, "not ASCII"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct toml_error why = {0};
		struct toml_value *root = NULL;
		int error = toml_parse(&root, bad[i].text, strlen(bad[i].text), &why);

		if (error != -EINVAL || why.line != bad[i].line ||
			strstr(why.text, bad[i].words) == NULL)
			fail_msg("%s\n-> %d, line %u: %s", bad[i].text, error, why.line, why.text);
		assert_null(root);
	}
}

static void test_toml_limits(void **state)
{
	struct toml_error why;
	struct toml_value *root;
	size_t len = TOML_MAX_SIZE;
	char *text = malloc(len + 1);
	size_t at = 0;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', len + 1);
	assert_int_equal(toml_parse(&root, text, len, &why), 0);
	toml_free(root);
	assert_int_equal(toml_parse(&root, text, len + 1, &why), -EINVAL);
	assert_non_null(strstr(why.text, "at most 1048576"));

	for (unsigned i = 0; i < TOML_MAX_KEYS; i++)
		at += (size_t)sprintf(text + at, "k%u = 1\n", i);
	assert_int_equal(toml_parse(&root, text, at, &why), 0);
	toml_free(root);
	at += (size_t)sprintf(text + at, "one-more = 1\n");
	assert_int_equal(toml_parse(&root, text, at, &why), -EINVAL);
	assert_int_equal(why.line, TOML_MAX_KEYS + 1);
	assert_non_null(strstr(why.text, "at most 256"));

	/* A NUL is a control character, not the end. */
	assert_int_equal(toml_parse(&root, "a = 1\n\0", 7, &why), -EINVAL);
	assert_int_equal(why.line, 2);
	/* One line of many strings takes time and memory by its length, not by its square. */
	at = (size_t)sprintf(text, "a = [");
	while (at + 8 < len)
		at += (size_t)sprintf(text + at, "'x',");
	text[at++] = ']';
	assert_int_equal(toml_parse(&root, text, at, &why), 0);
	assert_int_equal(root->first->count, (at - 6) / 4);
	toml_free(root);
	free(text);
}

/* --- entries --- */

#define COMMAND "command = ['ixgbed', '$NAME']\n"

static void test_bad_entries(void **state)
{
	static const struct bad bad[] = {
		{"", 1, "no driver; expected [[drivers]]"},
		{"# nothing\n", 1, "no driver"},
		{"drivers = 3", 1, "drivers is an integer; expected an array"},
		{"drivers = [ 3 ]", 1, "an element is an integer; expected a table"},
		{"[[driver]]\n", 1, "unknown key 'driver'; expected [[drivers]]"},
		{"[[drivers]]\nclass = 2\n", 1, "lacks a command"},
		{"[[drivers]]\n" COMMAND, 1, "fits any function; expected class, vendor or ids"},
		{"[[drivers]]\nclas = 2\n" COMMAND, 2, "unknown key 'clas'; expected name, class"},
		{"[[drivers]]\nclass = '2'\n", 2, "class is a string; expected an integer"},
		{"[[drivers]]\nclass = 256\n", 2, "class is 256; expected 0 to 0xff"},
		{"[[drivers]]\nsubclass = -1\n", 2, "subclass is -1; expected 0 to 0xff"},
		{"[[drivers]]\ninterface = 256\n", 2, "interface is 256"},
		{"[[drivers]]\nvendor = 0x1_0000\n", 2, "vendor is 65536; expected 0 to 0xffff"},
		{"[[drivers]]\ndevice = 0x1_0000\n", 2, "device is 65536"},
		{"[[drivers]]\nname = 1\n", 2, "name is an integer; expected a string"},
		{"[[drivers]]\nids = []\n", 2, "ids is an array; expected a table"},
		{"[[drivers]]\nids = {}\n", 2, "ids is empty"},
		{"[[drivers]]\nids = { intel = [1] }\n", 2, "'intel' is no vendor's id"},
		{"[[drivers]]\nids = { 0x = [1] }\n", 2, "'0x' is no vendor's id"},
		{"[[drivers]]\nids = { 0x80861 = [1] }\n", 2, "'0x80861' is no vendor's id"},
		{"[[drivers]]\nids = { 0x8086 = 1 }\n", 2,
			"0x8086 is an integer; expected an array"},
		{"[[drivers]]\nids = { 0x8086 = [1,\n0x10000] }\n", 3, "an id is 65536"},
		{"[[drivers]]\ndevice_id_range = 1\n", 2, "expected a table"},
		{"[[drivers]]\ndevice_id_range = { start = 1 }\n", 2, "lacks end"},
		{"[[drivers]]\ndevice_id_range = { end = 1 }\n", 2, "lacks start"},
		{"[[drivers]]\ndevice_id_range = { start = 5, end = 5 }\n", 2, "is empty"},
		{"[[drivers]]\ndevice_id_range = { start = 1, stop = 5 }\n", 2,
			"unknown key 'stop' in device_id_range"},
		{"[[drivers]]\ndevice_id_range = { start = 1, end = 0x10001 }\n", 2,
			"end is 65537; expected 0 to 0x10000"},
		{"[[drivers]]\ncommand = 'ixgbed'\n", 2, "command is a string; expected an array"},
		{"[[drivers]]\ncommand = []\n", 2, "command has 0 elements"},
		{"[[drivers]]\ncommand = [1]\n", 2, "an element is an integer; expected a string"},
		{"[[drivers]]\ncommand = ['']\n", 2, "command runs ''; expected a program"},
		{"[[drivers]]\ncommand = ['$NAME']\n", 2, "command runs '$NAME'"},
		{"[[drivers]]\ncommand = ['a',\n'$BAR6']\n", 3,
			"unknown variable '$BAR6'; expected"},
		{"[[drivers]]\nclass = 2\n" COMMAND "class = 3\n", 4, "duplicate key 'class'"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct pcid_config config = {0};
		struct config_error why = {0};
		char place[32];
		int error = config_parse(
			&config, bad[i].text, strlen(bad[i].text), "dir/pcid.toml", &why);

		(void)snprintf(place, sizeof(place), "dir/pcid.toml:%u: ", bad[i].line);
		if (error != -EINVAL || strncmp(why.text, place, strlen(place)) != 0 ||
			strstr(why.text, bad[i].words) == NULL)
			fail_msg("%s\n-> %d: %s", bad[i].text, error, why.text);
		assert_int_equal(config.count, 0);
		config_free(&config);
	}
}

static void read_config(struct pcid_config *config, const char *text)
{
	struct config_error why;

	if (config_parse(config, text, strlen(text), "test", &why) != 0)
		fail_msg("%s", why.text);
}

static const char *matched(
	const struct pcid_config *config, uint32_t class, uint16_t vendor, uint16_t device)
{
	const struct pci_id id = {.class_code = class, .vendor = vendor, .device = device};
	const struct pcid_driver *driver = config_match(config, &id);

	return driver == NULL ? "" : driver->name;
}

static void test_match(void **state)
{
	struct pcid_config config = {0};

	(void)state;
	read_config(&config,
		"[[drivers]]\nname = 'ids'\nclass = 2\n"
		"ids = { 0x8086 = [0x10fb, 0x1528], 10ec = [0x8168] }\n" COMMAND
		"[[drivers]]\nname = 'pair'\nvendor = 0x8086\ndevice = 0x10d3\n" COMMAND
		"[[drivers]]\nname = 'range'\nvendor = 0x8086\n"
		"device_id_range = { start = 0x1000, end = 0x1010 }\n" COMMAND
		"[[drivers]]\nname = 'usb'\nclass = 0x0c\nsubclass = 3\ninterface = "
		"0x30\n" COMMAND);
	/* A second file's entries come behind the first's. */
	read_config(&config, "[[drivers]]\nname = 'late'\nvendor = 0x8086\n" COMMAND);
	assert_int_equal(config.count, 5);

	assert_string_equal(matched(&config, 0x020000, 0x8086, 0x10fb), "ids");
	assert_string_equal(matched(&config, 0x020000, 0x8086, 0x1528), "ids");
	assert_string_equal(matched(&config, 0x020000, 0x10ec, 0x8168), "ids");
	assert_string_equal(matched(&config, 0x020000, 0x10ec, 0x10fb), "");
	assert_string_equal(matched(&config, 0x010000, 0x8086, 0x10fb), "late");
	assert_string_equal(matched(&config, 0x020000, 0x8086, 0x10d3), "pair");
	assert_string_equal(matched(&config, 0x020000, 0x8087, 0x10d3), "");
	assert_string_equal(matched(&config, 0x020000, 0x8086, 0x1000), "range");
	assert_string_equal(matched(&config, 0x020000, 0x8086, 0x100f), "range");
	assert_string_equal(matched(&config, 0x020000, 0x8086, 0x1010), "late");
	assert_string_equal(matched(&config, 0x020000, 0x8086, 0x0fff), "late");
	assert_string_equal(matched(&config, 0x0c0330, 0x1b36, 0x000d), "usb");
	assert_string_equal(matched(&config, 0x0c0320, 0x1b36, 0x000d), "");
	assert_string_equal(matched(&config, 0x0c0230, 0x1b36, 0x000d), "");
	config_free(&config);
	assert_int_equal(config.count, 0);
}

/* --- commands --- */

static void test_expand(void **state)
{
	static char *const command[] = {"ixgbed", "$NAME", "$BUS", "$DEV", "$FUNC", "$BAR0",
		"$BAR5", "$BARSIZE0", "$IRQ", "$VENID", "$DEVID", "$SUBSYSID", "x$NAME", "$", NULL};
	static const char *const expected[] = {"ixgbed", "0000-3b-00.1", "3B", "1F", "01",
		"380000000000", "", "00080000", "11", "8086", "10FB", "000C", "x$NAME", "$"};
	const struct command_values values = {.name = "0000-3b-00.1",
		.bus = 0x3b,
		.device = 0x1f,
		.function = 1,
		.bar = {0x380000000000},
		.bar_size = {0x80000},
		.irq = 11,
		.id = {.vendor = 0x8086, .device = 0x10fb, .subdevice = 0xc}};
	char **arguments;

	(void)state;
	assert_int_equal(command_expand(&arguments, command, &values), 0);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_string_equal(arguments[i], expected[i]);
	assert_null(arguments[sizeof(expected) / sizeof(expected[0])]);
	command_free(arguments);

	assert_true(command_knows("$BARSIZE5"));
	assert_false(command_knows("$BARSIZE6"));
	assert_false(command_knows("$BARSIZE"));
	assert_false(command_knows("$BAR"));
	assert_false(command_knows("$BAR00"));
	assert_false(command_knows("$name"));
	assert_false(command_knows("NAME"));
}

static void make_file(const char *folder, const char *name, mode_t mode)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void test_find(void **state)
{
	char top[] = "/tmp/ixgbed-test-XXXXXX";
	char own[64];
	char other[64];
	char path[256];
	char found[256];
	char expected[256];
	char absolute[128];

	(void)state;
	assert_non_null(mkdtemp(top));
	(void)snprintf(own, sizeof(own), "%s/own", top);
	(void)snprintf(other, sizeof(other), "%s/other", top);
	(void)snprintf(path, sizeof(path), "relative:%s:", other);
	assert_int_equal(mkdir(own, 0700), 0);
	assert_int_equal(mkdir(other, 0700), 0);
	make_file(own, "both", 0700);
	make_file(other, "both", 0700);
	make_file(other, "one", 0700);
	make_file(own, "dull", 0600);
	make_file(top, "near", 0700);

	assert_int_equal(command_find("both", own, path, found, sizeof(found)), 0);
	(void)snprintf(expected, sizeof(expected), "%s/both", own);
	assert_string_equal(found, expected);
	assert_int_equal(command_find("one", own, path, found, sizeof(found)), 0);
	(void)snprintf(expected, sizeof(expected), "%s/one", other);
	assert_string_equal(found, expected);
	assert_int_equal(command_find("one", own, NULL, found, sizeof(found)), -ENOENT);
	assert_int_equal(command_find("dull", own, path, found, sizeof(found)), -EACCES);
	assert_int_equal(command_find("own", top, NULL, found, sizeof(found)), -EACCES);
	(void)snprintf(absolute, sizeof(absolute), "%s/one", other);
	assert_int_equal(command_find(absolute, own, NULL, found, sizeof(found)), 0);
	assert_string_equal(found, absolute);
	assert_int_equal(command_find("./one", own, path, found, sizeof(found)), -EINVAL);
	assert_int_equal(command_find("both", own, path, found, 8), -ENAMETOOLONG);
	/* Neither an empty nor a relative element of PATH means the current folder. */
	assert_int_equal(chdir(top), 0);
	assert_int_equal(command_find("near", own, ":.:relative", found, sizeof(found)), -ENOENT);

	assert_int_equal(unlink("own/both"), 0);
	assert_int_equal(unlink("own/dull"), 0);
	assert_int_equal(unlink("other/both"), 0);
	assert_int_equal(unlink("other/one"), 0);
	assert_int_equal(unlink("near"), 0);
	assert_int_equal(rmdir(own), 0);
	assert_int_equal(rmdir(other), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(top), 0);
}

/* --- names --- */

static void test_names(void **state)
{
	static const struct {
		const char *address, *program, *scheme, *card;
	} good[] = {
		{"0000:01:00.0", "ixgbed", "0000-01-00.0_ixgbe", "0000-01-00.0"},
		{"vfio-user:/x/y/a.sock", "/usr/sbin/ixgbed", "a_ixgbe", "a"},
		{"vfio-user:a", "ixgbed", "a_ixgbe", "a"},
		{"vfio-user:dir.sock/a.b.sock", "d", "a.b_d", "a.b"},
		{"vfio-user:/x/a:b.sock", "drv", "a-b_drv", "a-b"},
		{"sim:", "ixgbed", "sim-_ixgbe", "sim-"},
		{"sim:loop", "ixgbed", "sim-loop_ixgbe", "sim-loop"},
		{"sim:pcap:/x/in,out", "ixgbed", "sim-pcap_ixgbe", "sim-pcap"},
	};
	static const char *const bad[] = {"vfio-user:/x/", "vfio-user:", "vfio-user:/x/.sock",
		"vfio-user:/x/a b.sock", "vfio-user:/x/\xc3\xa9.sock",
		"vfio-user:/x/0123456789012345678901234567890123456789012345678901234567890123"};
	struct pcid_name name;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(pcid_name(&name, good[i].address, good[i].program), 0);
		assert_string_equal(name.scheme, good[i].scheme);
		assert_string_equal(name.card, good[i].card);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (pcid_name(&name, bad[i], "ixgbed") != -EINVAL)
			fail_msg("%s was taken", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_bad_toml),
		cmocka_unit_test(test_toml_limits),
		cmocka_unit_test(test_bad_entries),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_expand),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
