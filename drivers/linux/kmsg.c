/* SPDX-License-Identifier: Apache-2.0 */
/* Xid lines in the kernel's log: composed as the driver does, written, and read back. */
#include "drivers/linux/kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/kernel_log.h"
#include "drivers/host/process.h"

#define PRIORITY 3 /* KERN_ERR, as the driver writes them */
#define FACILITY 1 /* user: what the kernel makes of what comes from outside */
#define CODE_MAX 999
#define PATIENCE NANOS_S

const char *const kmsg_format_names[KMSG_FORMATS] = {
	[KMSG_GPUD] = "gpud",
	[KMSG_NVSENTINEL] = "nvsentinel",
	[KMSG_RAW] = "raw",
};

/* The driver's words, with invented numbers: NVIDIA, "Xid Errors", and logs that users published.
 */
static const struct words {
	uint32_t code;
	const char *text;
} words[] = {
	{13, "Graphics SM Warp Exception on (GPC 0, TPC 0, SM 0): Out Of Range Address"},
	{31, "Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0 faulted @ "
	     "0x7fc1_23456000. Fault is of type FAULT_PTE ACCESS_TYPE_VIRT_READ"},
	{43, "Ch 00000008"},
	{45, "Ch 00000008"},
	{48, "An uncorrectable double bit error (DBE) has been detected on GPU in the framebuffer "
	     "at partition 6, subpartition 0."},
	{62, "PMU Halt Error: 32260b5e 000154b0 00000000 2026da96"},
	{63, "Row Remapper: New row (0x000000000001a2b0) marked for remapping, reset gpu to "
	     "activate."},
	{64, "Row Remapper: Failed to persist row remap table"},
	{74, "NVLink: fatal error detected on link 0(0x10000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0)"},
	{79, "GPU has fallen off the bus."},
	{92, "High single-bit ECC error rate"},
	{94, "Contained: CE User Channel (0x9). RST: No, D-RST: No"},
	{95, "Uncontained: LTC TAG (0x2,0x0). RST: Yes, D-RST: No"},
	{109, "Ch 00000008, errorString CTX SWITCH TIMEOUT, Info 0x5c009"},
	{119, "Timeout after 6s of waiting for RPC response from GPU0 GSP! Expected function 76 "
	      "(GSP_RM_CONTROL) (0x20801301 0x0)."},
	{120, "GSP task exception: load access page fault (0xd)"},
	{140, "An uncorrectable ECC error detected (possible firmware handling failed) DRAM:0, "
	      "LTC:1, MMU:0, PCIE:0"},
	{143, "GPU Initialization Failure"},
	{144, "SAW_MVB Fatal XC0 i0 Link 00 (0x00000001 0x00000000 0x00000000 0x00000000)"},
	{145, "RLW_CTRL Nonfatal XC0 i0 Link 00 (0x00000004 0x00000000 0x00000000 0x00000000)"},
	{146, "TLW_RX Fatal XC0 i0 Link 00 (0x00000001 0x00000000 0x00000000 0x00000000)"},
	{147, "TREX_ROUT Nonfatal XC0 i0 Link 00 (0x00000001 0x00000000 0x00000000 0x00000000)"},
	{148, "NVLPW_CTRL Fatal XC0 i0 Link 00 (0x00000001 0x00000000 0x00000000 0x00000000)"},
	{149, "NETIR_LINK_EVT Fatal XC0 i0 Link 00 (0x004505c6 0x00000000 0x00000000 0x00000000)"},
	{150, "MSE_WATCHDOG Fatal XC0 i0 Link 00 (0x00000001 0x00000000 0x00000000 0x00000000)"},
};

struct kmsg {
	struct kmsg_config config;
	const char *path;
	bool device;        /* the kernel's own; else a file that gets whole records */
	int writer, reader; /* reader -1: a FIFO, which has others to read it */
	uint32_t burst;     /* lines that `writer` has written */
	uint64_t sequence;  /* of records in a file */
	struct kernel_log_stream stream;
	const char *awaited; /* the message that is being read back */
	bool seen;
	struct kmsg_counters counters;
};

/* ---- lines ---- */

static const char *words_of(uint32_t code)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].code == code)
			return words[i].text;
	return "unknown";
}

