/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML tree: reading a file, checking its characters, building nodes from libyaml's events,
 * writing them back. */
#include "core/yaml.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <yaml.h>

/* ---- small helpers on nodes ---- */

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
	if (!map || map->kind != YAML_KIND_MAP)
		return NULL;
	for (struct yaml_node *child = map->first; child; child = child->next)
		if (strcmp(child->key->text, key) == 0)
			return child;
	return NULL;
}

bool yaml_is(const struct yaml_node *node, const char *text)
{
	return node && node->kind == YAML_KIND_SCALAR && strcmp(node->text, text) == 0;
}

bool yaml_is_null(const struct yaml_node *node)
{
	if (node->kind != YAML_KIND_SCALAR || node->style != YAML_STYLE_PLAIN)
		return false;
	return yaml_is(node, "") || yaml_is(node, "~") || yaml_is(node, "null");
}

const char *yaml_describe(const struct yaml_node *node)
{
	switch (node->kind) {
	case YAML_KIND_LIST:
		return "a list";
	case YAML_KIND_MAP:
		return "a mapping";
	case YAML_KIND_SCALAR:
		break;
	}
	return yaml_is_null(node) ? "nothing" : "a single value";
}

const char *yaml_quote(const char *text, char buffer[YAML_QUOTE_MAX])
{
	size_t length = strlen(text), keep = length;

	if (length >= YAML_QUOTE_MAX) {
		keep = YAML_QUOTE_MAX - 4;
		/* Never cut inside a character. */
		while (keep > 0 && ((unsigned char)text[keep] & 0xC0) == 0x80)
			keep--;
	}
	for (size_t i = 0; i < keep; i++) {
		unsigned char c = (unsigned char)text[i];
		bool c1 = c == 0xC2 && (unsigned char)text[i + 1] < 0xA0;

		buffer[i] = (char)(c < 0x20 || c == 0x7F || c1 ? '?' : c);
		if (c1 && i + 1 < keep)
			buffer[++i] = '?';
	}
	memcpy(buffer + keep, keep < length ? "..." : "", keep < length ? 4 : 1);
	return buffer;
}

/* ---- reading a file ---- */

