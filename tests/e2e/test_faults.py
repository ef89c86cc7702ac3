# SPDX-License-Identifier: BSD-2-Clause
"""Clients and gateways that are slow, broken or gone: a clear error on the right side, one log line, nothing else disturbed."""

import socket
import threading
import time
from collections import Counter

import pytest

from harness.http import head
from harness.wait import until
from harness.wire import Broken


def only_record(daemon):
	"""One event, one line: also a little later."""
	records = daemon.records(1)
	assert len(records) == 1
	return records[0]


# clients


def test_a_client_that_sends_a_byte_now_and_then(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], listener={"header_timeout": "1s"})
	with lab.client(daemon) as c:
		c.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")

		def dribble():
			try:
				c.send(b"a")
				return not c.is_silent(0.05)
			except ConnectionError:
				return True
		until(dribble, "an answer")
		answer = c.response()
		assert answer.status == 408 and answer.get("connection") == "close"
	assert only_record(daemon)["why"] == "header-timeout"
	assert gateway.received() == b""


def test_a_client_that_says_nothing_is_closed_without_a_word(lab):
	daemon = lab.start(lab.https(1), listener={"header_timeout": "1s"})
	with lab.client(daemon) as c:
		assert c.is_ended()


def test_a_kept_connection_is_closed_after_keepalive_timeout(lab):
	daemon = lab.start(lab.https(1), listener={"keepalive_timeout": "1s", "header_timeout": "10s"})
	with lab.client(daemon) as c:
		assert c.get().status == 200
		assert c.is_ended()
	assert len(daemon.access()) == 1


def test_a_body_that_stops_coming(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], listener={"body_timeout": "1s"})
	with lab.client(daemon) as c:
		c.send(head("POST / HTTP/1.1", "Host: a", "Content-Length: 10") + b"half")
		answer = c.response()
		assert answer.status == 408
		assert c.is_ended()
	assert only_record(daemon)["why"] == "body-timeout"
	assert gateway.requests == []


def test_a_body_that_comes_slowly_but_comes(lab):
	"""body_timeout is for silence: this one takes longer than that in all."""
	daemon = lab.start(lab.https(1), listener={"body_timeout": "1s"})
	n = 40
	with lab.client(daemon) as c:
		c.send(head("POST / HTTP/1.1", "Host: a", f"Content-Length: {n}"))
		for _ in range(n - 1):
			c.send(b"x")
			assert c.is_silent(0.04)
		c.send(b"x")
		assert c.response().status == 200


def test_a_client_that_ends_in_the_midst_of_its_body(lab):
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(head("POST / HTTP/1.1", "Host: a", "Content-Length: 10") + b"half")
		c.end_writing()
		c.read_to_end()
	record = only_record(daemon)
	assert record["by"] == "client"
	assert gateway.requests == []


def test_a_client_that_reads_slowly_but_reads(lab):
	"""What is on its way to it takes longer than body_timeout, but never stands still for that long."""
	body = bytes(4_000_000)
	daemon = lab.start([lab.http(pages={"/": lambda side, _: side.answer(body=body)})], listener={"body_timeout": "200ms"})
	pace = threading.Event()
	with lab.client(daemon, receive_buffer=32768) as c:
		c.request("/")
		c.read_until(b"\r\n\r\n")
		got = len(c.buffer)
		while got < len(body):
			got += len(c.sock.recv(65536))
			pace.wait(0.02)
		assert got == len(body)
	assert only_record(daemon)["why"] == "done"


def test_a_client_that_stops_reading(lab):
	daemon = lab.start([lab.http(pages={"/": lambda side, _: side.answer(body=bytes(20_000_000))})], listener={"body_timeout": "500ms"})
	with lab.client(daemon, receive_buffer=4096) as c:
		c.request("/")
		assert only_record(daemon)["why"] == "client-stalled"


# gateways that answer nonsense


