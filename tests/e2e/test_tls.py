# SPDX-License-Identifier: BSD-2-Clause
"""TLS towards clients: versions, names, resumption, sessions over it, and bad peers."""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import threading

import pytest
import websockets

from harness import ws
from harness.daemon import kb
from harness.gateways import NODE, has_node_ws, takes_until
from harness.http import Client
from harness.wait import until


def start(lab, gateways, *names, **how):
	certificates = [lab.authority.issue(*n) for n in names or [("game.test", "127.0.0.1")]]
	return lab.start(gateways, listener={"tls": "yes", "certificate": certificates, **how.pop("listener", {})}, **how)


def connect(lab, daemon, name="game.test", context=None, **how):
	c = Client(daemon.address(), tls=context or lab.authority.context(), server_name=name, **how)
	lab.clients.append(c)
	return c


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_versions_that_are_spoken(lab, version):
	gateway = lab.http()
	daemon = start(lab, [gateway])
	context = lab.authority.context()
	context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
	c = connect(lab, daemon, context=context)
	assert c.sock.version() == version.replace("_", ".")
	assert c.sock.selected_alpn_protocol() == "http/1.1"
	answer = c.get()
	assert answer.status == 200
	assert "secure" in answer.cookie().attributes, "cookie_secure = auto"
	assert gateway.requests[0].get("x-forwarded-proto") == "https"
	assert daemon.records(1)[0]["tls"] is True


@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_versions_that_are_not(lab, version):
	daemon = start(lab, lab.https(1))
	host, port = daemon.address()
	out = subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}", f"-{version}", "-cipher", "ALL:@SECLEVEL=0"],
		input="", capture_output=True, text=True, timeout=20)
	assert out.returncode != 0 and "alert protocol version" in out.stderr
	daemon.wait_log("(?i)(unsupported|version)")
	assert connect(lab, daemon).get().status == 200


@pytest.mark.parametrize("cipher", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "NULL"])
def test_ciphers_that_are_not(lab, cipher):
	daemon = start(lab, lab.https(1))
	host, port = daemon.address()
	out = subprocess.run(["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0"],
		input="", capture_output=True, text=True, timeout=20)
	assert out.returncode != 0


def test_the_certificate_goes_by_the_name_that_is_asked_for(lab):
	daemon = start(lab, lab.https(1), ("game.test",), ("other.test",), ("*.wild.test",))

	def names(asked):
		context = lab.authority.context()
		context.check_hostname = False
		return {v for _, v in connect(lab, daemon, asked, context).sock.getpeercert()["subjectAltName"]}

	assert names("game.test") == {"game.test"}
	assert names("other.test") == {"other.test"}
	assert names("OTHER.test") == {"other.test"}
	assert names("a.wild.test") == {"*.wild.test"}
	assert names("unknown.test") == {"game.test"}, "the first where none fits"
	assert names(None) == {"game.test"}


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_handshakes_are_resumed_on_any_worker(lab, version):
	daemon = start(lab, lab.https(1), globals={"workers": 4})
	context = lab.authority.context()
	context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
	first = connect(lab, daemon, context=context)
	assert first.get().status == 200
	session, resumed = first.sock.session, 0
	for _ in range(12):
		raw = socket.create_connection(daemon.address(), timeout=20)
		with context.wrap_socket(raw, server_hostname="game.test", session=session) as s:
			s.sendall(b"GET / HTTP/1.0\r\n\r\n")
			assert s.recv(15) == b"HTTP/1.1 200 OK"
			resumed += s.session_reused
	assert resumed == 12


@pytest.mark.threads
def test_sessions_over_tls_with_the_python_library(lab):
	gateways = [lab.library(f"gw{i}") for i in range(3)]
	daemon = start(lab, gateways)
	context = lab.authority.context()

	async def visit(source, cookie=None):
		async with websockets.connect(f"wss://127.0.0.1:{daemon.port}/", ssl=context, local_addr=(source, 0), max_size=None, compression=None,
				extra_headers={"Cookie": cookie} if cookie else {}) as c:
			name = await c.recv()
			for size in (0, 1, 16384, 16385, 1000000):
				message = os.urandom(size)
				await c.send(message)
				assert await c.recv() == message
			given = c.response_headers.get("Set-Cookie")
			return name, given.split(";")[0] if given else None

	async def story(n):
		gateway, cookie = await visit(f"127.0.1.{n}")
		for network in range(2, 4):
			assert await visit(f"127.0.{network}.{n}", cookie) == (gateway, None)

	async def all_of_them():
		await asyncio.gather(*(story(n) for n in range(1, 16)))
	asyncio.run(all_of_them())


@pytest.mark.skipif(not has_node_ws(), reason="node or its package ws is missing")
def test_sessions_over_tls_with_node(lab):
	daemon = start(lab, [lab.node()])
	out = subprocess.run(["node", str(NODE / "client.js"), f"wss://127.0.0.1:{daemon.port}/", "127.0.0.1"],
		capture_output=True, text=True, timeout=60)
	assert out.returncode == 0, out.stderr
	seen = json.loads(out.stdout)
	assert seen["echoes"] == seen["sent"]


