/* SPDX-License-Identifier: BSD-2-Clause */
/* A gateway's counts are relaxed atomics: each is right by itself, and none says anything about another. */
#include "pool/gateway.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define GATEWAY_MAGIC 0x6a7e3a11

/* The first bytes of SHA-256 over what this is, the pool and the name, each closed by NUL, which no name holds: so
 * that a tag tells nothing to who does not know the names, and no two lists of names read alike. */
static uint64_t
gateway_tag(const char *pool_name, const char *name)
{
	static const char what[] = "stickyd gateway";
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	unsigned char digest[EVP_MAX_MD_SIZE];
	uint64_t tag = 0;

	must(md != NULL);
	must(EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1);
	must(EVP_DigestUpdate(md, what, sizeof what) == 1);
	must(EVP_DigestUpdate(md, pool_name, strlen(pool_name) + 1) == 1);
	must(EVP_DigestUpdate(md, name, strlen(name)) == 1);
	must(EVP_DigestFinal_ex(md, digest, NULL) == 1);
	EVP_MD_CTX_free(md);
	for (unsigned i = 0; i < sizeof tag; i++)
		tag = tag << 8 | digest[i];
	return tag;
}

struct gateway *
gateway_new(const struct conf_gateway *cf, const char *pool_name, unsigned index, const char **why)
{
	struct addr addr;
	struct gateway *g;

	if (!addr_resolve(slice_of(cf->address), &addr, why))
		return NULL;
	g = mem_zalloc(sizeof *g);
	g->magic = GATEWAY_MAGIC;
	g->name = mem_strdup(cf->name);
	g->pool_name = mem_strdup(pool_name);
	g->addr = addr;
	g->tag = gateway_tag(pool_name, cf->name);
	g->index = index;
	g->backup = cf->backup;
	g->max_sessions = cf->max_sessions;
	atomic_init(&g->refs, 1);
	atomic_init(&g->weight, cf->weight);
	atomic_init(&g->state, GATEWAY_UP);
	return g;
}

struct gateway *
gateway_ref(struct gateway *g)
{
	ALIVE(g, GATEWAY_MAGIC);
	atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
	return g;
}

void
gateway_unref(struct gateway *g)
{
	if (g == NULL)
		return;
	ALIVE(g, GATEWAY_MAGIC);
	/* what other threads did with it comes before its end */
	if (atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1)
		return;
	g->magic = 0;
	free(g->name);
	free(g->pool_name);
	free(g);
}

static const char *
gateway_state_name(enum gateway_state state)
{
	static const char *const names[] = { [GATEWAY_UP] = "up", [GATEWAY_DOWN] = "down" };

	must((unsigned)state < COUNT(names));
	return names[state];
}

bool
gateway_set_state(struct gateway *g, enum gateway_state state, const char *why)
{
	char text[ADDR_TEXT];

	ALIVE(g, GATEWAY_MAGIC);
	if (gateway_state(g) == state)
		return false;
	atomic_store_explicit(&g->state, state, memory_order_relaxed);
	log_write(state == GATEWAY_UP ? LOG_LEVEL_NOTICE : LOG_LEVEL_WARN, "pool %s: gateway %s (%s) is %s: %s",
	    g->pool_name, g->name, addr_text(&g->addr, text), gateway_state_name(state), why);
	return true;
}

static void
count_up(atomic_uint *count)
{
	atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

static void
count_down(atomic_uint *count)
{
	must(atomic_fetch_sub_explicit(count, 1, memory_order_relaxed) != 0);
}

/* Counting up first and looking afterwards would have two who meet at the last place both turn away. */
static bool
gateway_take_place(struct gateway *g)
{
	unsigned n = atomic_load_explicit(&g->sessions, memory_order_relaxed);

	do
		if (g->max_sessions != 0 && n >= g->max_sessions)
			return false;
	while (!atomic_compare_exchange_weak_explicit(&g->sessions, &n, n + 1, memory_order_relaxed,
	    memory_order_relaxed));
	return true;
}

bool
gateway_enter(struct gateway *g, bool session)
{
	if (session && !gateway_take_place(g))
		return false;
	count_up(&g->load);
	return true;
}

void
gateway_leave(struct gateway *g, bool session)
{
	if (session)
		count_down(&g->sessions);
	count_down(&g->load);
}

/* Read first: nearly always it is zero, and a line that nobody writes stays in every processor's cache. */
void
gateway_connect_ok(struct gateway *g)
{
	if (atomic_load_explicit(&g->failed_connects, memory_order_relaxed) != 0)
		atomic_store_explicit(&g->failed_connects, 0, memory_order_relaxed);
}

bool
gateway_connect_failed(struct gateway *g)
{
	unsigned before = atomic_fetch_add_explicit(&g->failed_connects, 1, memory_order_relaxed);

	if ((before + 1) % GATEWAY_CONNECTS_ARE_A_CHECK != 0)
		return false;
	count_up(&g->failed_connects_reported);
	return true;
}

unsigned
gateway_take_failed_connects(struct gateway *g)
{
	return atomic_exchange_explicit(&g->failed_connects_reported, 0, memory_order_relaxed);
}
