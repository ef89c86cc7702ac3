# SPDX-License-Identifier: BSD-2-Clause
"""Several proxies that share what they know by Redis, and all that can befall it: then everybody is served as before, proxies choose
alike, and what was bound meanwhile reaches it when it returns."""

import hashlib
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from harness.crowd import moved, places
from harness.metrics import LISTEN, metrics
from harness.redis import Redis
from harness.wait import until, while_true

BY_KEY = {"affinity": "header:X-Key", "balance": "roundrobin"}
CROWD = int(os.environ.get("STICKYD_CROWD", 20000))	# 100,000 where time allows

pytestmark = pytest.mark.skipif(not Redis.is_there(), reason="no redis-server here")


def keys(n, prefix="player"):
	return [f"{prefix}-{i}" for i in range(n)]


def key(name):
	return f"X-Key: {name}"


def proxy(lab, gateways, url, name="one", state=None, store=None, globals=None, pool=None, **how):
	"""One of several: all that it has of its own is its state directory. The time-out is one that a busy machine does not reach."""
	how.setdefault("log", {"access": "off"})
	store = {"type": "redis", "url": url, "timeout": "5s", **(store or {})}
	return lab.start(gateways, name=name, pool=pool or BY_KEY, more={"store": store},
		globals={"state_dir": lab.state_dir(state or f"state-{name}"), **(globals or {})}, **how)


def proxies(lab, redis, gateways, names=("one", "two"), **how):
	return [proxy(lab, gateways, redis.url, name, **how) for name in names]


def visit(lab, daemon, name):
	answer = lab.get(daemon, "/", key(name))
	assert answer.status == 200, answer.line
	return answer.text


def all_at_once(*work):
	with ThreadPoolExecutor(len(work)) as pool:
		return [f.result() for f in [pool.submit(*w) for w in work]]


def reaches(redis, bindings):
	"""Waits until Redis holds these, told by whoever made them."""
	until(lambda: redis.all_bound(bindings) == bindings, "all bindings to be in Redis")


def complaints(daemon):
	"""What an operator reads about Redis that is not well."""
	return [line for line in daemon.log.split("\n") if re.search(r"\b(warn|error)\b.*[Rr]edis", line)]


# while it is well


def busy_processors():
	"""Somebody else's work on each of them, at the lowest priority."""
	with ExitStack() as stack:
		for _ in os.sched_getaffinity(0):
			work = stack.enter_context(subprocess.Popen(["nice", "-n", "19", "setpriv", "--pdeathsig", "KILL", "sh", "-c", "while :; do :; done"]))
			stack.callback(work.kill)
		return stack.pop_all()


def a_crowd_comes_back(lab, n, **store):
	redis = lab.redis()
	daemons = proxies(lab, redis, lab.terse(5), ("one", "two", "three")[:n], store=store)
	crowd = keys(CROWD)
	before = {}
	for some in all_at_once(*((places, d, crowd[i::n]) for i, d in enumerate(daemons))):
		before.update(some)
	assert len(before) == CROWD and set(Counter(before.values())) == {f"gw{i + 1}" for i in range(5)}
	for turn in range(1, n):
		for after in all_at_once(*((places, d, crowd[(i + turn) % n::n]) for i, d in enumerate(daemons))):
			assert moved(before, after) == {}
	return daemons


@pytest.mark.slow
@pytest.mark.threads
@pytest.mark.parametrize("n", [2, 3])
def test_of_many_who_come_back_through_another_proxy_nobody_changes_gateway(lab, n):
	for d in a_crowd_comes_back(lab, n):
		assert complaints(d) == []


@pytest.mark.slow
@pytest.mark.skipif("STICKYD_BUSY" not in os.environ, reason="an experiment: how many move depends on the machine")
@pytest.mark.parametrize("n", [2, 3])
def test_nor_on_a_busy_machine_with_the_time_out_that_is_the_default(lab, n):
	"""Nobody there is as quick as usual, the proxies included; a Redis that says nothing for so long is not well."""
	with busy_processors():
		a_crowd_comes_back(lab, n, timeout="50ms")


