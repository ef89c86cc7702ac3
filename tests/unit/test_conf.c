/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Texts and what is said about them, word by word: these lines are what an operator has when something is wrong. Good
 * ones are printed, and the print must read back to the same.
 */
#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"

/* Five lines that are right; a case goes on inside [pool p], at line 6. */
#define BASE "[listener a]\nbind = 127.0.0.1:80\npool = p\n[pool p]\ngateway = g 127.0.0.1:81\n"
#define GLOBAL BASE "[global]\n"			/* the case begins at line 7 */
#define LISTENER "[pool p]\ngateway = g 127.0.0.1:81\n[listener a]\npool = p\n"		/* at line 5 */
#define ROUTE BASE "[route r]\n"			/* at line 7 */

#define VALUE_MOST 8192
#define LINE_MOST 16383

struct said {
	char *text;
	size_t n;
	FILE *to;
};

static void
said_open(struct said *s)
{
	s->to = open_memstream(&s->text, &s->n);
	assert_non_null(s->to);
}

static const char *
said_text(struct said *s)
{
	fflush(s->to);
	return s->text;
}

static void
said_close(struct said *s)
{
	fclose(s->to);
	free(s->text);
}

static void
on_mistake(void *arg, const char *line)
{
	struct said *s = arg;

	fprintf(s->to, "%s\n", line);
}

static char *
printed(const struct conf *c)
{
	struct said s;
	char *copy;

	said_open(&s);
	conf_print(c, s.to);
	copy = mem_strdup(said_text(&s));
	said_close(&s);
	return copy;
}

/* Fails with what was said, should there be anything. */
static struct conf *
load_good(const char *text)
{
	struct said s;
	struct conf *c;

	said_open(&s);
	c = conf_load_bytes(text, strlen(text), "t.ini", on_mistake, &s);
	assert_string_equal(said_text(&s), "");
	assert_non_null(c);
	said_close(&s);
	return c;
}

static void
assert_reads_back(const struct conf *c)
{
	char *once = printed(c), *twice;
	struct conf *again = load_good(once);

	twice = printed(again);
	assert_string_equal(once, twice);
	assert_int_equal(again->global.workers_auto, c->global.workers_auto);
	assert_int_equal(again->global.state_dir_configured, c->global.state_dir_configured);
	assert_int_equal(again->admin.socket_configured, c->admin.socket_configured);
	conf_free(again);
	free(once);
	free(twice);
}

static void
assert_says(const char *text, size_t n, const char *wanted)
{
	struct said s;
	struct conf *c;

	said_open(&s);
	c = conf_load_bytes(text, n, "t.ini", on_mistake, &s);
	assert_string_equal(said_text(&s), wanted);
	assert_null(c);
	said_close(&s);
}

/* ---- what is wrong ---- */

#define SIXTY "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define NOT_A_SELECTOR(text, hint) \
	"t.ini:6: [pool p] affinity: '" text "' is not a selector" hint "; allowed: cookie rewrite:NAME prefix:NAME " \
	"header:NAME query:NAME path:N cookie:NAME subprotocol:PREFIX source source/BITS learn:header:NAME " \
	"learn:cookie:NAME, or nothing at all\n"
#define NOT_A_NAME(text, begin, name) \
	"t.ini:6: [pool p] affinity: '" text "' has no " name " that can be one; allowed: " begin name \
	", with 1 to 64 letters, digits and !#$%&'*+-.^_`|~\n"
#define NOT_BITS(text) \
	"t.ini:6: [pool p] affinity: '" text "' has no BITS that can be one; allowed: source/BITS, with 0 to 32 of IPv4, " \
	"and behind a '/' 0 to 128 of IPv6\n"
#define NOT_A_METHOD(text) \
	"t.ini:6: [pool p] check_method: '" text "' is not a method for a check; allowed: GET, HEAD, OPTIONS or another " \
	"of 1 to 32 bytes but CONNECT\n"
#define NOT_A_HOST(text) \
	"t.ini:6: [pool p] check_host: '" text "' is not a host; allowed: a host name or address, with or without a " \
	"port, as game.example.com\n"
#define POLICIES "reassign reject wait:TIME, with a time of 1ms to 1h, written as 500ms 30s 5m\n"
#define BAD_URL(text, why) \
	"t.ini:7: [store] url: '" text "' " why "; allowed: redis://[[USER]:PASSWORD@]HOST:PORT/DATABASE or " \
	"unix://[[USER]:PASSWORD@]/PATH?db=DATABASE\n"
#define TWICE(line, key, text, other) \
	"t.ini:" line ": [pool p] " key ": '" text "' is the cookie of " other "; allowed: each cookie in one use\n"

