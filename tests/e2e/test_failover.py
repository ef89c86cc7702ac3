# SPDX-License-Identifier: BSD-2-Clause
"""When a client's gateway can't take it: down, full, or failing at the handshake; who takes over, and who stays where."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.http import head
from harness.wait import until
from harness.wire import Broken
from harness.ws import TEXT, WsSide, accept_of, frame

BY_KEY = {"affinity": "header:X-Key", "balance": "roundrobin"}
CHECKED = {**BY_KEY, "check": "tcp", "check_interval": "50ms", "check_timeout": "2s", "check_rise": 1, "check_fall": 1}
HOLDS_ONE = "max_sessions=1"


def key(name):
	return f"X-Key: {name}"


def visit(lab, daemon, name):
	answer = lab.get(daemon, "/", key(name))
	assert answer.status == 200, (answer.line, answer.body)
	return answer.text


def home_of(lab, daemon, gateways, name="a"):
	"""The gateway that a newcomer is given."""
	text = visit(lab, daemon, name)
	return next(g for g in gateways if g.name == text)


def goes_down(daemon, gateway):
	gateway.kill()
	daemon.wait_log(rf"gateway {gateway.name} \S+ is down: .*")


def comes_up(daemon, gateway):
	gateway.start()
	daemon.wait_log(rf"gateway {gateway.name} \S+ is down: (?s:.*)gateway {gateway.name} \S+ is up: .*")


def is_refused(answer):
	"""With the time after which it may be worth another try."""
	assert answer.status == 503, (answer.line, answer.body)
	assert int(answer.get("retry-after")) > 0
	return True


def last_record(daemon, n):
	return daemon.records(n)[-1]


def lines(gateways, *options):
	return [f"{g.line} {o}".strip() for g, o in zip(gateways, options)]


# on_down


@pytest.mark.parametrize("assign", ["table", "hash"])
def test_reassign_another_takes_over_and_keeps_the_client(lab, assign):
	gateways = lab.terse(3)
	daemon = lab.start(gateways, pool={**CHECKED, "assign": assign}, globals={"workers": 1})
	home = home_of(lab, daemon, gateways)
	goes_down(daemon, home)
	now = visit(lab, daemon, "a")
	assert now != home.name and visit(lab, daemon, "a") == now
	comes_up(daemon, home)
	assert {visit(lab, daemon, "a") for _ in range(4)} == {now}
	records = daemon.records(7)
	assert [r["how"] for r in records[1:]] == ["reassigned"] + ["header:X-Key"] * 5
	assert records[1]["because"] == "down"


@pytest.mark.parametrize("assign", ["table", "hash"])
def test_a_refused_connection_counts_as_down(lab, assign):
	"""Without checks too: found out by the request itself, which succeeds."""
	gateways = lab.terse(3)
	daemon = lab.start(gateways, pool={**BY_KEY, "assign": assign}, globals={"workers": 1})
	home = home_of(lab, daemon, gateways)
	home.kill()
	now = visit(lab, daemon, "a")
	assert now != home.name
	home.start()
	assert {visit(lab, daemon, "a") for _ in range(4)} == {now}
	record = daemon.records(6)[1]
	assert (record["how"], record["because"], record["retries"]) == ("reassigned", "failed", 1)


def test_all_keys_of_a_request_move_together(lab):
	gateways = lab.terse(3)
	daemon = lab.start(gateways, pool={**CHECKED, "affinity": "header:X-Key, query:key, cookie"})
	answer = lab.get(daemon, "/?key=q", key("h"))
	home = next(g for g in gateways if g.name == answer.text)
	goes_down(daemon, home)
	moved = lab.get(daemon, "/?key=q", key("h"), cookie=str(answer.cookie()))
	assert moved.text != home.name and moved.cookie()
	comes_up(daemon, home)
	assert lab.get(daemon, "/?key=q").text == moved.text
	assert visit(lab, daemon, "h") == moved.text
	assert lab.get(daemon, cookie=str(moved.cookie())).text == moved.text


def test_an_error_for_the_client_does_not_cost_it_its_place(lab):
	"""No gateway could answer: when they return, it is where it was."""
	gateways = lab.terse(2)
	daemon = lab.start(gateways, pool=BY_KEY)
	homes = {name: home_of(lab, daemon, gateways, name).name for name in "abcd"}
	for g in gateways:
		g.kill()
	for name in homes:
		assert lab.get(daemon, "/", key(name)).status in (502, 503)
	for g in gateways:
		g.start()
	assert {name: visit(lab, daemon, name) for name in homes} == homes


def test_reject_keeps_the_client_waiting_for_its_own(lab):
	gateways = lab.terse(2)
	daemon = lab.start(gateways, pool={**CHECKED, "on_down": "reject"}, globals={"workers": 1})
	home = home_of(lab, daemon, gateways)
	goes_down(daemon, home)
	for _ in range(2):
		assert is_refused(lab.get(daemon, "/", key("a")))
	record = last_record(daemon, 3)
	assert (record["how"], record["because"]) == ("rejected", "down")
	assert visit(lab, daemon, "newcomer") != home.name, "others are served"
	comes_up(daemon, home)
	assert visit(lab, daemon, "a") == home.name


def test_reject_holds_for_a_refused_connection_too(lab):
	gateways = lab.terse(2)
	daemon = lab.start(gateways, pool={**BY_KEY, "on_down": "reject"}, globals={"workers": 1})
	home = home_of(lab, daemon, gateways)
	home.kill()
	assert is_refused(lab.get(daemon, "/", key("a")))
	assert last_record(daemon, 2)["how"] == "rejected"
	home.start()
	assert visit(lab, daemon, "a") == home.name


def test_reject_is_not_for_newcomers(lab):
	"""They belong nowhere yet: a refused connection is none of their affair."""
	gateways = lab.terse(2)
	daemon = lab.start(gateways, pool={**BY_KEY, "on_down": "reject"})
	gateways[0].kill()
	assert {visit(lab, daemon, f"new-{i}") for i in range(6)} == {"gw2"}


def test_reject_is_not_for_whose_gateway_is_gone(lab):
	gateways = lab.terse(2)
	daemon = lab.start(gateways, pool={**BY_KEY, "on_down": "reject"})
	homes = {name: visit(lab, daemon, name) for name in "abcd"}
	daemon.stop()
	daemon = lab.start(gateways[:1], pool={**BY_KEY, "on_down": "reject"}, name="smaller")
	assert {visit(lab, daemon, name) for name in homes} == {"gw1"}


def test_reject_for_sessions(lab):
	gateways = [lab.ws(f"gw{i + 1}") for i in range(2)]
	daemon = lab.start(gateways, pool={**CHECKED, "on_down": "reject"})
	name = lab.session(daemon, "/", key("a")).echo("who")
	home = next(g for g in gateways if g.name == name)
	goes_down(daemon, home)
	c = lab.ws_client(daemon)
	c.ask("/", key("a"))
	assert is_refused(c.response())
	comes_up(daemon, home)
	assert lab.session(daemon, "/", key("a")).echo("who") == home.name


def test_wait_the_gateway_comes_back_in_time(lab):
	gateways = lab.terse(2)
	daemon = lab.start(gateways, pool={**CHECKED, "on_down": "wait:20s"}, globals={"workers": 1})
	home = home_of(lab, daemon, gateways)
	goes_down(daemon, home)
	waiting = [lab.client(daemon) for _ in range(3)]
	for c in waiting:
		c.request("/", key("a"))
	assert all(c.is_silent(0.1) for c in waiting)
	assert visit(lab, daemon, "newcomer") != home.name, "nobody else waits"
	comes_up(daemon, home)
	for c in waiting:
		assert c.response().text == home.name
	records = daemon.records(5)
	assert Counter(r["how"] for r in records) == {"new": 2, "header:X-Key": 3}


def test_wait_for_a_gateway_that_refuses_connections(lab):
	"""There is nobody who checks it: it is tried again while there is time."""
	gateways = lab.terse(2)
	daemon = lab.start(gateways, pool={**BY_KEY, "on_down": "wait:20s"})
	home = home_of(lab, daemon, gateways)
	home.kill()
	c = lab.client(daemon)
	c.request("/", key("a"))
	assert c.is_silent(0.3)
	home.start()
	assert c.response().text == home.name


def test_wait_is_over_and_another_takes_it(lab):
	gateways = lab.terse(2)
	daemon = lab.start(gateways, pool={**CHECKED, "on_down": "wait:700ms"}, globals={"workers": 1})
	home = home_of(lab, daemon, gateways)
	goes_down(daemon, home)
	began = time.monotonic()
	now = visit(lab, daemon, "a")
	assert now != home.name and time.monotonic() - began >= 0.7
	record = last_record(daemon, 2)
	assert (record["how"], record["because"]) == ("reassigned", "down")
	comes_up(daemon, home)
	assert visit(lab, daemon, "a") == now, "it stays"


def test_wait_is_over_and_nobody_is_there(lab):
	gateways = lab.terse(1)
	daemon = lab.start(gateways, pool={**CHECKED, "on_down": "wait:500ms"})
	home = home_of(lab, daemon, gateways)
	home.kill()
	began = time.monotonic()
	answer = lab.get(daemon, "/", key("a"))
	assert is_refused(answer) and time.monotonic() - began >= 0.499		# times are whole milliseconds
	home.start()
	until(lambda: lab.get(daemon, "/", key("a")).status == 200, "its gateway's return")


def test_a_client_that_leaves_while_it_waits_costs_nothing(lab):
	gateways = lab.terse(2)
	daemon = lab.start(gateways, pool={**CHECKED, "on_down": "wait:30s"})
	home = home_of(lab, daemon, gateways)
	goes_down(daemon, home)
	for _ in range(2):
		c = lab.client(daemon)
		c.request("/", key("a"))
		assert c.is_silent(0.1)
		c.reset()
	gone = [r for r in daemon.records(3) if r["status"] != 200]
	assert [r["by"] for r in gone] == ["client"] * 2
	comes_up(daemon, home)
	assert visit(lab, daemon, "a") == home.name


def test_the_end_does_not_wait_for_who_waits(lab):
	gateways = lab.terse(2)
	daemon = lab.start(gateways, pool={**CHECKED, "on_down": "wait:60s"}, globals={"shutdown_grace": "1s"})
	home = home_of(lab, daemon, gateways)
	goes_down(daemon, home)
	c = lab.client(daemon)
	c.request("/", key("a"))
	assert c.is_silent(0.2)
	daemon.signal(15)
	assert daemon.wait_exit(10) == 0


# full gateways


def full_home(lab, gateways, **pool):
	"""(daemon, its full gateway, a session that fills it). Two clients belong there: `holder`, whose session it is, and `a`."""
	daemon = lab.start(pool={**BY_KEY, "gateway": lines(gateways, *[HOLDS_ONE] * len(gateways)), **pool}, globals={"workers": 4})
	session = lab.session(daemon, "/", "X-Key: a")
	home = session.echo("who")
	session.finish()
	daemon.records(1)
	holder = lab.session(daemon, "/", "X-Key: a")
	assert holder.echo("who") == home
	return daemon, home, holder


def ask_session(lab, daemon, name):
	c = lab.ws_client(daemon)
	c.ask("/", key(name))
	return c


def is_opened(c):
	"""Waits for its answer."""
	answer = c.response()
	assert answer.status == 101, (answer.line, answer.body)
	return c


def test_on_full_reassign(lab):
	daemon, home, holder = full_home(lab, [lab.ws(f"gw{i}") for i in range(2)], on_full="reassign")
	second = lab.session(daemon, "/", key("a"))
	now = second.echo("who")
	assert now != home
	holder.finish()
	second.finish()
	daemon.records(3)
	assert lab.session(daemon, "/", key("a")).echo("who") == now, "who was reassigned stays"
	record = next(r for r in daemon.access() if r["how"] == "reassigned")
	assert record["because"] == "full"


def test_on_full_reject(lab):
	daemon, home, holder = full_home(lab, [lab.ws(f"gw{i}") for i in range(2)], on_full="reject")
	assert is_refused(ask_session(lab, daemon, "a").response())
	assert lab.session(daemon, "/", key("newcomer")).echo("who") != home, "newcomers avoid it"
	record = next(r for r in daemon.records(2) if r["how"] == "rejected")
	assert record["because"] == "full"
	holder.finish()
	until(lambda: len(daemon.access()) >= 3, "the place to be free")
	assert lab.session(daemon, "/", key("a")).echo("who") == home


@pytest.mark.threads
def test_on_full_wait_a_place_becomes_free_in_time(lab):
	"""The places of one gateway go from hand to hand, over all workers, first come, first served."""
	daemon, home, holder = full_home(lab, [lab.ws(f"gw{i}") for i in range(2)], on_full="wait:20s")
	waiting = []
	for _ in range(4):
		waiting.append(ask_session(lab, daemon, "a"))
		assert waiting[-1].is_silent(0.1)
	open_ones = [holder]
	while waiting:
		open_ones.pop().finish()
		def answered():
			return next((c for c in waiting if not c.is_silent(0.02)), None)
		c = until(answered, "one of them to be served")
		waiting.remove(c)
		assert is_opened(c).echo("who") == home
		open_ones.append(c)


def test_those_who_wait_on_one_worker_are_served_in_turn(lab):
	gateways = [lab.ws("gw1")]
	daemon = lab.start(pool={**BY_KEY, "gateway": lines(gateways, HOLDS_ONE), "on_full": "wait:20s"}, globals={"workers": 1})
	current = lab.session(daemon, "/", key("a"))
	waiting = []
	for i in range(5):
		waiting.append(ask_session(lab, daemon, f"k{i}"))
		assert waiting[-1].is_silent(0.1)
	for c in waiting:
		current.finish()
		assert is_opened(c).echo("who") == "gw1"
		current = c


def test_on_full_wait_is_over(lab):
	daemon, home, holder = full_home(lab, [lab.ws(f"gw{i}") for i in range(2)], on_full="wait:500ms")
	began = time.monotonic()
	now = lab.session(daemon, "/", key("a")).echo("who")
	assert now != home and time.monotonic() - began >= 0.5
	began = time.monotonic()
	assert is_refused(ask_session(lab, daemon, "newcomer").response()), "now both are full"
	assert time.monotonic() - began >= 0.5


def page_or_session(side):
	"""A gateway's opening that takes plain requests too, each on a connection of its own."""
	request = side.read_head()
	if not request.has("upgrade"):
		side.answer("200 OK", "Connection: close", body=b"plain")
		raise Broken("no session")
	side.send(head("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
		f"Sec-WebSocket-Accept: {accept_of(request.get('sec-websocket-key'))}"))