@pytest.mark.threads
def test_a_key_that_comes_to_all_proxies_at_once_has_one_gateway(lab):
	"""None of them knows it yet: get-or-bind is one step."""
	redis = lab.redis()
	daemons = proxies(lab, redis, lab.terse(5), ("one", "two", "three"))
	for turn in range(10):
		one, two, three = all_at_once(*((places, d, keys(200, f"turn-{turn}")) for d in daemons))
		assert one == two == three
		assert redis.all_bound(one) == one


@pytest.mark.threads
def test_sessions_find_back_through_another_proxy(lab):
	redis = lab.redis()
	one, two = proxies(lab, redis, [lab.ws(f"gw{i}") for i in range(4)], log={})
	for name in keys(12):
		first = lab.session(one, "/", key(name))
		assert lab.session(two, "/", key(name)).echo("who") == first.echo("who")
		first.finish()
		assert lab.session(two, "/", key(name)).echo("who") == lab.session(one, "/", key(name)).echo("who")


def asked(redis):
	"""How many questions it got; what a script does inside does not count twice."""
	calls = redis.calls()
	return sum(calls.get(name, 0) for name in ("eval", "evalsha", "fcall"))


def test_one_round_trip_for_who_is_new_here_and_none_for_who_is_known(lab):
	redis = lab.redis()
	one, two = proxies(lab, redis, lab.terse(3))
	known = places(one, keys(300))

	def is_warm():
		redis.forget_calls()
		assert places(one, known) == known
		return asked(redis) == 0
	until(is_warm, "a visit of all without a question")
	assert is_warm() and is_warm()
	redis.forget_calls()
	assert places(two, known) == known
	assert asked(redis) == 300


def test_what_redis_holds(lab):
	"""Names, under keys that other programs can find, for as long as the table would."""
	redis = lab.redis()
	daemon = proxy(lab, lab.terse(3), redis.url, pool={**BY_KEY, "affinity": "header:X-Key, query:key"}, store={"ttl": "1h"})
	long = "k" * 257
	seen = {name: visit(lab, daemon, name) for name in ("a", "with:colons", "k" * 256)}
	reaches(redis, seen)
	assert redis.bound(f"sha256:{hashlib.sha256(long.encode()).hexdigest()}") is None
	assert visit(lab, daemon, long) == until(
		lambda: redis.bound(f"sha256:{hashlib.sha256(long.encode()).hexdigest()}"), "the long key's binding")
	binary = bytes(range(256))
	answer = lab.get(daemon, "/?key=" + "".join(f"%{b:02x}" for b in binary))
	assert redis.command("GET", b"stickyd:app:" + binary) == answer.text
	assert redis.command("DBSIZE") == 5
	for name in redis.command("KEYS", "*"):
		assert name.startswith("stickyd:app:")
	assert 3500_000 < redis.command("PTTL", "stickyd:app:a") <= 3600_000


def test_pools_do_not_share_their_keys_there_either(lab):
	redis = lab.redis()
	gateways = lab.terse(4)
	daemon = lab.start(gateways[:2], pool=BY_KEY, more={
		"store": {"type": "redis", "url": redis.url},
		"pool other": {"gateway": [g.line for g in gateways[2:]], "check": "none", **BY_KEY},
		"route other": {"path": "/other/", "pool": "other"}})
	one, other = visit(lab, daemon, "a"), lab.get(daemon, "/other/", key("a")).text
	assert redis.bound("a") == one in ("gw1", "gw2")
	assert redis.bound("a", "other") == other in ("gw3", "gw4")


def test_a_key_in_use_lives_on_in_redis_and_one_that_is_not_is_forgotten(lab):
	redis = lab.redis()
	one, two = proxies(lab, redis, lab.terse(3), store={"ttl": "2s"})
	home = visit(lab, one, "busy")
	visit(lab, one, "idle")
	while_true(lambda: visit(lab, one, "busy") == home and redis.bound("busy") == home, "it is known", 6)
	assert redis.bound("idle") is None
	assert visit(lab, two, "busy") == home


def test_by_hash_redis_is_not_asked(lab):
	redis = lab.redis()
	one, two = proxies(lab, redis, lab.terse(4), pool={"affinity": "header:X-Key", "assign": "hash"})
	redis.forget_calls()
	seen = places(one, keys(200))
	assert places(two, seen) == seen
	assert asked(redis) == 0 and redis.command("DBSIZE") == 0


