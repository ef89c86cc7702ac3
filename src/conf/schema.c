/* SPDX-License-Identifier: BSD-2-Clause */
/* The table. Rows of one section stand together, in the order in which they are printed. */
#include "conf/schema.h"

#include "base/check.h"
#include "base/log.h"
#include "conf/conf.h"
#include "conf/type.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * (uint64_t)HOUR)
#define YEAR (365 * DAY)	/* as good as never */

#define AT(kind, field) .at = offsetof(struct conf_##kind, field)
#define PLACE(kind, field) .place_at = offsetof(struct conf_##kind, field)
#define ALSO(kind, field) .also = offsetof(struct conf_##kind, field)
#define BETWEEN(least, most) .min = (least), .max = (most)

const struct schema_section schema_sections[SCHEMA_KINDS] = {
	[SCHEMA_GLOBAL] = { "global", false },
	[SCHEMA_LOG] = { "log", false },
	[SCHEMA_ADMIN] = { "admin", false },
	[SCHEMA_STORE] = { "store", false },
	[SCHEMA_LISTENER] = { "listener", true },
	[SCHEMA_ROUTE] = { "route", true },
	[SCHEMA_POOL] = { "pool", true },
};

static const struct type_word level_words[] = {
	{ "error", LOG_LEVEL_ERROR }, { "warn", LOG_LEVEL_WARN }, { "notice", LOG_LEVEL_NOTICE },
	{ "info", LOG_LEVEL_INFO }, { "debug", LOG_LEVEL_DEBUG }, { NULL, 0 }
};
static const struct type_word output_words[] = {
	{ "stderr", CONF_LOG_STDERR }, { "syslog", CONF_LOG_SYSLOG },
	{ "journal", CONF_LOG_JOURNAL }, { NULL, 0 }
};
static const struct type_word access_words[] = {
	{ "off", CONF_LOG_OFF }, { "stdout", CONF_LOG_STDOUT }, { "stderr", CONF_LOG_STDERR },
	{ "syslog", CONF_LOG_SYSLOG }, { NULL, 0 }
};
static const struct type_word format_words[] = {
	{ "text", CONF_FORMAT_TEXT }, { "json", CONF_FORMAT_JSON }, { NULL, 0 }
};
static const struct type_word store_words[] = {
	{ "memory", CONF_STORE_MEMORY }, { "redis", CONF_STORE_REDIS }, { NULL, 0 }
};
static const struct type_word proxy_words[] = {
	{ "no", CONF_PROXY_NO }, { "required", CONF_PROXY_REQUIRED }, { NULL, 0 }
};
static const struct type_word assign_words[] = {
	{ "table", CONF_ASSIGN_TABLE }, { "hash", CONF_ASSIGN_HASH }, { NULL, 0 }
};
static const struct type_word balance_words[] = {
	{ "roundrobin", CONF_BALANCE_ROUNDROBIN }, { "leastconn", CONF_BALANCE_LEASTCONN },
	{ "random", CONF_BALANCE_RANDOM }, { "hash", CONF_BALANCE_HASH }, { NULL, 0 }
};
static const struct type_word check_words[] = {
	{ "none", CONF_CHECK_NONE }, { "tcp", CONF_CHECK_TCP }, { "http", CONF_CHECK_HTTP },
	{ "websocket", CONF_CHECK_WEBSOCKET }, { NULL, 0 }
};
static const struct type_word samesite_words[] = {
	{ "unset", CONF_SAMESITE_UNSET }, { "lax", CONF_SAMESITE_LAX },
	{ "strict", CONF_SAMESITE_STRICT }, { "none", CONF_SAMESITE_NONE }, { NULL, 0 }
};
static const struct type_word auto_words[] = {
	{ "no", CONF_NO }, { "yes", CONF_YES }, { "auto", CONF_AUTO }, { NULL, 0 }
};
static const struct type_word duplicate_words[] = {
	{ "allow", CONF_DUPLICATE_ALLOW }, { "close-old", CONF_DUPLICATE_CLOSE_OLD }, { NULL, 0 }
};
static const struct type_word close_words[] = { { "1014", 1014 }, { "1001", 1001 }, { NULL, 0 } };