static int read_all(int fd, const char *path, size_t limit, struct arena *arena, size_t expected,
		    char **ret_text, size_t *ret_size, struct error *e)
{
	size_t capacity = expected + 1, used = 0;
	char *text = arena_alloc(arena, capacity + 1);

	for (;;) {
		if (used == capacity) {
			char *larger = arena_alloc(arena, 2 * capacity + 1);

			memcpy(larger, text, used);
			text = larger;
			capacity *= 2;
		}
		ssize_t got = read(fd, text + used, capacity - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_set(e, ERROR_IO, (struct place){path, 0, 0},
					 "cannot read it: %s", strerror(errno));
		if (got == 0)
			break;
		used += (size_t)got;
		if (used > limit)
			return error_set(
				e, ERROR_LIMIT, (struct place){path, 0, 0},
				"the file grew past the limit of %zu bytes while it was read",
				limit);
	}
	text[used] = '\0';
	*ret_text = text;
	*ret_size = used;
	return 0;
}

int yaml_read_file(const char *path, size_t limit, struct arena *arena, char **ret_text,
		   size_t *ret_size, struct error *e)
{
	struct place place = {path, 0, 0};
	struct stat status;
	/* O_NONBLOCK: opening a pipe that nobody writes to must not wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), result = -1;

	if (fd < 0)
		return error_set(e, ERROR_IO, place, "cannot open it: %s", strerror(errno));
	if (fstat(fd, &status) < 0) {
		error_set(e, ERROR_IO, place, "cannot look at it: %s", strerror(errno));
		goto out;
	}
	if (!S_ISREG(status.st_mode)) {
		error_set(e, ERROR_IO, place, "it is %s, not a regular file",
			  S_ISDIR(status.st_mode) ? "a folder" : "a pipe or a device");
		goto out;
	}
	if (status.st_size > (off_t)limit) {
		error_set(e, ERROR_LIMIT, place, "the file has %lld bytes; the limit is %zu",
			  (long long)status.st_size, limit);
		goto out;
	}
	result = read_all(fd, path, limit, arena, (size_t)status.st_size, ret_text, ret_size, e);
out:
	close(fd);
	return result;
}

/* ---- characters ---- */

/* Length of the UTF-8 sequence at p (at most `left` bytes) and its code point; 0 when it is not
 * UTF-8. */
static size_t utf8_decode(const unsigned char *p, size_t left, uint32_t *ret_point)
{
	static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = p[0] < 0x80                   ? 1
			: p[0] >= 0xC2 && p[0] < 0xE0 ? 2
			: p[0] >= 0xE0 && p[0] < 0xF0 ? 3
			: p[0] >= 0xF0 && p[0] < 0xF5 ? 4
						      : 0;
	uint32_t point;

	if (length == 0 || length > left)
		return 0;
	point = length == 1 ? p[0] : p[0] & (0x7Fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0;
		point = point << 6 | (p[i] & 0x3F);
	}
	if (point < smallest[length] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000))
		return 0;
	*ret_point = point;
	return length;
}

static bool character_allowed(uint32_t c)
{
	if (c < 0x20)
		return c == '\t' || c == '\n' || c == '\r';
	/* U+FEFF, the byte order mark, is stripped at the start and an accident anywhere else. */
	return (c < 0x7F || c == 0x85 || c >= 0xA0) && c != 0xFEFF && c != 0xFFFE && c != 0xFFFF;
}

/* Every character is one that YAML allows; libyaml would say so too, but without line and column.
 */
static int check_characters(struct place place, const unsigned char *text, size_t size,
			    struct error *e)
{
	for (size_t i = 0; i < size;) {
		uint32_t point = 0;
		size_t length = 1;

		if (text[i] >= 0x20 && text[i] < 0x7F) {
			i++;
			place.column++;
			continue;
		}
		length = utf8_decode(text + i, size - i, &point);
		if (length == 0)
			return error_set(
				e, ERROR_SCENARIO, place,
				"the byte 0x%02X is not UTF-8 text; save the file as UTF-8",
				text[i]);
		if (!character_allowed(point))
			return error_set(e, ERROR_SCENARIO, place,
					 "the character U+%04X is not allowed in YAML",
					 (unsigned)point);
		i += length;
		if (point == '\n' || point == 0x85 ||
		    (point == '\r' && (i == size || text[i] != '\n')) || point == 0x2028 ||
		    point == 0x2029) {
			place.line++;
			place.column = 1;
		} else {
			place.column++;
		}
	}
	return 0;
}

/* ---- events to nodes ---- */

struct anchor {
	const char *name;
	struct yaml_node *node;
	bool open; /* we are still inside it: an alias to it would contain itself */
};

struct builder {
	yaml_parser_t parser;
	struct place start; /* of the first character: 1:1, or inside --set PATH=VALUE */
	const char *text;
	size_t size;
	struct arena *arena;
	struct error *error;
	size_t nodes, bytes;
	struct anchor anchors[YAML_ANCHORS_MAX];
	size_t anchor_count;
};

static struct place place_of(const struct builder *b, yaml_mark_t mark)
{
	struct place place = b->start;

	if (mark.line > 0)
		place.column = 1;
	place.line += (uint32_t)mark.line;
	place.column += (uint32_t)mark.column;
	return place;
}

/* The byte at a mark, to recognise a tab; 0 past the end. */
static char byte_at(const struct builder *b, yaml_mark_t mark)
{
	size_t line = 0, i = 0;

	while (line < mark.line && i < b->size)
		line += b->text[i++] == '\n';
	return i + mark.column < b->size ? b->text[i + mark.column] : '\0';
}

static int syntax_error(struct builder *b)
{
	const yaml_parser_t *p = &b->parser;
	struct place place = place_of(b, p->problem_mark);

	if (p->error == YAML_MEMORY_ERROR)
		return error_set(b->error, ERROR_MEMORY, place, "out of memory");
	if (byte_at(b, p->problem_mark) == '\t')
		return error_set(b->error, ERROR_SCENARIO, place,
				 "a tab stands here; YAML is indented with spaces");
	/* The pitfall of targets in flow style: {target: primary/node[0]}. */
	if (byte_at(b, p->problem_mark) == '[' && p->problem && strstr(p->problem, "',' or"))
		return error_set(b->error, ERROR_SCENARIO, place,
				 "not valid YAML: inside {} or [] a text with '[' needs quotes");
	if (p->context && p->context_mark.line + 1 > 0 &&
	    p->context_mark.line != p->problem_mark.line)
		return error_set(b->error, ERROR_SCENARIO, place,
				 "not valid YAML: %s, %s that began in line %u", p->problem,
				 p->context, place_of(b, p->context_mark).line);
	return error_set(b->error, ERROR_SCENARIO, place, "not valid YAML: %s%s%s",
			 p->problem ? p->problem : "unknown", p->context ? ", " : "",
			 p->context ? p->context : "");
}

static int next_event(struct builder *b, yaml_event_t *event)
{
	return yaml_parser_parse(&b->parser, event) ? 0 : syntax_error(b);
}

static struct yaml_node *new_node(struct builder *b, enum yaml_kind kind, struct place place,
				  struct place blame)
{
	struct yaml_node *node;

	if (++b->nodes > YAML_NODES_MAX) {
		error_set(b->error, ERROR_LIMIT, blame,
			  "more than %d values once every alias is expanded", YAML_NODES_MAX);
		return NULL;
	}
	node = arena_alloc(b->arena, sizeof(*node));
	node->kind = kind;
	node->place = place;
	return node;
}

static void append(struct yaml_node *parent, struct yaml_node *child)
{
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
	parent->count++;
}

/* Remember `node` under `name`, replacing an earlier anchor of that name as YAML does. */
static int anchor_add(struct builder *b, const yaml_char_t *name, struct yaml_node *node, bool open)
{
	struct anchor *anchor = NULL;

	if (!name)
		return 0;
	for (size_t i = 0; i < b->anchor_count && !anchor; i++)
		if (strcmp(b->anchors[i].name, (const char *)name) == 0)
			anchor = &b->anchors[i];
	if (!anchor && b->anchor_count == YAML_ANCHORS_MAX)
		return error_set(b->error, ERROR_LIMIT, node->place, "more than %d anchors",
				 YAML_ANCHORS_MAX);
	if (!anchor)
		anchor = &b->anchors[b->anchor_count++];
	*anchor = (struct anchor){arena_strdup(b->arena, (const char *)name), node, open};
	return 0;
}

static void anchor_close(struct builder *b, const struct yaml_node *node)
{
	for (size_t i = 0; i < b->anchor_count; i++)
		if (b->anchors[i].node == node)
			b->anchors[i].open = false;
}

static int count_text(struct builder *b, size_t length, struct place blame)
{
	b->bytes += length;
	if (b->bytes > YAML_TEXT_MAX)
		return error_set(b->error, ERROR_LIMIT, blame,
				 "more than %zu bytes of text once every alias is expanded",
				 YAML_TEXT_MAX);
	return 0;
}

static struct yaml_node *copy_node(struct builder *b, const struct yaml_node *from,
				   struct place blame, int depth)
{
	struct yaml_node *node;

	if (from->kind != YAML_KIND_SCALAR && depth > YAML_DEPTH_MAX) {
		error_set(b->error, ERROR_LIMIT, blame,
			  "lists and mappings nested more than %d deep", YAML_DEPTH_MAX);
		return NULL;
	}
	node = new_node(b, from->kind, from->place, blame);
	if (!node || count_text(b, from->length, blame) < 0)
		return NULL;
	node->style = from->style;
	node->flow = from->flow;
	node->text = from->text;
	node->length = from->length;
	for (const struct yaml_node *child = from->first; child; child = child->next) {
		struct yaml_node *copy = copy_node(b, child, blame, depth + 1);

		if (!copy || (child->key && count_text(b, child->key->length, blame) < 0))
			return NULL;
		copy->key = child->key; /* keys never change: shared */
		b->nodes += child->key != NULL;
		append(node, copy);
	}
	return node;
}

static struct yaml_node *build_alias(struct builder *b, const yaml_event_t *event, int depth)
{
	const char *name = (const char *)event->data.alias.anchor;
	struct place place = place_of(b, event->start_mark);
	char quoted[YAML_QUOTE_MAX];

	for (size_t i = 0; i < b->anchor_count; i++) {
		if (strcmp(b->anchors[i].name, name) != 0)
			continue;
		if (!b->anchors[i].open)
			return copy_node(b, b->anchors[i].node, place, depth);
		error_set(b->error, ERROR_SCENARIO, place,
			  "the alias '*%s' stands inside what it names", yaml_quote(name, quoted));
		return NULL;
	}
	error_set(b->error, ERROR_SCENARIO, place, "the alias '*%s' names no anchor before it",
		  yaml_quote(name, quoted));
	return NULL;
}

static int refuse_tag(struct builder *b, const yaml_char_t *tag, yaml_mark_t mark)
{
	static const char standard[] = "tag:yaml.org,2002:";
	const char *name = (const char *)tag, *prefix = "";
	char quoted[YAML_QUOTE_MAX];

	if (!tag)
		return 0;
	if (strncmp(name, standard, strlen(standard)) == 0) {
		name += strlen(standard);
		prefix = "!!";
	}
	return error_set(b->error, ERROR_SCENARIO, place_of(b, mark),
			 "the tag '%s%s' is not supported; leave it out", prefix,
			 yaml_quote(name, quoted));
}

static enum yaml_style style_of(yaml_scalar_style_t style)
{
	switch (style) {
	case YAML_SINGLE_QUOTED_SCALAR_STYLE:
		return YAML_STYLE_SINGLE;
	case YAML_DOUBLE_QUOTED_SCALAR_STYLE:
		return YAML_STYLE_DOUBLE;
	case YAML_LITERAL_SCALAR_STYLE:
		return YAML_STYLE_LITERAL;
	case YAML_FOLDED_SCALAR_STYLE:
		return YAML_STYLE_FOLDED;
	case YAML_ANY_SCALAR_STYLE:
	case YAML_PLAIN_SCALAR_STYLE:
		break;
	}
	return YAML_STYLE_PLAIN;
}

static struct yaml_node *build_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	size_t length = event->data.scalar.length;
	struct place place = place_of(b, event->start_mark);
	struct yaml_node *node;

	if (refuse_tag(b, event->data.scalar.tag, event->start_mark) < 0)
		return NULL;
	if (memchr(text, '\0', length)) {
		error_set(b->error, ERROR_SCENARIO, place,
			  "a text cannot hold the character U+0000");
		return NULL;
	}
	node = new_node(b, YAML_KIND_SCALAR, place, place);
	if (!node || count_text(b, length, place) < 0)
		return NULL;
	node->style = style_of(event->data.scalar.style);
	node->text = arena_strndup(b->arena, text, length);
	node->length = length;
	return anchor_add(b, event->data.scalar.anchor, node, false) < 0 ? NULL : node;
}