def test_plain_requests_of_bound_clients_need_no_place(lab):
	gateways = [lab.ws(f"gw{i}", opening=page_or_session) for i in range(2)]
	daemon = lab.start(pool={**BY_KEY, "gateway": lines(gateways, HOLDS_ONE, HOLDS_ONE), "on_full": "reject"})
	session = lab.session(daemon, "/", key("a"))
	home = session.echo("who")
	for _ in range(3):
		assert lab.get(daemon, "/", key("a")).body == b"plain"
	assert {r["gateway"] for r in daemon.records(3)} == {home}


def test_newcomers_avoid_who_is_full(lab):
	gateways = [lab.ws(f"gw{i + 1}") for i in range(2)]
	daemon = lab.start(pool={**BY_KEY, "gateway": lines(gateways, "max_sessions=2 weight=100", "max_sessions=10"),
		"on_full": "reject"})
	seen = Counter(lab.session(daemon, "/", key(i)).echo("who") for i in range(12))
	assert seen == {"gw1": 2, "gw2": 10}
	assert is_refused(ask_session(lab, daemon, "one too many").response())


@pytest.mark.threads
def test_max_sessions_is_held_exactly(lab):
	"""200 at once, over four workers, on 40 places: never above, and none left empty."""
	live, peaks, lock = Counter(), Counter(), threading.Lock()

	def serve(side):
		name = by_listener[side.sock.getsockname()[1]]
		with lock:
			live[name] += 1
			peaks[name] = max(peaks[name], live[name])
		try:
			gateways[0].echo(side)
		finally:
			with lock:
				live[name] -= 1
	gateways = [lab.ws(f"gw{i}", serve) for i in range(2)]
	by_listener = {g.port: g.name for g in gateways}
	daemon = lab.start(pool={**BY_KEY, "gateway": lines(gateways, "max_sessions=20", "max_sessions=20"), "on_full": "reject"},
		globals={"workers": 4})
	begin = threading.Barrier(200)

	def come(i):
		c = lab.ws_client(daemon)
		begin.wait(20)
		c.ask("/", key(i))
		return c, c.response()
	with ThreadPoolExecutor(200) as pool:
		answers = list(pool.map(come, range(200)))
	assert Counter(answer.status for _, answer in answers) == {101: 40, 503: 160}
	assert peaks == {"gw0": 20, "gw1": 20}
	for c, answer in answers:
		if answer.status == 101:
			c.finish()
	until(lambda: sum(r["status"] == 101 for r in daemon.access()) == 40, "all places to be free")
	again = [lab.session(daemon, "/", key(f"again-{i}")) for i in range(40)]
	assert is_refused(ask_session(lab, daemon, "one too many").response())
	assert peaks == {"gw0": 20, "gw1": 20} and len(again) == 40