def test_curl_over_tls(lab, tmp_path):
	def page(side, request):
		side.answer(body=request.body)
	daemon = start(lab, [lab.http(pages={"/": page})])
	(tmp_path / "body").write_bytes(os.urandom(5000000))
	out = subprocess.run(["curl", "-sS", "--max-time", "30", "--cacert", lab.authority.file, "-H", "Expect:", "--data-binary",
		f"@{tmp_path}/body", "--resolve", f"game.test:{daemon.port}:127.0.0.1", f"https://game.test:{daemon.port}/"],
		capture_output=True, timeout=60)
	assert out.returncode == 0, out.stderr
	assert out.stdout == (tmp_path / "body").read_bytes()


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_slow_reader_over_tls_holds_up_the_writer(lab, direction):
	go = threading.Event()
	sent = 0
	n = 64

	def pour(wire):
		nonlocal sent
		for _ in range(n):
			wire.send_frame(ws.BINARY, bytes(1 << 20))
			sent += 1

	def gateway(side):
		if direction == "down":
			pour(side)
		else:
			assert go.wait(60)
			for _ in range(n):
				side.read_frame()
		side.send_text("all")
		side.read_to_end()
	daemon = start(lab, [lab.ws(handler=gateway)])
	c = lab.session(daemon, tls=lab.authority.context(), server_name="game.test")
	daemon.reset_peak()
	before = daemon.peak_kb()
	if direction == "up":
		threading.Thread(target=pour, args=(c,), daemon=True).start()
	stood = [-1]

	def stands():
		stood.append(sent)
		return len(stood) > 50 and stood[-1] == stood[-50]
	until(stands, "the writer to be held up")
	assert sent < n
	go.set()
	if direction == "down":
		for _ in range(n):
			assert len(c.read_frame().payload) == 1 << 20
	assert c.read_text() == "all"
	assert daemon.peak_kb() - before < kb(8)


def test_the_end_over_tls_is_a_proper_one(lab):
	"""close_notify: a client can tell an end from a cut."""
	daemon = start(lab, lab.https(1))
	c = connect(lab, daemon)
	c.sock.suppress_ragged_eofs = False
	assert c.get("/", "Connection: close").status == 200
	assert c.is_ended()


def test_a_client_that_vanishes_over_tls(lab):
	gone = threading.Event()
	daemon = start(lab, [lab.ws(handler=takes_until(gone))])
	c = lab.session(daemon, tls=lab.authority.context(), server_name="game.test")
	c.reset()
	assert gone.wait(20)
	assert daemon.records(1)[0]["by"] == "client"


@pytest.mark.parametrize("what", ["plain HTTP", "garbage", "nothing", "half a hello"])
def test_peers_that_do_not_speak_tls(lab, what):
	gateway = lab.http()
	daemon = start(lab, [gateway], listener={"header_timeout": "1s"})
	with lab.client(daemon) as c:
		if what == "plain HTTP":
			c.request("/secret")
		elif what == "garbage":
			c.send(os.urandom(1).replace(b"\x16", b"\x17") + bytes(1000))
		elif what == "half a hello":
			c.send(bytes.fromhex("1603010200010001fc0303"))
		try:
			rest = c.read_to_end()
		except OSError:
			rest = b""
		except Exception:
			rest = bytes(c.buffer)
		assert not rest.startswith(b"HTTP/1.1 200")
	assert gateway.received() == b""
	assert connect(lab, daemon).get().status == 200


def test_a_hello_that_comes_slowly(lab):
	daemon = start(lab, lab.https(1), listener={"header_timeout": "1s"})
	with lab.client(daemon) as c:
		def dribble():
			try:
				c.send(b"\x16\x03\x01\x02\0\x01"[:1])
				return not c.is_silent(0.05)
			except ConnectionError:
				return True
			except Exception:
				return True
		until(dribble, "the end")


def test_renegotiation_is_not_to_be_had(lab):
	daemon = start(lab, lab.https(1))
	host, port = daemon.address()
	with subprocess.Popen(["openssl", "s_client", "-connect", f"{host}:{port}", "-tls1_2"], stdin=subprocess.PIPE,
			stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as client:
		client.stdin.write("R\n")
		client.stdin.flush()
		said = client.stdout.read()
	assert "RENEGOTIATING" in said and "no renegotiation" in said
	assert connect(lab, daemon).get().status == 200


@pytest.mark.threads
def test_many_clients_over_tls(lab):
	daemon = start(lab, lab.https(2), globals={"workers": 4})
	out = subprocess.run(["curl", "-sS", "--parallel", "--parallel-max", "30", "-k", "-o", "/dev/null", "-w", "%{http_code}\n",
		f"https://127.0.0.1:{daemon.port}/[1-200]"], capture_output=True, text=True, timeout=120)
	assert out.stdout.split() == ["200"] * 200, out.stderr