static const struct {
	const char *text, *wanted;
} bad[] = {
	/* lines and sections */
	{ "", "t.ini: there is no [listener NAME] section; add at least one\n" },
	{ "bind = 1\n" BASE,
	  "t.ini:1: 'bind' stands before any section; begin with a line as [global] or [listener NAME]\n" },
	{ BASE "[lisener b]\nanything = goes\n", "t.ini:6: [lisener]: unknown section; did you mean 'listener'?\n" },
	{ BASE "[defaults]\n",
	  "t.ini:6: [defaults]: unknown section; allowed: [global] [log] [admin] [store] "
	  "[listener NAME] [route NAME] [pool NAME]\n" },
	{ BASE "[pool]\n", "t.ini:6: [pool] has no name; allowed: [pool NAME]\n" },
	{ BASE "[log x]\n", "t.ini:6: [log] has the name 'x'; allowed: [log] without a name\n" },
	{ BASE "[pool a/b]\n",
	  "t.ini:6: [pool] has the name 'a/b'; allowed: 1 to 64 letters, digits, '-', '_' and '.'\n" },
	{ BASE "[pool x\nretries = x\n",
	  "t.ini:6: [pool p]: '[pool x' has no ']'; allowed: [kind] or [kind name]\n" },
	{ BASE "[pool x] retries = 1\n",
	  "t.ini:6: [pool p]: '[pool x] retries = 1' goes on behind the ']'; allowed: a comment, or a line of its "
	  "own\n" },
	{ BASE "[pool p]\ngateway = g 127.0.0.1:82\n",
	  "t.ini:6: [pool p]: the name is taken, first at t.ini:4; allowed: each name once\n" },
	{ BASE "retries\n", "t.ini:6: [pool p]: 'retries' has no '=' behind a key; allowed: key = value\n" },
	{ BASE "retries", "t.ini:6: [pool p]: 'retries' has no '=' behind a key; allowed: key = value\n" },
	{ BASE "gateway h 127.0.0.1:82\n",
	  "t.ini:6: [pool p]: 'gateway h 127.0.0.1:82' has no '=' behind a key; allowed: key = value\n" },
	{ BASE "retries: 3\n", "t.ini:6: [pool p]: 'retries: 3' has no '=' behind a key; allowed: key = value\n" },
	{ BASE "= 3\n", "t.ini:6: [pool p]: '= 3' has no '=' behind a key; allowed: key = value\n" },
	{ BASE "retries = 1\x01\n", "t.ini:6: [pool p]: the line has the control byte \\x01\n" },
	{ BASE "retries = 1\r2\n", "t.ini:6: [pool p]: the line has the control byte \\x0d\n" },
	/* keys */
	{ BASE "retires = 3\n", "t.ini:6: [pool p] retires: unknown key; did you mean 'retries'?\n" },
	{ BASE "bind = 127.0.0.1:1\n", "t.ini:6: [pool p] bind: unknown key; see stickyd.ini(5)\n" },
	{ BASE "retries = 1\nretries = 1\n",
	  "t.ini:7: [pool p] retries: is given twice, first at t.ini:6; allowed: once\n" },
	{ GLOBAL "user = a\n[log]\n[global]\nuser = b\n",
	  "t.ini:10: [global] user: is given twice, first at t.ini:7; allowed: once\n" },
	/* every mistake in one run, in the order of lines */
	{ "[pool p]\nretries = x\n[listener a]\npool = q\n",
	  "t.ini:1: [pool p] gateway: is missing; allowed: NAME HOST:PORT, as gw1 10.0.0.11:8000\n"
	  "t.ini:2: [pool p] retries: 'x' is not a whole number; allowed: 0 to 16\n"
	  "t.ini:3: [listener a] bind: is missing; allowed: ADDRESS:PORT, as 0.0.0.0:443\n"
	  "t.ini:4: [listener a] pool: there is no [pool q]\n" },
	/* later versions */
	{ LISTENER "bind = 127.0.0.1:80\nprotocols = h2, http/1.1\n",
	  "t.ini:6: [listener a] protocols: 'h2' is not in this version; allowed: http/1.1\n" },
	{ BASE "[log]\nlevel = warning\n",
	  "t.ini:7: [log] level: 'warning' is not known; allowed: error warn notice info debug\n" },
	{ BASE "[log]\naccess = sdtout\n",
	  "t.ini:7: [log] access: 'sdtout' is not known; allowed: off stdout stderr "
	  "syslog, or a file, as /var/log/stickyd.log or ./stickyd.log\n" },
	{ LISTENER "bind = localhost:80\n",
	  "t.ini:5: [listener a] bind: 'localhost:80' is not an address to listen at; "
	  "allowed: ADDRESS:PORT in digits, as 0.0.0.0:443, *:80 or [::]:443\n" },
	{ LISTENER "bind = 127.0.0.1:80,\n", "t.ini:5: [listener a] bind: '' is not an address to listen at; "
	  "allowed: ADDRESS:PORT in digits, as 0.0.0.0:443, *:80 or [::]:443\n" },
	{ LISTENER "bind = :::80\n", "t.ini:5: [listener a] bind: ':::80' is not an address to listen at; "
	  "allowed: ADDRESS:PORT in digits, as 0.0.0.0:443, *:80 or [::]:443\n" },
	{ LISTENER "bind = 127.0.0.1:80\nmptcp = on\n",
	  "t.ini:6: [listener a] mptcp: 'on' is not a switch; allowed: yes no\n" },
	{ LISTENER "bind = 127.0.0.1:80\nmax_header = 8m\n",
	  "t.ini:6: [listener a] max_header: '8m' is out of range; allowed: 1k to 256k, written as 4096 16k 1m\n" },
	{ LISTENER "bind = 127.0.0.1:80\nmax_header = 8kb\n",
	  "t.ini:6: [listener a] max_header: '8kb' is not a size; allowed: 1k to 256k, written as 4096 16k 1m\n" },
	{ LISTENER "bind = 127.0.0.1:80\nheader_timeout = 0\n",
	  "t.ini:6: [listener a] header_timeout: '0' is out of range; "
	  "allowed: 1ms to 1h, written as 500ms 30s 5m 24h\n" },
	{ LISTENER "bind = 127.0.0.1:80\nnew_connections_per_ip = 5\n",
	  "t.ini:6: [listener a] new_connections_per_ip: '5' is not a rate; allowed: 0/s to 1000000/s, or 0/m to "
	  "1000000/m\n" },
	{ LISTENER "bind = 127.0.0.1:80\nallow = 10.0.0.0/33\n",
	  "t.ini:6: [listener a] allow: '10.0.0.0/33' is not a network; "
	  "allowed: ADDRESS or ADDRESS/BITS, as 10.0.0.0/8 or 2001:db8::/32\n" },
	{ LISTENER "bind = 127.0.0.1:80\ndeny = 10.0.0.1/8\n",
	  "t.ini:6: [listener a] deny: '10.0.0.1/8' has bits set beyond its "
	  "prefix; allowed: ADDRESS or ADDRESS/BITS, as 10.0.0.0/8 or 2001:db8::/32\n" },
	{ LISTENER "bind = 127.0.0.1:80\nallow =\n", "t.ini:6: [listener a] allow: '' is not a network; "
	  "allowed: ADDRESS or ADDRESS/BITS, as 10.0.0.0/8 or 2001:db8::/32\n" },
	{ LISTENER "bind = 127.0.0.1:80\ntls = yes\ncertificate = /a.pem\n",
	  "t.ini:7: [listener a] certificate: '/a.pem' is not "
	  "a certificate and its key; allowed: two paths, as /etc/stickyd/tls/a.pem "
	  "/etc/stickyd/tls/a.key\n" },
	{ BASE "affinity = cookie, cookie\n",
	  "t.ini:6: [pool p] affinity: 'cookie' is listed already; allowed: each selector once\n" },
	{ BASE "balance = best\n",
	  "t.ini:6: [pool p] balance: 'best' is not known; allowed: roundrobin leastconn random hash\n" },
	{ BASE "check_expect = 399-200\n",
	  "t.ini:6: [pool p] check_expect: '399-200' is not a range of statuses; allowed: "
	  "100 to 599, written as 204 or 200-399\n" },
	{ BASE "check_expect = 204,\n",
	  "t.ini:6: [pool p] check_expect: '' is not a range of statuses; allowed: 100 to 599, written as 204 or "
	  "200-399\n" },
	{ BASE "check_expect = 200-299, 600\n",
	  "t.ini:6: [pool p] check_expect: '600' is not a range of statuses; allowed: 100 to 599, written as 204 or "
	  "200-399\n" },
	{ BASE "check = ping\n", "t.ini:6: [pool p] check: 'ping' is not known; allowed: none tcp http websocket\n" },
	{ BASE "check_method = GET /\n", NOT_A_METHOD("GET /") },
	{ BASE "check_method = CONNECT\n", NOT_A_METHOD("CONNECT") },
	{ BASE "check_host = *.example.com\n", NOT_A_HOST("*.example.com") },
	{ BASE "check_host = game.example.com:port\n", NOT_A_HOST("game.example.com:port") },
	{ BASE "eject_after = -1\neject_time = 0\nslow_start = 10\n",
	  "t.ini:6: [pool p] eject_after: '-1' is not a whole number; allowed: 0 to 1000000\n"
	  "t.ini:7: [pool p] eject_time: '0' is out of range; allowed: 1ms to 24h, written as 500ms 30s 5m 24h\n"
	  "t.ini:8: [pool p] slow_start: '10' is not a time; allowed: 0, or 1ms to 24h, written as 500ms 30s 5m 24h\n" },
	{ BASE "drain_rate = 0/s\ndrain_deadline = soon\ndied_close = 1000\n",
	  "t.ini:6: [pool p] drain_rate: '0/s' is out of range; allowed: 1/s to 1000000/s, or 1/m to 1000000/m\n"
	  "t.ini:7: [pool p] drain_deadline: 'soon' is not a time; allowed: 0, or 1ms to 8760h, written as 500ms 30s 5m "
	  "24h\n"
	  "t.ini:8: [pool p] died_close: '1000' is not known; allowed: 1014 1001\n" },
	{ BASE "drain_rate = 50\n",
	  "t.ini:6: [pool p] drain_rate: '50' is not a rate; allowed: 1/s to 1000000/s, or 1/m to 1000000/m\n" },
	{ BASE "gateway_tls = yes\ngateway_sni = 10.0.0.1\ngateway_verify = maybe\n",
	  "t.ini:7: [pool p] gateway_sni: '10.0.0.1' is not a host name; allowed: a name, as gw.example.com\n"
	  "t.ini:8: [pool p] gateway_verify: 'maybe' is not a switch; allowed: yes no\n" },
	{ BASE "gateway_tls = yes\ngateway_sni = gw.example.com:443\n",
	  "t.ini:7: [pool p] gateway_sni: 'gw.example.com:443' is not a host name; allowed: a name, as "
	  "gw.example.com\n" },
	{ BASE "gateway_sni = gw.example.com\ngateway_ca = /ca.pem\n",
	  "t.ini:6: [pool p] gateway_sni: is given, but gateway_tls is no; add 'gateway_tls = yes'\n"
	  "t.ini:7: [pool p] gateway_ca: is given, but gateway_tls is no; add 'gateway_tls = yes'\n" },
	{ BASE "gateway_tls = sure\ngateway_ca = /ca.pem\n",
	  "t.ini:6: [pool p] gateway_tls: 'sure' is not a switch; allowed: yes no\n" },
	{ BASE "check_path = healthz\n",
	  "t.ini:6: [pool p] check_path: 'healthz' is not a path of a URL; allowed: '/' and more "
	  "visible ASCII without blanks and '#', at most 2048 bytes\n" },
	{ BASE "gateway = h ::1:82\n",
	  "t.ini:6: [pool p] gateway: 'h ::1:82' is not a gateway; allowed: NAME HOST:PORT [weight=N] "
	  "[max_sessions=N] [backup], as gw1 10.0.0.11:8000\n" },
	{ BASE "gateway = h 10.0.0.256:82\n",
	  "t.ini:6: [pool p] gateway: 'h 10.0.0.256:82' is not a gateway; allowed: "
	  "NAME HOST:PORT [weight=N] [max_sessions=N] [backup], as gw1 10.0.0.11:8000\n" },
	{ BASE "gateway = h x:82 wieght=2\n",
	  "t.ini:6: [pool p] gateway: 'h x:82 wieght=2' has an option that is not known; "
	  "allowed: weight=0 to weight=256, max_sessions=0 to max_sessions=10000000, backup\n" },
	{ BASE "cookie_name = a=b\n",
	  "t.ini:6: [pool p] cookie_name: 'a=b' is not a cookie's name; allowed: 1 to 64 letters, "
	  "digits and !#$%&'*+-.^_`|~ (RFC 6265)\n" },
	{ BASE "cookie_path = a\n",
	  "t.ini:6: [pool p] cookie_path: 'a' is not a cookie's path; allowed: '/' and more visible "
	  "ASCII without blanks and ';', at most 1024 bytes\n" },
	{ BASE "cookie_domain = a b\n",
	  "t.ini:6: [pool p] cookie_domain: 'a b' is not a domain; allowed: a host name, as example.com\n" },
	{ BASE "cookie_max_age = 1500ms\n",
	  "t.ini:6: [pool p] cookie_max_age: '1500ms' is not in whole seconds; allowed: "
	  "0, or 1s to 8760h, written as 30s 5m 24h\n" },
	{ BASE "tunnel_idle = 0\n",
	  "t.ini:6: [pool p] tunnel_idle: '0' is out of range; allowed: 1ms to 8760h, written as "
	  "500ms 30s 5m 24h\n" },
	{ ROUTE "pool = p\nhost = a:80\n",
	  "t.ini:8: [route r] host: 'a:80' is not a host; allowed: a host name without port, "
	  "as game.example.com or *.example.com\n" },
	{ ROUTE "redirect = ftp://x/\n",
	  "t.ini:7: [route r] redirect: 'ftp://x/' is not a target of a redirect; allowed: "
	  "http://, https:// or '/' and visible ASCII without blanks, then a status, as https://{host}{uri} 301\n" },
	{ ROUTE "redirect = https://{hots}/\n",
	  "t.ini:7: [route r] redirect: 'https://{hots}/' has a placeholder that is not "
	  "known; allowed: {host} and {uri}\n" },
	{ ROUTE "redirect = /x} 301\n", "t.ini:7: [route r] redirect: '/x} 301' has a placeholder that is not "
	  "known; allowed: {host} and {uri}\n" },
	{ ROUTE "redirect = /x 200\n",
	  "t.ini:7: [route r] redirect: '/x 200' has a status that is no redirect's; allowed: 301 302 "
	  "303 307 308\n" },
	/* selectors */
	{ BASE "affinity = cokie\n", NOT_A_SELECTOR("cokie", "; did you mean 'cookie'?") },
	{ BASE "affinity = heder:X-Id\n", NOT_A_SELECTOR("heder:X-Id", "; did you mean 'header:'?") },
	{ BASE "affinity = header\n", NOT_A_SELECTOR("header", "; did you mean 'header:'?") },
	{ BASE "affinity = Header:x\n", NOT_A_SELECTOR("Header:x", "; did you mean 'header:'?") },
	{ BASE "affinity = source:24\n", NOT_A_SELECTOR("source:24", "; did you mean 'source'?") },
	{ BASE "affinity = sorce/24\n", NOT_A_SELECTOR("sorce/24", "; did you mean 'source/'?") },
	{ BASE "affinity = learn:heder:X-Id\n", NOT_A_SELECTOR("learn:heder:X-Id", "; did you mean 'learn:header:'?") },
	{ BASE "affinity = ip_hash\n", NOT_A_SELECTOR("ip_hash", "") },
	{ BASE "affinity = cookie,\n", NOT_A_SELECTOR("", "") },
	{ BASE "affinity = header:\n", NOT_A_NAME("header:", "header:", "NAME") },
	{ BASE "affinity = header:X Id\n", NOT_A_NAME("header:X Id", "header:", "NAME") },
	{ BASE "affinity = cookie:a=b\n", NOT_A_NAME("cookie:a=b", "cookie:", "NAME") },
	{ BASE "affinity = rewrite:a;b\n", NOT_A_NAME("rewrite:a;b", "rewrite:", "NAME") },
	{ BASE "affinity = learn:cookie:\"a\"\n", NOT_A_NAME("learn:cookie:\"a\"", "learn:cookie:", "NAME") },
	{ BASE "affinity = subprotocol:a/b\n", NOT_A_NAME("subprotocol:a/b", "subprotocol:", "PREFIX") },
	{ BASE "affinity = query:a&b\n",
	  "t.ini:6: [pool p] affinity: 'query:a&b' has no NAME that can be one; allowed: query:NAME, with 1 to 64 of "
	  "visible ASCII but &=#+%;\n" },
	{ BASE "affinity = path:0, path:65, path:x\n",
	  "t.ini:6: [pool p] affinity: 'path:0' has no N that can be one; allowed: path:N, with 1 to 64\n"
	  "t.ini:6: [pool p] affinity: 'path:65' has no N that can be one; allowed: path:N, with 1 to 64\n"
	  "t.ini:6: [pool p] affinity: 'path:x' has no N that can be one; allowed: path:N, with 1 to 64\n" },
	{ BASE "affinity = source/33, source/24/129, source/\n",
	  NOT_BITS("source/33") NOT_BITS("source/24/129") NOT_BITS("source/") },
	{ BASE "affinity = source, source/32/128\n",
	  "t.ini:6: [pool p] affinity: 'source/32/128' is listed already; allowed: each selector once\n" },
	{ BASE "affinity = header:x-id, query:x-id, header:X-Id, query:X-Id\n",
	  "t.ini:6: [pool p] affinity: 'header:X-Id' is listed already; allowed: each selector once\n" },
	{ BASE "affinity = path:1,path:2,path:3,path:4,path:5,path:6,path:7,path:8,path:9,path:10,path:11,path:12,path:13\n"
	  "affinity = path:14, path:15, path:16, cookie\n",
	  "t.ini:7: [pool p] affinity: 'cookie' is one too many; allowed: at most 16 selectors\n" },
	/* what happens to whom */
	{ BASE "on_down = retry\n", "t.ini:6: [pool p] on_down: 'retry' is not known; allowed: " POLICIES },
	{ BASE "on_full = wait\n", "t.ini:6: [pool p] on_full: 'wait' is not known; allowed: " POLICIES },
	{ BASE "on_full = wait:5\n", "t.ini:6: [pool p] on_full: 'wait:5' is not known; allowed: " POLICIES },
	{ BASE "on_full = wait:0\n", "t.ini:6: [pool p] on_full: 'wait:0' is out of range; allowed: " POLICIES },
	{ BASE "on_full = wait:2h\n", "t.ini:6: [pool p] on_full: 'wait:2h' is out of range; allowed: " POLICIES },
	{ BASE "assign = sticky\n", "t.ini:6: [pool p] assign: 'sticky' is not known; allowed: table hash\n" },
	{ BASE "duplicate = deny\n", "t.ini:6: [pool p] duplicate: 'deny' is not known; allowed: allow close-old\n" },
	{ BASE "gateway = h x:82 backup=yes\n",
	  "t.ini:6: [pool p] gateway: 'h x:82 backup=yes' has an option that is not known; "
	  "allowed: weight=0 to weight=256, max_sessions=0 to max_sessions=10000000, backup\n" },
	/* the operator's door, and the store */
	{ BASE "[admin]\nlisten = 9180\n",
	  "t.ini:7: [admin] listen: '9180' is not an address to listen at; "
	  "allowed: off, or ADDRESS:PORT in digits, as 127.0.0.1:9180 or [::1]:9180\n" },
	{ BASE "[admin]\nsocket = /" SIXTY SIXTY "\n",
	  "t.ini:7: [admin] socket: '/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...' is too long "
	  "for a socket; allowed: off, or a path of at most 107 bytes from the root on\n" },
	{ BASE "[store]\ntype = mysql\n", "t.ini:7: [store] type: 'mysql' is not known; allowed: memory redis\n" },
	{ BASE "[store]\nmax_keys = 0\n",
	  "t.ini:7: [store] max_keys: '0' is out of range; allowed: 1 to 100000000\n" },
	{ BASE "[store]\nttl = 1500ms\n", "t.ini:7: [store] ttl: '1500ms' is not in whole seconds; "
	  "allowed: 1s to 8760h, written as 30s 5m 24h\n" },
	{ BASE "[store]\nsnapshot = 1ms\n", "t.ini:7: [store] snapshot: '1ms' is out of range; "
	  "allowed: 0, or 1s to 24h, written as 500ms 30s 5m 24h\n" },
	{ BASE "[store]\ntimeout = 0\n", "t.ini:7: [store] timeout: '0' is out of range; "
	  "allowed: 1ms to 10s, written as 500ms 30s 5m 24h\n" },
	{ BASE "[store]\nurl = 127.0.0.1:6379\n", BAD_URL("127.0.0.1:6379", "is not a URL of Redis") },
	{ BASE "[store]\nurl = http://127.0.0.1\n", BAD_URL("http://127.0.0.1", "is not a URL of Redis") },
	{ BASE "[store]\nurl = redis:127.0.0.1\n", BAD_URL("redis:127.0.0.1", "is not a URL of Redis") },
	{ BASE "[store]\nurl = redis://a b\n", BAD_URL("redis://a b", "is not a URL of Redis") },
	{ BASE "[store]\nurl = rediss://me:secret@r.example:6380/1\n", BAD_URL("...@r.example:6380/1",
	  "asks for TLS, which is not spoken with Redis: let stunnel(8) or a local proxy do it") },
	{ BASE "[store]\nurl = redis://\n", BAD_URL("redis://", "has no host that can be one") },
	{ BASE "[store]\nurl = redis:///0\n", BAD_URL("redis:///0", "has no host that can be one") },
	{ BASE "[store]\nurl = redis://::1/0\n", BAD_URL("redis://::1/0", "has no host that can be one") },
	{ BASE "[store]\nurl = redis://[::1/0\n", BAD_URL("redis://[::1/0", "has no host that can be one") },
	{ BASE "[store]\nurl = redis://a:0\n", BAD_URL("redis://a:0", "has no host that can be one") },
	{ BASE "[store]\nurl = redis://:secret@more@a\n", BAD_URL("...@a", "has no host that can be one") },
	{ BASE "[store]\nurl = redis://:secret@a/x\n",
	  BAD_URL("...@a/x", "has no database of 0 to 65535 behind its host") },
	{ BASE "[store]\nurl = redis://a/0?db=1\n",
	  BAD_URL("redis://a/0?db=1", "has no database of 0 to 65535 behind its host") },
	{ BASE "[store]\nurl = redis://:a%2@b\n",
	  BAD_URL("...@b", "has a user or password with a '%' that encodes nothing") },
	{ BASE "[store]\nurl = redis://me@b\n", BAD_URL("...@b", "has a user without a password") },
	{ BASE "[store]\nurl = redis://me:@b\n", BAD_URL("...@b", "has a user without a password") },
	{ BASE "[store]\nurl = redis://%00:a@b\n",
	  BAD_URL("...@b", "has a user or password with a '%' that encodes nothing") },
	{ BASE "[store]\nurl = unix://redis.sock\n",
	  BAD_URL("unix://redis.sock", "has no absolute path of a socket, at most 107 bytes") },
	{ BASE "[store]\nurl = unix:///\n",
	  BAD_URL("unix:///", "has no absolute path of a socket, at most 107 bytes") },
	{ BASE "[store]\nurl = unix:///a?database=1\n",
	  BAD_URL("unix:///a?database=1", "has no 'db=' and 0 to 65535 behind its '?'") },
	{ BASE "[store]\nurl = unix:///a?db=65536\n",
	  BAD_URL("unix:///a?db=65536", "has no 'db=' and 0 to 65535 behind its '?'") },
	/* variables */
	{ GLOBAL "user = ${NOT_SET_HERE}\n",
	  "t.ini:7: [global] user: the environment has no variable 'NOT_SET_HERE'; set it, "
	  "or give a default as ${NAME:-default}\n" },
	{ GLOBAL "user = ${TEST_USER\n",
	  "t.ini:7: [global] user: a '${' has no '}'; allowed: ${NAME} or ${NAME:-default}, and "
	  "$${ for a plain ${\n" },
	{ GLOBAL "user = ${1:+x}\n", "t.ini:7: [global] user: '${1:+x}' is not a variable; allowed: ${NAME} or "
	  "${NAME:-default}, and $${ for a plain ${\n" },
	{ GLOBAL "state_dir = /x${TEST_COMMENT}\n",
	  "t.ini:7: [global] state_dir: the environment puts a ' ;' into this value, which begins a comment\n" },
	{ GLOBAL "state_dir = /x${TEST_NEWLINE}\n",
	  "t.ini:7: [global] state_dir: the environment puts the control byte \\x0a into this value\n" },
	/* what does not fit together */
	{ BASE "[listener b]\nbind = *:90, 127.0.0.1:80\npool = p\n",
	  "t.ini:7: [listener b] bind: '127.0.0.1:80' is bound by [listener a] already; allowed: each "
	  "address once\n" },
	{ BASE "[listener b]\nbind = *:90, 0.0.0.0:90\npool = p\n",
	  "t.ini:7: [listener b] bind: '0.0.0.0:90' is bound by [listener b] already; allowed: each address once\n" },
	{ "[listener a]\nbind = 127.0.0.1:80\n[pool p]\ngateway = g 127.0.0.1:81\n",
	  "t.ini:1: [listener a] pool: is missing, and no [route] is for this listener; add 'pool = p'\n" },
	{ BASE "[pool q]\ngateway = g x:1\n[listener b]\nbind = 127.0.0.1:90\n[route r]\nlistener = a\npool = q\n",
	  "t.ini:8: [listener b] pool: is missing, and no [route] is for this listener; allowed: the name of a [pool "
	  "NAME] "
	  "section\n" },
	{ "[listener a]\nbind = 127.0.0.1:80\npool = gmae\n[pool game]\ngateway = g 127.0.0.1:81\n",
	  "t.ini:3: [listener a] pool: there is no [pool gmae]; did you mean 'game'?\n" },
	{ LISTENER "bind = 127.0.0.1:80\ntls = yes\n",
	  "t.ini:6: [listener a] tls: is yes, but there is no certificate; add 'certificate = CERTIFICATE KEY'\n" },
	{ LISTENER "bind = 127.0.0.1:80\ncertificate = /a /b\n",
	  "t.ini:6: [listener a] certificate: is given, but tls is no; add 'tls = yes'\n" },
	{ LISTENER "bind = 127.0.0.1:80\nproxy_protocol = required\n",
	  "t.ini:6: [listener a] proxy_protocol: is required, but "
	  "nobody is trusted to send the header; add 'trusted_proxies = NETWORK'\n" },
	{ ROUTE "listener = A, a\npool = p\n", "t.ini:7: [route r] listener: there is no [listener A]\n" },
	{ ROUTE "pool = q\n", "t.ini:7: [route r] pool: there is no [pool q]\n" },
	{ ROUTE "",
	  "t.ini:6: [route r]: has neither pool nor redirect; add 'pool = NAME' or 'redirect = TARGET STATUS'\n" },
	{ ROUTE "pool = p\nredirect = /x\n",
	  "t.ini:8: [route r] redirect: pool is given too; allowed: one of the two\n" },
	{ BASE "gateway = g 127.0.0.1:82\n",
	  "t.ini:6: [pool p] gateway: the name 'g' is taken by the gateway at 127.0.0.1:81; allowed: each name "
	  "once\n" },
	{ BASE "gateway = h 127.0.0.1:81\n",
	  "t.ini:6: [pool p] gateway: '127.0.0.1:81' is the address of g already; allowed: each address once\n" },
	{ BASE "gateway = h gw:1, i GW:1\n",
	  "t.ini:6: [pool p] gateway: 'GW:1' is the address of h already; allowed: each address once\n" },
	{ BASE "cookie_samesite = none\ncookie_secure = no\n",
	  "t.ini:6: [pool p] cookie_samesite: browsers take none only with "
	  "Secure; set cookie_secure to yes or auto\n" },
	{ BASE "cookie_partitioned = yes\ncookie_secure = no\n",
	  "t.ini:6: [pool p] cookie_partitioned: browsers take yes only "
	  "with Secure; set cookie_secure to yes or auto\n" },
	{ BASE "cookie_name = __Host-x\ncookie_path = /a\n",
	  "t.ini:6: [pool p] cookie_name: browsers take '__Host-x' only "
	  "without cookie_domain and with 'cookie_path = /'\n" },
	{ BASE "cookie_name = __Secure-x\ncookie_secure = no\n",
	  "t.ini:6: [pool p] cookie_name: browsers take '__Secure-x' only "
	  "with Secure; set cookie_secure to yes or auto\n" },
	{ BASE "cookie_cors_twin = __Host-x\ncookie_secure = no\ncookie_domain = x.example\n",
	  "t.ini:6: [pool p] cookie_cors_twin: browsers take '__Host-x' only "
	  "without cookie_domain and with 'cookie_path = /'\n" },
	{ BASE "affinity = header:a\ncookie_cors_twin = T\ncookie_legacy = L\n",
	  "t.ini:7: [pool p] cookie_cors_twin: is given, but 'cookie' is not in affinity; add it\n"
	  "t.ini:8: [pool p] cookie_legacy: is given, but 'cookie' is not in affinity; add it\n" },
	{ BASE "cookie_name = A\ncookie_cors_twin = A\n", TWICE("7", "cookie_cors_twin", "A", "cookie_name") },
	{ BASE "cookie_legacy = A\ncookie_cors_twin = A\n", TWICE("6", "cookie_legacy", "A", "cookie_cors_twin") },
	{ BASE "cookie_legacy = L\ncookie_cors_twin = T\n"
	  "affinity = cookie, rewrite:STICKYD, prefix:T, cookie:L, learn:cookie:STICKYD\n",
	  TWICE("8", "affinity", "rewrite:STICKYD", "cookie_name") TWICE("8", "affinity", "prefix:T", "cookie_cors_twin")
	  TWICE("8", "affinity", "cookie:L", "cookie_legacy")
	  TWICE("8", "affinity", "learn:cookie:STICKYD", "cookie_name")
	  TWICE("8", "affinity", "learn:cookie:STICKYD", "'rewrite:STICKYD'") },
	{ BASE "affinity = rewrite:S, prefix:S\n", TWICE("6", "affinity", "prefix:S", "'rewrite:S'") },
	{ BASE "affinity = cookie:S, rewrite:S\n", TWICE("6", "affinity", "rewrite:S", "'cookie:S'") },
	{ BASE "key_secret_file = /s\nduplicate = close-old\nassign = hash\n",
	  "t.ini:6: [pool p] key_secret_file: is given, but affinity has no key that can be signed; add one, as "
	  "header:X-Player-Id\n"
	  "t.ini:7: [pool p] duplicate: is close-old, but affinity has no key to go by; add one, as header:X-Player-Id\n"
	  "t.ini:8: [pool p] assign: is hash, but affinity has no key to go by; add one, as header:X-Player-Id\n" },
	{ BASE "affinity = source, learn:header:X\nkey_secret_file = /s\n",
	  "t.ini:7: [pool p] key_secret_file: is given, but affinity has no key that can be signed; add one, as "
	  "header:X-Player-Id\n" },
	/* what follows from a mistake alone is not told */
	{ BASE "affinity = heder:a\nassign = hash\n", NOT_A_SELECTOR("heder:a", "; did you mean 'header:'?") },
	{ BASE "[admin]\nlisten = 0.0.0.0:9180\n",
	  "t.ini:7: [admin] listen: '0.0.0.0:9180' is not on loopback, and there is no token; add 'token_file = FILE'\n" },
	{ BASE "[admin]\nlisten = [::]:9180\n",
	  "t.ini:7: [admin] listen: '[::]:9180' is not on loopback, and there is no token; add 'token_file = FILE'\n" },
};