@pytest.mark.threads
def test_places_go_from_hand_to_hand_and_never_beyond(lab):
	"""Fifty clients, four times each, wait for their turn at ten places. The gateway lets them go by tens alone, so that each time all
	ten places must be taken."""
	live, peak, lock, tens = [0], [0], threading.Lock(), threading.Barrier(10)

	def serve(side):
		with lock:
			live[0] += 1
			peak[0] = max(peak[0], live[0])
		assert side.read_text() == "work"
		tens.wait(20)
		with lock:
			live[0] -= 1
		side.send_text("done")
		side.read_frame()
		side.send_close()
	gateway = lab.ws("gw1", serve)
	daemon = lab.start(pool={**BY_KEY, "gateway": lines([gateway], "max_sessions=10"), "on_full": "wait:60s"},
		globals={"workers": 4}, log={"access": "off"})

	def come(i):
		c = is_opened(ask_session(lab, daemon, f"k{i % 50}"))
		c.send_text("work")
		assert c.read_text() == "done"
		c.finish()
	with ThreadPoolExecutor(50) as pool:
		list(pool.map(come, range(200)))
	assert peak[0] == 10


def test_a_place_is_given_back_however_a_session_ends(lab):
	"""Reset by either side, refused by the gateway, left in the midst of the handshake."""
	stage = {"how": "echo"}

	def opening(side):
		if stage["how"] == "refuse":
			side.read_head()
			side.answer("403 Forbidden", "Connection: close")
			raise Broken("refused")
		if stage["how"] == "hang":
			side.read_head()
			hung.set()
			side.read_to_end()
			raise Broken("left")
		WsSide.accept(side)
	hung = threading.Event()
	gateway = lab.ws("gw1", opening=opening)
	daemon = lab.start(pool={**BY_KEY, "gateway": lines([gateway], HOLDS_ONE), "on_full": "wait:10s", "retries": 0})
	lab.session(daemon, "/", key("a")).reset()
	assert lab.session(daemon, "/", key("b")).echo("who") == "gw1"
	gateway.sides[-1].reset()
	stage["how"] = "refuse"
	c = ask_session(lab, daemon, "c")
	assert c.response().status == 403
	stage["how"] = "hang"
	c = ask_session(lab, daemon, "d")
	assert hung.wait(20)
	c.reset()
	stage["how"] = "echo"
	assert lab.session(daemon, "/", key("e")).echo("who") == "gw1"


