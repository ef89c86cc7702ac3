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

static const struct {
	const char *text, *wanted;
} bad[] = {
	/* lines and sections */
	{ "", "t.ini: there is no [listener NAME] section; add at least one\n" },
	{ "bind = 1\n" BASE,
	  "t.ini:1: 'bind' stands before any section; begin with a line as [global] or [listener NAME]\n" },
	{ BASE "[lisener b]\nanything = goes\n", "t.ini:6: [lisener]: unknown section; did you mean 'listener'?\n" },
	{ BASE "[defaults]\n",
	  "t.ini:6: [defaults]: unknown section; allowed: [global] [log] [listener NAME] [route NAME] "
	  "[pool NAME]\n" },
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
	  "t.ini:2: [pool p] retries: 'x' is not a whole number; allowed: 0 to 100\n"
	  "t.ini:3: [listener a] bind: is missing; allowed: ADDRESS:PORT, as 0.0.0.0:443\n"
	  "t.ini:4: [listener a] pool: there is no [pool q]\n" },
	/* later versions */
	{ BASE "eject_after = 5\n", "t.ini:6: [pool p] eject_after: '5' is not in this version; allowed: 0\n" },
	{ BASE "on_full = wait:2s\n",
	  "t.ini:6: [pool p] on_full: 'wait:2s' is not in this version; leave the key out\n" },
	{ BASE "gateway_tls = yes\n", "t.ini:6: [pool p] gateway_tls: 'yes' is not in this version; allowed: no\n" },
	{ BASE "[admin]\nlisten = 127.0.0.1:9180\n",
	  "t.ini:7: [admin] listen: '127.0.0.1:9180' is not in this version; leave the key out\n" },
	{ BASE "[store]\ntype = redis\n",
	  "t.ini:7: [store] type: 'redis' is not in this version; allowed: memory\n" },
	{ BASE "balance = hash\n",
	  "t.ini:6: [pool p] balance: 'hash' is not in this version; allowed: roundrobin leastconn random\n" },
	{ BASE "check = websocket\n",
	  "t.ini:6: [pool p] check: 'websocket' is not in this version; allowed: none tcp http\n" },
	{ BASE "affinity = header:X-Id, cookie\n",
	  "t.ini:6: [pool p] affinity: 'header:X-Id' is not in this version; allowed: cookie, or nothing at all\n" },
	{ LISTENER "bind = 127.0.0.1:80\nprotocols = h2, http/1.1\n",
	  "t.ini:6: [listener a] protocols: 'h2' is not in this version; allowed: http/1.1\n" },
	{ BASE "gateway = h 127.0.0.1:82 backup\n",
	  "t.ini:6: [pool p] gateway: 'h 127.0.0.1:82 backup' has an option that "
	  "is not in this version; allowed: weight=0 to weight=256\n" },
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
	{ BASE "affinity = cokie\n",
	  "t.ini:6: [pool p] affinity: 'cokie' is not a selector; allowed: cookie, or nothing at all "
	  "(later versions: rewrite:NAME prefix:NAME header:NAME query:NAME path:N cookie:NAME subprotocol:PREFIX "
	  "source learn:header:NAME learn:cookie:NAME)\n" },
	{ BASE "affinity = cookie, cookie\n",
	  "t.ini:6: [pool p] affinity: 'cookie' is listed already; allowed: each selector once\n" },
	{ BASE "balance = best\n",
	  "t.ini:6: [pool p] balance: 'best' is not known; allowed: roundrobin leastconn random\n" },
	{ BASE "check_expect = 399-200\n",
	  "t.ini:6: [pool p] check_expect: '399-200' is not a range of statuses; allowed: "
	  "100 to 599, written as 204 or 200-399\n" },
	{ BASE "check_path = healthz\n",
	  "t.ini:6: [pool p] check_path: 'healthz' is not a path of a URL; allowed: '/' and more "
	  "visible ASCII without blanks and '#', at most 2048 bytes\n" },
	{ BASE "gateway = h ::1:82\n",
	  "t.ini:6: [pool p] gateway: 'h ::1:82' is not a gateway; allowed: NAME HOST:PORT [weight=N], as gw1 "
	  "10.0.0.11:8000\n" },
	{ BASE "gateway = h 10.0.0.256:82\n",
	  "t.ini:6: [pool p] gateway: 'h 10.0.0.256:82' is not a gateway; allowed: "
	  "NAME HOST:PORT [weight=N], as gw1 10.0.0.11:8000\n" },
	{ BASE "gateway = h x:82 wieght=2\n",
	  "t.ini:6: [pool p] gateway: 'h x:82 wieght=2' has an option that is not known; "
	  "allowed: weight=0 to weight=256\n" },
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
	  "0, or 1s to 8760h, written as 500ms 30s 5m 24h\n" },
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
	{ BASE "[admin]\n[store]\ntype = memory\n", "[pool p]" },
	{ BASE "assign = table\non_down = reassign\neject_after = 0\nslow_start = 0\ngateway_tls = no\nduplicate = "
	  "allow\n",
	  "[pool p]" },
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
	{ BASE "affinity =\n", "affinity =\n" },
	{ BASE "check_expect = 204\n", "check_expect = 204\n" },
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
	assert_int_equal(p->affinity.n, 1);
	assert_string_equal(p->affinity.item[0], "cookie");
	assert_int_equal(p->check, CONF_CHECK_TCP);
	assert_int_equal(p->check_expect_low, 200);
	assert_int_equal(p->check_expect_high, 399);
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

	files_write(f, "main.ini", "[global]\nstate_dir = state\n[log]\noutput = stickyd.log\naccess = ./log/access\n");
	files_write(f, "conf.d/a.ini",
	    "[listener a]\nbind = *:80\npool = p\ntls = yes\ncertificate = a.pem ../a.key, /b.pem b.key\n"
	    "[pool p]\ngateway = g x:1\n");
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
	said = mem_printf("%s/state %s/stickyd.log %s/./log/access %s/conf.d/a.pem %s/conf.d/../a.key /b.pem %s/conf.d/b.key",
	    f->directory, f->directory, f->directory, f->directory, f->directory, f->directory);
	free(text);
	text = mem_printf("%s %s %s %s %s %s %s", c->global.state_dir, c->log.output_file, c->log.access_file,
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
	    "command line: --gateway: 'gw3 nowhere' is not a gateway; allowed: NAME HOST:PORT [weight=N], as gw1 "
	    "10.0.0.11:8000\n"
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
