/* SPDX-License-Identifier: Apache-2.0 */
/* The failure log of Los Alamos: CSV with a header, one outage a line. */
#include <string.h>

#include "core/param.h"
#include "core/trace_private.h"

#define DOWN_MINUTES_MAX ((uint64_t)(PARAM_DURATION_MAX / NANOS_MINUTE))
#define DIGITS_MAX 9
#define YEAR_FIRST 1970
#define YEAR_LAST 2199

/* Columns that are read, by the names in the header; the last six name causes. */
enum column {
	COLUMN_SYSTEM,
	COLUMN_NODE,
	COLUMN_STARTED,
	COLUMN_FIXED,
	COLUMN_DOWN,
	COLUMN_CAUSE,
	COLUMNS = COLUMN_CAUSE + 6
};
static const char *const column_names[COLUMNS] = {
	"System",   "nodenum",     "Prob Started", "Prob Fixed",   "Down Time", "Facilities",
	"Hardware", "Human Error", "Network",      "Undetermined", "Software",
};

struct field {
	const char *text;
	uint32_t column; /* in its line, from 1 */
};

struct csv {
	struct trace_reader *reader;
	char *at, *end; /* *end is 0 */
	uint32_t line;
	struct field fields[TRACE_FIELDS_MAX];
	size_t count, header_count;
	size_t where[COLUMNS];
};

#define csv_error(c, column, ...)                                                                  \
	error_set((c)->reader->error, ERROR_SCENARIO,                                              \
		  (struct place){(c)->reader->path, (c)->line, column}, __VA_ARGS__)

/* ---- lines and fields ---- */

/* A field in quotes, "" standing for one; unfolded where it lies. `*p` is left behind it. */
static int read_quoted(struct csv *c, char **p, struct field *field)
{
	char *from = *p + 1, *to = from;

	field->text = from;
	for (;;) {
		if (*from == '\n' || from == c->end)
			return csv_error(c, field->column, "this quote is not closed on its line");
		if (*from == '"' && from[1] != '"')
			break;
		from += *from == '"';
		*to++ = *from++;
	}
	from++;
	if (*from == '\r' && (from[1] == '\n' || from + 1 == c->end))
		from++;
	if (*from != ',' && *from != '\n' && from != c->end)
		return csv_error(c, field->column,
				 "a comma or the end of the line is expected after this field's "
				 "closing quote");
	*to = '\0';
	*p = from;
	return 0;
}

static int read_plain(struct csv *c, char **p, struct field *field)
{
	char *at = *p;

	field->text = at;
	while (at < c->end && *at != ',' && *at != '\n' && *at != '"')
		at++;
	if (*at == '"')
		return csv_error(c, field->column, "this field has a quote that does not begin it");
	if (*at != ',' && at > *p && at[-1] == '\r')
		at[-1] = '\0';
	*p = at;
	return 0;
}

/* Returns 1 with the next line's fields, 0 at the end. */
static int read_line(struct csv *c)
{
	char *p = c->at, *start = p, delimiter;

	if (c->at == c->end)
		return 0;
	c->line++;
	c->count = 0;
	do {
		struct field *field = &c->fields[c->count];

		if (c->count++ == TRACE_FIELDS_MAX)
			return csv_error(c, (uint32_t)(p - start) + 1,
					 "more than %d fields in a line", TRACE_FIELDS_MAX);
		field->column = (uint32_t)(p - start) + 1;
		if (*p == '"' ? read_quoted(c, &p, field) : read_plain(c, &p, field))
			return -1;
		delimiter = p == c->end ? '\n' : *p;
		*p = '\0';
		if (strlen(field->text) > TRACE_FIELD_MAX)
			return csv_error(c, field->column, "a field of more than %d bytes",
					 TRACE_FIELD_MAX);
		p += p < c->end;
	} while (delimiter == ',');
	c->at = p;
	return 1;
}

static const struct field *field_of(const struct csv *c, enum column column)
{
	return &c->fields[c->where[column]];
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r")] == '\0';
}

static int wrong(struct csv *c, enum column column, const char *expected)
{
	const struct field *field = field_of(c, column);
	char quoted[YAML_QUOTE_MAX];

	return csv_error(c, field->column, "'%s' is '%s'; expected %s", column_names[column],
			 yaml_quote(field->text, quoted), expected);
}

/* ---- values ---- */

static bool take_number(const char **p, uint64_t *ret)
{
	int digits = 0;

	for (*ret = 0; **p >= '0' && **p <= '9' && digits < DIGITS_MAX; (*p)++, digits++)
		*ret = *ret * 10 + (uint64_t)(**p - '0');
	return digits > 0 && !(**p >= '0' && **p <= '9');
}

static bool take(const char **p, char expected)
{
	if (**p != expected)
		return false;
	(*p)++;
	return true;
}

static int read_number(struct csv *c, enum column column, uint64_t max, const char *expected,
		       uint64_t *ret)
{
	const char *p = field_of(c, column)->text;

	return take_number(&p, ret) && *p == '\0' && *ret <= max ? 0 : wrong(c, column, expected);
}