static int compare_keys(const void *a, const void *b)
{
	const struct yaml_node *x = (*(const struct yaml_node *const *)a)->key;
	const struct yaml_node *y = (*(const struct yaml_node *const *)b)->key;
	int order = strcmp(x->text, y->text);

	if (order != 0)
		return order;
	if (x->place.line != y->place.line)
		return x->place.line < y->place.line ? -1 : 1;
	return x->place.column < y->place.column ? -1 : x->place.column > y->place.column;
}

/* The first key, in the order of the file, that has been there before. Sorted: a big mapping must
 * not cost n². */
static int check_duplicates(struct builder *b, const struct yaml_node *map)
{
	const struct yaml_node **sorted, *worst = NULL, *earlier = NULL;
	size_t n = 0;
	char quoted[YAML_QUOTE_MAX];

	if (map->count < 2)
		return 0;
	sorted = arena_array(b->arena, map->count, sizeof(struct yaml_node *));
	for (const struct yaml_node *child = map->first; child; child = child->next)
		sorted[n++] = child;
	qsort(sorted, n, sizeof(struct yaml_node *), compare_keys);
	for (size_t i = 1; i < n; i++) {
		const struct place *p = &sorted[i]->key->place;

		if (strcmp(sorted[i]->key->text, sorted[i - 1]->key->text) != 0)
			continue;
		if (!worst || p->line < worst->place.line ||
		    (p->line == worst->place.line && p->column < worst->place.column)) {
			worst = sorted[i]->key;
			earlier = sorted[i - 1]->key;
		}
	}
	if (!worst)
		return 0;
	return error_set(b->error, ERROR_SCENARIO, worst->place,
			 "the key '%s' is already there, in line %u",
			 yaml_quote(worst->text, quoted), earlier->place.line);
}

