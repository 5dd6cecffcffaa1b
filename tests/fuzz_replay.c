/* SPDX-License-Identifier: Apache-2.0 */
/* Feeds each file of a fuzz target's corpus to it once, so that `make check` needs no fuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX ((size_t)16 << 20) /* a larger file is no fuzzer's seed */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One file through the target, in memory of its exact size so that a read past the end is seen. */
static int replay(const char *folder, const char *name)
{
	char path[4096];
	FILE *file;
	long end;
	size_t size;
	uint8_t *data = NULL;
	int rc = -1;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return -1;
	file = fopen(path, "rb");
	if (!file)
		return -1;
	if (fseek(file, 0, SEEK_END) || (end = ftell(file)) < 0 || (size_t)end > INPUT_MAX)
		goto out;
	rewind(file);
	size = (size_t)end;
	data = malloc(size > 0 ? size : 1);
	if (!data || fread(data, 1, size, file) != size)
		goto out;
	LLVMFuzzerTestOneInput(data, size);
	rc = 0;
out:
	free(data);
	fclose(file);
	return rc;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* replay_NAME [FOLDER]: the folder is tests/corpus/NAME unless given. Exit 1 without a single
 * input. */
int main(int argc, char **argv)
{
	const char *base = strrchr(argv[0], '/');
	const char *name = strstr(base ? base : argv[0], "replay_");
	char folder[4096];
	struct dirent **entries = NULL;
	int count, failed = 0;

	name = name ? name + strlen("replay_") : "";
	snprintf(folder, sizeof(folder), "tests/corpus/%s", name);
	if (argc > 1)
		snprintf(folder, sizeof(folder), "%s", argv[1]);
	count = scandir(folder, &entries, visible, alphasort);
	for (int i = 0; i < count; i++) {
		if (replay(folder, entries[i]->d_name)) {
			fprintf(stderr, "%s/%s: cannot be read\n", folder, entries[i]->d_name);
			failed++;
		}
		free(entries[i]);
	}
	free(entries);
	printf("replayed: %d of %s\n", count < 0 ? 0 : count - failed, folder);
	return count > 0 && failed == 0 ? 0 : 1;
}
