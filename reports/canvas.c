/* SPDX-License-Identifier: Apache-2.0 */
/* What a plot is drawn on: places in pixels become gnuplot's commands, values become data. */
#include "reports/canvas.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "core/timeline.h"
#include "core/words.h"

/* ---- data ---- */

/* One line, without tabs, of what may be any text. */
static void put_plain(FILE *file, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t length = utf8_length(s);

		if (length == 0 || *s < 0x20 || *s == 0x7f)
			fputc(' ', file);
		else
			fwrite(s, 1, length, file);
		s += length > 0 ? length : 1;
	}
}

void canvas_series_end(struct canvas *canvas)
{
	/* A series without a row would not be counted, and all after it would be mixed up. */
	if (canvas->series > 0 && canvas->empty)
		fputs("NaN\tNaN\tNaN\tNaN\tNaN\tNaN\n", canvas->data);
	canvas->empty = false;
}

size_t canvas_series(struct canvas *canvas, const char *name, const char *columns)
{
	canvas_series_end(canvas);
	fputs(canvas->series > 0 ? "\n\n# " : "# ", canvas->data);
	put_plain(canvas->data, name);
	fprintf(canvas->data, "\n# %s\n", columns);
	canvas->empty = true;
	return canvas->series++;
}

void canvas_row(struct canvas *canvas, int count, ...)
{
	va_list list;

	va_start(list, count);
	for (int i = 0; i < count; i++) {
		double value = va_arg(list, double);

		if (i > 0)
			fputc('\t', canvas->data);
		if (isfinite(value))
			fprintf(canvas->data, "%.9g", value);
		else
			fputs("NaN", canvas->data);
	}
	va_end(list);
	fputc('\n', canvas->data);
	canvas->empty = false;
}

void canvas_gap(struct canvas *canvas)
{
	fputs("NaN\tNaN\n", canvas->data);
}

/* ---- texts ---- */

/* Of one character, in shares of the size: not less than what Helvetica, Arial, DejaVu Sans and
 * Segoe UI need on average. */
static double character_width(const unsigned char *s, size_t length)
{
	/* The scripts of East Asia, and pictures. */
	if (length >= 3 && s[0] >= 0xe3)
		return 1.05;
	if (length > 1)
		return 0.66;
	if (*s == '\'' || *s == '`') /* canvas_quote() writes others in their place */
		return 0.66;
	if (strchr("iljtfI.,:;|!()[]/\\ ", *s))
		return 0.38;
	if (strchr("mwMW@%&", *s))
		return 0.95;
	return *s >= 'A' && *s <= 'Z' ? 0.72 : 0.62;
}

double canvas_text_width(const char *text, double size)
{
	const unsigned char *s = (const unsigned char *)text;
	double width = 0;

	while (*s) {
		size_t length = utf8_length(s);

		width += character_width(s, length);
		s += length > 0 ? length : 1;
	}
	return width * size;
}

const char *canvas_fit(char out[CANVAS_TEXT_MAX], const char *text, double width, double size)
{
	static const char ellipsis[] = "\xe2\x80\xa6";
	const unsigned char *s = (const unsigned char *)text;
	bool whole = canvas_text_width(text, size) <= width;
	double left = whole ? INFINITY : width / size - character_width(s, 2);
	size_t used = 0;

	while (*s) {
		size_t length = utf8_length(s), step = length > 0 ? length : 1;

		left -= character_width(s, length);
		if (left < 0 || used + step + sizeof(ellipsis) > CANVAS_TEXT_MAX) {
			memcpy(out + used, ellipsis, sizeof(ellipsis));
			return out;
		}
		if (length == 0 || *s < 0x20 || *s == 0x7f)
			out[used++] = ' ';
		else
			for (size_t i = 0; i < length; i++)
				out[used++] = (char)s[i];
		s += step;
	}
	out[used] = '\0';
	return out;
}

void canvas_quote(FILE *script, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	fputc('\'', script);
	while (*s) {
		size_t length = utf8_length(s);
		/* U+FFFE and U+FFFF: forbidden in XML. */
		bool forbidden = length == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe;

		if (length == 0 || *s < 0x20 || *s == 0x7f || forbidden)
			fputc(' ', script);
		else if (*s == '\'') /* would end the string */
			fputs("\xe2\x80\x99", script);
		else if (*s ==
			 '`') /* starts a command within double quotes; here it need not stand */
			fputs("\xe2\x80\x98", script);
		else
			fwrite(s, 1, length, script);
		s += length > 0 ? length : 1;
	}
	fputc('\'', script);
}

