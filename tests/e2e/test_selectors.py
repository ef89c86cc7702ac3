# SPDX-License-Identifier: BSD-2-Clause
"""Every way in which a client can say where it belongs, and what becomes of them when several are mixed. Newcomers go round robin here, so
that a client who comes back to its gateway was known there."""

import asyncio
import json
import subprocess
from collections import Counter
from itertools import count, cycle, permutations
from urllib.parse import quote_from_bytes

import pytest
import websockets

from harness.chromium import Chromium
from harness.chromium import is_there as has_chromium
from harness.gateways import NODE, has_node_ws, who
from harness.keys import KEYED, carrying
from harness.phones import LTE, WIFI, phones
from harness.wait import until

needs_node = pytest.mark.skipif(not has_node_ws(), reason="node or its package ws is missing")
needs_chromium = pytest.mark.skipif(not has_chromium(), reason="chromium is missing")

PLAYERS = [f"player-{i}" for i in range(10)]


def start(lab, affinity, gateways=None, pool=None, **how):
	return lab.start(gateways or lab.https(3), pool={"affinity": affinity, "balance": "roundrobin", **(pool or {})}, **how)


def sessions(lab, n=3):
	"""Gateways that hold sessions."""
	return [lab.ws(f"gw{i + 1}") for i in range(n)]


def visit(lab, daemon, *handshake, **how):
	"""A session; which gateway holds it?"""
	session = lab.session(daemon, *handshake, **how)
	gateway = session.echo("who")
	session.finish()
	return gateway


def hows(daemon, n):
	return Counter(r["how"] for r in daemon.records(n))


# a key, wherever it stands


@pytest.mark.threads
@pytest.mark.parametrize("selector", KEYED)
def test_a_key_brings_its_client_back_from_any_address(lab, selector):
	daemon = start(lab, selector, sessions(lab))
	home = {p: visit(lab, daemon, *carrying(selector, p), source="127.0.1.1") for p in PLAYERS}
	assert set(home.values()) == {"gw1", "gw2", "gw3"}
	for network in (2, 3):
		for p in reversed(PLAYERS):
			assert visit(lab, daemon, *carrying(selector, p), source=f"127.0.{network}.1") == home[p]
	assert hows(daemon, 30) == {"new": 10, selector: 20}


@pytest.mark.parametrize("selector", [s for s in KEYED if not s.startswith("subprotocol")])
def test_plain_requests_are_told_by_the_same_keys(lab, selector):
	daemon = start(lab, selector)
	home = {p: who(lab.get(daemon, *carrying(selector, p))) for p in PLAYERS}
	for p in reversed(PLAYERS):
		assert who(lab.get(daemon, *carrying(selector, p), source="127.0.7.7")) == home[p]


@pytest.mark.threads
def test_requests_with_one_new_key_that_come_at_once_do_not_part(lab):
	daemon = start(lab, "header:X-Player", globals={"workers": 4})
	for p in PLAYERS:
		clients = [lab.client(daemon) for _ in range(12)]
		for c in clients:
			c.request("/", f"X-Player: {p}")
		assert len({who(c.response()) for c in clients}) == 1


@pytest.mark.parametrize("selector, near_misses", [
	("header:X-Player", [("/", "XX-Player: {}"), ("/", "X-Player-Id: {}"), ("/?X-Player={}",)]),
	("query:player", [("/?xplayer={}",), ("/?player2={}",), ("/?Player={}",), ("/player={}",), ("/?a=player={}",)]),
	("path:2", [("/{}",), ("/a/b/{}",), ("/a?b/{}",)]),
	("cookie:player", [("/", "Cookie: xplayer={}"), ("/", "Cookie: player2={}"), ("/", "Cookie: Player={}")]),
	("subprotocol:player.", [("/", "Sec-WebSocket-Protocol: xplayer.{}"), ("/", "Sec-WebSocket-Protocol: player-{}")]),
])
def test_names_are_matched_whole(lab, selector, near_misses):
	daemon = start(lab, selector, sessions(lab))
	visit(lab, daemon, *carrying(selector, "anna"))
	for parts in near_misses:
		visit(lab, daemon, *(part.format("anna") for part in parts))
	assert selector not in hows(daemon, 1 + len(near_misses))


