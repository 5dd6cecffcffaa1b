/* SPDX-License-Identifier: Apache-2.0 */
/*
 * netem and nftables in an emulated guest with a kernel of a distribution, for hosts whose own has
 * no netem. This program is the guest's first process too: the host's side packs it, the libraries
 * that it has loaded and the kernel's modules into an initial file system, starts the guest and
 * reads its console; the guest's side runs a suite of its own and switches itself off.
 */

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/host/machine.h"
#include "drivers/lazy/netlink.h"
#include "drivers/lazy/nftables.h"
#include "drivers/linux/net.h"
#include "drivers/linux/nft.h"
#include "drivers/linux/tc.h"
#include "tests/places.h"
#include "tests/program.h"
#include "tests/test.h"
#include "tests/workplace.h"

#define EMULATOR "qemu-system-x86_64"
#define GUEST_MEMORY "384"
#define GUEST_MS 240000
#define GUEST_LOSS 20000 /* packets */
#define GUEST_DELAYS 2000
#define LINE_MAX_BYTES 1024
#define LEASE (60 * NANOS_S)

/* In the order in which they need each other. */
static const char *const modules[] = {
	"llc",
	"stp",
	"bridge",
	"veth",
	"sch_netem",
	"sch_tbf",
	"nfnetlink",
	"libcrc32c",
	"nf_tables",
	"nft_objref",
	"nft_meta_bridge",
	"nft_numgen",
	"nft_limit",
	"nft_reject",
	"nf_reject_ipv4",
	"nf_reject_ipv6",
	"nft_reject_bridge",
};

/* ---- in the guest: what netem does ---- */

static struct net_fault *begin(struct places *places, size_t machine,
			       enum impair_direction direction, const struct impair_config *config)
{
	const struct net_ask ask = {.direction = direction, .config = *config};
	const struct net_place place = places_of(places, machine);
	struct error e = {0};
	struct net_fault *fault;

	places_ok(
		net_begin(&place, &ask, NET_NETEM, "fault", 11, LEASE, &places->arena, &fault, &e),
		&e);
	return fault;
}

static void change(struct net_fault *fault, const struct impair_config *config)
{
	struct error e = {0};

	places_ok(net_change(fault, config, &e), &e);
}

static struct net_counts counts_of(struct net_fault *fault)
{
	struct net_counts counts;
	struct error e = {0};

	places_ok(net_counts(fault, &counts, &e), &e);
	return counts;
}

static void end(struct net_fault *fault)
{
	struct error e = {0};

	places_ok(net_end(fault, &e), &e);
	places_ok(net_end(fault, &e), &e);
}

START_TEST(guest_choice)
{
	const struct net_ask ask = {.config = {.delay = {.latency = NANOS_MS}}};
	struct net_host host;
	struct net_choice choice;
	struct error e = {0};

	net_probe(&host);
	for (int i = 0; i < NET_BACKENDS; i++)
		printf("%-16s %s\n", net_backend_names[i], host.has[i] ? "yes" : host.why[i]);
	places_ok(net_choose(&host, &ask, &choice, &e), &e);
	ck_assert_int_eq(choice.backend, NET_NETEM);
	ck_assert_str_eq(choice.why, "");
	ck_assert(host.has[NET_TBF] && host.has[NET_NFTABLES]);
}
END_TEST

/* 3 % within 4.5 deviations, counted by netem too; then all; then bursts with their long-run
 * share. */