static double screen_x(double x)
{
	return x / CANVAS_WIDTH;
}

static double screen_y(const struct canvas *canvas, double y)
{
	assert(canvas->height > 0);
	return 1 - y / canvas->height;
}

void canvas_text(struct canvas *canvas, double x, double y, enum canvas_align align, double size,
		 const char *colour, const char *text)
{
	static const char *const words[] = {
		[ALIGN_LEFT] = "left", [ALIGN_CENTRE] = "center", [ALIGN_RIGHT] = "right"};

	fputs("set label ", canvas->script);
	canvas_quote(canvas->script, text);
	fprintf(canvas->script, " at screen %.5f,%.5f %s font ',%g' textcolor rgb '%s' front\n",
		screen_x(x), screen_y(canvas, y), words[align], size, colour);
}

void canvas_textf(struct canvas *canvas, double x, double y, enum canvas_align align, double size,
		  const char *colour, const char *format, ...)
{
	char text[CANVAS_TEXT_MAX];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	canvas_text(canvas, x, y, align, size, colour, text);
}

struct canvas_box canvas_text_box(double x, double y, enum canvas_align align, double size,
				  const char *text)
{
	double width = canvas_text_width(text, size);
	double left = align == ALIGN_LEFT ? x : align == ALIGN_RIGHT ? x - width : x - width / 2;

	return (struct canvas_box){left - 4, left + width + 4, y - 0.6 * size, y + 0.6 * size};
}

bool canvas_take(struct canvas *canvas, struct canvas_box box)
{
	for (size_t i = 0; i < canvas->taken_count; i++) {
		const struct canvas_box *other = &canvas->taken[i];

		if (box.left < other->right && other->left < box.right && box.top < other->bottom &&
		    other->top < box.bottom)
			return false;
	}
	if (box.left < 0 || box.right > CANVAS_WIDTH || canvas->taken_count == CANVAS_BOXES_MAX)
		return false;
	canvas->taken[canvas->taken_count++] = box;
	return true;
}

/* ---- shapes ---- */

static void put_line(struct canvas *canvas, const double at[4], double width, int dash,
		     const char *colour, const char *layer)
{
	fprintf(canvas->script,
		"set arrow from screen %.5f,%.5f to screen %.5f,%.5f nohead lw %g dt %d lc rgb "
		"'%s' %s\n",
		screen_x(at[0]), screen_y(canvas, at[1]), screen_x(at[2]), screen_y(canvas, at[3]),
		width, dash, colour, layer);
}

void canvas_line(struct canvas *canvas, double x0, double y0, double x1, double y1, double width,
		 int dash, const char *colour)
{
	put_line(canvas, (double[]){x0, y0, x1, y1}, width, dash, colour, "back");
}

void canvas_line_front(struct canvas *canvas, double x0, double y0, double x1, double y1,
		       double width, int dash, const char *colour)
{
	put_line(canvas, (double[]){x0, y0, x1, y1}, width, dash, colour, "front");
}

void canvas_rectangle(struct canvas *canvas, struct canvas_box box, const char *colour,
		      double density)
{
	fprintf(canvas->script,
		"set object rectangle from screen %.5f,%.5f to screen %.5f,%.5f behind fc rgb '%s' "
		"fs transparent solid %g noborder\n",
		screen_x(box.left), screen_y(canvas, box.bottom), screen_x(box.right),
		screen_y(canvas, box.top), colour, density);
}

/* ---- panels and axes ---- */

void canvas_panel(struct canvas *canvas, const struct canvas_panel *panel)
{
	canvas->panel = *panel;
	fprintf(canvas->script,
		"set lmargin at screen %.5f\nset rmargin at screen %.5f\nset tmargin at screen "
		"%.5f\nset bmargin at screen %.5f\n",
		screen_x(panel->left), screen_x(panel->right), screen_y(canvas, panel->top),
		screen_y(canvas, panel->bottom));
	fprintf(canvas->script, "%s logscale y\nset xrange [%.9g:%.9g]\nset yrange [%.9g:%.9g]\n",
		panel->log_y ? "set" : "unset", panel->x0, panel->x1, panel->y0, panel->y1);
}

double canvas_x(const struct canvas *canvas, double value)
{
	const struct canvas_panel *panel = &canvas->panel;

	return panel->left +
	       (value - panel->x0) / (panel->x1 - panel->x0) * (panel->right - panel->left);
}

