/* SPDX-License-Identifier: BSD-2-Clause */
/* Sorted once, so that the first one that fits is the right one. */
#include "proxy/route.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const struct service *
service_find(const struct conf *cf, const struct service *services, const char *name)
{
	for (size_t i = 0; i < cf->pools; i++)
		if (strcmp(cf->pool[i].name, name) == 0)
			return &services[i];
	check_failed(__FILE__, __LINE__, "conf has checked that the pool is there");
}

static bool
route_is_for(const struct conf_route *cf, const struct conf_listener *listener)
{
	if (cf->listener.n == 0)
		return true;
	for (size_t i = 0; i < cf->listener.n; i++)
		if (strcmp(cf->listener.item[i], listener->name) == 0)
			return true;
	return false;
}

static void
routes_add(struct routes *r, struct slice host, const char *path, const struct service *service,
    const struct conf_redirect *redirect)
{
	struct route *route;

	r->route = mem_realloc(r->route, (r->n + 1) * sizeof *r->route);
	route = &r->route[r->n++];
	*route = (struct route){ .host = host, .path = slice_of(path), .service = service, .redirect = redirect };
	route->wildcard = slice_has_prefix(host, SLICE_LIT("*."));
	if (route->wildcard)
		route->host = slice_skip(host, 1);
}

static int
route_rank(const struct route *r)
{
	return r->wildcard ? 1 : r->host.n == 0 ? 2 : 0;
}

static int
by_precedence(const void *a, const void *b)
{
	const struct route *x = a, *y = b;

	if (route_rank(x) != route_rank(y))
		return route_rank(x) - route_rank(y);
	if (x->wildcard && x->host.n != y->host.n)
		return x->host.n > y->host.n ? -1 : 1;
	if (x->path.n != y->path.n)
		return x->path.n > y->path.n ? -1 : 1;
	return 0;
}

struct routes *
routes_new(const struct conf *cf, const struct conf_listener *listener, const struct service *services)
{
	struct routes *r = mem_zalloc(sizeof *r);

	for (size_t i = 0; i < cf->routes; i++) {
		const struct conf_route *route = &cf->route[i];
		const struct service *service = route->pool != NULL ? service_find(cf, services, route->pool) : NULL;
		const struct conf_redirect *redirect = service == NULL ? &route->redirect : NULL;

		if (!route_is_for(route, listener))
			continue;
		if (route->host.n == 0)
			routes_add(r, SLICE_NONE, route->path, service, redirect);
		for (size_t h = 0; h < route->host.n; h++)
			routes_add(r, slice_of(route->host.item[h]), route->path, service, redirect);
	}
	if (listener->pool != NULL)
		routes_add(r, SLICE_NONE, "", service_find(cf, services, listener->pool), NULL);
	if (r->n != 0)
		qsort(r->route, r->n, sizeof *r->route, by_precedence);
	return r;
}

void
routes_free(struct routes *r)
{
	if (r == NULL)
		return;
	free(r->route);
	free(r);
}

static bool
route_has_host(const struct route *r, struct slice host)
{
	if (r->host.n == 0)
		return true;
	if (!r->wildcard)
		return slice_eq_nocase(r->host, host);
	return host.n > r->host.n && slice_eq_nocase(r->host, slice_skip(host, host.n - r->host.n));
}

const struct route *
routes_find(const struct routes *r, struct slice host, struct slice path)
{
	if (host.n > 1 && host.p[host.n - 1] == '.')
		host.n--;		/* the same name, fully qualified */
	for (size_t i = 0; i < r->n; i++)
		if (slice_has_prefix(path, r->route[i].path) && route_has_host(&r->route[i], host))
			return &r->route[i];
	return NULL;
}

bool
route_location(const struct route *r, struct slice host, struct slice uri, struct buf *to)
{
	struct slice rest = slice_of(r->redirect->target);

	while (rest.n != 0) {
		size_t at = slice_find(rest, '{');

		buf_add(to, slice_head(rest, at));
		rest = slice_skip(rest, at);
		if (slice_has_prefix(rest, SLICE_LIT("{host}"))) {
			buf_add(to, host);
			rest = slice_skip(rest, sizeof "{host}" - 1);
		} else if (slice_has_prefix(rest, SLICE_LIT("{uri}"))) {
			buf_add(to, uri);
			rest = slice_skip(rest, sizeof "{uri}" - 1);
		} else {
			buf_add(to, slice_head(rest, 1));
			rest = slice_skip(rest, 1);
		}
	}
	return !to->full;
}
