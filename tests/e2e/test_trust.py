# SPDX-License-Identifier: BSD-2-Clause
"""What clients can't make up and can't take: signed keys, one session for each key, and places that a flood leaves alone. Newcomers go round
robin, so that a client who comes back to its gateway was known there."""

import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from harness.crowd import moved, places
from harness.daemon import configuration, kb, run
from harness.gateways import who
from harness.keys import KEYED, carrying, signed
from harness.wait import until, while_true
from harness.wire import Broken
from harness.ws import BINARY, CLOSE, TEXT, frame_head

SECRET = b"the login's secret of this test"


def secret_file(lab, secret=SECRET, mode=0o600):
	path = lab.directory / "key.secret"
	path.write_bytes(secret)
	os.chmod(path, mode)
	return path


def start(lab, affinity, gateways=None, pool=None, store=None, **how):
	return lab.start(gateways or lab.https(3), pool={"affinity": affinity, "balance": "roundrobin", **(pool or {})},
		more={"store": store or {}}, **how)


def sessions(lab, n=3):
	return [lab.ws(f"gw{i + 1}") for i in range(n)]


def visit(lab, daemon, *handshake, **how):
	session = lab.session(daemon, *handshake, **how)
	gateway = session.echo("who")
	session.finish()
	return gateway


def hows(daemon, n):
	return Counter((r["how"], r["because"]) for r in daemon.records(n))


# signed keys


@pytest.mark.parametrize("selector", KEYED)
def test_a_key_counts_with_its_signature(lab, selector):
	daemon = start(lab, selector, sessions(lab), {"key_secret_file": secret_file(lab)})
	keys = [signed(SECRET, f"player-{i}") for i in range(5)]
	home = {k: visit(lab, daemon, *carrying(selector, k)) for k in keys}
	assert set(home.values()) == {"gw1", "gw2", "gw3"}
	for k in reversed(keys):
		assert visit(lab, daemon, *carrying(selector, k), source="127.0.2.1") == home[k]
	assert hows(daemon, 10) == {("new", None): 5, (selector, None): 5}


BAD_SIGNATURES = {
	"none": ("unsigned", lambda k: k),
	"a dot alone": ("signature", lambda k: k + "."),
	"of another key": ("signature", lambda k: "x" + signed(SECRET, k)),
	"by another secret": ("signature", lambda k: signed(SECRET + b"x", k)),
	"one character differs": ("signature", lambda k: signed(SECRET, k)[:-5] + ("A" if signed(SECRET, k)[-5] != "A" else "B")
		+ signed(SECRET, k)[-4:]),
	"cut": ("signature", lambda k: signed(SECRET, k)[:-1]),
	"padded twice": ("signature", lambda k: signed(SECRET, k) + "=="),
	"longer": ("signature", lambda k: signed(SECRET, k) + "A"),
	"signature alone": ("unsigned", lambda k: signed(SECRET, k).rpartition(".")[2]),
}


@pytest.mark.parametrize("how", BAD_SIGNATURES)
def test_without_its_signature_a_key_does_not_count(lab, how):
	"""Nor is it bound: who shows it again is a newcomer again."""
	because, bad = BAD_SIGNATURES[how]
	daemon = start(lab, "header:X-Player", pool={"key_secret_file": secret_file(lab)})
	home = who(lab.get(daemon, "/", f"X-Player: {signed(SECRET, 'anna')}"))
	seen = [who(lab.get(daemon, "/", f"X-Player: {bad('anna')}")) for _ in range(3)]
	assert len(set(seen)) == 3
	assert hows(daemon, 4)["invalid", because] == 3
	assert who(lab.get(daemon, "/", f"X-Player: {signed(SECRET, 'anna')}")) == home


def test_the_signature_of_an_empty_key_is_no_key(lab):
	daemon = start(lab, "header:X-Player", pool={"key_secret_file": secret_file(lab)})
	assert len({who(lab.get(daemon, "/", f"X-Player: {signed(SECRET, '')}")) for _ in range(3)}) == 3


def test_a_signature_may_be_padded(lab):
	"""As some libraries do it."""
	daemon = start(lab, "header:X-Player", pool={"key_secret_file": secret_file(lab)})
	home = who(lab.get(daemon, "/", f"X-Player: {signed(SECRET, 'anna')}"))
	lab.get(daemon)
	assert who(lab.get(daemon, "/", f"X-Player: {signed(SECRET, 'anna')}=")) == home


