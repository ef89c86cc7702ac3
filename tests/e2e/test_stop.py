# SPDX-License-Identifier: BSD-2-Clause
"""The end: TERM, a second TERM, INT."""

import asyncio
import signal
import socket
import threading
import time

import pytest
import websockets

from harness import ws
from harness.wait import until
from harness.wire import Broken


def test_idle_connections_are_closed_and_it_goes_at_once(lab):
	daemon = lab.start(lab.https(1), globals={"shutdown_grace": "60s"})
	c = lab.client(daemon)
	assert c.get().status == 200
	fresh = lab.client(daemon)
	daemon.signal(signal.SIGTERM)
	assert c.is_ended() and fresh.is_ended()
	assert daemon.wait_exit(10) == 0


def test_a_request_under_way_is_finished(lab):
	go = threading.Event()

	def page(side, request):
		assert go.wait(20)
		side.answer(body=b"done")
	gateway = lab.http(pages={"/": page})
	daemon = lab.start([gateway], globals={"shutdown_grace": "60s"})
	c = lab.client(daemon)
	c.request()
	until(lambda: gateway.requests, "the request at the gateway")
	daemon.signal(signal.SIGTERM)

	def refuses():
		try:
			socket.create_connection(daemon.address(), timeout=5).close()
		except ConnectionError:
			return True
	until(refuses, "newcomers to be refused")
	go.set()
	answer = c.response()
	assert (answer.body, answer.get("connection")) == (b"done", "close")
	assert daemon.wait_exit(10) == 0


@pytest.mark.threads
def test_sessions_are_ended_by_1001(lab):
	seen = []

	def gateway(side):
		while (f := side.read_frame()).opcode != ws.CLOSE:
			side.send_frame(f.opcode, f.payload)
		seen.append(f.code)
		side.send_frame(ws.CLOSE, f.payload)
	daemon = lab.start([lab.ws(handler=gateway)], globals={"workers": 4})
	sessions = [lab.session(daemon) for _ in range(40)]
	for c in sessions:
		assert c.echo("x") == "x"
	daemon.signal(signal.SIGTERM)
	for c in sessions:
		assert c.read_frame().code == 1001
		c.send_close(1001)
		assert c.is_ended()
	assert daemon.wait_exit(10) == 0
	records = daemon.access()
	assert len(records) == 40 and {(r["why"], r["by"], r["close"]) for r in records} == {("stopping", "stickyd", 1001)}
	assert seen == [1001] * 40


def test_a_library_sees_a_proper_end(lab):
	daemon = lab.start([lab.library()])

	async def talk():
		async with websockets.connect(f"ws://127.0.0.1:{daemon.port}/") as c:
			await c.recv()
			daemon.signal(signal.SIGTERM)
			with pytest.raises(websockets.ConnectionClosed):
				await c.recv()
			assert c.close_code == 1001
	asyncio.run(talk())
	assert daemon.wait_exit(10) == 0


@pytest.mark.parametrize("direction", ["up", "down"])
def test_never_inside_a_frame(lab, direction):
	"""A big message is under way when TERM comes: it arrives whole, and only behind it the close frame."""
	n, first = 1 << 20, 1 << 19
	rest = threading.Event()
	got = []

	def pour(wire):
		wire.send(ws.frame_head(ws.BINARY, n, mask=wire.mask(n)) + b"x" * first)
		assert rest.wait(20)
		wire.send(b"x" * (n - first))

	def take(wire):
		got.append(wire.read_frame().payload)
		got.append(wire.read_frame().code)

	def gateway(side):
		if side is lab.gateways[0].sides[0]:
			take(side) if direction == "up" else pour(side)
		side.read_to_end()
	daemon = lab.start([lab.ws(handler=gateway)], globals={"shutdown_grace": "20s"})
	c = lab.session(daemon)
	other = lab.session(daemon)
	threads = [threading.Thread(target=pour if direction == "up" else take, args=(c,), daemon=True)]
	threads[0].start()
	side = lab.gateways[0].connected()
	until(lambda: len((side if direction == "up" else c).received) >= first, "half of the frame")
	daemon.signal(signal.SIGTERM)
	assert other.read_frame().code == 1001
	assert not got
	rest.set()
	until(lambda: len(got) == 2, "the rest and the close frame")
	assert (got[0], got[1]) == (b"x" * n, 1001)
	c.close()
	other.close()
	assert daemon.wait_exit(10) == 0


