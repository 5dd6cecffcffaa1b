/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A storm of calls as a Go program makes it: linked statically, threads by clone(), calls by
 * instructions of its own, and signals among the threads all the time. Nothing of the C library is
 * between it and the kernel that a preloaded library could catch.
 *
 *	static_storm SHARED THREADS FILE OTHER
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/storm.h"

#define STACK 65536
#define PAUSE_NS 300000

struct worker {
	struct storm *storm;
	struct storm_thread *told;
	int files[STORM_FILES];
	volatile int tid;
};

static long raw(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
#else
	long result = syscall(number, a, b, c, d);

	return result == -1 ? -errno : result;
#endif
}

static void count(struct storm_thread *told, long result, int file)
{
	if (result >= 0)
		return;
	if (result == -ENOSYS)
		__atomic_add_fetch(&told->enosys, 1, __ATOMIC_SEQ_CST);
	else if (result != -EIO)
		__atomic_add_fetch(&told->odd, 1, __ATOMIC_SEQ_CST);
	else if (file > 0)
		__atomic_add_fetch(&told->strangers, 1, __ATOMIC_SEQ_CST);
	else {
		__atomic_store_n(&told->last_failed, told->started, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&told->failed, 1, __ATOMIC_SEQ_CST);
	}
}

static int work(void *self)
{
	static const char bytes[512] = "a block of data";
	struct worker *worker = self;

	worker->tid = (int)raw(SYS_gettid, 0, 0, 0, 0);
	while (!__atomic_load_n(&worker->storm->ends, __ATOMIC_SEQ_CST))
		for (int file = 0; file < STORM_FILES; file++) {
			if (file == 0)
				__atomic_add_fetch(&worker->told->started, 1, __ATOMIC_SEQ_CST);
			count(worker->told,
			      raw(SYS_pwrite64, worker->files[file], (long)bytes, sizeof(bytes), 0),
			      file);
		}
	__atomic_sub_fetch(&worker->storm->running, 1, __ATOMIC_SEQ_CST);
	raw(SYS_exit, 0, 0, 0, 0);
	return 0;
}

static void hear(int number)
{
	(void)number;
}

int main(int argc, char **argv)
{
	const int flags =
		CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
	const struct sigaction action = {.sa_handler = hear, .sa_flags = SA_RESTART};
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	static struct worker workers[STORM_THREADS_MAX];
	static char stacks[STORM_THREADS_MAX][STACK] __attribute__((aligned(64)));
	struct storm *storm;
	int threads, fd;

	if (argc != 5)
		return 2;
	threads = atoi(argv[2]);
	fd = open(argv[1], O_RDWR | O_CLOEXEC);
	storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (storm == MAP_FAILED || threads > STORM_THREADS_MAX || sigaction(SIGURG, &action, NULL))
		return 3;
	__atomic_store_n(&storm->running, (uint64_t)threads, __ATOMIC_SEQ_CST);
	for (int i = 0; i < threads; i++) {
		struct worker *worker = &workers[i];

		worker->storm = storm;
		worker->told = &storm->threads[i];
		for (int file = 0; file < STORM_FILES; file++)
			worker->files[file] = open(argv[3 + file], O_WRONLY | O_CREAT, 0600);
		if (clone(work, stacks[i] + STACK, flags, worker) < 0)
			return 4;
	}
	while (__atomic_load_n(&storm->running, __ATOMIC_SEQ_CST) > 0) {
		for (int i = 0; i < threads; i++)
			if (workers[i].tid)
				raw(SYS_tgkill, getpid(), workers[i].tid, SIGURG, 0);
		__atomic_add_fetch(&storm->signals, 1, __ATOMIC_SEQ_CST);
		nanosleep(&pause, NULL);
	}
	return 0;
}