def test_every_bit_of_a_signature_counts(lab):
	"""But for the two that base64url leaves unused at its end."""
	daemon = start(lab, "query:player", pool={"key_secret_file": secret_file(lab)})
	good = signed(SECRET, "anna")
	with lab.client(daemon) as c:
		for at in range(5, len(good) - 1):
			other = "B" if good[at] == "A" else "A"
			assert c.get(f"/?player={good[:at] + other + good[at + 1:]}").status == 200
	assert set(hows(daemon, len(good) - 6)) == {("invalid", "signature")}


@pytest.mark.parametrize("key", ["anna.bell", "a.b.c.", ".", "\x80\xff", "k" * 7900, "." * 50])
def test_any_key_can_be_signed(lab, key):
	daemon = start(lab, "header:X-Player", pool={"key_secret_file": secret_file(lab)})
	home = who(lab.get(daemon, "/", f"X-Player: {signed(SECRET, key)}"))
	lab.get(daemon)
	assert who(lab.get(daemon, "/", f"X-Player: {signed(SECRET, key)}")) == home


def test_what_is_signed_is_the_decoded_key(lab):
	daemon = start(lab, "query:player, header:X-Player", pool={"key_secret_file": secret_file(lab)})
	text = signed(SECRET, "anna bell")
	home = who(lab.get(daemon, "/", f"X-Player: {text}"))
	lab.get(daemon)
	assert who(lab.get(daemon, f"/?player={text.replace(' ', '%20').replace('.', '%2E')}")) == home


def test_addresses_and_what_gateways_name_need_no_signature(lab):
	def page(side, request):
		side.answer("200 OK", "X-Session: made-by-gateway", body=b'{"gateway": "gw2"}')
	gateways = [lab.http("gw1"), lab.http("gw2", {"/login": page})]
	daemon = start(lab, "header:X-Player, learn:header:X-Session, source", gateways, {"key_secret_file": secret_file(lab)})
	assert who(lab.get(daemon, source="127.0.1.1")) == "gw1"
	assert who(lab.get(daemon, "/login", source="127.0.1.2")) == "gw2"
	assert who(lab.get(daemon, source="127.0.1.1")) == "gw1"
	assert who(lab.get(daemon, "/", "X-Session: made-by-gateway", source="127.0.1.3")) == "gw2"


def test_the_secrets_last_line_end_is_none_of_it(lab):
	daemon = start(lab, "header:X-Player", pool={"key_secret_file": secret_file(lab, SECRET + b"\n")})
	for _ in range(3):
		lab.get(daemon, "/", f"X-Player: {signed(SECRET, 'anna')}")
	assert hows(daemon, 3) == {("new", None): 1, ("header:X-Player", None): 2}


BAD_SECRETS = [
	(SECRET, 0o644, 0, "mode 0644"), (b"short", 0o600, 0, "5 bytes"), (b"", 0o600, 1, "empty"), (b"\n", 0o600, 1, "empty"),
	(None, 0o600, 1, "No such file"),
]


@pytest.mark.parametrize("secret, mode, exits, said", BAD_SECRETS)
def test_what_is_wrong_with_a_secret_is_said(lab, secret, mode, exits, said):
	"""One that can be had is used all the same."""
	path = secret_file(lab, secret or b"", mode)
	if secret is None:
		path.unlink()
	ini = lab.ini(configuration(lab.sections(lab.https(1), pool={"affinity": "header:X", "key_secret_file": path})))
	done = run("-t", "-c", str(ini))
	assert done.returncode == exits
	(line,) = [line for line in done.stderr.split("\n") if str(path) in line]
	assert said in line and ("key_secret_file" in line or exits == 0)


# one session for each key


ONE = {"duplicate": "close-old"}


def assert_replaced(session):
	"""Told so, and ended."""
	f = session.read_frame()
	assert (f.code, f.payload[2:].decode()) == (1008, "duplicate-session")
	session.send_close(1008)
	assert session.is_ended()


@pytest.mark.parametrize("selector", KEYED)
def test_a_second_session_closes_the_first(lab, selector):
	daemon = start(lab, selector, sessions(lab), ONE)
	old = lab.session(daemon, *carrying(selector, "anna"))
	home = old.echo("who")
	new = lab.session(daemon, *carrying(selector, "anna"), source="127.0.2.1")
	assert_replaced(old)
	assert new.echo("who") == home
	record = daemon.record(kind="session")
	assert (record["why"], record["close"]) == ("duplicate-session", 1008)
	new.finish()
	assert len(daemon.records(2)) == 2


