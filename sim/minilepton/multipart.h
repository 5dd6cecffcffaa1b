/* SPDX-License-Identifier: Apache-2.0 */
/* multipart/form-data (RFC 7578), as far as an upload of one file needs it. */
#ifndef SIM_MINILEPTON_MULTIPART_H
#define SIM_MINILEPTON_MULTIPART_H

#include <stddef.h>

/*
 * Finds the part named `name` in a body of `size` bytes whose Content-Type is `type`; *ret_data
 * points into the body. -1: there is none, or the body is not well formed.
 */
int multipart_find(const char *type, const char *body, size_t size, const char *name,
		   const char **ret_data, size_t *ret_size);

#endif
