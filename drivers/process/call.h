/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to the servers of a drill: one HTTP request, one JSON answer, bounded in time and size. A
 * caller is used by one thread at a time and keeps its connections.
 */
#ifndef DRIVERS_PROCESS_CALL_H
#define DRIVERS_PROCESS_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include <cjson/cJSON.h>

#include "core/clock.h"
#include "core/error.h"

#define CALL_ANSWER_MAX ((size_t)16 << 20) /* bytes of one answer */

struct caller;

/*
 * `token`: bearer token sent with every call; may be NULL. After lazy_curl_open(). Ends with
 * caller_free().
 */
struct caller *caller_new(const char *token);
void caller_free(struct caller *caller);

/*
 * `method` "GET", "PUT", "POST", "PATCH", "DELETE"; `body` JSON text or NULL. Returns 0 when an
 * answer with a status of 2xx came within `timeout`; *ret_answer (may be NULL) then is its JSON, to
 * be freed with cJSON_Delete(), NULL when the body was empty or no JSON. -1: ERROR_UNAVAILABLE with
 * the status and the server's message, or what went wrong on the way.
 */
int call_json(struct caller *caller, const char *method, const char *url, const char *body,
	      nanos timeout, cJSON **ret_answer, struct error *e);
/* The same without reading the body: whether a 2xx came in time. */
bool call_ok(struct caller *caller, const char *url, nanos timeout);

#endif
