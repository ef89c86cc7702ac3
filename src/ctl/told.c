/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys are any bytes, so the text is made UTF-8 before it is parsed. */
#include "ctl/told.h"

#include <stdlib.h>

#include "ctl/field.h"
#include "ctl/sheet.h"
#include "ctl/utf8.h"

void
told_init(struct told *r, struct ask_answer *answer)
{
	*r = (struct told){ .good = answer->status / 100 == 2 };
	r->json = utf8_safe_json(slice_make(answer->body, answer->bytes), &r->json_bytes);
	r->value = json_loadb(r->json, r->json_bytes, JSON_ALLOW_NUL, NULL);
	r->good &= r->value != NULL;
	free(answer->body);
}

void
told_fini(struct told *r)
{
	json_decref(r->value);
	free(r->json);
}

const char *
told_error(const struct told *r)
{
	const char *error = field_text(r->value, "error");

	return error != NULL ? error : "what answers there is no stickyd";
}

void
told_complain(const struct told *r, FILE *to)
{
	const json_t *list = json_object_get(r->value, "mistakes"), *at;
	size_t i;

	json_array_foreach(list, i, at)
		sheet_say(to, "", json_string_value(at));
	sheet_say(to, "stickyctl: ", told_error(r));
}
