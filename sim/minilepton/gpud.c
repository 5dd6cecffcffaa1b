/* SPDX-License-Identifier: Apache-2.0 */
/* A node's health: from lines of the kernel's log and device files to gpud's answers. */
#include "sim/minilepton/gpud.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/diagnosis.h"
#include "sim/minilepton/minilepton.h"

#define STATE_NAME "error_xid"
#define LOOK_EVERY (100 * NANOS_MS) /* at a plain file */
#define READS_AT_ONCE 256

static const char *const components_known[] = {GPUD_XID, GPUD_COUNTS};
#define COMPONENTS (sizeof(components_known) / sizeof(components_known[0]))

nanos gpud_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t); /* style: allow */
	return (nanos)t.tv_sec * NANOS_S + t.tv_nsec;
}

/* ---- its GPUs ---- */

static void device_path(const struct gpud *gpud, uint32_t index, char *path, size_t room)
{
	snprintf(path, room, "%s/gpu%u", gpud->devices, (unsigned)index);
}

/* Who the GPUs are, as far as they are there and say so; one that is lost is still known. */
static void identify(struct gpud *gpud)
{
	for (uint32_t i = 0; i < gpud->gpu_count; i++) {
		unsigned char bytes[DEVICE_WORK_AT];
		char path[4096];
		ssize_t got;
		int fd;

		if (gpud->gpus[i].pci[0])
			continue;
		device_path(gpud, i, path, sizeof(path));
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			continue;
		got = pread(fd, bytes, sizeof(bytes), 0);
		close(fd);
		if (got <= 0 || device_parse(bytes, (size_t)got, &gpud->gpus[i]))
			gpud->gpus[i] = (struct device_identity){.pci = ""};
	}
}

static uint32_t gpus_there(const struct gpud *gpud)
{
	uint32_t there = 0;

	for (uint32_t i = 0; i < gpud->gpu_count; i++) {
		char path[4096];

		device_path(gpud, i, path, sizeof(path));
		there += access(path, F_OK) == 0;
	}
	return there;
}

static const struct device_identity *gpu_at(const struct gpud *gpud, const char *pci)
{
	for (uint32_t i = 0; i < gpud->gpu_count; i++)
		if (gpud->gpus[i].pci[0] && strcasecmp(gpud->gpus[i].pci, pci) == 0)
			return &gpud->gpus[i];
	return NULL;
}

/* ---- events ---- */

static struct gpud_event *event_new(struct gpud *gpud, nanos now)
{
	struct gpud_event *event = &gpud->events[gpud->count++ % GPUD_EVENTS_MAX];

	*event = (struct gpud_event){.time = now, .type = ""};
	return event;
}

/* Of the oldest that is kept; the next ones follow up to gpud->count. */
static size_t first_kept(const struct gpud *gpud)
{
	return gpud->count > GPUD_EVENTS_MAX ? gpud->count - GPUD_EVENTS_MAX : 0;
}

static const struct gpud_event *event_at(const struct gpud *gpud, size_t number)
{
	return &gpud->events[number % GPUD_EVENTS_MAX];
}

static bool holds(const struct kernel_log_xid *xid, const char *word)
{
	return memmem(xid->detail, xid->detail_size, word, strlen(word)) != NULL;
}

/* NVLink 5 lines say themselves how bad it is. */
static const char *type_of(const struct xid_row *row, const struct kernel_log_xid *xid)
{
	if (!row)
		return "Unknown";
	if (strcmp(row->event, "by severity") == 0)
		return holds(xid, "Nonfatal") ? "Warning" : "Fatal";
	return row->event;
}

