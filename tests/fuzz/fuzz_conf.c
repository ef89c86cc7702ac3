/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes as a configuration. What is refused has a reason; what is taken prints, and it reads back alike. */
#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

struct text {
	char *p;
	size_t n;
};

/* A mistake is one line, and says where. */
static void
on_mistake(void *arg, const char *line)
{
	size_t *mistakes = arg;

	must(strncmp(line, "fuzz.ini:", 9) == 0 && strpbrk(line, "\n\r") == NULL);
	(*mistakes)++;
}

static struct conf *
load(const char *bytes, size_t n)
{
	size_t mistakes = 0;
	struct conf *c = conf_load_bytes(bytes, n, "fuzz.ini", on_mistake, &mistakes);

	must((c == NULL) == (mistakes != 0));
	return c;
}

static struct text
print(const struct conf *c)
{
	struct text t;
	FILE *to = open_memstream(&t.p, &t.n);

	must(to != NULL);
	conf_print(c, to);
	fclose(to);
	return t;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *c = load((const char *)data, size), *again;
	struct text once, twice;

	if (c == NULL)
		return 0;
	once = print(c);
	again = load(once.p, once.n);
	must(again != NULL);
	twice = print(again);
	must(once.n == twice.n && memcmp(once.p, twice.p, once.n) == 0);
	free(once.p);
	free(twice.p);
	conf_free(again);
	conf_free(c);
	return 0;
}
