/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `drill:` block: what a person supplies for the evidence. Everything is checked here, with its
 * place, and becomes one JSON object of one form: lists are lists, texts are texts, and what was
 * not written is not there.
 */
#include <string.h>

#include <cjson/cJSON.h>

#include "core/scenario_private.h"

#define ITEMS_MAX 64         /* of any list in the block */
#define TEXT_LENGTH_MAX 2000 /* bytes of one text */

/* In the order of reports/controls.yaml, which says what each asks for. */
const char *const framework_names[] = {"soc2",        "iso22301",    "iso27001",    "dora",
				       "nist-800-53", "nist-800-34", "nist-800-84", "hipaa",
				       "pci-dss",     "ffiec",       NULL};

static const char *const drill_severities[] = {"low", "medium", "high", "severe", NULL};
static const char *const finding_severities[] = {"info", "low", "medium", "high", NULL};
static const char *const finding_statuses[] = {"open", "in_progress", "closed", "accepted", NULL};
static const char *const signoff_decisions[] = {"accepted", "conditional", "rejected", NULL};

/* ---- the keys ---- */

struct drill_form {
	const char *purpose, *approved_by, *approved_at;
	const struct yaml_node *plan, *scope, *scenario, *schedule, *participants, *controls,
		*environment, *deviations, *findings, *signoff;
};
#define DRILL(field) offsetof(struct drill_form, field)
const struct param drill_rows[] = {
	{"purpose", PARAM_TEXT, DRILL(purpose), "", 0, 0, NULL, "Why the drill is done."},
	{"plan", PARAM_NODE, DRILL(plan), "", 0, 0, NULL, "The DR plan under test."},
	{"scope", PARAM_NODE, DRILL(scope), "", 0, 0, NULL,
	 "What the drill covers, and what it leaves out; a list alone names the systems."},
	{"scenario", PARAM_NODE, DRILL(scenario), "", 0, 0, NULL,
	 "How the scenario came about: its severity and what it assumes."},
	{"schedule", PARAM_NODE, DRILL(schedule), "", 0, 0, NULL,
	 "When the drill was due, and when the last one ran."},
	{"participants", PARAM_NODE, DRILL(participants), "", 0, 0, NULL,
	 "Who takes part, in which role, independent or not."},
	{"approved_by", PARAM_TEXT, DRILL(approved_by), "", 0, 0, NULL, "Who approved the drill."},
	{"approved_at", PARAM_TEXT, DRILL(approved_at), "", 0, 0, NULL,
	 "When: 2026-03-31 or 2026-03-31T09:00:00Z."},
	{"controls", PARAM_NODE, DRILL(controls), "", 0, 0, NULL,
	 "Frameworks that the evidence is for: soc2, iso22301, dora."},
	{"environment", PARAM_NODE, DRILL(environment), "", 0, 0, NULL,
	 "Where it runs, and whether the DR site is segregated from the primary one."},
	{"deviations", PARAM_NODE, DRILL(deviations), "", 0, 0, NULL,
	 "Where the drill departs from the plan."},
	{"findings", PARAM_NODE, DRILL(findings), "", 0, 0, NULL,
	 "Findings of earlier drills, with owner and due date."},
	{"signoff", PARAM_NODE, DRILL(signoff), "", 0, 0, NULL, "Who signed off what."},
	PARAMS_END,
};

struct plan_form {
	const char *id, *version, *sha256, *approved_by, *approved_at;
};
#define PLAN(field) offsetof(struct plan_form, field)
const struct param drill_plan_rows[] = {
	{"id", PARAM_TEXT, PLAN(id), NULL, 0, 0, NULL, "What the plan is filed under."},
	{"version", PARAM_TEXT, PLAN(version), "", 0, 0, NULL, "Its version."},
	{"sha256", PARAM_TEXT, PLAN(sha256), "", 0, 0, NULL, "Digest of the plan's document."},
	{"approved_by", PARAM_TEXT, PLAN(approved_by), "", 0, 0, NULL, "Who approved the plan."},
	{"approved_at", PARAM_TEXT, PLAN(approved_at), "", 0, 0, NULL, "When."},
	PARAMS_END,
};

