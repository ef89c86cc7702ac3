# SPDX-License-Identifier: BSD-2-Clause
"""Drains: who may stay, who has to go elsewhere, and how fast."""

import select
import selectors
import threading
import time

import pytest

from harness import ws
from harness.api import Api
from harness.wait import until, while_true

BY_KEY = {"affinity": "header:X-Key"}


def key(name):
	return f"X-Key: {name}"


def home(lab, daemon, name):
	"""Whom this key's client meets."""
	return lab.session(daemon, "/", key(name)).echo("who")


def closed_at(sessions, bound=30):
	"""When each has got its close frame, which is answered."""
	times = []
	with selectors.DefaultSelector() as poll:
		for c in sessions:
			poll.register(c.sock, selectors.EVENT_READ, c)
		end = time.monotonic() + bound
		while len(times) < len(sessions) and time.monotonic() < end:
			for ready, _ in poll.select(1):
				c = ready.data
				times.append(time.monotonic())
				f = c.read_frame()
				assert (f.opcode, f.code, f.payload[2:]) == (ws.CLOSE, 1012, b"drained")
				c.send_close(1012)
				poll.unregister(c.sock)
	assert len(times) == len(sessions), f"{len(times)} of {len(sessions)} were closed"
	return times


def is_open(c):
	c.send_text("there?")
	return c.read_frame().opcode == ws.TEXT


def most_in(times, seconds):
	return max(sum(t <= u < t + seconds for u in times) for t in times)


def test_bound_clients_stay_and_newcomers_go_elsewhere(lab):
	daemon = lab.start([lab.ws("gw1"), lab.ws("gw2")], pool={**BY_KEY, "balance": "roundrobin"})
	api = Api(lab)
	homes = {f"k{i}": home(lab, daemon, f"k{i}") for i in range(8)}
	assert set(homes.values()) == {"gw1", "gw2"}
	drained = api.post("/v1/drain", gateway="gw1")["gateway"]
	assert (drained["state"], drained["deadline"]) == ("draining", None)
	assert {name: home(lab, daemon, name) for name in homes} == homes
	assert {home(lab, daemon, f"new{i}") for i in range(8)} == {"gw2"}
	assert api.post("/v1/ready", gateway="gw1")["gateway"]["state"] == "up"
	assert {home(lab, daemon, f"newer{i}") for i in range(8)} == {"gw1", "gw2"}


@pytest.mark.threads
def test_what_is_left_at_the_deadline_is_closed_at_the_rate(lab):
	daemon = lab.start([lab.ws("gw1"), lab.ws("gw2", handler=None)], globals={"workers": 4},
		pool={**BY_KEY, "drain_rate": "40/s", "balance": "roundrobin"})
	api = Api(lab)
	sessions = [lab.session(daemon, "/", key(f"k{i}")) for i in range(160)]
	by_home = {name: [c for c in sessions if c.echo("who") == name] for name in ("gw1", "gw2")}
	assert len(by_home["gw1"]) == 80
	begun = time.monotonic()
	assert api.post("/v1/drain", gateway="gw1", deadline="1s")["gateway"]["deadline"]
	times = closed_at(by_home["gw1"])
	assert min(times) - begun >= 0.9
	assert most_in(times, 1.0) <= 46, "the rate is 40; we may be late to see some"
	assert max(times) - min(times) < 4, "and it is made use of"
	for c in by_home["gw2"]:
		assert c.echo("still here") == "still here"
	until(lambda: api.gateway("gw1")["sessions"] == 0, "the gateway to be empty")
	assert home(lab, daemon, "k0") == home(lab, daemon, "k1") == "gw2"
	records = [r for r in daemon.records(80) if r["kind"] == "session" and r["why"] == "drained"]
	assert all((r["close"], r["by"], r["gateway"]) == (1012, "stickyd", "gw1") for r in records)


@pytest.mark.threads
def test_the_gateway_gets_a_masked_close(lab):
	heard = []

	def gateway(side):
		heard.append(side.read_frame())		# which sees to it that it is masked
		side.send_frame(ws.CLOSE, heard[0].payload)
	daemon = lab.start([lab.ws("gw1", handler=gateway), lab.ws("gw2")], pool={"balance": "roundrobin"})
	c = lab.session(daemon)
	Api(lab).post("/v1/drain", gateway="gw1", deadline="100ms")
	f = c.read_frame()
	assert (f.opcode, f.code, f.payload[2:]) == (ws.CLOSE, 1012, b"drained")
	c.send_close(1012)
	assert c.is_ended()
	until(lambda: heard, "the close at the gateway")
	assert (heard[0].opcode, heard[0].code) == (ws.CLOSE, 1012)