void gpud_take(struct gpud *gpud, const struct kernel_log_record *record, nanos now)
{
	const struct device_identity *gpu;
	const struct xid_row *row;
	struct kernel_log_xid xid;
	struct gpud_event *event;

	if (!kernel_log_is_xid(record->message, record->message_size, &xid))
		return;
	identify(gpud);
	gpu = gpu_at(gpud, xid.pci);
	if (!gpu) {
		gpud->strangers++;
		return;
	}
	row = xid_find(xid.code);
	event = event_new(gpud, now);
	event->xid = xid.code;
	gpud->xids++;
	gpud->latest = xid.code;
	event->type = type_of(row, &xid);
	snprintf(event->message, sizeof(event->message),
		 "XID %u%s%s%s detected on GPU PCI:%s UUID:%s", (unsigned)xid.code, row ? " (" : "",
		 row ? row->name : "", row ? ")" : "", gpu->pci, gpu->uuid);
	minilepton_say("%s", event->message);
}

uint64_t gpud_xids(const struct gpud *gpud, uint32_t *ret_latest)
{
	*ret_latest = gpud->latest;
	return gpud->xids;
}

/* ---- answers ---- */

static void add_time(cJSON *json, const char *name, nanos time)
{
	time_t seconds = (time_t)(time / NANOS_S);
	struct tm parts;
	char text[40] = "";

	if (gmtime_r(&seconds, &parts))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
	cJSON_AddStringToObject(json, name, text);
}

/* Is it among `components`, names with commas between? NULL: all are. */
static bool is_asked(const char *components, const char *name)
{
	size_t length = strlen(name);

	for (const char *at = components; at && *at; at += *at == ',') {
		size_t size = strcspn(at, ",");

		if (size == length && strncmp(at, name, size) == 0)
			return true;
		at += size;
	}
	return !components || !*components;
}

bool gpud_knows(const char *components)
{
	for (const char *at = components; at && *at; at += *at == ',') {
		size_t size = strcspn(at, ",");
		bool known = false;

		for (size_t i = 0; i < COMPONENTS; i++)
			known = known || (strlen(components_known[i]) == size &&
					  strncmp(at, components_known[i], size) == 0);
		if (!known)
			return false;
		at += size;
	}
	return true;
}

static cJSON *state_new(cJSON *list, const char *component, const char *name, nanos now)
{
	cJSON *of = cJSON_CreateObject(), *states, *state = cJSON_CreateObject();

	cJSON_AddStringToObject(of, "component", component);
	states = cJSON_AddArrayToObject(of, "states");
	cJSON_AddItemToArray(states, state);
	cJSON_AddItemToArray(list, of);
	add_time(state, "time", now);
	cJSON_AddStringToObject(state, "component", component);
	cJSON_AddStringToObject(state, "name", name);
	return state;
}

static void add_action(cJSON *state, const char *description, const char *action)
{
	static const char *const known[] = {"IGNORE_NO_ACTION_REQUIRED", "REBOOT_SYSTEM",
					    "HARDWARE_INSPECTION", "CHECK_USER_APP_AND_GPU"};
	cJSON *suggested;

	/* Where gpud has no word of its own it suggests nothing. */
	for (size_t i = 0; action && i < sizeof(known) / sizeof(known[0]); i++) {
		if (strcmp(action, known[i]) != 0)
			continue;
		suggested = cJSON_AddObjectToObject(state, "suggested_actions");
		cJSON_AddStringToObject(suggested, "description", description);
		cJSON_AddItemToArray(cJSON_AddArrayToObject(suggested, "repair_actions"),
				     cJSON_CreateString(action));
		return;
	}
}

/* The event that the state is made of: one that is worse than all since, and after the last time
 * that it was set healthy. */
static const struct gpud_event *worst(const struct gpud *gpud)
{
	const struct gpud_event *found = NULL;

	for (size_t i = first_kept(gpud); i < gpud->count; i++) {
		const struct gpud_event *event = event_at(gpud, i);
		bool fatal = strcmp(event->type, "Fatal") == 0;

		if (event->xid == 0)
			found = NULL;
		else if (!found || fatal || strcmp(found->type, "Fatal") != 0)
			found = event;
	}
	return found;
}