static struct yaml_node *build_node(struct builder *b, const yaml_event_t *event, int depth);

/* Read the children of a list or mapping up to its end event. */
static int build_children(struct builder *b, struct yaml_node *parent, yaml_event_type_t end,
			  int depth)
{
	struct yaml_node *key = NULL;
	yaml_event_t event;

	for (;;) {
		struct yaml_node *child;
		yaml_event_type_t type;

		if (next_event(b, &event) < 0)
			return -1;
		type = event.type;
		child = type == end ? NULL : build_node(b, &event, depth + 1);
		yaml_event_delete(&event);
		if (type == end)
			return 0;
		if (!child)
			return -1;
		if (parent->kind == YAML_KIND_LIST) {
			append(parent, child);
			continue;
		}
		if (key) {
			child->key = key;
			append(parent, child);
			key = NULL;
			continue;
		}
		if (child->kind != YAML_KIND_SCALAR)
			return error_set(b->error, ERROR_SCENARIO, child->place,
					 "a key must be a word, not %s", yaml_describe(child));
		if (child->length == 0)
			return error_set(b->error, ERROR_SCENARIO, child->place, "a key is empty");
		if (child->style == YAML_STYLE_PLAIN && yaml_is(child, "<<"))
			return error_set(b->error, ERROR_SCENARIO, child->place,
					 "merge keys ('<<') are not supported; write the keys out");
		key = child;
	}
}

