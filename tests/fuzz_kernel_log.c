/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: any bytes as the kernel's log, in pieces, and as a device's file. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/device.h"
#include "core/kernel_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void each(void *self, const struct kernel_log_record *record)
{
	struct kernel_log_xid xid;
	size_t *count = self;

	++*count;
	assert(record->priority < 8);
	assert(record->message_size < KERNEL_LOG_RECORD_MAX);
	assert(!memchr(record->message, '\n', record->message_size));
	if (!kernel_log_is_xid(record->message, record->message_size, &xid))
		return;
	assert(xid.pci[0] && strlen(xid.pci) < sizeof(xid.pci));
	assert(xid.detail >= record->message &&
	       xid.detail + xid.detail_size == record->message + record->message_size);
}

/* How many records there are when it comes in pieces of this size. */
static size_t feed(const uint8_t *data, size_t size, size_t piece)
{
	struct kernel_log_stream *stream = calloc(1, sizeof(*stream));
	size_t count = 0;

	assert(stream);
	for (size_t at = 0; at < size; at += piece)
		kernel_log_feed(stream, (const char *)data + at,
				piece < size - at ? piece : size - at, each, &count);
	assert(stream->size <= sizeof(stream->line));
	free(stream);
	return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct device_identity identity;
	size_t count;

	if (size == 0)
		return 0;
	count = feed(data, size, size);
	assert(feed(data, size, 1) == count);
	assert(feed(data, size, 1 + data[0]) == count);
	if (device_parse(data, size, &identity) == 0)
		assert(strlen(identity.pci) < sizeof(identity.pci));
	return 0;
}
