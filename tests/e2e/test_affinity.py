# SPDX-License-Identifier: BSD-2-Clause
"""Where a client belongs: the cookie, the balance, and what happens when a gateway is away."""

import asyncio
import os
import stat
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import websockets

from harness.gateways import who
from harness.wait import until


def hows(daemon, n):
	"""How so many were chosen. Workers write their lines in no common order."""
	return Counter(r["how"] for r in daemon.records(n))


def newcomers(lab, daemon, n):
	"""Which gateways so many clients without a cookie reach, in order."""
	return [who(lab.get(daemon)) for _ in range(n)]


def test_the_cookie_is_given_once(lab):
	daemon = lab.start(lab.https(3))
	first = lab.get(daemon)
	cookie = first.cookie()
	assert cookie
	for _ in range(6):
		again = lab.get(daemon, cookie=str(cookie))
		assert who(again) == who(first)
		assert again.cookie() is None
	assert hows(daemon, 7) == {"new": 1, "cookie": 6}


@pytest.mark.threads
def test_a_client_that_comes_back_from_other_addresses_reaches_its_gateway(lab):
	gateways = [lab.library(f"gw{i}") for i in range(3)]
	daemon = lab.start(gateways)

	async def visit(source, cookie=None):
		async with websockets.connect(f"ws://127.0.0.1:{daemon.port}/", local_addr=(source, 0),
				extra_headers={"Cookie": cookie} if cookie else {}) as ws:
			name = await ws.recv()
			await ws.send("hello")
			assert await ws.recv() == "hello"
			given = ws.response_headers.get("Set-Cookie")
			return name, given and given.split(";")[0]

	async def story(client):
		gateway, cookie = await visit(f"127.0.1.{client + 1}")
		assert cookie
		for network in range(2, 5):
			assert await visit(f"127.0.{network}.{client + 1}", cookie) == (gateway, None)
		return gateway

	async def all_of_them():
		return await asyncio.gather(*map(story, range(30)))

	assert len(set(asyncio.run(all_of_them()))) == 3


def test_roundrobin_is_exact(lab):
	daemon = lab.start(lab.https(3), pool={"balance": "roundrobin"})
	seen = newcomers(lab, daemon, 30)
	assert seen == seen[:3] * 10
	assert sorted(seen[:3]) == ["gw1", "gw2", "gw3"]


def test_roundrobin_by_weight_is_exact_and_smooth(lab):
	gateways = lab.https(3)
	lines = [f"{g.line} weight={w}" for g, w in zip(gateways, (5, 1, 1))]
	daemon = lab.start(pool={"balance": "roundrobin", "gateway": lines})
	seen = newcomers(lab, daemon, 28)
	assert Counter(seen) == {"gw1": 20, "gw2": 4, "gw3": 4}
	assert "gw1 gw1 gw1 gw1" not in " ".join(seen[:7]), "in a row, not spread"


def test_weight_0_keeps_who_belongs_there_and_takes_no_newcomers(lab):
	gateways = lab.https(2)
	first = lab.start(gateways, name="before")
	cookie = next(str(r.cookie()) for r in iter(lambda: lab.get(first), None) if who(r) == "gw1")
	first.stop()
	daemon = lab.start(pool={"gateway": [gateways[0].line + " weight=0", gateways[1].line]})
	assert set(newcomers(lab, daemon, 6)) == {"gw2"}
	assert who(lab.get(daemon, cookie=cookie)) == "gw1"


def open_sessions(lab, daemon, n):
	"""{gateway: its sessions}"""
	sessions = {}
	for _ in range(n):
		s = lab.session(daemon)
		sessions.setdefault(s.echo("who"), []).append(s)
	return sessions


def test_leastconn_counts_live_sessions(lab):
	daemon = lab.start([lab.ws(f"gw{i}") for i in range(3)], pool={"balance": "leastconn"})
	sessions = open_sessions(lab, daemon, 12)
	assert {g: len(s) for g, s in sessions.items()} == {"gw0": 4, "gw1": 4, "gw2": 4}
	for s in sessions["gw1"]:
		s.finish()
	daemon.records(4)		# they are counted out
	assert {g: len(s) for g, s in open_sessions(lab, daemon, 4).items()} == {"gw1": 4}


