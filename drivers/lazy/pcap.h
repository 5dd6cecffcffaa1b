/* SPDX-License-Identifier: Apache-2.0 */
/* libpcap, loaded at the first use: include this instead of <pcap/pcap.h>. */
#ifndef DRIVERS_LAZY_PCAP_H
#define DRIVERS_LAZY_PCAP_H

#include <pcap/pcap.h>

#include "core/lazy.h"

/* What drsim calls. One that stands neither here nor below does not link. */
#define LAZY_PCAP(X)                                                                               \
	X(pcap_, activate)                                                                         \
	X(pcap_, close)                                                                            \
	X(pcap_, compile)                                                                          \
	X(pcap_, create)                                                                           \
	X(pcap_, datalink)                                                                         \
	X(pcap_, dispatch)                                                                         \
	X(pcap_, dump)                                                                             \
	X(pcap_, dump_close)                                                                       \
	X(pcap_, dump_flush)                                                                       \
	X(pcap_, dump_open)                                                                        \
	X(pcap_, fopen_offline_with_tstamp_precision)                                              \
	X(pcap_, freecode)                                                                         \
	X(pcap_, get_selectable_fd)                                                                \
	X(pcap_, geterr)                                                                           \
	X(pcap_, next_ex)                                                                          \
	X(pcap_, open_dead)                                                                        \
	X(pcap_, open_offline_with_tstamp_precision)                                               \
	X(pcap_, set_buffer_size)                                                                  \
	X(pcap_, set_snaplen)                                                                      \
	X(pcap_, set_timeout)                                                                      \
	X(pcap_, set_tstamp_precision)                                                             \
	X(pcap_, setfilter)                                                                        \
	X(pcap_, setnonblock)                                                                      \
	X(pcap_, stats)                                                                            \
	X(pcap_, statustostr)                                                                      \
	X(bpf_, filter)

struct lazy_pcap {
	LAZY_PCAP(LAZY_POINTER)
};

/* Loads it the first time. From any thread, as often as one likes. */
int lazy_pcap_open(struct error *e);
/* Only after lazy_pcap_open() has returned 0. */
const struct lazy_pcap *lazy_pcap(void);

#define pcap_activate lazy_pcap()->activate
#define pcap_close lazy_pcap()->close
#define pcap_compile lazy_pcap()->compile
#define pcap_create lazy_pcap()->create
#define pcap_datalink lazy_pcap()->datalink
#define pcap_dispatch lazy_pcap()->dispatch
#define pcap_dump lazy_pcap()->dump
#define pcap_dump_close lazy_pcap()->dump_close
#define pcap_dump_flush lazy_pcap()->dump_flush
#define pcap_dump_open lazy_pcap()->dump_open
#define pcap_fopen_offline_with_tstamp_precision lazy_pcap()->fopen_offline_with_tstamp_precision
#define pcap_freecode lazy_pcap()->freecode
#define pcap_get_selectable_fd lazy_pcap()->get_selectable_fd
#define pcap_geterr lazy_pcap()->geterr
#define pcap_next_ex lazy_pcap()->next_ex
#define pcap_open_dead lazy_pcap()->open_dead
#define pcap_open_offline_with_tstamp_precision lazy_pcap()->open_offline_with_tstamp_precision
#define pcap_set_buffer_size lazy_pcap()->set_buffer_size
#define pcap_set_snaplen lazy_pcap()->set_snaplen
#define pcap_set_timeout lazy_pcap()->set_timeout
#define pcap_set_tstamp_precision lazy_pcap()->set_tstamp_precision
#define pcap_setfilter lazy_pcap()->setfilter
#define pcap_setnonblock lazy_pcap()->setnonblock
#define pcap_stats lazy_pcap()->stats
#define pcap_statustostr lazy_pcap()->statustostr
#define bpf_filter lazy_pcap()->filter

#endif
