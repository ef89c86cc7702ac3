/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands behind a cookie's value is always the same, so it is made once. */
#include "affinity/issue.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct issue {
	const struct conf_cookie *conf;
	char *attributes[2];		/* without and with TLS */
	char *twin_attributes;
};

static const char *
samesite_attribute(enum conf_samesite samesite)
{
	static const char *const texts[] = {
		[CONF_SAMESITE_UNSET] = "",
		[CONF_SAMESITE_LAX] = "; SameSite=Lax",
		[CONF_SAMESITE_STRICT] = "; SameSite=Strict",
		[CONF_SAMESITE_NONE] = "; SameSite=None",
	};

	must((unsigned)samesite < COUNT(texts));
	return texts[samesite];
}

/* Browsers refuse SameSite=None and Partitioned without Secure (RFC 6265bis, 5.7; CHIPS). */
static bool
is_secure(const struct conf_cookie *cf, enum conf_samesite samesite, bool by_tls)
{
	return cf->secure == CONF_YES || samesite == CONF_SAMESITE_NONE || cf->partitioned ||
	    (cf->secure == CONF_AUTO && by_tls);
}

static char *
attributes_text(const struct conf_cookie *cf, enum conf_samesite samesite, bool by_tls)
{
	uint64_t max_age_s = cf->max_age_ms / 1000;
	char *age = max_age_s != 0 ? mem_printf("; Max-Age=%llu", (unsigned long long)max_age_s) : mem_strdup("");
	char *text = mem_printf("; Path=%s%s%s%s%s%s%s%s", cf->path,
	    cf->domain != NULL ? "; Domain=" : "", cf->domain != NULL ? cf->domain : "",
	    age,
	    is_secure(cf, samesite, by_tls) ? "; Secure" : "",
	    cf->httponly ? "; HttpOnly" : "",
	    samesite_attribute(samesite),
	    cf->partitioned ? "; Partitioned" : "");

	free(age);
	return text;
}

static bool
fits(const char *name, const char *attributes)
{
	return name == NULL || strlen(name) + 1 + SEAL_TEXT + strlen(attributes) <= ISSUE_TEXT;
}

struct issue *
issue_new(const struct conf_cookie *cf)
{
	struct issue *i = mem_zalloc(sizeof *i);

	i->conf = cf;
	i->attributes[false] = attributes_text(cf, cf->samesite, false);
	i->attributes[true] = attributes_text(cf, cf->samesite, true);
	i->twin_attributes = attributes_text(cf, CONF_SAMESITE_NONE, true);
	if (fits(cf->name, i->attributes[true]) && fits(cf->cors_twin, i->twin_attributes) &&
	    fits(cf->legacy, i->attributes[true]))
		return i;
	issue_free(i);
	return NULL;
}

void
issue_free(struct issue *i)
{
	if (i == NULL)
		return;
	free(i->attributes[false]);
	free(i->attributes[true]);
	free(i->twin_attributes);
	free(i);
}

static size_t
issue_sealed(const char *name, const char *attributes, struct sealer *sealer, struct slice pool,
    const struct seal_binding *b, struct buf *to)
{
	char text[SEAL_TEXT];
	size_t n = seal_close(sealer, pool, b, text);

	if (n == 0)
		return 0;
	buf_add(to, slice_of(name));
	buf_byte(to, '=');
	buf_add(to, slice_make(text, n));
	buf_add(to, slice_of(attributes));
	must(!to->full);	/* issue_new has measured it */
	return to->n;
}

/* Such balancers set theirs at "/" (RFC 6265, 5.3: a cookie is replaced by one of the same name, domain and path). */
static size_t
issue_end(const struct conf_cookie *cf, struct buf *to)
{
	buf_add(to, slice_of(cf->legacy));
	buf_lit(to, "=; Path=/; Max-Age=0");
	must(!to->full);
	return to->n;
}

size_t
issue_write(const struct issue *i, enum issue_which which, struct sealer *sealer, struct slice pool,
    const struct seal_binding *b, bool by_tls, char to[ISSUE_TEXT])
{
	const struct conf_cookie *cf = i->conf;
	struct buf text = buf_of(to, ISSUE_TEXT);

	switch (which) {
	case ISSUE_OURS:
		return issue_sealed(cf->name, i->attributes[by_tls], sealer, pool, b, &text);
	case ISSUE_TWIN:
		return cf->cors_twin == NULL ? 0
		    : issue_sealed(cf->cors_twin, i->twin_attributes, sealer, pool, b, &text);
	case ISSUE_END_OF_LEGACY:
		return cf->legacy == NULL || strcmp(cf->legacy, cf->name) == 0 ? 0 : issue_end(cf, &text);
	}
	return 0;
}