def test_the_subprotocol_with_the_key_may_stand_anywhere_in_any_line(lab):
	daemon = start(lab, "subprotocol:player.", sessions(lab))
	home = visit(lab, daemon, "/", "Sec-WebSocket-Protocol: player.anna")
	for lines in (["chat.v2, player.anna"], ["player.anna,chat.v2"], ["chat.v1", "chat.v2 ,player.anna"]):
		assert visit(lab, daemon, "/", *(f"Sec-WebSocket-Protocol: {line}" for line in lines)) == home


def test_gateways_get_the_key_as_the_client_sent_it(lab):
	gateways = lab.https(1)
	daemon = start(lab, "header:X-Player, query:player, path:2, cookie:player", gateways)
	lab.get(daemon, "/room/an%6Ea?player=an%6Ea", "X-Player: anna", cookie="a=1; player=anna")
	request = gateways[0].requests[0]
	assert request.target == "/room/an%6Ea?player=an%6Ea"
	assert (request.get("x-player"), request.get("cookie")) == ("anna", "a=1; player=anna")


def test_a_target_in_absolute_form_holds_the_same_keys(lab):
	daemon = start(lab, "query:player, path:2")
	query, path = who(lab.get(daemon, "/?player=anna")), who(lab.get(daemon, "/room/bob/x"))
	assert query != path
	assert who(lab.get(daemon, "http://stickyd.test/room/bob/x")) == path
	assert who(lab.get(daemon, "http://stickyd.test/?player=anna")) == query


def test_of_two_parameters_with_one_name_the_same_one_counts_always(lab):
	daemon = start(lab, "query:player")
	home = who(lab.get(daemon, "/?player=anna"))
	lab.get(daemon)
	assert who(lab.get(daemon, "/?player=anna&player=bob")) == home
	assert who(lab.get(daemon, "/?player=&player=anna")) == home


def test_a_key_of_one_pool_says_nothing_in_another(lab):
	gateways = lab.https(3)
	other = {"gateway": [g.line for g in gateways], "affinity": "header:X-Player", "balance": "roundrobin", "check": "none"}
	daemon = start(lab, "header:X-Player", gateways, more={"pool other": other, "route other": {"path": "/other/", "pool": "other"}})
	here = who(lab.get(daemon, "/", "X-Player: anna"))
	lab.get(daemon, "/other/", "X-Player: bob")
	there = who(lab.get(daemon, "/other/", "X-Player: anna"))
	assert there != here
	assert who(lab.get(daemon, "/", "X-Player: anna")) == here
	assert who(lab.get(daemon, "/other/", "X-Player: anna")) == there


# real clients


def library_visit(url, source, target, *fields):
	"""python3-websockets; the gateway tells its name first."""
	fields = dict(f.split(": ", 1) for f in fields)
	offered = fields.pop("Sec-WebSocket-Protocol", "chat.v2").split(", ")

	async def talk():
		async with websockets.connect(url + target, local_addr=(source, 0), subprotocols=offered, extra_headers=fields) as ws:
			return await ws.recv()
	return asyncio.run(talk())


@pytest.mark.parametrize("selector", KEYED)
def test_python_clients_come_back_by_their_keys(lab, selector):
	daemon = start(lab, selector, [lab.library(f"gw{i}", subprotocols=["chat.v2"]) for i in range(3)])
	url = f"ws://127.0.0.1:{daemon.port}"
	home = {p: library_visit(url, "127.0.1.1", *carrying(selector, p)) for p in PLAYERS[:4]}
	assert len(set(home.values())) == 3
	for p in reversed(home):
		assert library_visit(url, "127.0.2.1", *carrying(selector, p)) == home[p]


def node_visit(daemon, source, target, *fields):
	"""What node/visits.js makes a session of."""
	fields = dict(f.split(": ", 1) for f in fields)
	return {
		"url": f"ws://127.0.0.1:{daemon.port}{target}", "protocols": fields.pop("Sec-WebSocket-Protocol", "chat.v2").split(", "),
		"options": {"localAddress": source, "headers": fields}}


def node_visits(visits):
	done = subprocess.run(["node", str(NODE / "visits.js"), json.dumps(visits)], capture_output=True, text=True, timeout=60)
	assert done.returncode == 0, done.stderr
	return json.loads(done.stdout)


