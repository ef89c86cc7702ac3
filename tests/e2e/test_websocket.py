# SPDX-License-Identifier: BSD-2-Clause
"""Sessions: the handshake, bytes in order, frames of all kinds, back-pressure, and every way to end."""

import asyncio
import hashlib
import json
import os
import socket
import struct
import subprocess
import threading

import pytest
import websockets

from harness import ws
from harness.daemon import kb
from harness.gateways import NODE, has_node_ws, takes_until
from harness.http import head
from harness.wait import until
from harness.wire import Broken

needs_node = pytest.mark.skipif(not has_node_ws(), reason="node or its package ws is missing")


# real libraries


@pytest.mark.threads
def test_python_websockets_on_both_sides(lab):
	daemon = lab.start([lab.library(subprotocols=["chat.v2"])])

	async def talk(n):
		async with websockets.connect(f"ws://127.0.0.1:{daemon.port}/x?y={n}", subprotocols=["chat.v1", "chat.v2"],
				max_size=None) as c:
			assert c.subprotocol == "chat.v2"
			assert [e.name for e in c.extensions] == ["permessage-deflate"]
			assert await c.recv() == "gw1"
			for size in (0, 1, 125, 126, 65535, 65536, 300000):
				for message in (os.urandom(size), "ü" * size):
					await c.send(message)
					assert await c.recv() == message
			await (await c.ping())
			await c.send("close")
			with pytest.raises(websockets.ConnectionClosed):
				await c.recv()
			assert (c.close_code, c.close_reason) == (4001, "as you like")

	async def all_of_them():
		await asyncio.gather(*map(talk, range(20)))
	asyncio.run(all_of_them())
	records = daemon.records(20)
	assert {(r["status"], r["msgs_in"], r["msgs_out"], r["close"]) for r in records} == {(101, 15, 15, 4001)}


@needs_node
def test_node_ws_on_both_sides(lab):
	gateways = [lab.node("node1"), lab.node("node2")]
	daemon = lab.start(gateways)

	def visit(source, cookie=""):
		out = subprocess.run(["node", str(NODE / "client.js"), f"ws://127.0.0.1:{daemon.port}/", source, cookie],
			capture_output=True, text=True, timeout=60)
		assert out.returncode == 0, out.stderr
		seen = json.loads(out.stdout)
		assert (seen["echoes"], seen["code"], seen["protocol"]) == (seen["sent"], 1000, "chat.v2")
		assert "permessage-deflate" in seen["extensions"]
		return seen

	first = visit("127.0.0.1")
	cookie = first["setCookie"][0].split(";")[0]
	for network in range(2, 5):
		again = visit(f"127.0.0.{network}", cookie)
		assert again["gateway"] == first["gateway"] and not again["setCookie"]


@needs_node
def test_a_python_client_at_a_node_gateway_that_is_killed(lab):
	gateways = [lab.node("node1"), lab.node("node2")]
	daemon = lab.start(gateways)
	first = lab.session(daemon)
	home = next(g for g in gateways if g.name == first.read_text())
	home.kill()
	assert first.read_frame().code == 1014
	again = lab.session(daemon, cookie=str(first.opening.cookie()))
	assert again.read_text() != home.name
	assert again.opening.cookie()


# the handshake


def test_the_gateway_sees_the_clients_handshake(lab):
	gateway = lab.ws()
	daemon = lab.start([gateway])
	c = lab.session(daemon, "/room?x=1", "Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Extensions: permessage-deflate; x=\"1\"",
		"Origin: https://game.example.com", "Cookie: other=1")
	opening = gateway.connected().opening
	assert opening.target == "/room?x=1"
	assert opening.get("sec-websocket-key") == c.key
	assert opening.get("sec-websocket-extensions") == "permessage-deflate; x=\"1\""
	assert opening.get("sec-websocket-protocol") == "a, b"
	assert opening.get("origin") == "https://game.example.com"
	assert opening.get("cookie") == "other=1"
	assert opening.get("host") == c.host
	assert opening.get("upgrade").lower() == "websocket" and opening.get("connection").lower() == "upgrade"