# backups and weight


def test_backups_take_newcomers_only_when_nobody_else_can(lab):
	first, spare = gateways = lab.terse(2)
	daemon = lab.start(pool={**CHECKED, "gateway": lines(gateways, "", "backup")})
	assert {visit(lab, daemon, f"a{i}") for i in range(6)} == {"gw1"}
	goes_down(daemon, first)
	assert {visit(lab, daemon, f"b{i}") for i in range(4)} == {"gw2"}
	assert visit(lab, daemon, "a0") == "gw2", "reassigned"
	comes_up(daemon, first)
	assert {visit(lab, daemon, f"c{i}") for i in range(4)} == {"gw1"}
	assert {visit(lab, daemon, name) for name in ("b0", "b1", "a0")} == {"gw2"}, "who is at the backup stays"
	assert visit(lab, daemon, "a1") == "gw1", "who was not there meanwhile has not moved"


def test_backups_take_over_after_a_refused_connection(lab):
	first, spare = gateways = lab.terse(2)
	daemon = lab.start(pool={**BY_KEY, "gateway": lines(gateways, "", "backup")})
	first.kill()
	assert visit(lab, daemon, "a") == "gw2"


def test_backups_take_sessions_when_all_others_are_full(lab):
	gateways = [lab.ws(f"gw{i + 1}") for i in range(2)]
	daemon = lab.start(pool={**BY_KEY, "gateway": lines(gateways, HOLDS_ONE, "backup"), "on_full": "reassign"})
	assert [lab.session(daemon, "/", key(i)).echo("who") for i in range(3)] == ["gw1", "gw2", "gw2"]


