/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML as a tree of nodes that know their place: scalars, lists and mappings, read through
 * libyaml's events. Aliases are copied out, so that the tree is a tree; everything a hostile file
 * can blow up has a limit with a name.
 */
#ifndef CORE_YAML_H
#define CORE_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/error.h"

#define YAML_FILE_MAX ((size_t)4 << 20)  /* bytes of one file */
#define YAML_DEPTH_MAX 32                /* lists and mappings inside one another */
#define YAML_NODES_MAX 500000            /* scalars, keys, lists and mappings, aliases expanded */
#define YAML_ANCHORS_MAX 256             /* anchors in one file */
#define YAML_TEXT_MAX ((size_t)16 << 20) /* bytes of all scalars together, aliases expanded */

enum yaml_kind {
	YAML_KIND_SCALAR,
	YAML_KIND_LIST,
	YAML_KIND_MAP
};
enum yaml_style {
	YAML_STYLE_PLAIN,
	YAML_STYLE_SINGLE,
	YAML_STYLE_DOUBLE,
	YAML_STYLE_LITERAL,
	YAML_STYLE_FOLDED
};

/* One node. Lists and mappings chain their children by `next`; a child of a mapping has its key
 * node in `key`. */
struct yaml_node {
	enum yaml_kind kind;
	enum yaml_style style; /* scalars: how it was written; PLAIN means without quotes */
	bool flow;             /* lists and mappings: written with [] or {} */
	struct place place;
	const char *text; /* scalars: without quotes, NUL-terminated, no NUL inside; else NULL */
	size_t length;    /* of text */
	struct yaml_node *key; /* a scalar, or NULL outside mappings */
	struct yaml_node *first, *last, *next;
	size_t count; /* children */
};

/*
 * Read a regular file of at most `limit` bytes whole. Folders, pipes and devices are refused before
 * anything is read. The text lives in `arena` with a NUL after its last byte. Fails with ERROR_IO
 * or ERROR_LIMIT.
 */
int yaml_read_file(const char *path, size_t limit, struct arena *arena, char **ret_text,
		   size_t *ret_size, struct error *e);

/*
 * Parse one YAML document. `file` is only for places and must outlive the tree; `text` need not.
 * Refused, each with its place: text that is not UTF-8 or holds control characters, an empty file,
 * a second document, duplicate or non-scalar keys, tags, merge keys, aliases that contain
 * themselves, and whatever passes a limit above.
 */
int yaml_parse(const char *file, const char *text, size_t size, struct arena *arena,
	       struct yaml_node **ret_root, struct error *e);

/*
 * Apply one `--set PATH=VALUE` to the tree: dotted keys, `[n]` for list items from 0, VALUE is
 * YAML. Mappings that are missing on the way are created. Errors and overridden values have the
 * place "--set PATH=VALUE", line 1, and the column in PATH=VALUE.
 */
int yaml_override(struct yaml_node *root, const char *assignment, struct arena *arena,
		  struct error *e);

/* Write the tree as YAML text (block style, comments are gone); parsing it again gives an equal
 * tree. */
int yaml_emit(const struct yaml_node *root, struct arena *arena, char **ret_text, size_t *ret_size,
	      struct error *e);

/* The value of `key` in a mapping, or NULL (also when `map` is NULL or no mapping). */
struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* A plain scalar that is empty, `~` or `null`. */
bool yaml_is_null(const struct yaml_node *node);
/* A scalar that reads `text`. */
bool yaml_is(const struct yaml_node *node, const char *text);
/* "a list", "a mapping", "a single value" or "nothing", for messages. */
const char *yaml_describe(const struct yaml_node *node);

/* Copy `text` into `buffer` for a message: control characters become '?', and what is too long ends
 * in "...". */
#define YAML_QUOTE_MAX 72
const char *yaml_quote(const char *text, char buffer[YAML_QUOTE_MAX]);

#endif
