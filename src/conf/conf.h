/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * conf.h - the configuration as one value that never changes.
 *
 * conf_load reads, includes, expands and checks; it reports every mistake it finds, not the first alone. What it
 * returns is immutable and may be read by any thread; who loaded it frees it when its last reader is gone. Strings
 * are NUL-terminated and owned by the value. Times are in milliseconds unless the name says otherwise, sizes in
 * bytes. Whether certificates and addresses can be used is found by those who open them (net/tls, net/listener).
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/check.h"

enum conf_log_target {
	CONF_LOG_OFF,
	CONF_LOG_STDOUT,
	CONF_LOG_STDERR,
	CONF_LOG_SYSLOG,
	CONF_LOG_JOURNAL,
	CONF_LOG_FILE
};
enum conf_log_format { CONF_FORMAT_TEXT, CONF_FORMAT_JSON };
enum conf_proxy_protocol { CONF_PROXY_NO, CONF_PROXY_REQUIRED };
enum conf_balance { CONF_BALANCE_ROUNDROBIN, CONF_BALANCE_LEASTCONN, CONF_BALANCE_RANDOM, CONF_BALANCE_HASH };
enum conf_check { CONF_CHECK_NONE, CONF_CHECK_TCP, CONF_CHECK_HTTP, CONF_CHECK_WEBSOCKET };
enum conf_samesite { CONF_SAMESITE_UNSET, CONF_SAMESITE_LAX, CONF_SAMESITE_STRICT, CONF_SAMESITE_NONE };
enum conf_auto { CONF_NO, CONF_YES, CONF_AUTO };
enum conf_assign { CONF_ASSIGN_TABLE, CONF_ASSIGN_HASH };
enum conf_duplicate { CONF_DUPLICATE_ALLOW, CONF_DUPLICATE_CLOSE_OLD };
enum conf_store_type { CONF_STORE_MEMORY, CONF_STORE_REDIS };

/* What happens to a client whose gateway can't take it now. */
enum conf_policy_kind { CONF_POLICY_REASSIGN, CONF_POLICY_REJECT, CONF_POLICY_WAIT };

/* Ways in which a request, or its answer, can say where a client belongs. */
enum conf_selector_kind {
	CONF_SELECTOR_COOKIE,		/* our own */
	CONF_SELECTOR_REWRITE,		/* a cookie of the gateway's, whose value is ours */
	CONF_SELECTOR_PREFIX,		/* the same, ours before its own */
	CONF_SELECTOR_HEADER,		/* from here on: the client's key */
	CONF_SELECTOR_QUERY,
	CONF_SELECTOR_PATH,
	CONF_SELECTOR_COOKIE_KEY,	/* cookie:NAME */
	CONF_SELECTOR_SUBPROTOCOL,
	CONF_SELECTOR_SOURCE,
	CONF_SELECTOR_LEARN_HEADER,
	CONF_SELECTOR_LEARN_COOKIE,
};

/* Where in the files something was said, for messages that come later ("FILE:LINE: [section] key"). */
struct conf_place {
	const char *file;	/* "command line" where there is no file */
	unsigned line;
};

struct conf_strings {
	char **item;
	size_t n;
};

/* count per second (or minute); per_ms 0: no limit */
struct conf_rate {
	unsigned count;
	unsigned per_ms;
};

struct conf_policy {
	enum conf_policy_kind kind;
	uint64_t wait_ms;		/* with CONF_POLICY_WAIT */
};

/* low to high, both included */
struct conf_range {
	unsigned low, high;
};

#define CONF_SELECTORS_MAX 16		/* of a pool */
#define CONF_WEIGHT_MOST 256		/* of a gateway */

struct conf_selector {
	enum conf_selector_kind kind;
	char *text;			/* as the operator wrote it: in logs, metrics, explain */
	char *name;			/* of the header, parameter, cookie; the subprotocol's prefix; else NULL */
	unsigned segment;		/* path:N, from 1 */
	unsigned bits_v4, bits_v6;	/* source: 32 and 128 where not given */
};

struct conf_global {
	unsigned workers;		/* never 0 here: auto is resolved to the CPUs this process may use */
	bool workers_auto;
	char *user, *group;		/* NULL: stay who started us */
	char *state_dir;
	bool state_dir_configured;	/* else the default, which may give way to the user's own */
	struct conf_place user_place, group_place, state_dir_place;
	uint64_t shutdown_grace_ms;
};

struct conf_log {
	int level;			/* enum log_level */
	enum conf_log_target output;
	char *output_file;
	enum conf_log_target access;
	char *access_file;
	struct conf_place output_place, access_place;
	enum conf_log_format format;
};

struct conf_admin {
	char *socket;			/* path; NULL: none */
	bool socket_configured;		/* else the default, which may give way to the user's own */
	char *listen;			/* "A:P"; NULL: none */
	char *token_file;		/* NULL: none */
	struct conf_place socket_place, listen_place, token_file_place;
};

/* Where a Redis server is, and as whom we speak to it. */
struct conf_url {
	char *text;			/* as it was given */
	char *host;			/* or */
	char *path;			/* of a Unix socket */
	unsigned port;
	unsigned database;
	char *user, *password;		/* decoded; NULL: none */
};

struct conf_store {
	enum conf_store_type type;
	struct conf_url url;
	struct conf_place url_place;
	unsigned max_keys;
	uint64_t ttl_ms;		/* whole seconds */
	uint64_t snapshot_ms;		/* 0: at exit only */
	uint64_t timeout_ms;		/* how long a request waits for the server */
	struct conf_rate new_keys_per_ip;
};

struct conf_certificate {
	char *certificate_file, *key_file;
	struct conf_place place;
};

