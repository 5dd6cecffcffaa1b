/* SPDX-License-Identifier: Apache-2.0 */
/* Values of a record as an auditor reads them. */
#include <math.h>
#include <string.h>

#include "reports/evidence.h"
#include "reports/page.h"
#include "reports/text.h"
#include "reports/view.h"

#define VALUES_MAX 12 /* of one field of one drill; the others are counted */
#define TEXT_BYTES_MAX 600

struct writer {
	FILE *page;
	const cJSON *record;
	const char *field;
	size_t count; /* of different values in a row so far */
	const cJSON *last;
	size_t times;  /* that the last one stands there in a row */
	size_t hidden; /* values that are not shown */
	size_t empty; /* lists without an item */
};

static void put(FILE *page, const char *text)
{
	char cut[TEXT_BYTES_MAX + 1];
	size_t length = strlen(text);

	if (length <= TEXT_BYTES_MAX) {
		text_escape(page, text);
		return;
	}
	length = TEXT_BYTES_MAX;
	while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
		length--; /* not within a character */
	memcpy(cut, text, length);
	cut[length] = '\0';
	text_escape(page, cut);
	fputs("\xe2\x80\xa6 (the rest is in record.json)", page);
}

static bool ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* By the unit in the key's name. */
static void put_number(FILE *page, const char *key, double value)
{
	const char *unit =
		ends_with(key, "_s") || ends_with(key, "seconds") ? "s"
		: ends_with(key, "bytes")                         ? "bytes"
		: ends_with(key, "availability.time") || ends_with(key, "availability.requests")
			? "fraction"
			: "count";

	if (ends_with(key, "_ns")) {
		page_value(page, value / 1e9, "s");
		fputs(" after the start of the drill", page);
	} else {
		page_value(page, value, unit);
	}
}

static void put_scalar(FILE *page, const char *key, const cJSON *value)
{
	if (cJSON_IsString(value))
		put(page, value->valuestring);
	else if (cJSON_IsNumber(value))
		put_number(page, key, value->valuedouble);
	else if (cJSON_IsRaw(value))
		put(page, value->valuestring);
	else if (cJSON_IsBool(value))
		fprintf(page, "<span class=\"%s\">%s</span>", cJSON_IsTrue(value) ? "yes" : "no",
			cJSON_IsTrue(value) ? "yes" : "no");
	else
		fputs("not known", page);
}

/* ---- items of the lists that a record has ---- */

static void put_objective(FILE *page, const cJSON *item)
{
	const char *name = view_text_or(item, "name", "objective");
	const char *unit = view_text_or(item, "unit", "count");

	put(page, name);
	fputs(": ", page);
	page_value(page, view_real(item, "achieved"), unit);
	fprintf(page, " of at %s ", text_is_floor(name) ? "least" : "most");
	page_value(page, view_real(item, "limit"), unit);
	fputs(", ", page);
	page_met(page, view_bool(item, "met"));
}

static void put_fault(FILE *page, const cJSON *item)
{
	int effective = view_bool(item, "effective"), reverted = view_bool(item, "reverted");

	put(page, view_text_or(item, "name", "a fault"));
	fputs(" on ", page);
	put(page, view_text_or(item, "target", "?"));
	fputs(", fidelity ", page);
	put(page, view_text_or(item, "fidelity", "unknown"));
	fputs(effective > 0    ? ", took effect"
	      : effective == 0 ? ", had no effect"
			       : ", effect not known",
	      page);
	fputs(reverted > 0    ? ", reverted"
	      : reverted == 0 ? ", <span class=\"bad\">not reverted</span>"
			      : "",
	      page);
}

static void put_moment(FILE *page, const cJSON *item)
{
	page_value(page, view_seconds(item, "t_ns"), "s");
	fputc(' ', page);
	put(page, view_text_or(item, "text", ""));
}

static void put_finding(FILE *page, const cJSON *item)
{
	if (view_text(item, "id")) {
		put(page, view_text(item, "id"));
		fputs(", ", page);
	}
	put(page, view_text_or(item, "severity", "no severity"));
	fputs(": ", page);
	put(page, view_text_or(item, "text", "no text"));
}

/* Keys and values, one level deep: what is below is in the record. */
static void put_object(FILE *page, const cJSON *object)
{
	const cJSON *child;

	cJSON_ArrayForEach (child, object) {
		put(page, child->string ? child->string : "");
		fputs(": ", page);
		if (cJSON_IsArray(child) || cJSON_IsObject(child))
			fprintf(page, "%d items", cJSON_GetArraySize(child));
		else
			put_scalar(page, child->string ? child->string : "", child);
		if (child->next)
			fputs(", ", page);
	}
}

static void put_item(FILE *page, const char *field, const cJSON *item)
{
	if (!cJSON_IsObject(item))
		put_scalar(page, field, item);
	else if (strcmp(field, "objectives") == 0)
		put_objective(page, item);
	else if (strcmp(field, "faults") == 0)
		put_fault(page, item);
	else if (strcmp(field, "timeline") == 0)
		put_moment(page, item);
	else if (strcmp(field, "findings") == 0)
		put_finding(page, item);
	else
		put_object(page, item);
}

static void end_value(struct writer *writer)
{
	if (writer->times > 1)
		fprintf(writer->page, " (%zu times)", writer->times);
	writer->times = 0;
}

/* One more value of the field; the same once more is counted. */
static void put_value(struct writer *writer, const cJSON *value)
{
	if (writer->times > 0 && cJSON_Compare(writer->last, value, true)) {
		writer->times++;
		return;
	}
	end_value(writer);
	if (writer->count >= VALUES_MAX) {
		writer->hidden++;
		return;
	}
	writer->count++;
	writer->last = value;
	writer->times = 1;
	if (writer->count > 1)
		fputs("<br>", writer->page);
	put_item(writer->page, writer->field, value);
	if (strcmp(writer->field, "drill.signoff") == 0 &&
	    !evidence_signed_off(writer->record, value))
		fputs(" (not dated after the drill: no sign-off of its result)", writer->page);
}

static void visit(void *self, const cJSON *value)
{
	struct writer *writer = self;
	const cJSON *item;

	if (!cJSON_IsArray(value)) {
		/* Of a list's items some may say nothing. */
		if (!cJSON_IsNull(value))
			put_value(writer, value);
		return;
	}
	if (!value->child)
		writer->empty++;
	cJSON_ArrayForEach (item, value)
		put_value(writer, item);
}

void evidence_value(FILE *page, const cJSON *record, const char *field)
{
	struct writer writer = {.page = page, .record = record, .field = field};

	controls_values(record, field, visit, &writer);
	end_value(&writer);
	if (writer.empty > 0 && writer.count == 0)
		fputs("none", page);
	else if (writer.empty > 0)
		fprintf(page, "<br>and none %zu time%s", writer.empty,
			writer.empty == 1 ? "" : "s");
	if (writer.hidden > 0)
		fprintf(page, "<br>and %zu more in record.json", writer.hidden);
}