def test_a_cookie_needs_no_question(lab):
	redis = lab.redis()
	daemon = proxy(lab, lab.terse(3), redis.url, pool={"affinity": "cookie"})
	first = lab.get(daemon)
	redis.forget_calls()
	for _ in range(5):
		assert lab.get(daemon, cookie=str(first.cookie())).text == first.text
	assert asked(redis) == 0


def test_a_login_by_cookie_binds_the_key_for_all_proxies(lab):
	"""The cookie decides, then the key is bound to its gateway: through the other proxy the key alone is enough."""
	redis = lab.redis()
	one, two = proxies(lab, redis, lab.terse(4), pool={"affinity": "cookie, header:X-Key", "balance": "roundrobin"})
	for name in keys(8):
		login = lab.get(one)
		assert lab.get(one, "/", key(name), cookie=str(login.cookie())).text == login.text
		reaches(redis, {name: login.text})
		assert lab.get(two, "/", key(name)).text == login.text


def test_a_killed_proxy_forgets_nothing_that_redis_knows(lab):
	redis = lab.redis()
	gateways = lab.terse(5)
	daemon = proxy(lab, gateways, redis.url)
	before = places(daemon, keys(300))
	daemon.expected_exit = -signal.SIGKILL
	daemon.signal(signal.SIGKILL)
	daemon.wait_exit()
	daemon = proxy(lab, gateways, redis.url, "another")
	assert moved(before, places(daemon, before)) == {}


def test_whom_one_proxy_reassigns_stays_there_through_the_other(lab):
	"""Both knew the old place, and neither asks Redis for what it knows: so it has been told."""
	redis = lab.redis()
	gateways = lab.terse(3)
	one, two = proxies(lab, redis, gateways)
	home = visit(lab, one, "a")
	for _ in range(3):
		assert visit(lab, two, "a") == home
	gateway = next(g for g in gateways if g.name == home)
	gateway.kill()
	now = visit(lab, one, "a")
	assert now != home
	reaches(redis, {"a": now})
	gateway.start()
	until(lambda: visit(lab, two, "a") == now, "the other proxy to have heard", 2)
	assert {visit(lab, d, "a") for d in (one, two) for _ in range(5)} == {now}


# what it may hold


NONSENSE = {
	"a list": ("LPUSH", "x"),
	"a set": ("SADD", "x"),
	"a hash": ("HSET", "gw1", "x"),
}


@pytest.mark.parametrize("what", NONSENSE)
def test_a_key_of_the_wrong_type_concerns_that_key_alone(lab, what):
	redis = lab.redis()
	one, two = proxies(lab, redis, lab.terse(5))
	command, *words = NONSENSE[what]
	redis.command(command, "stickyd:app:bad", *words)
	home = visit(lab, one, "bad")
	for _ in range(5):
		assert visit(lab, one, "bad") == home
	seen = {name: visit(lab, one, name) for name in keys(10)}
	assert redis.all_bound(seen) == seen
	assert {name: visit(lab, two, name) for name in seen} == seen


@pytest.mark.parametrize("name", ["gw9", "", "x" * 5000, "gw1\n", "GW1", "gw1 127.0.0.1:1", "\0\r\n*1"])
def test_a_gateway_that_no_longer_is(lab, name):
	"""Or never was: the client is given another, and all proxies are told."""
	redis = lab.redis()
	one, two = proxies(lab, redis, lab.terse(3), log={})
	redis.command("SET", "stickyd:app:a", name)
	now = visit(lab, one, "a")
	assert now in ("gw1", "gw2", "gw3")
	reaches(redis, {"a": now})
	assert {visit(lab, d, "a") for d in (two, one)} == {now}


def test_a_fleet_that_is_changed_moves_who_must_be_moved_once(lab):
	"""gw3 is taken away from both proxies' files: its clients find one new gateway, whichever proxy they come through first."""
	redis = lab.redis()
	gateways = lab.terse(4)
	for name, daemon in zip(("one", "two"), proxies(lab, redis, gateways)):
		before = places(daemon, keys(100))
		daemon.stop()
	left = gateways[:2] + gateways[3:]
	one, two = proxies(lab, redis, left, ("three", "four"))
	after = places(one, keys(100))
	assert {was for was, _ in moved(before, after).values()} == {"gw3"}
	reaches(redis, after)
	assert places(two, keys(100)) == after


# when it is not well: each of these is a way to break it and to mend it again