def test_weight_0_keeps_the_bound_and_takes_no_newcomers(lab):
	gateways = lab.terse(2)
	daemon = lab.start(gateways, pool=BY_KEY)
	homes = {name: visit(lab, daemon, name) for name in "abcdef"}
	assert set(homes.values()) == {"gw1", "gw2"}
	daemon.stop()
	daemon = lab.start(pool={**BY_KEY, "gateway": lines(gateways, "weight=0", "")}, name="leaving")
	assert {name: visit(lab, daemon, name) for name in homes} == homes
	assert {visit(lab, daemon, f"new-{i}") for i in range(6)} == {"gw2"}


def test_weight_0_is_not_who_takes_over(lab):
	gateways = lab.terse(2)
	daemon = lab.start(pool={**BY_KEY, "gateway": lines(gateways, "weight=0", "")})
	assert visit(lab, daemon, "a") == "gw2"
	gateways[1].kill()
	assert lab.get(daemon, "/", key("a")).status in (502, 503)
	assert gateways[0].received() == b""


# handshakes that fail


def failing(lab, name, answer):
	"""A gateway that answers a handshake so, or breaks off before it does."""
	def handler(side):
		side.read_request()
		if answer:
			side.answer(answer, "Connection: close", f"X-From: {name}", body=f"{name} can't".encode())
	return lab.scripted(handler, name)