static struct yaml_node *build_collection(struct builder *b, const yaml_event_t *event, int depth)
{
	bool list = event->type == YAML_SEQUENCE_START_EVENT;
	const yaml_char_t *anchor =
		list ? event->data.sequence_start.anchor : event->data.mapping_start.anchor;
	const yaml_char_t *tag =
		list ? event->data.sequence_start.tag : event->data.mapping_start.tag;
	struct place place = place_of(b, event->start_mark);
	struct yaml_node *node;

	if (refuse_tag(b, tag, event->start_mark) < 0)
		return NULL;
	if (depth > YAML_DEPTH_MAX) {
		error_set(b->error, ERROR_LIMIT, place,
			  "lists and mappings nested more than %d deep", YAML_DEPTH_MAX);
		return NULL;
	}
	node = new_node(b, list ? YAML_KIND_LIST : YAML_KIND_MAP, place, place);
	if (!node || anchor_add(b, anchor, node, true) < 0)
		return NULL;
	node->flow = list ? event->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
			  : event->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;
	if (build_children(b, node, list ? YAML_SEQUENCE_END_EVENT : YAML_MAPPING_END_EVENT,
			   depth) < 0)
		return NULL;
	anchor_close(b, node);
	return list || check_duplicates(b, node) == 0 ? node : NULL;
}

static struct yaml_node *build_node(struct builder *b, const yaml_event_t *event, int depth)
{
	if (event->type == YAML_ALIAS_EVENT)
		return build_alias(b, event, depth);
	if (event->type == YAML_SCALAR_EVENT)
		return build_scalar(b, event);
	assert(event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT);
	return build_collection(b, event, depth);
}

/* The events around the one document: stream start, document start, the root, document end, stream
 * end. */
static struct yaml_node *build_document(struct builder *b, bool may_be_empty)
{
	struct yaml_node *root = NULL;
	yaml_event_t event;
	bool documents = false;

