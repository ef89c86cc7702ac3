# SPDX-License-Identifier: BSD-2-Clause
"""Checks: when a gateway counts as down and as up again, and who is sent to it meanwhile."""

import json
import threading
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
