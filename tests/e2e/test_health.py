# SPDX-License-Identifier: BSD-2-Clause
"""Checks: when a gateway counts as down and as up again, and who is sent to it meanwhile."""

import json
import threading
import time
from collections import Counter

import pytest

from harness.wait import until
from harness.ws import accept_of

FAST = {"check_interval": "50ms", "check_timeout": "500ms", "check_rise": 2, "check_fall": 3, "balance": "roundrobin"}


def seen(lab, daemon, n=6):
	return Counter(json.loads(lab.get(daemon).body)["gateway"] for _ in range(n))


def is_down(daemon, name):
	return daemon.wait_log(rf"gateway {name} \S+ is down: .*")


def is_up_again(daemon, name):
	return daemon.wait_log(rf"gateway {name} \S+ is down: (?s:.*)gateway {name} \S+ is up: .*")


class Health:
	"""A health page whose status a test sets."""

	def __init__(self, status="200 OK"):
		self.status = status
		self.asked = []

	def __call__(self, side, request):
		self.asked.append(request)
		if self.status is None:
			return
		if self.status.startswith("204"):
			side.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		else:
			side.answer(self.status, "Connection: close", body=b"well or not")


def test_down_by_tcp_and_up_again(lab):
	gateways = lab.https(3)
	daemon = lab.start(gateways, pool={**FAST, "check": "tcp"})
	assert seen(lab, daemon, 9) == {"gw1": 3, "gw2": 3, "gw3": 3}
	gateways[1].kill()
	reason = is_down(daemon, "gw2").group()
	assert "refused" in reason.lower()
	assert seen(lab, daemon, 8) == {"gw1": 4, "gw3": 4}
	assert max(r["retries"] for r in daemon.records(17)[9:]) == 0, "nobody was sent there in vain"
	gateways[1].start()
	is_up_again(daemon, "gw2")
	assert set(seen(lab, daemon, 9)) == {"gw1", "gw2", "gw3"}


@pytest.mark.parametrize("fall, rise", [(3, 2), (1, 1), (6, 5)])
def test_down_by_http_after_so_many_bad_answers(lab, fall, rise):
	health = Health()
	gateways = [lab.http("gw1"), lab.http("gw2", pages={"/alive": health})]
	daemon = lab.start(gateways, pool={**FAST, "check": "http", "check_path": "/alive", "check_interval": "100ms",
		"check_fall": fall, "check_rise": rise})
	gateways[0].pages["/alive"] = Health()
	until(lambda: len(health.asked) >= 3, "checks")
	assert health.asked[0].method == "GET" and health.asked[0].get("host")
	health.asked.clear()
	health.status = "503 Service Unavailable"
	reason = is_down(daemon, "gw2").group()
	assert "503" in reason
	assert fall <= len(health.asked) <= fall + 2, "the last ones may be under way already"
	assert set(seen(lab, daemon)) == {"gw1"}
	health.asked.clear()
	health.status = "200 OK"
	is_up_again(daemon, "gw2")
	assert rise <= len(health.asked) <= rise + 2
	assert set(seen(lab, daemon)) == {"gw1", "gw2"}


@pytest.mark.parametrize("expect, status, good", [
	("200-399", "204 No Content", True), ("200-399", "302 Found", True), ("200-399", "404 Not Found", False),
	("404", "404 Not Found", True), ("404", "200 OK", False),
])
def test_what_is_expected_of_a_check(lab, expect, status, good):
	health = Health(status)
	gateways = [lab.http("gw1", pages={"/healthz": health})]
	daemon = lab.start(gateways, pool={**FAST, "check": "http", "check_expect": expect})
	until(lambda: len(health.asked) >= 4, "some checks")
	if good:
		assert lab.get(daemon).status == 200 and "is down" not in daemon.log
	else:
		is_down(daemon, "gw1")