static bool any_known(const struct gpud *gpud)
{
	for (uint32_t i = 0; i < gpud->gpu_count; i++)
		if (gpud->gpus[i].pci[0])
			return true;
	return gpud->gpu_count == 0;
}

static void add_xid_state(struct gpud *gpud, cJSON *list, nanos now)
{
	cJSON *state = state_new(list, GPUD_XID, STATE_NAME, now);
	const struct gpud_event *event = worst(gpud);
	const struct xid_row *row = event ? xid_find(event->xid) : NULL;
	bool fatal = event && strcmp(event->type, "Fatal") == 0;

	identify(gpud);
	cJSON_AddStringToObject(state, "health", fatal ? "Unhealthy" : "Healthy");
	if (event) {
		cJSON_AddStringToObject(state, "reason", event->message);
	} else if (gpud->why[0]) {
		/* As gpud does without the right to read it: healthy, for all that it knows. */
		cJSON_AddStringToObject(state, "reason", "kmsg reader is not set");
		cJSON_AddStringToObject(state, "error", gpud->why);
	} else if (!any_known(gpud)) {
		cJSON_AddStringToObject(state, "reason", "no GPU says which PCI address it has");
	} else {
		cJSON_AddStringToObject(state, "reason", "XIDComponent is healthy");
	}
	if (row)
		add_action(state, row->name, row->action);
}

static void add_counts_state(const struct gpud *gpud, cJSON *list, nanos now)
{
	cJSON *state = state_new(list, GPUD_COUNTS, GPUD_COUNTS, now);
	uint32_t there = gpus_there(gpud);
	bool right = there == gpud->gpu_count;
	char reason[128];

	snprintf(reason, sizeof(reason), "nvidia gpu count %s (%u of %u)",
		 right ? "matches" : "mismatch", (unsigned)there, (unsigned)gpud->gpu_count);
	cJSON_AddStringToObject(state, "health", right ? "Healthy" : "Unhealthy");
	cJSON_AddStringToObject(state, "reason", reason);
	if (!right)
		add_action(state, "a GPU is not there", "REBOOT_SYSTEM");
}

cJSON *gpud_states(struct gpud *gpud, const char *components, nanos now)
{
	cJSON *list = cJSON_CreateArray();

	if (is_asked(components, GPUD_XID))
		add_xid_state(gpud, list, now);
	if (is_asked(components, GPUD_COUNTS))
		add_counts_state(gpud, list, now);
	return list;
}

static void add_event(cJSON *list, const struct gpud_event *event)
{
	cJSON *json = cJSON_CreateObject();

	cJSON_AddStringToObject(json, "component", GPUD_XID);
	add_time(json, "time", event->time);
	cJSON_AddStringToObject(json, "name", event->xid ? STATE_NAME : "SetHealthy");
	if (event->xid) {
		cJSON_AddStringToObject(json, "type", event->type);
		cJSON_AddStringToObject(json, "message", event->message);
	}
	cJSON_AddItemToArray(list, json);
}

cJSON *gpud_events(const struct gpud *gpud, const char *components, nanos from, nanos now)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < COMPONENTS; i++) {
		cJSON *of, *events;

		if (!is_asked(components, components_known[i]))
			continue;
		of = cJSON_CreateObject();
		cJSON_AddStringToObject(of, "component", components_known[i]);
		add_time(of, "startTime", from);
		add_time(of, "endTime", now);
		events = cJSON_AddArrayToObject(of, "events");
		cJSON_AddItemToArray(list, of);
		if (strcmp(components_known[i], GPUD_XID) != 0)
			continue;
		/* The newest first. */
		for (size_t k = gpud->count; k-- > first_kept(gpud);)
			if (event_at(gpud, k)->time >= from)
				add_event(events, event_at(gpud, k));
	}
	return list;
}

