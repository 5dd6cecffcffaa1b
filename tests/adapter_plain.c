/* SPDX-License-Identifier: Apache-2.0 */
/* An adapter that keeps writes in a file and misbehaves at fixed sequence numbers.
 * adapter_plain FILE [tagged]. FILE takes one line a record; a new start reads it again. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/adapter_plain.h"

#define RECORDS 100000

static bool tagged;

static void answer(const char *word, uint64_t sequence, const char *rest)
{
	printf("%s", word);
	if (tagged)
		printf(" %" PRIu64, sequence);
	printf("%s%s\n", rest[0] ? " " : "", rest);
	fflush(stdout);
}

static void keep(FILE *file, uint64_t sequence, const char *data)
{
	fprintf(file, "%" PRIu64 " %s\n", sequence, data);
	fflush(file);
}

/* One number meets its fate once: the file remembers that it was there. */
static void put(FILE *file, uint64_t sequence, const char *data)
{
	switch (plain_fate(sequence, tagged)) {
	case PLAIN_REFUSES:
		answer("fail", sequence, "disk full");
		return;
	case PLAIN_FORGETS:
		break;
	case PLAIN_DIES:
		keep(file, sequence, data);
		_exit(1);
	case PLAIN_HANGS:
		for (;;)
			pause();
	case PLAIN_BABBLES:
		keep(file, sequence, data);
		printf("well, perhaps\n");
		fflush(stdout);
		return;
	case PLAIN_TWICE:
		keep(file, sequence, data);
		answer("ok", sequence, "a");
		answer("ok", sequence, "b");
		return;
	case PLAIN_GOOD:
		keep(file, sequence, data);
		break;
	}
	answer("ok", sequence, "a");
}

int main(int argc, char **argv)
{
	static char *records[RECORDS];
	char *line = NULL;
	size_t size = 0;
	uint64_t sequence;
	int at;
	FILE *file;

	if (argc < 2 || !(file = fopen(argv[1], "a+")))
		return 2;
	tagged = argc > 2;
	while (getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%" SCNu64 " %n", &sequence, &at) == 1 && sequence < RECORDS)
			records[sequence] = strdup(line + at);
	}
	while (getline(&line, &size, stdin) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "put %" SCNu64 " %n", &sequence, &at) == 1)
			put(file, sequence, line + at);
		else if (sscanf(line, "get %" SCNu64, &sequence) != 1 || sequence >= RECORDS)
			return 3;
		else if (records[sequence])
			answer("data", sequence, records[sequence]);
		else
			answer("none", sequence, "");
	}
	free(line);
	fclose(file);
	return 0;
}
