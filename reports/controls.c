/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the control mapping. */
#include "reports/controls.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "core/calibration.h"
#include "core/param.h"
#include "core/yaml.h"

#ifndef DRSIM_DATADIR
#define DRSIM_DATADIR "/usr/local/share/drsim"
#endif

#define PROGRAM_PATH_MAX 4096

/* ---- where it is ---- */

/* The folder of the program, without a slash at the end; NULL when it cannot be told. */
static const char *program_folder(struct arena *arena)
{
	char path[PROGRAM_PATH_MAX], *slash;
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (length <= 0 || (size_t)length >= sizeof(path) - 1)
		return NULL;
	path[length] = '\0';
	slash = strrchr(path, '/');
	return slash ? arena_strndup(arena, path, (size_t)(slash - path)) : NULL;
}

const char *controls_path(struct arena *arena)
{
	const char *folder = program_folder(arena);
	const char *places[] = {
		"reports/controls.yaml",
		folder ? arena_printf(arena, "%s/../../reports/controls.yaml", folder) : NULL,
		folder ? arena_printf(arena, "%s/../share/drsim/reports/controls.yaml", folder)
		       : NULL,
		DRSIM_DATADIR "/reports/controls.yaml",
	};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (places[i] && access(places[i], R_OK) == 0)
			return places[i];
	return NULL;
}

/* ---- how it is written ---- */

struct root_form {
	const char *api;
	const struct yaml_node *frameworks;
};
static const struct param root_rows[] = {
	{"apiVersion", PARAM_TEXT, offsetof(struct root_form, api), NULL, 0, 0, NULL,
	 "Always drsim/controls/v1."},
	{"frameworks", PARAM_NODE, offsetof(struct root_form, frameworks), NULL, 0, 0, NULL,
	 "A list of frameworks."},
	PARAMS_END,
};

struct framework_form {
	const char *id, *title;
	const struct yaml_node *controls;
};
static const struct param framework_rows[] = {
	{"id", PARAM_TEXT, offsetof(struct framework_form, id), NULL, 0, 0, NULL,
	 "What --framework takes."},
	{"title", PARAM_TEXT, offsetof(struct framework_form, title), NULL, 0, 0, NULL,
	 "The name of the text, with its edition."},
	{"controls", PARAM_NODE, offsetof(struct framework_form, controls), NULL, 0, 0, NULL,
	 "A list of controls."},
	PARAMS_END,
};

struct control_form {
	const char *id, *title, *asks, *period;
	const struct yaml_node *fields, *not_shown;
};
#define CONTROL(field) offsetof(struct control_form, field)
static const struct param control_rows[] = {
	{"id", PARAM_TEXT, CONTROL(id), NULL, 0, 0, NULL, "As the text numbers or names it."},
	{"title", PARAM_TEXT, CONTROL(title), NULL, 0, 0, NULL, "In a few words."},
	{"asks", PARAM_TEXT, CONTROL(asks), NULL, 0, 0, NULL,
	 "What is asked, in words of one's own."},
	{"period", PARAM_TEXT, CONTROL(period), "", 0, 0, NULL, "Such as 12 months."},
	{"fields", PARAM_NODE, CONTROL(fields), NULL, 0, 0, NULL, "Paths in record.json."},
	{"not_shown", PARAM_NODE, CONTROL(not_shown), NULL, 0, 0, NULL,
	 "What no drill shows, as a list of sentences."},
	PARAMS_END,
};

struct reader {
	struct param_context context;
};

#define reader_error(reader, place, ...)                                                           \
	error_list_add(&(reader)->context.errors, ERROR_SCENARIO, place, __VA_ARGS__)

static int check_list(struct reader *r, const struct yaml_node *node, const char *what, size_t max)
{
	if (node->kind != YAML_KIND_LIST)
		return reader_error(r, node->place, "'%s' must be a list, not %s", what,
				    yaml_describe(node));
	if (node->count == 0)
		return reader_error(r, node->place, "'%s' is empty", what);
	if (node->count > max)
		return reader_error(r, node->place, "'%s' has %zu items; the limit is %zu", what,
				    node->count, max);
	return 0;
}