	for (;;) {
		yaml_event_type_t type;

		if (next_event(b, &event) < 0)
			return NULL;
		type = event.type;
		if (type == YAML_DOCUMENT_START_EVENT && documents)
			error_set(b->error, ERROR_SCENARIO, place_of(b, event.start_mark),
				  "a second YAML document starts here; only one is allowed");
		else if (type == YAML_DOCUMENT_START_EVENT)
			documents = true;
		else if (type == YAML_STREAM_END_EVENT && !documents && !may_be_empty)
			error_set(b->error, ERROR_SCENARIO, b->start, "there is nothing in it");
		else if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
			 type != YAML_DOCUMENT_END_EVENT)
			root = build_node(b, &event, 1);
		yaml_event_delete(&event);
		if (b->error->kind != ERROR_NONE)
			return NULL;
		if (type == YAML_STREAM_END_EVENT)
			break;
	}
	if (!root) {
		root = new_node(b, YAML_KIND_SCALAR, b->start, b->start);
		root->text = "";
	}
	return root;
}

static int parse_from(struct place start, const char *text, size_t size, bool may_be_empty,
		      struct arena *arena, struct yaml_node **ret_root, struct error *e)
{
	struct error local = {0};
	struct builder *b;
	struct yaml_node *root;

	if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
		text += 3;
		size -= 3;
	}
	if (check_characters(start, (const unsigned char *)text, size, e) < 0)
		return -1;
	b = arena_alloc(arena, sizeof(*b));
	b->start = start;
	b->text = text;
	b->size = size;
	b->arena = arena;
	b->error = &local;
	if (!yaml_parser_initialize(&b->parser))
		return error_set(e, ERROR_MEMORY, start, "out of memory");
	yaml_parser_set_encoding(&b->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b->parser, (const unsigned char *)text, size);
	root = build_document(b, may_be_empty);
	yaml_parser_delete(&b->parser);
	if (!root)
		return error_set(e, local.kind, local.place, "%s", local.text);
	*ret_root = root;
	return 0;
}

int yaml_parse(const char *file, const char *text, size_t size, struct arena *arena,
	       struct yaml_node **ret_root, struct error *e)
{
	struct place start = {file, 1, 1};

	if (size > YAML_FILE_MAX)
		return error_set(e, ERROR_LIMIT, start, "the text has %zu bytes; the limit is %zu",
				 size, YAML_FILE_MAX);
	return parse_from(start, text, size, false, arena, ret_root, e);
}

/* ---- --set PATH=VALUE ---- */

struct override {
	const char *text;   /* PATH=VALUE */
	const char *at;     /* the part of PATH that is read now */
	const char *equals; /* where VALUE begins, less one */
	struct place place; /* of the whole */
	struct arena *arena;
};

static struct place override_place(const struct override *o, const char *at)
{
	return (struct place){o->place.file, 1, (uint32_t)(at - o->text) + 1};
}

/* Replace `child` of `parent` by `fresh`, which takes over its key. */
static void replace(struct yaml_node *parent, struct yaml_node *child, struct yaml_node *fresh)
{
	struct yaml_node **link = &parent->first;

	while (*link != child) {
		assert(*link);
		link = &(*link)->next;
	}
	fresh->key = child->key;
	fresh->next = child->next;
	*link = fresh;
	if (parent->last == child)
		parent->last = fresh;
}

static struct yaml_node *new_member(struct override *o, struct yaml_node *parent, const char *name,
				    size_t length)
{
	struct yaml_node *key = arena_alloc(o->arena, sizeof(*key)),
			 *value = arena_alloc(o->arena, sizeof(*value));

	key->text = arena_strndup(o->arena, name, length);
	key->length = length;
	key->place = value->place = override_place(o, name);
	value->text = "";
	value->key = key;
	append(parent, value);
	return value;
}

/* One `key` of the path. A value that is nothing yet becomes a mapping. */
static struct yaml_node *step_key(struct override *o, struct yaml_node *parent, struct error *e)
{
	size_t length = strcspn(o->at, ".[=");
	const char *name = o->at;
	char quoted[YAML_QUOTE_MAX];

