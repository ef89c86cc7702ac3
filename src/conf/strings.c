/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists of strings. */
#include "conf/strings.h"

#include <stdlib.h>

#include "base/mem.h"

void
strings_add(struct conf_strings *s, char *item)
{
	s->item = mem_realloc(s->item, (s->n + 1) * sizeof *s->item);
	s->item[s->n++] = item;
}

void
strings_fini(struct conf_strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->item[i]);
	free(s->item);
	*s = (struct conf_strings){ NULL, 0 };
}
