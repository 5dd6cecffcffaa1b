/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets: `primary/node[1]/gpu[3]` is read word by word from the left, each word narrowing what
 * the pattern names to a range of indices; at the end the ranges are multiplied out into entities.
 */
#include "core/target.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/param.h"
#include "core/scenario.h"

#define TARGET_SPEC_MAX 512
#define TARGET_ENTITIES_MAX 1000000 /* one pattern may match at most so many things */

/* An index in brackets: [3], [-1] or [*]. */
struct index {
	bool given, all;
	int64_t value;
};

struct range {
	uint32_t first, count;
};

struct reader {
	const char *spec, *at;
	struct place place;
	const struct scenario *scenario;
	struct arena *arena;
	struct target *target;
	size_t capacity;
	struct error *error;
	char quoted[YAML_QUOTE_MAX];
};

static int no_match(struct reader *r, const char *reason)
{
	return error_set(r->error, ERROR_TARGET, r->place, "no target matches '%s': %s", r->quoted,
			 reason);
}

/* The next word up to '/', '[' or the end; NULL with an error when there is none. */
static const char *next_word(struct reader *r)
{
	size_t length = strcspn(r->at, "/[");
	const char *word = arena_strndup(r->arena, r->at, length);

	r->at += length;
	return word;
}

static int read_index(struct reader *r, struct index *ret)
{
	const char *p = r->at;
	bool negative = false;
	int64_t value = 0;
	int digits = 0;

	*ret = (struct index){0};
	if (*p != '[')
		return 0;
	p++;
	if (p[0] == '*' && p[1] == ']') {
		*ret = (struct index){.given = true, .all = true};
		r->at = p + 2;
		return 0;
	}
	if (*p == '-') {
		negative = true;
		p++;
	}
	for (; *p >= '0' && *p <= '9' && digits < 10; p++, digits++)
		value = value * 10 + (*p - '0');
	if (digits == 0 || *p != ']')
		return no_match(r, "an index is a number in brackets counted from 0, or [*]");
	*ret = (struct index){.given = true, .value = negative ? -value : value};
	r->at = p + 1;
	return 0;
}

/* Read `[n]` or `[*]` of something of which `of` has `count`, named in the plural for the message.
 */
static int read_range(struct reader *r, const char *of, uint32_t count, const char *plural,
		      struct range *ret)
{
	struct index index;

	if (read_index(r, &index) < 0)
		return -1;
	if (!index.given)
		return no_match(r, arena_printf(r->arena, "say which of the %s of %s: [n] or [*]",
						plural, of));
	if (count == 0)
		return no_match(r, arena_printf(r->arena, "%s has no %s", of, plural));
	if (index.all) {
		*ret = (struct range){0, count};
		return 0;
	}
	if (index.value < 0 || index.value >= (int64_t)count)
		return no_match(r, count == 1 ? arena_printf(r->arena, "%s has only [0] of its %s",
							     of, plural)
					      : arena_printf(r->arena, "%s has %s [0] to [%u]", of,
							     plural, count - 1));
	*ret = (struct range){(uint32_t)index.value, 1};
	return 0;
}

static int at_end(struct reader *r)
{
	if (*r->at == '\0')
		return 0;
	return no_match(r,
			arena_printf(r->arena, "there is nothing below '%.*s'",
				     (int)(r->at - r->spec > 60 ? 60 : r->at - r->spec), r->spec));
}

/* Step over '/'; false at the end of the pattern. */
static bool descend(struct reader *r)
{
	if (*r->at != '/')
		return false;
	r->at++;
	return true;
}

static int add(struct reader *r, struct entity entity)
{
	struct entity *entities = (struct entity *)r->target->entities;

	if (r->target->count >= TARGET_ENTITIES_MAX)
		return error_set(r->error, ERROR_LIMIT, r->place,
				 "'%s' matches more than %d things", r->quoted,
				 TARGET_ENTITIES_MAX);
	entities =
		arena_grow(r->arena, entities, r->target->count, &r->capacity, sizeof(*entities));
	entities[r->target->count++] = entity;
	r->target->entities = entities;
	return 0;
}

