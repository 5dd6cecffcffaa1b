/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's log, Xid lines and stand-in GPUs as they are read; a node's health as gpud's. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/device.h"
#include "core/kernel_log.h"
#include "drivers/linux/kmsg.h"
#include "sim/minilepton/gpud.h"
#include "sim/minilepton/loop.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define RUN "unit-1"
#define GPUS 3
#define NOON ((nanos)1795435200 * NANOS_S) /* 2026-11-23T12:00:00Z */

/* ---- records ---- */

static const struct {
	const char *text, *message; /* message NULL: it is refused */
	uint32_t priority, facility;
	uint64_t sequence, microseconds;
} records[] = {
	{"6,339,5140900,-;NET: Registered protocol family 10\n",
	 "NET: Registered protocol family 10", 6, 0, 339, 5140900},
	{"30,340,5690716,-;udevd[80]: starting version 181", "udevd[80]: starting version 181", 6,
	 3, 340, 5690716},
	{"11,7,9,c;a;b,c", "a;b,c", 3, 1, 7, 9},
	{"4,1,2,-,caller=T1;late field\n DEVICE=+pci\n", "late field", 4, 0, 1, 2},
	{"4,1,2;old\n", "old", 4, 0, 1, 2},
	{"4,1,2,-;", "", 4, 0, 1, 2},
	{"4294967295,18446744073709551615,18446744073709551615,-;x", "x", 7, 536870911, UINT64_MAX,
	 UINT64_MAX},
	{"4294967296,1,2,-;x", NULL, 0, 0, 0, 0},
	{"4,18446744073709551616,2,-;x", NULL, 0, 0, 0, 0},
	{"", NULL, 0, 0, 0, 0},
	{"4,1,2,-", NULL, 0, 0, 0, 0},
	{"4,1,2,-\n;behind the line", NULL, 0, 0, 0, 0},
	{"4,1,2x;y", NULL, 0, 0, 0, 0},
	{"4,,2,-;y", NULL, 0, 0, 0, 0},
	{"-4,1,2,-;y", NULL, 0, 0, 0, 0},
	{"<3>NVRM: Xid (PCI:0000:04:00): 79, x", NULL, 0, 0, 0, 0},
};

START_TEST(a_record_is_read_or_refused)
{
	struct kernel_log_record record = {0};
	int rc = kernel_log_parse(records[_i].text, strlen(records[_i].text), &record);

	ck_assert_int_eq(rc, records[_i].message ? 0 : -1);
	if (rc)
		return;
	ck_assert_uint_eq(record.message_size, strlen(records[_i].message));
	ck_assert(memcmp(record.message, records[_i].message, record.message_size) == 0);
	ck_assert_uint_eq(record.priority, records[_i].priority);
	ck_assert_uint_eq(record.facility, records[_i].facility);
	ck_assert_uint_eq(record.sequence, records[_i].sequence);
	ck_assert_uint_eq(record.microseconds, records[_i].microseconds);
}
END_TEST

/* What gpud's expression takes and what it does not. */
static const struct {
	const char *message, *pci, *detail; /* pci NULL: it is none */
	uint32_t code;
} xids[] = {
	{"NVRM: Xid (PCI:0000:04:00): 79, GPU has fallen off the bus", "0000:04:00",
	 "GPU has fallen off the bus", 79},
	{"NVRM: Xid (PCI:0000:05:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the "
	 "bus.",
	 "0000:05:00", "pid='<unknown>', name=<unknown>, GPU has fallen off the bus.", 79},
	{"NVRM: Xid (0000:03:00): 14, Channel 00000001", "0000:03:00", "Channel 00000001", 14},
	{"kernel: NVRM: Xid (PCI:ffff1a2b:00:03): 119,", "ffff1a2b:00:03", "", 119},
	{"NVRM: Xid (PCI:0000:9B:00) unit x: 3: 31, y", "0000:9B:00", "y", 31},
	/* The comma is required. */
	{"NVRM: Xid (PCI:0000:04:00): 79 GPU has fallen off the bus", NULL, NULL, 0},
	{"NVRM: Xid (PCI:0000:04:00.0): 79, x", NULL, NULL, 0},
	{"NVRM: Xid (PCI:): 79, x", NULL, NULL, 0},
	{"NVRM: Xid (PCI:0000:04:00", NULL, NULL, 0},
	{"NVRM: Xid (PCI:0000:04:00): ", NULL, NULL, 0},
	{"NVRM: Xid (PCI:0000:04:00): 99999999999999999999, x", NULL, NULL, 0},
	{"NVRM: Xid (PCI:00000000000000000000000000000000000000000000): 79, x", NULL, NULL, 0},
	{"NVRM: GPU 0000:04:00.0: GPU has fallen off the bus.", NULL, NULL, 0},
	{"", NULL, NULL, 0},
};