@needs_node
@pytest.mark.parametrize("selector", KEYED)
def test_node_clients_come_back_by_their_keys(lab, selector):
	daemon = start(lab, selector, [lab.node(f"gw{i}") for i in range(3)])
	order = PLAYERS[:4] + PLAYERS[3::-1]
	seen = node_visits([node_visit(daemon, f"127.0.{1 + i}.1", *carrying(selector, p)) for i, p in enumerate(order)])
	gateways = [s["gateway"] for s in seen]
	assert gateways[:4] == gateways[:3:-1] and len(set(gateways)) == 3
	assert {s["protocol"] for s in seen} == {"chat.v2"} and all(s["setCookie"] == [] for s in seen)


# What a page can do: URL, subprotocol, a cookie of its own making. A game's pages are kept, its icon is here already.
PAGE = "<!doctype html><title>game</title><link rel=icon href=data:,>"
BROWSER_WAYS = {
	"query:player": "const [url, protocols] = [`/?player=${key}`, 'chat.v2'];",
	"path:2": "const [url, protocols] = [`/room/${key}`, 'chat.v2'];",
	"subprotocol:player.": "const [url, protocols] = ['/', ['chat.v2', `player.${key}`]];",
	"cookie:player": "document.cookie = `player=${key}; path=/`; const [url, protocols] = ['/', 'chat.v2'];",
}
BROWSER_VISITS = """
	const visit = (key) => new Promise((done, fail) => {
		%s
		const ws = new WebSocket(`ws://${location.host}${url}`, protocols);
		ws.onmessage = (m) => { ws.onclose = () => done(m.data); ws.close(1000); };
		ws.onerror = () => fail('the session failed');
	});
	const seen = [];
	for (const key of ['anna', 'bob', 'carol', 'dora', 'dora', 'carol', 'bob', 'anna'])
		seen.push(await visit(key));
	return seen;
"""


@needs_chromium
def test_a_browser_comes_back_by_its_keys(lab):
	browser = Chromium(lab.directory)
	lab.others.append(browser)
	gateways = [lab.library(f"gw{i}", page=PAGE, subprotocols=["chat.v2"]) for i in range(3)]
	for selector, way in BROWSER_WAYS.items():
		daemon = start(lab, selector, gateways, name=selector.partition(":")[0])
		seen, _ = browser.run(f"http://127.0.0.1:{daemon.port}/page", BROWSER_VISITS % way)
		assert seen[:4] == seen[:3:-1] and len(set(seen)) == 3, (selector, seen)


@pytest.mark.parametrize("selector", ["header:X-Player", "subprotocol:player."])
def test_a_phone_comes_back_over_another_network(lab, selector):
	with phones(lab) as net:
		daemon = net.daemon(gateways=3, pool={"affinity": selector, "balance": "roundrobin"})
		home = [net.session(daemon, n, WIFI, *carrying(selector, p)).echo("who") for n, p in enumerate(PLAYERS)]
		net.lose(WIFI)
		for n, p in reversed(list(enumerate(PLAYERS))):
			assert net.session(daemon, n, LTE, *carrying(selector, p)).echo("who") == home[n]


# mixtures


@pytest.mark.threads
def test_who_logs_in_with_a_cookie_and_connects_with_a_key_stays(lab):
	"""From then on the key alone is enough, from anywhere."""
	gateways = [lab.library(f"gw{i}", page=f"gw{i}") for i in range(3)]
	daemon = start(lab, "cookie, header:X-Player", gateways)
	url = f"ws://127.0.0.1:{daemon.port}"
	for p in PLAYERS:
		login = lab.get(daemon, "/page/login", source="127.0.1.1")
		key = f"X-Player: {p}"
		assert library_visit(url, "127.0.1.1", "/", key, f"Cookie: {login.cookie()}") == login.text
		assert library_visit(url, "127.0.2.1", "/", key) == login.text


def test_who_logs_in_with_cookie_and_key_connects_with_either(lab):
	daemon = start(lab, "query:player, cookie", [lab.library(f"gw{i}", page=f"gw{i}") for i in range(3)])
	url = f"ws://127.0.0.1:{daemon.port}"
	for p in PLAYERS[:4]:
		login = lab.get(daemon, f"/page/login?player={p}")
		assert library_visit(url, "127.0.2.1", f"/?player={p}") == login.text
		assert library_visit(url, "127.0.3.1", "/", f"Cookie: {login.cookie()}") == login.text