struct scope_form {
	const struct yaml_node *systems, *functions, *sites, *third_parties, *exclusions;
};
#define SCOPE(field) offsetof(struct scope_form, field)
const struct param drill_scope_rows[] = {
	{"systems", PARAM_NODE, SCOPE(systems), "", 0, 0, NULL, "Systems that are covered."},
	{"functions", PARAM_NODE, SCOPE(functions), "", 0, 0, NULL,
	 "Business functions that depend on them."},
	{"sites", PARAM_NODE, SCOPE(sites), "", 0, 0, NULL, "Sites."},
	{"third_parties", PARAM_NODE, SCOPE(third_parties), "", 0, 0, NULL,
	 "Third parties whose services are covered."},
	{"exclusions", PARAM_NODE, SCOPE(exclusions), "", 0, 0, NULL, "What is left out."},
	PARAMS_END,
};

struct story_form {
	const char *id, *bia_ref;
	int severity;
	const struct yaml_node *assumptions;
};
#define STORY(field) offsetof(struct story_form, field)
const struct param drill_scenario_rows[] = {
	{"id", PARAM_TEXT, STORY(id), "", 0, 0, NULL, "What the scenario is filed under."},
	{"severity", PARAM_CHOICE, STORY(severity), "", 0, 0, drill_severities,
	 "How severe it is meant to be."},
	{"assumptions", PARAM_NODE, STORY(assumptions), "", 0, 0, NULL,
	 "What of the plan it takes for granted, or challenges."},
	{"bia_ref", PARAM_TEXT, STORY(bia_ref), "", 0, 0, NULL,
	 "Where the business impact analysis has it."},
	PARAMS_END,
};

struct schedule_form {
	const char *due, *last_run;
};
const struct param drill_schedule_rows[] = {
	{"due", PARAM_TEXT, offsetof(struct schedule_form, due), "", 0, 0, NULL,
	 "The day by which this drill was to run."},
	{"last_run", PARAM_TEXT, offsetof(struct schedule_form, last_run), "", 0, 0, NULL,
	 "The day on which the one before ran."},
	PARAMS_END,
};

struct participant_form {
	const char *name, *role;
	bool independent;
};
#define PARTICIPANT(field) offsetof(struct participant_form, field)
const struct param drill_participant_rows[] = {
	{"name", PARAM_TEXT, PARTICIPANT(name), "", 0, 0, NULL, "A person or a team."},
	{"role", PARAM_TEXT, PARTICIPANT(role), "", 0, 0, NULL, "What they do in the drill."},
	{"independent", PARAM_BOOL, PARTICIPANT(independent), "", 0, 0, NULL,
	 "Not part of the team whose plan is tested."},
	PARAMS_END,
};

struct environment_form {
	const struct yaml_node *primary, *dr_site, *versions;
	bool segregated;
};
#define ENVIRONMENT(field) offsetof(struct environment_form, field)
const struct param drill_environment_rows[] = {
	{"primary", PARAM_NODE, ENVIRONMENT(primary), "", 0, 0, NULL,
	 "The primary site; default those of the deployment."},
	{"dr_site", PARAM_NODE, ENVIRONMENT(dr_site), "", 0, 0, NULL,
	 "The DR site; default the standby sites of the deployment."},
	{"segregated", PARAM_BOOL, ENVIRONMENT(segregated), "", 0, 0, NULL,
	 "Whether they are physically and logically apart."},
	{"versions", PARAM_NODE, ENVIRONMENT(versions), "", 0, 0, NULL,
	 "Versions of what runs there, by name."},
	PARAMS_END,
};

struct finding_form {
	const char *id, *text, *owner, *due, *retest_of;
	int severity, status;
};
#define FINDING(field) offsetof(struct finding_form, field)
const struct param drill_finding_rows[] = {
	{"id", PARAM_TEXT, FINDING(id), NULL, 0, 0, NULL, "What the finding is filed under."},
	{"severity", PARAM_CHOICE, FINDING(severity), "", 0, 0, finding_severities,
	 "How grave it is."},
	{"text", PARAM_TEXT, FINDING(text), "", 0, 0, NULL, "What was found."},
	{"owner", PARAM_TEXT, FINDING(owner), "", 0, 0, NULL, "Who mends it."},
	{"due", PARAM_TEXT, FINDING(due), "", 0, 0, NULL, "The day by which it is to be mended."},
	{"status", PARAM_CHOICE, FINDING(status), "", 0, 0, finding_statuses, "How it stands."},
	{"retest_of", PARAM_TEXT, FINDING(retest_of), "", 0, 0, NULL,
	 "The finding that this drill looks at again."},
	PARAMS_END,
};