START_TEST(an_xid_is_what_gpud_takes_for_one)
{
	struct kernel_log_xid xid = {.pci = ""};
	bool is = kernel_log_is_xid(xids[_i].message, strlen(xids[_i].message), &xid);

	ck_assert_int_eq(is, xids[_i].pci != NULL);
	if (!is)
		return;
	ck_assert_str_eq(xid.pci, xids[_i].pci);
	ck_assert_uint_eq(xid.code, xids[_i].code);
	ck_assert_uint_eq(xid.detail_size, strlen(xids[_i].detail));
	ck_assert(memcmp(xid.detail, xids[_i].detail, xid.detail_size) == 0);
}
END_TEST

struct heard {
	size_t count;
	uint64_t sequences[8];
};

static void hear(void *self, const struct kernel_log_record *record)
{
	struct heard *heard = self;

	ck_assert_uint_lt(heard->count, 8);
	heard->sequences[heard->count++] = record->sequence;
}

/* In pieces of every size the same records come out; what is too long is one refused line. */
START_TEST(a_stream_is_cut_into_records)
{
	char text[3 * KERNEL_LOG_RECORD_MAX];
	size_t size = (size_t)snprintf(
		text, sizeof(text), "6,1,2,-;one\n KEY=value\nnonsense\n\n6,2,2,-;two\n6,3,4,-;");

	memset(text + size, 'x', KERNEL_LOG_RECORD_MAX);
	size += KERNEL_LOG_RECORD_MAX;
	size += (size_t)snprintf(text + size, sizeof(text) - size, "\n6,4,2,-;four\n6,5,2,-;torn");
	for (size_t piece = 1; piece <= size; piece = piece * 3 + 1) {
		struct kernel_log_stream *stream = calloc(1, sizeof(*stream));
		struct heard heard = {0};

		ck_assert_ptr_nonnull(stream);
		for (size_t at = 0; at < size; at += piece)
			kernel_log_feed(stream, text + at, piece < size - at ? piece : size - at,
					hear, &heard);
		ck_assert_uint_eq(heard.count, 3);
		ck_assert_uint_eq(heard.sequences[0], 1);
		ck_assert_uint_eq(heard.sequences[1], 2);
		ck_assert_uint_eq(heard.sequences[2], 4);
		ck_assert_uint_eq(stream->refused, 2);
		free(stream);
	}
}
END_TEST

/* ---- lines that are written ---- */

static void check_line(struct kmsg_xid xid, const char *wanted)
{
	char line[KMSG_LINE_MAX] = "";
	struct kernel_log_xid read = {.pci = ""};
	size_t length = kmsg_print(&xid, RUN, line);

	ck_assert_uint_eq(length, strlen(line));
	ck_assert_str_eq(line, wanted);
	ck_assert(kernel_log_is_xid(line, length, &read));
	ck_assert_uint_eq(read.code, xid.code);
	ck_assert_str_eq(read.pci, xid.pci);
}

