/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of end reasons as data. */
#include "proxy/end.h"

#include <stddef.h>

#include "base/check.h"

static const struct end_info end_table[] = {
#define END_ROW(name, word, whose, http, ws) [END_##name] = { word, END_BY_##whose, http, ws },
	END_REASONS(END_ROW)
#undef END_ROW
};

const struct end_info *
end_info(enum end_reason why)
{
	must((unsigned)why < END_REASONS_N);
	return &end_table[why];
}

const char *
end_whose_name(enum end_whose whose)
{
	static const char *const names[] = { "client", "gateway", "stickyd" };

	must((unsigned)whose < COUNT(names));
	return names[whose];
}