/* What `suggest` finds near `word`, or the list of what there is, as the reason of a failure. */
static int unknown_word(struct reader *r, const char *what, const char *word,
			const char *const *words)
{
	const char *suggestion = param_suggest(word, words);
	const char *all = "";
	char quoted[YAML_QUOTE_MAX];

	yaml_quote(word, quoted);
	if (suggestion)
		return no_match(r, arena_printf(r->arena, "unknown %s '%s'; did you mean '%s'?",
						what, quoted, suggestion));
	for (size_t i = 0; words[i] && strlen(all) < 200; i++)
		all = arena_printf(r->arena, "%s%s%s", all, i > 0 ? ", " : "", words[i]);
	return no_match(r, arena_printf(r->arena, "unknown %s '%s'; there %s %s", what, quoted,
					words[0] && !words[1] ? "is" : "are",
					words[0] ? all : "none"));
}

/* ---- sites and what stands in them ---- */

static int add_gpus(struct reader *r, uint32_t site, struct range nodes)
{
	const struct site *s = &r->scenario->deployment.sites[site];
	struct range gpus = {0};

	if (strcmp(next_word(r), "gpu") != 0)
		return no_match(r, "below a node there is only gpu[n]");
	if (read_range(r, arena_printf(r->arena, "a node of site '%s'", s->name), s->gpus, "GPUs",
		       &gpus) < 0 ||
	    at_end(r) < 0)
		return -1;
	for (uint32_t n = 0; n < nodes.count; n++)
		for (uint32_t g = 0; g < gpus.count; g++)
			if (add(r, (struct entity){ENTITY_GPU, site, (int32_t)(nodes.first + n),
						   gpus.first + g}) < 0)
				return -1;
	return 0;
}

static int resolve_site(struct reader *r, uint32_t site)
{
	const struct site *s = &r->scenario->deployment.sites[site];
	const char *of = arena_printf(r->arena, "site '%s'", s->name), *word;
	struct range range = {0};
	bool rack;

	if (!descend(r))
		return at_end(r) < 0 ? -1
				     : add(r, (struct entity){.kind = ENTITY_SITE, .site = site});
	word = next_word(r);
	rack = strcmp(word, "rack") == 0;
	if (!rack && strcmp(word, "node") != 0)
		return no_match(r, "below a site there are rack[n], node[n] and node[n]/gpu[n]");
	if (read_range(r, of, rack ? s->racks : s->nodes, rack ? "racks" : "nodes", &range) < 0)
		return -1;
	if (!rack && descend(r))
		return add_gpus(r, site, range);
	if (at_end(r) < 0)
		return -1;
	for (uint32_t i = 0; i < range.count; i++)
		if (add(r, (struct entity){rack ? ENTITY_RACK : ENTITY_NODE, site,
					   (int32_t)(range.first + i), 0}) < 0)
			return -1;
	return 0;
}

static int resolve_site_name(struct reader *r, const char *word)
{
	const struct deployment *d = &r->scenario->deployment;
	static const char *const others[] = {"store",         "standby",   "region/NAME",
					     "endpoint/NAME", "data/NAME", "backup[-1]",
					     "link[A-B]",     "job/NAME"};
	const size_t other_count = sizeof(others) / sizeof(others[0]);
	const char **words;

	for (uint32_t i = 0; i < d->site_count; i++)
		if (strcmp(d->sites[i].name, word) == 0)
			return resolve_site(r, i);
	words = arena_array(r->arena, d->site_count + other_count + 1, sizeof(*words));
	for (size_t i = 0; i < d->site_count; i++)
		words[i] = d->sites[i].name;
	if (!param_suggest(word, words))
		memcpy(&words[d->site_count], others, sizeof(others));
	if (!param_suggest(word, words))
		memset(&words[d->site_count], 0, sizeof(others));
	return unknown_word(r, "site", word, words);
}

/* All sites of a region. Its name is whatever the sites say: the rest of the target. */
static int resolve_region(struct reader *r)
{
	const struct deployment *d = &r->scenario->deployment;
	const char **words = arena_array(r->arena, d->site_count + 1, sizeof(*words)), *name;

	if (!descend(r))
		return no_match(r, "say which region: region/NAME");
	name = r->at;
	for (uint32_t i = 0; i < d->site_count; i++) {
		words[i] = d->sites[i].region;
		if (strcmp(words[i], name) == 0 &&
		    add(r, (struct entity){.kind = ENTITY_SITE, .site = i}) < 0)
			return -1;
	}
	return r->target->count > 0 ? 0 : unknown_word(r, "region", name, words);
}