@pytest.mark.parametrize("what", ["garbage", "half a head", "silence", "a byte now and then"])
def test_checks_that_are_not_answered_properly(lab, what):
	stop = threading.Event()

	def handler(side):
		request = side.read_head()
		if request.target != "/healthz":
			side.answer(body=b"x")
			return
		if what == "garbage":
			side.send(b"\xff\0\xff\0\r\n\r\n")
		elif what == "half a head":
			side.send(b"HTTP/1.1 200 O")
			return
		elif what == "a byte now and then":
			for byte in b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10000:
				side.send(bytes([byte]))
				if stop.wait(0.05):
					return
		side.read_to_end()
	daemon = lab.start([lab.scripted(handler)], pool={**FAST, "check": "http", "check_timeout": "300ms"})
	is_down(daemon, "gw1")
	stop.set()


def test_a_check_that_cannot_connect_in_time(lab):
	daemon = lab.start([lab.deaf("gw1"), lab.http("gw2")], pool={**FAST, "check": "tcp", "check_timeout": "100ms"})
	assert "100 ms" in is_down(daemon, "gw1").group()
	assert seen(lab, daemon, 4) == {"gw2": 4}


def test_newcomers_never_go_to_a_gateway_that_is_down(lab):
	"""It would accept, and its check page says no."""
	health = Health("500 Internal Server Error")
	gateways = [lab.http("gw1", pages={"/healthz": health}), lab.http("gw2", pages={"/healthz": Health()})]
	daemon = lab.start(gateways, pool={**FAST, "check": "http"})
	is_down(daemon, "gw1")
	assert seen(lab, daemon, 20) == {"gw2": 20}
	assert all(r.target == "/healthz" for r in gateways[0].requests)


def test_a_client_whose_gateway_is_down_is_reassigned_and_stays(lab):
	health = [Health(), Health()]
	gateways = [lab.http(f"gw{i}", pages={"/healthz": health[i]}) for i in range(2)]
	daemon = lab.start(gateways, pool={**FAST, "check": "http"})
	first = lab.get(daemon)
	home = json.loads(first.body)["gateway"]
	health[int(home[-1])].status = "503 Service Unavailable"
	is_down(daemon, home)
	moved = lab.get(daemon, cookie=str(first.cookie()))
	assert json.loads(moved.body)["gateway"] != home
	assert moved.cookie() and daemon.record(how="reassigned")
	health[int(home[-1])].status = "200 OK"
	is_up_again(daemon, home)
	again = lab.get(daemon, cookie=str(moved.cookie()))
	assert json.loads(again.body)["gateway"] == json.loads(moved.body)["gateway"]
	assert again.cookie() is None


def test_sessions_go_on_while_their_gateway_fails_its_checks(lab):
	"""A check that fails says that newcomers had better go elsewhere; who is there is served."""
	refusing = threading.Event()

	def opening(side):
		request = side.read_head()
		if not request.has("upgrade"):
			side.answer("503 No" if refusing.is_set() else "200 OK", "Connection: close")
			raise ConnectionError
		side.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
			accept_of(request.get("sec-websocket-key")).encode() + b"\r\n\r\n")
	daemon = lab.start([lab.ws(opening=opening)], pool={**FAST, "check": "http"})
	c = lab.session(daemon)
	refusing.set()
	is_down(daemon, "gw1")
	for _ in range(5):
		assert c.echo("x") == "x"


def test_no_gateway_at_all(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], pool={**FAST, "check": "tcp"})
	gateway.kill()
	is_down(daemon, "gw1")
	answer = lab.get(daemon)
	assert answer.status == 503
	assert int(answer.get("retry-after")) > 0
	record = daemon.records(1)[0]
	assert (record["why"], record["status"], record["gateway"]) == ("no-gateway", 503, None)
	gateway.start()
	is_up_again(daemon, "gw1")
	assert lab.get(daemon).status == 200


def test_a_gateway_that_is_away_at_the_start(lab):
	"""The first verdict needs one check alone."""
	daemon = lab.start([lab.refusing("gw1"), lab.http("gw2")], pool={**FAST, "check": "tcp", "check_interval": "1h"})
	is_down(daemon, "gw1")
	assert seen(lab, daemon, 4) == {"gw2": 4}
	assert max(r["retries"] for r in daemon.records(4)) == 0