static void
test_every_mistake_is_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_says(bad[i].text, strlen(bad[i].text), bad[i].wanted);
}

/* ---- what is right ---- */

/* A text, and a line that its print has. */
static const struct {
	const char *text, *wanted;
} good[] = {
	{ BASE, "workers = auto ; " },
	{ BASE, "\ninclude = ;" },
	{ BASE, "\nstate_dir = ; /var/lib/stickyd\n" },
	{ "\xef\xbb\xbf" BASE, "[listener a]" },
	{ "; a comment\n# another\n\n \t\n" BASE, "[pool p]" },
	{ "[listener a]\r\nbind = 127.0.0.1:80\r\npool=p\r\n[ pool   p ] ; comment\r\ngateway =g 127.0.0.1:81",
	  "[pool p]" },
	{ BASE "  retries = 5\n\tcheck_rise = 7 ; not a continued line\n", "check_rise = 7\n" },
	{ GLOBAL "workers = 3\n[log]\n[global]\nuser = me\n", "workers = 3\nuser = me\n" },
	{ GLOBAL "state_dir = /var/lib/stickyd\n", "state_dir = /var/lib/stickyd\n" },
	{ GLOBAL "state_dir =\nuser =\ninclude =\n", "state_dir = ; /var/lib/stickyd\n" },
	{ GLOBAL "state_dir = /a;b ;c\n", "state_dir = /a;b\n" },
	{ GLOBAL "state_dir = /a$${b}$c$$${d\n", "state_dir = /a$${b}$c$$${d\n" },
	{ GLOBAL "user = ${TEST_USER}\n", "user = tester\n" },
	{ GLOBAL "user = a${TEST_EMPTY}b${TEST_EMPTY:-c}${NOT_SET_HERE:-d}\n", "user = abcd\n" },
	{ GLOBAL "state_dir = ${TEST_DOLLAR}\n", "state_dir = /$${TEST_USER}\n" },
	{ GLOBAL "shutdown_grace = 0\n", "shutdown_grace = 0\n" },
	{ GLOBAL "shutdown_grace = 90s\n", "shutdown_grace = 90s\n" },
	{ GLOBAL "shutdown_grace = 3600s\n", "shutdown_grace = 1h\n" },
	{ BASE "[log]\noutput = /var/log/stickyd.log\naccess = stdout\nformat = json\nlevel = debug\n",
	  "level = debug\noutput = /var/log/stickyd.log\naccess = stdout\nformat = json\n" },
	{ BASE "check = websocket\ncheck_path = /ws\ncheck_host = [::1]:8080\ncheck_method = HEAD\n",
	  "check = websocket\ncheck_path = /ws\ncheck_method = HEAD\ncheck_host = [::1]:8080\n" },
	{ BASE "eject_after = 0\neject_time = 90s\nslow_start = 0\n",
	  "eject_after = 0\neject_time = 90s\nslow_start = 0\n" },
	{ BASE "gateway_tls = yes\ngateway_ca = /etc/ca.pem\ngateway_sni = gw.example.com\ngateway_verify = no\n",
	  "gateway_tls = yes\ngateway_ca = /etc/ca.pem\ngateway_sni = gw.example.com\ngateway_verify = no\n" },
	{ BASE "gateway_tls = no\ngateway_ca =\ngateway_sni =\ngateway_verify = no\ncheck_host =\n",
	  "gateway_tls = no\ngateway_ca =\ngateway_sni =\ngateway_verify = no\n" },
	{ BASE "drain_rate = 600/m\ndrain_deadline = 10m\ndied_close = 1001\n",
	  "drain_rate = 600/m\ndrain_deadline = 10m\ndied_close = 1001\n" },
	{ LISTENER "bind = *:80, [::]:80\nbind = 127.0.0.1:0, 127.0.0.1:0\n",
	  "bind = *:80\nbind = [::]:80\nbind = 127.0.0.1:0\nbind = 127.0.0.1:0\n" },
	{ LISTENER "bind = *:80\ntls = yes\ncertificate = /a /b, /c /d\ncertificate = /e\t /f\n",
	  "certificate = /a /b\ncertificate = /c /d\ncertificate = /e /f\n" },
	{ LISTENER "bind = *:80\nproxy_protocol = required\ntrusted_proxies = 10.0.0.0/8, ::1\n",
	  "proxy_protocol = required\ntrusted_proxies = 10.0.0.0/8\ntrusted_proxies = ::1\n" },
	{ LISTENER "bind = *:80\nallow = 10.0.0.0/8\n", "\nallow = 10.0.0.0/8\ndeny =\n" },
	{ LISTENER "bind = *:80\nmax_header = 8192\nnew_connections_per_ip = 10/m\n",
	  "max_header = 8k\nmax_connections = 100000\nmax_connections_per_ip = 0\nnew_connections_per_ip = 10/m\n" },
	{ "[listener a]\nbind = *:80\n[route r]\nredirect = https://{host}{uri} 301\n",
	  "redirect = https://{host}{uri} 301\n" },
	{ ROUTE "host = Game.Example.COM, *.example.com, [::1]\npath = /login/\npool = p\n",
	  "host = game.example.com\nhost = *.example.com\nhost = [::1]\npath = /login/\npool = p\nredirect =\n" },
	{ ROUTE "redirect = /there\n", "redirect = /there 302\n" },
	{ BASE "gateway = h [::1]:81 weight=256, i gw.example.com:81 weight=0\n",
	  "gateway = h [::1]:81 weight=256\ngateway = i gw.example.com:81 weight=0\n" },
	{ BASE "gateway = h x:1 backup, i x:2 max_sessions=20000 weight=50, j x:3 backup max_sessions=0\n",
	  "gateway = h x:1 weight=1 backup\ngateway = i x:2 weight=50 max_sessions=20000\n"
	  "gateway = j x:3 weight=1 backup\n" },
	{ "[listener a]\nbind = *:80\npool = p\n[pool p]\ngateway = g x:1 backup\n", "gateway = g x:1 weight=1 backup\n" },
	{ BASE "affinity =\n", "affinity =\n" },
	{ BASE "affinity = rewrite:SID, prefix:JSESSIONID,header:X-Id, query:player, path:3\n"
	  "affinity = cookie:uid, subprotocol:player., source/24/64, source, learn:header:X-Id, learn:cookie:uid, cookie\n",
	  "affinity = rewrite:SID\naffinity = prefix:JSESSIONID\naffinity = header:X-Id\naffinity = query:player\n"
	  "affinity = path:3\naffinity = cookie:uid\naffinity = subprotocol:player.\naffinity = source/24/64\n"
	  "affinity = source\naffinity = learn:header:X-Id\naffinity = learn:cookie:uid\naffinity = cookie\n" },
	{ BASE "affinity = source\nassign = hash\nbalance = hash\non_down = wait:90s\non_full = reject\n"
	  "duplicate = close-old\n",
	  "affinity = source\nassign = hash\nbalance = hash\non_down = wait:90s\non_full = reject\n" },
	{ BASE "cookie_cors_twin = __Host-y\ncookie_legacy = STICKYD\ncookie_secure = no\n",
	  "cookie_cors_twin = __Host-y\ncookie_legacy = STICKYD\n" },
	{ BASE "affinity = cookie:a\nkey_secret_file = /etc/keys\n", "key_secret_file = /etc/keys\n" },
	{ BASE "cookie_cors_twin =\ncookie_legacy =\nkey_secret_file =\n",
	  "cookie_cors_twin =\ncookie_legacy =\nkey_secret_file =\n" },
	{ BASE "[admin]\n[store]\n",
	  "[admin]\nsocket = ; /run/stickyd/admin.sock\nlisten = off\ntoken_file =\n\n[store]\ntype = memory\n"
	  "url = redis://127.0.0.1:6379/0\nmax_keys = 1000000\nttl = 24h\nsnapshot = 1m\ntimeout = 50ms\n"
	  "new_keys_per_ip = 0/s\n" },
	{ BASE "[admin]\nsocket = off\nlisten = [::1]:0\n", "socket = off\nlisten = [::1]:0\n" },
	{ BASE "[admin]\nsocket =\nlisten = off\ntoken_file = /t\n",
	  "socket = ; /run/stickyd/admin.sock\nlisten = off\ntoken_file = /t\n" },
	{ BASE "[admin]\nsocket = /run/stickyd/admin.sock\nlisten = *:9180\ntoken_file = /t\n",
	  "socket = /run/stickyd/admin.sock\nlisten = *:9180\ntoken_file = /t\n" },
	{ BASE "[store]\ntype = redis\nurl = redis://:$${x}@a\nsnapshot = 0\nnew_keys_per_ip = 20/s\n",
	  "type = redis\nurl = redis://:$${x}@a\n" },
	{ BASE "check_expect = 204\n", "check_expect = 204\ncheck_interval = 2s\n" },
	{ BASE "check_expect = 200-299, 204\ncheck_expect = 403-403\n",
	  "check_expect = 200-299\ncheck_expect = 204\ncheck_expect = 403\n" },
	{ BASE "cookie_domain = .example.com\ncookie_max_age = 24h\n", "cookie_domain = example.com\n" },
	{ BASE "cookie_name = __Host-x\n", "cookie_name = __Host-x\n" },
};