double canvas_y(const struct canvas *canvas, double value)
{
	const struct canvas_panel *panel = &canvas->panel;
	double share = panel->log_y ? log(value / panel->y0) / log(panel->y1 / panel->y0)
				    : (value - panel->y0) / (panel->y1 - panel->y0);

	return panel->bottom - share * (panel->bottom - panel->top);
}

void canvas_clear(struct canvas *canvas)
{
	fputs("unset label\nunset arrow\nunset object\n", canvas->script);
	canvas->taken_count = 0;
}

/* The smallest of 1, 2, 5, 10, 20 … that divides the span into at most ten parts. */
static double decimal_step(double span)
{
	double step = pow(10, floor(log10(span)) - 1);
	static const double factors[] = {1, 2, 5, 10};

	for (size_t i = 0; i < sizeof(factors) / sizeof(factors[0]); i++)
		if (span / (step * factors[i]) <= 10)
			return step * factors[i];
	return step * 20;
}

struct canvas_axis canvas_axis(double span_s)
{
	static const double sixties[] = {1, 2, 5, 10, 15, 30}, hours[] = {1, 2, 3, 6, 12};
	struct canvas_axis axis = {1, "s", 0};
	const double *steps = NULL;
	double span;
	size_t count = 0;

	if (span_s <= 0.5e-3) {
		axis = (struct canvas_axis){1e-6, "\xc2\xb5s", 0};
	} else if (span_s <= 0.5) {
		axis = (struct canvas_axis){1e-3, "ms", 0};
	} else if (span_s <= 180 * 60) {
		axis = span_s <= 180 ? axis : (struct canvas_axis){60, "min", 0};
		steps = sixties;
		count = sizeof(sixties) / sizeof(sixties[0]);
	} else if (span_s <= 72 * 3600) {
		axis = (struct canvas_axis){3600, "h", 0};
		steps = hours;
		count = sizeof(hours) / sizeof(hours[0]);
	} else {
		axis = (struct canvas_axis){86400, "d", 0};
	}
	span = span_s / axis.scale;
	for (size_t i = 0; i < count && axis.step == 0; i++)
		if (span >= 4 && span / steps[i] <= 10)
			axis.step = steps[i];
	if (axis.step == 0)
		axis.step = decimal_step(span);
	return axis;
}

#define TICS_MAX 24 /* more than any axis has by its step */

void canvas_x_axis(struct canvas *canvas, const struct canvas_axis *axis, const char *title)
{
	const struct canvas_panel *panel = &canvas->panel;
	double first = ceil(panel->x0 / axis->step - 1e-9);

	fprintf(canvas->script, "set xtics nomirror out scale 0.5 %.9g format ''\n", axis->step);
	/* The numbers are placed here: how far below the axis gnuplot puts them depends on the
	 * terminal. */
	for (int n = 0; n < TICS_MAX; n++) {
		double value = (first + n) * axis->step;
		double x = canvas_x(canvas, value), y = panel->bottom + 16;
		char text[32];

		if (!(value <= panel->x1 + 1e-9 * axis->step))
			break;
		snprintf(text, sizeof(text), "%g", value + 0.0);
		if (canvas_take(canvas, canvas_text_box(x, y, ALIGN_CENTRE, CANVAS_SMALL, text)))
			canvas_text(canvas, x, y, ALIGN_CENTRE, CANVAS_SMALL, PLOT_SOFT, text);
	}
	canvas_text(canvas, (panel->left + panel->right) / 2, panel->bottom + 34, ALIGN_CENTRE,
		    CANVAS_SMALL, PLOT_SOFT, title);
}

/* Times that people count in; `major` stands where there is no room for all. */
static const struct {
	double s;
	bool major;
} nice_times[] = {{1e-6, true},    {1e-5, true},   {1e-4, true},    {1e-3, true},
		  {2e-3, false},   {5e-3, false},  {0.01, true},    {0.02, false},
		  {0.05, false},   {0.1, true},    {0.2, false},    {0.5, false},
		  {1, true},       {2, false},     {5, false},      {10, true},
		  {30, false},     {60, true},     {120, false},    {300, false},
		  {600, true},     {1800, false},  {3600, true},    {7200, false},
		  {18000, false},  {36000, true},  {86400, true},   {172800, false},
		  {432000, false}, {864000, true}, {8640000, true}, {86400000, true}};

