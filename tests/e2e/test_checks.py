# SPDX-License-Identifier: BSD-2-Clause
"""What a check asks and which answer is good: by HTTP, by WebSocket, over TLS. When what follows is test_health.py's."""

import ssl
import threading

import pytest

from harness import ws
from harness.certs import Authority
from harness.gateways import has_node_ws
from harness.wait import until

FAST = {"check_interval": "50ms", "check_timeout": "500ms", "check_rise": 1, "check_fall": 2}


def is_down(daemon, why):
	return daemon.wait_log(rf"gateway gw1 \S+ is down: .*{why}")


def stays_up(daemon, asked, n=4):
	"""After so many further checks nothing was said against it."""
	before = len(asked)
	until(lambda: len(asked) >= before + n, "checks")
	assert "is down" not in daemon.log


# by HTTP


def test_method_host_and_path(lab):
	gateway = lab.http(pages={"/ready": lambda side, request: side.answer("204 No Content")})
	daemon = lab.start([gateway], pool={**FAST, "check": "http", "check_path": "/ready?from=proxy", "check_method": "HEAD",
		"check_host": "game.example.com"})
	stays_up(daemon, gateway.requests)
	r = gateway.requests[0]
	assert (r.method, r.target, r.get("host")) == ("HEAD", "/ready?from=proxy", "game.example.com")
	assert not r.has("content-length")


def test_a_method_with_a_body_says_that_there_is_none(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], pool={**FAST, "check": "http", "check_method": "POST"})
	stays_up(daemon, gateway.requests)
	r = gateway.requests[0]
	assert (r.method, r.get("content-length"), r.get("host")) == ("POST", "0", gateway.address)


@pytest.mark.parametrize("status, good", [(200, True), (299, True), (300, False), (403, True), (404, False), (501, True)])
def test_several_ranges(lab, status, good):
	gateway = lab.http(pages={"/healthz": lambda side, request: side.answer(f"{status} So")})
	daemon = lab.start([gateway], pool={**FAST, "check": "http", "check_expect": "200-299, 403, 500-599"})
	if good:
		stays_up(daemon, gateway.requests)
	else:
		is_down(daemon, f"status {status}, expected 200-299, 403, 500-599")


# by WebSocket


def test_a_handshake_that_is_good(lab):
	heads, closes = [], []

	def handler(side):
		heads.append(side.opening)
		closes.append(side.read_frame())
		side.send_close(closes[-1].code)
	gateway = lab.ws(handler=handler)
	daemon = lab.start([gateway], pool={**FAST, "check": "websocket", "check_path": "/ws?check", "check_host": "a.test:81"})
	stays_up(daemon, closes)
	assert (heads[0].target, heads[0].get("host")) == ("/ws?check", "a.test:81")
	assert len({h.get("sec-websocket-key") for h in heads}) == len(heads), "a key is drawn for each"
	assert all(f.opcode == ws.CLOSE and f.code == 1000 and f.is_masked for f in closes)


def test_python_websockets(lab):
	gateway = lab.library()
	daemon = lab.start([gateway], pool={**FAST, "check": "websocket", "check_path": "/"})
	until(lambda: gateway.sessions >= 5, "checks")
	assert "is down" not in daemon.log


@pytest.mark.skipif(not has_node_ws(), reason="node or its package ws is missing")
def test_node_ws(lab):
	daemon = lab.start([lab.node("gw1")], pool={**FAST, "check": "websocket", "check_path": "/"})
	assert lab.session(daemon).opening.status == 101
	assert "is down" not in daemon.log, "it is ready when all have been looked at once"


