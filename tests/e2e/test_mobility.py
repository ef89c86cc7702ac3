# SPDX-License-Identifier: BSD-2-Clause
"""Phones that change networks: links that are pulled, silently, in network namespaces of the test's own."""

import socket
import threading

import pytest

from harness.phones import LTE, WIFI, mptcp_paths, phones
from harness.wait import BOUND, until, while_true
from harness.ws import BINARY


@pytest.fixture
def net(lab):
	with phones(lab) as net:
		yield net


@pytest.fixture
def mptcp_net(net):
	if not net.has_mptcp():
		pytest.skip("this kernel has no Multipath TCP")
	return net


def test_a_phone_is_back_at_its_gateway_while_its_old_connection_still_looks_alive(lab, net):
	daemon = net.daemon(gateways=3)
	first = [net.session(daemon, n, WIFI) for n in range(9)]
	gateways = [s.echo("who") for s in first]
	assert set(gateways) == {"gw1", "gw2", "gw3"}
	net.lose(WIFI)
	for n in range(9):
		again = net.session(daemon, n, LTE, cookie=str(first[n].opening.cookie()))
		assert again.echo("who") == gateways[n]
		assert again.opening.cookie() is None
	assert daemon.access() == [], "no session has ended so far"


def test_a_phone_that_comes_and_goes_stays_where_it_is(lab, net):
	daemon = net.daemon(gateways=3)
	session = net.session(daemon, 0, WIFI)
	cookie, gateway = str(session.opening.cookie()), session.echo("who")
	for old, new in [(WIFI, LTE), (LTE, WIFI)] * 3:
		net.lose(old)
		net.restore(new)
		assert net.session(daemon, 0, new, cookie=cookie).echo("who") == gateway


def test_a_phone_that_vanished_is_noticed(lab, net):
	"""What the gateway sends it is not acknowledged; its session ends after tcp_user_timeout."""
	gone = threading.Event()

	def speak(side):
		gone.wait(BOUND)
		side.send_text("are you there?")
		side.read_to_end()

	daemon = net.daemon(handler=speak, pool={"tcp_user_timeout": "1s"})
	net.session(daemon, 0, WIFI)
	net.lose(WIFI)
	gone.set()
	assert daemon.record(by="client")["how"] == "new"


def test_a_vanished_phone_that_is_sent_nothing_is_noticed_too(lab, net):
	"""By keepalive."""
	daemon = net.daemon(pool={"tcp_user_timeout": "2s"})
	net.session(daemon, 0, WIFI).echo("who")
	net.lose(WIFI)
	assert daemon.record(by="client")["how"] == "new"


def test_a_link_that_is_away_for_a_moment_costs_nothing(lab, net):
	daemon = net.daemon()
	session = net.session(daemon, 0, WIFI)
	net.lose(WIFI)
	session.send_text("who")
	net.restore(WIFI)
	assert session.read_text() == "gw1"


def add_path(net, session):
	"""LTE, for phone 0. A moment passes until both sides know of it; see use_mptcp for why the session is quiet."""
	net.use_mptcp(0)
	until(lambda: mptcp_paths(session.sock) == 2, "the second path")
	while_true(lambda: mptcp_paths(session.sock) == 2, "both paths stay", 0.1)


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_by_multipath_tcp_outlives_its_wifi(lab, mptcp_net, tls):
	listener, client = {"mptcp": "yes"}, {"protocol": socket.IPPROTO_MPTCP}
	if tls:
		listener |= {"tls": "yes", "certificate": lab.authority.issue("game.example")}
		client |= {"tls": lab.authority.context(), "server_name": "game.example"}
	daemon = mptcp_net.daemon(listener=listener)
	session = mptcp_net.session(daemon, 0, WIFI, **client)
	assert session.echo("before") == "before"
	add_path(mptcp_net, session)
	mptcp_net.lose(WIFI)
	for n in range(100):
		assert session.echo(f"message {n}") == f"message {n}"
	session.finish()
	session.close()
	assert daemon.record(close=1000)["msgs_in"] == 101


def test_a_big_message_is_whole_though_the_wifi_goes_in_the_midst(lab, mptcp_net):
	size = 8 << 20
	message = bytes(range(256)) * (size // 256)

	def send(side):
		side.read_frame()
		side.send_frame(BINARY, message)
		side.read_to_end()

	daemon = mptcp_net.daemon(handler=send, listener={"mptcp": "yes"})
	session = mptcp_net.session(daemon, 0, WIFI, protocol=socket.IPPROTO_MPTCP)
	add_path(mptcp_net, session)
	session.send_text("go on")
	head_and_some = session.read(10 + size // 4)
	mptcp_net.lose(WIFI)
	assert head_and_some[10:] + session.read(size - size // 4) == message


def test_plain_tcp_does_not(lab, mptcp_net):
	"""The control of what stands above: without Multipath TCP the same change ends the talk."""
	daemon = mptcp_net.daemon(listener={"mptcp": "yes"})
	session = mptcp_net.session(daemon, 1, WIFI)
	assert session.echo("before") == "before"
	mptcp_net.lose(WIFI)
	session.send_text("after")
	assert session.is_silent(2)


def test_a_listener_without_it_serves_clients_that_offer_it(lab, mptcp_net):
	daemon = mptcp_net.daemon()
	session = mptcp_net.session(daemon, 0, WIFI, protocol=socket.IPPROTO_MPTCP)
	assert session.echo("who") == "gw1"
	assert mptcp_paths(session.sock) == 0