def answering(answer, then="close"):
	"""A gateway that reads a request and says this."""
	def handler(side):
		side.read_request()
		side.send(answer)
		if then == "hang":
			side.read_to_end()
	return handler


NONSENSE = {
	"garbage": b"\x00\x01\x02 garbage \xff\r\n\r\n",
	"another protocol": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
	"no status": b"HTTP/1.1\r\n\r\n",
	"status of two digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
	"status of letters": b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
	"another version": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
	"two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
	"length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"bad length": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
	"folded": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
	"blank before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
	"NUL": b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 0\r\n\r\n",
	"bare CR": b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
	"huge head": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200000 + b"\r\n\r\n",
	"switching unasked": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
	"half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
	"nothing": b"",
}


@pytest.mark.parametrize("what", NONSENSE)
def test_a_gateway_that_answers_nonsense(lab, what):
	daemon = lab.start([lab.scripted(answering(NONSENSE[what]))])
	answer = lab.get(daemon, method="POST", body=b"x")
	assert answer.status == 502
	record = only_record(daemon)
	assert record["by"] == "gateway" and record["why"].startswith("gateway-")
	assert (record["gateway"], record["status"]) == ("gw1", 502)


def test_a_gateway_that_answers_nothing(lab):
	daemon = lab.start([lab.scripted(answering(b"", "hang"))], pool={"response_timeout": "1s"})
	assert lab.get(daemon).status == 504
	assert only_record(daemon)["why"] == "response-timeout"


def test_a_gateway_that_takes_an_upload_slowly(lab):
	"""It is not silent: what it is sent grows less all the time, though in response_timeout not by enough for more to be written."""
	size, step = 6 << 20, 1 << 16

	def slow(side):
		side.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, step)
		side.read_head()
		got = len(side.buffer)
		while got < size:
			time.sleep(0.05)
			got += len(side.sock.recv(step))
		side.buffer.clear()
		side.answer(body=b"ok")

	daemon = lab.start([lab.scripted(slow)], pool={"response_timeout": "1s"})
	answer = lab.get(daemon, method="POST", body=bytes(size))
	assert (answer.status, answer.body) == (200, b"ok")
	assert only_record(daemon)["status"] == 200


def test_a_gateway_that_answers_half_a_head_and_hangs(lab):
	daemon = lab.start([lab.scripted(answering(b"HTTP/1.1 200 OK\r\nX", "hang"))], pool={"response_timeout": "1s"})
	assert lab.get(daemon).status == 504


def test_a_gateway_that_sends_too_much_body(lab):
	"""What is behind the body must not become the answer to somebody else's request."""
	def page(side, request):
		side.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
	daemon = lab.start([lab.http(pages={"/long": page})], globals={"workers": 1})
	with lab.client(daemon) as c:
		for _ in range(5):
			assert c.get("/long").body == b"ok"
			assert b"poison" not in c.get("/").body


def test_bytes_on_an_idle_gateway_connection_are_no_answer(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], globals={"workers": 1})
	with lab.client(daemon) as c:
		assert c.get().status == 200
		gateway.sides[0].send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
		for _ in range(3):
			assert b"poison" not in c.get().body
	assert len(gateway.sides) == 2


DYING = {
	"by length": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
	"between chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
	"in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
	"bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n",
	"before the last line": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
}


@pytest.mark.parametrize("what", DYING)
def test_a_gateway_that_dies_mid_body(lab, what):
	"""The client must be able to tell that this was not all."""
	daemon = lab.start([lab.scripted(answering(DYING[what]))])
	with lab.client(daemon) as c:
		c.request()
		try:
			assert c.response().status == 502, "it went on as if it were all"
		except Broken:
			pass
	assert only_record(daemon)["by"] == "gateway"


def test_a_gateway_that_resets_mid_body(lab):
	def page(side):
		side.read_request()
		side.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
		assert done.wait(20)
		side.reset()
	done = threading.Event()
	daemon = lab.start([lab.scripted(page)])
	with lab.client(daemon) as c:
		c.request()
		c.read_until(b"half")
		done.set()
		with pytest.raises(Broken):
			c.read(6)
	assert only_record(daemon)["why"] in ("gateway-reset", "gateway-closed", "gateway-bad-body")


