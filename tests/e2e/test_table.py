# SPDX-License-Identifier: BSD-2-Clause
"""Where keys are remembered: over restarts and crashes, in little room, in changed configurations; and without remembering, by hash."""

import os
import random
import resource
import signal
import stat
import time
from collections import Counter

import pytest

from harness.crowd import moved, places
from harness.daemon import run
from harness.metrics import LISTEN, metrics
from harness.wait import until, while_true

BY_KEY = {"affinity": "header:X-Key", "balance": "roundrobin"}
BY_HASH = {"affinity": "header:X-Key", "assign": "hash"}


def keys(n, prefix="player"):
	return [f"{prefix}-{i}" for i in range(n)]


def shuffled(known):
	"""In another order, in which newcomers would be spread otherwise."""
	return random.Random(1).sample(list(known), len(known))


def begin(lab, gateways=(), pool=BY_KEY, store=None, **how):
	return lab.start(gateways, pool=pool, more={"store": store or {}}, **how)


def visit(lab, daemon, key, *fields, **how):
	"""The gateway's name."""
	answer = lab.get(daemon, "/", f"X-Key: {key}", *fields, **how)
	assert answer.status == 200, answer.line
	return answer.text


def snapshot(lab):
	return lab.state_dir() / "table.snapshot"


def hows(daemon, n):
	return [r["how"] for r in daemon.records(n)]


# over restarts


@pytest.mark.threads
def test_a_restart_forgets_nobody(lab):
	gateways = lab.terse(3)
	daemon = begin(lab, gateways, globals={"workers": 4})
	before = places(daemon, keys(2000))
	assert set(Counter(before.values())) == {"gw1", "gw2", "gw3"}
	daemon.stop()
	daemon = begin(lab, gateways, name="again")
	assert moved(before, places(daemon, shuffled(before))) == {}


def test_the_snapshot_is_its_owners_and_tells_no_key(lab):
	daemon = begin(lab, lab.terse(1))
	visit(lab, daemon, "a-token-that-is-secret")
	daemon.stop()
	assert stat.S_IMODE(os.stat(snapshot(lab)).st_mode) == 0o600
	assert b"a-token-that-is-secret" not in snapshot(lab).read_bytes()
	assert b"gw1" not in snapshot(lab).read_bytes()


def written(lab, times):
	"""A condition: the snapshot has been written so often from now on."""
	seen = set()

	def is_written():
		if snapshot(lab).exists():
			seen.add(os.stat(snapshot(lab)).st_ino)
		return len(seen) > times
	is_written()
	return is_written


@pytest.mark.threads
def test_a_crash_loses_at_most_the_last_interval(lab):
	"""Killed at a moment that nobody has chosen, while others come. Two more snapshots: the second began after the bindings."""
	gateways = lab.terse(3)
	daemon = begin(lab, gateways, store={"snapshot": "1s"})
	visit(lab, daemon, "somebody")
	until(snapshot(lab).exists, "a first snapshot")
	before = places(daemon, keys(500))
	is_written, newcomers = written(lab, 2), iter(range(1 << 30))
	until(lambda: visit(lab, daemon, f"other-{next(newcomers)}") and is_written(), "two snapshots")
	daemon.expected_exit = -signal.SIGKILL
	daemon.signal(signal.SIGKILL)
	daemon.wait_exit()
	daemon = begin(lab, gateways, name="again")
	assert moved(before, places(daemon, shuffled(before))) == {}


def test_without_an_interval_it_is_written_at_exit_alone(lab):
	gateways = lab.terse(3)
	daemon = begin(lab, gateways, store={"snapshot": 0})
	before = places(daemon, keys(60))
	while_true(lambda: not snapshot(lab).exists(), "no snapshot while it runs", 0.5)
	daemon.stop()
	daemon = begin(lab, gateways, name="again", store={"snapshot": 0})
	assert moved(before, places(daemon, shuffled(before))) == {}


def test_a_first_start_without_a_snapshot_is_nothing_to_warn_of(lab):
	daemon = begin(lab, lab.terse(1))
	assert "snapshot" not in "\n".join(line for line in daemon.log.split("\n") if "warn" in line.lower())


