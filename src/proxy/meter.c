/* SPDX-License-Identifier: BSD-2-Clause */
/* Few listeners, looked for at reloads and by who reads: a list will do. */
#include "proxy/meter.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
meters_init(struct meters *ms)
{
	list_init(&ms->list);
}

void
meters_fini(struct meters *ms)
{
	LIST_EACH (at, after, &ms->list) {
		struct meter *m = LIST_ENTRY_OF(at, struct meter, list);

		free(m->listener);
		free(m);
	}
}

static void
meter_add(const struct meter *m, struct meter_totals *to)
{
	to->connections += counter_read(&m->connections);
	for (unsigned i = 0; i < METER_CLASSES; i++)
		to->answers[i] += counter_read(&m->answers[i]);
	to->bytes[METER_IN] += counter_read(&m->bytes[METER_IN]);
	to->bytes[METER_OUT] += counter_read(&m->bytes[METER_OUT]);
}

void
meters_add(const struct meters *ms, const char *listener, struct meter_totals *to)
{
	LIST_EACH (at, after, &ms->list) {
		const struct meter *m = LIST_ENTRY_OF(at, struct meter, list);

		if (listener == NULL || strcmp(m->listener, listener) == 0)
			meter_add(m, to);
	}
}

struct meter *
meters_open(struct meters *ms, const char *listener)
{
	struct meter *m;

	LIST_EACH (at, after, &ms->list) {
		m = LIST_ENTRY_OF(at, struct meter, list);
		if (strcmp(m->listener, listener) == 0)
			return m;
	}
	m = mem_zalloc(sizeof *m);
	m->listener = mem_strdup(listener);
	list_add_tail(&ms->list, &m->list);
	return m;
}

unsigned
meter_class(unsigned status)
{
	return status / 100 < METER_CLASSES ? status / 100 : 0;
}

void
meter_note(struct meter *m, unsigned status, uint64_t bytes_in, uint64_t bytes_out)
{
	counter_add(&m->answers[meter_class(status)], 1);
	counter_add(&m->bytes[METER_IN], bytes_in);
	counter_add(&m->bytes[METER_OUT], bytes_out);
}