def test_leastconn_by_weight(lab):
	gateways = [lab.ws(f"gw{i}") for i in range(2)]
	lines = [gateways[0].line + " weight=3", gateways[1].line]
	daemon = lab.start(pool={"balance": "leastconn", "gateway": lines})
	assert {g: len(s) for g, s in open_sessions(lab, daemon, 12).items()} == {"gw0": 9, "gw1": 3}


@pytest.mark.threads
def test_clients_that_arrive_at_once_are_spread_evenly(lab):
	daemon = lab.start([lab.ws(f"gw{i}") for i in range(3)], pool={"balance": "leastconn"}, globals={"workers": 4})
	with ThreadPoolExecutor(20) as pool:
		sessions = list(pool.map(lambda _: lab.session(daemon), range(60)))
	assert Counter(s.echo("who") for s in sessions) == {"gw0": 20, "gw1": 20, "gw2": 20}


def test_random_reaches_all_and_follows_no_turn(lab):
	daemon = lab.start(lab.https(3), pool={"balance": "random"})
	with lab.client(daemon) as c:
		seen = [who(c.get()) for _ in range(300)]
	assert min(Counter(seen).values()) > 50 and len(set(seen)) == 3
	assert seen != seen[:3] * 100


def flip(text, at):
	other = "B" if text[at] == "A" else "A"
	return text[:at] + other + text[at + 1:]


