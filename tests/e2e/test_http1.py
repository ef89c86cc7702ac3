# SPDX-License-Identifier: BSD-2-Clause
"""Ordinary HTTP/1: connections that are kept, bodies of all kinds, headers as they go on."""

import json
import os
import queue
import socket
import subprocess
import threading
from collections import Counter

import pytest

from harness.daemon import kb
from harness.http import head
from harness.wait import until

UPLOAD_MB = int(os.environ.get("UPLOAD_MB", "1024"))


def told(response):
	return json.loads(response.body)


def fields_at(gateway):
	"""What the latest request brought to the gateway, by lower-case name."""
	return {n.lower(): v for n, v in gateway.requests[-1].fields}


def test_connections_are_kept_on_both_sides(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], globals={"workers": 1})
	with lab.client(daemon) as c:
		for i in range(100):
			answer = c.get(f"/{i}")
			assert (answer.status, told(answer)["target"]) == (200, f"/{i}")
	assert len(gateway.sides) == 1


def test_a_client_that_wants_to_close_is_closed(lab):
	daemon = lab.start([lab.http()])
	with lab.client(daemon) as c:
		answer = c.get("/", "Connection: close")
		assert answer.get("connection") == "close"
		assert c.is_ended()


def test_fifty_pipelined_requests_are_answered_in_order(lab):
	daemon = lab.start(lab.https(3))
	with lab.client(daemon) as c:
		c.send(b"".join(head(f"GET /{i} HTTP/1.1", "Host: a") for i in range(50)))
		assert [told(c.response())["target"] for _ in range(50)] == [f"/{i}" for i in range(50)]


def test_pipelined_requests_with_bodies(lab):
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(b"".join(
			head(f"POST /{i} HTTP/1.1", "Host: a", f"Content-Length: {i}") + b"x" * i +
			head(f"POST /{i}c HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n0\r\n\r\n"
			for i in range(25)))
		answers = [told(c.response()) for _ in range(50)]
	assert [a["length"] for a in answers[0::2]] == list(range(25))
	assert {a["length"] for a in answers[1::2]} == {3}


def test_a_request_may_come_byte_by_byte(lab):
	daemon = lab.start([lab.http()])
	with lab.client(daemon) as c:
		for byte in head("POST /x HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") + b"5;e=1\r\nabcde\r\n0\r\nT: 1\r\n\r\n":
			c.send(bytes([byte]))
		assert told(c.response())["length"] == 5


def test_one_empty_line_before_a_request_is_let_through(lab):
	daemon = lab.start([lab.http()])
	with lab.client(daemon) as c:
		c.send(b"\r\n" + head("GET / HTTP/1.1", "Host: a"))
		assert c.response().status == 200


def test_bodies_by_length_of_many_sizes(lab):
	def page(side, request):
		side.answer("200 OK", body=request.body)
	daemon = lab.start([lab.http(pages={"/": page})])
	with lab.client(daemon) as c:
		for n in (0, 1, 4095, 4096, 4097, 16384, 65536, 100000, 3000000):
			body = os.urandom(n)
			assert c.get(method="POST", body=body).body == body


def test_chunks_both_ways_with_trailers(lab):
	def page(side, request):
		side.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: X-Sum"))
		for part in (b"a", b"b" * 70000, b"c"):
			side.send(b"%x\r\n%s\r\n" % (len(part), part))
		side.send(b"0\r\nX-Sum: 42\r\n\r\n")
	gateway = lab.http(pages={"/": page})
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Trailer: X-Up", "TE: trailers") +
			b"3\r\nabc\r\n5;ext=\"x\"\r\ndefgh\r\n0\r\nX-Up: 7\r\n\r\n")
		answer = c.response()
		assert answer.body == b"a" + b"b" * 70000 + b"c"
		assert answer.trailers == [("X-Sum", "42")]
		assert c.get("/again").status == 200
	request = gateway.requests[0]
	assert request.body == b"abcdefgh"
	assert request.trailers == [("X-Up", "7")]


def test_trailers_that_must_not_be_are_left_out(lab):
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked") +
			b"1\r\nx\r\n0\r\nContent-Length: 5\r\nX-Good: 1\r\nHost: b\r\nConnection: x\r\n\r\n")
		assert c.response().status == 200
	assert gateway.requests[0].trailers == [("X-Good", "1")]