/* "12 months" */
static int read_period(struct reader *r, const struct yaml_node *map, uint32_t *ret)
{
	const struct yaml_node *node = yaml_get(map, "period");
	const char *text = node ? node->text : NULL;
	size_t digits = text ? strspn(text, "0123456789") : 0;
	struct error e = {0};
	uint64_t months = 0;

	if (!node)
		return 0;
	if (digits > 0 && digits < 4 &&
	    (strcmp(text + digits, " months") == 0 || strcmp(text + digits, " month") == 0) &&
	    quantity_unsigned(arena_strndup(r->context.arena, text, digits), node->place, &months,
			      &e) == 0 &&
	    months >= 1 && months <= CONTROL_MONTHS_MAX) {
		*ret = (uint32_t)months;
		return 0;
	}
	return reader_error(r, node->place,
			    "a period is written like 12 months, from 1 to %d of them",
			    CONTROL_MONTHS_MAX);
}

static int check_field(struct reader *r, const struct yaml_node *node)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	const char *text = node->text;

	for (;;) {
		size_t length = strspn(text, letters);

		if (length == 0)
			break;
		text += length;
		if (*text == '\0' && node->length < CONTROL_FIELD_MAX)
			return 0;
		if (*text++ != '.')
			break;
	}
	return reader_error(r, node->place,
			    "a field is a path of keys such as drill.plan.id, of at most %d "
			    "characters",
			    CONTROL_FIELD_MAX - 1);
}

static const char *const *read_texts(struct reader *r, const struct yaml_node *node,
				     const char *what, bool fields, size_t *ret_count)
{
	const char **texts;
	size_t count = 0;

	if (check_list(r, node, what, CONTROL_TEXTS_MAX) < 0)
		return NULL;
	texts = arena_array(r->context.arena, node->count, sizeof(*texts));
	for (const struct yaml_node *item = node->first; item; item = item->next) {
		if (item->kind != YAML_KIND_SCALAR || item->length == 0)
			reader_error(r, item->place, "a text is expected here, not %s",
				     yaml_describe(item));
		else if (!fields || check_field(r, item) == 0)
			texts[count++] = item->text;
	}
	*ret_count = count;
	return texts;
}

static void read_control(struct reader *r, const struct yaml_node *node, struct control *control)
{
	struct control_form form = {0};

	if (params_load(node, "a control", control_rows, &form, &r->context, NULL) < 0)
		return;
	control->id = form.id;
	control->title = form.title;
	control->asks = form.asks;
	read_period(r, node, &control->months);
	control->fields = read_texts(r, form.fields, "fields", true, &control->field_count);
	control->not_shown =
		read_texts(r, form.not_shown, "not_shown", false, &control->not_shown_count);
}

static void read_framework(struct reader *r, const struct yaml_node *node,
			   struct framework *framework)
{
	struct framework_form form = {0};
	struct control *controls;
	size_t count = 0;

	if (params_load(node, "a framework", framework_rows, &form, &r->context, NULL) < 0 ||
	    check_list(r, form.controls, "controls", CONTROLS_MAX) < 0)
		return;
	controls = arena_array(r->context.arena, form.controls->count, sizeof(*controls));
	for (const struct yaml_node *item = form.controls->first; item; item = item->next) {
		read_control(r, item, &controls[count]);
		for (size_t i = 0; i < count && controls[count].id; i++)
			if (controls[i].id && strcmp(controls[i].id, controls[count].id) == 0)
				reader_error(r, item->place, "the control '%s' is there twice",
					     controls[i].id);
		count++;
	}
	*framework = (struct framework){form.id, form.title, controls, count};
}