START_TEST(guest_loss)
{
	const double n = GUEST_LOSS, bound = 4.5 * sqrt(n * 0.03 * 0.97);
	struct impair_config config = {.loss = {.model = IMPAIR_LOSS_RANDOM, .probability = 0.03}};
	struct places places;
	struct places_arrived arrived;
	struct net_fault *fault;
	double lost;

	places_open(&places);
	places_warm(&places);
	fault = begin(&places, 1, IMPAIR_TO, &config);
	places_exchange(&places, 0, 1, GUEST_LOSS, 200, &arrived);
	lost = n - (double)arrived.count;
	printf("netem loss of 3 %%: %.0f of %.0f packets, expected %.0f +- %.0f\n", lost, n,
	       n * 0.03, bound);
	ck_assert_double_le(fabs(lost - n * 0.03), bound);
	ck_assert_uint_ge(counts_of(fault).dropped, (uint64_t)lost);
	ck_assert_uint_le(counts_of(fault).dropped, (uint64_t)lost + 20); /* ARP meets it too */
	config.loss.probability = 1;
	change(fault, &config);
	ck_assert(!places_reach(&places, 0, 1) && places_reach(&places, 0, 2));
	/* Gilbert and Elliott: bad for 4 packets of 40, all lost while bad. */
	config.loss = (__typeof__(config.loss)){
		.model = IMPAIR_LOSS_GEMODEL, .p = 1.0 / 36, .r = 0.25, .one_h = 1};
	change(fault, &config);
	places_exchange(&places, 0, 1, GUEST_LOSS, 200, &arrived);
	lost = n - (double)arrived.count;
	printf("netem gemodel: %.0f of %.0f packets lost, expected %.0f\n", lost, n,
	       n * impair_loss_share(&config));
	ck_assert_double_le(fabs(impair_loss_share(&config) - 0.1), 1e-9);
	/* Bursts make the count wider: its variance is that of single losses times
	 * (2 - p - r) / (p + r), the sum of a two-state chain's correlations. */
	ck_assert_double_le(fabs(lost - n * 0.1),
			    4.5 * sqrt(n * 0.09 * (2 - 1.0 / 36 - 0.25) / (1.0 / 36 + 0.25)));
	end(fault);
	places_warm(&places);
	places_exchange(&places, 0, 1, 1000, 200, &arrived);
	ck_assert_uint_eq(arrived.count, 1000);
	places_close(&places);
}
END_TEST

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Largest distance of the sample's distribution function from a normal one's. */
static double distance_from_normal(const double *sorted, size_t n, double mean, double deviation)
{
	double largest = 0;

	for (size_t i = 0; i < n; i++) {
		double p = 0.5 * erfc((mean - sorted[i]) / (deviation * sqrt(2)));

		largest = fmax(largest,
			       fmax(p - (double)i / (double)n, (double)(i + 1) / (double)n - p));
	}
	return largest;
}

static double median_delay(const struct places *places, size_t from, size_t to)
{
	double ms[200];

	ck_assert_uint_eq(places_delays(places, from, to, 200, ms), 200);
	qsort(ms, 200, sizeof(ms[0]), by_value);
	return ms[100];
}

/* A fixed delay; 40 ms +- 5 ms, normal, by Kolmogorov and Smirnov's test at 1 %; less after a
 * change; none after its end. What the way takes without netem is no part of it. */
START_TEST(guest_delay)
{
	struct impair_config config = {.delay = {.latency = 40 * NANOS_MS}};
	static double ms[GUEST_DELAYS];
	struct places places;
	struct net_fault *fault;
	double distance, own, fixed, changed, bound = 1.628 / sqrt(GUEST_DELAYS);

	places_open(&places);
	places_warm(&places);
	own = median_delay(&places, 0, 1);
	fault = begin(&places, 1, IMPAIR_TO, &config);
	fixed = median_delay(&places, 0, 1);
	ck_assert_double_lt(median_delay(&places, 1, 0), own + 5);
	config.delay.jitter = 5 * NANOS_MS;
	config.delay.distribution = IMPAIR_NORMAL;
	change(fault, &config);
	ck_assert_uint_eq(places_delays(&places, 0, 1, GUEST_DELAYS, ms), GUEST_DELAYS);
	qsort(ms, GUEST_DELAYS, sizeof(ms[0]), by_value);
	distance = distance_from_normal(ms, GUEST_DELAYS, 40 + own, 5);
	config.delay = (__typeof__(config.delay)){.latency = 10 * NANOS_MS};
	change(fault, &config);
	changed = median_delay(&places, 0, 1);
	printf("netem delay: %.2f ms fixed, asked 40; %.2f ms, asked 10; without %.2f ms; distance "
	       "from 40 +- 5 normal %.4f, bound %.4f\n",
	       fixed, changed, own, distance, bound);
	ck_assert_double_le(fabs(fixed - 40 - own), 0.2);
	ck_assert_double_le(distance, bound);
	ck_assert_double_le(fabs(changed - 10 - own), 0.2);
	ck_assert_uint_ge(counts_of(fault).acted, GUEST_DELAYS + 400);
	end(fault);
	ck_assert_double_lt(median_delay(&places, 0, 1), own + 2);
	places_close(&places);
}
END_TEST