def test_the_gateway_is_told_too(lab):
	"""That its session has ended, before or while the next one begins."""
	codes = []

	def hold(side):
		with suppress(Broken):
			while (f := side.read_frame()).opcode != CLOSE:
				side.send_frame(f.opcode, f.payload)
			codes.append(f.code)
	daemon = start(lab, "header:X-Player", [lab.ws(handler=hold)], ONE)
	old = lab.session(daemon, "/", "X-Player: anna")
	lab.session(daemon, "/", "X-Player: anna")
	assert_replaced(old)
	until(lambda: codes, "the close at the gateway")
	assert codes[0] in (1001, 1008)


def test_each_new_session_closes_the_one_before(lab):
	"""Also after the ended ones are gone from all lists."""
	daemon = start(lab, "header:X-Player", sessions(lab), ONE)
	last = lab.session(daemon, "/", "X-Player: anna")
	for n in range(20):
		new = lab.session(daemon, "/", "X-Player: anna")
		assert_replaced(last)
		daemon.records(n + 1)
		assert new.echo("x") == "x"
		last = new


def test_other_keys_and_plain_requests_close_nothing(lab):
	gateways = [lab.library(f"gw{i}", page="hello") for i in range(2)]
	daemon = start(lab, "header:X-Player, cookie", gateways, ONE)
	anna, bob, nobody, nobody_else = (lab.session(daemon, "/", *f) for f in (["X-Player: anna"], ["X-Player: bob"], [], []))
	for session in (anna, bob, nobody, nobody_else):
		assert session.read_text().startswith("gw")
	for _ in range(5):
		assert lab.get(daemon, "/page", "X-Player: anna").text == "hello"
	for session in (anna, bob, nobody, nobody_else):
		assert session.echo("still here") == "still here"


def test_without_the_key_many_may_share_one(lab):
	daemon = start(lab, "header:X-Player", sessions(lab))
	both = [lab.session(daemon, "/", "X-Player: anna") for _ in range(4)]
	for session in both:
		assert session.echo("still here") == "still here"


def test_it_is_one_key_wherever_it_is_carried(lab):
	daemon = start(lab, "header:X-Player, query:player", sessions(lab), ONE)
	old = lab.session(daemon, "/", "X-Player: anna")
	new = lab.session(daemon, "/?player=ann%61")
	assert_replaced(old)
	assert new.echo("x") == "x"


def test_the_same_key_in_another_pool_is_another(lab):
	gateways = sessions(lab, 2)
	other = {"gateway": gateways[1].line, "affinity": "header:X-Player", "check": "none", **ONE}
	daemon = lab.start(gateways[:1], pool={"affinity": "header:X-Player", **ONE},
		more={"pool other": other, "route other": {"path": "/other/", "pool": "other"}})
	both = [lab.session(daemon, target, "X-Player: anna") for target in ("/", "/other/")]
	assert [s.echo("who") for s in both] == ["gw1", "gw2"]


def test_a_key_that_does_not_count_closes_nothing(lab):
	daemon = start(lab, "header:X-Player", sessions(lab), {"key_secret_file": secret_file(lab), **ONE})
	good = signed(SECRET, "anna")
	mine = lab.session(daemon, "/", f"X-Player: {good}")
	for made_up in ("anna", good[:-1], signed(b"another secret, as long", "anna")):
		assert lab.session(daemon, "/", f"X-Player: {made_up}").echo("x") == "x"
	assert mine.echo("still here") == "still here"
	lab.session(daemon, "/", f"X-Player: {good}")
	assert_replaced(mine)


@pytest.mark.parametrize("affinity, pool", [("header:X-Player", {"assign": "hash"}), ("cookie, header:X-Player", {}),
	("header:X-Player, source", {})])
def test_it_is_the_key_that_counts_however_the_gateway_is_chosen(lab, affinity, pool):
	daemon = start(lab, affinity, sessions(lab), {**pool, **ONE})
	old, other = (lab.session(daemon, "/", f"X-Player: {p}") for p in ("anna", "bob"))
	lab.session(daemon, "/", "X-Player: anna", source="127.0.5.1", cookie=str(other.opening.cookie() or "a=1"))
	assert_replaced(old)
	assert other.echo("still here") == "still here"