struct signoff_form {
	const char *name, *role, *at;
	int decision;
};
#define SIGNOFF(field) offsetof(struct signoff_form, field)
const struct param drill_signoff_rows[] = {
	{"name", PARAM_TEXT, SIGNOFF(name), NULL, 0, 0, NULL, "Who signed off."},
	{"role", PARAM_TEXT, SIGNOFF(role), "", 0, 0, NULL, "In which role."},
	{"decision", PARAM_CHOICE, SIGNOFF(decision), "", 0, 0, signoff_decisions,
	 "What was decided."},
	{"at", PARAM_TEXT, SIGNOFF(at), "", 0, 0, NULL, "When."},
	PARAMS_END,
};

/* ---- what is built ---- */

struct block {
	struct loader *loader;
	bool no_memory;
};

/* Takes `item` over; NULL when it could not be added, which the end tells. */
static cJSON *add(struct block *b, cJSON *parent, const char *key, cJSON *item)
{
	bool added = item && parent &&
		     (key ? cJSON_AddItemToObject(parent, key, item)
			  : cJSON_AddItemToArray(parent, item));

	if (added)
		return item;
	b->no_memory = true;
	cJSON_Delete(item);
	return NULL;
}

static cJSON *add_object(struct block *b, cJSON *parent, const char *key)
{
	return add(b, parent, key, cJSON_CreateObject());
}

static void add_text(struct block *b, cJSON *parent, const char *key, const char *text)
{
	if (text)
		add(b, parent, key, cJSON_CreateString(text));
}

/* A choice that was not made is below 0. */
static void add_choice(struct block *b, cJSON *parent, const char *key, const char *const *words,
		       int choice)
{
	if (choice >= 0)
		add(b, parent, key, cJSON_CreateString(words[choice]));
}

static void add_bool(struct block *b, cJSON *parent, const char *key, const struct yaml_node *map,
		     bool value)
{
	if (yaml_get(map, key))
		add(b, parent, key, cJSON_CreateBool(value));
}

/* 3 is a number; 1.10, v3 and 007 are texts, and a number would lose what they say. */
static void add_version(struct block *b, cJSON *parent, const char *text)
{
	size_t length = text ? strlen(text) : 0;

	if (length > 0 && length < 16 && text[strspn(text, "0123456789")] == '\0' &&
	    (text[0] != '0' || length == 1))
		add(b, parent, "version", cJSON_CreateRaw(text));
	else
		add_text(b, parent, "version", text);
}

/* ---- what is checked ---- */

static int check_text(struct block *b, const struct yaml_node *node)
{
	if (node->length == 0)
		return loader_error(b->loader, node->place, "there is no text here");
	if (node->length > TEXT_LENGTH_MAX)
		return loader_error(b->loader, node->place,
				    "this text has %zu bytes; the limit is %d", node->length,
				    TEXT_LENGTH_MAX);
	return 0;
}

/* Every text of a mapping says something. */
static int check_texts(struct block *b, const struct yaml_node *map)
{
	int result = 0;

	for (const struct yaml_node *child = map->first; child; child = child->next)
		if (child->kind == YAML_KIND_SCALAR && !yaml_is_null(child))
			result |= check_text(b, child);
	return result;
}

static int two_digits(const char *text)
{
	bool digits = text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9';

	return digits ? (text[0] - '0') * 10 + text[1] - '0' : -1;
}

static int days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* "T09:00:00Z", with a fraction, with "+01:00". */
static bool is_time_of_day(const char *text)
{
	static const char form[] = "Thh:mm:ss";

	if (strnlen(text, sizeof(form)) < sizeof(form) || text[0] != 'T' || text[3] != ':' ||
	    text[6] != ':' || two_digits(text + 1) < 0 || two_digits(text + 1) > 23 ||
	    two_digits(text + 4) < 0 || two_digits(text + 4) > 59 || two_digits(text + 7) < 0 ||
	    two_digits(text + 7) > 60)
		return false;
	text += strlen(form);
	if (*text == '.') {
		size_t length = strspn(text + 1, "0123456789");

		if (length == 0)
			return false;
		text += 1 + length;
	}
	if (strcmp(text, "Z") == 0)
		return true;
	return (*text == '+' || *text == '-') && strlen(text) == 6 && text[3] == ':' &&
	       two_digits(text + 1) >= 0 && two_digits(text + 1) <= 23 &&
	       two_digits(text + 4) >= 0 && two_digits(text + 4) <= 59;
}