@pytest.mark.parametrize("answer", ["500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", None])
def test_a_failed_handshake_goes_to_the_next_gateway(lab, answer):
	gateways = [failing(lab, "bad1", answer), failing(lab, "bad2", answer), lab.ws("good")]
	daemon = lab.start(gateways, pool=BY_KEY)
	for i in range(6):
		c = lab.session(daemon, "/", key(i))
		assert c.echo("who") == "good" and c.echo("hello") == "hello"
		c.finish()
	records = daemon.records(6)
	assert {r["gateway"] for r in records} == {"good"}
	assert max(r["retries"] for r in records) > 0


def test_whom_a_failed_handshake_moved_stays(lab):
	"""Its gateway had taken it before, then fails, then is well again."""
	is_well = threading.Event()
	is_well.set()

	def opening(side):
		if is_well.is_set():
			return WsSide.accept(side)
		side.read_head()
		side.answer("503 Service Unavailable", "Connection: close")
		raise Broken("no session")
	gateways = [lab.ws(f"gw{i}", opening=opening) for i in range(2)]
	spare = lab.ws("spare")
	daemon = lab.start(pool={"affinity": "header:X-Key, cookie", "gateway": lines([*gateways, spare], "", "", "backup")})
	first = lab.session(daemon, "/", key("a"))
	assert first.echo("who") in ("gw0", "gw1")
	is_well.clear()
	moved = lab.session(daemon, "/", key("a"), cookie=str(first.opening.cookie()))
	assert moved.echo("who") == "spare" and moved.opening.cookie()
	is_well.set()
	assert lab.session(daemon, "/", key("a")).echo("who") == "spare"
	assert lab.session(daemon, cookie=str(moved.opening.cookie())).echo("who") == "spare"