START_TEST(lines_are_those_of_the_driver)
{
	check_line((struct kmsg_xid){.code = 79, .pci = "0000:04:00"},
		   "NVRM: Xid (PCI:0000:04:00): 79, pid='<unknown>', name=<unknown>, GPU has "
		   "fallen off the bus. (drsim run unit-1)");
	check_line((struct kmsg_xid){.code = 79, .pci = "0000:04:00", .format = KMSG_RAW},
		   "NVRM: Xid (PCI:0000:04:00): 79, GPU has fallen off the bus. (drsim run "
		   "unit-1)");
	check_line((struct kmsg_xid){.code = 43,
				     .pci = "ffff0001:02:03",
				     .format = KMSG_NVSENTINEL,
				     .pid = 77,
				     .process = "python3"},
		   "NVRM: Xid (PCI:ffff0001:02:03): 43, pid=77, name=python3, Ch 00000008 (drsim "
		   "run unit-1)");
	check_line((struct kmsg_xid){.code = 145, .pci = "0018:01:00", .pid = 77},
		   "NVRM: Xid (PCI:0018:01:00): 145, RLW_CTRL Nonfatal XC0 i0 Link 00 (0x00000004 "
		   "0x00000000 0x00000000 0x00000000) (drsim run unit-1)");
	check_line((struct kmsg_xid){.code = 7, .pci = "0000:04:00", .text = "as I say"},
		   "NVRM: Xid (PCI:0000:04:00): 7, pid='<unknown>', name=<unknown>, as I say "
		   "(drsim run unit-1)");
}
END_TEST

static const struct kmsg_xid bad_xids[] = {
	{.code = 0, .pci = "0000:04:00"},
	{.code = 1000, .pci = "0000:04:00"},
	{.code = 79, .pci = ""},
	{.code = 79, .pci = "04:00"},
	{.code = 79, .pci = "0000:04:0x"},
	{.code = 79, .pci = "0000:04:00)\nNVRM"},
	{.code = 79, .pci = "00000000000000000000000000:04:00"},
	{.code = 79, .pci = "0000:04:00", .pid = 1, .process = "a,b"},
	{.code = 79, .pci = "0000:04:00", .text = "two\nlines"},
	{.code = 79, .pci = "0000:04:00", .format = KMSG_FORMATS},
};

START_TEST(what_makes_no_line_is_refused)
{
	char line[KMSG_LINE_MAX], longest[2 * KMSG_LINE_MAX];
	struct kmsg_xid xid = {.code = 79, .pci = "0000:04:00", .text = longest};

	ck_assert_uint_eq(kmsg_print(&bad_xids[_i], RUN, line), 0);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	ck_assert_uint_eq(kmsg_print(&xid, RUN, line), 0);
}
END_TEST

/* ---- stand-in GPUs ---- */

START_TEST(a_device_says_who_it_is)
{
	struct device_identity one, other, read;
	unsigned char bytes[DEVICE_BYTES], again[DEVICE_BYTES];

	device_identify("run-a", 2, 5, &one);
	device_print("run-a", 2, 5, bytes);
	device_print("run-a", 2, 5, again);
	ck_assert(memcmp(bytes, again, sizeof(bytes)) == 0);
	ck_assert_int_eq(device_parse(bytes, sizeof(bytes), &read), 0);
	ck_assert_str_eq(read.pci, one.pci);
	ck_assert_str_eq(read.uuid, one.uuid);
	ck_assert_str_eq(read.serial, one.serial);
	ck_assert(strncmp(one.pci, "ffff", 4) == 0);
	ck_assert_str_eq(one.pci + 8, ":02:05");
	ck_assert_uint_eq(strlen(one.uuid), strlen("GPU-01234567-0123-0123-0123-0123456789ab"));
	ck_assert_uint_eq(strlen(one.serial), 13);
	/* Another run's GPU of the same place is another one. */
	device_identify("run-b", 2, 5, &other);
	ck_assert_str_ne(one.pci, other.pci);
	ck_assert_str_ne(one.uuid, other.uuid);
	device_print("run-a", 2, 6, again);
	ck_assert(memcmp(bytes + DEVICE_WORK_AT, again + DEVICE_WORK_AT, DEVICE_WORK_BYTES) != 0);
}
END_TEST

