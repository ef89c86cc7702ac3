# SPDX-License-Identifier: BSD-2-Clause
"""How sessions are ended: by which code, between which frames, and what becomes of those that only begin."""

import asyncio
import os
import signal
import struct
import subprocess
import threading

import pytest
import websockets

from harness import ws
from harness.api import Api
from harness.gateways import has_node_ws
from harness.http import head
from harness.wait import until
from harness.wire import Broken

needs_node = pytest.mark.skipif(not has_node_ws(), reason="no Node with ws")

FRAME = ws.frame(ws.BINARY, os.urandom(30000))


def floods(side):
	"""Whole frames as fast as they go, until the end, or the other end's close."""
	done = threading.Event()

	def listen():
		try:
			while side.read_frame().opcode != ws.CLOSE:
				pass
		except (Broken, OSError, AssertionError):
			pass
		done.set()
	threading.Thread(target=listen, daemon=True).start()
	while not done.is_set():
		side.send(FRAME)


def read_flood(c):
	"""All frames are whole, up to a close frame, behind which nothing comes."""
	frames = 0
	while (f := c.read_frame()).opcode == ws.BINARY:
		assert f.payload == FRAME[-30000:]
		frames += 1
	assert f.opcode == ws.CLOSE
	assert not c.buffer
	return frames, f


ENDS = {
	"stop": (lambda lab, daemon, gateways: daemon.signal(signal.SIGTERM), 1001, b"stopping"),
	"drain": (lambda lab, daemon, gateways: Api(lab).post("/v1/drain", gateway="gw1", deadline="100ms"), 1012, b"drained"),
	"gone": (lambda lab, daemon, gateways: lab.reload(daemon, gateways[1:], pool=POOL), 1012, b"gateway-gone"),
}
POOL = {"affinity": "header:X-Key", "drain_deadline": "100ms", "drain_rate": "1000/s"}


@pytest.mark.threads
@pytest.mark.parametrize("end", ENDS)
def test_between_frames_while_megabytes_flow(lab, end):
	how, code, reason = ENDS[end]
	gateways = [lab.ws("gw1", handler=floods), lab.ws("gw2")]
	daemon = lab.start(gateways, pool={**POOL, "balance": "roundrobin"})
	sessions = [lab.session(daemon, "/", f"X-Key: k{i}") for i in range(8)]
	flooded = sessions[0::2]
	for c in flooded:
		for _ in range(20):
			assert c.read_frame().opcode == ws.BINARY
	how(lab, daemon, gateways)
	for c in flooded:
		frames, f = read_flood(c)
		assert (f.code, f.payload[2:]) == (code, reason)
		c.send_close(code)
		assert c.is_ended()


@pytest.mark.threads
@pytest.mark.parametrize("old_clients", [False, True])
def test_a_gateway_that_dies(lab, old_clients):
	gateway = lab.ws("gw1")
	daemon = lab.start([gateway], pool={"died_close": 1001} if old_clients else {})
	sessions = [lab.session(daemon) for _ in range(20)]
	for c in sessions:
		assert c.echo("x") == "x"
	gateway.kill()
	for c in sessions:
		f = c.read_frame()
		assert (f.opcode, f.code) == (ws.CLOSE, 1001 if old_clients else 1014)
		assert f.payload[2:] in (b"gateway-reset", b"gateway-died")
		c.send_close(1000)
		assert c.is_ended()
	for record in daemon.records(20):
		assert record["why"] in ("gateway-reset", "gateway-died") and record["by"] == "gateway"
		assert record["close"] == (1001 if old_clients else 1014)


def test_a_gateway_that_dies_within_a_frame(lab):
	gateway = lab.ws(handler=lambda side: (side.send(FRAME + FRAME[:1000]), side.read_to_end()))
	daemon = lab.start([gateway])
	c = lab.session(daemon)
	c.read_frame()
	c.read(1000)
	gateway.kill()
	with pytest.raises(Broken):
		c.read(1)
	record = daemon.record(kind="session")
	assert (record["close"], record["by"]) == (None, "gateway")


