/* SPDX-License-Identifier: Apache-2.0 */
/* What the faults of system calls and of files ask for, checked. */
#include "faults/calls.h"
#include "faults/files.h"

int calls_choose(const struct calls *calls, struct prng *prng, struct operations *ret,
		 struct error *e)
{
	struct operations chosen = {
		.calls = calls->names,
		.path = calls->path,
		.fd = (enum fd_kind)calls->fd,
		.count = calls->count,
		.seed = prng_u64(prng),
	};

	if (operations_check_calls(calls->names, NO_PLACE, e) ||
	    when_parse(calls->when, NO_PLACE, &chosen.when, e))
		return -1;
	if (calls->path && calls->path[0] != '/')
		return error_set(e, ERROR_SCENARIO, NO_PLACE,
				 "'path' of system calls begins with '/', not as '%.64s'",
				 calls->path);
	*ret = chosen;
	return 0;
}

int files_choose(const struct files *files, struct prng *prng, struct operations *ret,
		 struct error *e)
{
	struct operations chosen = {
		.path = files->path,
		.count = files->count,
		.seed = prng_u64(prng),
	};

	if (operations_parse_files(files->methods, NO_PLACE, &chosen.files, e) ||
	    when_parse(files->when, NO_PLACE, &chosen.when, e))
		return -1;
	*ret = chosen;
	return 0;
}
