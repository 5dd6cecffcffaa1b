/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node's health in the shape of gpud, the health daemon of the real platform: what the GPUs'
 * driver wrote to the kernel's log, and how many GPUs there are. Formats and rules: leptonai/gpud,
 * api/v1/types.go and components/accelerator/nvidia/xid/health_state.go.
 */
#ifndef SIM_MINILEPTON_GPUD_H
#define SIM_MINILEPTON_GPUD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/device.h"
#include "core/kernel_log.h"
#include "sim/minilepton/loop.h"

#define GPUD_GPUS_MAX 64
#define GPUD_EVENTS_MAX 256 /* the newest; an older one is forgotten */
#define GPUD_MESSAGE_MAX 200
#define GPUD_XID "accelerator-nvidia-error-xid"
#define GPUD_COUNTS "accelerator-nvidia-gpu-counts"

struct cJSON;

struct gpud_event {
	nanos time;       /* since 1970 */
	uint32_t xid;     /* 0: it was set healthy by hand */
	const char *type; /* "Fatal", "Warning", "Unknown" */
	char message[GPUD_MESSAGE_MAX];
};

/* Zero-initialise but `fd`. */
struct gpud {
	const char *devices; /* folder of gpu0 … */
	uint32_t gpu_count;
	struct device_identity gpus[GPUD_GPUS_MAX]; /* pci "": it has not said who it is */
	struct gpud_event events[GPUD_EVENTS_MAX];
	uint64_t xids;      /* lines of its GPUs so far */
	uint32_t latest;    /* code of the latest; 0: none */
	size_t count;       /* all that there were: event i is in slot i % GPUD_EVENTS_MAX */
	uint64_t strangers; /* Xid lines of other GPUs */
	const char *path;   /* of the kernel's log */
	char why[256];      /* it cannot be read: why; "": it can */
	int fd;             /* -1: it is not read */
	struct kernel_log_stream stream;
	struct loop *loop;
	struct loop_timer timer; /* of a plain file, which nothing tells of */
};

/* Takes a record of the kernel's log that was read at `now` (since 1970); only what is about its
 * own GPUs counts. */
void gpud_take(struct gpud *gpud, const struct kernel_log_record *record, nanos now);
/* Xid lines so far; the code of the latest, 0: none. */
uint64_t gpud_xids(const struct gpud *gpud, uint32_t *ret_latest);
/* "components" of a query: names with commas between; NULL: all. false: one is unknown. */
bool gpud_knows(const char *components);
/* GET /v1/states and GET /v1/events. */
struct cJSON *gpud_states(struct gpud *gpud, const char *components, nanos now);
struct cJSON *gpud_events(const struct gpud *gpud, const char *components, nanos from, nanos now);
/* POST /v1/health-states/set-healthy; NULL: nothing of these can be set. */
struct cJSON *gpud_set_healthy(struct gpud *gpud, const char *components, nanos now);

/*
 * Follows the kernel's log at `path` from its end on: /dev/kmsg, a file that grows, or a FIFO.
 * Where it cannot be read the state of GPUD_XID says so. `loop` calls it.
 */
void gpud_open(struct gpud *gpud, const char *devices, uint32_t gpu_count, const char *path,
	       struct loop *loop);
void gpud_close(struct gpud *gpud);
/* The wall clock, since 1970. */
nanos gpud_now(void);

#endif