def test_a_gateway_that_is_stuck_within_a_frame(lab):
	"""It has some time to end it; then the connection ends, and nothing is put in."""
	stuck = threading.Event()

	def gateway(side):
		side.send(FRAME[:1000])
		heard.append(side.read_frame())
		stuck.set()
		side.read_to_end()
	heard = []
	daemon = lab.start([lab.ws("gw1", handler=gateway)])
	c = lab.session(daemon)
	c.read(1000)
	Api(lab).post("/v1/drain", gateway="gw1", deadline="100ms")
	assert stuck.wait(20)
	assert heard[0].code == 1012, "the gateway is told at once"
	c.send_text("this goes nowhere any more")
	with pytest.raises(Broken):
		c.read(1)
	record = daemon.record(kind="session")
	assert (record["why"], record["by"]) == ("drained", "stickyd")


def slow_handshake(go):
	def opening(side):
		side.opening = side.read_head()
		go.wait(20)
	return opening


def test_a_handshake_whose_gateway_dies(lab):
	go = threading.Event()
	gateway = lab.ws("gw1", opening=slow_handshake(go))
	daemon = lab.start([gateway], pool={"retries": 2})
	c = lab.ws_client(daemon)
	c.ask()
	gateway.connected()
	gateway.kill()
	answer = c.response()
	assert answer.status == 503 and int(answer.get("retry-after")) > 0
	go.set()
	assert lab.ws_client(daemon).get().status == 502, "who asks for a page gets what he ever got"


def test_a_handshake_when_stickyd_stops(lab):
	go = threading.Event()
	gateway = lab.ws("gw1", opening=slow_handshake(go))
	daemon = lab.start([gateway], globals={"shutdown_grace": "20s"})
	c = lab.ws_client(daemon)
	c.ask()
	gateway.connected()
	daemon.signal(signal.SIGTERM)
	answer = c.response()
	assert answer.status == 503 and int(answer.get("retry-after")) > 0
	assert daemon.record(status=503)["why"] == "stopping"
	go.set()
	assert daemon.wait_exit(10) == 0


# what libraries make of it


CODES = {"drain": 1012, "die": 1014}


def end_gateway(lab, gateway, how):
	if how == "die":
		gateway.kill()
	else:
		Api(lab).post("/v1/drain", gateway="gw1", deadline="100ms")


@pytest.mark.parametrize("how", CODES)
def test_a_python_client(lab, how):
	gateway = lab.library("gw1")
	daemon = lab.start([gateway])

	async def story():
		async with websockets.connect("ws://%s:%d/" % daemon.address(), ping_interval=None) as c:
			assert await c.recv() == "gw1"
			await asyncio.to_thread(end_gateway, lab, gateway, how)
			with pytest.raises(websockets.ConnectionClosed):
				await asyncio.wait_for(c.recv(), 20)
			return c.close_code
	assert asyncio.run(story()) == CODES[how]
	assert daemon.record(kind="session")["close"] == CODES[how]


NODE_CLIENT = """
const WebSocket = require('ws');
const c = new WebSocket(process.argv[1]);
c.on('message', (data) => console.log(data.toString()));
c.on('close', (code, reason) => console.log(JSON.stringify([code, reason.toString()])));
"""


@needs_node
@pytest.mark.parametrize("how", CODES)
def test_a_node_client(lab, how):
	gateway = lab.node("gw1")
	daemon = lab.start([gateway])
	client = subprocess.Popen(["node", "-e", NODE_CLIENT, "ws://%s:%d/" % daemon.address()], stdout=subprocess.PIPE, text=True)
	try:
		assert client.stdout.readline().strip() == "gw1"
		end_gateway(lab, gateway, how)
		assert client.stdout.readline().startswith(f"[{CODES[how]},")
	finally:
		client.kill()
		client.wait()
		client.stdout.close()