@pytest.mark.parametrize("order", permutations(["header:X-Player", "query:room", "cookie"]))
def test_the_first_selector_that_knows_a_gateway_decides(lab, order):
	daemon = start(lab, ", ".join(order))
	ways = {"header:X-Player": ("/", "X-Player: anna"), "query:room": ("/?room=7",)}
	home = {selector: who(lab.get(daemon, *way)) for selector, way in ways.items()}
	first = lab.get(daemon)
	home["cookie"] = who(first)
	assert len(set(home.values())) == 3

	answer = lab.get(daemon, "/?room=7", "X-Player: anna", cookie=str(first.cookie()))
	assert who(answer) == home[order[0]]
	assert (answer.cookie() is None) == (order[0] == "cookie"), "given anew where it named another"
	daemon.record(how=order[0])
	for way in ways.values():
		assert who(lab.get(daemon, *way)) == home[order[0]], "all keys on the request have followed"


@pytest.mark.parametrize("order", permutations(["header:X-Player", "query:room", "path:1"]))
def test_a_selector_that_knows_nothing_leaves_it_to_the_next(lab, order):
	daemon = start(lab, ", ".join(order))
	home = who(lab.get(daemon, "/hall?room=7"))
	again = lab.get(daemon, "/hall?room=7", "X-Player: new-here")
	assert who(again) == home
	daemon.record(how=next(s for s in order if s != "header:X-Player"))
	assert who(lab.get(daemon, "/", "X-Player: new-here")) == home


def test_a_key_counts_as_one_wherever_it_is_carried(lab):
	daemon = start(lab, "header:X-Player, query:player, path:2, cookie:player", sessions(lab))
	home = {p: visit(lab, daemon, "/", f"X-Player: {p}") for p in PLAYERS}
	for p in reversed(PLAYERS):
		for selector in ("query:player", "path:2", "cookie:player"):
			assert visit(lab, daemon, *carrying(selector, p)) == home[p]


def test_a_cookie_that_does_not_open_leaves_it_to_the_key(lab):
	daemon = start(lab, "cookie, header:X-Player")
	first = lab.get(daemon, "/", "X-Player: anna")
	lab.get(daemon)
	again = lab.get(daemon, "/", "X-Player: anna", cookie="STICKYD=forged")
	assert who(again) == who(first) and again.cookie()
	assert hows(daemon, 3) == {"new": 2, "header:X-Player": 1}


# what a key is made of


SAME_IN_QUERY = [
	("anna", "%61%6e%6E%61"), ("anna bell", "anna+bell"), ("anna bell", "anna%20bell"), ("a+b", "a%2Bb"), ("a&b=c", "a%26b%3Dc"),
	("müller", "m%c3%bcller"), ("100%", "100%25"), ("a/b?c", "a%2fb%3fc"),
]


@pytest.mark.parametrize("plain, encoded", SAME_IN_QUERY)
def test_a_query_is_compared_decoded(lab, plain, encoded):
	daemon = start(lab, "query:player, header:X-Player")
	home = who(lab.get(daemon, "/", f"X-Player: {plain.encode().decode('latin-1')}"))
	lab.get(daemon)
	assert who(lab.get(daemon, f"/?player={encoded}")) == home
	daemon.record(how="query:player")


@pytest.mark.parametrize("plain, encoded", [("anna", "%61nn%61"), ("anna bell", "anna%20bell"), ("a+b", "a+b"), ("a/b", "a%2Fb"),
	("müller", "m%C3%BCller")])
def test_a_path_is_compared_decoded(lab, plain, encoded):
	daemon = start(lab, "path:2, header:X-Player")
	home = who(lab.get(daemon, "/", f"X-Player: {plain.encode().decode('latin-1')}"))
	lab.get(daemon)
	assert who(lab.get(daemon, f"/room/{encoded}/x")) == home


def test_a_header_and_a_cookie_are_taken_as_they_are(lab):
	daemon = start(lab, "header:X-Player, cookie:player")
	assert who(lab.get(daemon, "/", "X-Player: %61")) != who(lab.get(daemon, "/", "X-Player: a"))
	assert who(lab.get(daemon, "/", "Cookie: player=%62")) != who(lab.get(daemon, "/", "Cookie: player=b"))
	assert hows(daemon, 4) == {"new": 4}


