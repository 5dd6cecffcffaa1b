/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a replica: its state, its devices, its boot, the writer of its I/O log, the reader
 * of all logs of its site. */
#ifndef SIM_MINILEPTON_REPLICA_H
#define SIM_MINILEPTON_REPLICA_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "core/clock.h"
#include "core/param.h"
#include "sim/minilepton/http.h"
#include "sim/minilepton/iolog.h"
#include "sim/minilepton/loop.h"
#include "sim/minilepton/options.h"
#include "sim/minilepton/record.h"

#define REPLICA_WAITING_MAX 1024 /* predictions in line, besides those in service */
#define REPLICA_CONCURRENCY_MAX 4096
#define REPLICA_WORD_MAX 64
#define REPLICA_SIGMA_MAX 4
#define REPLICA_RECORDS_MAX 16 /* reads of records in line */
#define REPLICA_CONNECTION_MEMORY (16u << 10)

struct replica;

struct replica_options {
	const char *id, *endpoint, *site, *listen, *weights, *digest, *fence, *io_dir, *service;
	struct options_texts after, ready_after, devices;
	nanos start, watchdog;
	uint64_t concurrency, seed;
};

enum replica_phase {
	REPLICA_STARTING,
	REPLICA_READY,
	REPLICA_ENDING
};

/* ---- service times ---- */

struct replica_service {
	nanos median;
	double sigma; /* of the logarithm; 0: always the median */
};

/* "N" or "MEDIAN,SIGMA" in ns. */
int replica_service_parse(const char *text, struct replica_service *ret, struct error *e);
/* The same for the same seed and sequence number, on every replica. */
nanos replica_service(const struct replica_service *service, uint64_t seed, uint64_t seq);

/* ---- replica_devices.c ---- */

/*
 * Stand-ins for GPUs: files. A file that is gone, another one in its place, or a call that fails is
 * a lost GPU. Calls on a device are openat() at the start, then an ioctl() and a pread64() for each
 * computation; one that hangs is never given up.
 */
#define DEVICES_KEY_SIZE 32

struct devices {
	struct device {
		const char *path;
		int fd;
		dev_t device;
		ino_t inode;
		size_t work; /* bytes of memory that it has */
	} items[OPTIONS_TEXTS_MAX];
	size_t count;
	/* The pace of the slowest, and the share of wrong results of the worst, as they were when
	 * they computed last; ppm. */
	_Atomic uint32_t pace, wrong;
	atomic_bool ends;
	bool watched;
	pthread_t thread;
};

/* Opens them and watches their files from a thread of its own until devices_close(). */
int devices_open(struct devices *devices, const struct options_texts *paths, struct error *e);
/* What takes so long on GPUs in order takes so long on these. */
nanos devices_slowed(const struct devices *devices, nanos time);
/* Is the result of this number among those that come out wrong? */
bool devices_err(const struct devices *devices, uint64_t number);
/* Ends the process as CUDA programs end when one is lost: a line on standard error, exit 1. */
void devices_check(const struct devices *devices);
/*
 * What all of them together hold, which is the same as long as they are in order. What is sealed
 * with it once can only be opened by asking them again. Ends the process like devices_check().
 */
void devices_compute(struct devices *devices, unsigned char ret_key[DEVICES_KEY_SIZE]);
/* Seals `size` bytes with a key, or opens them. */
void devices_seal(const unsigned char key[DEVICES_KEY_SIZE], void *bytes, size_t size);
void devices_close(struct devices *devices);

/* ---- replica_writer.c ---- */

/* One POST /predict; it lives in its request's arena. */
struct prediction {
	struct replica *replica;
	struct http_request *request;
	struct record record;
	char answer[RECORD_ANSWER_SIZE];
	struct loop_timer timer;
	struct prediction *next, *previous; /* in service, in line, or for the log */
};

/* The only one that writes the log: what has come while a group was written is the next group. */
struct writer {
	struct replica *replica;
	struct iolog log; /* opened by the boot */
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct prediction *first, **last;
	bool ends, opened;
	atomic_llong device_since; /* since when it waits for the devices; 0: it does not */
	pthread_t thread;
	char *lines; /* the writer's thread alone */
	size_t room;
};

int writer_open(struct replica *replica, struct error *e);
/* Hands over a prediction; it is answered when it is on the disk. */
void writer_add(struct writer *writer, struct prediction *prediction);
bool writer_fenced(const struct writer *writer);
/* Do its devices take longer than the replica's own watchdog has patience? */
bool writer_stuck(const struct writer *writer);
/* Answers all that it was given. */
void writer_close(struct replica *replica);

/* ---- replica_records.c ---- */

/* Answers GET /records, one after the other. */
struct records {
	struct iolog_reader *reader;
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct asked {
		struct http_request *request;
		uint64_t from, count;
	} asked[REPLICA_RECORDS_MAX];
	size_t count;
	bool ends, opened;
	pthread_t thread;
};

int records_open(struct replica *replica, struct error *e);
void records_add(struct records *records, struct http_request *request, uint64_t from,
		 uint64_t count);
void records_close(struct replica *replica);

/* ---- replica_boot.c ---- */

/* Begins to load; ends the process when that fails. */
int boot_open(struct replica *replica, struct error *e);
void boot_close(struct replica *replica);

/* ---- replica.c ---- */

struct replica {
	const struct replica_options *options;
	struct replica_service service;
	atomic_int phase;                         /* enum replica_phase */
	/* Of the weights; these two: once it is ready. The first is sealed with the devices. */
	unsigned char digest[RECORD_DIGEST_SIZE];
	char digest_text[2 * RECORD_DIGEST_SIZE + 1];
	struct loop *loop;
	struct http_server *server;
	struct devices devices;
	struct writer writer;
	struct records records;
	bool booting;
	pthread_t boot;
	/* The loop's thread alone. */
	struct prediction *served, *line, **line_end;
	size_t serving, waiting;
	struct loop_timer end_timer;
};

/* In Lepton's words. */
const char *replica_state(const struct replica *replica);
bool replica_is(const struct replica *replica, enum replica_phase phase);

#endif