/* More than netem's usual 1000 packets are under way at once, and none is lost. */
START_TEST(guest_queue)
{
	const struct impair_config config = {.delay = {.latency = 2 * NANOS_S}};
	struct places places;
	struct places_arrived arrived;
	struct net_fault *fault;

	places_open(&places);
	places_warm(&places);
	fault = begin(&places, 1, IMPAIR_TO, &config);
	places_exchange(&places, 0, 1, 5000, 3000, &arrived);
	printf("netem queue: %u of 5000 packets came through a delay of 2 s\n",
	       (unsigned)arrived.count);
	ck_assert_uint_eq(arrived.count, 5000);
	ck_assert_uint_eq(counts_of(fault).dropped, 0);
	end(fault);
	places_close(&places);
}
END_TEST

START_TEST(guest_rate)
{
	const double asked = 500000;
	struct impair_config config = {.rate = {.bytes_per_s = (uint64_t)asked}};
	struct places places;
	struct net_fault *fault;

	places_open(&places);
	places_warm(&places);
	fault = begin(&places, 1, IMPAIR_TO, &config);
	for (int part = 1; part <= 2; part++) {
		double rate = places_rate(&places, 0, 1, 2 * asked, 300, 1500);

		printf("netem rate: %.0f bytes/s of %.0f asked\n", rate, asked / part);
		ck_assert_double_le(fabs(rate - asked / part), 0.05 * asked / part);
		end(fault); /* what waits is lost with it */
		config.rate.bytes_per_s = (uint64_t)asked / 2;
		fault = begin(&places, 1, IMPAIR_TO, &config);
	}
	end(fault);
	places_close(&places);
}
END_TEST

/* Twins, damaged ones that the checksum finds, and some that overtake. */
START_TEST(guest_others)
{
	const double n = 5000, bound = 4.5 * sqrt(n * 0.1 * 0.9);
	struct impair_config config = {.duplicate = 0.1};
	struct places places;
	struct places_arrived arrived;
	struct net_fault *fault;

	places_open(&places);
	places_warm(&places);
	fault = begin(&places, 1, IMPAIR_BOTH, &config);
	places_exchange(&places, 0, 1, (uint32_t)n, 200, &arrived);
	printf("netem duplicate: %u of %.0f packets came twice, asked 10 %%\n",
	       (unsigned)arrived.twice, n);
	ck_assert_uint_eq(arrived.count, (uint64_t)n);
	ck_assert_double_le(fabs((double)arrived.twice - n * 0.1), bound);
	config = (struct impair_config){.corrupt = 0.1};
	change(fault, &config);
	places_exchange(&places, 0, 1, (uint32_t)n, 200, &arrived);
	printf("netem corrupt: %.0f of %.0f packets did not come, asked 10 %%\n",
	       n - (double)arrived.count, n);
	ck_assert_uint_eq(arrived.twice, 0);
	ck_assert_double_le(fabs(n - (double)arrived.count - n * 0.1), bound);
	config = (struct impair_config){.delay = {.latency = 30 * NANOS_MS},
					.reorder = {.probability = 0.1}};
	change(fault, &config);
	places_exchange(&places, 0, 1, (uint32_t)n, 200, &arrived);
	printf("netem reorder: %u of %.0f packets came late\n", (unsigned)arrived.late, n);
	ck_assert_uint_eq(arrived.count, (uint64_t)n);
	ck_assert_uint_gt(arrived.late, (uint64_t)n / 2);
	end(fault);
	places_warm(&places);
	places_exchange(&places, 0, 1, 1000, 200, &arrived);
	ck_assert(arrived.count == 1000 && arrived.late == 0 && arrived.twice == 0);
	places_close(&places);
}
END_TEST