START_TEST(a_file_that_is_no_device_says_nothing)
{
	unsigned char bytes[DEVICE_BYTES];
	struct device_identity read;

	device_print("run-a", 0, 0, bytes);
	for (size_t size = 0; size < 80; size++)
		ck_assert_int_eq(device_parse(bytes, size, &read), -1);
	bytes[strlen(DEVICE_MAGIC)] = 'P';
	ck_assert_int_eq(device_parse(bytes, sizeof(bytes), &read), -1);
	device_print("run-a", 0, 0, bytes);
	bytes[strlen(DEVICE_MAGIC "pci: ")] = ' ';
	ck_assert_int_eq(device_parse(bytes, sizeof(bytes), &read), -1);
}
END_TEST

/* ---- health ---- */

static struct gpud *gpud;
static struct loop *loop;

static void write_device(uint32_t index)
{
	unsigned char bytes[DEVICE_BYTES];
	char path[64];
	FILE *file;

	device_print(RUN, 0, index, bytes);
	snprintf(path, sizeof(path), "dev/gpu%u", index);
	file = fopen(path, "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	ck_assert_int_eq(fclose(file), 0);
}

static void setup(void)
{
	struct error e = {0};

	workplace_enter("gpud");
	ck_assert_int_eq(mkdir("dev", 0777), 0);
	for (uint32_t i = 0; i < GPUS; i++)
		write_device(i);
	gpud = calloc(1, sizeof(*gpud));
	ck_assert_ptr_nonnull(gpud);
	ck_assert_int_eq(loop_open(&loop, &e), 0);
	/* A log that nobody writes. */
	fclose(fopen("log", "we"));
	gpud_open(gpud, "dev", GPUS, "log", loop);
}

static void teardown(void)
{
	gpud_close(gpud);
	loop_close(loop);
	free(gpud);
	workplace_leave();
}

/* A line of the driver about GPU `index` of `run`, at `now`. */
static void line(const char *run, uint32_t index, uint32_t code, nanos now)
{
	struct kernel_log_record record = {.priority = 3};
	struct device_identity identity;
	char text[KMSG_LINE_MAX];
	struct kmsg_xid xid = {.code = code, .pci = identity.pci};

	device_identify(run, 0, index, &identity);
	record.message = text;
	record.message_size = kmsg_print(&xid, run, text);
	ck_assert_uint_gt(record.message_size, 0);
	gpud_take(gpud, &record, now);
}

static cJSON *at(cJSON *json, const char *path)
{
	char words[128], *rest = words, *word;

	snprintf(words, sizeof(words), "%s", path);
	while (json && (word = strsep(&rest, "/")))
		json = cJSON_IsArray(json) ? cJSON_GetArrayItem(json, *word - '0')
					   : cJSON_GetObjectItem(json, word);
	ck_assert_msg(json != NULL, "no %s", path);
	return json;
}

static void check_state(cJSON *list, const char *health, const char *reason, const char *action)
{
	cJSON *state = at(list, "0/states/0");

	ck_assert_str_eq(at(list, "0/component")->valuestring, GPUD_XID);
	ck_assert_str_eq(at(state, "name")->valuestring, "error_xid");
	ck_assert_str_eq(at(state, "health")->valuestring, health);
	ck_assert_msg(strstr(at(state, "reason")->valuestring, reason) != NULL, "%s",
		      at(state, "reason")->valuestring);
	if (action)
		ck_assert_str_eq(at(state, "suggested_actions/repair_actions/0")->valuestring,
				 action);
	else
		ck_assert_ptr_null(cJSON_GetObjectItem(state, "suggested_actions"));
	cJSON_Delete(list);
}

START_TEST(states_have_the_shape_of_gpud)
{
	cJSON *list = gpud_states(gpud, NULL, NOON);
	struct device_identity identity;
	char reason[256];

	ck_assert_int_eq(cJSON_GetArraySize(list), 2);
	ck_assert_str_eq(at(list, "1/component")->valuestring, GPUD_COUNTS);
	ck_assert_str_eq(at(list, "1/states/0/health")->valuestring, "Healthy");
	ck_assert_str_eq(at(list, "0/states/0/time")->valuestring, "2026-11-23T12:00:00Z");
	check_state(list, "Healthy", "XIDComponent is healthy", NULL);
	line(RUN, 1, 79, NOON);
	device_identify(RUN, 0, 1, &identity);
	snprintf(reason, sizeof(reason),
		 "XID 79 (fallen off the bus) detected on GPU PCI:%s UUID:%s", identity.pci,
		 identity.uuid);
	check_state(gpud_states(gpud, GPUD_XID, NOON), "Unhealthy", reason, "REBOOT_SYSTEM");
}
END_TEST

START_TEST(the_worst_counts_until_it_is_set_healthy)
{
	cJSON *json;

	/* A warning does not make it unhealthy, and does not cover what is fatal. */
	line(RUN, 0, 31, NOON);
	check_state(gpud_states(gpud, NULL, NOON), "Healthy", "XID 31", "CHECK_USER_APP_AND_GPU");
	line(RUN, 2, 119, NOON);
	line(RUN, 0, 13, NOON);
	check_state(gpud_states(gpud, NULL, NOON), "Unhealthy", "XID 119", "REBOOT_SYSTEM");
	/* NVLink 5 says itself how bad it is: 145 is written as Nonfatal, 144 as Fatal. */
	json = gpud_set_healthy(gpud, GPUD_XID, NOON);
	ck_assert_str_eq(at(json, "successful/0")->valuestring, GPUD_XID);
	ck_assert_int_eq(cJSON_GetArraySize(at(json, "failed")), 0);
	cJSON_Delete(json);
	check_state(gpud_states(gpud, NULL, NOON), "Healthy", "XIDComponent is healthy", NULL);
	line(RUN, 0, 145, NOON);
	check_state(gpud_states(gpud, NULL, NOON), "Healthy", "XID 145", "REBOOT_SYSTEM");
	line(RUN, 0, 144, NOON);
	check_state(gpud_states(gpud, NULL, NOON), "Unhealthy", "XID 144", "REBOOT_SYSTEM");
	cJSON_Delete(gpud_set_healthy(gpud, GPUD_XID, NOON));
	/* No row, no demand; an action that only NVIDIA names is none of gpud's. */
	line(RUN, 0, 154, NOON);
	check_state(gpud_states(gpud, NULL, NOON), "Healthy", "XID 154 detected on", NULL);
	line(RUN, 0, 109, NOON);
	check_state(gpud_states(gpud, NULL, NOON), "Healthy", "XID 109", NULL);
}
END_TEST

START_TEST(only_its_own_gpus_count)
{
	line("another-run", 1, 79, NOON);
	check_state(gpud_states(gpud, NULL, NOON), "Healthy", "XIDComponent is healthy", NULL);
	ck_assert_uint_eq(gpud->strangers, 1);
	/* A GPU that is lost is known all the same; one that comes late is found. */
	ck_assert_int_eq(unlink("dev/gpu1"), 0);
	line(RUN, 1, 79, NOON);
	check_state(gpud_states(gpud, NULL, NOON), "Unhealthy", "XID 79", "REBOOT_SYSTEM");
}
END_TEST

START_TEST(missing_gpus_are_counted)
{
	cJSON *list;

	ck_assert_int_eq(unlink("dev/gpu1"), 0);
	list = gpud_states(gpud, GPUD_COUNTS, NOON);
	ck_assert_int_eq(cJSON_GetArraySize(list), 1);
	ck_assert_str_eq(at(list, "0/states/0/health")->valuestring, "Unhealthy");
	ck_assert_str_eq(at(list, "0/states/0/reason")->valuestring,
			 "nvidia gpu count mismatch (2 of 3)");
	cJSON_Delete(list);
}
END_TEST

START_TEST(events_are_told_newest_first)
{
	cJSON *list;

	for (int i = 0; i < GPUD_EVENTS_MAX + 10; i++)
		line(RUN, 0, 31, NOON + i * NANOS_S);
	cJSON_Delete(gpud_set_healthy(gpud, GPUD_XID, NOON + NANOS_HOUR));
	list = gpud_events(gpud, NULL, 0, NOON + NANOS_HOUR);
	ck_assert_int_eq(cJSON_GetArraySize(list), 2);
	ck_assert_str_eq(at(list, "0/endTime")->valuestring, "2026-11-23T13:00:00Z");
	ck_assert_int_eq(cJSON_GetArraySize(at(list, "0/events")), GPUD_EVENTS_MAX);
	ck_assert_str_eq(at(list, "0/events/0/name")->valuestring, "SetHealthy");
	ck_assert_str_eq(at(list, "0/events/1/name")->valuestring, "error_xid");
	ck_assert_str_eq(at(list, "0/events/1/type")->valuestring, "Warning");
	ck_assert_str_eq(at(list, "0/events/1/time")->valuestring, "2026-11-23T12:04:25Z");
	ck_assert(strncmp(at(list, "0/events/1/message")->valuestring, "XID 31 (MMU fault)", 18) ==
		  0);
	ck_assert_int_eq(cJSON_GetArraySize(at(list, "1/events")), 0);
	cJSON_Delete(list);
	list = gpud_events(gpud, GPUD_XID, NOON + 264 * NANOS_S, NOON + NANOS_HOUR);
	ck_assert_int_eq(cJSON_GetArraySize(at(list, "0/events")), 3);
	cJSON_Delete(list);
}
END_TEST

START_TEST(components_are_known_or_not)
{
	ck_assert(gpud_knows(NULL));
	ck_assert(gpud_knows(""));
	ck_assert(gpud_knows(GPUD_XID));
	ck_assert(gpud_knows(GPUD_COUNTS "," GPUD_XID));
	ck_assert(!gpud_knows("accelerator-nvidia-error-xi"));
	ck_assert(!gpud_knows(GPUD_XID ",disk"));
	ck_assert_ptr_null(gpud_set_healthy(gpud, GPUD_COUNTS, NOON));
	cJSON *json = gpud_set_healthy(gpud, GPUD_COUNTS "," GPUD_XID, NOON);

	ck_assert_int_eq(cJSON_GetArraySize(at(json, "failed")), 1);
	cJSON_Delete(json);
}
END_TEST

START_TEST(a_log_that_cannot_be_read_is_told)
{
	cJSON *list;

	gpud_close(gpud);
	gpud_open(gpud, "dev", GPUS, "there/is/none", loop);
	list = gpud_states(gpud, GPUD_XID, NOON);
	ck_assert_str_eq(at(list, "0/states/0/error")->valuestring,
			 "cannot read there/is/none: No such file or directory");
	check_state(list, "Healthy", "kmsg reader is not set", NULL);
	/* Devices without a name: no line can be theirs, which is said too. */
	ck_assert_int_eq(truncate("dev/gpu0", 0), 0);
	gpud_close(gpud);
	gpud_open(gpud, "dev", 1, "log", loop);
	check_state(gpud_states(gpud, GPUD_XID, NOON), "Healthy",
		    "no GPU says which PCI address it has", NULL);
}
END_TEST

#define COUNT(list) (int)(sizeof(list) / sizeof((list)[0]))

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, test);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	test_add_loop(suite, "record", a_record_is_read_or_refused, COUNT(records));
	test_add_loop(suite, "xid", an_xid_is_what_gpud_takes_for_one, COUNT(xids));
	test_add(suite, "stream", a_stream_is_cut_into_records);
	test_add(suite, "line", lines_are_those_of_the_driver);
	test_add_loop(suite, "line: refused", what_makes_no_line_is_refused, COUNT(bad_xids));
	test_add(suite, "device", a_device_says_who_it_is);
	test_add(suite, "device: none", a_file_that_is_no_device_says_nothing);
	add(suite, "states", states_have_the_shape_of_gpud);
	add(suite, "states: worst", the_worst_counts_until_it_is_set_healthy);
	add(suite, "states: own", only_its_own_gpus_count);
	add(suite, "states: counts", missing_gpus_are_counted);
	add(suite, "events", events_are_told_newest_first);
	add(suite, "components", components_are_known_or_not);
	add(suite, "log", a_log_that_cannot_be_read_is_told);
}

TEST_MAIN("gpud", add_cases)
