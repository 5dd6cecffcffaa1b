/* SPDX-License-Identifier: Apache-2.0 */
/* Writes each plot's script and data, and has gnuplot draw them all at once, without a shell: the
 * script comes from memory, the picture goes through a pipe, a timer ends it. */
#include "reports/plot.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports/file.h"
#include "reports/table.h"

#define PICTURES_MAX 16 /* drawn at one time: every plot as SVG and as PNG */

const struct plot *const plot_table[] = {
	&plot_incident, &plot_incidents, &plot_service, &plot_backups,
	&plot_jobs,     &plot_ecdf,      NULL};

/* Where gnuplot is, as an absolute path; false when there is none on PATH. */
static bool find_gnuplot(char found[REPORT_PATH_MAX])
{
	const char *at = getenv("PATH");
	char path[REPORT_PATH_MAX];

	while (at && *at) {
		int length = (int)strcspn(at, ":");
		int used = snprintf(path, sizeof(path), "%.*s/gnuplot", length, at);

		if (length > 0 && used < (int)sizeof(path) && access(path, X_OK) == 0 &&
		    realpath(path, found))
			return true;
		at += length + (at[length] == ':');
	}
	return false;
}

bool plot_available(void)
{
	char path[REPORT_PATH_MAX];

	return find_gnuplot(path);
}

/* ---- the script ---- */

static void put_terminal(FILE *script, const char *name, int height, bool png)
{
	/* Twice as many pixels, for a picture that is pasted somewhere and enlarged. */
	if (png)
		fprintf(script,
			"set terminal pngcairo noenhanced size %d,%d font 'Sans,13' fontscale 1.5 "
			"linewidth 2 pointscale 2 background rgb '#ffffff'\n",
			2 * CANVAS_WIDTH, 2 * height);
	else
		fprintf(script,
			"set terminal svg noenhanced size %d,%d dynamic name '%s' font "
			"'Helvetica,13'\n",
			CANVAS_WIDTH, height, name);
}

static void put_settings(FILE *script)
{
	fputs("set encoding utf8\nset decimalsign '.'\nset datafile separator tab\nunset key\n"
	      "set border 1 lw 1 lc rgb '" PLOT_RULE "'\n"
	      "set tics nomirror out scale 0.5 font ',11' textcolor rgb '" PLOT_SOFT "'\n"
	      "set grid noxtics ytics lt 1 lw 1 lc rgb '" PLOT_LINE "'\n",
	      script);
}

/* NAME.gp as it stands in the folder: what gnuplot gets, and what a person needs besides. */
static void put_script(FILE *script, const struct plot *plot, int height, const char *commands)
{
	fprintf(script,
		"# %s\n"
		"# gnuplot 5.2 or newer draws %s.svg from this file and %s.tsv beside it:\n"
		"#     cd plots && gnuplot %s.gp\n"
		"# A PNG instead: these two lines in the place of the two below them.\n"
		"# set output '%s.png'\n# ",
		plot->title, plot->name, plot->name, plot->name, plot->name);
	put_terminal(script, plot->name, height, true);
	fprintf(script, "set output '%s.svg'\n", plot->name);
	put_terminal(script, plot->name, height, false);
	put_settings(script);
	fputs(commands, script);
}

/* ---- running gnuplot ---- */

/* One picture on its way. */
struct picture {
	const struct plot *plot;
	bool png;
	pid_t child;
	int fd;      /* that it comes from; -1 when it is complete or given up */
	char *bytes; /* to free() */
	size_t size, capacity;
	bool whole;
};

/* In the child: only calls that are safe after a fork. Never returns. */
static void become_gnuplot(const char *path, int folder, int script, int output)
{
	char name[] = "gnuplot", plain[] = "-d", input[] = "-";
	char *const arguments[] = {name, plain, input, NULL};
	sigset_t none;
	int silent = open("/dev/null", O_WRONLY | O_CLOEXEC);

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGALRM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	/* The data is found where it is for a person, too. */
	if (fchdir(folder) || dup2(script, 0) < 0 || dup2(output, 1) < 0 ||
	    (silent >= 0 && dup2(silent, 2) < 0))
		_exit(126);
	alarm(PLOT_TIMEOUT_S); /* outlives exec: a gnuplot that hangs is ended by it */
	execv(path, arguments);
	_exit(127);
}

/* The script in memory, at its begin; -1 when it cannot be had. */
static int make_script(const struct plot *plot, int height, const char *commands, bool png)
{
	int memory = memfd_create("plot", MFD_CLOEXEC), copy = memory < 0 ? -1 : dup(memory);
	FILE *script = copy < 0 ? NULL : fdopen(copy, "w");
	bool whole = false;

	if (script) {
		put_terminal(script, plot->name, height, png);
		put_settings(script);
		fputs(commands, script);
		whole = !ferror(script);
		whole = fclose(script) == 0 && whole;
	} else if (copy >= 0) {
		close(copy);
	}
	if (memory >= 0 && (!whole || lseek(memory, 0, SEEK_SET))) {
		close(memory);
		memory = -1;
	}
	return memory;
}