/* A kernel that cannot lengthen a time-out that runs: the lease is renewed nevertheless, and over
 * without. */
START_TEST(guest_lease)
{
	struct places places;
	struct error e = {0};
	struct nft_pair pair;
	struct nft_config config = {
		.name = "test",
		.direction = IMPAIR_FROM,
		.pairs = &pair,
		.pair_count = 1,
		.share_ppm = NFT_ALL_PPM,
		.lease = 2 * NANOS_S,
	};
	struct nft *nft;

	places_open(&places);
	places_warm(&places);
	pair = (struct nft_pair){places_number(&places, 0), places_number(&places, 1), 32, 32};
	places_ok(nft_begin(places.router, &config, &places.arena, &nft, &e), &e);
	for (int i = 0; i < 5; i++) {
		ck_assert(!places_reach(&places, 0, 1));
		ck_assert(places_reach(&places, 1, 0));
		program_pause(800);
		ck_assert(!places_reach(&places, 0, 1));
		places_ok(nft_renew(nft, &e), &e);
	}
	ck_assert(!places_reach(&places, 0, 1));
	program_pause(2500);
	ck_assert(places_reach(&places, 0, 1));
	places_ok(nft_end(nft, &e), &e);
	places_ok(nft_probe(NFT_RESET, false, &e), &e);
	printf("nftables: a lease renewed and over; resets at bridges\n");
	places_close(&places);
}
END_TEST

static void enter(void)
{
	workplace_enter("guest");
}

static void add(Suite *suite, const char *name, const TTest *test)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, enter, workplace_leave);
	tcase_add_test(tcase, test);
	tcase_set_timeout(tcase, GUEST_MS / 1000.0 + 20);
	suite_add_tcase(suite, tcase);
}

static void add_guest_cases(Suite *suite)
{
	add(suite, "choice", guest_choice);
	add(suite, "loss", guest_loss);
	add(suite, "delay", guest_delay);
	add(suite, "queue", guest_queue);
	add(suite, "rate", guest_rate);
	add(suite, "others", guest_others);
	add(suite, "lease", guest_lease);
}

/* ---- in the guest: its first process ---- */

static void load_module(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "/modules/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		printf("module %s: %s\n", name, strerror(errno));
	close(fd);
}

static int be_guest(void)
{
	int rc;

	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("tmp", "/tmp", "tmpfs", 0, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++)
		load_module(modules[i]);
	setenv("DRSIM", "/init", 1);
	setenv("CK_VERBOSITY", "normal", 1);
	rc = test_main("guest", add_guest_cases);
	printf("guest ends: %d\n", rc);
	fflush(stdout);
	sync();
	reboot(RB_AUTOBOOT); /* the emulator was told not to */
	return rc;
}

/* ---- on the host: the initial file system, as the kernel's "newc" archive ---- */

struct archive {
	FILE *out;
	unsigned number;
	size_t bytes;
};

static void pad(struct archive *archive)
{
	for (; archive->bytes % 4; archive->bytes++)
		fputc(0, archive->out);
}

static void put_entry(struct archive *archive, const char *name, unsigned mode, const void *data,
		      size_t size, unsigned major, unsigned minor)
{
	int length =
		fprintf(archive->out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			++archive->number, mode, 0U, 0U, 1U, 0U, (unsigned)size, 0U, 0U, major,
			minor, (unsigned)strlen(name) + 1, 0U);

	ck_assert_int_eq(length, 110);
	fwrite(name, 1, strlen(name) + 1, archive->out);
	archive->bytes += (size_t)length + strlen(name) + 1;
	pad(archive);
	if (size)
		fwrite(data, 1, size, archive->out);
	archive->bytes += size;
	pad(archive);
}