def test_a_body_that_ends_with_the_connection_goes_on_whole(lab):
	def page(side, request):
		side.send(head("HTTP/1.1 200 OK", "Content-Type: text/plain") + b"x" * 200000)
		side.close()
	daemon = lab.start([lab.http(pages={"/": page})])
	assert len(lab.get(daemon).body) == 200000


def test_a_client_of_http_1_0(lab):
	def chunks(side, request):
		side.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
	gateway = lab.http(pages={"/chunks": chunks})
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(head("GET / HTTP/1.0"))
		assert c.response().status == 200
		assert c.is_ended()
	with lab.client(daemon) as c:
		c.send(head("GET /chunks HTTP/1.0", "Host: a"))
		answer = c.response()
		assert not answer.has("transfer-encoding")
		assert answer.body == b"abcde"
		assert c.is_ended()
	with lab.client(daemon) as c:
		for _ in range(3):
			c.send(head("GET / HTTP/1.0", "Host: a", "Connection: keep-alive"))
			answer = c.response()
			assert answer.status == 200 and answer.get("connection").lower() == "keep-alive"


def test_a_gateway_of_http_1_0(lab):
	def page(side, request):
		side.send(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold")
		side.close()
	daemon = lab.start([lab.http(pages={"/": page})])
	with lab.client(daemon) as c:
		for _ in range(3):
			assert c.get().body == b"old"


def test_answers_without_a_body(lab):
	def page(side, request):
		if request.method == "HEAD":
			side.send(head("HTTP/1.1 200 OK", "Content-Length: 12345"))
		else:
			side.send(head(f"HTTP/1.1 {request.target[1:]} Whatever", "ETag: \"x\""))
	daemon = lab.start([lab.http(pages={"/": page, "/204": page, "/304": page})])
	with lab.client(daemon) as c:
		for _ in range(2):
			answer = c.get(method="HEAD")
			assert (answer.status, answer.get("content-length")) == (200, "12345")
			assert c.get("/204").status == 204
			assert c.get("/304").status == 304
			assert told(c.get("/x"))["target"] == "/x", "what follows is in step"


def test_interim_answers_go_on_at_once(lab):
	go = threading.Event()

	def page(side, request):
		side.send(head("HTTP/1.1 102 Processing"))
		side.send(head("HTTP/1.1 103 Early Hints", "Link: </style.css>; rel=preload"))
		assert go.wait(20)
		side.answer("200 OK", body=b"done")
	daemon = lab.start([lab.http(pages={"/": page})])
	with lab.client(daemon) as c:
		c.request("/")
		assert b"102" in c.read_until(b"\r\n\r\n")
		assert b"</style.css>" in c.read_until(b"\r\n\r\n")
		go.set()
		assert c.response().body == b"done"


def test_http_1_0_clients_get_no_interim_answers(lab):
	def page(side, request):
		side.send(head("HTTP/1.1 103 Early Hints"))
		side.answer("200 OK", body=b"done")
	daemon = lab.start([lab.http(pages={"/": page})])
	with lab.client(daemon) as c:
		c.send(head("GET / HTTP/1.0", "Host: a"))
		assert c.read_until(b"\r\n").startswith(b"HTTP/1.1 200")


# Expect: 100-continue (RFC 9110, 10.1.1)


def expecting(side):
	"""A gateway that reads the body only after it has asked for it."""
	request = side.read_head()
	if request.has("expect"):
		side.send(head("HTTP/1.1 100 Continue"))
	body = side.read(int(request.get("content-length")))
	side.answer("200 OK", body=str(len(body)).encode())


def test_expect_is_answered_before_the_body_is_sent(lab):
	daemon = lab.start([lab.scripted(expecting)])
	with lab.client(daemon) as c:
		c.send(head("PUT / HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: 100-continue"))
		assert c.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
		c.send(b"hello")
		answer = c.response()
		assert (answer.status, answer.body, answer.interim) == (200, b"5", [])


def test_expect_with_curl(lab, tmp_path):
	daemon = lab.start([lab.scripted(expecting)])
	(tmp_path / "body").write_bytes(b"x" * 2000000)
	out = subprocess.run(["curl", "-sS", "-v", "--max-time", "15", "--expect100-timeout", "60", "-H", "Expect: 100-continue",
		"-T", tmp_path / "body", f"http://127.0.0.1:{daemon.port}/up"], capture_output=True, text=True)
	assert (out.returncode, out.stdout) == (0, "2000000"), out.stderr
	assert "100 Continue" in out.stderr


def test_a_gateway_may_refuse_before_the_body(lab):
	def refuse(side):
		side.read_head()
		side.answer("417 Expectation Failed", body=b"too big for me")
		side.read_to_end()
	daemon = lab.start([lab.scripted(refuse)])
	with lab.client(daemon) as c:
		c.send(head("PUT / HTTP/1.1", "Host: a", "Content-Length: 1000000", "Expect: 100-continue"))
		answer = c.response()
		assert (answer.status, answer.body, answer.interim) == (417, b"too big for me", [])


def test_an_early_answer_reaches_a_client_that_still_sends(lab):
	def refuse(side):
		side.read_head()
		side.answer("413 Content Too Large", "Connection: close", body=b"no")
	daemon = lab.start([lab.scripted(refuse)])
	with lab.client(daemon) as c:
		c.send(head("PUT / HTTP/1.1", "Host: a", "Content-Length: 100000000"))
		try:
			for _ in range(1000):
				c.send(b"x" * 10000)
		except OSError:
			pass
		assert c.response().status == 413


# streaming


def test_a_large_upload_goes_through_little_memory(lab):
	n = UPLOAD_MB << 20
	go = threading.Event()

	def slow_then_fast(side):
		side.read_head()
		assert go.wait(60)
		side.drain(n)
		side.answer("200 OK", body=b"all of it")
	daemon = lab.start([lab.scripted(slow_then_fast)])
	block = memoryview(bytes(1 << 20))
	sent = 0

	def upload(c):
		nonlocal sent
		c.send(head("PUT / HTTP/1.1", "Host: a", f"Content-Length: {n}"))
		for _ in range(UPLOAD_MB):
			c.send(block)
			sent += 1

	with lab.client(daemon) as c:
		daemon.reset_peak()
		before = daemon.peak_kb()
		thread = threading.Thread(target=upload, args=(c,))
		thread.start()
		stood = [-1]

		def stands():
			stood.append(sent)
			return len(stood) > 50 and stood[-1] == stood[-50]
		until(stands, "back-pressure to reach the client")
		assert sent < UPLOAD_MB, "someone holds all of it"
		go.set()
		thread.join()
		c.sock.settimeout(120)
		assert c.response().body == b"all of it"
	assert daemon.peak_kb() - before < kb(32)


def test_a_large_chunked_download_to_a_slow_reader(lab):
	n = 256
	sent = 0

	def page(side, request):
		nonlocal sent
		side.send(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
		block = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
		for _ in range(n):
			side.send(block)
			sent += 1
		side.send(b"0\r\n\r\n")
	daemon = lab.start([lab.http(pages={"/": page})])
	with lab.client(daemon) as c:
		daemon.reset_peak()
		before = daemon.peak_kb()
		c.request("/")
		stood = [-1]

		def stands():
			stood.append(sent)
			return len(stood) > 50 and stood[-1] == stood[-50]
		until(stands, "back-pressure to reach the gateway")
		assert sent < n
		c.read_until(b"\r\n\r\n")
		total = 0
		while size := int(c.read_until(b"\r\n"), 16):
			c.drain(size)
			assert c.read(2) == b"\r\n"
			total += size
		assert total == n << 20
	assert daemon.peak_kb() - before < kb(32)


def test_server_sent_events_go_on_at_once(lab):
	queues = {"/chunked": queue.Queue(), "/close": queue.Queue()}

	def page(side, request):
		events = queues[request.target]
		side.send(head("HTTP/1.1 200 OK", "Content-Type: text/event-stream", *(
			["Transfer-Encoding: chunked"] if request.target == "/chunked" else [])))
		while (event := events.get()) is not None:
			side.send(b"%x\r\n%s\r\n" % (len(event), event) if request.target == "/chunked" else event)
		side.close()
	daemon = lab.start([lab.http(pages={"/chunked": page, "/close": page})])
	for target in ("/chunked", "/close"):
		with lab.client(daemon) as c:
			c.request(target)
			c.read_until(b"\r\n\r\n")
			for i in range(20):
				queues[target].put(b"data: %d\n\n" % i)
				assert b"data: %d\n\n" % i in c.read_until(b"\n\n"), "before the next is there"
			queues[target].put(None)


def test_an_upload_in_small_chunks_goes_on_at_once(lab):
	got = queue.Queue()

	def handler(side):
		side.read_head()
		while size := int(side.read_until(b"\r\n").split(b";")[0], 16):
			got.put(side.read(size))
			side.read(2)
		side.read(2)
		side.answer("200 OK", body=b"ok")
	daemon = lab.start([lab.scripted(handler)])
	with lab.client(daemon) as c:
		c.send(head("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked"))
		for i in range(20):
			c.send(b"2\r\n%02d\r\n" % i)
			assert got.get(timeout=20) == b"%02d" % i
		c.send(b"0\r\n\r\n")
		assert c.response().body == b"ok"


# headers


def test_hop_by_hop_fields_stay_here(lab):
	def page(side, request):
		side.answer("200 OK", "Connection: X-Internal", "X-Internal: secret", "Keep-Alive: timeout=5", "X-Public: 1", body=b"x")
	gateway = lab.http(pages={"/": page})
	daemon = lab.start([gateway])
	answer = lab.get(daemon, "/", "Connection: X-Gone, keep-alive", "X-Gone: 1", "x-gone: 2", "Keep-Alive: 5", "TE: gzip",
		"Proxy-Connection: keep-alive", "Upgrade: h2c", "X-Kept: 1")
	got = fields_at(gateway)
	assert not {"x-gone", "keep-alive", "proxy-connection", "upgrade", "te"} & set(got), got
	assert got["x-kept"] == "1"
	assert not answer.has("x-internal") and not answer.has("keep-alive")
	assert answer.get("x-public") == "1"


def test_the_gateway_is_told_who_asked(lab):
	gateway = lab.http()
	daemon = lab.start([gateway])
	lab.get(daemon, host="game.example.com:8443", source="127.0.0.7")
	got = fields_at(gateway)
	assert got["host"] == "game.example.com:8443"
	assert got["x-forwarded-for"] == "127.0.0.7"
	assert got["x-forwarded-proto"] == "http"
	assert got["x-forwarded-host"] == "game.example.com:8443"
	assert len(got["x-request-id"]) >= 8


def test_who_is_not_trusted_is_not_believed(lab):
	gateway = lab.http()
	daemon = lab.start([gateway])
	lab.get(daemon, "/", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example",
		"X-Request-Id: mine", "Forwarded: for=6.6.6.6")
	assert Counter(n.lower() for n, _ in gateway.requests[-1].fields)["x-forwarded-for"] == 1
	got = fields_at(gateway)
	assert (got["x-forwarded-for"], got["x-forwarded-proto"], got["x-forwarded-host"]) == (
		"127.0.0.1", "http", "stickyd.test")
	assert got["x-request-id"] != "mine" and "forwarded" not in got
	assert daemon.records(1)[0]["client"].startswith("127.0.0.1")


def test_a_trusted_proxy_is_believed(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], listener={"trusted_proxies": "10.0.0.0/8, 127.0.0.2"})
	lab.get(daemon, "/", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Request-Id: mine", source="127.0.0.2")
	got = fields_at(gateway)
	assert (got["x-forwarded-for"], got["x-forwarded-proto"], got["x-request-id"]) == (
		"192.0.2.1, 127.0.0.2", "https", "mine")
	assert daemon.records(1)[0]["client"].startswith("192.0.2.1")
	lab.get(daemon, "/", "X-Forwarded-For: 192.0.2.1", source="127.0.0.3")
	assert fields_at(gateway)["x-forwarded-for"] == "127.0.0.3"


def test_request_ids_differ(lab):
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		for _ in range(50):
			c.get()
	assert len({dict(r.fields)["X-Request-Id"] for r in gateway.requests}) == 50


def test_an_absolute_form_is_taken_apart(lab):
	"""One whose Host says otherwise is refused: see test_malformed."""
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(head("GET http://game.example.com/x?y=1 HTTP/1.1", "Host: game.example.com"))
		assert told(c.response())["target"] == "/x?y=1"
		assert fields_at(gateway)["host"] == "game.example.com"
		c.send(head("OPTIONS * HTTP/1.1", "Host: a"))
		assert told(c.response())["target"] == "*"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "M-SEARCH"])