struct conf_listener {
	char *name;
	struct conf_place place;	/* of the section */
	struct conf_place bind_place;
	struct conf_strings bind;	/* "A:P", checked */
	char *pool;			/* NULL: only routes */
	bool tls;
	struct conf_certificate *certificate;
	size_t certificates;
	bool mptcp;
	enum conf_proxy_protocol proxy_protocol;
	struct conf_strings trusted_proxies, allow, deny;	/* networks, checked */
	uint64_t header_timeout_ms, body_timeout_ms, keepalive_timeout_ms;
	size_t max_header_bytes;
	unsigned max_connections;
	unsigned max_connections_per_ip;			/* 0: no limit */
	struct conf_rate new_connections_per_ip;
};

struct conf_redirect {
	char *target;			/* with {host} and {uri}; NULL: none */
	unsigned status;		/* 301 302 303 307 308 */
};

struct conf_route {
	char *name;
	struct conf_place place;
	struct conf_strings listener;	/* none: all */
	struct conf_strings host;	/* "game.example.com", "*.example.com", lower case; none: any */
	char *path;			/* a prefix; "/" where not given */
	char *pool;			/* or */
	struct conf_redirect redirect;
};

struct conf_gateway {
	char *name;
	char *address;			/* "host:port" */
	unsigned weight;		/* 1 where not given */
	unsigned max_sessions;		/* 0: no limit */
	bool backup;			/* newcomers only when no other can take them */
	struct conf_place place;
};

struct conf_cookie {
	char *name, *path, *domain;	/* domain NULL: none */
	enum conf_samesite samesite;
	enum conf_auto secure;
	bool httponly, partitioned;
	uint64_t max_age_ms;		/* 0: a session cookie */
	uint64_t idle_ms, life_ms;	/* 0: no end */
	char *cors_twin;		/* NULL: none; a second one, SameSite=None; Secure */
	char *legacy;			/* NULL: none; another balancer's, that is believed too */
};

struct conf_pool {
	char *name;
	struct conf_place place;
	struct conf_gateway *gateway;
	size_t gateways;
	struct conf_selector *selector;	/* in order; may be none */
	size_t selectors;
	enum conf_assign assign;
	struct conf_policy on_down, on_full;
	char *key_secret_file;		/* NULL: keys count unsigned */
	struct conf_place key_secret_place;
	enum conf_duplicate duplicate;
	enum conf_balance balance;
	enum conf_check check;
	char *check_path, *check_method;
	char *check_host;		/* NULL: the gateway's address */
	struct conf_range *check_expect;	/* statuses that are good, by HTTP */
	size_t check_expects;
	uint64_t check_interval_ms, check_timeout_ms;
	unsigned check_rise, check_fall;
	unsigned eject_after;		/* failures in a row; 0: never */
	uint64_t eject_time_ms, slow_start_ms;
	bool gateway_tls, gateway_verify;
	char *gateway_ca;		/* NULL: the system's */
	char *gateway_sni;		/* NULL: the host of the address, where that is a name */
	struct conf_place gateway_ca_place;
	struct conf_rate drain_rate;	/* never 0: sessions closed when a drain's deadline has passed */
	uint64_t drain_deadline_ms;	/* 0: none */
	unsigned died_close;		/* 1014, or 1001 */
	uint64_t connect_timeout_ms, response_timeout_ms;
	unsigned retries;
	unsigned idle_connections;
	uint64_t tunnel_idle_ms, ping_interval_ms, tcp_user_timeout_ms;
	struct conf_cookie cookie;
};

struct conf {
	struct conf_global global;
	struct conf_log log;
	struct conf_admin admin;
	struct conf_store store;
	struct conf_listener *listener;
	size_t listeners;
	struct conf_route *route;
	size_t routes;
	struct conf_pool *pool;
	size_t pools;
	struct conf_strings files;	/* read for it, in order; places point here */
};

/* What the command line may say instead of a file. */
struct conf_options {
	const char *file;			/* NULL: none is read */
	const char *const *listen;		/* each "A:P" */
	size_t listens;
	const char *const *gateway;		/* each "A:P" or "NAME A:P" */
	size_t gateways;
};

/* A mistake, as a whole line without newline. */
typedef void conf_report_fn(void *arg, const char *line);
/* For mistakes that are found when what is configured is opened: "FILE:LINE: " and the text; the text alone where no
 * file says anything. */
void conf_complain(conf_report_fn *report, void *arg, struct conf_place place, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* NULL when there was any mistake; each has then been reported. Main thread, reads files, may use the resolver. */
struct conf *conf_load(const struct conf_options *options, conf_report_fn *report, void *arg) MUST_CHECK;
/* The same, but with mistakes there is a result too: with *good false it has what could be read, to look at its files
 * and addresses in the same run, and for nothing else. NULL: the file can't be read. */
struct conf *conf_load_anyway(const struct conf_options *options, bool *good, conf_report_fn *report, void *arg)
    MUST_CHECK;
/* conf_load from bytes in memory, named `name` in messages; `include` is refused. For tests and fuzzing. */
struct conf *conf_load_bytes(const char *bytes, size_t n, const char *name, conf_report_fn *report, void *arg)
    MUST_CHECK;
void conf_free(struct conf *c);			/* NULL is fine */
/* The effective configuration, every supported key, in a form that conf_load reads again to the same value. */
void conf_print(const struct conf *c, FILE *to);
/* One line for each key of the schema: "section key default reload|restart help", for the checks. */
void conf_print_schema(FILE *to);

const struct conf_pool *conf_pool_find(const struct conf *c, const char *name);

#endif