@pytest.mark.parametrize("value", ["%", "%4", "%zz", "a%", "%%41", "%u0041"])
def test_a_broken_encoding_is_a_key_like_any_other(lab, value):
	daemon = start(lab, "query:player")
	home = who(lab.get(daemon, f"/?player={value}"))
	lab.get(daemon)
	assert who(lab.get(daemon, f"/?player={value}")) == home


@pytest.mark.parametrize("selector", KEYED)
def test_an_empty_key_is_none(lab, selector):
	"""Or all clients that lack one would share a gateway."""
	daemon = start(lab, selector, sessions(lab))
	assert len({visit(lab, daemon, *carrying(selector, "")) for _ in range(3)}) == 3
	assert hows(daemon, 3) == {"new": 3}


@pytest.mark.parametrize("selector", KEYED)
def test_keys_of_8000_bytes(lab, selector):
	"""All their bytes count."""
	daemon = start(lab, selector, sessions(lab))
	base = "k" * 7999
	home = {last: visit(lab, daemon, *carrying(selector, base + last)) for last in "123"}
	assert set(home.values()) == {"gw1", "gw2", "gw3"}
	for last in "321":
		assert visit(lab, daemon, *carrying(selector, base + last)) == home[last]
	assert hows(daemon, 6) == {"new": 3, selector: 3}


def test_a_key_that_is_longer_than_any_key_is_none(lab):
	daemon = start(lab, "header:X-Player", listener={"max_header": "64k"})
	assert len({who(lab.get(daemon, "/", f"X-Player: {'k' * 20000}")) for _ in range(3)}) == 3
	assert {(r["how"], r["because"]) for r in daemon.records(3)} == {("invalid", "too-long")}


def test_long_keys_in_many_places_at_once(lab):
	daemon = start(lab, "header:X-Player, query:player, path:2, cookie:player")
	hot = quote_from_bytes(b"\xff" * 1000, safe="")
	target, fields = f"/room/{hot}1?player={hot}2", [f"X-Player: {'h' * 3000}", f"Cookie: player={'c' * 3000}"]
	home = who(lab.get(daemon, target, *fields))
	for way in ([f"/room/{hot}1"], [f"/?player={hot}2"], ["/", fields[0]], ["/", fields[1]]):
		assert who(lab.get(daemon, *way)) == home


BINARY = {
	"header:X-Player": ("/", "X-Player: \x80\xff\xfe{}\xc0"),
	"cookie:player": ("/", "Cookie: player=\x80\xff\xfe{}\xc0"),
	"query:player": (f"/?player={quote_from_bytes(bytes(range(256)), safe='')}{{}}",),
	"path:2": (f"/room/{quote_from_bytes(bytes(range(256)), safe='')}{{}}",),
}


@pytest.mark.parametrize("selector", BINARY)
def test_binary_keys(lab, selector):
	"""No byte ends one, not even a zero."""
	daemon = start(lab, selector)

	def get(end):
		return who(lab.get(daemon, *(part.format(end) for part in BINARY[selector])))
	home = {end: get(end) for end in "123"}
	assert len(set(home.values())) == 3
	assert {end: get(end) for end in "321"} == home


# learnt from answers


def namers(lab, *fields):
	"""Gateways whose answers to /login carry these fields, each time with a new session's name."""
	numbers = count()

	def page_of(name):
		def page(side, request):
			session = f"session-{next(numbers)}"
			body = json.dumps({"gateway": name, "session": session}).encode()
			side.answer("200 OK", *(f.format(session) for f in fields), body=body)
		return page
	return [lab.http(name, {"/login": page_of(name)}) for name in ("gw1", "gw2", "gw3")]


LEARNT = [
	("learn:header:X-Session", ["X-Session: {}"], "X-Session: {}"),
	("learn:cookie:JSESSIONID", ["Set-Cookie: JSESSIONID={}; Path=/; HttpOnly"], "Cookie: a=1; JSESSIONID={}"),
	("learn:cookie:JSESSIONID", ["Set-Cookie: a=2; Path=/", 'Set-Cookie: JSESSIONID="{}"'], 'Cookie: JSESSIONID="{}"'),
]