static void read_root(struct reader *r, const struct yaml_node *root, struct controls *controls)
{
	struct root_form form = {0};
	struct framework *frameworks;
	char quoted[YAML_QUOTE_MAX];
	size_t count = 0;

	if (params_load(root, "the mapping", root_rows, &form, &r->context, NULL) < 0)
		return;
	if (strcmp(form.api, "drsim/controls/v1") != 0) {
		reader_error(r, yaml_get(root, "apiVersion")->place,
			     "unknown apiVersion '%s'; this program reads drsim/controls/v1",
			     yaml_quote(form.api, quoted));
		return;
	}
	if (check_list(r, form.frameworks, "frameworks", CONTROLS_FRAMEWORKS_MAX) < 0)
		return;
	frameworks = arena_array(r->context.arena, form.frameworks->count, sizeof(*frameworks));
	for (const struct yaml_node *item = form.frameworks->first; item; item = item->next) {
		read_framework(r, item, &frameworks[count]);
		for (size_t i = 0; i < count && frameworks[count].id; i++)
			if (frameworks[i].id && strcmp(frameworks[i].id, frameworks[count].id) == 0)
				reader_error(r, item->place, "the framework '%s' is there twice",
					     frameworks[i].id);
		count++;
	}
	controls->frameworks = frameworks;
	controls->framework_count = count;
}

int controls_parse(const char *path, const char *text, size_t size, struct arena *arena,
		   struct controls **ret_controls, struct error *errors, size_t errors_max,
		   size_t *ret_count)
{
	struct controls *controls = arena_alloc(arena, sizeof(*controls));
	struct reader r = {.context = {.arena = arena, .errors = {.arena = arena, .file = path}}};
	struct error_list *list = &r.context.errors;
	struct yaml_node *root = NULL;
	struct error e = {0};

	controls->path = path;
	calibration_sha256(text, size, controls->sha256);
	if (yaml_parse(path, text, size, arena, &root, &e) < 0)
		error_list_add(list, e.kind, e.place, "%s", e.text);
	else
		read_root(&r, root, controls);
	*ret_count = list->count < errors_max ? list->count : errors_max;
	if (*ret_count > 0)
		memcpy(errors, list->items, *ret_count * sizeof(*errors));
	if (list->count > 0)
		return -1;
	*ret_controls = controls;
	return 0;
}

int controls_load(const char *path, struct arena *arena, struct controls **ret_controls,
		  struct error *errors, size_t errors_max, size_t *ret_count)
{
	struct error e = {0};
	size_t size;
	char *text;

	if (yaml_read_file(path, CONTROLS_FILE_MAX, arena, &text, &size, &e) == 0)
		return controls_parse(path, text, size, arena, ret_controls, errors, errors_max,
				      ret_count);
	*ret_count = errors_max > 0;
	if (errors_max > 0)
		errors[0] = e;
	return -1;
}

const struct framework *controls_find(const struct controls *controls, const char *id)
{
	for (size_t i = 0; i < controls->framework_count; i++)
		if (strcmp(controls->frameworks[i].id, id) == 0)
			return &controls->frameworks[i];
	return NULL;
}

const char **controls_names(const struct controls *controls, struct arena *arena)
{
	const char **names = arena_array(arena, controls->framework_count + 1, sizeof(*names));

	for (size_t i = 0; i < controls->framework_count; i++)
		names[i] = controls->frameworks[i].id;
	return names;
}

/* ---- values ---- */

size_t controls_values(const cJSON *record, const char *path,
		       void (*visit)(void *self, const cJSON *value), void *self)
{
	char key[CONTROL_FIELD_MAX];
	const cJSON *item;
	size_t length, count = 0;

	if (record && *path == '\0') {
		visit(self, record);
		return 1;
	}
	if (cJSON_IsArray(record)) {
		cJSON_ArrayForEach (item, record)
			count += controls_values(item, path, visit, self);
		return count;
	}
	length = strcspn(path, ".");
	if (!cJSON_IsObject(record) || length >= sizeof(key))
		return 0;
	memcpy(key, path, length);
	key[length] = '\0';
	path += length;
	return controls_values(cJSON_GetObjectItemCaseSensitive(record, key), path + (*path == '.'),
			       visit, self);
}