def test_what_the_gateway_chooses_goes_on_untouched(lab):
	def opening(side):
		side.accept("Sec-WebSocket-Protocol: b", "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10",
			"X-Own: 1", "Set-Cookie: own=1")
	daemon = lab.start([lab.ws(opening=opening)])
	c = lab.session(daemon, "/", "Sec-WebSocket-Protocol: a, b", "Sec-WebSocket-Extensions: permessage-deflate")
	assert c.opening.get("sec-websocket-protocol") == "b"
	assert c.opening.get("sec-websocket-extensions") == "permessage-deflate; server_max_window_bits=10"
	assert c.opening.get("x-own") == "1" and "own=1" in c.opening.all("set-cookie")


@pytest.mark.parametrize("opening", [
	lambda s: s.accept(accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
	lambda s: s.accept("Sec-WebSocket-Protocol: unasked"),
	lambda s: (s.read_head(), s.send(head("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"))),
	lambda s: (s.read_head(), s.send(head("HTTP/1.1 101 Switching Protocols"))),
	lambda s: (k := s.read_head().get("sec-websocket-key"), s.send(head("HTTP/1.1 101 Switching Protocols", "Upgrade: h2c",
		"Connection: Upgrade", f"Sec-WebSocket-Accept: {ws.accept_of(k)}"))),
], ids=["wrong accept", "unasked subprotocol", "no accept", "no fields", "another upgrade"])
def test_a_wrong_101_is_no_session(lab, opening):
	daemon = lab.start([lab.ws(handler=lambda side: side.read_to_end(), opening=opening)])
	c = lab.ws_client(daemon)
	c.ask()
	answer = c.response()
	assert answer.status == 502 and not answer.has("upgrade")
	assert daemon.records(1)[0]["why"] in ("gateway-bad-handshake", "gateway-bad-answer")


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found", "426 Upgrade Required", "200 OK",
	"302 Found"])
def test_a_refusal_is_an_ordinary_answer(lab, status):
	def refuse(side, request):
		if request.has("upgrade"):
			side.answer(status, "Sec-WebSocket-Version: 13", "Location: /login", body=b"first log in")
		else:
			side.answer("200 OK", body=b"an ordinary page")
	daemon = lab.start([lab.http(pages={"/": refuse})])
	c = lab.ws_client(daemon)
	for _ in range(2):
		c.ask()
		answer = c.response()
		assert (answer.status, answer.body) == (int(status[:3]), b"first log in")
		assert c.get().body == b"an ordinary page", "the connection stays HTTP"


def test_a_refusal_by_a_library(lab):
	daemon = lab.start([lab.library()])
	c = lab.ws_client(daemon)
	c.ask("/refuse/403")
	assert (c.response().status, daemon.records(1)[0]["kind"]) == (403, "request")


