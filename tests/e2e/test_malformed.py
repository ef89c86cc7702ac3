# SPDX-License-Identifier: BSD-2-Clause
"""What could be read in two ways is refused, and nothing of it reaches a gateway."""

import pytest

from harness.http import head
from harness.wait import until


def one(*fields, line="GET / HTTP/1.1", host="Host: a"):
	return head(line, *([host] if host else []), *fields)


def chunked(body, *fields):
	return one("Transfer-Encoding: chunked", *fields, line="POST / HTTP/1.1") + body


HEADS = {
	# lengths (RFC 9112, 6.1 to 6.3)
	"length and chunked": one("Content-Length: 5", "Transfer-Encoding: chunked", line="POST / HTTP/1.1") + b"0\r\n\r\n",
	"two lengths": one("Content-Length: 3", "Content-Length: 4", line="POST / HTTP/1.1") + b"abcd",
	"two lengths in one": one("Content-Length: 3, 4", line="POST / HTTP/1.1") + b"abcd",
	"length with a sign": one("Content-Length: +3", line="POST / HTTP/1.1") + b"abc",
	"negative length": one("Content-Length: -1", line="POST / HTTP/1.1"),
	"hexadecimal length": one("Content-Length: 0x3", line="POST / HTTP/1.1") + b"abc",
	"empty length": one("Content-Length:", line="POST / HTTP/1.1"),
	"length with a blank in it": one("Content-Length: 1 1", line="POST / HTTP/1.1") + b"a" * 11,
	"length that overflows": one("Content-Length: 18446744073709551617", line="POST / HTTP/1.1") + b"a",
	"unknown coding": one("Transfer-Encoding: xchunked", line="POST / HTTP/1.1") + b"0\r\n\r\n",
	"chunked not last": one("Transfer-Encoding: chunked, identity", line="POST / HTTP/1.1") + b"0\r\n\r\n",
	"chunked twice": one("Transfer-Encoding: chunked, chunked", line="POST / HTTP/1.1") + b"0\r\n\r\n",
	"two codings": one("Transfer-Encoding: chunked", "Transfer-Encoding: identity", line="POST / HTTP/1.1") + b"0\r\n\r\n",
	"coding in quotes": one("Transfer-Encoding: \"chunked\"", line="POST / HTTP/1.1") + b"0\r\n\r\n",
	"coding with a vertical tab": one("Transfer-Encoding: \vchunked", line="POST / HTTP/1.1") + b"0\r\n\r\n",
	"chunked in HTTP/1.0": one("Transfer-Encoding: chunked", line="POST / HTTP/1.0") + b"0\r\n\r\n",
	# fields (5.1, 5.2)
	"folded": one("X: a\r\n b"),
	"folded by a tab": one("X: a\r\n\tb"),
	"folded first": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
	"blank before the colon": one("X : a"),
	"tab before the colon": one("Content-Length\t: 3", line="POST / HTTP/1.1") + b"abc",
	"no colon": one("nonsense"),
	"no name": one(": a"),
	"bare CR": one("X: a\rb"),
	"CR in the name": one("X\rY: a"),
	"NUL in a value": one("X: a\0b"),
	"NUL in a name": one("X\0: a"),
	"control byte in a value": one("X: a\x01b"),
	"DEL in a value": one("X: a\x7fb"),
	"bytes that no name has": one("X(Y): a"),
	"name in another alphabet": one("X\xe4: a"),
	"bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
	"bare LF in between": b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
	# Host (3.2)
	"no Host": one(host=None),
	"two Hosts": one("Host: b"),
	"two equal Hosts": one("Host: a"),
	"blank in Host": one(host="Host: a b"),
	"path in Host": one(host="Host: a/b"),
	"user in Host": one(host="Host: u@a"),
	"bad port in Host": one(host="Host: a:b"),
	"list in Host": one(host="Host: a, b"),
	"Host that differs from the target's": one(line="GET http://b/ HTTP/1.1"),
	# the line (3)
	"no version": b"GET /\r\nHost: a\r\n\r\n",
	"two blanks": one(line="GET  / HTTP/1.1"),
	"tab": one(line="GET\t/ HTTP/1.1"),
	"blank behind": one(line="GET / HTTP/1.1 "),
	"blank before": one(line=" GET / HTTP/1.1"),
	"blank in the target": one(line="GET /a b HTTP/1.1"),
	"NUL in the target": one(line="GET /\0 HTTP/1.1"),
	"control byte in the target": one(line="GET /\x01 HTTP/1.1"),
	"CR in the target": one(line="GET /\r HTTP/1.1"),
	"bytes above ASCII in the target": one(line="GET /\xe4 HTTP/1.1"),
	"fragment": one(line="GET /#x HTTP/1.1"),
	"no slash": one(line="GET x HTTP/1.1"),
	"asterisk for a GET": one(line="GET * HTTP/1.1"),
	"method with bytes that none has": one(line="G@T / HTTP/1.1"),
	"no method": one(line=" / HTTP/1.1"),
	"lower-case version": one(line="GET / http/1.1"),
	"long version": one(line="GET / HTTP/1.10"),
	"leading zero": one(line="GET / HTTP/01.1"),
	"another protocol": one(line="GET / HTCPCP/1.1"),
	"TLS": bytes.fromhex("16030100a5010000a10303") + bytes(160),
	"nothing but text": b"hello, is anybody there?\r\n\r\n",
	# a handshake that claims to be one and is not (RFC 6455, 4.2.1)
	"upgrade without a key": one("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
	"upgrade with a short key": one("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: YWJj"),
	"upgrade with two keys": one("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
	"upgrade without a version": one("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="),
	"upgrade with a body": one("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Content-Length: 3") + b"abc",
	"upgrade of a POST": one("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", line="POST / HTTP/1.1"),
}


@pytest.mark.parametrize("what", HEADS)
def test_a_bad_head_is_refused(lab, what):
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(HEADS[what] + one(line="GET /smuggled HTTP/1.1"))
		answer = c.response()
		assert answer.status == 400, answer.line
		assert answer.get("connection") == "close"
		assert c.is_ended()
	assert gateway.received() == b""
	assert daemon.records(1)[0]["why"] == "bad-request"
	assert lab.get(daemon).status == 200, "and nothing else is disturbed"


CHUNKS = {
	"not a number": b"zz\r\nabc\r\n0\r\n\r\n",
	"no number": b"\r\nabc\r\n0\r\n\r\n",
	"negative": b"-1\r\nabc\r\n0\r\n\r\n",
	"with 0x": b"0x3\r\nabc\r\n0\r\n\r\n",
	"with a sign": b"+3\r\nabc\r\n0\r\n\r\n",
	"overflow": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
	"blank before": b" 3\r\nabc\r\n0\r\n\r\n",
	"no line end behind the data": b"3\r\nabcX\r\n0\r\n\r\n",
	"shorter than the data": b"2\r\nabc\r\n0\r\n\r\n",
	"bare LF behind the size": b"3\nabc\r\n0\r\n\r\n",
	"bare CR in an extension": b"3;a\rb\r\nabc\r\n0\r\n\r\n",
	"bare LF in an extension": b"3;a\nabc\r\n0\r\n\r\n",
	"long extension": b"3;" + b"a" * 5000 + b"\r\nabc\r\n0\r\n\r\n",
	"bad trailer": b"3\r\nabc\r\n0\r\nX : 1\r\n\r\n",
	"folded trailer": b"3\r\nabc\r\n0\r\nX: 1\r\n 2\r\n\r\n",
	"huge trailer": b"3\r\nabc\r\n0\r\nX: " + b"a" * 20000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("what", CHUNKS)
@pytest.mark.parametrize("when", ["at once", "later"])
def test_bad_chunks_are_refused(lab, what, when):
	"""Those that come later find the head gone on already; the gateway must not take that for a whole request."""
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		sent = chunked(b"4\r\ngood\r\n")
		if when == "later":
			c.send(sent)
			until(lambda: b"good" in gateway.received(), "the good chunk at the gateway")
			sent = b""
		c.send(sent + CHUNKS[what] + one(line="GET /smuggled HTTP/1.1"))
		answer = c.response()
		assert answer.status == 400, answer.line
		assert c.is_ended()
	assert gateway.requests == []
	assert b"smuggled" not in gateway.received()
	assert daemon.records(1)[0]["why"] == "bad-body"
	assert lab.get(daemon).status == 200


def test_equal_lengths_are_one_or_refused(lab):
	"""RFC 9112, 6.3, item 5 leaves the choice; what matters is that the gateway sees one."""
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(one("Content-Length: 3", "Content-Length: 3", line="POST / HTTP/1.1") + b"abc")
		status = c.response().status
	assert status == 400 and not gateway.requests or gateway.requests[0].all("content-length") == ["3"]


@pytest.mark.parametrize("line", ["GET / HTTP/2.0", "GET / HTTP/0.9", "GET / HTTP/3.1"])
def test_other_versions(lab, line):
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(one(line=line))
		assert c.response().status in (400, 505)
		assert c.is_ended()
	assert gateway.received() == b""


LARGE = {
	"target": (one(line=f"GET /{'a' * 40000} HTTP/1.1"), 414),
	"field": (one("X: " + "a" * 40000), 431),
	"many fields": (one(*[f"X-{i}: 1" for i in range(2000)]), 431),
	"more small fields than are known": (one(*["X:" for _ in range(1000)]), 431),
	"head without an end": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 10000, 431),
	"line without an end": (b"GET /" + b"a" * 100000, 414),
}


@pytest.mark.parametrize("what", LARGE)
def test_what_is_too_large(lab, what):
	sent, status = LARGE[what]
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(sent)
		assert c.response().status == status
		assert c.is_ended()
	assert gateway.received() == b""


def test_max_header_is_the_operators(lab):
	daemon = lab.start(lab.https(1), listener={"max_header": "64k"})
	assert lab.get(daemon, "/", "X: " + "a" * 60000).status == 200
	assert lab.get(daemon, "/", "X: " + "a" * 66000).status == 431


def test_a_good_request_before_a_bad_one_is_answered(lab):
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(one() + one("X : a") + one(line="GET /smuggled HTTP/1.1"))
		assert c.response().status == 200
		assert c.response().status == 400
		assert c.is_ended()
	assert len(gateway.requests) == 1


def test_an_error_page_says_what_a_client_may_know(lab):
	daemon = lab.start([lab.refusing("secretname")], pool={"retries": 0})
	answer = lab.get(daemon)
	assert answer.status == 502
	assert answer.get("x-request-id") in answer.text
	assert daemon.records(1)[0]["id"] == answer.get("x-request-id")
	port = lab.gateways[0].line.rsplit(":", 1)[1]
	told = repr(answer.fields) + answer.text
	assert "secretname" not in told and port not in told
