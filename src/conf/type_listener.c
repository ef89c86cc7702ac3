/* SPDX-License-Identifier: BSD-2-Clause */
/* Where clients come in: addresses, networks, certificates, protocols. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/type_parts.h"
#include "conf/value.h"

static bool
read_networks(struct type_reading *r)
{
	const char *why;

	return value_network(r->text, &why) ? type_add_string(r) :
	    type_fails(r, why, "ADDRESS or ADDRESS/BITS, as 10.0.0.0/8 or 2001:db8::/32");
}

const struct type type_networks = { true, read_networks, type_text_strings, type_fini_strings };

static bool
read_binds(struct type_reading *r)
{
	struct conf_place *place = type_also_to_set(r);
	struct value_address a;

	if (!value_bind(r->text, &a))
		return type_fails(r, "is not an address to listen at",
		    "ADDRESS:PORT in digits, as 0.0.0.0:443, *:80 or [::]:443");
	if (place->file == NULL)
		*place = r->place;
	return type_add_string(r);
}

const struct type type_binds = { true, read_binds, type_text_strings, type_fini_strings };

/* One address, or none. */
static bool
read_listen(struct type_reading *r)
{
	struct value_address a;

	if (slice_eq(r->text, SLICE_LIT("off")))
		return true;
	if (!value_bind(r->text, &a))
		return type_fails(r, "is not an address to listen at",
		    "off, or ADDRESS:PORT in digits, as 127.0.0.1:9180 or [::1]:9180");
	return type_set_string(r);
}

static char *
text_listen(const struct schema_row *row, const void *base, size_t i)
{
	const char *address = *(char *const *)type_field(row, base);

	return i != 0 ? NULL : mem_strdup(address != NULL ? address : "off");
}

const struct type type_listen = { .read = read_listen, .text = text_listen, .fini = type_fini_string };

/* Nothing is kept: there is but one. */
static bool
read_protocols(struct type_reading *r)
{
	return slice_eq(r->text, SLICE_LIT("http/1.1")) ||
	    type_fails(r, slice_eq(r->text, SLICE_LIT("h2")) ? "is not in this version" : "is not known", "http/1.1");
}

static char *
text_protocols(const struct schema_row *row, const void *base, size_t i)
{
	(void)row;
	(void)base;
	return i != 0 ? NULL : mem_strdup("http/1.1");
}

const struct type type_protocols = { true, read_protocols, text_protocols, NULL };

/* Blanks and commas stand between paths, so none may be in one, nor in the directory that is added to it. */
static char *
certificate_path(struct type_reading *r, struct slice name)
{
	char *path = type_absolute_path(r, name);

	if (path == NULL || strpbrk(path, " \t,") == NULL)
		return path;
	free(path);
	type_fails(r, "is relative to a directory whose name has a blank or a comma", "absolute paths without those");
	return NULL;
}

static bool
read_certificates(struct type_reading *r)
{
	struct conf_certificate **list = type_field_to_set(r), new = { .place = r->place };
	size_t *n = type_also_to_set(r);
	struct slice rest = r->text, certificate = value_word(&rest), key = value_word(&rest);

	if (certificate.n == 0 || key.n == 0 || rest.n != 0)
		return type_fails(r, "is not a certificate and its key",
		    "two paths, as /etc/stickyd/tls/a.pem /etc/stickyd/tls/a.key");
	new.certificate_file = certificate_path(r, certificate);
	new.key_file = new.certificate_file != NULL ? certificate_path(r, key) : NULL;
	if (new.key_file == NULL) {
		free(new.certificate_file);
		return false;
	}
	*list = mem_realloc(*list, (*n + 1) * sizeof **list);
	(*list)[(*n)++] = new;
	return true;
}

static char *
text_certificates(const struct schema_row *row, const void *base, size_t i)
{
	const struct conf_listener *l = base;

	(void)row;
	if (i >= l->certificates)
		return NULL;
	return mem_printf("%s %s", l->certificate[i].certificate_file, l->certificate[i].key_file);
}

static void
fini_certificates(const struct schema_row *row, void *base)
{
	struct conf_listener *l = base;

	(void)row;
	for (size_t i = 0; i < l->certificates; i++) {
		free(l->certificate[i].certificate_file);
		free(l->certificate[i].key_file);
	}
	free(l->certificate);
}

const struct type type_certificates = { true, read_certificates, text_certificates, fini_certificates };