	if (length == 0 || name + length > o->equals) {
		error_set(e, ERROR_USAGE, override_place(o, o->at),
			  "a key is expected here, as in steps[0].at=10m");
		return NULL;
	}
	o->at += length;
	if (yaml_is_null(parent)) {
		parent->kind = YAML_KIND_MAP;
		parent->text = NULL;
		parent->length = 0;
	}
	if (parent->kind != YAML_KIND_MAP) {
		error_set(e, ERROR_USAGE, override_place(o, name),
			  "'%s' cannot be set: what it would stand in is %s, not a mapping",
			  yaml_quote(arena_strndup(o->arena, name, length), quoted),
			  yaml_describe(parent));
		return NULL;
	}
	for (struct yaml_node *child = parent->first; child; child = child->next)
		if (child->key->length == length && memcmp(child->key->text, name, length) == 0)
			return child;
	return new_member(o, parent, name, length);
}

/* One `[n]` of the path. */
static struct yaml_node *step_index(struct override *o, struct yaml_node *parent, struct error *e)
{
	const char *at = o->at + 1;
	struct yaml_node *child = parent->first;
	size_t index = 0, digits = 0;

	for (; at[digits] >= '0' && at[digits] <= '9' && digits < 9; digits++)
		index = index * 10 + (size_t)(at[digits] - '0');
	if (digits == 0 || at[digits] != ']' || at + digits > o->equals) {
		error_set(e, ERROR_USAGE, override_place(o, at),
			  "an index is expected here, counted from 0, as in [2]");
		return NULL;
	}
	if (parent->kind != YAML_KIND_LIST) {
		error_set(e, ERROR_USAGE, override_place(o, o->at),
			  "[%zu] cannot be set: this is %s, not a list", index,
			  yaml_describe(parent));
		return NULL;
	}
	if (index >= parent->count) {
		error_set(e, ERROR_USAGE, override_place(o, o->at),
			  "[%zu] does not exist: the list has %zu item%s", index, parent->count,
			  parent->count == 1 ? "" : "s");
		return NULL;
	}
	o->at = at + digits + 1;
	while (index-- > 0)
		child = child->next;
	return child;
}

int yaml_override(struct yaml_node *root, const char *assignment, struct arena *arena,
		  struct error *e)
{
	struct override o = {.text = assignment, .at = assignment, .arena = arena};
	struct yaml_node *parent = NULL, *node = root, *value = NULL;
	size_t size = strlen(assignment);
	int depth = 0;
	char quoted[YAML_QUOTE_MAX];

	o.place = (struct place){arena_printf(arena, "--set %s", yaml_quote(assignment, quoted)), 1,
				 1};
	o.equals = strchr(assignment, '=');
	if (!o.equals)
		return error_set(e, ERROR_USAGE, o.place,
				 "PATH=VALUE is expected, as in duration=2h");
	if (size > YAML_FILE_MAX)
		return error_set(e, ERROR_LIMIT, o.place,
				 "the text has %zu bytes; the limit is %zu", size, YAML_FILE_MAX);
	do {
		parent = node;
		node = depth > 0 && *o.at == '[' ? step_index(&o, parent, e)
						 : step_key(&o, parent, e);
		if (!node)
			return -1;
		if (++depth > YAML_DEPTH_MAX)
			return error_set(e, ERROR_LIMIT, override_place(&o, o.at),
					 "a path more than %d deep", YAML_DEPTH_MAX);
		if (*o.at == '.')
			o.at++;
		else if (*o.at != '[' && o.at != o.equals)
			return error_set(e, ERROR_USAGE, override_place(&o, o.at),
					 "'.', '[' or '=' is expected here");
		else if (o.at == o.equals)
			break;
	} while (true);
	if (parse_from(override_place(&o, o.equals + 1), o.equals + 1,
		       size - (size_t)(o.equals + 1 - assignment), true, arena, &value, e) < 0 ||
	    !value)
		return -1;
	replace(parent, node, value);
	return 0;
}

/* ---- nodes to text ---- */

struct output {
	struct arena *arena;
	char *text;
	size_t used, capacity;
};

