/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines in the kernel's log that a GPU's driver would write: gpu.xid. What watches the log (gpud,
 * NVSentinel, `minilepton node`) takes them for real ones; no GPU is touched. Fidelity: detector.
 *
 * A line of the kernel's log is the host's own and cannot be unwritten: it needs the word of
 * whoever wrote the scenario (`allowed`), every line ends with the run's id in brackets, and a run
 * writes at most KMSG_LINES_MAX. Whoever shows a state because of it is told set-healthy
 * afterwards. Nothing to undo stands in the journal.
 *
 * The kernel drops, without an error, what one descriptor writes beyond 10 messages in 5 s: each
 * descriptor is closed after KMSG_BURST lines. Every line is read back: what was dropped all the
 * same is an error. One thread at a time.
 */
#ifndef DRIVERS_LINUX_KMSG_H
#define DRIVERS_LINUX_KMSG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/arena.h"
#include "core/clock.h"
#include "core/error.h"

#define KMSG_PATH "/dev/kmsg"
#define KMSG_BURST 10
#define KMSG_LINES_MAX 2048
#define KMSG_LINE_MAX 900 /* bytes of a line: the kernel takes 1024 less its own prefix */

enum kmsg_format {
	KMSG_GPUD,       /* Xid (PCI:…): 79, pid=…, name=…, GPU has fallen off the bus. */
	KMSG_NVSENTINEL, /* the same, and for 79 what NVSentinel takes for a fallen GPU */
	KMSG_RAW,        /* without process: Xid (PCI:…): 79, GPU has fallen off the bus. */
	KMSG_FORMATS
};
extern const char *const kmsg_format_names[KMSG_FORMATS]; /* "gpud", "nvsentinel", "raw" */

struct kmsg_config {
	bool allowed;     /* the scenario grants the host's kernel log */
	const char *run;  /* id, in every line */
	const char *path; /* NULL: KMSG_PATH. Another one (a file, a FIFO) gets whole records, as if
			     the kernel had written them */
};

struct kmsg_xid {
	uint32_t code; /* 1 … 999 */
	enum kmsg_format format;
	const char *pci;     /* "0000:04:00": domain, bus, device */
	pid_t pid;           /* 0: unknown, which the driver writes as such */
	const char *process; /* its name; NULL: unknown */
	const char *text;    /* NULL: the driver's own words for the code */
};

struct kmsg;

/* Can lines be written and read back here? It opens the log in both directions and writes nothing.
 * *ret_why: how, or why not. */
bool kmsg_probe(const char *path, struct arena *arena, const char **ret_why);
/* ERROR_UNAVAILABLE where it is not allowed, or cannot be. */
int kmsg_open(const struct kmsg_config *config, struct arena *arena, struct kmsg **ret,
	      struct error *e);
/* The line, without priority and newline; its length, 0 when the fields are out of range. */
size_t kmsg_print(const struct kmsg_xid *xid, const char *run, char ret[KMSG_LINE_MAX]);
/* Writes an Xid, and returns when it has been read back from the log. ERROR_LIMIT after
 * KMSG_LINES_MAX; ERROR_UNAVAILABLE when the log has not shown it within a second. */
int kmsg_write(struct kmsg *kmsg, const struct kmsg_xid *xid, struct error *e);

struct kmsg_counters {
	uint64_t written, seen, reopened;
};
struct kmsg_counters kmsg_count(const struct kmsg *kmsg);
void kmsg_close(struct kmsg *kmsg);

#endif