#define NICE_TIMES (sizeof(nice_times) / sizeof(nice_times[0]))

void canvas_duration_tics(struct canvas *canvas)
{
	const struct canvas_panel *panel = &canvas->panel;
	double last = -INFINITY;
	size_t inside = 0;
	bool first = true;

	for (size_t i = 0; i < NICE_TIMES; i++)
		inside += nice_times[i].s >= panel->y0 && nice_times[i].s <= panel->y1;
	fputs("set ytics (", canvas->script);
	for (size_t i = 0; i < NICE_TIMES; i++) {
		double s = nice_times[i].s, place;
		char text[WORDS_MAX];

		if (s < panel->y0 || s > panel->y1 || (inside > 7 && !nice_times[i].major))
			continue;
		place = panel->bottom - canvas_y(canvas, s);
		if (place - last < 1.5 * CANVAS_SMALL) /* no room for this one */
			continue;
		last = place;
		fputs(first ? "" : ", ", canvas->script);
		canvas_quote(canvas->script, words_duration(text, s));
		fprintf(canvas->script, " %.9g", s);
		first = false;
	}
	fputs(")\n", canvas->script);
}

void canvas_log_range(double *low, double *high)
{
	/* From one nice time to another: there are always two numbers at the axis. */
	size_t from = 0, to = NICE_TIMES - 1;

	while (from + 1 < NICE_TIMES && nice_times[from + 1].s <= *low)
		from++;
	while (to > from + 1 && nice_times[to - 1].s >= *high)
		to--;
	*low = fmin(nice_times[from].s, *low) / 1.08;
	*high = fmax(nice_times[to].s, *high) * 1.08;
	if (!(*low > 0))
		*low = nice_times[0].s;
}

/* ---- the legend ---- */

#define SIGN_WIDTH 22
#define ENTRY_GAP 20
#define ROW_HEIGHT 18

void canvas_entry(struct canvas *canvas, enum canvas_sign sign, const char *style,
		  const char *format, ...)
{
	struct canvas_entry *entry = &canvas->legend[canvas->legend_count];
	char text[CANVAS_TEXT_MAX];
	va_list list;

	assert(canvas->legend_count < CANVAS_SIGNS_MAX);
	canvas->legend_count++;
	entry->sign = sign;
	entry->style = style;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	canvas_fit(entry->text, text, 480, CANVAS_SMALL);
}

static void put_sign(struct canvas *canvas, const struct canvas_entry *entry, double x, double y)
{
	switch (entry->sign) {
	case SIGN_NONE:
		return;
	case SIGN_LINE:
	case SIGN_DASHED:
		canvas_line(canvas, x, y, x + 16, y, entry->sign == SIGN_LINE ? 2.2 : 1.4,
			    entry->sign == SIGN_LINE ? 1 : 2, entry->style);
		return;
	case SIGN_BAND:
	case SIGN_BAR:
		canvas_rectangle(canvas, (struct canvas_box){x, x + 16, y - 5, y + 5}, entry->style,
				 entry->sign == SIGN_BAND ? 0.18 : 1);
		return;
	case SIGN_POINT:
		fprintf(canvas->script, "set label '' at screen %.5f,%.5f point %s front\n",
			screen_x(x + 8), screen_y(canvas, y), entry->style);
		return;
	}
}

/* With `draw` or to see how much room it takes. */
static double lay_out(struct canvas *canvas, double left, double right, double top, bool draw)
{
	double x = left, y = top + ROW_HEIGHT / 2.0;

	for (size_t i = 0; i < canvas->legend_count; i++) {
		const struct canvas_entry *entry = &canvas->legend[i];
		double sign = entry->sign == SIGN_NONE ? 0 : SIGN_WIDTH;
		double width = sign + canvas_text_width(entry->text, CANVAS_SMALL);

		if (x > left && x + width > right) {
			x = left;
			y += ROW_HEIGHT;
		}
		if (draw) {
			put_sign(canvas, entry, x, y);
			canvas_text(canvas, x + sign, y, ALIGN_LEFT, CANVAS_SMALL, PLOT_SOFT,
				    entry->text);
		}
		x += width + ENTRY_GAP;
	}
	return y + ROW_HEIGHT / 2.0;
}

double canvas_legend_height(struct canvas *canvas, double left, double right)
{
	return lay_out(canvas, left, right, 0, false);
}

void canvas_legend(struct canvas *canvas, double left, double right, double top)
{
	lay_out(canvas, left, right, top, true);
}