@pytest.mark.parametrize("what, why", [
	("wrong", "not the one right Sec-WebSocket-Accept"), ("none", "not the one right Sec-WebSocket-Accept"),
	("protocol", "a subprotocol that was not offered"), ("no upgrade", "a 101 that does not upgrade"), ("200", "status 200"),
	("503", "status 503"), ("garbage", "not HTTP"), ("closes", "closed without an answer"), ("silence", "no answer in 500 ms"),
])
def test_handshakes_that_are_not(lab, what, why):
	def handler(side):
		key = side.read_head().get("sec-websocket-key")
		upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		accept = f"Sec-WebSocket-Accept: {ws.accept_of(key)}\r\n"
		said = {
			"wrong": upgrade + f"Sec-WebSocket-Accept: {ws.accept_of(key[::-1])}\r\n\r\n", "none": upgrade + "\r\n",
			"protocol": upgrade + accept + "Sec-WebSocket-Protocol: chat\r\n\r\n",
			"no upgrade": "HTTP/1.1 101 Switching Protocols\r\n" + accept + "\r\n",
			"200": "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "garbage": "SSH-2.0-OpenSSH\r\n\r\n",
			"503": "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
		}.get(what, "")
		side.send(said.encode())
		if what != "closes":
			side.read_to_end()
	daemon = lab.start([lab.scripted(handler)], pool={**FAST, "check": "websocket"})
	is_down(daemon, why)


@pytest.mark.parametrize("how", ["does not close", "talks on", "resets"])
def test_how_a_gateway_ends_a_good_check_does_not_count(lab, how):
	opened, stop = [], threading.Event()

	def handler(side):
		opened.append(side)
		if how == "resets":
			side.reset()
			return
		while how == "talks on" and not stop.is_set():
			side.send(ws.frame(ws.TEXT, b"x" * 60000))
		side.read_to_end()
	gateway = lab.ws(handler=handler)
	daemon = lab.start([gateway], pool={**FAST, "check": "websocket", "check_timeout": "100ms"})
	stays_up(daemon, opened)
	assert lab.ws_client(daemon).open().opening.status == 101
	stop.set()


def test_a_websocket_asks_for_its_drain(lab):
	says, opened = [], []

	def opening(side):
		opened.append(side)
		side.accept(*says)
	gateway = lab.ws(opening=opening, handler=lambda side: side.read_frame())
	daemon = lab.start([gateway, lab.ws("gw2", opening=ws.WsSide.accept)], pool={**FAST, "check": "websocket"})
	stays_up(daemon, opened)
	says.append("x-stickyd-state: DRAIN")
	daemon.wait_log(r"gateway gw1 \S+ is draining")
	says.clear()
	daemon.wait_log(r"gateway gw1 \S+ is draining(?s:.*)gateway gw1 \S+ is up")


# over TLS


@pytest.mark.parametrize("check", ["tcp", "http", "websocket"])
@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_over_tls(lab, check, version):
	context = lab.authority.server("127.0.0.1")
	context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
	gateway = lab.ws(tls=context) if check == "websocket" else lab.http(tls=context)
	daemon = lab.start([gateway], pool={**FAST, "check": check, "gateway_tls": "yes", "gateway_ca": lab.authority.file})
	stays_up(daemon, gateway.sides)
	whole = [s for s in gateway.sides if isinstance(s.sock, ssl.SSLSocket) and s.sock.session_reused is not None]
	assert not any(s.sock.session_reused for s in whole), "each looks at the certificate"


@pytest.mark.parametrize("check", ["tcp", "http", "websocket"])
@pytest.mark.parametrize("mistake, why", [
	("stranger", "TLS: certificate: unable to get local issuer certificate"), ("expired", "TLS: certificate: certificate has expired"),
	("name", "TLS: the certificate is not for gw.test"), ("plain", "TLS: "), ("silent", "TLS: no answer in 500 ms"),
	("closes", "TLS: closed in its handshake|Connection reset"),
])
def test_over_tls_in_vain(lab, check, mistake, why):
	def handler(side):
		if mistake == "silent":
			side.read_to_end()
		elif mistake == "plain":
			side.answer()
	authority = lab.authority
	if mistake == "stranger":
		(lab.directory / "stranger").mkdir()
		authority = Authority(lab.directory / "stranger")
	context = authority.server("other.test" if mistake == "name" else "gw.test", days=-1 if mistake == "expired" else 7)
	with_tls = mistake in ("stranger", "expired", "name")
	gateway = lab.scripted(handler, tls=context if with_tls else None)
	daemon = lab.start([gateway], pool={**FAST, "check": check, "gateway_tls": "yes", "gateway_ca": lab.authority.file,
		"gateway_sni": "gw.test"})
	is_down(daemon, f"({why})")