static uint64_t days_of_month(uint64_t year, uint64_t month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

/* "6/21/2005 10:54", local time without a zone: as a clock on the wall that is never set. */
static int read_time(struct csv *c, enum column column, nanos *ret)
{
	const char *p = field_of(c, column)->text;
	uint64_t month, day, year, hour, minute, days = 0;

	if (!take_number(&p, &month) || !take(&p, '/') || !take_number(&p, &day) ||
	    !take(&p, '/') || !take_number(&p, &year) || !take(&p, ' ') ||
	    !take_number(&p, &hour) || !take(&p, ':') || !take_number(&p, &minute) || *p ||
	    month < 1 || month > 12 || year < YEAR_FIRST || year > YEAR_LAST || day < 1 ||
	    day > days_of_month(year, month) || hour > 23 || minute > 59)
		return wrong(c, column, "a time such as 6/21/2005 10:54");
	for (uint64_t y = YEAR_FIRST; y < year; y++)
		days += days_of_month(y, 2) + 337;
	for (uint64_t m = 1; m < month; m++)
		days += days_of_month(year, m);
	days += day - 1;
	*ret = (nanos)days * NANOS_DAY + (nanos)hour * NANOS_HOUR + (nanos)minute * NANOS_MINUTE;
	return 0;
}

/* The log's own figure where it gives one. */
static int read_down(struct csv *c, nanos started, nanos *ret)
{
	uint64_t minutes;
	nanos fixed = started;

	if (!is_blank(field_of(c, COLUMN_DOWN)->text)) {
		if (read_number(c, COLUMN_DOWN, DOWN_MINUTES_MAX,
				"minutes as a whole number, twenty years at most", &minutes))
			return -1;
		*ret = (nanos)minutes * NANOS_MINUTE;
		return 0;
	}
	if (is_blank(field_of(c, COLUMN_FIXED)->text))
		return csv_error(c, field_of(c, COLUMN_DOWN)->column,
				 "neither 'Down Time' nor 'Prob Fixed' says when this was over");
	if (read_time(c, COLUMN_FIXED, &fixed))
		return -1;
	if (fixed < started || fixed - started > PARAM_DURATION_MAX)
		return wrong(c, COLUMN_FIXED,
			     "a time after 'Prob Started', by twenty years at most");
	*ret = fixed - started;
	return 0;
}

static int read_cause(struct csv *c, const char **ret)
{
	const char *name = NULL;
	uint32_t column = 1;

	for (enum column k = COLUMN_CAUSE; k < COLUMNS; k++) {
		if (is_blank(field_of(c, k)->text))
			continue;
		if (name)
			return csv_error(c, field_of(c, k)->column,
					 "two causes in one record: '%s' and '%s'", name,
					 column_names[k]);
		name = column_names[k];
		column = field_of(c, k)->column;
	}
	return trace_cause(c->reader, name ? name : TRACE_NOT_NAMED,
			   (struct place){c->reader->path, c->line, column}, ret);
}

static int read_record(struct csv *c)
{
	struct trace_entry entry = {.line = c->line};
	uint64_t system, node = 0;

	if (c->count != c->header_count)
		return csv_error(c, 1, "this line has %zu fields, the header %zu", c->count,
				 c->header_count);
	/* Systems of a single node do not number it. */
	if (read_number(c, COLUMN_SYSTEM, UINT64_MAX, "the number of a system", &system) ||
	    (!is_blank(field_of(c, COLUMN_NODE)->text) &&
	     read_number(c, COLUMN_NODE, UINT64_MAX, "the number of a node", &node)) ||
	    read_time(c, COLUMN_STARTED, &entry.at) || read_down(c, entry.at, &entry.down))
		return -1;
	if (c->reader->system >= 0 && system != (uint64_t)c->reader->system)
		return 0;
	if (read_cause(c, &entry.cause))
		return -1;
	entry.name = arena_printf(c->reader->arena,
				  is_blank(field_of(c, COLUMN_NODE)->text) ? "%llu/" : "%llu/%llu",
				  (unsigned long long)system, (unsigned long long)node);
	return trace_add(c->reader, entry);
}

static int read_header(struct csv *c)
{
	for (int k = 0; k < COLUMNS; k++)
		c->where[k] = SIZE_MAX;
	for (size_t i = 0; i < c->count; i++)
		for (int k = 0; k < COLUMNS; k++) {
			if (strcmp(c->fields[i].text, column_names[k]) != 0)
				continue;
			if (c->where[k] != SIZE_MAX)
				return csv_error(c, c->fields[i].column,
						 "the column '%s' is there twice", column_names[k]);
			c->where[k] = i;
		}
	for (int k = 0; k < COLUMNS; k++)
		if (c->where[k] == SIZE_MAX)
			return csv_error(c, 1, "the header has no column '%s'", column_names[k]);
	c->header_count = c->count;
	return 0;
}

int trace_read_lanl(struct trace_reader *reader, const char *text, size_t size)
{
	static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8, as some spreadsheets write it */
	struct csv c = {.reader = reader};
	int more;

	if (memchr(text, 0, size))
		return error_set(reader->error, ERROR_SCENARIO, (struct place){reader->path, 1, 1},
				 "this is not a text file");
	c.at = arena_strndup(reader->arena, text, size); /* fields are cut out of it */
	c.end = c.at + size;
	if (strncmp(c.at, mark, strlen(mark)) == 0)
		c.at += strlen(mark);
	more = read_line(&c);
	if (more == 0)
		return error_set(reader->error, ERROR_SCENARIO, (struct place){reader->path, 1, 1},
				 "the log is empty; a header is expected");
	if (more < 0 || read_header(&c))
		return -1;
	while ((more = read_line(&c)) > 0) {
		if (c.count == 1 && is_blank(c.fields[0].text))
			continue;
		if (read_record(&c))
			return -1;
	}
	return more;
}
