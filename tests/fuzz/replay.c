/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds files to a fuzz target without libFuzzer: those named, or all of the target's corpus, which the program's own
 * name tells: replay_h1 reads tests/fuzz/corpus/h1. An empty corpus is a failure, since then nothing was tested.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "fuzz.h"

static void
replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	uint8_t *bytes;

	if (file == NULL || fstat(fileno(file), &st) == -1) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	/* exactly as many bytes as the file has, so that AddressSanitizer sees a read beyond them */
	bytes = mem_zalloc((size_t)st.st_size);
	if (fread(bytes, 1, (size_t)st.st_size, file) != (size_t)st.st_size) {
		fprintf(stderr, "%s: short read\n", path);
		exit(1);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(bytes, (size_t)st.st_size);
	free(bytes);
}

static unsigned
replay_directory(const char *directory)
{
	struct dirent **entries;
	int n = scandir(directory, &entries, NULL, alphasort);
	unsigned fed = 0;

	if (n == -1) {
		fprintf(stderr, "%s: %s\n", directory, strerror(errno));
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		if (entries[i]->d_name[0] != '.') {
			char *path = mem_printf("%s/%s", directory, entries[i]->d_name);

			replay_file(path);
			free(path);
			fed++;
		}
		free(entries[i]);
	}
	free(entries);
	return fed;
}

static unsigned
replay_corpus(const char *program)
{
	const char *module = strrchr(program, '_');
	const char *source = getenv("srcdir");
	char *directory = mem_printf("%s/tests/fuzz/corpus/%s", source != NULL ? source : ".",
	    module != NULL ? module + 1 : program);
	unsigned fed = replay_directory(directory);

	free(directory);
	return fed;
}

int
main(int argc, char **argv)
{
	unsigned fed = 0;

	for (int i = 1; i < argc; i++, fed++)
		replay_file(argv[i]);
	if (argc == 1)
		fed = replay_corpus(argv[0]);
	printf("%u inputs\n", fed);
	return fed == 0;
}
