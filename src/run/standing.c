/* SPDX-License-Identifier: BSD-2-Clause */
/* {"gateways": [{"pool", "name", "wish", "left_ms", "weight"}]}, each field where there is something to say. */
#include "run/standing.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

/* By enum gateway_wish. */
static const char *const wishes[] = {
	[GATEWAY_WISH_NONE] = "none", [GATEWAY_WISH_DRAIN] = "drain", [GATEWAY_WISH_DOWN] = "down",
};

static json_t *
standing_of(const struct gateway *g, uint64_t now_ms)
{
	json_t *o = json_pack("{s:s, s:s, s:s}", "pool", gateway_pool_name(g), "name", gateway_name(g), "wish",
	    wishes[gateway_wish(g)]);
	uint64_t deadline_ms = gateway_deadline_ms(g);

	must(o != NULL);
	if (gateway_wish(g) == GATEWAY_WISH_DRAIN && deadline_ms != 0)
		json_object_set_new(o, "left_ms",
		    json_integer(deadline_ms > now_ms ? (json_int_t)(deadline_ms - now_ms) : 0));
	if (gateway_is_reweighted(g))
		json_object_set_new(o, "weight", json_integer(gateway_weight(g)));
	return o;
}

bool
standing_write(int fd, struct pool *const *pool, size_t pools)
{
	uint64_t now_ms = clock_coarse_ms();
	json_t *list = json_array(), *o;
	bool good;

	for (size_t p = 0; p < pools; p++)
		for (unsigned i = 0; i < pool[p]->gateways; i++) {
			const struct gateway *g = pool[p]->gateway[i];

			if (gateway_wish(g) != GATEWAY_WISH_NONE || gateway_is_reweighted(g))
				json_array_append_new(list, standing_of(g, now_ms));
		}
	o = json_pack("{s:o}", "gateways", list);
	must(o != NULL);
	good = json_dumpfd(o, fd, 0) == 0;
	json_decref(o);
	return good;
}

static struct gateway *
find_gateway(struct pool *const *pool, size_t pools, const char *pool_name, const char *name)
{
	for (size_t i = 0; i < pools; i++)
		if (strcmp(pool[i]->name, pool_name) == 0)
			return pool_find_name(pool[i], slice_of(name));
	return NULL;
}

/* A deadline that has passed is one that passes now: 0 would be none. */
static void
standing_apply(struct gateway *g, const json_t *o, const char *wish, uint64_t now_ms)
{
	const json_t *left = json_object_get(o, "left_ms"), *weight = json_object_get(o, "weight");

	if (strcmp(wish, wishes[GATEWAY_WISH_DOWN]) == 0)
		gateway_take_down(g);
	else if (strcmp(wish, wishes[GATEWAY_WISH_DRAIN]) == 0)
		gateway_drain(g, left != NULL ? now_ms + (uint64_t)json_integer_value(left) : 0, false);
	if (weight != NULL)
		gateway_set_weight(g, (unsigned)json_integer_value(weight));
}

bool
standing_read(int fd, struct pool *const *pool, size_t pools, const char **why)
{
	uint64_t now_ms = clock_coarse_ms();
	json_error_t error;
	json_t *all, *o;
	size_t i;

	if (lseek(fd, 0, SEEK_SET) == -1) {
		*why = strerror(errno);
		return false;
	}
	all = json_loadfd(fd, 0, &error);
	json_array_foreach(json_object_get(all, "gateways"), i, o) {
		const char *pool_name, *name, *wish;
		struct gateway *g;

		if (json_unpack(o, "{s:s, s:s, s:s}", "pool", &pool_name, "name", &name, "wish", &wish) != 0)
			continue;
		g = find_gateway(pool, pools, pool_name, name);
		if (g != NULL)
			standing_apply(g, o, wish, now_ms);
	}
	json_decref(all);
	*why = "it is no JSON";
	return all != NULL;
}