static const struct schema_row rows[] = {
	{ SCHEMA_GLOBAL, "workers", &type_workers, "auto", AT(global, workers), ALSO(global, workers_auto),
	  BETWEEN(1, 256), .restart = true,
	  .help = "threads, one event loop each; auto = the CPUs this process may use" },
	{ SCHEMA_GLOBAL, "user", &type_user, NULL, AT(global, user), PLACE(global, user_place),
	  .restart = true, .may_be_empty = true,
	  .help = "user to become after binding; none = whoever started it" },
	{ SCHEMA_GLOBAL, "group", &type_user, NULL, AT(global, group), PLACE(global, group_place),
	  .restart = true, .may_be_empty = true,
	  .help = "group to become after binding; none = the user's" },
	{ SCHEMA_GLOBAL, "state_dir", &type_state_dir, "/var/lib/stickyd", AT(global, state_dir),
	  ALSO(global, state_dir_configured), PLACE(global, state_dir_place),
	  .help = "directory of the sealing key and of the table's snapshot" },
	{ SCHEMA_GLOBAL, "include", &type_include, "conf.d/*.ini", .may_be_empty = true,
	  .help = "further files, relative to the including one" },
	{ SCHEMA_GLOBAL, "shutdown_grace", &type_time, "30s", AT(global, shutdown_grace_ms), BETWEEN(0, DAY),
	  .help = "how long SIGTERM waits for sessions before it closes them" },

	{ SCHEMA_LOG, "level", &type_word, "info", AT(log, level), .words = level_words,
	  .help = "the least important lines that are still written" },
	{ SCHEMA_LOG, "output", &type_log_target, "stderr", AT(log, output), ALSO(log, output_file),
	  PLACE(log, output_place), .words = output_words, .help = "where the daemon's log goes" },
	{ SCHEMA_LOG, "access", &type_log_target, "off", AT(log, access), ALSO(log, access_file),
	  PLACE(log, access_place), .words = access_words, .help = "where the access log goes" },
	{ SCHEMA_LOG, "format", &type_word, "text", AT(log, format), .words = format_words,
	  .help = "how lines of the access log are written" },

	{ SCHEMA_ADMIN, "socket", &type_socket, "/run/stickyd/admin.sock", AT(admin, socket),
	  ALSO(admin, socket_configured), PLACE(admin, socket_place), .help = "socket of stickyctl; off = none" },
	{ SCHEMA_ADMIN, "listen", &type_listen, "off", AT(admin, listen), PLACE(admin, listen_place),
	  .help = "metrics and API over TCP; off = none" },
	{ SCHEMA_ADMIN, "token_file", &type_file, NULL, AT(admin, token_file), PLACE(admin, token_file_place),
	  .may_be_empty = true,
	  .help = "token for changes over TCP, and for all of it where not on loopback" },

	{ SCHEMA_STORE, "type", &type_word, "memory", AT(store, type), .words = store_words,
	  .help = "who remembers keys: this process alone, or Redis for several" },
	{ SCHEMA_STORE, "url", &type_url, "redis://127.0.0.1:6379/0", AT(store, url), PLACE(store, url_place),
	  .help = "the Redis server" },
	{ SCHEMA_STORE, "max_keys", &type_count, "1000000", AT(store, max_keys), BETWEEN(1, 100 * 1000 * 1000),
	  .help = "keys remembered at most; the least recently used goes first" },
	{ SCHEMA_STORE, "ttl", &type_time, "24h", AT(store, ttl_ms), BETWEEN(SECOND, YEAR), .whole_seconds = true,
	  .help = "how long an unused key is remembered" },
	{ SCHEMA_STORE, "snapshot", &type_time, "60s", AT(store, snapshot_ms), BETWEEN(SECOND, DAY), .zero_too = true,
	  .help = "how often the table is written to state_dir; 0 = at exit only" },
	{ SCHEMA_STORE, "timeout", &type_time, "50ms", AT(store, timeout_ms), BETWEEN(1, 10 * SECOND),
	  .help = "how long a request waits for Redis" },
	{ SCHEMA_STORE, "new_keys_per_ip", &type_rate, "0/s", AT(store, new_keys_per_ip),
	  .help = "keys of one address that are remembered anew in a time; 0/s = no limit" },

	{ SCHEMA_LISTENER, "bind", &type_binds, NULL, AT(listener, bind), ALSO(listener, bind_place),
	  .help = "addresses to listen at" },
	{ SCHEMA_LISTENER, "pool", &type_name, NULL, AT(listener, pool), .may_be_empty = true,
	  .help = "where requests go that no route takes" },
	{ SCHEMA_LISTENER, "tls", &type_switch, "no", AT(listener, tls), .help = "whether clients speak TLS" },
	{ SCHEMA_LISTENER, "certificate", &type_certificates, NULL, AT(listener, certificate),
	  ALSO(listener, certificates), .may_be_empty = true,
	  .help = "certificate chain and key, PEM; repeated for SNI" },
	{ SCHEMA_LISTENER, "protocols", &type_protocols, "http/1.1", .help = "protocols offered to clients" },
	{ SCHEMA_LISTENER, "mptcp", &type_switch, "no", AT(listener, mptcp),
	  .help = "whether to listen with Multipath TCP" },
	{ SCHEMA_LISTENER, "proxy_protocol", &type_word, "no", AT(listener, proxy_protocol), .words = proxy_words,
	  .help = "whether connections begin with a PROXY header" },
	{ SCHEMA_LISTENER, "trusted_proxies", &type_networks, NULL, AT(listener, trusted_proxies),
	  .may_be_empty = true, .help = "whose X-Forwarded-For or PROXY header is believed" },
	{ SCHEMA_LISTENER, "allow", &type_networks, "0.0.0.0/0, ::/0", AT(listener, allow),
	  .help = "who may connect" },
	{ SCHEMA_LISTENER, "deny", &type_networks, NULL, AT(listener, deny), .may_be_empty = true,
	  .help = "who may not, whatever allow says" },
	{ SCHEMA_LISTENER, "header_timeout", &type_time, "10s", AT(listener, header_timeout_ms), BETWEEN(1, HOUR),
	  .help = "for a whole request head" },
	{ SCHEMA_LISTENER, "body_timeout", &type_time, "30s", AT(listener, body_timeout_ms), BETWEEN(1, HOUR),
	  .help = "between two reads of a request's body" },
	{ SCHEMA_LISTENER, "keepalive_timeout", &type_time, "60s", AT(listener, keepalive_timeout_ms),
	  BETWEEN(1, HOUR), .help = "between two requests of a connection" },
	{ SCHEMA_LISTENER, "max_header", &type_size, "16k", AT(listener, max_header_bytes), BETWEEN(1024, 256 * 1024),
	  .help = "bytes of a request head" },
	{ SCHEMA_LISTENER, "max_connections", &type_count, "100000", AT(listener, max_connections),
	  BETWEEN(1, 10000000), .help = "connections of the listener" },
	{ SCHEMA_LISTENER, "max_connections_per_ip", &type_count, "0", AT(listener, max_connections_per_ip),
	  BETWEEN(0, 10000000), .help = "connections of one address; 0 = no limit" },
	{ SCHEMA_LISTENER, "new_connections_per_ip", &type_rate, "0/s", AT(listener, new_connections_per_ip),
	  .help = "connections that one address may open in a time; 0/s = no limit" },

	{ SCHEMA_ROUTE, "listener", &type_names, NULL, AT(route, listener), .may_be_empty = true,
	  .help = "listeners it is for; none = all" },
	{ SCHEMA_ROUTE, "host", &type_hosts, NULL, AT(route, host), .may_be_empty = true,
	  .help = "hosts it is for; none = all" },
	{ SCHEMA_ROUTE, "path", &type_url_path, "/", AT(route, path),
	  .help = "prefix of the path; the longest wins" },
	{ SCHEMA_ROUTE, "pool", &type_name, NULL, AT(route, pool), .may_be_empty = true,
	  .help = "where its requests go" },
	{ SCHEMA_ROUTE, "redirect", &type_redirect, NULL, AT(route, redirect), .may_be_empty = true,
	  .help = "target and status of the answer, in place of a pool" },

	{ SCHEMA_POOL, "gateway", &type_gateways, NULL, AT(pool, gateway), ALSO(pool, gateways),
	  .help = "name, address, weight and limits; one line each" },
	{ SCHEMA_POOL, "affinity", &type_affinity, "cookie", AT(pool, selector), ALSO(pool, selectors),
	  .may_be_empty = true, .help = "by what a client is known again" },
	{ SCHEMA_POOL, "assign", &type_word, "table", AT(pool, assign), .words = assign_words,
	  .help = "how keys are given a gateway: remembered, or by hashing" },
	{ SCHEMA_POOL, "balance", &type_word, "leastconn", AT(pool, balance), .words = balance_words,
	  .help = "which gateway a client gets that belongs nowhere yet" },
	{ SCHEMA_POOL, "on_down", &type_policy, "reassign", AT(pool, on_down), BETWEEN(1, HOUR),
	  .help = "what happens to a client whose gateway is down" },
	{ SCHEMA_POOL, "on_full", &type_policy, "wait:2s", AT(pool, on_full), BETWEEN(1, HOUR),
	  .help = "what happens to a client whose gateway is full" },
	{ SCHEMA_POOL, "check", &type_word, "tcp", AT(pool, check), .words = check_words,
	  .help = "how gateways are checked" },
	{ SCHEMA_POOL, "check_path", &type_url_path, "/healthz", AT(pool, check_path),
	  .help = "what a check by HTTP or WebSocket asks for" },
	{ SCHEMA_POOL, "check_method", &type_method, "GET", AT(pool, check_method), .help = "by which method" },
	{ SCHEMA_POOL, "check_host", &type_host, NULL, AT(pool, check_host), .may_be_empty = true,
	  .help = "of which host; none = the gateway's address" },
	{ SCHEMA_POOL, "check_expect", &type_statuses, "200-399", AT(pool, check_expect), ALSO(pool, check_expects),
	  .help = "statuses that are good" },
	{ SCHEMA_POOL, "check_interval", &type_time, "2s", AT(pool, check_interval_ms), BETWEEN(10, HOUR),
	  .help = "between two checks of a gateway" },
	{ SCHEMA_POOL, "check_timeout", &type_time, "1s", AT(pool, check_timeout_ms), BETWEEN(1, HOUR),
	  .help = "for one check" },
	{ SCHEMA_POOL, "check_rise", &type_count, "2", AT(pool, check_rise), BETWEEN(1, 100),
	  .help = "good checks in a row until a gateway is up" },
	{ SCHEMA_POOL, "check_fall", &type_count, "3", AT(pool, check_fall), BETWEEN(1, 100),
	  .help = "bad checks in a row until a gateway is down" },
	{ SCHEMA_POOL, "eject_after", &type_count, "5", AT(pool, eject_after), BETWEEN(0, 1000000),
	  .help = "failures in traffic, in a row, before a gateway is set aside; 0 = never" },
	{ SCHEMA_POOL, "eject_time", &type_time, "30s", AT(pool, eject_time_ms), BETWEEN(1, DAY),
	  .help = "how long it is set aside" },
	{ SCHEMA_POOL, "slow_start", &type_time, "0", AT(pool, slow_start_ms), BETWEEN(1, DAY), .zero_too = true,
	  .help = "time in which a gateway that returns takes more and more newcomers; 0 = at once" },
	{ SCHEMA_POOL, "connect_timeout", &type_time, "1s", AT(pool, connect_timeout_ms), BETWEEN(1, HOUR),
	  .help = "for a connection to a gateway" },
	{ SCHEMA_POOL, "response_timeout", &type_time, "30s", AT(pool, response_timeout_ms), BETWEEN(1, DAY),
	  .help = "for the head of a gateway's answer" },
	{ SCHEMA_POOL, "retries", &type_count, "2", AT(pool, retries), BETWEEN(0, 16),
	  .help = "further gateways tried when one refuses the connection" },
	{ SCHEMA_POOL, "idle_connections", &type_count, "32", AT(pool, idle_connections), BETWEEN(0, 100000),
	  .help = "connections kept per worker and gateway for plain requests" },
	{ SCHEMA_POOL, "gateway_tls", &type_switch, "no", AT(pool, gateway_tls),
	  .help = "whether gateways speak TLS" },
	{ SCHEMA_POOL, "gateway_ca", &type_file, NULL, AT(pool, gateway_ca), PLACE(pool, gateway_ca_place),
	  .may_be_empty = true, .help = "who signs gateways' certificates; none = whom the system trusts" },
	{ SCHEMA_POOL, "gateway_sni", &type_server_name, NULL, AT(pool, gateway_sni), .may_be_empty = true,
	  .help = "name that is asked for and expected; none = the host of the gateway's address" },
	{ SCHEMA_POOL, "gateway_verify", &type_switch, "yes", AT(pool, gateway_verify),
	  .help = "whether gateways' certificates are verified" },
	{ SCHEMA_POOL, "tunnel_idle", &type_time, "1h", AT(pool, tunnel_idle_ms), BETWEEN(1, YEAR),
	  .help = "an upgraded stream with no byte either way is ended after this" },
	{ SCHEMA_POOL, "ping_interval", &type_time, "0", AT(pool, ping_interval_ms), BETWEEN(10, DAY),
	  .zero_too = true, .help = "WebSocket ping to both sides when quiet; 0 = none" },
	{ SCHEMA_POOL, "tcp_user_timeout", &type_time, "30s", AT(pool, tcp_user_timeout_ms), BETWEEN(SECOND, DAY),
	  .zero_too = true, .help = "how long sent bytes may stay unacknowledged; 0 = as the system has it" },
	{ SCHEMA_POOL, "drain_rate", &type_rate, "200/s", AT(pool, drain_rate), .min = 1,
	  .help = "sessions closed per second when a drain's deadline has passed" },
	{ SCHEMA_POOL, "drain_deadline", &type_time, "0", AT(pool, drain_deadline_ms), BETWEEN(1, YEAR),
	  .zero_too = true, .help = "of drains for which nobody says one; 0 = sessions go on until they end" },
	{ SCHEMA_POOL, "died_close", &type_word, "1014", AT(pool, died_close), .words = close_words,
	  .help = "close code of sessions whose gateway died" },
	{ SCHEMA_POOL, "cookie_name", &type_cookie_name, "STICKYD", AT(pool, cookie.name),
	  .help = "name of the cookie" },
	{ SCHEMA_POOL, "cookie_path", &type_cookie_path, "/", AT(pool, cookie.path), .help = "its Path" },
	{ SCHEMA_POOL, "cookie_domain", &type_cookie_domain, NULL, AT(pool, cookie.domain), .may_be_empty = true,
	  .help = "its Domain; none = the host alone" },
	{ SCHEMA_POOL, "cookie_samesite", &type_word, "lax", AT(pool, cookie.samesite), .words = samesite_words,
	  .help = "its SameSite; unset = left to the browser" },
	{ SCHEMA_POOL, "cookie_secure", &type_word, "auto", AT(pool, cookie.secure), .words = auto_words,
	  .help = "its Secure; auto = where the client came by TLS" },
	{ SCHEMA_POOL, "cookie_httponly", &type_switch, "yes", AT(pool, cookie.httponly), .help = "its HttpOnly" },
	{ SCHEMA_POOL, "cookie_partitioned", &type_switch, "no", AT(pool, cookie.partitioned),
	  .help = "its Partitioned" },
	{ SCHEMA_POOL, "cookie_max_age", &type_time, "0", AT(pool, cookie.max_age_ms), BETWEEN(SECOND, YEAR),
	  .zero_too = true, .whole_seconds = true, .help = "its Max-Age; 0 = a session cookie" },
	{ SCHEMA_POOL, "cookie_idle", &type_time, "0", AT(pool, cookie.idle_ms), BETWEEN(SECOND, YEAR),
	  .zero_too = true, .whole_seconds = true, .help = "unused for longer, the binding is void; 0 = never" },
	{ SCHEMA_POOL, "cookie_life", &type_time, "0", AT(pool, cookie.life_ms), BETWEEN(SECOND, YEAR),
	  .zero_too = true, .whole_seconds = true,
	  .help = "the binding is void this long after it was given; 0 = never" },
	{ SCHEMA_POOL, "cookie_cors_twin", &type_cookie_name, NULL, AT(pool, cookie.cors_twin),
	  .may_be_empty = true, .help = "name of a second cookie, for pages on other sites; none = there is none" },
	{ SCHEMA_POOL, "cookie_legacy", &type_cookie_name, NULL, AT(pool, cookie.legacy), .may_be_empty = true,
	  .help = "name of another balancer's cookie that is believed too" },
	{ SCHEMA_POOL, "key_secret_file", &type_file, NULL, AT(pool, key_secret_file), PLACE(pool, key_secret_place),
	  .may_be_empty = true, .help = "secret by which keys must be signed; none = they count unsigned" },
	{ SCHEMA_POOL, "duplicate", &type_word, "allow", AT(pool, duplicate), .words = duplicate_words,
	  .help = "what happens to a second live session with the same key" },
};

const struct schema_row *
schema_begin(enum schema_kind kind)
{
	const struct schema_row *row = rows;

	while (row->kind != kind)
		row++;
	return row;
}

const struct schema_row *
schema_end(enum schema_kind kind)
{
	const struct schema_row *row = schema_begin(kind);

	while (row != rows + COUNT(rows) && row->kind == kind)
		row++;
	return row;
}

const struct schema_row *
schema_find(enum schema_kind kind, struct slice key)
{
	SCHEMA_EACH(row, kind)
		if (slice_eq(key, slice_of(row->key)))
			return row;
	return NULL;
}