static void
test_good_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct conf *c = load_good(good[i].text);
		char *text = printed(c);

		if (strstr(text, good[i].wanted) == NULL)
			fail_msg("no '%s' in:\n%s", good[i].wanted, text);
		assert_reads_back(c);
		free(text);
		conf_free(c);
	}
}

static void
test_defaults(void **state)
{
	struct conf *c = load_good(BASE);
	const struct conf_listener *l = &c->listener[0];
	const struct conf_pool *p = conf_pool_find(c, "p");

	(void)state;
	assert_true(c->global.workers_auto && c->global.workers >= 1);
	assert_null(c->global.user);
	assert_string_equal(c->global.state_dir, "/var/lib/stickyd");
	assert_false(c->global.state_dir_configured);
	assert_int_equal(c->global.shutdown_grace_ms, 30000);
	assert_int_equal(c->log.level, LOG_LEVEL_INFO);
	assert_int_equal(c->log.output, CONF_LOG_STDERR);
	assert_int_equal(c->log.access, CONF_LOG_OFF);
	assert_string_equal(c->admin.socket, "/run/stickyd/admin.sock");
	assert_false(c->admin.socket_configured);
	assert_null(c->admin.listen);
	assert_null(c->admin.token_file);
	assert_int_equal(c->store.type, CONF_STORE_MEMORY);
	assert_string_equal(c->store.url.host, "127.0.0.1");
	assert_int_equal(c->store.max_keys, 1000000);
	assert_int_equal(c->store.ttl_ms, 86400000);
	assert_int_equal(c->store.snapshot_ms, 60000);
	assert_int_equal(c->store.timeout_ms, 50);
	assert_int_equal(c->store.new_keys_per_ip.per_ms, 0);
	assert_string_equal(l->pool, "p");
	assert_false(l->tls || l->mptcp);
	assert_int_equal(l->allow.n, 2);
	assert_int_equal(l->trusted_proxies.n, 0);
	assert_int_equal(l->header_timeout_ms, 10000);
	assert_int_equal(l->max_header_bytes, 16384);
	assert_int_equal(l->new_connections_per_ip.per_ms, 0);
	assert_int_equal(l->bind_place.line, 2);
	assert_int_equal(l->place.line, 1);
	assert_int_equal(p->gateway[0].weight, 1);
	assert_int_equal(p->gateway[0].place.line, 5);
	assert_string_equal(p->gateway[0].place.file, "t.ini");
	assert_int_equal(p->gateway[0].max_sessions, 0);
	assert_false(p->gateway[0].backup);
	assert_int_equal(p->selectors, 1);
	assert_int_equal(p->selector[0].kind, CONF_SELECTOR_COOKIE);
	assert_string_equal(p->selector[0].text, "cookie");
	assert_null(p->selector[0].name);
	assert_int_equal(p->assign, CONF_ASSIGN_TABLE);
	assert_int_equal(p->on_down.kind, CONF_POLICY_REASSIGN);
	assert_int_equal(p->on_full.kind, CONF_POLICY_WAIT);
	assert_int_equal(p->on_full.wait_ms, 2000);
	assert_int_equal(p->duplicate, CONF_DUPLICATE_ALLOW);
	assert_null(p->key_secret_file);
	assert_null(p->cookie.cors_twin);
	assert_null(p->cookie.legacy);
	assert_int_equal(p->check, CONF_CHECK_TCP);
	assert_string_equal(p->check_method, "GET");
	assert_null(p->check_host);
	assert_int_equal(p->check_expects, 1);
	assert_int_equal(p->check_expect[0].low, 200);
	assert_int_equal(p->check_expect[0].high, 399);
	assert_int_equal(p->eject_after, 5);
	assert_int_equal(p->eject_time_ms, 30000);
	assert_int_equal(p->slow_start_ms, 0);
	assert_false(p->gateway_tls);
	assert_true(p->gateway_verify);
	assert_null(p->gateway_ca);
	assert_null(p->gateway_sni);
	assert_int_equal(p->drain_rate.count, 200);
	assert_int_equal(p->drain_rate.per_ms, 1000);
	assert_int_equal(p->drain_deadline_ms, 0);
	assert_int_equal(p->died_close, 1014);
	assert_int_equal(p->tunnel_idle_ms, 3600000);
	assert_string_equal(p->cookie.name, "STICKYD");
	assert_null(p->cookie.domain);
	assert_int_equal(p->cookie.samesite, CONF_SAMESITE_LAX);
	assert_int_equal(p->cookie.secure, CONF_AUTO);
	assert_true(p->cookie.httponly);
	assert_null(conf_pool_find(c, "q"));
	conf_free(c);
	conf_free(NULL);
}