def test_methods_go_on(lab, method):
	daemon = lab.start([lab.http()])
	assert told(lab.get(daemon, "/?a=%20&b=;", method=method))["method"] == method


def test_connect_is_refused(lab):
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(head("CONNECT example.com:443 HTTP/1.1", "Host: example.com:443"))
		assert c.response("CONNECT").status in (400, 405, 501)
		assert c.is_ended()
	assert gateway.received() == b""


def test_fields_go_on_in_order_with_their_bytes(lab):
	gateway = lab.http()
	daemon = lab.start([gateway])
	sent = ["X-B: 2", "x-a: one", "X-B: 1", "X-Latin: \xe4\xf6", "X-Empty:", "X-Tab: a\tb"]
	lab.get(daemon, "/", *sent)
	got = [(n, v) for n, v in gateway.requests[-1].fields if n.lower() in ("x-a", "x-b", "x-latin", "x-empty", "x-tab")]
	assert got == [tuple(s.strip() for s in f.split(":", 1)) for f in sent]


@pytest.mark.threads
def test_many_clients_at_once(lab):
	daemon = lab.start(lab.https(3), globals={"workers": 4})
	out = subprocess.run(["curl", "-sS", "--parallel", "--parallel-max", "50", "-o", "/dev/null", "-w", "%{http_code}\n",
		f"http://127.0.0.1:{daemon.port}/[1-500]"], capture_output=True, text=True, timeout=120)
	assert out.stdout.split() == ["200"] * 500, out.stderr
	assert len(daemon.records(500)) == 500