/* The folders above it, each time: the kernel takes a second one as it is. */
static void put_folders(struct archive *archive, const char *name)
{
	char path[PATH_MAX];

	for (const char *at = strchr(name, '/'); at; at = strchr(at + 1, '/')) {
		snprintf(path, sizeof(path), "%.*s", (int)(at - name), name);
		put_entry(archive, path, S_IFDIR | 0755, NULL, 0, 0, 0);
	}
}

/* false: it cannot be read. */
static bool put_file(struct archive *archive, const char *path, const char *name)
{
	FILE *in = fopen(path, "rbe");
	struct stat status;
	void *data;
	bool whole;

	if (!in || fstat(fileno(in), &status)) {
		if (in)
			fclose(in);
		return false;
	}
	data = malloc((size_t)status.st_size);
	whole = data && fread(data, 1, (size_t)status.st_size, in) == (size_t)status.st_size;
	fclose(in);
	if (whole) {
		put_folders(archive, name);
		put_entry(archive, name, S_IFREG | 0755, data, (size_t)status.st_size, 0, 0);
	}
	free(data);
	return whole;
}

/* All that this program has loaded, at the path where it found it. */
static int put_library(struct dl_phdr_info *info, size_t size, void *self)
{
	(void)size;
	if (info->dlpi_name[0] == '/')
		ck_assert(put_file(self, info->dlpi_name, info->dlpi_name + 1));
	return 0;
}

static void put_all(struct archive *archive, const char *folder)
{
	static const char *const folders[] = {"proc", "sys", "tmp", "dev"};
	struct error e = {0};
	char from[PATH_MAX + 64], name[64];

	/* What is loaded at the first use must be among what is loaded. */
	places_ok(lazy_netlink_open(&e), &e);
	places_ok(lazy_nftables_open(&e), &e);
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		put_entry(archive, folders[i], S_IFDIR | 0755, NULL, 0, 0, 0);
	put_entry(archive, "dev/console", S_IFCHR | 0600, NULL, 0, 5, 1);
	put_entry(archive, "dev/null", S_IFCHR | 0666, NULL, 0, 1, 3);
	ck_assert(put_file(archive, "/proc/self/exe", "init"));
	dl_iterate_phdr(put_library, archive);
	for (size_t i = 0; i < sizeof(modules) / sizeof(modules[0]); i++) {
		snprintf(from, sizeof(from), "%s/%s.ko", folder, modules[i]);
		snprintf(name, sizeof(name), "modules/%s.ko", modules[i]);
		ck_assert_msg(put_file(archive, from, name), "%s: %s", from, strerror(errno));
	}
	put_entry(archive, "TRAILER!!!", 0, NULL, 0, 0, 0);
}

/* ---- on the host: the guest ---- */

static int start_guest(const char *kernel, pid_t *ret_pid)
{
	static const char line[] = "console=ttyS0 quiet panic=-1 rdinit=/init";
	int ends[2];

	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	*ret_pid = fork();
	if (*ret_pid == 0) {
		/* Its time counts its instructions: a busy host makes it longer, not later. */
		const char *const argv[] = {
			EMULATOR,     "-accel", "tcg",     "-icount",    "shift=2,sleep=off",
			"-cpu",       "qemu64", "-m",      GUEST_MEMORY, "-nographic",
			"-no-reboot", "-net",   "none",    "-kernel",    kernel,
			"-initrd",    "initrd", "-append", line,         NULL};
		int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

		dup2(nothing, STDIN_FILENO);
		dup2(ends[1], STDOUT_FILENO);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(ends[1]);
	return ends[0];
}

struct guest {
	char line[LINE_MAX_BYTES];
	size_t length;
	bool passed, ended;
};

static void take_line(struct guest *guest)
{
	guest->line[guest->length] = '\0';
	guest->length = 0;
	if (*guest->line)
		printf("guest: %s\n", guest->line);
	fflush(stdout); /* what a test that fails has written is lost else */
	if (strstr(guest->line, "100%: Checks: 7, Failures: 0, Errors: 0"))
		guest->passed = true;
	if (strcmp(guest->line, "guest ends: 0") == 0)
		guest->ended = true;
}

static void take_bytes(struct guest *guest, const char *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (bytes[i] == '\n' || guest->length == sizeof(guest->line) - 1)
			take_line(guest);
		else if (bytes[i] >= ' ')
			guest->line[guest->length++] = bytes[i];
	}
}