def test_ready_undoes_it_all(lab):
	daemon = lab.start([lab.ws("gw1"), lab.ws("gw2")], pool={**BY_KEY, "drain_rate": "5/s"})
	api = Api(lab)
	sessions = [lab.session(daemon, "/", key(f"k{i}")) for i in range(40)]
	mine = [c for c in sessions if c.echo("who") == "gw1"]
	api.post("/v1/drain", gateway="gw1", deadline="100ms")
	until(lambda: select.select([c.sock for c in mine], [], [], 0)[0][2:], "some to be closed")
	assert api.gateway("gw1")["closing"] > 0
	api.post("/v1/ready", gateway="gw1")
	assert api.gateway("gw1")["closing"] == 0
	left = [c for c in mine if is_open(c)]
	assert 10 < len(left) < len(mine)
	left = [c for c in left if is_open(c)]		# an order may have been on its way
	while_true(lambda: all(is_open(c) for c in left), "a gateway that is ready loses nobody", 0.6)


def test_a_gateway_that_is_taken_down_keeps_its_sessions(lab):
	daemon = lab.start([lab.ws("gw1"), lab.ws("gw2")], pool=BY_KEY)
	sessions = {name: lab.session(daemon, "/", key(name)) for name in ("a", "b", "c", "d")}
	homes = {name: c.echo("who") for name, c in sessions.items()}
	api = Api(lab)
	assert api.post("/v1/down", gateway="gw1")["gateway"]["state"] == "down"
	assert {home(lab, daemon, name) for name in homes} == {"gw2"}, "on_down = reassign"
	for name, c in sessions.items():
		assert c.echo("who") == homes[name]


@pytest.mark.threads
@pytest.mark.parametrize("deadline", ["100ms", "0"])
def test_a_gateway_that_a_reload_removes(lab, deadline):
	one, two = lab.ws("gw1"), lab.ws("gw2")
	pool = {**BY_KEY, "drain_deadline": deadline, "balance": "roundrobin"}
	daemon = lab.start([one, two], pool=pool)
	sessions = {name: lab.session(daemon, "/", key(name)) for name in ("a", "b", "c", "d")}
	homes = {name: c.echo("who") for name, c in sessions.items()}
	gone = [c for name, c in sessions.items() if homes[name] == "gw1"]
	assert len(gone) == 2
	assert lab.reload(daemon, [two], pool=pool)
	if deadline == "0":
		assert all(c.echo("who") == "gw1" for c in gone), "it stays until it ends"
	else:
		for c in gone:
			f = c.read_frame()
			assert (f.opcode, f.code, f.payload[2:]) == (ws.CLOSE, 1012, b"gateway-gone")
			c.send_close(1012)
			assert c.is_ended()
	assert {home(lab, daemon, name) for name in homes} == {"gw2"}


def test_a_gateway_that_asks_for_its_own_drain(lab):
	state = {"drain": False}

	def health(side, request):
		side.answer("200 OK", *(["X-Stickyd-State: drain"] if state["drain"] else []))
	doctor = lab.http("gw1", pages={"/healthz": health})
	other = lab.http("gw2", pages={"/healthz": lambda side, request: side.answer("200 OK")})
	daemon = lab.start([doctor, other], pool={**BY_KEY, "check": "http", "check_path": "/healthz", "check_interval": "100ms",
		"drain_deadline": "1s"})
	api = Api(lab)
	before = {f"k{i}": lab.get(daemon, "/", key(f"k{i}")).body for i in range(4)}
	state["drain"] = True
	until(lambda: api.gateway("gw1")["state"] == "draining", "the drain that it asked for")
	assert {name: lab.get(daemon, "/", key(name)).body for name in before}.keys() == before.keys()
	daemon.wait_log("gateway gw1 .*(draining|leaving)")
	until(lambda: all(b'"gw2"' in lab.get(daemon, "/", key(name)).body for name in before), "all clients to be elsewhere")
	state["drain"] = False
	api.wait_state("gw1", "up")


@pytest.mark.threads
def test_a_handshake_under_way_when_the_time_is_over(lab):
	go = threading.Event()

	def late(side):
		side.opening = side.read_head()
		assert go.wait(20)
		side.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			b"Sec-WebSocket-Accept: " + ws.accept_of(side.opening.get("sec-websocket-key")).encode() + b"\r\n\r\n")
	slow = lab.ws("gw1", opening=late, handler=lambda side: side.read_to_end())
	other = lab.ws("gw2")
	daemon = lab.start([slow, other], pool={"affinity": "cookie", "balance": "roundrobin"})
	c = lab.ws_client(daemon)
	c.ask()
	slow.connected()
	api = Api(lab)
	api.post("/v1/drain", gateway="gw1", deadline="100ms")
	until(lambda: api.gateway("gw1")["closing"] > 0, "its time to be over")
	go.set()
	assert c.response().status == 101
	assert c.echo("who") == "gw2", "its client never knew"
	api.post("/v1/down", gateway="gw2")
	go.clear()
