/* SPDX-License-Identifier: Apache-2.0 */
/* libpcap, loaded once for the whole process. */
#include "drivers/lazy/pcap.h"

#include <assert.h>
#include <pthread.h>

/* What the dynamic linker gives is the same for the whole process: written once, under the once. */
static pthread_once_t lazy_pcap_once = PTHREAD_ONCE_INIT;
static struct lazy_pcap lazy_pcap_table;
static struct error lazy_pcap_error;

static void load(void)
{
	static const char *const names[] = {LAZY_PCAP(LAZY_NAME)};
	static const struct lazy library = {
		.sonames = {"libpcap.so.0.8", "libpcap.so.1"},
		.package = "libpcap0.8",
		.names = names,
		.count = sizeof(names) / sizeof(names[0]),
	};

	lazy_load(&library, &lazy_pcap_table, sizeof(lazy_pcap_table), &lazy_pcap_error);
}

int lazy_pcap_open(struct error *e)
{
	pthread_once(&lazy_pcap_once, load);
	if (lazy_pcap_error.kind == ERROR_NONE)
		return 0;
	return error_set(e, lazy_pcap_error.kind, NO_PLACE, "%s", lazy_pcap_error.text);
}

const struct lazy_pcap *lazy_pcap(void)
{
	assert(lazy_pcap_table.close);
	return &lazy_pcap_table;
}