# damage


def flipped(data, at):
	return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


DAMAGE = {
	"empty": lambda d: b"",
	"one byte": lambda d: d[:1],
	"cut in half": lambda d: d[: len(d) // 2],
	"the last byte is missing": lambda d: d[:-1],
	"a byte too many": lambda d: d + b"\0",
	"another kind of file": lambda d: b"SQLite format 3\0" + d[16:],
	"a bit in the midst": lambda d: flipped(d, len(d) // 2),
	"a bit of the checksum": lambda d: flipped(d, -1 % len(d)),
	"zeros": lambda d: bytes(len(d)),
	"twice": lambda d: d + d,
	"not ours at all": lambda d: os.urandom(100_000),
}


def warnings_of(daemon):
	"""Lines about the snapshot that an operator would look at."""
	return [line for line in daemon.log.split("\n") if "table.snapshot" in line and "warn" in line.lower()]


def is_set_aside(lab):
	return (lab.state_dir() / "table.snapshot.damaged").exists()


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_snapshot_is_set_aside_and_costs_nothing_else(lab, what):
	"""Keys are forgotten, cookies are not; the damaged file is kept, and the next one is whole."""
	gateways = lab.terse(3)
	pool = {**BY_KEY, "affinity": "header:X-Key, cookie"}
	daemon = begin(lab, gateways, pool)
	known = [lab.get(daemon, "/", f"X-Key: {key}") for key in keys(9)]
	daemon.stop()
	good = snapshot(lab).read_bytes()
	bad = DAMAGE[what](good)
	snapshot(lab).write_bytes(bad)
	daemon = begin(lab, gateways, pool, name="damaged")
	assert len(warnings_of(daemon)) == 1, daemon.log
	assert (lab.state_dir() / "table.snapshot.damaged").read_bytes() == bad
	for answer in reversed(known):
		assert lab.get(daemon, cookie=str(answer.cookie())).body == answer.body
	before = {key: visit(lab, daemon, key) for key in keys(9)}
	daemon.stop()
	daemon = begin(lab, gateways, pool, name="healed")
	assert warnings_of(daemon) == []
	assert moved(before, {key: visit(lab, daemon, key) for key in shuffled(before)}) == {}


def test_a_snapshot_that_is_cut_anywhere_is_set_aside(lab):
	gateways = lab.terse(2)
	daemon = begin(lab, gateways)
	places(daemon, keys(12))
	daemon.stop()
	whole = snapshot(lab).read_bytes()
	for n in range(0, len(whole), 64):
		snapshot(lab).write_bytes(whole[:n])
		daemon = begin(lab, gateways, name=f"cut-at-{n}")
		assert len(warnings_of(daemon)) == 1, f"cut at {n}"
		assert visit(lab, daemon, "player-1") in ("gw1", "gw2")
		daemon.stop()


def test_a_copy_that_an_operator_has_made_stays(lab):
	gateways = lab.terse(1)
	begin(lab, gateways).stop()
	copy, unfinished = (lab.state_dir() / f"table.snapshot.{end}" for end in ("backup", "new-a1B2c3"))
	copy.write_bytes(snapshot(lab).read_bytes())
	unfinished.write_bytes(b"stickyd")
	begin(lab, gateways, name="again")
	assert copy.exists() and not unfinished.exists()


def test_files_that_may_grow_no_further_cost_no_session(lab):
	"""As with ulimit -f: the logs and the snapshot can't be written, which the kernel tells by a signal too."""
	daemon = begin(lab, lab.terse(1), store={"snapshot": "1s"})
	resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (64, 64))
	assert visit(lab, daemon, "alice") == "gw1"
	while_true(lambda: daemon.process.poll() is None, "it to go on", 1.5)
	assert visit(lab, daemon, "alice") == "gw1"
	daemon.stop()


def test_a_half_written_snapshot_beside_the_good_one_is_none(lab):
	"""As a crash in the midst of writing leaves it."""
	gateways = lab.terse(3)
	daemon = begin(lab, gateways)
	before = places(daemon, keys(30))
	daemon.stop()
	for name in ("table.snapshot.new", "table.snapshot.tmp", "table.snapshot~"):
		(lab.state_dir() / name).write_bytes(snapshot(lab).read_bytes()[:50])
	daemon = begin(lab, gateways, name="again")
	assert warnings_of(daemon) == []
	assert moved(before, places(daemon, shuffled(before))) == {}


# room and time


def test_the_least_recently_used_key_goes_first(lab):
	"""Ten have room: of a to j, a is in use; then k comes, and it is b who goes."""
	daemon = begin(lab, lab.terse(2), store={"max_keys": 10}, globals={"workers": 1})
	for key in "abcdefghij" + "a" + "k" + "acdefghijk" + "b":
		visit(lab, daemon, key)
	seen = hows(daemon, 23)
	assert seen[:10] == ["new"] * 10
	assert seen[10:12] == ["header:X-Key", "new"]
	assert seen[12:22] == ["header:X-Key"] * 10, "all but b are there"
	assert seen[22] == "new"


def test_a_table_that_overflows_goes_on(lab):
	"""A thousand keys through a table for a hundred: each is served, and the last ones are known."""
	gateways = lab.terse(3)
	daemon = begin(lab, gateways, store={"max_keys": 100}, log={"access": "off"}, admin=LISTEN)
	places(daemon, keys(1000))
	counts = metrics(daemon)
	assert counts["stickyd_table_keys"] <= 100 and counts["stickyd_table_keys"] + counts["stickyd_table_evictions_total"] == 1000
	last = places(daemon, keys(50, "last"))
	assert moved(last, places(daemon, shuffled(last))) == {}
	daemon.stop()
	daemon = begin(lab, gateways, name="again", store={"max_keys": 100})
	assert moved(last, places(daemon, shuffled(last))) == {}


def test_a_smaller_table_keeps_the_latest(lab):
	"""Of those before and after a turn of the clock's second, by which the order of use is kept over a restart."""
	gateways = lab.terse(3)
	daemon = begin(lab, gateways, globals={"workers": 1})
	places(daemon, keys(20, "early"))
	early = int(time.time())
	until(lambda: time.time() >= early + 2, "the clock to go on")
	before = places(daemon, keys(20, "late"))
	daemon.stop()
	daemon = begin(lab, gateways, store={"max_keys": 20}, globals={"workers": 1}, name="smaller")
	assert moved(before, places(daemon, shuffled(before))) == {}
	assert hows(daemon, 20) == ["header:X-Key"] * 20


def test_a_key_in_use_lives_on_and_one_that_is_not_is_forgotten(lab):
	daemon = begin(lab, lab.terse(3), store={"ttl": "2s"}, globals={"workers": 1})
	visit(lab, daemon, "idle")
	home = visit(lab, daemon, "busy")
	while_true(lambda: visit(lab, daemon, "busy") == home, "it stays", 6)
	visit(lab, daemon, "idle")
	seen = until(lambda: [r["how"] for r in daemon.access()][-1:] == ["new"] and hows(daemon, 3), "the last one's record")
	assert Counter(seen) == {"new": 3, "header:X-Key": len(seen) - 3}


# changed configurations


def test_a_reordered_and_changed_configuration_keeps_what_makes_sense(lab):
	"""gw1 has another place in the file, gw2 another address, gw3 another weight; gw4's address is gw5 now."""
	gw1, gw2, gw3, gw4 = gateways = lab.terse(4)
	daemon = begin(lab, gateways)
	before = places(daemon, keys(80))
	assert len(set(before.values())) == 4
	daemon.stop()
	gw2.kill()
	elsewhere = lab.terse(2)[1]
	lines = [f"gw5 {gw4.address}", f"{gw3.line} weight=7", elsewhere.line, gw1.line]
	daemon = begin(lab, pool={**BY_KEY, "gateway": lines, "cookie_name": "OTHER", "retries": 1}, name="changed")
	after = {key: visit(lab, daemon, key) for key in shuffled(before)}
	assert {was for was, _ in moved(before, after).values()} == {"gw4"}
	assert Counter(hows(daemon, 80))["reassigned"] == Counter(before.values())["gw4"]


def test_who_belonged_to_a_gateway_that_is_gone_is_reassigned_once(lab):
	gateways = lab.terse(3)
	daemon = begin(lab, gateways)
	before = places(daemon, keys(30))
	daemon.stop()
	daemon = begin(lab, gateways[:2], name="smaller", globals={"workers": 1})
	after = {key: visit(lab, daemon, key) for key in before}
	again = {key: visit(lab, daemon, key) for key in shuffled(before)}
	assert again == after
	assert {was for was, _ in moved(before, after).values()} == {"gw3"}
	records = daemon.records(60)
	assert Counter(r["how"] for r in records) == {"header:X-Key": 50, "reassigned": 10}
	assert {r["because"] for r in records if r["how"] == "reassigned"} == {"gone"}
	daemon.stop()
	daemon = begin(lab, gateways, name="as-before")
	assert {key: visit(lab, daemon, key) for key in shuffled(before)} == after, "who was reassigned stays"


def test_pools_do_not_share_their_keys(lab):
	"""And within one it makes no difference where a key is carried."""
	gateways = lab.terse(4)
	pool = {**BY_KEY, "affinity": "header:X-Key, query:key"}
	daemon = lab.start(gateways[:2], pool=pool, more={
		"pool other": {"gateway": [g.line for g in gateways[2:]], "check": "none", **pool},
		"route other": {"path": "/other/", "pool": "other"}})
	for key in keys(6):
		one, other = visit(lab, daemon, key), lab.get(daemon, "/other/", f"X-Key: {key}").text
		assert one in ("gw1", "gw2") and other in ("gw3", "gw4")
		assert lab.get(daemon, f"/?key={key}").text == one
		assert lab.get(daemon, f"/other/?key={key}").text == other
	assert Counter(hows(daemon, 24)) == {"new": 12, "query:key": 12}


# by hash


def by_hash(lab, gateways, asked, lines=None, name="stickyd"):
	"""Where a fresh stickyd sends these keys by hash."""
	pool = {**BY_HASH, "gateway": lines or [g.line for g in gateways]}
	daemon = begin(lab, pool=pool, name=name, log={"access": "off"}, globals={"state_dir": lab.state_dir(name)})
	seen = places(daemon, asked)
	daemon.stop()
	return seen


def test_a_gateway_more_moves_a_tenth_of_the_keys_and_only_to_itself(lab):
	gateways = lab.terse(11)
	asked = keys(5000)
	ten = by_hash(lab, gateways[:10], asked)
	eleven = by_hash(lab, gateways, asked, name="eleven")
	changes = moved(ten, eleven)
	assert {to for _, to in changes.values()} == {"gw11"}
	assert 0.08 <= len(changes) / len(asked) <= 0.10
	assert len({was for was, _ in changes.values()}) == 10, "from all of them"


def test_a_gateway_less_moves_its_own_keys_alone(lab):
	gateways = lab.terse(10)
	asked = keys(2000)
	ten = by_hash(lab, gateways, asked)
	nine = by_hash(lab, gateways[:4] + gateways[5:], asked, name="nine")
	assert {was for was, _ in moved(ten, nine).values()} == {"gw5"}
	assert len(moved(ten, nine)) == Counter(ten.values())["gw5"]
	assert len({to for _, to in moved(ten, nine).values()}) == 9, "to all of the others"


def test_a_hash_knows_no_order_and_no_process(lab):
	gateways = lab.terse(5)
	asked = keys(1000)
	one = by_hash(lab, gateways, asked)
	assert by_hash(lab, gateways[::-1], shuffled(asked), name="reversed") == one


def test_a_hash_spreads_by_weight(lab):
	gateways = lab.terse(4)
	lines = [f"{g.line} weight={w}" for g, w in zip(gateways, (1, 2, 5, 0))]
	seen = Counter(by_hash(lab, gateways, keys(4000), lines).values())
	assert set(seen) == {"gw1", "gw2", "gw3"}
	for name, share in {"gw1": 1 / 8, "gw2": 2 / 8, "gw3": 5 / 8}.items():
		assert abs(seen[name] / 4000 - share) < 0.03, name


def test_a_change_of_weight_moves_keys_to_or_from_that_gateway_alone(lab):
	gateways = lab.terse(4)
	asked = keys(2000)
	even = by_hash(lab, gateways, asked)
	heavier = by_hash(lab, gateways, asked, [gateways[0].line + " weight=2"] + [g.line for g in gateways[1:]], "heavier")
	assert {to for _, to in moved(even, heavier).values()} == {"gw1"}


def test_a_backup_is_nobodys_by_hash(lab):
	gateways = lab.terse(3)
	lines = [gateways[0].line, gateways[1].line, gateways[2].line + " backup"]
	assert set(by_hash(lab, gateways, keys(300), lines).values()) == {"gw1", "gw2"}


def test_a_hash_needs_no_room(lab):
	"""More keys than the table holds, and none of them moves."""
	daemon = begin(lab, lab.terse(5), BY_HASH, store={"max_keys": 10}, log={"access": "off"}, admin=LISTEN)
	before = places(daemon, keys(1000))
	assert metrics(daemon)["stickyd_table_keys"] == 0
	assert moved(before, places(daemon, shuffled(before))) == {}


def test_a_binding_wins_over_the_hash(lab):
	"""Bound while the pool remembered by table; by hash they stay, and newcomers go by hash."""
	gateways = lab.terse(5)
	asked, fresh = keys(200), keys(200, "fresh")
	hashed = by_hash(lab, gateways, asked + fresh, name="hashed")
	daemon = begin(lab, gateways)
	bound = places(daemon, asked)
	assert moved(bound, {key: hashed[key] for key in asked}), "the hash would have it otherwise"
	daemon.stop()
	daemon = begin(lab, gateways, BY_HASH, name="changed")
	assert places(daemon, shuffled(asked)) == bound
	assert places(daemon, fresh) == {key: hashed[key] for key in fresh}


def test_a_key_that_comes_with_a_cookie_stays_with_it_against_the_hash(lab):
	gateways = lab.terse(4)
	pool = {**BY_HASH, "affinity": "cookie, header:X-Key", "balance": "roundrobin"}
	daemon = begin(lab, gateways, pool)
	login = lab.get(daemon)
	hashed = by_hash(lab, gateways, keys(20), name="hashed")
	for key in keys(20):
		assert visit(lab, daemon, key, cookie=str(login.cookie())) == login.text
	assert set(hashed.values()) != {login.text}
	assert {visit(lab, daemon, key) for key in keys(20)} == {login.text}
	daemon.stop()
	daemon = begin(lab, gateways, pool, name="again")
	assert {visit(lab, daemon, key) for key in keys(20)} == {login.text}, "exceptions survive a restart"


def test_balance_by_hash_spreads_newcomers_by_their_key(lab):
	"""Alike on two proxies that know nothing of each other; remembered by table all the same."""
	gateways = lab.terse(4)
	pool = {"affinity": "header:X-Key", "balance": "hash"}
	one = begin(lab, gateways, pool, name="one", globals={"state_dir": lab.state_dir("one")})
	two = begin(lab, gateways[::-1], pool, name="two", globals={"state_dir": lab.state_dir("two")})
	seen = places(one, keys(200))
	assert len(set(seen.values())) == 4
	assert places(two, shuffled(seen)) == seen
	one.stop()
	one = begin(lab, gateways[:2], pool, name="smaller", globals={"state_dir": lab.state_dir("one")})
	after = places(one, keys(200))
	assert all(seen[key] in ("gw3", "gw4") for key in moved(seen, after))


def test_the_configuration_is_checked_without_touching_the_snapshot(lab):
	gateways = lab.terse(1)
	daemon = begin(lab, gateways)
	visit(lab, daemon, "a")
	daemon.stop()
	snapshot(lab).write_bytes(b"damaged")
	checked = run("-t", "-c", str(lab.directory / "stickyd.ini"))
	assert checked.returncode == 0, checked.stderr
	assert snapshot(lab).read_bytes() == b"damaged" and not is_set_aside(lab)