def test_a_frame_that_never_ends_is_not_closed_into(lab):
	n = 1000
	daemon = lab.start([lab.ws(handler=lambda side: (
		side.send(ws.frame_head(ws.BINARY, n) + b"half"), side.read_to_end()))], globals={"shutdown_grace": "1s"})
	c = lab.session(daemon)
	c.read(8)
	began = time.monotonic()
	daemon.signal(signal.SIGTERM)
	try:
		rest = c.read_to_end()
	except Broken:
		rest = bytes(c.buffer)
	assert rest == b""
	assert daemon.wait_exit(10) == 0
	assert time.monotonic() - began < 8


def test_grace_is_the_longest_it_takes(lab):
	"""A client that does not answer the close frame, a request that does not end."""
	hanging = lab.scripted(lambda side: side.read_to_end(), "gw2")
	daemon = lab.start([lab.ws(handler=lambda side: side.read_to_end())], globals={"shutdown_grace": "1s"}, more={
		"pool hanging": {"gateway": hanging.line, "check": "none"}, "route r": {"path": "/hang", "pool": "hanging"}})
	c = lab.session(daemon)
	waiting = lab.client(daemon)
	waiting.request("/hang")
	until(hanging.received, "the request at the gateway")
	began = time.monotonic()
	daemon.signal(signal.SIGTERM)
	assert c.read_frame().code == 1001
	assert daemon.wait_exit(10) == 0
	assert time.monotonic() - began < 6


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(lab, second):
	daemon = lab.start([lab.ws(handler=lambda side: side.read_to_end())], globals={"shutdown_grace": "1h"})
	c = lab.session(daemon)
	daemon.signal(signal.SIGTERM)
	assert c.read_frame().code == 1001
	assert daemon.process.poll() is None
	daemon.signal(second)
	assert daemon.wait_exit(4) == 0
	assert len(daemon.access()) == 1, "its line was written all the same"


def test_int_ends_it_at_once(lab):
	daemon = lab.start([lab.ws()], globals={"shutdown_grace": "1h"})
	lab.session(daemon)
	daemon.signal(signal.SIGINT)
	assert daemon.wait_exit(4) == 0
	assert len(daemon.access()) == 1


def test_nothing_of_it_is_left_behind(lab):
	daemon = lab.start(lab.https(1))
	address = daemon.address()
	daemon.stop()
	with pytest.raises(ConnectionError):
		socket.create_connection(address, timeout=5)
	again = lab.start(lab.gateways, name="again", listener={"bind": f"127.0.0.1:{address[1]}"})
	assert lab.get(again).status == 200


def test_hup_does_no_harm(lab):
	daemon = lab.start([lab.ws()])
	c = lab.session(daemon)
	daemon.signal(signal.SIGHUP)
	daemon.wait_log("(?i)hup|reload|again")
	assert c.echo("x") == "x"


def test_a_client_that_comes_while_stopping_is_not_served_by_a_dead_pool(lab):
	"""Requests behind one under way, on a connection that is to be closed, are not half done."""
	go = threading.Event()

	def page(side, request):
		assert go.wait(20)
		side.answer(body=b"done")
	gateway = lab.http(pages={"/": page})
	daemon = lab.start([gateway])
	c = lab.client(daemon)
	c.request("/")
	c.request("/second")
	until(lambda: gateway.requests, "the first at the gateway")
	daemon.signal(signal.SIGTERM)
	daemon.wait_log("(?i)stop")
	go.set()
	assert c.response().get("connection") == "close"
	assert c.is_ended()
	assert b"/second" not in gateway.received()
	assert daemon.wait_exit(10) == 0