def test_a_client_that_has_sent_all_it_will_still_gets_its_answer(lab):
	"""`printf ... | nc` closes its half behind the request."""
	go = threading.Event()

	def page(side, request):
		assert go.wait(20)
		side.answer("200 OK", body=b"here")
	daemon = lab.start([lab.http(pages={"/": page})])
	with lab.client(daemon) as c:
		c.request("/")
		c.end_writing()
		go.set()
		assert c.response().body == b"here"
		assert c.is_ended()


def test_a_client_that_vanishes_ends_its_request_at_the_gateway(lab):
	gone = threading.Event()

	def hang(side):
		side.read_head()
		try:
			side.read_to_end()
		finally:
			gone.set()
	daemon = lab.start([lab.scripted(hang)])
	c = lab.client(daemon)
	c.request("/")
	until(lambda: lab.gateways[0].received(), "the request at the gateway")
	c.reset()
	assert gone.wait(20)
	assert daemon.record(why="client-reset")


def test_ipv6(lab):
	gateway = lab.http(host="::1")
	try:
		daemon = lab.start([gateway], listener={"bind": "[::1]:0"})
	except OSError:
		pytest.skip("no IPv6 here")
	assert lab.get(daemon).status == 200
	assert fields_at(gateway)["x-forwarded-for"] == "::1"
	assert daemon.records(1)[0]["client"].startswith(("::1", "[::1]"))


def test_several_addresses_of_one_listener(lab):
	daemon = lab.start(lab.https(1), listener={"bind": "127.0.0.1:0, 127.0.0.2:0"})
	hosts = {host for host, _ in daemon.listeners["main"]}
	assert hosts == {"127.0.0.1", "127.0.0.2"}
	for address in daemon.listeners["main"]:
		with socket.create_connection(address, timeout=20) as s:
			s.sendall(head("GET / HTTP/1.0"))
			assert s.recv(15) == b"HTTP/1.1 200 OK"


def test_mptcp_serves_ordinary_clients(lab):
	daemon = lab.start(lab.https(1), listener={"mptcp": "yes"})
	assert lab.get(daemon).status == 200
	with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262) as s:	# IPPROTO_MPTCP
		s.settimeout(20)
		s.connect(daemon.address())
		s.sendall(head("GET / HTTP/1.0"))
		assert s.recv(15) == b"HTTP/1.1 200 OK"
