/* SPDX-License-Identifier: Apache-2.0 */
/* Calls to the servers of a drill, by libcurl. */
#include "drivers/process/call.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/lazy/curl.h"

struct caller {
	CURL *curl;
	struct curl_slist *headers;
	char *answer;
	size_t size, room;
};

static size_t keep(char *data, size_t one, size_t count, void *context)
{
	struct caller *caller = context;
	size_t size = one * count;

	if (size > CALL_ANSWER_MAX - caller->size)
		return 0; /* curl ends the transfer with an error */
	if (caller->size + size + 1 > caller->room) {
		size_t room = 2 * (caller->size + size + 1);
		char *grown = realloc(caller->answer, room);
		if (!grown)
			return 0;
		caller->answer = grown;
		caller->room = room;
	}
	memcpy(caller->answer + caller->size, data, size);
	caller->size += size;
	caller->answer[caller->size] = '\0';
	return size;
}

struct caller *caller_new(const char *token)
{
	struct caller *caller = calloc(1, sizeof(*caller));
	char line[512];

	assert(caller);
	caller->curl = curl_easy_init();
	assert(caller->curl);
	caller->headers = curl_slist_append(NULL, "Content-Type: application/json");
	caller->headers = curl_slist_append(caller->headers, "Expect:");
	if (token) {
		snprintf(line, sizeof(line), "Authorization: Bearer %s", token);
		caller->headers = curl_slist_append(caller->headers, line);
	}
	return caller;
}

void caller_free(struct caller *caller)
{
	if (!caller)
		return;
	curl_slist_free_all(caller->headers);
	curl_easy_cleanup(caller->curl);
	free(caller->answer);
	free(caller);
}

/* Returns the status of the answer; -1: there was none. */
static long perform(struct caller *caller, const char *method, const char *url, const char *body,
		    nanos timeout, char why[CURL_ERROR_SIZE])
{
	CURL *curl = caller->curl;
	long status = -1, ms = (long)(timeout / NANOS_MS);

	caller->size = 0;
	curl_easy_reset(curl); /* connections are kept */
	why[0] = '\0';
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, caller->headers);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, ms > 0 ? ms : 1);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, ms > 0 ? ms : 1);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* an environment's proxy is not ours */
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, caller);
	if (body)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	CURLcode code = curl_easy_perform(curl);
	if (code == CURLE_OK)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	else if (!why[0])
		snprintf(why, CURL_ERROR_SIZE, "%s", curl_easy_strerror(code));
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
	return status;
}

int call_json(struct caller *caller, const char *method, const char *url, const char *body,
	      nanos timeout, cJSON **ret_answer, struct error *e)
{
	char why[CURL_ERROR_SIZE];
	long status = perform(caller, method, url, body, timeout, why);
	const cJSON *message;
	cJSON *answer;

	if (status < 0)
		return error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s %s: %s", method, url, why);
	answer = caller->size > 0 ? cJSON_ParseWithLength(caller->answer, caller->size) : NULL;
	if (status < 200 || status > 299) {
		message = cJSON_GetObjectItemCaseSensitive(answer, "message");
		error_set(e, ERROR_UNAVAILABLE, NO_PLACE, "%s %s: status %ld: %s", method, url,
			  status, cJSON_IsString(message) ? message->valuestring : "no message");
		cJSON_Delete(answer);
		return -1;
	}
	if (ret_answer)
		*ret_answer = answer;
	else
		cJSON_Delete(answer);
	return 0;
}

bool call_ok(struct caller *caller, const char *url, nanos timeout)
{
	char why[CURL_ERROR_SIZE];
	long status = perform(caller, "GET", url, NULL, timeout, why);

	return status >= 200 && status <= 299;
}
