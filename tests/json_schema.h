/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON Schema (2020-12) checker for the keywords that drsim's own schemas use. Any other keyword
 * fails the test: a schema that it cannot check in full proves nothing. Schema and instance are
 * trees of core/yaml.h, since JSON is YAML.
 */
#ifndef TESTS_JSON_SCHEMA_H
#define TESTS_JSON_SCHEMA_H

#include <stdbool.h>

#include "core/yaml.h"

#define JSON_SCHEMA_WHY_MAX 512

/* Every keyword of the schema and of all schemas in it is known, every reference leads somewhere.
 * Returns how many schemas it is made of. */
size_t json_schema_check(const struct yaml_node *schema);
/* Does the instance keep the rules? If not, `why` has the first one that it breaks, and its place.
 */
bool json_schema_valid(const struct yaml_node *schema, const struct yaml_node *instance,
		       char why[JSON_SCHEMA_WHY_MAX]);

#endif