def stopped(redis):
	redis.stop()
	return redis.start


def killed(redis):
	redis.kill()
	return redis.start


def frozen(redis):
	redis.freeze()
	return redis.thaw


def full(redis):
	redis.command("CONFIG", "SET", "maxmemory", 1)
	return lambda: redis.command("CONFIG", "SET", "maxmemory", 0)


def read_only(redis):
	redis.command("REPLICAOF", "127.0.0.1", 1)
	return lambda: redis.command("REPLICAOF", "NO", "ONE")


def locked(redis):
	"""A password that we are not told."""
	redis.command("CONFIG", "SET", "requirepass", "changed")
	redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	redis.command("CLIENT", "KILL", "TYPE", "pubsub")
	return lambda: redis.command("CONFIG", "SET", "requirepass", "")


def without_scripts(redis):
	"""As an administrator forbids commands."""
	redis.command("ACL", "SETUSER", "default", "-@scripting", "-get", "-set")
	return lambda: redis.command("ACL", "SETUSER", "default", "+@all")


OUTAGES = [stopped, killed, frozen, full, read_only, locked, without_scripts]


def notices(daemon):
	"""It takes a question to find out, and stickyd says so."""
	until(lambda: complaints(daemon), "the log to say that Redis is not well")


def recoveries(daemon):
	return re.findall(r"Redis at .* is well again", daemon.log)


def is_back(daemon):
	return daemon.wait_log(r"Redis at .* is well again")


@pytest.mark.threads
@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_costs_nobody_anything(lab, outage):
	"""The bound stay, newcomers are served, both proxies choose alike for them, Redis hears of it afterwards, and each proxy says so
	once."""
	redis = lab.redis()
	one, two = proxies(lab, redis, lab.terse(5), globals={"workers": 3}, store={"timeout": "1s"})
	known = places(one, keys(100))
	assert places(two, known) == known
	mend = outage(redis)
	fresh = keys(300, "fresh")
	during = places(one, fresh)
	assert places(two, fresh) == during
	assert set(during.values()) == {f"gw{i + 1}" for i in range(5)}
	for daemon in (one, two):
		assert moved(known, places(daemon, known)) == {}
		notices(daemon)
		assert len(complaints(daemon)) == 1, "\n".join(complaints(daemon))
	mend()
	reaches(redis, {**known, **during})
	after = proxy(lab, lab.gateways, redis.url, "three")
	assert moved({**known, **during}, places(after, [*known, *during])) == {}
	for daemon in (one, two):
		is_back(daemon)
		assert len(complaints(daemon)) == 1


@pytest.mark.parametrize("outage", [frozen, stopped])
def test_nothing_waits_longer_than_the_time_out(lab, outage):
	"""The first ones find out, within the time-out; from then on nobody waits at all."""
	redis = lab.redis()
	daemon = proxy(lab, lab.terse(3), redis.url, globals={"workers": 1}, store={"timeout": "50ms"})
	visit(lab, daemon, "first")
	outage(redis)
	took = []
	with lab.client(daemon) as c:
		for name in keys(200):
			began = time.monotonic()
			assert c.get("/", key(name)).status == 200
			took.append(time.monotonic() - began)
	assert max(took) < 1, "50 ms, and what a busy machine adds"
	assert sum(took) < 200 * 0.050 / 2, "not one time-out after the other"


def test_a_time_out_of_its_own(lab):
	redis = lab.redis()
	daemon = proxy(lab, lab.terse(3), redis.url, globals={"workers": 1}, store={"timeout": "700ms"})
	visit(lab, daemon, "first")
	redis.freeze()
	began = time.monotonic()
	visit(lab, daemon, "a")
	assert 0.7 <= time.monotonic() - began < 5


def test_a_slow_answer_is_waited_for(lab):
	"""Well within the time-out it is no outage."""
	redis = lab.redis()
	one, two = proxies(lab, redis, lab.terse(5))
	seen = places(one, keys(50))
	redis.freeze()
	threading.Timer(0.3, redis.thaw).start()
	assert places(two, seen) == seen
	assert complaints(two) == []


