# SPDX-License-Identifier: BSD-2-Clause
"""Clients and gateways that mean harm, or do it by their timing."""

import os
import resource
import signal
import threading
from pathlib import Path

import pytest

from harness.http import head
from harness.redis import Redis
from harness.wait import until

UPGRADE = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]


def stopped(daemon):
	"""It sleeps, and what comes meanwhile comes to it all at once."""
	daemon.signal(signal.SIGSTOP)
	until(lambda: Path(f"/proc/{daemon.pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T", "it to be stopped")


def let_open(daemon, more):
	"""No more than so many descriptors beyond those it has."""
	taken = set(map(int, os.listdir(f"/proc/{daemon.pid}/fd")))
	free = [n for n in range(len(taken) + more + 1) if n not in taken]
	hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[1]
	resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (free[more], hard))


# gateways


def test_a_gateways_parting_word_is_no_answer_to_the_next_request(lab):
	"""A server that gives up on an idle connection says 408, here in the same turn in which the next request comes."""
	gateway = lab.http()
	daemon = lab.start([gateway], globals={"workers": 1})
	with lab.client(daemon) as c:
		assert c.get().status == 200
		stopped(daemon)
		c.request("/mine")
		gateway.sides[0].send(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 6\r\n\r\npoison")
		daemon.signal(signal.SIGCONT)
		answer = c.response()
	assert answer.status == 200 and b"/mine" in answer.body


def test_a_gateway_does_not_set_our_cookie_in_interim_answers(lab):
	def page(side, request):
		side.send(head("HTTP/1.1 103 Early Hints", "Set-Cookie: STICKYD=forged", "Set-Cookie: other=1", "Link: </a>"))
		side.answer()
	daemon = lab.start([lab.http(pages={"/": page})])
	hints = lab.get(daemon).interim[0]
	assert hints.get("set-cookie") == "other=1" and hints.get("link") == "</a>"


# clients


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_an_empty_line_behind_the_last_request_costs_no_answer(lab, version):
	"""Closing a socket with input unread resets it, and what was still on its way is lost (RFC 9112, 9.6)."""
	go = threading.Event()
	body = bytes(300_000)

	def page(side, request):
		assert go.wait(20)
		side.answer(body=body)
	gateway = lab.http(pages={"/": page})
	daemon = lab.start([gateway])
	with lab.client(daemon, receive_buffer=4096) as c:
		c.send(head(f"GET / {version}", "Host: a", "Connection: close"))
		until(lambda: gateway.requests, "the request at the gateway")
		c.send(b"\r\n")
		go.set()
		daemon.records(1)
		assert c.response().body == body


def test_a_client_that_breaks_off_behind_unread_bytes(lab):
	"""Its next request waits for the answer, and nobody reads it: the reset is noticed all the same."""
	gone = threading.Event()

	def gateway(side):
		side.read_request()
		side.read_to_end()
		gone.set()
	gateway = lab.scripted(gateway)
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.request()
		until(lambda: b"\r\n\r\n" in gateway.received(), "the request at the gateway")
		c.send(b"GET /next HTTP/1.1\r\n")
		c.reset()
		assert gone.wait(20)
	assert daemon.record(why="client-reset")["by"] == "client"


def test_a_client_that_asks_for_a_100_and_then_sends_nothing(lab):
	def gateway(side):
		side.read_head()
		side.send(b"HTTP/1.1 100 Continue\r\n\r\n")
		side.read(10)
	daemon = lab.start([lab.scripted(gateway)], listener={"body_timeout": "500ms"})
	with lab.client(daemon) as c:
		c.send(head("POST / HTTP/1.1", "Host: a", "Content-Length: 10", "Expect: 100-continue"))
		answer = c.response()
	assert (answer.interim[0].status, answer.status) == (100, 408)
	assert daemon.records(1)[0]["by"] == "client"


@pytest.mark.parametrize("name", ["X_Forwarded_For", "x-forwarded_for", "X_Forwarded_Proto", "X_Forwarded_Host", "X_Request_Id",
	"Content_Length", "Transfer_Encoding"])
def test_what_a_variable_would_be_taken_for_stays_here(lab, name):
	"""CGI and its like read "_" as "-" (RFC 3875, 4.1.18)."""
	gateway = lab.http()
	daemon = lab.start([gateway])
	assert lab.get(daemon, "/", f"{name}: 192.0.2.66", "X_Other: stays").status == 200
	assert not gateway.requests[0].has(name) and gateway.requests[0].get("x_other") == "stays"


@pytest.mark.parametrize("name", ["Sec-WebSocket-Key", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Expect"])
def test_connection_does_not_take_a_handshake_apart(lab, name):
	"""Else the gateway would refuse what we took for a handshake, and be blamed."""
	gateway = lab.ws()
	daemon = lab.start([gateway])
	with lab.client(daemon) as c:
		c.send(head("GET / HTTP/1.1", "Host: a", *UPGRADE, f"Connection: {name}", "Sec-WebSocket-Protocol: chat",
			"Expect: 100-continue"))
		assert c.response().status == 101
	assert gateway.sides[0].opening.has(name)


# want


def test_no_descriptor_for_a_gateway_is_nobodys_fault_but_ours(lab):
	"""Neither is the gateway blamed, nor does its client lose the session that it holds."""
	gateways = lab.https(2)
	daemon = lab.start(gateways, globals={"workers": 1}, pool={"idle_connections": 0})
	cookie = str(lab.get(daemon).cookie())
	first, second = lab.client(daemon), lab.client(daemon)
	for c in first, second:
		assert c.get(cookie=cookie).cookie() is None
	until(lambda: all(s.sock.fileno() == -1 for g in gateways for s in g.sides), "its connections to be closed")
	let_open(daemon, 0)
	answer = first.get(cookie=cookie)
	assert answer.status == 503 and answer.has("retry-after") and answer.get("connection") is None
	record = daemon.record(status=503)
	assert (record["why"], record["by"], record["retries"]) == ("exhausted", "stickyd", 0)
	let_open(daemon, 10)
	for c in first, second:
		answer = c.get(cookie=cookie)
		assert answer.status == 200 and answer.cookie() is None


# between a queue and a store


@pytest.mark.skipif(not Redis.is_there(), reason="no redis-server here")
def test_who_waits_for_a_place_asks_the_store_once(lab):
	"""A place is free while Redis is slow, and the time to wait ends before its answer comes: one question, one place."""
	gateway, redis = lab.ws("gw1"), lab.redis()
	daemon = lab.start(pool={"affinity": "header:X-Key", "gateway": f"{gateway.line} max_sessions=2", "on_full": "wait:1s"},
		globals={"workers": 1}, more={"store": {"type": "redis", "url": redis.url, "timeout": "3s"}})
	first = [lab.session(daemon, "/", f"X-Key: holder-{i}") for i in range(2)]
	late = lab.ws_client(daemon)
	late.ask("/", "X-Key: late")
	assert late.is_silent(0.2)
	redis.freeze()
	for session in first:
		session.finish()
	assert late.is_silent(1.5)
	redis.thaw()
	assert late.response().status == 101
	other = lab.ws_client(daemon)
	other.ask("/", "X-Key: other")
	assert other.response().status == 101, "the second place was not lost"