def test_a_handshake_that_is_refused_closes_nothing(lab):
	gateway = lab.ws()
	welcome = gateway.handler

	def once(side):
		if gateway.sides.index(side) == 0:
			return welcome(side)
		side.read_head()
		side.answer("403 Forbidden", body=b"one is enough")
	gateway.handler = once
	daemon = start(lab, "header:X-Player", [gateway], ONE)
	old = lab.session(daemon, "/", "X-Player: anna")
	second = lab.ws_client(daemon)
	second.ask("/", "X-Player: anna")
	assert second.response().status == 403
	assert old.echo("still here") == "still here"


def test_a_session_that_reads_nothing_is_closed_too(lab):
	"""Its phone has vanished, and a flood for it stands in the way."""
	def flood(side):
		with suppress(Broken, OSError):
			while True:
				side.send_frame(BINARY, bytes(1 << 16))
	daemon = start(lab, "header:X-Player", [lab.ws(handler=flood)], ONE)
	old = lab.session(daemon, "/", "X-Player: anna")
	old.sock.recv(1)
	lab.session(daemon, "/", "X-Player: anna")
	assert daemon.record(why="duplicate-session", bound=30)


def test_a_session_in_the_midst_of_a_frame_is_closed_too(lab):
	"""Its gateway has stalled, so that the frame never ends."""
	def stall(side):
		side.send(frame_head(BINARY, 1000) + b"half of it")
		side.read_to_end()
	daemon = start(lab, "header:X-Player", [lab.ws(handler=stall)], ONE)
	old = lab.session(daemon, "/", "X-Player: anna")
	old.read(14)
	lab.session(daemon, "/", "X-Player: anna")
	assert daemon.record(why="duplicate-session", bound=30)
	assert old.is_ended(), "and no close frame within another"


@pytest.mark.threads
def test_duplicates_are_found_across_workers(lab):
	daemon = start(lab, "header:X-Player", sessions(lab), ONE, globals={"workers": 4})
	players = [f"X-Player: player-{i}" for i in range(60)]
	old = [lab.session(daemon, "/", p) for p in players]
	new = [lab.session(daemon, "/", p) for p in players]
	for session in old:
		assert_replaced(session)
	for session in new:
		assert session.echo("still here") == "still here"


class Stormer:
	"""One player's connections, many at once and again and again."""

	def __init__(self, lab, daemon, player):
		self.lab, self.daemon, self.player = lab, daemon, player
		self.open = []

	def connect(self):
		c = self.lab.ws_client(self.daemon)
		c.ask("/", f"X-Player: {self.player}")
		if c.response().status == 101:
			self.open.append(c)

	def living(self):
		"""Those that still answer."""
		alive = []
		for c in self.open:
			with suppress(Broken, OSError):
				c.send_text("hello")
				f = c.read_frame()
				if f.opcode == TEXT:
					assert f.payload == b"hello"
					alive.append(c)
				else:
					assert f.code == 1008
		return alive


@pytest.mark.threads
def test_a_storm_of_reconnects_leaves_each_player_one_session(lab):
	daemon = start(lab, "header:X-Player", sessions(lab), ONE, globals={"workers": 4})
	stormers = [Stormer(lab, daemon, f"player-{i}") for i in range(8)]
	with ThreadPoolExecutor(24) as pool:
		for done in [pool.submit(s.connect) for _ in range(15) for s in stormers]:
			done.result()
	daemon.records(8 * 14)
	while_true(lambda: len(daemon.access()) == 8 * 14, "nobody else is closed", 0.3)
	for s in stormers:
		assert len(s.living()) == 1, s.player
	assert {r["why"] for r in daemon.access()} == {"duplicate-session"}


@pytest.mark.threads
def test_sessions_that_end_by_themselves_while_they_are_replaced(lab):
	daemon = start(lab, "header:X-Player", sessions(lab), ONE, globals={"workers": 4})
	stop = threading.Event()

	def come_and_go(i):
		n = 0
		while not stop.is_set():
			with suppress(Broken, OSError, AssertionError):
				c = lab.ws_client(daemon)
				c.ask("/", f"X-Player: player-{i % 4}")
				c.response()
				(c.reset if n % 2 else c.close)()
			n += 1
		return n
	with ThreadPoolExecutor(12) as pool:
		rounds = [pool.submit(come_and_go, i) for i in range(12)]
		until(lambda: len(daemon.access()) > 600, "600 sessions", 60)
		stop.set()
	assert all(r.result() > 3 for r in rounds)
	last = [lab.session(daemon, "/", f"X-Player: player-{i}") for i in range(4)]
	assert [s.echo("x") for s in last] == ["x"] * 4