BAD_COOKIES = {
	"empty": lambda c: "",
	"garbage": lambda c: "gw1",
	"first character": lambda c: flip(c, 0),
	"in the midst": lambda c: flip(c, len(c) // 2),
	"near the end": lambda c: flip(c, -3),
	"cut": lambda c: c[:-4],
	"cut in half": lambda c: c[: len(c) // 2],
	"longer": lambda c: c + "AAAA",
	"twice": lambda c: c + c,
	"huge": lambda c: c * 100,
	"another alphabet": lambda c: "%41" * (len(c) // 3),
}


@pytest.mark.parametrize("how", BAD_COOKIES)
def test_a_cookie_that_does_not_open_is_none(lab, how):
	daemon = lab.start(lab.https(2))
	good = lab.get(daemon).cookie()
	bad = BAD_COOKIES[how](good.value)
	answer = lab.get(daemon, cookie=f"STICKYD={bad}")
	assert answer.status == 200
	assert answer.cookie() and answer.cookie().value != bad
	assert hows(daemon, 2) == {"new": 1, "invalid": 1}
	assert lab.get(daemon, cookie=str(answer.cookie())).cookie() is None


def test_every_single_bit_of_a_cookie_counts(lab):
	"""But for those that base64url leaves unused at its end."""
	daemon = lab.start(lab.https(1))
	good = lab.get(daemon).cookie().value
	with lab.client(daemon) as c:
		for at in range(len(good)):
			assert c.get(cookie=f"STICKYD={flip(good, at)}").cookie(), f"character {at} does not count"
	assert hows(daemon, len(good) + 1) == {"new": 1, "invalid": len(good)}


def test_a_cookie_of_another_pool_is_none(lab):
	gateways = lab.https(2)
	daemon = lab.start(gateways[:1], more={
		"pool other": {"gateway": gateways[1].line.replace("gw2", "gw1"), "affinity": "cookie", "check": "none"},
		"route other": {"path": "/other/", "pool": "other"}})
	cookie = lab.get(daemon, "/other/").cookie()
	assert lab.get(daemon, "/", cookie=str(cookie)).cookie()
	assert hows(daemon, 2) == {"new": 1, "invalid": 1}


def test_the_cookie_shows_neither_name_nor_address(lab):
	gateways = lab.https(1)
	daemon = lab.start(gateways)
	cookies = [lab.get(daemon).cookie().value for _ in range(20)]
	assert len(set(cookies)) == 20, "one gateway, twenty clients: nobody can tell"
	assert len(set(map(len, cookies))) == 1
	for cookie in cookies:
		assert "gw1" not in cookie and str(gateways[0].port) not in cookie


DEFAULT_ATTRIBUTES = {"path": "/", "httponly": "", "samesite": "lax"}
ATTRIBUTES = [
	({}, DEFAULT_ATTRIBUTES),
	({"cookie_path": "/game"}, {**DEFAULT_ATTRIBUTES, "path": "/game"}),
	({"cookie_domain": "example.com"}, {**DEFAULT_ATTRIBUTES, "domain": "example.com"}),
	({"cookie_httponly": "no"}, {"path": "/", "samesite": "lax"}),
	({"cookie_samesite": "strict"}, {**DEFAULT_ATTRIBUTES, "samesite": "strict"}),
	({"cookie_secure": "yes"}, {**DEFAULT_ATTRIBUTES, "secure": ""}),
	({"cookie_samesite": "none", "cookie_secure": "yes", "cookie_partitioned": "yes"},
		{**DEFAULT_ATTRIBUTES, "samesite": "none", "secure": "", "partitioned": ""}),
	({"cookie_max_age": "1h"}, {**DEFAULT_ATTRIBUTES, "max-age": "3600"}),
]


@pytest.mark.parametrize("keys, want", ATTRIBUTES)
def test_the_attributes_are_as_configured(lab, keys, want):
	daemon = lab.start(lab.https(1), pool=keys)
	got = lab.get(daemon).cookie().attributes
	got.pop("expires", None)
	assert {k: v.lower() for k, v in got.items()} == want


def test_the_cookie_has_the_name_it_is_given_and_names_are_matched_whole(lab):
	daemon = lab.start(lab.https(1), pool={"cookie_name": "SID"})
	good = lab.get(daemon).cookie("SID").value
	for name in ("XSID", "SIDX", "sid", "SID2"):
		assert lab.get(daemon, cookie=f"{name}={good}").cookie("SID"), name
	assert lab.get(daemon, cookie=f"XSID=1; SID={good}; SID2=2").cookie("SID") is None
	assert lab.get(daemon, cookie=f'a=b;SID={good} ;c="d"').cookie("SID") is None


def test_of_several_cookies_with_its_name_the_first_that_opens_counts(lab):
	daemon = lab.start(lab.https(2), pool={"balance": "roundrobin"})
	one, two = lab.get(daemon), lab.get(daemon)
	answer = lab.get(daemon, cookie=f"STICKYD=nonsense; {two.cookie()}; {one.cookie()}")
	assert who(answer) == who(two) and answer.cookie() is None
	answer = lab.get(daemon, "/", f"Cookie: {one.cookie()}", f"Cookie: {two.cookie()}")
	assert who(answer) == who(one)


def test_the_gateway_gets_all_cookies_but_ours(lab):
	gateway = lab.http()
	daemon = lab.start([gateway])
	ours = str(lab.get(daemon).cookie())
	sent = {
		ours: [],
		f"a=1; {ours}; b=2": ["a=1; b=2"],
		f"{ours}; a=1": ["a=1"],
		f"a=1;{ours}": ["a=1"],
		f"{ours}; {ours}": [],
		"a=1; XSTICKYD=2; STICKYDX=3": ["a=1; XSTICKYD=2; STICKYDX=3"],
	}
	for cookies, want in sent.items():
		lab.get(daemon, cookie=cookies)
		assert gateway.requests[-1].all("cookie") == want, cookies
	lab.get(daemon, "/", "Cookie: a=1", f"Cookie: {ours}", "Cookie: b=2")
	assert "; ".join(gateway.requests[-1].all("cookie")) == "a=1; b=2"
	assert ours.encode() not in gateway.received()


def test_our_cookie_stands_beside_those_of_the_gateway(lab):
	def page(side, request):
		side.answer("200 OK", "Set-Cookie: a=1; Path=/", "Set-Cookie: STICKYD=forged", "Set-Cookie: b=2")
	daemon = lab.start([lab.http(pages={"/": page})])
	answer = lab.get(daemon)
	assert answer.all("set-cookie")[:2] == ["a=1; Path=/", "b=2"]
	assert answer.cookie().value != "forged"


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "304 Not Modified", "401 Unauthorized",
	"404 Not Found", "500 Internal Server Error"])
def test_every_final_answer_carries_the_cookie(lab, status):
	def page(side, request):
		side.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
		if status.startswith("304"):
			side.send(f"HTTP/1.1 {status}\r\nETag: \"1\"\r\n\r\n".encode())
		else:
			side.answer(status, "Location: /elsewhere", body=b"so it is")
	daemon = lab.start([lab.http(pages={"/": page})])
	answer = lab.get(daemon)
	assert answer.status == int(status[:3])
	assert answer.cookie()
	assert [r.status for r in answer.interim] == [103]
	assert not answer.interim[0].has("set-cookie")


def test_a_session_gets_the_cookie_with_its_101(lab):
	daemon = lab.start([lab.ws("gw1"), lab.ws("gw2")])
	first = lab.session(daemon)
	cookie, gateway = first.opening.cookie(), first.echo("who")
	for _ in range(3):
		again = lab.session(daemon, cookie=str(cookie))
		assert again.echo("who") == gateway
		assert again.opening.cookie() is None


CACHING = [
	([], "private"),
	(["no-store"], "no-store"),
	(["private, max-age=60"], "private, max-age=60"),
	(["public, max-age=60"], "private, max-age=60"),
	(["s-maxage=9, must-revalidate"], "private, must-revalidate"),
]


@pytest.mark.parametrize("said, want", CACHING)
def test_an_answer_with_the_cookie_is_private(lab, said, want):
	def page(side, request):
		side.answer("200 OK", *[f"Cache-Control: {v}" for v in said], body=b"x")
	daemon = lab.start([lab.http(pages={"/": page})])
	answer = lab.get(daemon)
	assert ", ".join(answer.all("cache-control")) == want
	held = lab.get(daemon, cookie=str(answer.cookie()))
	assert held.all("cache-control") == said, "without the cookie it is none of our affair"


@pytest.mark.parametrize("key", ["cookie_idle", "cookie_life"])
def test_a_cookie_is_void_after_its_time(lab, key):
	daemon = lab.start(lab.https(1), pool={key: "1s"})
	cookie = lab.get(daemon).cookie()
	lab.get(daemon, cookie=str(cookie))
	daemon.record(how="cookie")

	def is_void():
		answer = lab.get(daemon, cookie=str(cookie))
		return answer.cookie() and "invalid" in [r["how"] for r in daemon.access()]
	until(is_void, "the old cookie to be void")


def test_a_cookie_in_use_slides_on(lab):
	"""Over three idle times, with the newest cookie at hand as a browser has it."""
	daemon = lab.start(lab.https(3), pool={"cookie_idle": "2s"})
	answer = lab.get(daemon)
	gateway, cookie, first = who(answer), str(answer.cookie()), answer.cookie()
	renewed = []

	def visit():
		nonlocal cookie
		again = lab.get(daemon, cookie=cookie)
		assert who(again) == gateway
		if again.cookie():
			cookie = str(again.cookie())
			renewed.append(cookie)
		return lab.get(daemon, cookie=str(first)).cookie() and len(renewed) >= 3

	until(visit, "the cookie to be renewed while the first one has expired")
	assert len(renewed) < 20, "renewed now and then, not each time"


def test_life_is_not_prolonged_by_use(lab):
	daemon = lab.start(lab.https(1), pool={"cookie_life": "3s", "cookie_idle": "2s"})
	cookie = str(lab.get(daemon).cookie())

	def is_over():
		nonlocal cookie
		answer = lab.get(daemon, cookie=cookie)
		if answer.cookie():
			cookie = str(answer.cookie())
		return any(r["how"] == "invalid" for r in daemon.access())

	until(is_over, "the end of its life")


def test_a_restart_keeps_cookies_valid_and_the_key_to_its_owner(lab):
	gateways = lab.https(3)
	daemon = lab.start(gateways)
	answer = lab.get(daemon)
	key = lab.state_dir() / "seal.key"
	assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
	before = key.read_bytes()
	daemon.stop()
	daemon = lab.start(gateways[::-1], name="again")	# and in another order
	again = lab.get(daemon, cookie=str(answer.cookie()))
	assert who(again) == who(answer) and again.cookie() is None
	assert key.read_bytes() == before


def test_two_proxies_with_one_key_file_agree(lab):
	gateways = lab.https(3)
	one, two = lab.start(gateways, name="one"), lab.start(gateways, name="two")
	for _ in range(6):
		answer = lab.get(one)
		again = lab.get(two, cookie=str(answer.cookie()))
		assert who(again) == who(answer) and again.cookie() is None


def test_keys_can_be_rotated(lab):
	gateways = lab.https(2)
	daemon = lab.start(gateways)
	old = lab.get(daemon)
	daemon.stop()
	key = lab.state_dir() / "seal.key"
	key.write_text(os.urandom(32).hex() + "\n# the one before\n" + key.read_text())
	daemon = lab.start(gateways, name="rotated")
	again = lab.get(daemon, cookie=str(old.cookie()))
	assert who(again) == who(old)
	new = lab.get(daemon)
	daemon.stop()
	key.write_text(key.read_text().split("\n")[0] + "\n")
	daemon = lab.start(gateways, name="without")
	assert lab.get(daemon, cookie=str(new.cookie())).cookie() is None
	assert lab.get(daemon, cookie=str(old.cookie())).cookie()


def test_a_client_whose_gateway_is_away_is_reassigned_and_then_stays(lab):
	gateways = lab.https(2)
	daemon = lab.start(gateways)
	first = lab.get(daemon)
	home = next(g for g in gateways if g.name == who(first))
	home.kill()
	moved = lab.get(daemon, cookie=str(first.cookie()))
	assert moved.status == 200 and who(moved) != home.name
	assert moved.cookie()
	assert hows(daemon, 2) == {"new": 1, "reassigned": 1}
	home.start()
	for _ in range(4):
		again = lab.get(daemon, cookie=str(moved.cookie()))
		assert who(again) == who(moved) and again.cookie() is None


@pytest.mark.threads
def test_a_session_whose_gateway_is_killed_is_reassigned_and_then_stays(lab):
	gateways = [lab.library(f"gw{i}") for i in range(3)]
	daemon = lab.start(gateways)

	async def visit(cookie):
		async with websockets.connect(f"ws://127.0.0.1:{daemon.port}/",
				extra_headers={"Cookie": cookie} if cookie else {}) as ws:
			given = ws.response_headers.get("Set-Cookie")
			return await ws.recv(), given.split(";")[0] if given else cookie

	name, cookie = asyncio.run(visit(None))
	home = next(g for g in gateways if g.name == name)
	home.kill()
	moved, cookie = asyncio.run(visit(cookie))
	assert moved != name
	home.start()
	for _ in range(3):
		assert asyncio.run(visit(cookie)) == (moved, cookie)


def test_a_client_of_a_gateway_that_is_gone_is_reassigned(lab):
	gateways = lab.https(2)
	daemon = lab.start(gateways, pool={"balance": "roundrobin"})
	answers = [lab.get(daemon) for _ in range(2)]
	daemon.stop()
	daemon = lab.start(gateways[1:], name="smaller")
	gone = next(a for a in answers if who(a) == "gw1")
	answer = lab.get(daemon, cookie=str(gone.cookie()))
	assert who(answer) == "gw2" and answer.cookie()
	assert daemon.records(1)[0]["how"] == "reassigned"


def test_a_connection_may_carry_requests_of_several_clients(lab):
	"""As when another proxy stands before us: each request goes where its own cookie says."""
	daemon = lab.start(lab.https(3), pool={"balance": "roundrobin"})
	answers = [lab.get(daemon) for _ in range(3)]
	with lab.client(daemon) as c:
		for answer in answers * 3:
			assert who(c.get(cookie=str(answer.cookie()))) == who(answer)


def test_without_affinity_there_is_no_cookie(lab):
	daemon = lab.start(lab.https(1), pool={"affinity": ""})
	assert lab.get(daemon).cookie() is None
