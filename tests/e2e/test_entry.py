# SPDX-License-Identifier: BSD-2-Clause
"""Who may come in, how many, and in whose name: limits, allow and deny, the PROXY protocol."""

import socket
import struct

import pytest

from harness.http import Client
from harness.wait import until
from harness.wire import Broken


def refused(c):
	"""Closed without an answer."""
	try:
		c.request()
		return c.read_to_end() == b""
	except (Broken, ConnectionError):
		return True


def test_max_connections_lets_others_wait(lab):
	daemon = lab.start(lab.https(1), listener={"max_connections": 3}, globals={"workers": 1})
	inside = [lab.client(daemon) for _ in range(3)]
	for c in inside:
		assert c.get().status == 200
	late = lab.client(daemon)
	late.request()
	assert late.is_silent(0.5)
	daemon.wait_log("max_connections|new connections wait")
	assert daemon.cpu_share(0.5) < 0.5, "it waits, it does not spin"
	inside[0].close()
	assert late.response().status == 200


def test_connections_of_one_address_are_bounded(lab):
	daemon = lab.start(lab.https(1), listener={"max_connections_per_ip": 2})
	inside = [lab.client(daemon) for _ in range(2)]
	for c in inside:
		assert c.get().status == 200
	with lab.client(daemon) as c:
		answer = c.get()
		assert (answer.status, answer.get("connection")) == (429, "close")
		assert int(answer.get("retry-after")) > 0
	assert daemon.record(why="client-limit")["status"] == 429
	assert lab.get(daemon, source="127.0.0.9").status == 200, "others are not concerned"
	inside[0].close()
	until(lambda: lab.get(daemon).status == 200, "the place to be free again")


def test_new_connections_of_one_address_are_bounded(lab):
	daemon = lab.start(lab.https(1), listener={"new_connections_per_ip": "5/m"})
	statuses = [lab.get(daemon).status for _ in range(12)]
	assert statuses[:5] == [200] * 5 and 429 in statuses
	assert lab.get(daemon, source="127.0.0.9").status == 200


def test_429_goes_to_nobodys_gateway(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], listener={"new_connections_per_ip": "1/m"})
	lab.get(daemon)
	assert lab.get(daemon, "/second").status == 429
	assert b"second" not in gateway.received()


def test_deny_wins_over_allow(lab):
	gateway = lab.http()
	daemon = lab.start([gateway], listener={"allow": "127.0.0.0/24", "deny": "127.0.0.8/30"})
	for source, good in [("127.0.0.1", True), ("127.0.0.7", True), ("127.0.0.8", False), ("127.0.0.11", False),
			("127.0.0.12", True), ("127.0.1.1", False)]:
		with lab.client(daemon, source) as c:
			if good:
				assert c.get().status == 200, source
			else:
				assert refused(c), source
	assert len(gateway.requests) == 3


# the PROXY protocol (HAProxy, doc/proxy-protocol.txt)

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command, family, addresses, extra=b""):
	return V2 + struct.pack("!BBH", 0x20 | command, family, len(addresses) + len(extra)) + addresses + extra