# floods


def test_new_keys_of_one_address_are_limited(lab):
	"""Those above are answered all the same, always by the same gateway, and are not remembered."""
	daemon = start(lab, "header:X-Key", lab.terse(3), store={"new_keys_per_ip": "20/m"})
	keys = [f"key-{i}" for i in range(200)]
	first = places(daemon, keys, connections=1)
	assert set(Counter(first.values())) == {"gw1", "gw2", "gw3"}
	assert places(daemon, keys[::-1], connections=1).keys() == first.keys()
	known = [r for r in daemon.records(400) if r["how"] == "header:X-Key"]
	assert 15 <= len(known) <= 45
	unknown = keys[100:]
	assert moved(places(daemon, unknown, connections=1), places(daemon, unknown[::-1], connections=1)) == {}


def test_one_address_at_its_limit_concerns_no_other(lab):
	daemon = start(lab, "header:X-Key", lab.https(3), store={"new_keys_per_ip": "5/m"})
	statuses = [lab.get(daemon, "/", f"X-Key: flood-{i}", source="127.0.6.6").status for i in range(30)]
	assert set(statuses) == {200}
	for i in range(12):
		first = lab.get(daemon, "/", f"X-Key: player-{i}", source=f"127.0.1.{i + 1}")
		assert who(lab.get(daemon, "/", f"X-Key: player-{i}", source=f"127.0.2.{i + 1}")) == who(first)
	assert Counter(r["how"] for r in daemon.records(54))["header:X-Key"] == 12


def test_a_flood_of_keys_from_one_address_evicts_nobody(lab):
	"""Not even clients that sleep meanwhile."""
	daemon = start(lab, "header:X-Key", lab.terse(3), store={"max_keys": 2000, "new_keys_per_ip": "1000/s"})
	players = [f"player-{i}" for i in range(500)]
	before = places(daemon, players, connections=1)
	daemon.stop()
	daemon = start(lab, "header:X-Key", lab.gateways, store={"max_keys": 2000, "new_keys_per_ip": "100/m"}, name="limited")
	places(daemon, (f"made-up-{i}" for i in range(10000)))
	assert moved(before, places(daemon, players[::-1])) == {}


@pytest.mark.slow
def test_a_flood_of_keys_costs_bounded_memory_and_nobody_active_its_place(lab):
	daemon = start(lab, "header:X-Key", lab.terse(3), store={"max_keys": 2000}, log={"access": "off", "level": "info"})
	players = [f"player-{i}" for i in range(100)]
	home = places(daemon, players)
	places(daemon, (f"first-{i}" for i in range(4000)))		# all is in use once
	assert moved(home, places(daemon, players[::-1])) != {}, "these did not show themselves while 4000 came"
	home = places(daemon, players)
	before = daemon.rss_kb()
	for n in range(60):
		places(daemon, (f"flood-{n}-{i}" for i in range(500)))
		assert moved(home, places(daemon, players[::-1] if n % 2 else players)) == {}
	assert daemon.rss_kb() - before < kb(6)


@pytest.mark.slow
def test_a_flood_of_long_keys_costs_no_more(lab):
	daemon = start(lab, "header:X-Key", lab.terse(3), store={"max_keys": 2000}, log={"access": "off", "level": "info"})
	places(daemon, (f"{i}-{'k' * 7000}" for i in range(500)))
	before = daemon.rss_kb()
	places(daemon, (f"more-{i}-{'k' * 7000}" for i in range(6000)))
	assert daemon.rss_kb() - before < kb(6)


@pytest.mark.slow
def test_a_flood_of_cookies_costs_bounded_memory_and_nobody_its_place(lab):
	"""Made up, and good ones too: anybody can fetch as many as they like."""
	daemon = start(lab, "cookie", lab.https(3), log={"access": "off", "level": "info"})
	first = lab.get(daemon)
	good = first.cookie().value

	def flood(n):
		with lab.client(daemon) as c:
			for i in range(n):
				assert c.get(cookie=f"STICKYD={good[:i % 50]}{os.urandom(5).hex()}{good[i % 50 + 10:]}").cookie()
				fetched = c.get().cookie()
				assert c.get(cookie=str(fetched)).cookie() is None
	flood(500)
	before = daemon.rss_kb()
	for _ in range(4):
		flood(500)
		assert who(lab.get(daemon, cookie=str(first.cookie()))) == who(first)
	assert daemon.rss_kb() - before < kb(4)
