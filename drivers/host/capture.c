/* SPDX-License-Identifier: Apache-2.0 */
/* A capture of the client's link by libpcap, in a thread of its own, into a bounded file. */
#include "drivers/host/capture.h"

#include <assert.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "drivers/lazy/pcap.h"

#define BYTES_MAX_PRESET ((uint64_t)256 << 20)
#define BUFFER_BYTES (16 << 20) /* of the kernel: seconds of thousands of requests */
#define WAIT_MS 100
#define PACKETS_AT_ONCE 512
#define FILE_HEAD 24   /* bytes of a pcap file's header */
#define PACKET_HEAD 16 /* bytes before each packet */
#define FILTER_MAX 1024

struct capture {
	struct arena arena;
	struct capture_config config;
	pcap_t *pcap;
	pcap_dumper_t *dumper;
	pthread_t thread;
	int stop; /* eventfd */
	struct capture_stats stats;

	pthread_mutex_t lock; /* over what follows */
	pthread_cond_t ready;
	bool is_ready;
	struct error start_error;
};

static int unavailable(struct capture *capture, const char *what, const char *why)
{
	return error_set(&capture->start_error, ERROR_UNAVAILABLE, NO_PLACE, "%s: %s: %s",
			 capture->config.interface, what, why);
}

/* Only segments that carry something: acknowledgements alone would double the file. */
static void filter_text(const struct capture_config *config, char out[FILTER_MAX])
{
	size_t n = 0;

	out[0] = '\0';
	if (config->host)
		n += (size_t)snprintf(out, FILTER_MAX, "host %.64s and ", config->host);
	for (size_t i = 0; i < config->port_count; i++)
		n += (size_t)snprintf(out + n, FILTER_MAX - n, "%stcp port %u", i ? " or " : "(",
				      config->ports[i]);
	snprintf(out + n, FILTER_MAX - n,
		 "%s(tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst) != 0 or "
		 "((ip[2:2] - ((ip[0] & 0xf) << 2)) - ((tcp[12] & 0xf0) >> 2)) != 0)",
		 config->port_count > 0 ? ") and " : "ip and tcp and ");
}

static int activate(struct capture *capture)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	int rc;

	capture->pcap = pcap_create(capture->config.interface, why);
	if (!capture->pcap)
		return unavailable(capture, "no capture", why);
	pcap_set_snaplen(capture->pcap, CAPTURE_SNAPLEN);
	pcap_set_timeout(capture->pcap, WAIT_MS);
	pcap_set_buffer_size(capture->pcap, BUFFER_BYTES);
	pcap_set_tstamp_precision(capture->pcap, PCAP_TSTAMP_PRECISION_NANO);
	rc = pcap_activate(capture->pcap);
	if (rc == PCAP_ERROR_PERM_DENIED)
		return unavailable(capture, "no right to capture", "it takes CAP_NET_RAW");
	if (rc < 0)
		return unavailable(capture, "no capture", pcap_statustostr(rc));
	return 0;
}

static int open_all(struct capture *capture)
{
	const struct capture_config *config = &capture->config;
	char filter[FILTER_MAX], why[PCAP_ERRBUF_SIZE];
	struct bpf_program program;
	int rc;

	if (config->netns >= 0 && setns(config->netns, CLONE_NEWNET))
		return unavailable(capture, "the client's network namespace", strerror(errno));
	if (if_nametoindex(config->interface) == 0)
		return unavailable(capture, "no such interface", strerror(errno));
	if (activate(capture))
		return -1;
	filter_text(config, filter);
	rc = pcap_compile(capture->pcap, &program, filter, 1, PCAP_NETMASK_UNKNOWN);
	if (rc == 0) {
		rc = pcap_setfilter(capture->pcap, &program);
		pcap_freecode(&program);
	}
	if (rc || pcap_setnonblock(capture->pcap, 1, why))
		return unavailable(capture, "the filter", pcap_geterr(capture->pcap));
	capture->dumper = pcap_dump_open(capture->pcap, config->path);
	if (!capture->dumper)
		return unavailable(capture, "the file", pcap_geterr(capture->pcap));
	capture->stats.bytes = FILE_HEAD;
	return 0;
}

static void on_packet(u_char *self, const struct pcap_pkthdr *head, const u_char *bytes)
{
	struct capture *capture = (struct capture *)(void *)self;
	uint64_t size = PACKET_HEAD + head->caplen;

	if (capture->stats.full)
		return;
	if (capture->stats.bytes + size > capture->config.max_bytes) {
		capture->stats.full = true;
		return;
	}
	capture->stats.bytes += size;
	capture->stats.packets++;
	pcap_dump((u_char *)capture->dumper, head, bytes);
}