/* A day, or an instant as RFC 3339 has it. */
static bool is_day(const char *text)
{
	int century, rest, month, day;

	if (strnlen(text, 10) < 10 || text[4] != '-' || text[7] != '-')
		return false;
	century = two_digits(text);
	rest = two_digits(text + 2);
	month = two_digits(text + 5);
	day = two_digits(text + 8);
	if (century < 0 || rest < 0 || month < 1 || month > 12 || day < 1 ||
	    day > days_of(century * 100 + rest, month))
		return false;
	return text[10] == '\0' || is_time_of_day(text + 10);
}

static int check_day(struct block *b, const struct yaml_node *map, const char *key)
{
	const struct yaml_node *node = yaml_get(map, key);
	char quoted[YAML_QUOTE_MAX];

	if (!node || node->kind != YAML_KIND_SCALAR || is_day(node->text))
		return 0;
	return loader_error(b->loader, node->place,
			    "'%s' is not a date; write it like 2026-03-31 or 2026-03-31T09:00:00Z",
			    yaml_quote(node->text, quoted));
}

static int check_sha256(struct block *b, const struct yaml_node *map)
{
	const struct yaml_node *node = yaml_get(map, "sha256");

	if (!node || node->kind != YAML_KIND_SCALAR ||
	    (node->length == 64 && strspn(node->text, "0123456789abcdef") == 64))
		return 0;
	return loader_error(b->loader, node->place,
			    "a SHA-256 has 64 hexadecimal digits, lower-case");
}

/* One mapping of the block: its keys into *form, its texts not empty. */
static int load_map(struct block *b, const struct yaml_node *map, const char *what,
		    const struct param *rows, void *form)
{
	if (params_load(map, what, rows, form, &b->loader->context, NULL) < 0)
		return -1;
	return check_texts(b, map);
}

static int load_item(struct block *b, const struct yaml_node *item, cJSON *list)
{
	if (item->kind != YAML_KIND_SCALAR || yaml_is_null(item))
		return loader_error(b->loader, item->place, "a text is expected here, not %s",
				    yaml_describe(item));
	if (check_text(b, item) < 0)
		return -1;
	add_text(b, list, NULL, item->text);
	return 0;
}

/* A list of texts, or one text alone. */
static int load_texts(struct block *b, const struct yaml_node *node, const char *key, cJSON *parent)
{
	cJSON *list;
	int result = 0;

	if (!node)
		return 0;
	list = add(b, parent, key, cJSON_CreateArray());
	if (node->kind == YAML_KIND_SCALAR && !yaml_is_null(node))
		return load_item(b, node, list);
	if (loader_list(b->loader, node, key, ITEMS_MAX) < 0)
		return -1;
	for (const struct yaml_node *item = node->first; item; item = item->next)
		result |= load_item(b, item, list);
	return result;
}

/* ---- the parts ---- */

static int load_plan(struct block *b, const struct yaml_node *node, cJSON *parent)
{
	struct plan_form form = {0};
	cJSON *plan;

	if (!node)
		return 0;
	if (load_map(b, node, "'plan'", drill_plan_rows, &form) < 0 ||
	    check_day(b, node, "approved_at") < 0 || check_sha256(b, node) < 0)
		return -1;
	plan = add_object(b, parent, "plan");
	add_text(b, plan, "id", form.id);
	add_version(b, plan, form.version);
	add_text(b, plan, "sha256", form.sha256);
	add_text(b, plan, "approved_by", form.approved_by);
	add_text(b, plan, "approved_at", form.approved_at);
	return 0;
}

static int load_scope(struct block *b, const struct yaml_node *node, cJSON *parent)
{
	struct scope_form form = {0};
	cJSON *scope;

	if (!node)
		return 0;
	scope = add_object(b, parent, "scope");
	if (node->kind != YAML_KIND_MAP)
		return load_texts(b, node, "systems", scope);
	if (load_map(b, node, "'scope'", drill_scope_rows, &form) < 0)
		return -1;
	return load_texts(b, form.systems, "systems", scope) |
	       load_texts(b, form.functions, "functions", scope) |
	       load_texts(b, form.sites, "sites", scope) |
	       load_texts(b, form.third_parties, "third_parties", scope) |
	       load_texts(b, form.exclusions, "exclusions", scope);
}