def test_all_fail_and_the_last_ones_own_words_reach_the_client(lab):
	gateways = [failing(lab, f"gw{i}", f"50{i} Failure {i}") for i in (0, 3, 4)]
	daemon = lab.start(gateways, pool={**BY_KEY, "retries": 2})
	answer = ask_session(lab, daemon, "a").response()
	last = answer.get("x-from")
	assert (answer.status, answer.body) == (500 + int(last[2:]), f"{last} can't".encode())
	assert sorted(len(g.sides) for g in gateways) == [1, 1, 1], "each was tried once"
	assert daemon.records(1)[0]["retries"] == 2


def test_all_break_off(lab):
	gateways = [failing(lab, f"gw{i}", None) for i in range(3)]
	daemon = lab.start(gateways, pool={**BY_KEY, "retries": 2})
	answer = ask_session(lab, daemon, "a").response()
	assert answer.status == 503 and answer.has("retry-after")
	assert sorted(len(g.sides) for g in gateways) == [1, 1, 1]


def test_retries_bound_the_handshakes_too(lab):
	gateways = [failing(lab, f"gw{i}", "503 Service Unavailable") for i in range(4)]
	daemon = lab.start(gateways, pool={**BY_KEY, "retries": 1})
	assert ask_session(lab, daemon, "a").response().status == 503
	assert sum(len(g.sides) for g in gateways) == 2


def test_without_retries_the_first_answer_is_the_last(lab):
	gateways = [failing(lab, "bad", "503 Service Unavailable"), lab.ws("good")]
	daemon = lab.start(gateways, pool={**BY_KEY, "retries": 0})
	answers = [ask_session(lab, daemon, i).response() for i in range(2)]
	assert sorted(a.status for a in answers) == [101, 503]
	assert next(a for a in answers if a.status == 503).body == b"bad can't"


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "426 Upgrade Required"])
def test_a_gateways_no_is_an_answer(lab, status):
	"""4xx is meant for the client: nobody else is asked."""
	gateways = [failing(lab, "bad", status), lab.ws("good")]
	daemon = lab.start(gateways, pool=BY_KEY)
	answers = [ask_session(lab, daemon, i).response() for i in range(2)]
	assert sorted(a.status for a in answers) == [101, int(status[:3])]


def test_a_plain_requests_5xx_is_an_answer(lab):
	gateways = [failing(lab, "bad", "503 Service Unavailable"), lab.terse(1)[0]]
	daemon = lab.start(gateways, pool=BY_KEY)
	answers = [lab.get(daemon, "/", key(i)) for i in range(2)]
	assert sorted(a.status for a in answers) == [200, 503]
	assert sum(len(g.sides) for g in gateways) == 2


def test_a_gateway_that_says_101_and_means_no(lab):
	"""A wrong Sec-WebSocket-Accept ends that handshake: the client may not be upgraded to it."""
	gateways = [lab.ws("bad", opening=lambda side: WsSide.accept(side, accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA="))]
	daemon = lab.start(gateways, pool=BY_KEY)
	assert ask_session(lab, daemon, "a").response().status == 502


def test_what_the_client_sent_behind_its_handshake_reaches_the_gateway_that_took_it(lab):
	gateways = [failing(lab, "bad1", "503 Service Unavailable"), failing(lab, "bad2", None), lab.ws("good")]
	daemon = lab.start(gateways, pool=BY_KEY)
	for i in range(3):
		c = lab.ws_client(daemon)
		c.ask("/", key(i), behind=frame(TEXT, b"who", mask=b"abcd"))
		assert is_opened(c).read_text() == "good"


def test_failed_handshakes_do_not_hold_places(lab):
	gateways = [failing(lab, "bad", "503 Service Unavailable"), lab.ws("good")]
	daemon = lab.start(pool={**BY_KEY, "gateway": lines(gateways, HOLDS_ONE, "max_sessions=20"), "on_full": "reject"})
	for i in range(10):
		assert lab.session(daemon, "/", key(i)).echo("who") == "good"
	tried = len(gateways[0].sides)
	assert tried > 1, "after a failure it is tried again"