@pytest.mark.threads
def test_killed_under_load_nothing_is_lost(lab):
	"""Each client comes by one proxy while it happens, and by the other afterwards."""
	redis = lab.redis()
	one, two = proxies(lab, redis, lab.terse(5), globals={"workers": 3})
	with ThreadPoolExecutor(1) as pool:
		load = pool.submit(places, one, keys(CROWD // 2))
		for _ in range(3):
			redis.forget_calls()
			until(lambda: load.done() or asked(redis) > 300, "some load")
			redis.kill()
			redis.start()
		seen = load.result()
	assert set(seen.values()) == {f"gw{i + 1}" for i in range(5)}
	reaches(redis, seen)
	assert moved(seen, places(two, seen)) == {}


def test_logged_once_for_each_time(lab):
	redis = lab.redis()
	daemon = proxy(lab, lab.terse(3), redis.url, globals={"workers": 4})
	for turn in range(1, 4):
		redis.stop()
		places(daemon, keys(40, f"down-{turn}"))
		until(lambda: len(complaints(daemon)) >= turn, "a word about it")
		redis.start()
		reaches(redis, places(daemon, keys(40, f"up-{turn}")))
		until(lambda: len(recoveries(daemon)) == turn, "all workers to be back")
		assert len(complaints(daemon)) == turn, "\n".join(complaints(daemon))


def test_counted_always(lab):
	redis = lab.redis()
	daemon = proxy(lab, lab.terse(3), redis.url, admin=LISTEN)
	places(daemon, keys(20))
	places(proxy(lab, lab.gateways, redis.url, "two"), keys(10, "other"))
	places(daemon, keys(10, "other"))
	well = metrics(daemon)
	assert (well["stickyd_store_asked_total"], well["stickyd_store_bound_total"], well["stickyd_store_found_total"]) == (30, 20, 10)
	assert well["stickyd_store_well"] == 1 and well["stickyd_store_answer_seconds_total"] > 0
	redis.stop()
	during = places(daemon, keys(50, "fresh"))
	unwell = metrics(daemon)
	assert unwell["stickyd_store_well"] == 0
	assert unwell["stickyd_store_waiting"] == 50 and unwell["stickyd_store_dropped_total"] == 0
	redis.start()
	reaches(redis, during)
	until(lambda: metrics(daemon)["stickyd_store_well"] == 1, "all workers to be back")
	again = until(lambda: metrics(daemon)["stickyd_store_waiting"] == 0 and metrics(daemon), "nothing left to be told")
	assert again["stickyd_store_told_total"] - well["stickyd_store_told_total"] == 50
	assert again["stickyd_store_reconnects_total"] > 0


def test_away_from_the_start(lab):
	"""It starts all the same, says so, chooses as the other proxy does, and makes up for it."""
	redis = lab.redis()
	redis.stop()
	one, two = proxies(lab, redis, lab.terse(5))
	seen = places(one, keys(200))
	assert places(two, seen) == seen and len(set(seen.values())) == 5
	for daemon in (one, two):
		assert len(complaints(daemon)) == 1
	redis.start()
	reaches(redis, seen)


def test_what_redis_was_not_told_of_is_told_before_the_end(lab):
	redis = lab.redis()
	daemon = proxy(lab, lab.terse(5), redis.url)
	places(daemon, keys(10))
	redis.stop()
	during = places(daemon, keys(100, "fresh"))
	redis.start()
	daemon.stop()
	assert redis.all_bound(during) == during


@pytest.mark.parametrize("outage", [stopped, frozen])
def test_the_end_in_an_outage(lab, outage):
	"""It does not wait for long, says what was lost, and does not say that Redis is back."""
	redis = lab.redis()
	daemon = proxy(lab, lab.terse(3), redis.url, globals={"workers": 4}, store={"timeout": "500ms"})
	places(daemon, keys(20))
	outage(redis)
	places(daemon, keys(50, "fresh"))
	notices(daemon)
	began = time.monotonic()
	daemon.stop()
	assert time.monotonic() - began < 10
	assert sum(map(int, re.findall(r"was not told of (\d+) bindings", daemon.log))) == 50
	assert "well again" not in daemon.log and len(complaints(daemon)) == 1


def test_whom_an_outage_reassigned_stays_for_all_proxies(lab):
	redis = lab.redis()
	gateways = lab.terse(3)
	one, two = proxies(lab, redis, gateways)
	home = visit(lab, one, "a")
	assert visit(lab, two, "a") == home
	redis.stop()
	gateway = next(g for g in gateways if g.name == home)
	gateway.kill()
	now = visit(lab, one, "a")
	assert now != home
	gateway.start()
	redis.start()
	reaches(redis, {"a": now})
	for daemon in (two, one):
		is_back(daemon)
		assert visit(lab, daemon, "a") == now


def test_a_proxy_that_cannot_reach_it_is_no_burden_to_the_other(lab):
	redis = lab.redis()
	gateways = lab.terse(5)
	one = proxy(lab, gateways, redis.url)
	alone = proxy(lab, gateways, "redis://127.0.0.1:1/0", "alone")
	assert len(set(places(alone, keys(50)).values())) == 5
	known = places(one, keys(50))
	assert redis.all_bound(known) == known
	assert len(complaints(alone)) == 1 and complaints(one) == []


# how it is reached


def test_by_unix_socket(lab):
	redis = lab.redis()
	daemon = proxy(lab, lab.terse(2), f"unix://{redis.socket}?db=2")
	home = visit(lab, daemon, "a")
	redis.command("SELECT", 2)
	assert redis.bound("a") == home
	assert complaints(daemon) == []


def test_by_password_and_database(lab):
	redis = lab.redis(requirepass="p@ss:w/rd")
	daemon = proxy(lab, lab.terse(2), f"redis://:p%40ss%3Aw%2Frd@127.0.0.1:{redis.port}/3")
	home = visit(lab, daemon, "a")
	redis.command("SELECT", 3)
	assert redis.bound("a") == home
	assert complaints(daemon) == []


def test_by_a_users_name(lab):
	redis = lab.redis()
	redis.command("ACL", "SETUSER", "proxy", "on", ">secret", "~stickyd:*", "&*", "+@all")
	redis.command("ACL", "SETUSER", "default", "-@all", "+auth", "+hello")
	daemon = proxy(lab, lab.terse(2), f"redis://proxy:secret@127.0.0.1:{redis.port}/0")
	redis.command("AUTH", "proxy", "secret")
	assert visit(lab, daemon, "a") == redis.bound("a")
	assert complaints(daemon) == []


@pytest.mark.parametrize("who", [":wrong@", "proxy:wrong@", "nobody:secret@", ""])
def test_a_wrong_password_is_an_outage_and_is_not_told(lab, who):
	redis = lab.redis(requirepass="right")
	daemon = proxy(lab, lab.terse(2), f"redis://{who}127.0.0.1:{redis.port}/0")
	assert set(places(daemon, keys(30)).values()) == {"gw1", "gw2"}
	notices(daemon)
	assert len(complaints(daemon)) == 1
	assert ":wrong" not in daemon.log


def test_a_database_that_is_not_there(lab):
	redis = lab.redis(databases=2)
	daemon = proxy(lab, lab.terse(2), f"redis://127.0.0.1:{redis.port}/7")
	assert set(places(daemon, keys(30)).values()) == {"gw1", "gw2"}
	notices(daemon)


def test_what_listens_there_is_no_redis(lab):
	"""A web server, by a wrong port."""
	other = lab.http("other")
	daemon = proxy(lab, lab.terse(2), f"redis://127.0.0.1:{other.port}/0", store={"timeout": "200ms"})
	assert set(places(daemon, keys(30)).values()) == {"gw1", "gw2"}
	notices(daemon)
	assert len(complaints(daemon)) == 1


@pytest.mark.parametrize("reply", [b"$-1\r\n", b"*0\r\n", b":1\r\n", b"+gw1\r\n", b"$3\r\ngw1\r\n", b"*3\r\n:1\r\n:2\r\n:3\r\n", b"\xff\xfe",
	b"$999999999\r\n", b"*-1\r\n", b"*1\r\n*1\r\n*1\r\n*1\r\n+x\r\n", b"-NONSENSE\r\n"])
def test_a_server_that_answers_nonsense(lab, reply):
	"""To whatever it is asked: everybody is served."""
	def handler(side):
		while data := side.sock.recv(65536):
			side.send(reply * data.count(b"*"))
	server = lab.scripted(handler, "nonsense")
	daemon = proxy(lab, lab.terse(3), f"redis://{server.address}/0")
	seen = places(daemon, keys(60))
	assert set(seen.values()) <= {"gw1", "gw2", "gw3"}
	assert places(daemon, seen) == seen