static int load_story(struct block *b, const struct yaml_node *node, cJSON *parent)
{
	struct story_form form = {.severity = -1};
	cJSON *story;

	if (!node)
		return 0;
	if (load_map(b, node, "'scenario' of the drill", drill_scenario_rows, &form) < 0)
		return -1;
	story = add_object(b, parent, "scenario");
	add_text(b, story, "id", form.id);
	add_choice(b, story, "severity", drill_severities, form.severity);
	if (load_texts(b, form.assumptions, "assumptions", story) < 0)
		return -1;
	add_text(b, story, "bia_ref", form.bia_ref);
	return 0;
}

static int load_schedule(struct block *b, const struct yaml_node *node, cJSON *parent)
{
	struct schedule_form form = {0};
	cJSON *schedule;

	if (!node)
		return 0;
	if (load_map(b, node, "'schedule'", drill_schedule_rows, &form) < 0 ||
	    (check_day(b, node, "due") | check_day(b, node, "last_run")) < 0)
		return -1;
	schedule = add_object(b, parent, "schedule");
	add_text(b, schedule, "due", form.due);
	add_text(b, schedule, "last_run", form.last_run);
	return 0;
}

static int load_environment(struct block *b, const struct yaml_node *node, cJSON *parent)
{
	struct environment_form form = {0};
	cJSON *environment, *versions;
	int result;

	if (!node)
		return 0;
	if (load_map(b, node, "'environment'", drill_environment_rows, &form) < 0)
		return -1;
	environment = add_object(b, parent, "environment");
	result = load_texts(b, form.primary, "primary", environment) |
		 load_texts(b, form.dr_site, "dr_site", environment);
	add_bool(b, environment, "segregated", node, form.segregated);
	if (!form.versions)
		return result;
	if (form.versions->kind != YAML_KIND_MAP)
		return loader_error(b->loader, form.versions->place,
				    "'versions' must be a mapping of names to versions, not %s",
				    yaml_describe(form.versions));
	if (form.versions->count > ITEMS_MAX)
		return loader_error(b->loader, form.versions->place,
				    "'versions' has %zu items; the limit is %d",
				    form.versions->count, ITEMS_MAX);
	versions = add_object(b, environment, "versions");
	for (const struct yaml_node *child = form.versions->first; child; child = child->next) {
		if (child->kind != YAML_KIND_SCALAR || yaml_is_null(child))
			result |= loader_error(b->loader, child->place,
					       "a version is expected here, not %s",
					       yaml_describe(child));
		else if (check_text(b, child) == 0 && check_text(b, child->key) == 0)
			add_text(b, versions, child->key->text, child->text);
	}
	return result;
}

static int load_participant(struct block *b, const struct yaml_node *node, cJSON *list)
{
	struct participant_form form = {0};
	cJSON *one;

	if (node->kind == YAML_KIND_SCALAR && !yaml_is_null(node)) {
		if (check_text(b, node) < 0)
			return -1;
		add_text(b, add_object(b, list, NULL), "name", node->text);
		return 0;
	}
	if (load_map(b, node, "a participant", drill_participant_rows, &form) < 0)
		return -1;
	if (!form.name && !form.role)
		return loader_error(b->loader, node->place, "a participant needs 'name' or 'role'");
	one = add_object(b, list, NULL);
	add_text(b, one, "name", form.name);
	add_text(b, one, "role", form.role);
	add_bool(b, one, "independent", node, form.independent);
	return 0;
}

static int load_finding(struct block *b, const struct yaml_node *node, cJSON *list)
{
	struct finding_form form = {.severity = -1, .status = -1};
	cJSON *one;

	if (load_map(b, node, "a finding", drill_finding_rows, &form) < 0 ||
	    check_day(b, node, "due") < 0)
		return -1;
	one = add_object(b, list, NULL);
	add_text(b, one, "id", form.id);
	add_choice(b, one, "severity", finding_severities, form.severity);
	add_text(b, one, "text", form.text);
	add_text(b, one, "owner", form.owner);
	add_text(b, one, "due", form.due);
	add_choice(b, one, "status", finding_statuses, form.status);
	add_text(b, one, "retest_of", form.retest_of);
	return 0;
}

