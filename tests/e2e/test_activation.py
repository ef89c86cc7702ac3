# SPDX-License-Identifier: BSD-2-Clause
"""Listening sockets that somebody else has opened: what systemd calls socket activation."""

import os
import shutil
import socket
import threading
from pathlib import Path

import pytest

from harness.activation import Manager, free_port, systemd
from harness.daemon import configuration
from harness.gateways import who
from harness.http import Client
from harness.wait import until


def held(n=1, family=socket.AF_INET, host="127.0.0.1"):
	"""Sockets that listen at one address."""
	made, port = [], 0
	for _ in range(n):
		s = socket.socket(family)
		s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
		s.bind((host, port))
		s.listen(1024)
		port = s.getsockname()[1]
		made.append(s)
	return made, port


def manage(lab, *sockets, names=()):
	manager = Manager(lab.directory, *sockets, names=names)
	lab.others.append(manager)
	return manager


def start(lab, manager, bind, gateways=None, **sections):
	return lab.start(gateways or lab.gateways, wrap=manager.wrap,
		listener={"bind": bind, **sections.pop("listener", {})}, **sections)


@pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="systemd's tool is not there")
def test_the_connection_that_woke_it_is_served(lab):
	port, admin = free_port(), free_port()
	gateways = lab.https(1)
	ini = lab.ini(configuration(lab.sections(
		gateways, listener={"bind": f"127.0.0.1:{port}"}, admin={"listen": f"127.0.0.1:{admin}"})))
	daemon = lab.start_with("-c", ini, wrap=systemd(f"127.0.0.1:{port}", f"127.0.0.1:{admin}"))
	daemon.wait_log(f"Listening on 127.0.0.1:{admin}")
	with Client(("127.0.0.1", port)) as first:
		assert who(first.get()) == "gw1"
		daemon.wait_ready()
		for _ in range(20):
			assert who(lab.get(daemon)) == "gw1"
	with Client(("127.0.0.1", admin)) as operator:
		assert operator.get("/v1/status", host="localhost").status == 200
	assert "inherited" not in daemon.log		# nothing was left over


@pytest.mark.parametrize("sockets, workers", [(1, 1), (1, 4), (2, 4), (3, 2), (4, 4)])
def test_as_many_sockets_as_there_are(lab, sockets, workers):
	"""Fewer than workers are shared, of more a worker has several: none is left unheard."""
	lab.https(1)
	made, port = held(sockets)
	daemon = start(lab, manage(lab, *made), f"127.0.0.1:{port}", globals={"workers": workers})
	for _ in range(40):
		assert lab.get(daemon).status == 200
	daemon.stop()


@pytest.mark.parametrize("family, host, bind", [
	(socket.AF_INET, "0.0.0.0", "*:%d"), (socket.AF_INET6, "::", "*:%d"), (socket.AF_INET6, "::", "[::]:%d")])
def test_any_address(lab, family, host, bind):
	"""ListenStream=80 makes one socket for both families, which does for "*:80", too."""
	lab.https(1)
	try:
		made, port = held(1, family, host)
	except OSError:
		pytest.skip("no IPv6 here")
	start(lab, manage(lab, *made), bind % port)
	with Client(("127.0.0.1", port)) as c:
		assert c.get().status == 200


def test_what_nobody_asked_for(lab):
	lab.https(1)
	(wanted,), port = held()
	(unwanted,), other = held()
	datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	daemon = start(lab, manage(lab, wanted, unwanted, datagrams, names=("web", "spare", "dns")), f"127.0.0.1:{port}")
	daemon.wait_log(f"warn: inherited socket 127.0.0.1:{other} spare is not asked for by the configuration: closed")
	daemon.wait_log(r"warn: inherited descriptor \d+ dns is no socket that connections come to: closed")
	assert lab.get(daemon).status == 200


def test_a_restart_refuses_nobody(lab):
	"""While nobody accepts, connections wait with the service manager."""
	lab.https(1)
	made, port = held(2)
	manager = manage(lab, *made)
	daemon = start(lab, manager, f"127.0.0.1:{port}", name="first")
	done, failures, served = threading.Event(), [], [0]

	def come():
		while not done.is_set():
			try:
				with Client(("127.0.0.1", port)) as c:
					assert c.get("/", "Connection: close").status == 200
				served[0] += 1
			except (OSError, AssertionError, EOFError) as e:
				failures.append(repr(e))

	threads = [threading.Thread(target=come) for _ in range(3)]
	for t in threads:
		t.start()
	try:
		for name in ("second", "third", "fourth"):
			until(lambda count=served[0]: served[0] > count + 20, "some to be served")
			daemon.stop()
			daemon = start(lab, manager, f"127.0.0.1:{port}", name=name)
		until(lambda count=served[0]: served[0] > count + 20, "some to be served")
	finally:
		done.set()
		for t in threads:
			t.join()
	assert not failures, failures


def test_a_reload_keeps_what_was_lent(lab):
	"""Nor does a removed address close what the manager holds."""
	gateways = lab.https(1)
	(first,), port = held()
	(second,), other = held()
	binds = f"127.0.0.1:{port}, 127.0.0.1:{other}"
	daemon = start(lab, manage(lab, first, second), binds)
	inode = os.fstat(second.fileno()).st_ino
	assert lab.reload(daemon, gateways, listener={"bind": binds}, pool={"balance": "random"})
	for at in (port, other):
		with Client(("127.0.0.1", at)) as c:
			assert c.get().status == 200
	assert lab.reload(daemon, gateways, listener={"bind": f"127.0.0.1:{port}"})
	its_own = Path(f"/proc/{daemon.pid}/fd")
	assert f"socket:[{inode}]" not in [os.readlink(fd) for fd in its_own.iterdir()]
	with socket.create_connection(("127.0.0.1", other), timeout=10):
		pass			# it waits with the manager
	with Client(("127.0.0.1", port)) as c:
		assert c.get().status == 200