static bool is_printable(const char *text)
{
	for (; text && *text; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

/* Domain, bus and device: hexadecimal digits with two colons. */
static bool is_pci(const char *pci)
{
	size_t colons = 0, length = strlen(pci);

	for (const char *at = pci; *at; at++)
		colons += *at == ':';
	return length < KERNEL_LOG_PCI_SIZE && colons == 2 &&
	       strspn(pci, "0123456789abcdefABCDEF:") == length && pci[0] != ':' &&
	       pci[length - 1] != ':';
}

/* NVLink 5 errors and bare lines name no process. */
static void print_process(const struct kmsg_xid *xid, char *text, size_t room)
{
	text[0] = '\0';
	if (xid->format == KMSG_RAW || (xid->code >= 144 && xid->code <= 150))
		return;
	if (xid->pid > 0)
		snprintf(text, room, "pid=%ld, name=%s, ", (long)xid->pid,
			 xid->process ? xid->process : "<unknown>");
	else
		snprintf(text, room, "pid='<unknown>', name=<unknown>, ");
}

static bool is_valid(const struct kmsg_xid *xid, const char *run)
{
	return xid->code >= 1 && xid->code <= CODE_MAX && (unsigned)xid->format < KMSG_FORMATS &&
	       is_pci(xid->pci) && is_printable(xid->process) && is_printable(xid->text) &&
	       is_printable(run) && (!xid->process || !strchr(xid->process, ','));
}

size_t kmsg_print(const struct kmsg_xid *xid, const char *run, char ret[KMSG_LINE_MAX])
{
	char process[128];
	int length;

	if (!is_valid(xid, run) || (xid->process && strlen(xid->process) > 64))
		return 0;
	print_process(xid, process, sizeof(process));
	length = snprintf(ret, KMSG_LINE_MAX, "NVRM: Xid (PCI:%s): %u, %s%s (drsim run %s)",
			  xid->pci, (unsigned)xid->code, process,
			  xid->text ? xid->text : words_of(xid->code), run);
	return length > 0 && length < KMSG_LINE_MAX ? (size_t)length : 0;
}

/* ---- the log ---- */

static int try_log(const char *path, struct error *e)
{
	int writer = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC), reader;

	if (writer < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot write %s: %s", path,
				 strerror(errno));
	close(writer);
	reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (reader < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot read %s back: %s", path,
				 strerror(errno));
	close(reader);
	return 0;
}

bool kmsg_probe(const char *path, struct arena *arena, const char **ret_why)
{
	struct error e = {0};
	char mode[32] = "";

	path = path ? path : KMSG_PATH;
	if (try_log(path, &e)) {
		*ret_why = arena_strdup(arena, e.text);
		return false;
	}
	process_read_file("/proc/sys/kernel/printk_devkmsg", mode, sizeof(mode));
	mode[strcspn(mode, "\n")] = '\0';
	*ret_why = arena_printf(arena,
				"%s can be written and read%s%s: gpu.xid, where a scenario "
				"allows it",
				path, mode[0] ? ", printk_devkmsg " : "", mode);
	return true;
}

static int open_writer(struct kmsg *kmsg, struct error *e)
{
	if (kmsg->writer >= 0)
		close(kmsg->writer);
	kmsg->writer = open(kmsg->path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
	if (kmsg->writer < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot write %s: %s", kmsg->path,
				 strerror(errno));
	kmsg->burst = 0;
	return 0;
}

static int open_reader(struct kmsg *kmsg, struct error *e)
{
	kmsg->reader = open(kmsg->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg->reader < 0 || lseek(kmsg->reader, 0, SEEK_END) < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot read %s back: %s",
				 kmsg->path, strerror(errno));
	return 0;
}

int kmsg_open(const struct kmsg_config *config, struct arena *arena, struct kmsg **ret,
	      struct error *e)
{
	struct kmsg *kmsg = arena_alloc(arena, sizeof(*kmsg));
	struct stat status;

	*kmsg = (struct kmsg){.config = *config,
			      .path = config->path ? config->path : KMSG_PATH,
			      .writer = -1,
			      .reader = -1};
	if (stat(kmsg->path, &status))
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "cannot write %s: %s", kmsg->path,
				 strerror(errno));
	kmsg->device = S_ISCHR(status.st_mode);
	/* What is the drill's own file needs nobody's word. */
	if (kmsg->device && !config->allowed)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
				 "%s is the host's own log, whose lines cannot be taken back: the "
				 "scenario does not allow it",
				 kmsg->path);
	if (open_writer(kmsg, e) || (!S_ISFIFO(status.st_mode) && open_reader(kmsg, e))) {
		kmsg_close(kmsg);
		return -1;
	}
	*ret = kmsg;
	return 0;
}