/* Until it has switched itself off, or for GUEST_MS. */
static void watch_guest(struct guest *guest, int fd)
{
	struct pollfd row = {.fd = fd, .events = POLLIN};
	int64_t begin = program_clock();
	char bytes[4096];

	while (program_clock() - begin < GUEST_MS * NANOS_MS) {
		ssize_t got;

		if (poll(&row, 1, 1000) == 0)
			continue;
		got = read(fd, bytes, sizeof(bytes));
		if (got <= 0)
			break;
		take_bytes(guest, bytes, (size_t)got);
	}
	take_line(guest);
	printf("guest: ran for %.1f s\n", (double)(program_clock() - begin) / (double)NANOS_S);
}

/* Where ci/deps.sh --guest has put the kernel: beside the folder of this build. */
static bool find_kernel(char kernel[PATH_MAX], char folder[PATH_MAX])
{
	const char *build = getenv("DRSIM_BUILD");

	snprintf(folder, PATH_MAX, "%s/../guest", build ? build : "build/release");
	if (!realpath(folder, kernel))
		return false;
	snprintf(folder, PATH_MAX, "%s", kernel);
	strncat(kernel, "/vmlinuz", PATH_MAX - strlen(kernel) - 1);
	return access(kernel, R_OK) == 0;
}

static bool has_emulator(void)
{
	char path[PATH_MAX];

	for (const char *at = getenv("PATH"); at && *at; at += strcspn(at, ":")) {
		at += *at == ':';
		snprintf(path, sizeof(path), "%.*s/%s", (int)strcspn(at, ":"), at, EMULATOR);
		if (access(path, X_OK) == 0)
			return true;
	}
	return false;
}

START_TEST(in_guest)
{
	char kernel[PATH_MAX], folder[PATH_MAX];
	struct guest guest = {.length = 0};
	struct archive archive = {.number = 0};
	int status = 0, fd;
	pid_t pid;

	if (!has_emulator() || !find_kernel(kernel, folder)) {
		printf("skipped: guest: no %s (ci/deps.sh --guest brings both)\n",
		       has_emulator() ? "kernel for it" : EMULATOR);
		return;
	}
	workplace_enter("guest");
	archive.out = fopen("initrd", "wbe");
	ck_assert_ptr_nonnull(archive.out);
	put_all(&archive, folder);
	ck_assert_int_eq(fclose(archive.out), 0);
	printf("guest: %s, initial file system of %.1f MB\n", kernel, (double)archive.bytes / 1e6);
	fd = start_guest(kernel, &pid);
	watch_guest(&guest, fd);
	kill(pid, SIGKILL); /* nothing when it has ended; nobody else has waited for it */
	waitpid(pid, &status, 0);
	close(fd);
	workplace_leave();
	ck_assert(guest.passed && guest.ended);
}
END_TEST

static void add_cases(Suite *suite)
{
	TCase *tcase = tcase_create("guest");

	tcase_add_test(tcase, in_guest);
	tcase_set_timeout(tcase, GUEST_MS / 1000.0 + 30);
	suite_add_tcase(suite, tcase);
}

int main(void)
{
	return getpid() == 1 ? be_guest() : test_main("guest", add_cases);
}