def test_connects_that_fail_in_traffic_count_as_checks(lab):
	"""The check comes once an hour; traffic finds out."""
	gateways = lab.https(2)
	daemon = lab.start(gateways, pool={**FAST, "check": "tcp", "check_interval": "1h"})
	assert lab.get(daemon).status == 200
	gateways[0].kill()

	def found():
		assert lab.get(daemon).status == 200
		return "gw1" in daemon.log and "is down" in daemon.log
	until(found, "gw1 to be found down")


def test_without_checks_nobody_asks(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], pool={"check": "none"})
	assert lab.get(daemon).status == 200
	assert len(gateway.sides) == 1


def test_checks_leave_no_connections_behind(lab):
	gateways = lab.https(3)
	daemon = lab.start(gateways, pool={**FAST, "check": "tcp", "check_interval": "10ms"})
	until(lambda: all(len(g.sides) > 50 for g in gateways), "many checks")
	assert daemon.descriptors() < 60
	assert daemon.cpu_share(0.5) < 0.5


# ---- failures in traffic ----


class Faulty:
	"""A gateway whose health page is content, and which breaks off all else while `broken`."""

	def __init__(self, broken=True):
		self.broken = broken
		self.tried = 0

	def __call__(self, side):
		while True:
			request = side.read_head()
			if request.target == "/healthz":
				side.answer(body=b"well")
				continue
			self.tried += 1
			if self.broken:
				return
			side.answer(body=json.dumps({"gateway": "gw1"}).encode())


EJECTS = {**FAST, "check": "http", "eject_after": 3, "eject_time": "1h"}


def well():
	return {"/healthz": Health()}


def is_set_aside(lab, daemon, name="gw1"):
	"""By as many requests as it takes."""
	def found():
		lab.get(daemon)
		return f"gateway {name}" in daemon.log and "failures in a row: set aside" in daemon.log
	until(found, f"{name} to be set aside")
	return daemon.wait_log(rf"gateway {name} \S+ is down: 3 failures in a row: set aside for .*")


def test_failures_in_traffic_set_a_gateway_aside(lab):
	"""Its checks pass all the time."""
	faulty = Faulty()
	daemon = lab.start([lab.scripted(faulty), lab.http("gw2", pages=well())], pool=EJECTS)
	is_set_aside(lab, daemon)
	tried = faulty.tried
	assert 3 <= tried <= 5
	assert seen(lab, daemon, 20) == {"gw2": 20}
	assert faulty.tried == tried


def test_it_comes_back_when_its_time_is_over(lab):
	faulty = Faulty()
	daemon = lab.start([lab.scripted(faulty), lab.http("gw2", pages=well())], pool={**EJECTS, "eject_time": "500ms"})
	is_set_aside(lab, daemon)
	faulty.broken = False
	daemon.wait_log(r"gateway gw1 \S+ is up: its time aside is over")
	until(lambda: json.loads(lab.get(daemon).body)["gateway"] == "gw1", "a newcomer to get there")


def test_only_failures_in_a_row_count(lab):
	faulty = Faulty()
	daemon = lab.start([lab.scripted(faulty), lab.http("gw2", pages=well())], pool=EJECTS)
	for i in range(40):
		faulty.broken = i % 6 < 4	# every other request goes there: two in a row fail, then one is served
		lab.get(daemon)
	assert faulty.tried >= 18
	assert "is down" not in daemon.log


def test_the_last_one_is_never_set_aside(lab):
	gateways = [lab.scripted(Faulty(), "gw1"), lab.scripted(Faulty(), "gw2")]
	daemon = lab.start(gateways, pool=EJECTS)

	def refused():
		assert lab.get(daemon).status == 502
		return "nobody else of its pool is up" in daemon.log
	until(refused, "the second one's row of failures")
	assert daemon.log.count("failures in a row: set aside") == 1


def test_who_was_set_aside_comes_back_when_nobody_else_is_left(lab):
	faulty = Faulty()
	gateways = [lab.scripted(faulty), lab.http("gw2", pages=well())]
	daemon = lab.start(gateways, pool=EJECTS)
	is_set_aside(lab, daemon)
	faulty.broken = False
	gateways[1].kill()
	daemon.wait_log(r"gateway gw1 \S+ is up: nobody else of its pool is up")
	assert seen(lab, daemon, 4) == {"gw1": 4}