void kmsg_close(struct kmsg *kmsg)
{
	if (kmsg->writer >= 0)
		close(kmsg->writer);
	if (kmsg->reader >= 0)
		close(kmsg->reader);
	kmsg->writer = kmsg->reader = -1;
}

struct kmsg_counters kmsg_count(const struct kmsg *kmsg)
{
	return kmsg->counters;
}

/* ---- written and read back ---- */

static void on_record(void *self, const struct kernel_log_record *record)
{
	struct kmsg *kmsg = self;

	if (record->message_size == strlen(kmsg->awaited) &&
	    memcmp(record->message, kmsg->awaited, record->message_size) == 0)
		kmsg->seen = true;
}

static int read_back(struct kmsg *kmsg, const char *message, struct error *e)
{
	nanos end = process_now() + PATIENCE;
	char bytes[KERNEL_LOG_RECORD_MAX];

	kmsg->awaited = message;
	kmsg->seen = false;
	while (!kmsg->seen) {
		struct pollfd log = {.fd = kmsg->reader, .events = POLLIN};
		ssize_t got = read(kmsg->reader, bytes, sizeof(bytes));

		if (got > 0) {
			kernel_log_feed(&kmsg->stream, bytes, (size_t)got, on_record, kmsg);
			continue;
		}
		/* EPIPE: records that we did not read are gone; the next read goes on behind. */
		if (got < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (process_now() >= end)
			return error_set(e, ERROR_UNAVAILABLE, NO_PLACE,
					 "%s does not show the line that was written to it",
					 kmsg->path);
		poll(&log, 1, 10);
	}
	kmsg->counters.seen++;
	return 0;
}

static int write_line(struct kmsg *kmsg, const char *message, struct error *e)
{
	char record[KMSG_LINE_MAX + 80];
	int length;

	if (kmsg->counters.written >= KMSG_LINES_MAX)
		return error_set(e, ERROR_LIMIT, NO_PLACE, "more than %d lines of one run in %s",
				 KMSG_LINES_MAX, kmsg->path);
	if (kmsg->burst == KMSG_BURST) {
		if (open_writer(kmsg, e))
			return -1;
		kmsg->counters.reopened++;
	}
	if (kmsg->device)
		length = snprintf(record, sizeof(record), "<%d>%s\n", PRIORITY, message);
	else
		length = snprintf(record, sizeof(record), "%d,%" PRIu64 ",%" PRId64 ",-;%s\n",
				  FACILITY << 3 | PRIORITY, kmsg->sequence++,
				  process_now() / NANOS_US, message);
	if (write(kmsg->writer, record, (size_t)length) != length)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot write %s: %s", kmsg->path,
				 strerror(errno));
	kmsg->burst++;
	kmsg->counters.written++;
	return kmsg->reader >= 0 ? read_back(kmsg, message, e) : 0;
}

int kmsg_write(struct kmsg *kmsg, const struct kmsg_xid *xid, struct error *e)
{
	char line[KMSG_LINE_MAX];

	if (kmsg_print(xid, kmsg->config.run, line) == 0)
		return error_set(e, ERROR_USAGE, NO_PLACE,
				 "no Xid line can be made of code %u at PCI address '%.40s'",
				 (unsigned)xid->code, xid->pci);
	if (write_line(kmsg, line, e))
		return -1;
	if (xid->format != KMSG_NVSENTINEL || xid->code != 79)
		return 0;
	/* What its own check of fallen GPUs looks for, in one message. */
	snprintf(line, sizeof(line),
		 "NVRM: The NVIDIA GPU %s.0 installed in this system has fallen off the bus and is "
		 "not responding to commands. (drsim run %s)",
		 xid->pci, kmsg->config.run);
	return write_line(kmsg, line, e);
}