/* Without a picture there is no file, and the page says so. */
static void start(struct picture *picture, const char *path, int folder, int height,
		  const char *commands)
{
	int script = make_script(picture->plot, height, commands, picture->png), ends[2];

	picture->fd = -1;
	picture->child = -1;
	if (script < 0)
		return;
	if (pipe2(ends, O_CLOEXEC) == 0) {
		picture->child = fork();
		if (picture->child == 0)
			become_gnuplot(path, folder, script, ends[1]);
		if (picture->child > 0)
			setpgid(picture->child,
				picture->child); /* here and there, whoever is first */
		close(ends[1]);
		picture->fd = ends[0];
	}
	close(script);
}

static void stop_reading(struct picture *picture, bool whole)
{
	picture->whole = whole;
	close(picture->fd);
	picture->fd = -1;
}

/* What there is to read now. */
static void read_some(struct picture *picture)
{
	size_t capacity = picture->capacity > 0 ? 2 * picture->capacity : (size_t)1 << 16;
	char *more;
	ssize_t got;

	if (picture->size + 1 >= picture->capacity) {
		more = capacity <= PLOT_SIZE_MAX ? realloc(picture->bytes, capacity) : NULL;
		if (!more) { /* it talks without end */
			stop_reading(picture, false);
			return;
		}
		picture->bytes = more;
		picture->capacity = capacity;
	}
	got = read(picture->fd, picture->bytes + picture->size,
		   picture->capacity - picture->size - 1);
	if (got < 0 && errno == EINTR)
		return;
	if (got > 0)
		picture->size += (size_t)got;
	picture->bytes[picture->size] = '\0';
	if (got <= 0)
		stop_reading(picture, got == 0);
}

/* Until all are complete, or all that are left are silent for too long. */
static void gather(struct picture *pictures, size_t count)
{
	struct pollfd wanted[PICTURES_MAX];

	for (;;) {
		nfds_t left = 0;
		int rc;

		for (size_t i = 0; i < count; i++) {
			wanted[i] = (struct pollfd){.fd = pictures[i].fd, .events = POLLIN};
			left += pictures[i].fd >= 0;
		}
		if (left == 0)
			return;
		rc = poll(wanted, count, PLOT_TIMEOUT_S * 1000);
		if (rc < 0 && errno == EINTR)
			continue;
		for (size_t i = 0; i < count; i++) {
			if (rc <= 0 && pictures[i].fd >= 0)
				stop_reading(&pictures[i], false);
			else if (wanted[i].revents)
				read_some(&pictures[i]);
		}
	}
}

/* Ends the process; whether it left a picture. */
static bool finish(struct picture *picture)
{
	int status = -1;

	if (picture->child <= 0)
		return false;
	/* gnuplot hangs or talks without end, and with it whatever it started. */
	if (!picture->whole)
		kill(-picture->child, SIGKILL);
	while (waitpid(picture->child, &status, 0) < 0 && errno == EINTR)
		;
	return picture->whole && status == 0 && picture->size > 0;
}

/* ---- a folder of plots ---- */

/* A plot with its commands in memory. */
struct sheet {
	const struct plot *plot;
	char *commands; /* to free() */
	int height;
};

static int write_file(const struct report_input *input, const struct plot *plot,
		      const char *extension, const char *bytes, size_t size, struct error *e)
{
	struct report_file out;
	char name[64];

	snprintf(name, sizeof(name), "plots/%s.%s", plot->name, extension);
	if (report_file_begin(&out, input->out_dir, name, e))
		return -1;
	fwrite(bytes, 1, size, out.file);
	return report_file_end(&out, 0, e);
}

static int write_script(const struct report_input *input, const struct sheet *sheet,
			struct error *e)
{
	struct report_file out;
	char name[64];

	snprintf(name, sizeof(name), "plots/%s.gp", sheet->plot->name);
	if (report_file_begin(&out, input->out_dir, name, e))
		return -1;
	put_script(out.file, sheet->plot, sheet->height, sheet->commands);
	return report_file_end(&out, 0, e);
}

/* Draw one plot and keep its script and data. A sheet without commands: there is nothing to draw.
 */
static int make_sheet(struct sheet *sheet, const struct plot *plot,
		      const struct report_input *input, struct error *e)
{
	char *data = NULL;
	size_t size = 0, commands_size = 0;
	struct canvas canvas = {.script = open_memstream(&sheet->commands, &commands_size),
				.data = open_memstream(&data, &size)};
	bool any = false, whole = canvas.script && canvas.data;
	int rc = 0;

	if (whole)
		any = plot->draw(&canvas, input);
	if (canvas.script && fclose(canvas.script))
		whole = false;
	if (canvas.data && fclose(canvas.data))
		whole = false;
	if (!whole)
		rc = error_set(e, ERROR_MEMORY, NO_PLACE, "out of memory");
	sheet->plot = plot;
	sheet->height = canvas.height;
	if (rc == 0 && any)
		rc = write_file(input, plot, "tsv", data, size, e) || write_script(input, sheet, e)
			     ? -1
			     : 0;
	free(data);
	if (rc || !any) {
		free(sheet->commands);
		sheet->commands = NULL;
	}
	return rc;
}