static int resolve_standby(struct reader *r)
{
	const struct deployment *d = &r->scenario->deployment;

	for (uint32_t i = 0; i < d->site_count; i++) {
		if (d->sites[i].standby.heat == HEAT_NONE)
			continue;
		if (*r->at == '/')
			return resolve_site(r, i);
		return at_end(r) < 0 ? -1
				     : add(r, (struct entity){.kind = ENTITY_STANDBY, .site = i});
	}
	return no_match(r, "no site has 'standby'");
}

/* ---- links, endpoints, data, backups ---- */

/* Every name a link goes by, for the suggestion; thousands of them are not kept. */
static int unknown_link(struct reader *r, const char *name)
{
	const struct deployment *d = &r->scenario->deployment;
	struct arena scratch = {0};
	const char **words = arena_array(&scratch, 2 * d->link_count + 1, sizeof(*words));
	int result;

	for (size_t i = 0; i < d->link_count; i++) {
		const char *a = d->sites[d->links[i].site[0]].name;
		const char *b = d->sites[d->links[i].site[1]].name;

		words[2 * i] = arena_printf(&scratch, "%s-%s", a, b);
		words[2 * i + 1] = arena_printf(&scratch, "%s-%s", b, a);
	}
	result = unknown_word(r, "link", name, words);
	arena_free(&scratch);
	return result;
}

/* "a-b"; names may hold a '-' themselves, so the text cannot be cut there. */
static bool is_pair(const char *name, const char *a, const char *b)
{
	size_t length = strlen(a);

	return strncmp(name, a, length) == 0 && name[length] == '-' &&
	       strcmp(name + length + 1, b) == 0;
}

static int resolve_link(struct reader *r)
{
	const struct deployment *d = &r->scenario->deployment;
	size_t length = strcspn(r->at + 1, "]");
	const char *name = arena_strndup(r->arena, r->at + 1, length);
	bool all = strcmp(name, "*") == 0;

	if (r->at[1 + length] != ']')
		return no_match(r, "a link is written link[SITE-SITE]");
	if (d->link_count == 0)
		return no_match(r, "no links are declared");
	r->at += length + 2;
	if (at_end(r) < 0)
		return -1;
	for (size_t i = 0; i < d->link_count; i++) {
		const char *a = d->sites[d->links[i].site[0]].name;
		const char *b = d->sites[d->links[i].site[1]].name;

		if (!all && !is_pair(name, a, b) && !is_pair(name, b, a))
			continue;
		if (add(r, (struct entity){.kind = ENTITY_LINK, .index = (int32_t)i}) < 0)
			return -1;
	}
	return r->target->count > 0 ? 0 : unknown_link(r, name);
}

static int resolve_endpoint(struct reader *r)
{
	const struct deployment *d = &r->scenario->deployment;
	const char **words = arena_array(r->arena, d->endpoint_count + 1, sizeof(*words)), *name;
	struct range range = {0};
	uint32_t i = 0;

	if (!descend(r))
		return no_match(r, "say which endpoint: endpoint/NAME");
	name = next_word(r);
	for (i = 0; i < d->endpoint_count; i++)
		words[i] = d->endpoints[i].name;
	for (i = 0; i < d->endpoint_count && strcmp(words[i], name) != 0; i++)
		;
	if (i == d->endpoint_count)
		return unknown_word(r, "endpoint", name, words);
	if (!descend(r))
		return at_end(r) < 0 ? -1
				     : add(r, (struct entity){.kind = ENTITY_ENDPOINT,
							      .index = (int32_t)i});
	if (strcmp(next_word(r), "replica") != 0)
		return no_match(r, "below an endpoint there is only replica[n]");
	if (read_range(r, arena_printf(r->arena, "endpoint '%s'", name), d->endpoints[i].replicas,
		       "replicas", &range) < 0 ||
	    at_end(r) < 0)
		return -1;
	for (uint32_t n = 0; n < range.count; n++)
		if (add(r, (struct entity){ENTITY_REPLICA, 0, (int32_t)i, range.first + n}) < 0)
			return -1;
	return 0;
}

static int resolve_checkpoint(struct reader *r, uint32_t job)
{
	struct index index;

	if (read_index(r, &index) < 0 || at_end(r) < 0)
		return -1;
	if (!index.given || index.all)
		return no_match(r, "checkpoints come to exist during the drill; name one: ckpt[-1] "
				   "is the newest");
	if (index.value > INT32_MAX || index.value < -INT32_MAX)
		return no_match(r, "there will never be so many checkpoints");
	return add(r, (struct entity){.kind = ENTITY_CHECKPOINT,
				      .index = (int32_t)job,
				      .part = (uint32_t)(int32_t)index.value});
}