def test_eject_after_0_never_does(lab):
	faulty = Faulty()
	daemon = lab.start([lab.scripted(faulty), lab.http("gw2", pages=well())], pool={**EJECTS, "eject_after": 0})
	for _ in range(30):
		lab.get(daemon)
	assert faulty.tried >= 10 and "is down" not in daemon.log


def test_bad_handshakes_count(lab):
	"""Its 101 is never right; whoever wants a session gets one soon."""
	def opening(side):
		request = side.read_head()
		if request.target == "/healthz":
			side.answer("200 OK", "Connection: close")
			raise ConnectionError
		side.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			b"Sec-WebSocket-Accept: bm90IHRoZSByaWdodCBvbmU=\r\n\r\n")
	bad = lab.ws("gw1", opening=opening)
	good = lab.ws("gw2")
	daemon = lab.start([bad, good], pool={**EJECTS, "check": "tcp"})

	def found():
		lab.get(daemon, "/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
		return "3 failures in a row: set aside" in daemon.log
	until(found, "gw1 to be set aside")
	for _ in range(4):
		assert lab.session(daemon).echo("x") == "x"


def test_a_client_of_one_that_was_set_aside_is_reassigned_and_stays(lab):
	faulty = Faulty(broken=False)
	daemon = lab.start([lab.scripted(faulty), lab.http("gw2", pages=well())], pool={**EJECTS, "eject_time": "500ms"})
	answer = until(lambda: next((a for a in [lab.get(daemon)] if json.loads(a.body)["gateway"] == "gw1"), None), "gw1")
	cookie = str(answer.cookie())
	faulty.broken = True
	is_set_aside(lab, daemon)
	moved = lab.get(daemon, cookie=cookie)
	assert json.loads(moved.body)["gateway"] == "gw2"
	faulty.broken = False
	daemon.wait_log(r"gateway gw1 \S+ is up: its time aside is over")
	for _ in range(3):
		assert json.loads(lab.get(daemon, cookie=str(moved.cookie())).body)["gateway"] == "gw2"


# ---- a reload ----


def home_of(answer):
	return json.loads(answer.body)["gateway"]


def a_client_of(lab, daemon, name):
	"""The cookie of a client that belongs there."""
	answer = until(lambda: next((a for a in [lab.get(daemon)] if home_of(a) == name), None), f"a client of {name}")
	return str(answer.cookie())


def test_a_reload_keeps_what_checks_have_found(lab):
	gateways = lab.https(3)
	daemon = lab.start(gateways[:2], pool={**FAST, "check": "tcp"})
	gateways[0].kill()
	is_down(daemon, "gw1")
	assert lab.reload(daemon, gateways, pool={**FAST, "check": "tcp"})
	until(lambda: set(seen(lab, daemon)) == {"gw2", "gw3"}, "the new one to get newcomers, and the dead one none")
	gateways[0].start()
	is_up_again(daemon, "gw1")
	assert daemon.log.count("is down") == 1


def test_a_gateway_that_a_reload_brings_is_looked_at(lab):
	daemon = lab.start([lab.http("gw1")], pool={**FAST, "check": "tcp", "check_interval": "1h"})
	assert lab.reload(daemon, [*lab.gateways, lab.refusing("gw2")], pool={**FAST, "check": "tcp", "check_interval": "1h"})
	is_down(daemon, "gw2")


def test_a_gateway_that_is_gone_gives_its_clients_away(lab):
	gateways = lab.https(2)
	daemon = lab.start(gateways, pool={**FAST, "check": "tcp"})
	cookie = a_client_of(lab, daemon, "gw1")
	assert lab.reload(daemon, gateways[1:], pool={**FAST, "check": "tcp"})
	daemon.wait_log(r"gateway gw1 \S+ is gone: the configuration names it no more")
	moved = lab.get(daemon, cookie=cookie)
	assert home_of(moved) == "gw2" and moved.cookie()
	assert daemon.record(how="reassigned")["because"] == "gone"


def test_a_renamed_gateway_keeps_its_clients(lab):
	"""The cookie they hold is in its old name; they get one in the new."""
	gateways = lab.https(3)
	daemon = lab.start(gateways, pool={**FAST, "check": "tcp"})
	cookie = a_client_of(lab, daemon, "gw1")
	lines = [f"blue {gateways[0].address}", *[g.line for g in gateways[1:]]]
	assert lab.reload(daemon, gateways, pool={**FAST, "check": "tcp", "gateway": lines})
	answer = lab.get(daemon, cookie=cookie)
	assert home_of(answer) == "gw1" and answer.cookie(), "itself still says gw1"
	assert daemon.record(gateway="blue")["how"] == "cookie"
	again = lab.get(daemon, cookie=str(answer.cookie()))
	assert home_of(again) == "gw1" and again.cookie() is None
	assert "is gone" not in daemon.log


# ---- slow start ----


def share_of(name, seen, begin, end):
	some = [gateway for at, gateway in seen if begin <= at < end]
	return some.count(name) / len(some)


def test_a_gateway_that_returns_takes_newcomers_gradually(lab):
	gateways = lab.https(2)
	daemon = lab.start(gateways, pool={**FAST, "check": "tcp", "slow_start": "4s"})
	assert set(seen(lab, daemon, 4)) == {"gw1", "gw2"}, "at the start nobody has to hold back"
	gateways[0].kill()
	is_down(daemon, "gw1")
	gateways[0].start()
	is_up_again(daemon, "gw1")
	begun, got = time.monotonic(), []
	while time.monotonic() < begun + 6:
		answer = lab.get(daemon)
		got.append((time.monotonic() - begun, json.loads(answer.body)["gateway"]))
	assert share_of("gw1", got, 0, 0.8) < 0.25
	assert 0.2 < share_of("gw1", got, 2, 3) < 0.48
	assert 0.45 < share_of("gw1", got, 4.5, 6) < 0.55


# ---- its own word ----


class Wishes(Health):
	"""A health page that may ask for a drain."""

	def __init__(self):
		super().__init__()
		self.state = None

	def __call__(self, side, request):
		self.asked.append(request)
		side.answer(self.status, "Connection: close", *([f"X-Stickyd-State: {self.state}"] if self.state else []), body=b"x")


def test_a_gateway_asks_for_its_own_drain(lab):
	"""It keeps its clients and gets no new ones, until it does not ask any more."""
	wishes = Wishes()
	gateways = [lab.http("gw1", pages={"/healthz": wishes}), lab.http("gw2", pages=well())]
	daemon = lab.start(gateways, pool={**FAST, "check": "http"})
	answer = until(lambda: next((a for a in [lab.get(daemon)] if json.loads(a.body)["gateway"] == "gw1"), None), "gw1")
	wishes.state = "drain"
	daemon.wait_log(r"gateway gw1 \S+ is draining: it asks for a drain")
	assert seen(lab, daemon, 10) == {"gw2": 10}
	for _ in range(5):
		assert json.loads(lab.get(daemon, cookie=str(answer.cookie())).body)["gateway"] == "gw1"
	wishes.state = "ready, and whatever else it may say"
	daemon.wait_log(r"gateway gw1 \S+ is up: it asks for no drain any more")
	assert set(seen(lab, daemon)) == {"gw1", "gw2"}


def test_a_drain_it_asks_for_ends_at_the_pools_deadline(lab):
	wishes = Wishes()
	gateways = [lab.http("gw1", pages={"/healthz": wishes}), lab.http("gw2", pages=well())]
	daemon = lab.start(gateways, pool={**FAST, "check": "http", "drain_deadline": "500ms"})
	answer = until(lambda: next((a for a in [lab.get(daemon)] if json.loads(a.body)["gateway"] == "gw1"), None), "gw1")
	wishes.state = "drain"
	daemon.wait_log(r"gateway gw1 \S+ is leaving: the deadline of the drain that it asks for has passed")
	moved = lab.get(daemon, cookie=str(answer.cookie()))
	assert json.loads(moved.body)["gateway"] == "gw2"
	assert daemon.record(how="reassigned")["because"] == "draining"
