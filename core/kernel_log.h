/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the kernel's log as /dev/kmsg gives them, and the Xid lines of NVIDIA's driver in
 * them. Formats: the kernel's Documentation/ABI/testing/dev-kmsg; an Xid line is what gpud takes
 * for one, `NVRM: Xid \(((?:PCI:)?[0-9a-fA-F:]+)\).*?: (\d+),`.
 */
#ifndef CORE_KERNEL_LOG_H
#define CORE_KERNEL_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_LOG_RECORD_MAX 8192 /* bytes of a record: no read may ask for fewer */
#define KERNEL_LOG_PCI_SIZE 32

struct kernel_log_record {
	uint32_t priority,
		facility; /* 3: an error; facility 0: the kernel, 1: written from outside */
	uint64_t sequence;
	uint64_t microseconds; /* since the boot */
	const char *message;   /* not ended by a 0; without its newline */
	size_t message_size;
};

/* Reads one record, with or without lines of its dictionary behind it. -1: it is none. */
int kernel_log_parse(const char *text, size_t size, struct kernel_log_record *ret);

struct kernel_log_xid {
	char pci[KERNEL_LOG_PCI_SIZE]; /* without "PCI:" */
	uint32_t code;
	const char *detail; /* what follows the code and its comma; not ended by a 0 */
	size_t detail_size;
};

/* Whether a message is an Xid line of the driver. */
bool kernel_log_is_xid(const char *message, size_t size, struct kernel_log_xid *ret);

/* ---- bytes of any origin, cut into records ---- */

/* Zero-initialise. */
struct kernel_log_stream {
	char line[KERNEL_LOG_RECORD_MAX];
	size_t size;
	bool skipping;    /* the rest of a line that is too long */
	uint64_t refused; /* lines that are no records */
};

/* Calls back for each whole record; its texts are valid until the callback returns. */
void kernel_log_feed(struct kernel_log_stream *stream, const char *bytes, size_t size,
		     void (*each)(void *self, const struct kernel_log_record *record), void *self);

#endif