static int resolve_job(struct reader *r)
{
	const struct deployment *d = &r->scenario->deployment;
	const char **words = arena_array(r->arena, d->job_count + 1, sizeof(*words)), *name;
	struct range range = {0};
	uint32_t i = 0;

	if (!descend(r))
		return no_match(r, "say which job: job/NAME");
	name = next_word(r);
	for (i = 0; i < d->job_count; i++)
		words[i] = d->jobs[i].name;
	for (i = 0; i < d->job_count && strcmp(words[i], name) != 0; i++)
		;
	if (i == d->job_count)
		return unknown_word(r, "job", name, words);
	if (!descend(r))
		return at_end(r) < 0
			       ? -1
			       : add(r, (struct entity){.kind = ENTITY_JOB, .index = (int32_t)i});
	const char *below = next_word(r);
	if (strcmp(below, "ckpt") == 0)
		return resolve_checkpoint(r, i);
	if (strcmp(below, "rank") != 0)
		return no_match(r, "below a job there are rank[n] and ckpt[-1]");
	if (read_range(r, arena_printf(r->arena, "job '%s'", name), d->jobs[i].nodes, "ranks",
		       &range) < 0 ||
	    at_end(r) < 0)
		return -1;
	for (uint32_t n = 0; n < range.count; n++)
		if (add(r, (struct entity){ENTITY_RANK, 0, (int32_t)i, range.first + n}) < 0)
			return -1;
	return 0;
}

static int resolve_data(struct reader *r)
{
	const char *words[DATA_CLASSES + 1] = {0}, *name;
	size_t count = 0;

	for (size_t i = 0; i < DATA_CLASSES; i++)
		if (r->scenario->deployment.data[i].declared)
			words[count++] = data_class_names[i];
	if (!descend(r))
		return no_match(r, "say which data class: data/NAME");
	name = next_word(r);
	if (at_end(r) < 0)
		return -1;
	for (size_t i = 0; i < DATA_CLASSES; i++)
		if (r->scenario->deployment.data[i].declared &&
		    strcmp(data_class_names[i], name) == 0)
			return add(r, (struct entity){.kind = ENTITY_DATA, .index = (int32_t)i});
	return unknown_word(r, "data class", name, words);
}

static int resolve_backup(struct reader *r)
{
	struct index index;

	if (read_index(r, &index) < 0 || at_end(r) < 0)
		return -1;
	if (index.all)
		return no_match(r, "backups come to exist during the drill; name one: backup[-1] "
				   "is the newest");
	if (index.value > INT32_MAX || index.value < -INT32_MAX)
		return no_match(r, "there will never be so many backups");
	if (r->scenario->policy_count == 0)
		return no_match(r, "no 'backup' is declared");
	return add(r, (struct entity){.kind = ENTITY_BACKUP, .index = (int32_t)index.value});
}

static int resolve(struct reader *r)
{
	const char *word = next_word(r);

	if (*word == '\0')
		return no_match(r, "a target begins with a name, such as primary/node[1]/gpu[3]");
	if (strcmp(word, "link") == 0 && *r->at == '[')
		return resolve_link(r);
	if (strcmp(word, "backup") == 0 && *r->at == '[')
		return resolve_backup(r);
	if (strcmp(word, "endpoint") == 0)
		return resolve_endpoint(r);
	if (strcmp(word, "data") == 0)
		return resolve_data(r);
	if (strcmp(word, "standby") == 0)
		return resolve_standby(r);
	if (strcmp(word, "region") == 0)
		return resolve_region(r);
	if (strcmp(word, "job") == 0)
		return resolve_job(r);
	if (strcmp(word, "store") == 0) {
		if (at_end(r) < 0)
			return -1;
		if (!r->scenario->deployment.store.declared)
			return no_match(r, "no 'store' is declared");
		return add(r, (struct entity){.kind = ENTITY_STORE});
	}
	return resolve_site_name(r, word);
}

int target_resolve(const char *spec, struct place place, const struct scenario *scenario,
		   struct arena *arena, struct target *ret_target, struct error *e)
{
	struct target target = {.spec = spec, .place = place};
	struct reader r = {.spec = spec,
			   .at = spec,
			   .place = place,
			   .scenario = scenario,
			   .arena = arena,
			   .target = &target,
			   .error = e};