/* ---- selectors and URLs, field by field ---- */

static void
test_selectors(void **state)
{
	static const struct {
		const char *text;
		enum conf_selector_kind kind;
		const char *name;
		unsigned segment, v4, v6;
	} cases[] = {
		{ "cookie", CONF_SELECTOR_COOKIE, NULL, 0, 0, 0 },
		{ "rewrite:a", CONF_SELECTOR_REWRITE, "a", 0, 0, 0 },
		{ "prefix:a", CONF_SELECTOR_PREFIX, "a", 0, 0, 0 },
		{ "header:X-Id", CONF_SELECTOR_HEADER, "X-Id", 0, 0, 0 },
		{ "query:p[id]", CONF_SELECTOR_QUERY, "p[id]", 0, 0, 0 },
		{ "query:a:b/c", CONF_SELECTOR_QUERY, "a:b/c", 0, 0, 0 },
		{ "path:64", CONF_SELECTOR_PATH, NULL, 64, 0, 0 },
		{ "cookie:uid", CONF_SELECTOR_COOKIE_KEY, "uid", 0, 0, 0 },
		{ "subprotocol:key.", CONF_SELECTOR_SUBPROTOCOL, "key.", 0, 0, 0 },
		{ "source", CONF_SELECTOR_SOURCE, NULL, 0, 32, 128 },
		{ "source/24", CONF_SELECTOR_SOURCE, NULL, 0, 24, 128 },
		{ "source/0/0", CONF_SELECTOR_SOURCE, NULL, 0, 0, 0 },
		{ "learn:header:X-Id", CONF_SELECTOR_LEARN_HEADER, "X-Id", 0, 0, 0 },
		{ "learn:cookie:uid", CONF_SELECTOR_LEARN_COOKIE, "uid", 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *text = mem_printf("%saffinity = %s\n", BASE, cases[i].text);
		struct conf *c = load_good(text);
		const struct conf_selector *s = c->pool[0].selector;

		assert_int_equal(c->pool[0].selectors, 1);
		assert_int_equal(s->kind, cases[i].kind);
		assert_string_equal(s->text, cases[i].text);
		assert_true((s->name == NULL) == (cases[i].name == NULL));
		if (s->name != NULL)
			assert_string_equal(s->name, cases[i].name);
		assert_int_equal(s->segment, cases[i].segment);
		assert_int_equal(s->bits_v4, cases[i].v4);
		assert_int_equal(s->bits_v6, cases[i].v6);
		conf_free(c);
		free(text);
	}
}

/* As one text: host or path, port, database, user, password. */
static void
test_urls(void **state)
{
	static const struct {
		const char *text, *wanted;
	} cases[] = {
		{ "redis://127.0.0.1:6379/0", "127.0.0.1 - 6379 0 - -" },
		{ "redis://redis.example", "redis.example - 6379 0 - -" },
		{ "redis://redis.example/", "redis.example - 6379 0 - -" },
		{ "redis://redis.example:7000/15", "redis.example - 7000 15 - -" },
		{ "redis://[::1]", "::1 - 6379 0 - -" },
		{ "redis://[2001:db8::1]:7000/3", "2001:db8::1 - 7000 3 - -" },
		{ "redis://:secret@h", "h - 6379 0 - secret" },
		{ "redis://me:secret@h:1/65535", "h - 1 65535 me secret" },
		{ "redis://@h", "h - 6379 0 - -" },
		{ "redis://m%65:a%40b%2Fc:%25%e9@[::1]:1", "::1 - 1 0 me a@b/c:%\xe9" },
		{ "unix:///run/redis.sock", "- /run/redis.sock 0 0 - -" },
		{ "unix:///run/redis@1.sock?db=7", "- /run/redis@1.sock 0 7 - -" },
		{ "unix://:secret@/run/r?db=0", "- /run/r 0 0 - secret" },
		{ "unix://me:se%3acret@/run/r", "- /run/r 0 0 me se:cret" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *text = mem_printf("%s[store]\nurl = %s\n", BASE, cases[i].text), *got;
		struct conf *c = load_good(text);
		const struct conf_url *u = &c->store.url;

		got = mem_printf("%s %s %u %u %s %s", u->host != NULL ? u->host : "-", u->path != NULL ? u->path : "-",
		    u->port, u->database, u->user != NULL ? u->user : "-", u->password != NULL ? u->password : "-");
		assert_string_equal(got, cases[i].wanted);
		assert_string_equal(u->text, cases[i].text);
		assert_int_equal(c->store.url_place.line, 7);
		assert_reads_back(c);
		conf_free(c);
		free(got);
		free(text);
	}
}

/* ---- long lines ---- */

/* A check_path of one and so many bytes more, and a comment; to be freed. */
static char *
long_text(const char *before, size_t value, size_t comment)
{
	char *fill = mem_zalloc(value + 1), *tail = mem_zalloc(comment + 1), *text;

	memset(fill, 'x', value);
	memset(tail, 'y', comment);
	text = mem_printf("%s%s%s%s%s\n", before, "check_path = /", fill, comment != 0 ? " ;" : "", tail);
	free(fill);
	free(tail);
	return text;
}

/* A list of many items: none may be lost where a buffer ends. */
static void
test_a_long_line_is_whole(void **state)
{
	size_t n = 0, room = VALUE_MOST + 64;
	char *text = mem_zalloc(room), *at = text + sprintf(text, "%s", LISTENER "bind = *:80\nallow = 10.0.0.0");
	struct conf *c;

	(void)state;
	for (n = 1; at - text < 8000; n++)
		at += sprintf(at, ", 10.%zu.%zu.0", n / 256, n % 256);
	c = load_good(text);
	assert_int_equal(c->listener[0].allow.n, n);
	assert_string_equal(c->listener[0].allow.item[1], "10.0.1.0");
	assert_reads_back(c);
	conf_free(c);
	free(text);
}

static void
test_a_line_too_long_is_refused(void **state)
{
	static const struct {
		size_t value, comment;
		const char *wanted;
	} cases[] = {
		{ VALUE_MOST, 0, "t.ini:6: [pool p] check_path: is longer than 8192 bytes, variables replaced\n" },
		{ 2000, LINE_MOST - 2016, NULL },
		{ 2000, LINE_MOST - 2015, "t.ini:6: [pool p]: the line is longer than 16383 bytes\n" },
		{ 2000, 100000, "t.ini:6: [pool p]: the line is longer than 16383 bytes\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char *text = long_text(BASE, cases[i].value, cases[i].comment);

		if (cases[i].wanted == NULL)
			conf_free(load_good(text));
		else
			assert_says(text, strlen(text), cases[i].wanted);
		free(text);
	}
}

static void
test_a_nul_is_refused(void **state)
{
	static const char text[] = BASE "retries = 1\0 2\n";

	(void)state;
	assert_says(text, sizeof text - 1, "t.ini:6: [pool p]: the line has the control byte \\x00\n");
}

/* ---- files ---- */

struct files {
	char directory[32];
	char *main;
};

static void
files_write(const struct files *f, const char *name, const char *text)
{
	char *path = mem_printf("%s/%s", f->directory, name);
	FILE *to = fopen(path, "w");

	assert_non_null(to);
	fputs(text, to);
	fclose(to);
	free(path);
}

static int
files_new(void **state)
{
	struct files *f = mem_zalloc(sizeof *f);
	char *path;

	strcpy(f->directory, "/tmp/test_conf.XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	f->main = mem_printf("%s/main.ini", f->directory);
	path = mem_printf("%s/conf.d", f->directory);
	assert_int_equal(mkdir(path, 0700), 0);
	free(path);
	*state = f;
	return 0;
}

static int
files_free(void **state)
{
	struct files *f = *state;
	char *command = mem_printf("rm -r '%s'", f->directory);
	int result = system(command);

	free(command);
	free(f->main);
	free(f);
	return result;
}

/* What is said of main.ini, with "DIR/" for its directory; "" where all is well, and then the result is in *c. */
static char *
files_load(const struct files *f, struct conf **c)
{
	struct conf_options options = { .file = f->main };
	size_t n = strlen(f->directory);
	struct said s, short_said;
	char *copy;

	said_open(&s);
	said_open(&short_said);
	*c = conf_load(&options, on_mistake, &s);
	for (const char *at = said_text(&s); *at != '\0'; at++) {
		bool is_here = strncmp(at, f->directory, n) == 0;

		fputs(is_here ? "DIR" : (char[]){ *at, '\0' }, short_said.to);
		at += is_here ? n - 1 : 0;
	}
	copy = mem_strdup(said_text(&short_said));
	said_close(&s);
	said_close(&short_said);
	return copy;
}

static void
assert_files_say(const struct files *f, const char *wanted)
{
	struct conf *c;
	char *said = files_load(f, &c);

	assert_string_equal(said, wanted);
	assert_true((c == NULL) == (wanted[0] != '\0'));
	conf_free(c);
	free(said);
}

static void
test_include(void **state)
{
	const struct files *f = *state;
	struct conf *c;
	char *said;

	files_write(f, "main.ini", "[global]\ninclude = conf.d/*.ini, pool.ini, none.d/*.ini\nworkers = 2\n");
	files_write(f, "conf.d/b.ini", "[listener b]\nbind = *:81\npool = p\n");
	files_write(f, "conf.d/a.ini", "[listener a]\nbind = *:80\npool = p\n");
	files_write(f, "conf.d/no.txt", "nonsense\n");
	files_write(f, "pool.ini", "[pool p]\ngateway = g x:1\n[global]\nuser = me\n");
	said = files_load(f, &c);
	assert_string_equal(said, "");
	assert_int_equal(c->listeners, 2);
	assert_string_equal(c->listener[0].name, "a");
	assert_string_equal(c->listener[1].name, "b");
	assert_string_equal(strrchr(c->listener[1].place.file, '/'), "/b.ini");
	assert_string_equal(c->global.user, "me");
	assert_int_equal(c->global.workers, 2);
	assert_int_equal(c->files.n, 4);
	assert_reads_back(c);
	conf_free(c);
	free(said);
}

/* A relative path begins at the directory of the file that it stands in, however that was named, and is kept
 * absolute. */
static void
test_relative_paths(void **state)
{
	const struct files *f = *state;
	char *working = getcwd(NULL, 0), *said, *text;
	struct conf_options options = { .file = "main.ini" };
	struct conf *c;

	files_write(f, "main.ini", "[global]\nstate_dir = state\n[log]\noutput = stickyd.log\naccess = ./log/access\n"
	    "[admin]\nsocket = ./off\ntoken_file = token\n");
	files_write(f, "conf.d/a.ini",
	    "[listener a]\nbind = *:80\npool = p\ntls = yes\ncertificate = a.pem ../a.key, /b.pem b.key\n"
	    "[pool p]\ngateway = g x:1\naffinity = header:X\nkey_secret_file = keys\n");
	said = files_load(f, &c);
	assert_string_equal(said, "");
	text = printed(c);
	conf_free(c);
	assert_int_equal(chdir(f->directory), 0);
	c = conf_load(&options, on_mistake, NULL);
	assert_int_equal(chdir(working), 0);
	assert_non_null(c);
	free(said);
	said = printed(c);
	assert_string_equal(said, text);
	free(said);
	said = mem_printf("%s/state %s/stickyd.log %s/./log/access %s/./off %s/token %s/conf.d/keys %s/conf.d/a.pem "
	    "%s/conf.d/../a.key /b.pem %s/conf.d/b.key", f->directory, f->directory, f->directory, f->directory,
	    f->directory, f->directory, f->directory, f->directory, f->directory);
	free(text);
	text = mem_printf("%s %s %s %s %s %s %s %s %s %s", c->global.state_dir, c->log.output_file, c->log.access_file,
	    c->admin.socket, c->admin.token_file, c->pool[0].key_secret_file,
	    c->listener[0].certificate[0].certificate_file, c->listener[0].certificate[0].key_file,
	    c->listener[0].certificate[1].certificate_file, c->listener[0].certificate[1].key_file);
	assert_string_equal(text, said);
	assert_reads_back(c);
	conf_free(c);
	free(text);
	free(said);
	free(working);
}

/* What is printed has to read back, and a directory may have a name that no line can hold. */
static void
test_relative_paths_that_no_line_can_hold(void **state)
{
	static const struct {
		const char *file, *text, *wanted;
	} cases[] = {
		{ "a ;b/t.ini", GLOBAL "state_dir = c\n",
		  "a ;b/t.ini:7: [global] state_dir: 'c' is relative to a directory whose name has control bytes or ' ;'; "
		  "allowed: an absolute path\n" },
		{ "a\nb/t.ini", GLOBAL "[log]\naccess = ./c\n", "an absolute path\n" },
		{ "a b/t.ini", LISTENER "bind = *:80\ntls = yes\ncertificate = /c d\n",
		  "a b/t.ini:7: [listener a] certificate: '/c d' is relative to a directory whose name has a blank or a "
		  "comma; allowed: absolute paths without those\n" },
		{ "a b/t.ini", GLOBAL "state_dir = c d\n[log]\noutput = /e\t f.log\n", "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct said s;
		struct conf *c;

		said_open(&s);
		c = conf_load_bytes(cases[i].text, strlen(cases[i].text), cases[i].file, on_mistake, &s);
		assert_non_null(strstr(said_text(&s), cases[i].wanted));
		assert_int_equal(c != NULL, cases[i].wanted[0] == '\0');
		if (c != NULL)
			assert_reads_back(c);
		conf_free(c);
		said_close(&s);
	}
}

/* The default is conf.d beside the first file; an empty include switches that off. */
static void
test_default_include(void **state)
{
	const struct files *f = *state;

	files_write(f, "main.ini", BASE);
	files_write(f, "conf.d/a.ini", "[global]\nworkers = x\n");
	assert_files_say(f, "DIR/conf.d/a.ini:2: [global] workers: 'x' is not a number of threads; allowed: auto, or "
	    "1 to 256\n");
	files_write(f, "main.ini", "[global]\ninclude =\n" BASE);
	assert_files_say(f, "");
}

static void
test_mistakes_of_all_files(void **state)
{
	const struct files *f = *state;

	files_write(f, "main.ini",
	    "[global]\ninclude = pool.ini, none.ini\nworkers = x\n[listener a]\nbind = *:80\npool = q\n");
	files_write(f, "pool.ini", "[pool p]\n[global]\nworkers = 1\ninclude = deep.ini\n");
	files_write(f, "deep.ini", "[pool p]\n");
	assert_files_say(f,
	    "DIR/main.ini:2: [global] include: 'DIR/none.ini' can't be read: No such file or directory\n"
	    "DIR/main.ini:3: [global] workers: is given twice, first at DIR/pool.ini:3; allowed: once\n"
	    "DIR/main.ini:6: [listener a] pool: there is no [pool q]\n"
	    "DIR/pool.ini:1: [pool p] gateway: is missing; allowed: NAME HOST:PORT, as gw1 10.0.0.11:8000\n"
	    "DIR/deep.ini:1: [pool p]: the name is taken, first at DIR/pool.ini:1; allowed: each name once\n"
	    "DIR/deep.ini:1: [pool p] gateway: is missing; allowed: NAME HOST:PORT, as gw1 10.0.0.11:8000\n");
}

static void
test_cycles_end(void **state)
{
	const struct files *f = *state;
	char name[16], text[48];

	files_write(f, "main.ini", "[global]\ninclude = a.ini\n" BASE);
	files_write(f, "a.ini", "[global]\ninclude = main.ini\n");
	assert_files_say(f, "DIR/a.ini:2: [global] include: 'DIR/main.ini' can't be read: it is being read already: "
	    "it includes itself\n");
	files_write(f, "a.ini", "[global]\ninclude = 1.ini\n");
	for (int i = 1; i < 20; i++) {
		snprintf(name, sizeof name, "%d.ini", i);
		snprintf(text, sizeof text, "[global]\ninclude = %d.ini\n", i + 1);
		files_write(f, name, text);
	}
	assert_files_say(f, "DIR/6.ini:2: [global] include: 'DIR/7.ini' can't be read: files include one another "
	    "more than "
	    "8 deep\n");
}

static void
test_no_file(void **state)
{
	const struct files *f = *state;

	assert_files_say(f, "DIR/main.ini: the file can't be read: No such file or directory\n");
}

/* ---- the command line ---- */

static void
assert_options(struct conf_options *o, const char *wanted, struct conf **c)
{
	struct said s;

	said_open(&s);
	*c = conf_load(o, on_mistake, &s);
	assert_string_equal(said_text(&s), wanted);
	said_close(&s);
}

static void
test_options(void **state)
{
	static const char *const listen[] = { "127.0.0.1:8080", "[::1]:8080" };
	static const char *const gateway[] = { "127.0.0.1:1",
	    "b 127.0.0.1:2", "c=127.0.0.1:3 weight=7", "[::1]:4 weight=2" };
	struct conf_options o = { .listen = listen, .listens = 2, .gateway = gateway, .gateways = 4 };
	struct conf *c;
	const struct conf_pool *p;

	(void)state;
	assert_options(&o, "", &c);
	p = conf_pool_find(c, "cli");
	assert_int_equal(c->listener[0].bind.n, 2);
	assert_string_equal(c->listener[0].pool, "cli");
	assert_string_equal(c->listener[0].bind_place.file, "command line");
	assert_int_equal(p->gateways, 4);
	assert_string_equal(p->gateway[0].name, "gw1");
	assert_string_equal(p->gateway[1].name, "b");
	assert_string_equal(p->gateway[2].name, "c");
	assert_string_equal(p->gateway[2].address, "127.0.0.1:3");
	assert_int_equal(p->gateway[2].weight, 7);
	assert_string_equal(p->gateway[3].name, "gw4");
	assert_int_equal(p->gateway[3].weight, 2);
	assert_int_equal(p->check, CONF_CHECK_TCP);
	assert_reads_back(c);
	conf_free(c);
}

static void
test_bad_options(void **state)
{
	static const char *const listen[] = { "8080" };
	static const char *const gateway[] = { "127.0.0.1:1", "127.0.0.1:1", "nowhere" };
	struct conf_options o = { .listen = listen, .listens = 1, .gateway = gateway, .gateways = 3 };
	struct conf *c;

	(void)state;
	assert_options(&o,
	    "command line: --listen: '8080' is not an address to listen at; allowed: ADDRESS:PORT in digits, as "
	  "0.0.0.0:443, "
	    "*:80 or [::]:443\n"
	    "command line: --gateway: 'gw3 nowhere' is not a gateway; allowed: NAME HOST:PORT [weight=N] [max_sessions=N] "
	    "[backup], as gw1 10.0.0.11:8000\n"
	    "command line: --gateway: '127.0.0.1:1' is the address of gw1 already; allowed: each address once\n", &c);
	assert_null(c);
	o = (struct conf_options){ .listens = 0 };
	assert_options(&o,
	    "command line: --listen: is missing; allowed: ADDRESS:PORT, as 0.0.0.0:443\n"
	    "command line: --gateway: is missing; allowed: NAME HOST:PORT, as gw1 10.0.0.11:8000\n", &c);
	assert_null(c);
}

static int
set_environment(void **state)
{
	(void)state;
	unsetenv("NOT_SET_HERE");
	return setenv("TEST_USER", "tester", 1) | setenv("TEST_EMPTY", "", 1) | setenv("TEST_COMMENT", " ;y", 1) |
	    setenv("TEST_NEWLINE", "\n", 1) | setenv("TEST_DOLLAR", "/${TEST_USER}", 1);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_mistake_is_told),
		cmocka_unit_test(test_good_texts),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_selectors),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_a_long_line_is_whole),
		cmocka_unit_test(test_a_line_too_long_is_refused),
		cmocka_unit_test(test_a_nul_is_refused),
		cmocka_unit_test_setup_teardown(test_include, files_new, files_free),
		cmocka_unit_test_setup_teardown(test_relative_paths, files_new, files_free),
		cmocka_unit_test(test_relative_paths_that_no_line_can_hold),
		cmocka_unit_test_setup_teardown(test_default_include, files_new, files_free),
		cmocka_unit_test_setup_teardown(test_mistakes_of_all_files, files_new, files_free),
		cmocka_unit_test_setup_teardown(test_cycles_end, files_new, files_free),
		cmocka_unit_test_setup_teardown(test_no_file, files_new, files_free),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_bad_options),
	};

	return cmocka_run_group_tests_name("conf", tests, set_environment, NULL);
}