def test_other_versions_are_the_gateways_affair(lab):
	def refuse(side, request):
		side.answer("426 Upgrade Required", f"Sec-WebSocket-Version: not {request.get('sec-websocket-version')}")
	daemon = lab.start([lab.http(pages={"/": refuse})])
	with lab.client(daemon) as c:
		answer = c.get("/", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 8",
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
		assert (answer.status, answer.get("sec-websocket-version")) == (426, "not 8")


@pytest.mark.parametrize("upgrade", ["h2c", "foo, websocketx", "TLS/1.0"])
def test_other_upgrades_are_ordinary_requests(lab, upgrade):
	gateway = lab.http()
	daemon = lab.start([gateway])
	assert lab.get(daemon, "/", f"Upgrade: {upgrade}", "Connection: Upgrade").status == 200
	assert not gateway.requests[0].has("upgrade")


def test_a_session_on_a_connection_that_served_requests(lab):
	plain, sessions = lab.http("plain"), lab.ws("sessions")
	daemon = lab.start([sessions], more={
		"pool plain": {"gateway": plain.line, "check": "none"}, "route r": {"path": "/page", "pool": "plain"}})
	c = lab.ws_client(daemon)
	for _ in range(3):
		assert c.get("/page").status == 200
	c.open("/")
	assert c.echo("x") == "x"


# order


def test_bytes_right_behind_the_request_wait_for_the_101(lab):
	go = threading.Event()
	before = []

	def opening(side):
		request = side.read_head()
		before.append(side.is_silent(0.5))
		assert go.wait(20)
		side.send(head("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
			f"Sec-WebSocket-Accept: {ws.accept_of(request.get('sec-websocket-key'))}"))
	daemon = lab.start([lab.ws(opening=opening)])
	c = lab.ws_client(daemon)
	c.ask(behind=ws.frame(ws.TEXT, b"first", mask=b"abcd") + ws.frame(ws.TEXT, b"second", mask=b"efgh"))
	c.send_text("third")
	until(lambda: before, "the gateway to have waited")
	assert before == [True], "nothing goes to the gateway before its 101"
	go.set()
	assert c.response().status == 101
	assert [c.read_text() for _ in range(3)] == ["first", "second", "third"]


def test_bytes_right_behind_a_request_that_is_refused_are_a_request(lab):
	"""The client believed too early; what it sent is parsed as HTTP and refused, not given to the gateway."""
	gateway = lab.http()
	daemon = lab.start([gateway])
	c = lab.ws_client(daemon)
	c.ask(behind=ws.frame(ws.TEXT, b"secret", mask=b"\0\0\0\0") + b"\r\n\r\n")
	assert c.response().status == 426
	try:
		assert c.response().status == 400
	except Broken:
		pass
	assert b"secret" not in gateway.received()


def test_bytes_right_behind_the_101_come_in_order(lab):
	behind = b"".join(ws.frame(ws.TEXT, b"%d" % i) for i in range(1000))

	def opening(side):
		side.accept(behind=behind)
	daemon = lab.start([lab.ws(opening=opening)])
	c = lab.session(daemon)
	assert [c.read_text() for _ in range(1000)] == [str(i) for i in range(1000)]
	assert c.echo("after") == "after"


def test_a_101_that_comes_byte_by_byte(lab):
	def opening(side):
		key = side.read_head().get("sec-websocket-key")
		for byte in head("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
				f"Sec-WebSocket-Accept: {ws.accept_of(key)}") + ws.frame(ws.TEXT, b"hello"):
			side.send(bytes([byte]))
	daemon = lab.start([lab.ws(opening=opening)])
	assert lab.session(daemon).read_text() == "hello"


# frames


def test_fragments_with_control_frames_between(lab):
	seen = []

	def note(side):
		while True:
			f = side.read_frame()
			seen.append((f.opcode, f.fin, f.payload))
			side.send_frame(f.opcode, f.payload, fin=f.fin)
	daemon = lab.start([lab.ws(handler=note)])
	c = lab.session(daemon)
	sent = [(ws.TEXT, False, b"a"), (ws.PING, True, b"p"), (ws.CONT, False, b""), (ws.PONG, True, b""), (ws.CONT, True, b"b" * 70000),
		(ws.BINARY, True, b"c")]
	for opcode, fin, payload in sent:
		c.send_frame(opcode, payload, fin=fin)
	assert [(f.opcode, f.fin, f.payload) for f in (c.read_frame() for _ in sent)] == sent
	assert seen == sent
	c.reset()
	record = daemon.records(1)[0]
	assert (record["msgs_in"], record["msgs_out"]) == (2, 2), "messages, not frames"


def test_every_form_of_a_length(lab):
	daemon = lab.start([lab.ws()])
	c = lab.session(daemon)
	for n, form in [(0, 7), (125, 7), (126, 16), (65535, 16), (65536, 64), (5, 16), (5, 64), (0, 64)]:
		payload = os.urandom(n)
		c.send_frame(ws.BINARY, payload, length=form)
		assert c.read_frame().payload == payload


def test_reserved_bits_and_opcodes_are_let_through(lab):
	daemon = lab.start([lab.ws()])
	c = lab.session(daemon)
	for rsv, opcode in [(4, ws.TEXT), (7, ws.BINARY), (0, 3), (0, 11)]:
		c.send_frame(opcode, b"x", rsv=rsv)
		f = c.read_frame()
		assert (f.opcode, f.payload) == (opcode, b"x")


def test_bytes_cut_anywhere(lab):
	"""A stream of all kinds of frames, a byte at a time."""
	daemon = lab.start([lab.ws()])
	c = lab.session(daemon)
	payloads = [b"", b"a" * 125, b"b" * 126, b"c" * 300]
	for byte in b"".join(ws.frame(ws.BINARY, p, mask=os.urandom(4)) for p in payloads):
		c.send(bytes([byte]))
	assert [c.read_frame().payload for _ in payloads] == payloads


def test_a_stream_that_breaks_the_framing_still_passes(lab):
	"""The endpoints judge, not we: an unmasked frame of a client, then bytes that are no frame at all."""
	got = []

	def take(side):
		while data := side.read_some():
			got.append(data)
	daemon = lab.start([lab.ws(handler=take)])
	c = lab.session(daemon)
	nonsense = ws.frame(ws.TEXT, b"unmasked") + b"\xff" * 1000
	c.send(nonsense)
	until(lambda: b"".join(got) == nonsense, "all of it at the gateway")


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_message_of_100_mb(lab, direction):
	n = 100 << 20
	block = os.urandom(1 << 20)
	want = hashlib.sha256(block * 100).digest()
	done = []

	def pour(wire):
		wire.send(ws.frame_head(ws.BINARY, n, mask=wire.mask(n)))
		for _ in range(100):
			wire.send(block)

	def take(wire):
		first, second = wire.read(2)
		(size,) = struct.unpack("!Q", wire.read(8))
		wire.read(4 if second & 0x80 else 0)
		assert (first, size) == (0x82, n)
		digest = hashlib.sha256()
		while size:
			data = wire.read_some() if wire.buffer else wire.sock.recv(1 << 18)
			assert data and len(data) <= size
			digest.update(data)
			size -= len(data)
		assert digest.digest() == want
		done.append(True)

	def gateway(side):
		take(side) if direction == "up" else pour(side)
		side.read_to_end()
	daemon = lab.start([lab.ws(handler=gateway)])
	c = lab.session(daemon)
	daemon.reset_peak()
	before = daemon.peak_kb()
	pour(c) if direction == "up" else take(c)
	until(lambda: done, "all of it", 60)
	assert daemon.peak_kb() - before < kb(16)
	c.close()
	record = daemon.records(1)[0]
	assert (record["msgs_in"], record["msgs_out"]) == ((1, 0) if direction == "up" else (0, 1))


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_slow_reader_holds_up_the_writer_and_not_our_memory(lab, direction):
	sent = {"up": 0, "down": 0}
	go = threading.Event()
	block = ws.frame(ws.BINARY, bytes(1 << 16))
	total = 1024		# of them

	def pour(wire, which):
		for _ in range(total):
			wire.send(block if which == "down" else ws.frame(ws.BINARY, bytes(1 << 16), mask=b"\0\0\0\0"))
			sent[which] += 1

	def gateway(side):
		if direction == "down":
			pour(side, "down")
		else:
			assert go.wait(60)
			for _ in range(total):
				side.read_frame()
			side.send_frame(ws.TEXT, b"all")
		side.read_to_end()
	daemon = lab.start([lab.ws(handler=gateway)])
	c = lab.session(daemon)
	daemon.reset_peak()
	before = daemon.peak_kb()
	if direction == "up":
		threading.Thread(target=pour, args=(c, "up"), daemon=True).start()
	stood = [-1]

	def stands():
		stood.append(sent[direction])
		return len(stood) > 50 and stood[-1] == stood[-50]
	until(stands, "the writer to be held up")
	assert 0 < sent[direction] < total
	assert daemon.peak_kb() - before < kb(8)
	assert daemon.cpu_share(0.3) < 0.2, "it waits, it does not spin"
	go.set()
	if direction == "down":
		for _ in range(total):
			assert len(c.read_frame().payload) == 1 << 16
	else:
		assert c.read_text() == "all"
	assert daemon.peak_kb() - before < kb(8)


@pytest.mark.threads
def test_a_slow_session_holds_up_nobody_else(lab):
	def gateway(side):
		first = side.read_frame().payload
		while first == b"flood":
			side.send_frame(ws.BINARY, bytes(1 << 16))
		side.send_frame(ws.TEXT, first)
		lab.gateways[0].echo(side)
	daemon = lab.start([lab.ws(handler=gateway)], globals={"workers": 1})
	slow = lab.session(daemon)
	slow.send_text("flood")
	slow.sock.recv(1)
	others = [lab.session(daemon) for _ in range(10)]
	for _ in range(20):
		for c in others:
			assert c.echo("hello") == "hello"
	slow.reset()


# ends


def test_a_proper_end_by_the_client(lab):
	daemon = lab.start([lab.ws()])
	c = lab.session(daemon)
	c.echo("x")
	c.finish(1000)
	record = daemon.records(1)[0]
	assert (record["kind"], record["close"], record["by"], record["status"]) == ("session", 1000, "client", 101)
	assert (record["msgs_in"], record["msgs_out"]) == (1, 1)


def test_a_proper_end_by_the_gateway(lab):
	def gateway(side):
		side.send_close(4002)
		side.read_frame()
	daemon = lab.start([lab.ws(handler=gateway)])
	c = lab.session(daemon)
	assert c.read_frame().code == 4002
	c.send_close(4002)
	assert c.is_ended()
	record = daemon.records(1)[0]
	assert (record["close"], record["by"]) == (4002, "gateway")


def test_half_close_by_the_client(lab):
	go = threading.Event()
	got = []

	def gateway(side):
		got.append(side.read_to_end())
		assert go.wait(20)
		side.send_text("still here")
	daemon = lab.start([lab.ws(handler=gateway)])
	c = lab.session(daemon)
	c.send_text("last words")
	c.end_writing()
	until(lambda: got, "the end at the gateway")
	assert b"" != got[0]
	go.set()
	assert c.read_text() == "still here"
	assert c.is_ended()


def test_half_close_by_the_gateway(lab):
	got = []

	def gateway(side):
		side.send_text("last words")
		side.end_writing()
		got.append(side.read_text())
		side.read_to_end()
	daemon = lab.start([lab.ws(handler=gateway)])
	c = lab.session(daemon)
	assert c.read_text() == "last words"
	assert c.read_frame().code == 1014, "a gateway that ends without a close frame has died"
	c.send_text("still here")
	until(lambda: got == ["still here"], "what the client sends after the gateway's half is closed")
	c.send_close(1014)
	assert c.is_ended()
	record = daemon.records(1)[0]
	assert (record["why"], record["by"], record["close"]) == ("gateway-died", "gateway", 1014)


def test_a_gateway_that_dies_mid_frame(lab):
	gateway = lab.ws(handler=lambda side: (side.send(ws.frame_head(ws.BINARY, 1000) + b"half"), side.read_frame()))
	daemon = lab.start([gateway])
	c, other = lab.session(daemon), lab.session(daemon)
	c.read(8)
	gateway.sides[0].reset()
	with pytest.raises((Broken, ConnectionError)):
		c.read(996)
	record = daemon.records(1)[0]
	assert record["by"] == "gateway" and record["why"] in ("gateway-reset", "gateway-closed")
	other.read(8)
	assert other.is_silent(0.2), "others are not concerned"


def test_a_client_that_vanishes(lab):
	gone = threading.Event()
	daemon = lab.start([lab.ws(handler=takes_until(gone))])
	lab.session(daemon).reset()
	assert gone.wait(20), "the gateway learns of it"
	record = daemon.records(1)[0]
	assert (record["why"], record["by"]) == ("client-reset", "client")


def test_a_client_that_vanishes_while_held_up(lab):
	"""Nothing is read from it, so its end has to be noticed otherwise."""
	gone = threading.Event()

	def gateway(side):
		try:
			while True:
				side.send_frame(ws.BINARY, bytes(1 << 16))
		finally:
			gone.set()
	daemon = lab.start([lab.ws(handler=gateway)])
	c = lab.session(daemon)
	c.read(100000)
	c.reset()
	assert gone.wait(20)
	assert daemon.records(1)[0]["by"] == "client"


def test_descriptors_are_given_back(lab):
	gateway = lab.ws()
	daemon = lab.start([gateway])
	lab.session(daemon).finish()
	daemon.records(1)
	before = until(lambda: daemon.descriptors(), "its descriptors")
	for i in range(100):
		c = lab.session(daemon)
		c.reset() if i % 2 else c.finish()
	daemon.records(101)
	until(lambda: daemon.descriptors() <= before + 2, "the descriptors to be closed")


def test_a_quiet_session_is_ended_after_tunnel_idle(lab):
	daemon = lab.start([lab.ws()], pool={"tunnel_idle": "1s"})
	c = lab.session(daemon)
	assert c.echo("x") == "x"
	assert c.read_frame().code == 1001
	c.send_close(1001)
	assert c.is_ended()
	record = daemon.records(1)[0]
	assert (record["why"], record["by"], record["close"]) == ("tunnel-idle", "stickyd", 1001)


def test_a_busy_session_outlives_tunnel_idle(lab):
	daemon = lab.start([lab.ws()], pool={"tunnel_idle": "2s"})
	c = lab.session(daemon)
	for _ in range(25):
		assert c.is_silent(0.15)
		assert c.echo("x") == "x"


def test_quiet_sessions_are_pinged_on_both_sides(lab):
	seen = []

	def gateway(side):
		while True:
			f = side.read_frame()
			seen.append((f.opcode, f.is_masked))
			if f.opcode == ws.TEXT:
				side.send_frame(ws.TEXT, f.payload)
	daemon = lab.start([lab.ws(handler=gateway)], pool={"ping_interval": "500ms"})
	c = lab.session(daemon)
	assert c.read_frame().opcode == ws.PING
	until(lambda: (ws.PING, True) in seen, "a ping at the gateway")
	c.send_text("hello")
	while (f := c.read_frame()).opcode == ws.PING:
		pass
	assert f.payload == b"hello"


def test_a_session_pinged_for_long_stays(lab):
	"""The python library answers pings, and measures that its own are answered."""
	daemon = lab.start([lab.library(ping_interval=0.3, ping_timeout=2)], pool={"ping_interval": "300ms", "tunnel_idle": "1h"})

	async def talk():
		async with websockets.connect(f"ws://127.0.0.1:{daemon.port}/", ping_interval=0.3, ping_timeout=2) as c:
			await c.recv()
			await asyncio.sleep(2)
			await c.send("x")
			assert await c.recv() == "x"
	asyncio.run(talk())


def test_sessions_over_ipv6(lab):
	if not socket.has_ipv6:
		pytest.skip("no IPv6 here")
	daemon = lab.start([lab.ws(host="::1")], listener={"bind": "[::1]:0"})
	assert lab.session(daemon).echo("x") == "x"