@pytest.mark.threads
@pytest.mark.parametrize("selector, names, carries", LEARNT)
def test_a_key_learnt_from_an_answer_brings_its_client_back(lab, selector, names, carries):
	daemon = start(lab, selector, namers(lab, *names))
	logins = [json.loads(lab.get(daemon, "/login", source="127.0.1.1").body) for _ in range(10)]
	assert len({login["gateway"] for login in logins}) == 3
	for login in reversed(logins):
		again = lab.get(daemon, "/", carries.format(login["session"]), source="127.0.2.1")
		assert who(again) == login["gateway"]
	assert hows(daemon, 20) == {"new": 10, selector: 10}


@pytest.mark.parametrize("selector, names, carries", LEARNT)
def test_a_key_learnt_from_a_101_brings_a_phone_back_over_another_network(lab, selector, names, carries):
	numbers = count()

	def opening(side):
		session = f"session-{next(numbers)}"
		side.accept(*(f.format(session) for f in names))
	with phones(lab) as net:
		daemon = net.daemon(gateways=3, opening=opening, pool={"affinity": selector, "balance": "roundrobin"})
		home = [net.session(daemon, n, WIFI).echo("who") for n in range(7)]
		net.lose(WIFI)
		for n in reversed(range(7)):
			assert net.session(daemon, n, LTE, "/", carries.format(f"session-{n}")).echo("who") == home[n]


def test_what_is_learnt_anew_counts(lab):
	"""A gateway that names a key has it, whoever had it before."""
	daemon = start(lab, "learn:header:X-Session", namers(lab, "X-Session: the-one"))
	owners = []
	for _ in range(3):
		owners.append(who(lab.get(daemon, "/login")))
		assert who(lab.get(daemon, "/", "X-Session: the-one")) == owners[-1]
	assert len(set(owners)) == 3


def test_a_key_that_is_learnt_and_a_key_that_is_carried_are_one(lab):
	"""Named in the login's answer, carried in the URL of the session."""
	daemon = start(lab, "query:player, learn:header:X-Player", namers(lab, "X-Player: {}"))
	login = json.loads(lab.get(daemon, "/login").body)
	lab.get(daemon)
	assert who(lab.get(daemon, f"/?player={login['session']}")) == login["gateway"]


# several proxies



@pytest.mark.parametrize("selector, name", [("cookie", "STICKYD"), ("rewrite:SID", "SID"), ("prefix:SID", "SID")])
def test_proxies_that_share_a_key_file_agree(lab, selector, name):
	"""Without a word to each other, whatever the order of gateways in their files."""
	def page(g):
		return lambda side, request: side.answer("200 OK", "Set-Cookie: SID=1", body=b'{"gateway": "%s"}' % g.encode())
	gateways = [lab.http(f"gw{i + 1}", {"/": page(f"gw{i + 1}")}) for i in range(3)]
	orders = [gateways, gateways[::-1], gateways[1:] + gateways[:1]]
	proxies = [start(lab, selector, g, name=f"proxy{i}") for i, g in enumerate(orders)]
	clients = [lab.get(proxy) for proxy in proxies * 3]
	for proxy in proxies:
		for client in reversed(clients):
			assert who(lab.get(proxy, cookie=str(client.cookie(name)))) == who(client)


def test_proxies_without_anything_in_common_agree_by_hash(lab):
	gateways = lab.https(3)
	proxies = [start(lab, "query:player, header:X-Player", g, {"assign": "hash"}, name=f"proxy{i}",
		globals={"state_dir": lab.state_dir(f"state{i}")}) for i, g in enumerate([gateways, gateways[::-1]])]
	for p in PLAYERS * 2:
		assert who(lab.get(proxies[0], f"/?player={p}")) == who(lab.get(proxies[1], "/", f"X-Player: {p}"))


# the address


SOURCES = [
	("source", "127.0.1.1", "127.0.1.1", "127.0.1.2"),
	("source/32", "127.0.1.1", "127.0.1.1", "127.0.1.2"),
	("source/24", "127.0.1.1", "127.0.1.250", "127.0.2.1"),
	("source/23", "127.0.2.1", "127.0.3.250", "127.0.4.1"),
	("source/16", "127.1.1.1", "127.1.200.9", "127.2.1.1"),
	("source/24/64", "127.0.1.1", "127.0.1.250", "127.0.2.1"),
]