V2_TCP4 = v2(1, 0x11, socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.9") + struct.pack("!HH", 1234, 80))
V2_TCP6 = v2(1, 0x21, socket.inet_pton(socket.AF_INET6, "2001:db8::1") * 2 + struct.pack("!HH", 1234, 80))
NAMED = {
	"v1 TCP4": (b"PROXY TCP4 192.0.2.1 192.0.2.9 1234 80\r\n", "192.0.2.1"),
	"v1 TCP6": (b"PROXY TCP6 2001:db8::1 2001:db8::2 1234 80\r\n", "2001:db8::1"),
	"v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
	"v2 TCP4": (V2_TCP4, "192.0.2.1"),
	"v2 TCP6": (V2_TCP6, "2001:db8::1"),
	"v2 with more": (v2(1, 0x11, V2_TCP4[16:], b"\x04\0\x03abc"), "192.0.2.1"),
	"v2 LOCAL": (v2(0, 0, b""), "127.0.0.1"),
}


def proxied(lab, gateway, **listener):
	return lab.start([gateway], listener={"proxy_protocol": "required", "trusted_proxies": "127.0.0.1", **listener})


@pytest.mark.parametrize("what", NAMED)
@pytest.mark.parametrize("pieces", ["whole", "bytewise"])
def test_the_proxy_header_names_the_client(lab, what, pieces):
	header, client = NAMED[what]
	gateway = lab.http()
	daemon = proxied(lab, gateway)
	with lab.client(daemon) as c:
		for piece in [header] if pieces == "whole" else [header[i:i + 1] for i in range(len(header))]:
			c.send(piece)
		assert c.get().status == 200
		assert c.get().status == 200, "once a connection"
	assert [r.get("x-forwarded-for") for r in gateway.requests] == [client] * 2
	assert client in daemon.records(2)[0]["client"]


BAD = {
	"none": b"",
	"v1 garbage": b"PROXY nonsense\r\n",
	"v1 bad address": b"PROXY TCP4 192.0.2.256 192.0.2.9 1234 80\r\n",
	"v1 bad port": b"PROXY TCP4 192.0.2.1 192.0.2.9 99999 80\r\n",
	"v1 too long": b"PROXY TCP4 " + b"1" * 200,
	"v2 bad version": V2 + b"\x31\x11\0\x0c" + bytes(12),
	"v2 bad command": V2 + b"\x2f\x11\0\x0c" + bytes(12),
	"v2 too short": v2(1, 0x11, bytes(4)),
}


@pytest.mark.parametrize("what", BAD)
def test_a_connection_without_a_good_proxy_header_is_closed(lab, what):
	gateway = lab.http()
	daemon = proxied(lab, gateway)
	with lab.client(daemon, before=BAD[what]) as c:
		assert refused(c)
	daemon.wait_log("(?i)proxy")
	assert gateway.received() == b""


def test_a_proxy_header_that_does_not_come(lab):
	daemon = proxied(lab, lab.http(), header_timeout="1s")
	with lab.client(daemon) as c:
		c.send(b"PROXY TCP4 ")
		assert c.is_ended()


def test_a_proxy_header_of_somebody_else(lab):
	gateway = lab.http()
	daemon = proxied(lab, gateway)
	with lab.client(daemon, "127.0.0.2", before=NAMED["v1 TCP4"][0]) as c:
		assert refused(c)
	assert gateway.received() == b""


def test_a_proxy_header_where_none_is_expected_is_a_bad_request(lab):
	gateway = lab.http()
	daemon = lab.start([gateway])
	with lab.client(daemon, before=NAMED["v1 TCP4"][0]) as c:
		c.request()
		assert c.response().status == 400
	assert gateway.received() == b""


def test_limits_and_deny_go_by_the_client_that_is_named(lab):
	daemon = proxied(lab, lab.http(), deny="192.0.2.0/24", max_connections_per_ip=1)
	with lab.client(daemon, before=NAMED["v1 TCP4"][0]) as c:
		assert refused(c)
	others = [lab.client(daemon, before=b"PROXY TCP4 198.51.100.%d 192.0.2.9 1 80\r\n" % i) for i in range(3)]
	assert [c.get().status for c in others] == [200] * 3
	with lab.client(daemon, before=b"PROXY TCP4 198.51.100.1 192.0.2.9 2 80\r\n") as c:
		assert c.get().status == 429


def test_the_proxy_header_stands_before_tls(lab):
	gateway = lab.http()
	certificate = lab.authority.issue("game.test")
	daemon = proxied(lab, gateway, tls="yes", certificate=certificate)
	with Client(daemon.address(), tls=lab.authority.context(), server_name="game.test", before=V2_TCP4) as c:
		assert c.get().status == 200
	assert gateway.requests[0].get("x-forwarded-for") == "192.0.2.1"
	assert gateway.requests[0].get("x-forwarded-proto") == "https"