static int write_output(void *data, unsigned char *bytes, size_t size)
{
	struct output *out = data;

	if (out->used + size + 1 > out->capacity) {
		size_t capacity = 2 * (out->used + size + 1);
		char *larger = arena_alloc(out->arena, capacity);

		if (out->used > 0)
			memcpy(larger, out->text, out->used);
		out->text = larger;
		out->capacity = capacity;
	}
	memcpy(out->text + out->used, bytes, size);
	out->used += size;
	out->text[out->used] = '\0';
	return 1;
}

static bool emit_scalar(yaml_emitter_t *emitter, const struct yaml_node *node)
{
	static const yaml_scalar_style_t styles[] = {
		[YAML_STYLE_PLAIN] = YAML_PLAIN_SCALAR_STYLE,
		[YAML_STYLE_SINGLE] = YAML_SINGLE_QUOTED_SCALAR_STYLE,
		[YAML_STYLE_DOUBLE] = YAML_DOUBLE_QUOTED_SCALAR_STYLE,
		[YAML_STYLE_LITERAL] = YAML_LITERAL_SCALAR_STYLE,
		[YAML_STYLE_FOLDED] = YAML_FOLDED_SCALAR_STYLE,
	};
	/* An empty plain scalar would come back quoted, which is a text and no longer nothing. */
	bool nothing = node->style == YAML_STYLE_PLAIN && node->length == 0;
	yaml_event_t event;

	return yaml_scalar_event_initialize(
		       &event, NULL, NULL, (const yaml_char_t *)(nothing ? "null" : node->text),
		       nothing ? 4 : (int)node->length, 1, 1, styles[node->style]) &&
	       yaml_emitter_emit(emitter, &event);
}

static bool emit_node(yaml_emitter_t *emitter, const struct yaml_node *node)
{
	bool list = node->kind == YAML_KIND_LIST;
	yaml_event_t event;

	if (node->kind == YAML_KIND_SCALAR)
		return emit_scalar(emitter, node);
	if (list ? !yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
							 node->flow ? YAML_FLOW_SEQUENCE_STYLE
								    : YAML_BLOCK_SEQUENCE_STYLE)
		 : !yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
							node->flow ? YAML_FLOW_MAPPING_STYLE
								   : YAML_BLOCK_MAPPING_STYLE))
		return false;
	if (!yaml_emitter_emit(emitter, &event))
		return false;
	for (const struct yaml_node *child = node->first; child; child = child->next)
		if ((child->key && !emit_scalar(emitter, child->key)) || !emit_node(emitter, child))
			return false;
	return (list ? yaml_sequence_end_event_initialize(&event)
		     : yaml_mapping_end_event_initialize(&event)) &&
	       yaml_emitter_emit(emitter, &event);
}

static bool emit_document(yaml_emitter_t *emitter, const struct yaml_node *root)
{
	yaml_event_t event;

	return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
	       yaml_emitter_emit(emitter, &event) &&
	       yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
	       yaml_emitter_emit(emitter, &event) && emit_node(emitter, root) &&
	       yaml_document_end_event_initialize(&event, 1) &&
	       yaml_emitter_emit(emitter, &event) && yaml_stream_end_event_initialize(&event) &&
	       yaml_emitter_emit(emitter, &event);
}

int yaml_emit(const struct yaml_node *root, struct arena *arena, char **ret_text, size_t *ret_size,
	      struct error *e)
{
	struct output out = {.arena = arena};
	yaml_emitter_t emitter;
	bool done;

	if (!yaml_emitter_initialize(&emitter))
		return error_set(e, ERROR_MEMORY, root->place, "out of memory");
	yaml_emitter_set_output(&emitter, write_output, &out);
	yaml_emitter_set_unicode(&emitter, 1);
	yaml_emitter_set_width(&emitter, -1);
	done = emit_document(&emitter, root);
	if (!done)
		error_set(e, ERROR_SCENARIO, root->place, "cannot be written as YAML: %s",
			  emitter.problem ? emitter.problem : "out of memory");
	yaml_emitter_delete(&emitter);
	if (!done)
		return -1;
	*ret_text = out.text;
	*ret_size = out.used;
	return 0;
}
