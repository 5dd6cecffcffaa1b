/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the parts of a multipart body by their boundary. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sim/minilepton/multipart.h"

#define BOUNDARY_MAX 70 /* RFC 2046 */

/* "\r\n--BOUNDARY" of `multipart/form-data; boundary=BOUNDARY`; its length, or 0. */
static size_t delimiter(const char *type, char out[BOUNDARY_MAX + 8])
{
	const char *at = type ? strstr(type, "boundary=") : NULL;
	size_t length;

	if (!at || strncasecmp(type, "multipart/form-data", 19) != 0)
		return 0;
	at += strlen("boundary=");
	if (*at == '"')
		length = strcspn(++at, "\"");
	else
		length = strcspn(at, "; \t");
	if (length == 0 || length > BOUNDARY_MAX)
		return 0;
	return (size_t)snprintf(out, BOUNDARY_MAX + 8, "\r\n--%.*s", (int)length, at);
}

/* Does a part's head hold `; name="NAME"`? */
static bool is_named(const char *head, size_t size, const char *name)
{
	char wanted[64];
	int length = snprintf(wanted, sizeof(wanted), "; name=\"%s\"", name);

	return length < (int)sizeof(wanted) && memmem(head, size, wanted, (size_t)length);
}

int multipart_find(const char *type, const char *body, size_t size, const char *name,
		   const char **ret_data, size_t *ret_size)
{
	char mark[BOUNDARY_MAX + 8];
	size_t length = delimiter(type, mark);
	const char *end = body + size, *at = body;

	/* The first delimiter has no line end before it. */
	if (length == 0 || size < length - 2 || memcmp(body, mark + 2, length - 2) != 0)
		return -1;
	at += length - 2;
	while (end - at >= 2 && memcmp(at, "\r\n", 2) == 0) {
		const char *blank = memmem(at, (size_t)(end - at), "\r\n\r\n", 4), *next;

		if (!blank)
			return -1;
		blank += 4;
		/* An empty part's delimiter begins with the line end that closes its head. */
		next = memmem(blank - 2, (size_t)(end - blank + 2), mark, length);
		if (!next)
			return -1;
		if (is_named(at, (size_t)(blank - at), name)) {
			*ret_data = next < blank ? next : blank;
			*ret_size = (size_t)(next - *ret_data);
			return 0;
		}
		at = next + length;
	}
	return -1;
}