static int load_signoff(struct block *b, const struct yaml_node *node, cJSON *list)
{
	struct signoff_form form = {.decision = -1};
	cJSON *one;

	if (load_map(b, node, "a sign-off", drill_signoff_rows, &form) < 0 ||
	    check_day(b, node, "at") < 0)
		return -1;
	one = add_object(b, list, NULL);
	add_text(b, one, "name", form.name);
	add_text(b, one, "role", form.role);
	add_choice(b, one, "decision", signoff_decisions, form.decision);
	add_text(b, one, "at", form.at);
	return 0;
}

static int load_control(struct block *b, const struct yaml_node *node, cJSON *list)
{
	const char *suggestion;
	char quoted[YAML_QUOTE_MAX];

	if (node->kind != YAML_KIND_SCALAR || yaml_is_null(node))
		return loader_error(b->loader, node->place,
				    "the name of a framework is expected here, not %s",
				    yaml_describe(node));
	for (const char *const *name = framework_names; *name; name++) {
		if (strcmp(*name, node->text) == 0) {
			add_text(b, list, NULL, node->text);
			return 0;
		}
	}
	suggestion = param_suggest(node->text, framework_names);
	yaml_quote(node->text, quoted);
	if (suggestion)
		return loader_error(b->loader, node->place,
				    "unknown framework '%s'; did you mean '%s'?", quoted,
				    suggestion);
	return loader_error(b->loader, node->place,
			    "unknown framework '%s'; there are soc2, iso22301, iso27001, dora, "
			    "nist-800-53, nist-800-34, nist-800-84, hipaa, pci-dss and ffiec",
			    quoted);
}

static int load_list(struct block *b, const struct yaml_node *node, const char *key, cJSON *parent,
		     int (*load)(struct block *b, const struct yaml_node *node, cJSON *list))
{
	cJSON *list;
	int result = 0;

	if (!node)
		return 0;
	if (loader_list(b->loader, node, key, ITEMS_MAX) < 0)
		return -1;
	list = add(b, parent, key, cJSON_CreateArray());
	for (const struct yaml_node *item = node->first; item; item = item->next)
		result |= load(b, item, list);
	return result;
}

static int load_parts(struct block *b, const struct yaml_node *node, cJSON *drill)
{
	struct drill_form form = {0};
	int result = load_map(b, node, "'drill'", drill_rows, &form);

	if (node->kind != YAML_KIND_MAP)
		return -1;
	add_text(b, drill, "purpose", form.purpose);
	result |= load_plan(b, form.plan, drill);
	result |= load_scope(b, form.scope, drill);
	result |= load_story(b, form.scenario, drill);
	result |= load_schedule(b, form.schedule, drill);
	result |= load_list(b, form.participants, "participants", drill, load_participant);
	add_text(b, drill, "approved_by", form.approved_by);
	add_text(b, drill, "approved_at", form.approved_at);
	result |= check_day(b, node, "approved_at");
	result |= load_list(b, form.controls, "controls", drill, load_control);
	result |= load_environment(b, form.environment, drill);
	result |= load_texts(b, form.deviations, "deviations", drill);
	result |= load_list(b, form.findings, "findings", drill, load_finding);
	result |= load_list(b, form.signoff, "signoff", drill, load_signoff);
	return result;
}

int load_drill(struct loader *loader, const struct yaml_node *node)
{
	struct block b = {.loader = loader};
	cJSON *drill = cJSON_CreateObject();
	int result = load_parts(&b, node, drill);
	char *text = result < 0 ? NULL : cJSON_PrintUnformatted(drill);

	cJSON_Delete(drill);
	if (result < 0)
		return -1;
	if (!text || b.no_memory)
		result = error_list_add(&loader->context.errors, ERROR_MEMORY, node->place,
					"out of memory");
	else if (strlen(text) > SCENARIO_DRILL_MAX)
		result = error_list_add(&loader->context.errors, ERROR_LIMIT, node->place,
					"'drill' has %zu bytes as JSON; the limit is %zu",
					strlen(text), SCENARIO_DRILL_MAX);
	else
		loader->scenario->drill_json = arena_strdup(loader->context.arena, text);
	cJSON_free(text);
	return result;
}