static bool wanted(const struct capture *capture)
{
	struct pollfd stop = {.fd = capture->stop, .events = POLLIN};

	return poll(&stop, 1, 0) == 0;
}

static void capture_packets(struct capture *capture)
{
	struct pollfd ready[2] = {
		{.fd = pcap_get_selectable_fd(capture->pcap), .events = POLLIN},
		{.fd = capture->stop, .events = POLLIN},
	};
	int n = 0;

	while (n >= 0 && !capture->stats.full && wanted(capture)) {
		n = pcap_dispatch(capture->pcap, PACKETS_AT_ONCE, on_packet, (u_char *)capture);
		if (n == 0)
			poll(ready, 2, WAIT_MS);
	}
	/* What came before the end is in the kernel's blocks until their time-out. */
	if (n >= 0 && !capture->stats.full)
		poll(NULL, 0, 2 * WAIT_MS);
	while (n >= 0 && !capture->stats.full) {
		n = pcap_dispatch(capture->pcap, PACKETS_AT_ONCE, on_packet, (u_char *)capture);
		if (n == 0)
			break;
	}
}

static void close_all(struct capture *capture)
{
	struct pcap_stat stat = {0};

	if (capture->pcap && capture->dumper && pcap_stats(capture->pcap, &stat) == 0)
		capture->stats.dropped = stat.ps_drop;
	if (capture->dumper)
		pcap_dump_close(capture->dumper);
	if (capture->pcap)
		pcap_close(capture->pcap);
}

static void *run(void *self)
{
	struct capture *capture = self;
	int rc;

	pthread_mutex_lock(&capture->lock);
	rc = open_all(capture);
	capture->is_ready = true;
	pthread_cond_signal(&capture->ready);
	pthread_mutex_unlock(&capture->lock);
	if (rc == 0)
		capture_packets(capture);
	close_all(capture);
	return NULL;
}

static void free_all(struct capture *capture)
{
	struct arena arena = capture->arena; /* the capture lies in it */

	close(capture->stop);
	pthread_cond_destroy(&capture->ready);
	pthread_mutex_destroy(&capture->lock);
	arena_free(&arena);
}

static int start_thread(struct capture *capture, struct error *e)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&capture->thread, NULL, run, capture);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		return error_set(e, ERROR_MEMORY, NO_PLACE, "the capture's thread: %s",
				 strerror(rc));
	pthread_mutex_lock(&capture->lock);
	while (!capture->is_ready)
		pthread_cond_wait(&capture->ready, &capture->lock);
	pthread_mutex_unlock(&capture->lock);
	if (capture->start_error.kind == ERROR_NONE)
		return 0;
	pthread_join(capture->thread, NULL);
	return error_set(e, capture->start_error.kind, NO_PLACE, "%s", capture->start_error.text);
}

int capture_start(const struct capture_config *config, struct capture **ret_capture,
		  struct error *e)
{
	struct arena arena = {0};
	struct capture *capture;

	assert(config->port_count <= CAPTURE_PORTS_MAX);
	if (lazy_pcap_open(e))
		return -1;
	capture = arena_alloc(&arena, sizeof(*capture));
	capture->config = *config;
	capture->config.path = arena_strdup(&arena, config->path);
	capture->config.interface = arena_strdup(&arena, config->interface);
	if (config->host)
		capture->config.host = arena_strdup(&arena, config->host);
	if (config->max_bytes == 0)
		capture->config.max_bytes = BYTES_MAX_PRESET;
	capture->arena = arena;
	pthread_mutex_init(&capture->lock, NULL);
	pthread_cond_init(&capture->ready, NULL);
	capture->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (capture->stop < 0)
		error_set(e, ERROR_IO, NO_PLACE, "the capture cannot be set up: %s",
			  strerror(errno));
	if (capture->stop < 0 || start_thread(capture, e)) {
		free_all(capture);
		return -1;
	}
	*ret_capture = capture;
	return 0;
}

void capture_stop(struct capture *capture, struct capture_stats *ret_stats)
{
	uint64_t one = 1;

	if (write(capture->stop, &one, sizeof(one)) < 0)
		assert(errno == EAGAIN);
	pthread_join(capture->thread, NULL);
	*ret_stats = capture->stats;
	free_all(capture);
}