@pytest.mark.parametrize("selector, client, alike, other", SOURCES)
def test_source_tells_clients_by_their_network(lab, selector, client, alike, other):
	daemon = start(lab, selector)
	home = who(lab.get(daemon, source=client))
	assert who(lab.get(daemon, source=other)) != home
	assert who(lab.get(daemon, source=alike)) == home
	assert hows(daemon, 3) == {"new": 2, selector: 1}


FORWARDED = [
	("source", "192.0.2.1", "192.0.2.1", "192.0.2.2"),
	("source/24", "192.0.2.1", "192.0.2.9", "192.0.3.1"),
	("source", "2001:db8::1", "2001:DB8:0:0::1", "2001:db8::2"),
	("source/24/64", "2001:db8:1:1::1", "2001:db8:1:1:ffff::2", "2001:db8:1:2::1"),
	("source/24/56", "2001:db8:1:100::1", "2001:db8:1:1ff::1", "2001:db8:1:200::1"),
	("source/24/64", "192.0.2.1", "192.0.2.9", "2001:db8::1"),
	("source/24/64", "192.0.2.1", "::ffff:192.0.2.7", "198.51.100.1"),
]


@pytest.mark.parametrize("selector, client, alike, other", FORWARDED)
def test_source_is_what_a_trusted_proxy_says(lab, selector, client, alike, other):
	daemon = start(lab, selector, listener={"trusted_proxies": "127.0.0.0/8"})

	def get(address):
		return who(lab.get(daemon, "/", f"X-Forwarded-For: {address}"))
	home = get(client)
	assert get(other) != home
	assert get(alike) == home


def test_source_is_not_what_anybody_says(lab):
	daemon = start(lab, "source", listener={"trusted_proxies": "192.0.2.0/24"})
	assert len({who(lab.get(daemon, "/", f"X-Forwarded-For: 198.51.100.{i}")) for i in range(6)}) == 1


def test_source_by_ipv6(lab):
	daemon = start(lab, "source/24/64", listener={"bind": "[::1]:0"})
	assert len({who(lab.get(daemon)) for _ in range(6)}) == 1


def test_a_phone_that_changes_networks_is_lost_by_source_and_kept_by_what_stands_before_it(lab):
	daemon = start(lab, "header:X-Player, source")
	home = who(lab.get(daemon, source="127.0.1.1"))
	assert who(lab.get(daemon, source="127.0.2.1")) != home
	mine = who(lab.get(daemon, "/", "X-Player: anna", source="127.0.3.1"))
	lab.get(daemon, source="127.0.4.1")
	assert who(lab.get(daemon, "/", "X-Player: anna", source="127.0.5.1")) == mine


# what the operator is told


def warnings(daemon):
	return [line for line in daemon.log.split("\n") if " warn" in line]


@pytest.mark.parametrize("affinity, warned", [("source", True), ("cookie, source/24", True), ("cookie, header:X-Source", False)])
def test_source_draws_a_warning_at_start(lab, affinity, warned):
	daemon = start(lab, affinity)
	found = [line for line in warnings(daemon) if "source" in line]
	assert len(found) == warned
	assert all("app" in line and "network" in line for line in found)


def silent_clients(daemon):
	return [line for line in warnings(daemon) if "carry none of" in line]


@pytest.mark.parametrize("affinity", ["header:X-Player, query:player", "subprotocol:player.", "learn:cookie:SID"])
def test_a_pool_whose_clients_carry_nothing_says_so_once(lab, affinity):
	daemon = start(lab, affinity)
	for _ in range(60):
		lab.get(daemon, "/", "X-Other: 1")
	until(lambda: silent_clients(daemon), "a warning")
	assert len(silent_clients(daemon)) == 1
	assert "app" in silent_clients(daemon)[0] and affinity in silent_clients(daemon)[0]


def test_newcomers_to_a_pool_with_a_cookie_are_no_news(lab):
	"""They bring the cookie from then on."""
	daemon = start(lab, "cookie")
	cookies = [str(lab.get(daemon).cookie()) for _ in range(10)]
	for _, cookie in zip(range(100), cycle(cookies)):
		lab.get(daemon, cookie=cookie)
		lab.get(daemon)
	assert silent_clients(daemon) == []


def test_clients_that_never_return_the_cookie_are_news(lab):
	daemon = start(lab, "cookie")
	for _ in range(200):
		lab.get(daemon)
	until(lambda: silent_clients(daemon), "a warning")
	assert len(silent_clients(daemon)) == 1