static int draw_all(const struct report_input *input, const struct sheet *sheets, size_t count,
		    const char *path, int folder, struct error *e)
{
	struct picture pictures[PICTURES_MAX] = {{.fd = -1}};
	size_t started = 0;
	int rc = 0;

	for (size_t i = 0; i < 2 * count; i++) {
		const struct sheet *sheet = &sheets[i / 2];
		bool png = i % 2;

		if (!sheet->commands || (png && !input->png))
			continue;
		assert(started < PICTURES_MAX);
		pictures[started] = (struct picture){.plot = sheet->plot, .png = png};
		start(&pictures[started++], path, folder, sheet->height, sheet->commands);
	}
	gather(pictures, started);
	for (size_t i = 0; i < started; i++) {
		struct picture *picture = &pictures[i];

		if (finish(picture) && rc == 0)
			rc = write_file(input, picture->plot, picture->png ? "png" : "svg",
					picture->bytes, picture->size, e);
		free(picture->bytes);
	}
	return rc;
}

static int write_report(const struct report_input *input, struct error *e)
{
	struct sheet sheets[PICTURES_MAX / 2] = {{.height = 0}};
	char path[REPORT_PATH_MAX], gnuplot[REPORT_PATH_MAX];
	size_t count = 0;
	int rc = 0, folder;

	if (!input->plots)
		return 0;
	if (report_path(path, input->out_dir, "plots", e))
		return -1;
	if (mkdir(path, 0777) && errno != EEXIST)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot create %s: %s", path,
				 strerror(errno));
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return error_set(e, ERROR_IO, NO_PLACE, "cannot open %s: %s", path,
				 strerror(errno));
	while (plot_table[count] && rc == 0) {
		assert(count < PICTURES_MAX / 2);
		rc = make_sheet(&sheets[count], plot_table[count], input, e);
		count++;
	}
	if (rc == 0 && find_gnuplot(gnuplot))
		rc = draw_all(input, sheets, count, gnuplot, folder, e);
	for (size_t i = 0; i < count; i++)
		free(sheets[i].commands);
	close(folder);
	return rc;
}

const struct report_ops report_plots = {
	.name = "plots",
	.file = "plots",
	.help = "incidents, service, backups, jobs and, with trials, distributions as pictures "
		"(needs gnuplot), with the scripts and data that draw them",
	.write = write_report,
};

/* ---- a picture alone ---- */

char *plot_svg(const char *name, bool (*draw)(struct canvas *canvas, const void *self),
	       const void *self)
{
	const struct plot plot = {.name = name};
	struct picture picture = {.plot = &plot, .fd = -1, .child = -1};
	char *commands = NULL, gnuplot[REPORT_PATH_MAX];
	size_t size = 0;
	struct canvas canvas = {.script = open_memstream(&commands, &size)};
	int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool any = canvas.script && draw(&canvas, self);

	if (canvas.script && fclose(canvas.script))
		any = false;
	if (any && folder >= 0 && find_gnuplot(gnuplot)) {
		start(&picture, gnuplot, folder, canvas.height, commands);
		gather(&picture, 1);
	}
	if (!finish(&picture)) {
		free(picture.bytes);
		picture.bytes = NULL;
	}
	if (folder >= 0)
		close(folder);
	free(commands);
	return picture.bytes;
}

/* ---- inside a page ---- */

/* gnuplot pads the numbers of a colour where it draws, and not where it writes. */
#define DRAWN(colour, variable)                                                                    \
	".picture [stroke='" colour "']{stroke:var(" variable "," colour ")}"                      \
	".picture [color='" colour "']{color:var(" variable "," colour ")}"                        \
	".picture [fill='" colour "']{fill:var(" variable "," colour ")}\n"
#define WRITTEN(colour, variable)                                                                  \
	".picture [fill='" colour "']{fill:var(" variable "," colour ")}\n"

#define INK DRAWN("rgb( 28,  32,  37)", "--ink") WRITTEN("rgb(28,32,37)", "--ink")
#define SOFT DRAWN("rgb( 82,  89,  99)", "--soft") WRITTEN("rgb(82,89,99)", "--soft")
#define BAD WRITTEN("rgb(165,49,0)", "--bad")
#define LINES DRAWN("rgb(215, 219, 225)", "--line") DRAWN("rgb(141, 148, 158)", "--rule")
/* The one colour of the palette that is too dark for a dark page. */
#define BLUE DRAWN("rgb(  0, 114, 178)", "--plot-blue")
#define DARK "@media screen and (prefers-color-scheme:dark){.picture{--plot-blue:#3f9fe0}}\n"
#define REST                                                                                       \
	".picture g[color=black]{color:var(--ink,#1c2025)}.picture svg g{font-family:inherit}\n"

const char plot_style[] = INK SOFT BAD LINES BLUE DARK REST;