cJSON *gpud_set_healthy(struct gpud *gpud, const char *components, nanos now)
{
	cJSON *json, *successful, *failed;

	if (!is_asked(components, GPUD_XID))
		return NULL;
	event_new(gpud, now);
	json = cJSON_CreateObject();
	cJSON_AddNumberToObject(json, "code", 200);
	cJSON_AddStringToObject(json, "message", "set healthy states completed");
	successful = cJSON_AddArrayToObject(json, "successful");
	cJSON_AddItemToArray(successful, cJSON_CreateString(GPUD_XID));
	failed = cJSON_AddObjectToObject(json, "failed");
	if (is_asked(components, GPUD_COUNTS))
		cJSON_AddStringToObject(failed, GPUD_COUNTS,
					"component does not support setting healthy state");
	return json;
}

/* ---- the kernel's log ---- */

static void on_record(void *self, const struct kernel_log_record *record)
{
	struct gpud *gpud = self;
	size_t before = gpud->count;

	gpud_take(gpud, record, gpud_now());
	if (gpud->count > before)
		minilepton_say("%s", event_at(gpud, before)->message);
}

static void on_readable(void *self, int fd, uint32_t events)
{
	char bytes[KERNEL_LOG_RECORD_MAX];
	struct gpud *gpud = self;

	(void)events;
	for (int i = 0; i < READS_AT_ONCE; i++) {
		ssize_t got = read(fd, bytes, sizeof(bytes));

		/* Records that came too fast for us are gone: the next read goes on behind them. */
		if (got < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (got <= 0)
			return;
		kernel_log_feed(&gpud->stream, bytes, (size_t)got, on_record, gpud);
	}
}

static void on_look(void *self)
{
	struct gpud *gpud = self;

	on_readable(gpud, gpud->fd, 0);
	loop_timer_set(gpud->loop, &gpud->timer, minilepton_now() + LOOK_EVERY);
}

static int log_open(struct gpud *gpud, struct error *e)
{
	struct stat status;
	bool fifo = stat(gpud->path, &status) == 0 && S_ISFIFO(status.st_mode);

	/* With an end of our own a FIFO whose writer leaves is not at its end. */
	gpud->fd = open(gpud->path, (fifo ? O_RDWR : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
	if (gpud->fd < 0 || fstat(gpud->fd, &status))
		return error_set(e, ERROR_IO, NO_PLACE, "cannot read %s: %s", gpud->path,
				 strerror(errno));
	if (!fifo && lseek(gpud->fd, 0, SEEK_END) < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot go to the end of %s: %s",
				 gpud->path, strerror(errno));
	if (S_ISREG(status.st_mode)) {
		gpud->timer.fire = on_look;
		gpud->timer.self = gpud;
		loop_timer_set(gpud->loop, &gpud->timer, minilepton_now() + LOOK_EVERY);
		return 0;
	}
	return loop_watch(gpud->loop, gpud->fd, EPOLLIN, on_readable, gpud, e);
}

void gpud_open(struct gpud *gpud, const char *devices, uint32_t gpu_count, const char *path,
	       struct loop *loop)
{
	struct error e = {0};

	*gpud = (struct gpud){
		.devices = devices,
		.gpu_count = gpu_count < GPUD_GPUS_MAX ? gpu_count : GPUD_GPUS_MAX,
		.path = path,
		.fd = -1,
		.loop = loop,
	};
	identify(gpud);
	if (log_open(gpud, &e) == 0)
		return;
	snprintf(gpud->why, sizeof(gpud->why), "%.255s", e.text);
	minilepton_say("health: %s", gpud->why);
	if (gpud->fd >= 0)
		close(gpud->fd);
	gpud->fd = -1;
}

void gpud_close(struct gpud *gpud)
{
	loop_timer_clear(gpud->loop, &gpud->timer);
	if (gpud->fd < 0)
		return;
	loop_unwatch(gpud->loop, gpud->fd);
	close(gpud->fd);
	gpud->fd = -1;
}