# gateways that cannot be reached


def test_a_refused_connection_costs_the_client_nothing(lab):
	daemon = lab.start([lab.refusing("gw1"), lab.http("gw2"), lab.refusing("gw3")], pool={"balance": "roundrobin"})
	for i in range(12):
		assert lab.get(daemon, method="POST", body=b"x").status == 200
	assert {r["gateway"] for r in daemon.records(12)} == {"gw2"}
	assert max(r["retries"] for r in daemon.access()) > 0


def test_retries_are_bounded(lab):
	gateways = [lab.refusing(f"gw{i}") for i in range(3)] + [lab.http("good")]
	daemon = lab.start(gateways, pool={"balance": "roundrobin", "retries": 0})
	assert Counter(lab.get(daemon).status for _ in range(8))[502] > 0


def test_all_refused(lab):
	daemon = lab.start([lab.refusing("gw1"), lab.refusing("gw2")])
	assert lab.get(daemon).status in (502, 503)
	record = only_record(daemon)
	assert record["by"] == "gateway" and record["retries"] > 0


def test_a_gateway_that_does_not_accept(lab):
	daemon = lab.start([lab.deaf()], pool={"connect_timeout": "300ms", "retries": 0})
	assert lab.get(daemon).status == 504
	assert only_record(daemon)["why"] == "gateway-connect-timeout"


def test_another_takes_over_for_one_that_does_not_accept(lab):
	daemon = lab.start([lab.deaf(), lab.http("gw2")], pool={"connect_timeout": "300ms", "balance": "roundrobin"})
	for _ in range(4):
		assert lab.get(daemon).status == 200


def test_a_kept_connection_that_the_gateway_has_closed(lab):
	"""It closes some time after its answer, as servers do: no request may be lost by that."""
	gateway = lab.http()
	daemon = lab.start([gateway], globals={"workers": 1})
	with lab.client(daemon) as c:
		for i in range(10):
			assert c.get(method="POST", body=b"x").status == 200
			gateway.sides[-1].end_writing()


def test_a_kept_connection_that_closes_under_a_request(lab):
	"""Safe requests are sent again, others are not: the gateway may have acted on them."""
	def handler(side):
		side.read_request()
		side.answer(body=b"first")
		if side.read_request():
			seen.append(side)
			side.reset()
	seen = []
	daemon = lab.start([lab.scripted(handler)], globals={"workers": 1})
	with lab.client(daemon) as c:
		assert c.get().body == b"first"
		assert c.get().body == b"first"
		answer = c.get(method="POST", body=b"x")
		assert answer.status == 502
	assert len(seen) == 2


def test_a_kept_connection_that_resets_costs_the_next_request_nothing(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], globals={"workers": 1})
	with lab.client(daemon) as c:
		for _ in range(5):
			assert c.get().status == 200
			gateway.sides[-1].reset()


def test_idle_connections_are_bounded(lab):
	go = threading.Event()

	def page(side, request):
		assert go.wait(20)
		side.answer(body=b"x")
	gateway = lab.http(pages={"/": page})
	daemon = lab.start([gateway], globals={"workers": 1}, pool={"idle_connections": 2})
	clients = [lab.client(daemon) for _ in range(6)]
	for c in clients:
		c.request()
	gateway.connected(6)
	go.set()
	for c in clients:
		assert c.response().status == 200

	def open_ones():
		return sum(1 for s in gateway.sides if not s.sock._closed)
	until(lambda: open_ones() == 2, "all but two to be closed")


def test_no_idle_connections(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], pool={"idle_connections": 0})
	with lab.client(daemon) as c:
		for _ in range(3):
			assert c.get().status == 200
	assert len(gateway.sides) == 3
