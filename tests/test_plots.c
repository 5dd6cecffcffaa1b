/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plots of a run folder: each can be drawn again by hand from its script and data, to the same
 * bytes; no text of a scenario becomes a command; no label is cut off or covers another, whatever
 * the values; and they stay small. What was measured is printed.
 */
/* valgrind: skip */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/report.h"
#include "reports/json.h"
#include "reports/plot.h"
#include "tests/sample_record.h"
#include "tests/test.h"

#define TEXTS_MAX 512
#define WORDS_OF_COMMAND 32

static struct sample sample; /* too large for the stack */
static char folder[64];

/* ---- files ---- */

static const char *in_folder(const char *format, ...) __attribute__((format(printf, 1, 2)));

static const char *in_folder(const char *format, ...)
{
	static char paths[4][512];
	static size_t turn;
	char name[256];
	va_list list;

	va_start(list, format);
	vsnprintf(name, sizeof(name), format, list);
	va_end(list);
	turn = (turn + 1) % 4;
	snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", folder, name);
	return paths[turn];
}

static void make_folder(void)
{
	snprintf(folder, sizeof(folder), "/tmp/drsim-plots-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void empty_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char child[512];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(child, sizeof(child), "%.250s/%.250s", path, entry->d_name);
		if (unlink(child) && errno == EISDIR)
			empty_folder(child);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void drop_folder(void)
{
	empty_folder(folder);
}

/* The file's text, to free(). */
static char *slurp(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text;
	long size;

	ck_assert_msg(file, "%s: %s", path, strerror(errno));
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	text = malloc((size_t)size + 1);
	ck_assert_uint_eq(fread(text, 1, (size_t)size, file), (size_t)size);
	text[size] = '\0';
	fclose(file);
	return text;
}

static void put_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static void copy_file(const char *from, const char *to)
{
	char *text = slurp(from);

	put_file(to, text);
	free(text);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Runs a program in a folder; its exit status. */
static int run_in(const char *where, const char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int silent = open("/dev/null", O_RDWR);

		if (chdir(where) || dup2(silent, 0) < 0 || dup2(silent, 1) < 0)
			_exit(126);
		execvp(argv[0], (char *const *)argv);
		_exit(127);
	}
	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- what holds for every plot ---- */

/* A text of an SVG, with the box it stands in. */
struct text {
	struct canvas_box box;
	char words[256];
};

static double number_at(const char *at)
{
	double value = 0, part = 1;
	bool negative = *at == '-';

	for (at += negative; *at >= '0' && *at <= '9'; at++)
		value = 10 * value + (*at - '0');
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9'; at++)
			value += (part /= 10) * (*at - '0');
	return negative ? -value : value;
}

static double attribute(const char *tag, const char *name)
{
	const char *at = strstr(tag, name);

	ck_assert_ptr_nonnull(at);
	return number_at(at + strlen(name));
}

/* The text between `from` and `to` without entities. */
static void plain(char out[256], const char *from, const char *to)
{
	static const char *const entities[][2] = {
		{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}, {"&quot;", "\""}, {"&apos;", "'"}};
	size_t used = 0;

	while (from < to && used < 255) {
		size_t i = 0, count = sizeof(entities) / sizeof(entities[0]);

		while (i < count && strncmp(from, entities[i][0], strlen(entities[i][0])) != 0)
			i++;
		out[used++] = i < count ? entities[i][1][0] : *from;
		from += i < count ? strlen(entities[i][0]) : 1;
	}
	out[used] = '\0';
}

/* gnuplot writes <g transform="translate(x,y)" … font-size text-anchor> around each <text>. */
static size_t find_texts(const char *svg, struct text texts[TEXTS_MAX])
{
	static const char start[] = "<g transform=\"translate(";
	size_t count = 0;

	for (const char *at = strstr(svg, start); at; at = strstr(at + 1, start)) {
		const char *open = strstr(at, "<text>"), *close = strstr(at, "</text>");
		double x = number_at(at + sizeof(start) - 1), y = number_at(strchr(at, ',') + 1),
		       size = attribute(at, "font-size=\"");
		struct text *text = &texts[count];
		enum canvas_align align = ALIGN_LEFT;

		ck_assert(open && close && count < TEXTS_MAX);
		ck_assert_msg(!strstr(at, "rotate(") || strstr(at, "rotate(") > open,
			      "a turned text");
		if (strncmp(strstr(at, "text-anchor=\"") + 13, "middle", 6) == 0)
			align = ALIGN_CENTRE;
		if (strncmp(strstr(at, "text-anchor=\"") + 13, "end", 3) == 0)
			align = ALIGN_RIGHT;
		plain(text->words, open + strlen("<text>"), close);
		if (strspn(text->words, " ") == strlen(text->words))
			continue;
		/* The y is of the base line. */
		text->box = canvas_text_box(x, y - 0.35 * size, align, size, text->words);
		text->box.left += 4;
		text->box.right -= 4;
		text->box.top = y - 0.75 * size;
		text->box.bottom = y + 0.2 * size;
		count++;
	}
	return count;
}

static void expect_room(const char *name, const char *svg)
{
	static struct text texts[TEXTS_MAX];
	const char *view = strstr(svg, "viewBox=\"0 0 ");
	size_t count = find_texts(svg, texts);
	double width, height;

	ck_assert_ptr_nonnull(view);
	width = number_at(view + 13);
	height = number_at(strchr(view + 13, ' ') + 1);
	ck_assert_uint_gt(count, 0);
	for (size_t i = 0; i < count; i++) {
		const struct canvas_box *a = &texts[i].box;

		ck_assert_msg(a->left >= 0 && a->right <= width && a->top >= 0 &&
				      a->bottom <= height,
			      "%s: '%s' leaves the picture: %g … %g, %g … %g", name, texts[i].words,
			      a->left, a->right, a->top, a->bottom);
		for (size_t k = 0; k < i; k++) {
			const struct canvas_box *b = &texts[k].box;

			ck_assert_msg(a->left >= b->right || b->left >= a->right ||
					      a->top >= b->bottom || b->top >= a->bottom,
				      "%s: '%s' and '%s' cover one another", name, texts[i].words,
				      texts[k].words);
		}
	}
}

/* Every colour is of the palette, or of those that the page turns. */
static void expect_colours(const char *name, const char *svg)
{
	static const char *const palette[] = {"0,114,178",   "86,180,233",  "0,158,115",
					      "230,159,0",   "213,94,0",    "204,121,167",
					      "138,143,152", "28,32,37",    "165,49,0",
					      "82,89,99",    "215,219,225", "141,148,158"};

	for (const char *at = strstr(svg, "rgb("); at; at = strstr(at + 1, "rgb(")) {
		char colour[32];
		size_t used = 0, i = 0, count = sizeof(palette) / sizeof(palette[0]);

		for (const char *c = at + 4; *c != ')' && used < sizeof(colour) - 1; c++)
			if (*c != ' ')
				colour[used++] = *c;
		colour[used] = '\0';
		while (i < count && strcmp(palette[i], colour) != 0)
			i++;
		ck_assert_msg(i < count, "%s: rgb(%s) is not of the palette", name, colour);
	}
}

/* Nothing tells where and by whom it was made. */
static void expect_anonymous(const char *name, const char *text)
{
	ck_assert_msg(!strstr(text, "/tmp"), "%s names a temporary folder", name);
	ck_assert_msg(!strstr(text, folder + 5), "%s names the folder", name);
	ck_assert_msg(!strstr(text, "/home/") && !strstr(text, "/root"), "%s names a home", name);
}

/* As the header says: the script and its data in a folder of their own. */
static void expect_remade(const char *plots, const char *name)
{
	char gp[64], from[600], *first, *second;
	const char *const argv[] = {"gnuplot", gp, NULL};

	snprintf(gp, sizeof(gp), "%s.gp", name);
	empty_folder(in_folder("again"));
	ck_assert_int_eq(mkdir(in_folder("again"), 0777), 0);
	snprintf(from, sizeof(from), "%s/%s.gp", plots, name);
	copy_file(from, in_folder("again/%s.gp", name));
	snprintf(from, sizeof(from), "%s/%s.tsv", plots, name);
	copy_file(from, in_folder("again/%s.tsv", name));
	ck_assert_int_eq(run_in(in_folder("again"), argv), 0);
	snprintf(from, sizeof(from), "%s/%s.svg", plots, name);
	first = slurp(from);
	second = slurp(in_folder("again/%s.svg", name));
	ck_assert_msg(strcmp(first, second) == 0, "%s.svg differs when it is made again", name);
	free(first);
	free(second);
}

/* All that holds for the plots of a folder; how many there are. */
static size_t expect_plots(const char *where, size_t *ret_size)
{
	static const char *const kinds[] = {"gp", "tsv", "svg"};
	size_t count = 0, size = 0;
	char path[600], plots[512];

	snprintf(plots, sizeof(plots), "%s", where);
	for (size_t i = 0; plot_table[i]; i++) {
		const char *name = plot_table[i]->name;

		snprintf(path, sizeof(path), "%s/%s.gp", plots, name);
		if (!exists(path))
			continue;
		count++;
		for (size_t k = 0; k < 3; k++) {
			char *text;

			snprintf(path, sizeof(path), "%s/%s.%s", plots, name, kinds[k]);
			text = slurp(path);
			expect_anonymous(path, text);
			if (k == 2) {
				size += strlen(text);
				ck_assert_msg(strstr(text, "</svg>") != NULL, "%s ends early",
					      path);
				expect_room(name, text);
				expect_colours(name, text);
			}
			free(text);
		}
		expect_remade(plots, name);
	}
	if (ret_size)
		*ret_size = size;
	return count;
}

/* ---- drills from end to end ---- */

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* style: allow */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static const struct {
	const char *scenario, *more[5];
	int plots; /* at least */
} drills[] = {
	{"gpu_loss", {NULL}, 3},
	{"gpu_loss", {"--trials", "2000", NULL}, 4},
	{"region_outage", {NULL}, 3},
	{"rack_power_loss", {NULL}, 3},
	{"stale_backup", {NULL}, 2},
	{"backup_too_old", {NULL}, 2},
	{"cold_standby_too_slow", {NULL}, 3},
	{"ecommerce_peak", {NULL}, 3},
	{"flapping_network", {NULL}, 3},
	{"split_brain", {NULL}, 2},
	{"ransomware_restore", {NULL}, 2},
	{"seed_monitor", {"--sham", NULL}, 1},
	{"seed_monitor", {"--trials", "20", NULL}, 2},
	{"training_gpu_loss", {NULL}, 2},
	{"training_run_54_days", {NULL}, 3},
	{"long_run", {NULL}, 2},
	{"case_study", {"--trials", "100", NULL}, 2},
};

static void run_drill(const char *scenario, const char *const *more, const char *plots)
{
	char path[256], out[512], root[256];
	const char *argv[WORDS_OF_COMMAND] = {getenv("DRSIM"), "run",   path,
					      "--quiet",       "--out", out};
	size_t count = 6;
	int code;

	ck_assert_ptr_nonnull(argv[0]);
	ck_assert_ptr_nonnull(getcwd(root, sizeof(root)));
	snprintf(path, sizeof(path), "scenarios/%s.yaml", scenario);
	snprintf(out, sizeof(out), "%s/run", folder);
	if (plots)
		argv[count++] = plots;
	for (; *more; more++)
		argv[count++] = *more;
	code = run_in(root, argv);
	ck_assert_msg(code <= 1 || code == 5, "%s: exit %d", scenario, code);
}

START_TEST(every_plot_is_made_again_by_hand)
{
	size_t size = 0, count;

	if (!plot_available()) {
		printf("skipped: there is no gnuplot\n");
		return;
	}
	run_drill(drills[_i].scenario, drills[_i].more, NULL);
	count = expect_plots(in_folder("run/plots"), &size);
	printf("%s: %zu plots, %zu bytes\n", drills[_i].scenario, count, size);
	ck_assert_int_ge((int)count, drills[_i].plots);
	ck_assert_uint_lt(size, 3u << 20);
}
END_TEST

/* How long the reports of the run folder take. */
static double time_report(bool plots)
{
	char out[512], run[512];
	const char *argv[] = {getenv("DRSIM"), "report", run, "--out", out, "--no-plots", NULL};
	char root[256];
	double begin;

	snprintf(run, sizeof(run), "%s/run", folder);
	snprintf(out, sizeof(out), "%s/%s", folder, plots ? "drawn" : "bare");
	if (plots)
		argv[5] = NULL;
	ck_assert_ptr_nonnull(getcwd(root, sizeof(root)));
	begin = seconds();
	ck_assert_int_eq(run_in(root, argv), 0);
	return seconds() - begin;
}

START_TEST(large_runs_are_drawn_quickly)
{
	static const struct {
		const char *scenario, *more[3];
	} large[] = {
		{"training_run_54_days", {NULL}},
		{"long_run", {NULL}},
		{"case_study", {"--trials", "20000", NULL}},
	};
	double bare, drawn;
	size_t size;

	if (!plot_available())
		return;
	run_drill(large[_i].scenario, large[_i].more, "--no-plots");
	bare = time_report(false);
	drawn = time_report(true);
	expect_plots(in_folder("drawn/plots"), &size);
	printf("%s: %zu bytes of pictures, drawn in %.2f s (the report without them %.2f s)\n",
	       large[_i].scenario, size, drawn - bare, bare);
	ck_assert_uint_lt(size, 3u << 20);
	/* 1.5 s is what it may take on a machine of its own; here others run beside it. */
	ck_assert_double_lt(drawn - bare, 6);
}
END_TEST

/* ---- records made by hand ---- */

static const char *hostile; /* stands for every text of a scenario, NULL: the sample's */

static const char *name_or(const char *name)
{
	return hostile ? hostile : name;
}

/* A backup that begins at `begin`; `end` NANOS_NEVER: it runs at the end. */
static void put_backup(struct timeline *t, int id, nanos begin, nanos end)
{
	const char *classes[] = {name_or("model"), name_or("io")};

	timeline_begin(t, begin, "backup.begin");
	timeline_int(t, "backup", id);
	timeline_int(t, "policy", id % 2);
	timeline_texts(t, "classes", classes, 2);
	timeline_text(t, "kind", "full");
	timeline_text(t, "site", "backup");
	timeline_end(t);
	if (end == NANOS_NEVER)
		return;
	timeline_begin(t, end, "backup.end");
	timeline_int(t, "backup", id);
	timeline_bool(t, "ok", id != 1);
	timeline_bool(t, "restorable", id != 1);
	timeline_nanos(t, "as_of_ns", begin);
	timeline_int(t, "bytes", 1000);
	timeline_null(t, "reason");
	timeline_end(t);
}

static void put_job(struct timeline *t, nanos now, nanos progress, const char *state)
{
	char name[512];

	snprintf(name, sizeof(name), "job/%s", name_or("pretrain"));
	timeline_begin(t, now, "job.state");
	timeline_text(t, "job", name);
	timeline_text(t, "state", state);
	timeline_text(t, "why", "because");
	timeline_int(t, "step", 0);
	timeline_nanos(t, "progress_ns", progress);
	timeline_int(t, "nodes", 4);
	timeline_end(t);
}

/* Few events, at the marks of the incident, whatever those are. */
static void put_events(void)
{
	const struct incident *incident = &sample.incident;
	nanos fault = incident->marks[MARK_FAULT], restored = incident->marks[MARK_RESTORED];
	struct timeline timeline, *t = &timeline;
	struct error e = {0};
	char name[600];

	ck_assert_int_eq(timeline_open(t, in_folder("events.jsonl"), &e), 0);
	timeline_begin(t, 0, "run.start");
	timeline_text(t, "name", name_or("gpu_loss"));
	timeline_end(t);
	for (int i = 0; i < 6; i++) {
		snprintf(name, sizeof(name), "%.500s-%d", name_or("chat"), i);
		sample_level(t, name, 0, 1, 0.25, 200, 0);
	}
	put_job(t, 0, 0, "Running");
	put_backup(t, 0, 0, incident->marks[MARK_BP]);
	put_backup(t, 1, incident->marks[MARK_BP], fault);
	put_job(t, fault, fault, "Failed");
	timeline_begin(t, fault, "fault.inject");
	timeline_int(t, "step", 0);
	timeline_int(t, "injection", 0);
	timeline_text(t, "fault", sample.fault.name);
	timeline_end(t);
	snprintf(name, sizeof(name), "%.500s-%d", name_or("chat"), 3);
	sample_level(t, name, fault, 0, 30, 0, 0);
	if (restored != NANOS_NEVER) {
		sample_level(t, name, restored, 1, 0.26, 200, 0);
		put_job(t, restored, fault / 2, "Running");
	}
	put_backup(t, 2, restored == NANOS_NEVER ? fault : restored, NANOS_NEVER);
	timeline_begin(t, sample.record.duration, "run.end");
	timeline_text(t, "reason", "complete");
	timeline_end(t);
	ck_assert_int_eq(timeline_close(t, &e), 0);
}

/* The sample of a failover with every text hostile, a job, and two more incidents. */
static void make_record(void)
{
	static struct incident incidents[3];
	static struct job_record job;
	struct record *record = &sample.record;

	if (hostile) {
		sample.scenario.name = sample.fault.name = sample.fault.target = hostile;
		sample.incident.fault = sample.incident.target = sample.incident.place =
			sample.incident.action = sample.incident.diagnosis = hostile;
		record->findings[0].text = record->abort_reason = hostile;
	}
	job = (struct job_record){.name = name_or("pretrain"),
				  .wall_s = (double)record->duration / 1e9,
				  .work_s = (double)record->duration / 1.2e9,
				  .ettr = 1 / 1.2,
				  .goodput = 1 / 1.2};
	record->jobs = &job;
	record->job_count = 1;
	incidents[0] = incidents[1] = incidents[2] = sample.incident;
	incidents[1].path = PATH_ABSORBED;
	incidents[1].marks[MARK_RESTORED] = incidents[1].marks[MARK_FAULT];
	incidents[1].frt = 0;
	record->incidents = incidents;
	record->incident_count = 3;
}

static void report(bool plots, bool png)
{
	struct report_input input = {.out_dir = folder, .plots = plots, .png = png};
	struct error e = {0};

	ck_assert_msg(report_load(folder, &input, &e) == 0, "%s", e.text);
	ck_assert_msg(report_write_all(&input, &e) == 0, "%s", e.text);
	report_free(&input);
}

static void write_all(bool png)
{
	struct error e = {0};

	make_record();
	ck_assert_msg(report_write_record(&sample.record, in_folder("record.json"), &e) == 0, "%s",
		      e.text);
	put_events();
	report(true, png);
}

static const char *const hostiles[] = {
	"`touch pwned`",
	"a'; !touch pwned; print 'b",
	"x\nsystem(\"touch pwned\")\nset output '|touch pwned'",
	"\"`touch pwned`\" . @GPVAL_PWD . system(\"touch pwned\")",
	"@GPVAL_PWD @GPVAL_USER_HOME $ecdf1 \\",
	"''`touch pwned`''' \\' \\\" {/Bold x} ^2 _3 %s %n %d",
	"</text></svg><script>alert(1)</script>&amp;\x01\xff\xef\xbf\xbe",
	"\t\r\n\n\n# index 0\n1 2 3 4",
	"'",
	"a_very_long_name_that_goes_on_and_on_"
	"MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM"
	"WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
	"\xe4\xb8\xbb\xe7\xab\x99\xe4\xb8\xbb\xe7\xab\x99\xe4\xb8\xbb\xe7\xab\x99\xe4\xb8\xbb\xe7"
	"\xab"
	"\x99\xe4\xb8\xbb\xe7\xab\x99\xe4\xb8\xbb\xe7\xab\x99\xe4\xb8\xbb\xe7\xab\x99\xe4\xb8\xbb",
};

/* What gnuplot reads as commands: without comments and single-quoted strings, whose only escape is
 * the doubled quote. */
static void expect_quoted(const char *name, const char *script)
{
	static const char *const never[] = {"pwned", "`",       "system", "@",   "\"",
					    "\\",    "script>", "GPVAL",  "MMMM"};
	char *code = malloc(strlen(script) + 1);
	bool quoted = false, comment = false;
	size_t used = 0;

	for (const char *c = script; *c; c++) {
		ck_assert_msg(!quoted || (unsigned char)*c >= 0x20, "%s: a text over two lines",
			      name);
		if (*c == '\n')
			comment = false;
		else if (*c == '#' && !quoted)
			comment = true;
		else if (*c == '\'' && !comment)
			quoted = !quoted;
		if (!quoted && !comment && *c != '\'')
			code[used++] = *c;
	}
	code[used] = '\0';
	ck_assert(!quoted);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		ck_assert_msg(!strstr(code, never[i]), "%s: %s is a command", name, never[i]);
	free(code);
}

START_TEST(a_text_never_becomes_a_command)
{
	char *text;

	hostile = hostiles[_i];
	sample_failover(&sample);
	write_all(false);
	for (size_t i = 0; plot_table[i]; i++) {
		const char *path = in_folder("plots/%s.gp", plot_table[i]->name);

		if (plot_table[i] == &plot_ecdf)
			continue;
		text = slurp(path);
		expect_quoted(path, text);
		free(text);
	}
	ck_assert(!exists("pwned"));
	ck_assert(!exists(in_folder("pwned")));
	ck_assert(!exists(in_folder("plots/pwned")));
	if (!plot_available())
		return;
	ck_assert_uint_eq(expect_plots(in_folder("plots"), NULL), 5);
	ck_assert(!exists(in_folder("again/pwned")));
	text = slurp(in_folder("plots/incident.svg"));
	ck_assert_ptr_null(strstr(text, "<script"));
	free(text);
}
END_TEST

/* Times from nothing to a human life. */
static const double spans[] = {0, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 1, 40, 1e3, 1e5, 1e6};

static void scale_sample(double factor)
{
	struct incident *incident = &sample.incident;
	nanos *times[] = {&incident->detection,     &incident->decision,  &incident->switching,
			  &incident->data_recovery, &incident->readiness, &incident->overlap,
			  &incident->brt,           &incident->frt,       &sample.record.duration};

	for (size_t i = 0; i < MARKS; i++)
		if (incident->marks[i] != NANOS_NEVER)
			incident->marks[i] = (nanos)((double)incident->marks[i] * factor);
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (*times[i] != NANOS_NEVER)
			*times[i] = (nanos)((double)*times[i] * factor);
}

/* The recovery that never came. */
static void leave_unrecovered(void)
{
	struct incident *incident = &sample.incident;

	incident->path = PATH_UNRECOVERED;
	incident->marks[MARK_DATA_RESTORED] = incident->marks[MARK_RESTORED] =
		incident->marks[MARK_VERIFIED] = incident->marks[MARK_REPAIRED] =
			incident->marks[MARK_FAILBACK] = incident->marks[MARK_NORMAL] = NANOS_NEVER;
	incident->decision = incident->brt = incident->readiness = incident->data_recovery =
		incident->overlap = incident->frt = NANOS_NEVER;
}

START_TEST(any_span_of_time_is_drawn)
{
	size_t count = sizeof(spans) / sizeof(spans[0]), i = (size_t)_i;

	hostile = NULL;
	sample_failover(&sample);
	if (i >= count)
		leave_unrecovered();
	scale_sample(spans[i % count]);
	write_all(false);
	if (plot_available())
		ck_assert_uint_ge(expect_plots(in_folder("plots"), NULL), 3);
}
END_TEST

/* Distributions: of nothing, of one value, with a tail, of no trial that recovered. */
START_TEST(any_distribution_is_drawn)
{
	struct campaign *campaign = &sample.campaign;
	double *values = sample.values[MEASURE_FRT];

	hostile = NULL;
	sample_campaign(&sample);
	for (size_t i = 0; i < 993; i++)
		values[i] = _i == 0   ? 0
			    : _i == 1 ? 86400.5
			    : _i == 2 ? 1e-5 * (double)(i + 1)
				      : values[i];
	if (_i == 3)
		values[992] = 1e7;
	if (_i == 4)
		campaign->measures[MEASURE_FRT].n = campaign->measures[MEASURE_BRT].n = 0;
	if (_i == 5)
		for (size_t m = 0; m < MEASURES; m++)
			campaign->measures[m].n = campaign->measures[m].n > 3 ? 3 : 0;
	if (_i >= 4)
		campaign->measures[MEASURE_FRT].censored = SAMPLE_TRIALS;
	if (_i == 6)
		sample.record.objectives[0].limit = 1e9;
	if (_i == 7)
		sample.record.objectives[0].limit = 1e-3;
	write_all(_i == 3);
	if (!plot_available())
		return;
	ck_assert_uint_ge(expect_plots(in_folder("plots"), NULL), 4);
	ck_assert_int_eq(exists(in_folder("plots/ecdf.png")), _i == 3);
}
END_TEST

/* The interval of the quantile is that of the record, and of order statistics. */
START_TEST(the_quantile_has_its_interval)
{
	char *text;

	hostile = NULL;
	sample_campaign(&sample);
	write_all(false);
	text = slurp(in_folder("plots/ecdf.tsv"));
	ck_assert_ptr_nonnull(strstr(text, "# frt_s [min]\tshare of trials\tlower end"));
	ck_assert_ptr_nonnull(strstr(text, "# p99 [min]\tquantile\tlow [min]\thigh [min]\n"));
	ck_assert_ptr_nonnull(strstr(text, "# p95 [min]\tquantile\tlow [min]\thigh [min]\n"));
	free(text);
	text = slurp(in_folder("plots/ecdf.gp"));
	ck_assert_ptr_nonnull(strstr(text, "or more'")); /* FRT: p99 has no upper bound */
	ck_assert_ptr_nonnull(strstr(text, "objective: p95 at most 2 min 20 s"));
	free(text);
}
END_TEST

/* The fault left no trace: there is no incident to draw, and the rest is drawn all the same. */
START_TEST(a_drill_without_incident_is_drawn)
{
	struct error e = {0};

	hostile = NULL;
	sample_invalid(&sample);
	ck_assert_int_eq(report_write_record(&sample.record, in_folder("record.json"), &e), 0);
	ck_assert_int_eq(sample_events(&sample, in_folder("events.jsonl"), &e), 0);
	report(true, false);
	ck_assert(!exists(in_folder("plots/incident.gp")));
	ck_assert(!exists(in_folder("plots/incidents.gp")));
	ck_assert(exists(in_folder("plots/service.gp")));
	ck_assert(exists(in_folder("plots/backups.gp")));
	if (plot_available())
		ck_assert_uint_eq(expect_plots(in_folder("plots"), NULL), 2);
}
END_TEST

/* Without gnuplot there are no pictures, and yet all that draws them. */
START_TEST(without_gnuplot_script_and_data_are_there)
{
	char *path = strdup(getenv("PATH") ? getenv("PATH") : "");

	hostile = NULL;
	sample_failover(&sample);
	setenv("PATH", "/nowhere", 1);
	write_all(true);
	setenv("PATH", path, 1);
	free(path);
	for (size_t i = 0; plot_table[i]; i++) {
		const char *name = plot_table[i]->name;

		if (plot_table[i] == &plot_ecdf)
			continue;
		ck_assert(exists(in_folder("plots/%s.gp", name)));
		ck_assert(exists(in_folder("plots/%s.tsv", name)));
		ck_assert(!exists(in_folder("plots/%s.svg", name)));
		ck_assert(!exists(in_folder("plots/%s.png", name)));
	}
}
END_TEST

/* One gnuplot that fails costs one picture. */
START_TEST(a_half_broken_gnuplot_costs_one_picture)
{
	char *path = strdup(getenv("PATH") ? getenv("PATH") : ""), fake[1024], script[2048];
	const char *real = NULL;

	if (!plot_available())
		return;
	for (const char *at = path; *at && !real;
	     at += strcspn(at, ":") + (strchr(at, ':') != NULL)) {
		snprintf(fake, sizeof(fake), "%.*s/gnuplot", (int)strcspn(at, ":"), at);
		if (exists(fake))
			real = fake;
	}
	ck_assert_ptr_nonnull(real);
	/* It says half of a picture of the backups, then fails. */
	snprintf(script, sizeof(script),
		 "#!/bin/sh\ntext=$(cat)\ncase $text in *backups.tsv*) echo '<svg'; exit 1;; esac\n"
		 "printf '%%s\\n' \"$text\" | %s -d -\n",
		 real);
	ck_assert_int_eq(mkdir(in_folder("bin"), 0777), 0);
	put_file(in_folder("bin/gnuplot"), script);
	ck_assert_int_eq(chmod(in_folder("bin/gnuplot"), 0755), 0);
	snprintf(script, sizeof(script), "%s/bin:%s", folder, path);
	setenv("PATH", script, 1);
	hostile = NULL;
	sample_failover(&sample);
	write_all(false);
	setenv("PATH", path, 1);
	free(path);
	ck_assert(exists(in_folder("plots/incident.svg")));
	ck_assert(exists(in_folder("plots/service.svg")));
	ck_assert(exists(in_folder("plots/backups.gp")));
	ck_assert(!exists(in_folder("plots/backups.svg")));
}
END_TEST

/* The page turns what is written and drawn in these colours: they are there as the style says. */
START_TEST(the_style_fits_the_pictures)
{
	static const char *const written[] = {"fill=\"rgb(28,32,37)\"", "fill=\"rgb(82,89,99)\"",
					      "'rgb(215, 219, 225)'", "'rgb(141, 148, 158)'",
					      "'rgb( 28,  32,  37)'"};
	char *text;

	if (!plot_available())
		return;
	hostile = NULL;
	sample_failover(&sample);
	write_all(false);
	text = slurp(in_folder("plots/incident.svg"));
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		char value[32];
		const char *at = strchr(written[i], 'r');

		snprintf(value, sizeof(value), "'%.*s'", (int)strcspn(at, "'\""), at);
		ck_assert_msg(strstr(text, written[i]), "no %s", written[i]);
		ck_assert_msg(strstr(plot_style, value), "the style lacks %s", value);
	}
	/* Nothing is behind the picture but the page. */
	ck_assert_ptr_null(strstr(text, "fill=\"#ffffff\""));
	free(text);
}
END_TEST

static void add(Suite *suite, const char *name, const TTest *test, int count)
{
	TCase *tcase = tcase_create(name);

	tcase_add_checked_fixture(tcase, make_folder, drop_folder);
	tcase_add_loop_test(tcase, test, 0, count);
	suite_add_tcase(suite, tcase);
}

static void add_cases(Suite *suite)
{
	int count = (int)(sizeof(spans) / sizeof(spans[0]));

	add(suite, "remade", every_plot_is_made_again_by_hand,
	    (int)(sizeof(drills) / sizeof(drills[0])));
	add(suite, "large", large_runs_are_drawn_quickly, 3);
	add(suite, "hostile", a_text_never_becomes_a_command,
	    (int)(sizeof(hostiles) / sizeof(hostiles[0])));
	add(suite, "spans", any_span_of_time_is_drawn, 2 * count);
	add(suite, "distributions", any_distribution_is_drawn, 8);
	add(suite, "interval", the_quantile_has_its_interval, 1);
	add(suite, "no incident", a_drill_without_incident_is_drawn, 1);
	add(suite, "without", without_gnuplot_script_and_data_are_there, 1);
	add(suite, "half broken", a_half_broken_gnuplot_costs_one_picture, 1);
	add(suite, "style", the_style_fits_the_pictures, 1);
}

TEST_MAIN("plots", add_cases)