	yaml_quote(spec, r.quoted);
	if (strlen(spec) > TARGET_SPEC_MAX)
		return no_match(&r, "it is too long");
	if (resolve(&r) < 0)
		return -1;
	assert(target.count > 0);
	*ret_target = target;
	return 0;
}

/* ---- selection ---- */

/* `take` of the entities with equal chance, in order (Knuth, TAOCP vol. 2, 3.4.2, algorithm S). */
static size_t sample(const struct target *target, size_t take, struct prng *prng,
		     struct entity *ret)
{
	size_t taken = 0;

	for (size_t i = 0; i < target->count && taken < take; i++)
		if (prng_below(prng, target->count - i) < take - taken)
			ret[taken++] = target->entities[i];
	return taken;
}

size_t target_select_max(const struct target *target, const struct select *select)
{
	double wanted;

	switch (select->kind) {
	case SELECT_ALL:
		return target->count;
	case SELECT_ONE:
		return 1;
	case SELECT_COUNT:
		return select->count < target->count ? select->count : target->count;
	case SELECT_FRACTION:
		wanted = floor(select->fraction * (double)target->count + 0.5);
		return wanted < 1 ? 1 : (size_t)wanted;
	}
	assert(!"every kind of selection is handled above");
	return 0;
}

size_t target_select(const struct target *target, const struct select *select, struct prng *prng,
		     struct entity *ret)
{
	switch (select->kind) {
	case SELECT_ALL:
		memcpy(ret, target->entities, target->count * sizeof(*ret));
		return target->count;
	case SELECT_ONE:
		ret[0] = target->entities[target->count == 1 ? 0 : prng_below(prng, target->count)];
		return 1;
	case SELECT_COUNT:
	case SELECT_FRACTION:
		return sample(target, target_select_max(target, select), prng, ret);
	}
	assert(!"every kind of selection is handled above");
	return 0;
}

bool entity_equal(struct entity a, struct entity b)
{
	return a.kind == b.kind && a.site == b.site && a.index == b.index && a.part == b.part;
}

const char *entity_print(struct entity entity, const struct scenario *scenario,
			 char buffer[ENTITY_TEXT_MAX])
{
	const struct deployment *d = &scenario->deployment;
	const size_t size = ENTITY_TEXT_MAX;

	switch (entity.kind) {
	case ENTITY_NONE:
		snprintf(buffer, size, "none");
		break;
	case ENTITY_SITE:
		snprintf(buffer, size, "%s", d->sites[entity.site].name);
		break;
	case ENTITY_RACK:
		snprintf(buffer, size, "%s/rack[%d]", d->sites[entity.site].name, entity.index);
		break;
	case ENTITY_NODE:
		snprintf(buffer, size, "%s/node[%d]", d->sites[entity.site].name, entity.index);
		break;
	case ENTITY_GPU:
		snprintf(buffer, size, "%s/node[%d]/gpu[%u]", d->sites[entity.site].name,
			 entity.index, entity.part);
		break;
	case ENTITY_LINK:
		snprintf(buffer, size, "link[%s-%s]", d->sites[d->links[entity.index].site[0]].name,
			 d->sites[d->links[entity.index].site[1]].name);
		break;
	case ENTITY_STORE:
		snprintf(buffer, size, "store");
		break;
	case ENTITY_ENDPOINT:
		snprintf(buffer, size, "endpoint/%s", d->endpoints[entity.index].name);
		break;
	case ENTITY_REPLICA:
		snprintf(buffer, size, "endpoint/%s/replica[%u]", d->endpoints[entity.index].name,
			 entity.part);
		break;
	case ENTITY_JOB:
		snprintf(buffer, size, "job/%s", d->jobs[entity.index].name);
		break;
	case ENTITY_RANK:
		snprintf(buffer, size, "job/%s/rank[%u]", d->jobs[entity.index].name, entity.part);
		break;
	case ENTITY_CHECKPOINT:
		snprintf(buffer, size, "job/%s/ckpt[%d]", d->jobs[entity.index].name,
			 (int32_t)entity.part);
		break;
	case ENTITY_DATA:
		snprintf(buffer, size, "data/%s", data_class_names[entity.index]);
		break;
	case ENTITY_BACKUP:
		snprintf(buffer, size, "backup[%d]", entity.index);
		break;
	case ENTITY_STANDBY:
		snprintf(buffer, size, "standby");
		break;
	case ENTITY_KINDS:
		break;
	}
	return buffer;
}
