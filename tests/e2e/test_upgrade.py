# SPDX-License-Identifier: BSD-2-Clause
"""USR2: a new process takes over the sockets, the table and what operators said; nobody is refused meanwhile."""

import os
import re
import shutil
import signal
import socket
import threading
import time

import pytest

from harness.daemon import program
from harness.gateways import who
from harness.wait import until

READY = re.compile(r"stickyd \S+ is ready")
NEXT = re.compile(r"upgrading: \S+ runs as process (\d+)")
KEYS = {"affinity": "header:X-Key, cookie"}


def processes(daemon):
	"""Those that run this program from this story's directory."""
	here = []
	for pid in filter(str.isdigit, os.listdir("/proc")):
		try:
			if os.readlink(f"/proc/{pid}/cwd") == str(daemon.directory) and "stickyd" in os.readlink(f"/proc/{pid}/exe"):
				here.append(int(pid))
		except OSError:
			pass
	return sorted(here)


class Successor:
	"""Ends what an upgrade has left behind, when the story is over."""

	def __init__(self, daemon):
		self.daemon = daemon

	def stop(self):
		for pid in processes(self.daemon):
			if pid != self.daemon.pid:
				os.kill(pid, signal.SIGTERM)
		until(lambda: set(processes(self.daemon)) <= {self.daemon.pid}, "the successors to end", 30)


def start(lab, gateways, **how):
	daemon = lab.start(gateways, **how)
	lab.rewrite(daemon, gateways, **how)		# the port that the next one has to listen at
	lab.others.append(Successor(daemon))
	return daemon


def successors(daemon):
	"""The processes that upgrades have started, of those that are ready. As the log says, since a leak checker has moments with a
	process of its own; the two processes write it independently, so what was said later may stand there earlier."""
	return NEXT.findall(daemon.log)[:len(READY.findall(daemon.log)) - 1]


def upgrade(daemon, pid=None):
	"""USR2, until the next one is ready: its process."""
	before = len(successors(daemon))
	os.kill(pid or daemon.pid, signal.SIGUSR2)
	return int(until(lambda: successors(daemon)[before:], "the new process to be ready")[0])


def test_the_old_one_ends_when_its_last_session_has(lab):
	daemon = start(lab, [lab.ws("gw1")], globals={"shutdown_grace": "60s"})
	old = lab.session(daemon)
	pid = upgrade(daemon)
	assert pid != daemon.pid
	new = lab.session(daemon)
	assert (old.echo("old"), new.echo("new")) == ("old", "new")
	old.finish()
	assert daemon.wait_exit() == 0
	assert processes(daemon) == [pid]
	assert new.echo("still") == "still"
	new.finish()


def test_grace_ends_what_is_left_properly(lab):
	daemon = start(lab, [lab.ws("gw1")], globals={"shutdown_grace": "2s"})
	sessions = [lab.session(daemon) for _ in range(5)]
	began = time.monotonic()
	upgrade(daemon)
	for s in sessions:
		assert s.echo("in the grace") == "in the grace"
	for s in sessions:
		assert s.read_frame().code == 1001
		s.send_close(1001)
	assert time.monotonic() - began >= 2
	assert daemon.wait_exit() == 0


def test_what_was_remembered_goes_along(lab):
	gateways = lab.https(4)
	daemon = start(lab, gateways, pool=KEYS, globals={"shutdown_grace": "1s"})
	homes = {f"k{i}": who(lab.get(daemon, "/", f"X-Key: k{i}")) for i in range(40)}
	jar = lab.get(daemon)
	pid = upgrade(daemon)
	daemon.wait_exit()
	assert processes(daemon) == [pid]
	assert {k: who(lab.get(daemon, "/", f"X-Key: {k}")) for k in homes} == homes
	again = lab.get(daemon, "/", "Cookie: " + jar.get("set-cookie").split(";")[0])
	assert (who(again), again.get("set-cookie")) == (who(jar), None)


@pytest.mark.parametrize("workers", [1, 4])
def test_another_number_of_workers(lab, workers):
	daemon = start(lab, lab.https(1), globals={"shutdown_grace": "1s"})
	lab.rewrite(daemon, lab.gateways, globals={"workers": workers, "shutdown_grace": "1s"})
	upgrade(daemon)
	daemon.wait_exit()
	for _ in range(16):
		assert lab.get(daemon).status == 200


def test_new_connections_see_nothing_of_it(lab):
	"""A thousand connections a second, or as many as this machine makes, through three upgrades: none fails."""
	daemon = start(lab, lab.terse(2), globals={"shutdown_grace": "1s"})
	done, failures, served = threading.Event(), [], [0] * 4

	def come(i):
		began = time.monotonic()
		while not done.is_set():
			try:
				with socket.create_connection(daemon.address(), timeout=10) as s:
					s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
					data = b""
					while more := s.recv(4096):
						data += more
				assert data.startswith(b"HTTP/1.1 200"), data
				served[i] += 1
			except (OSError, AssertionError) as e:
				failures.append(repr(e))
			time.sleep(max(0, began + served[i] / 250 - time.monotonic()))

	threads = [threading.Thread(target=come, args=(i,)) for i in range(len(served))]
	for t in threads:
		t.start()
	try:
		pid = daemon.pid
		for _ in range(3):
			count = sum(served)
			pid = upgrade(daemon, pid)
			until(lambda: processes(daemon) == [pid], "the one before to end", 60)
			until(lambda: sum(served) > count + 50, "more to be served")
	finally:
		done.set()
		for t in threads:
			t.join()
	assert failures == []


def test_kept_connections_are_not_cut(lab):
	daemon = start(lab, lab.https(1), globals={"shutdown_grace": "20s"})
	kept = lab.client(daemon)
	assert kept.get().status == 200
	upgrade(daemon)
	last = kept.get()
	assert (last.status, last.get("connection")) == (200, "close")
	assert daemon.wait_exit() == 0


@pytest.mark.parametrize("what", ["configuration", "program", "gone"])
def test_if_the_new_one_fails_the_old_goes_on(lab, what, tmp_path_factory, monkeypatch):
	own = tmp_path_factory.mktemp("bin") / "stickyd"
	shutil.copy(program(), own)
	monkeypatch.setenv("STICKYD", str(own))
	daemon = start(lab, [lab.ws("gw1")])
	session = lab.session(daemon)
	if what == "configuration":
		lab.ini("[nonsense]\n")
	elif what == "program":
		own.unlink()
		own.write_text("#!/bin/sh\nexit 7\n")
		own.chmod(0o755)
	else:
		own.unlink()
	daemon.signal(signal.SIGUSR2)
	daemon.wait_log("an upgrade can't be begun|the upgrade came to nothing")
	assert session.echo("here") == "here"
	again = lab.session(daemon)
	assert again.echo("new") == "new"
	until(lambda: processes(daemon) == [daemon.pid], "nothing to be left of it")
	again.finish()
	session.finish()


def test_its_socket_answers_all_the_time(lab):
	daemon = start(lab, lab.https(1), globals={"shutdown_grace": "1s"})
	path = lab.directory / "stickyd.sock"

	def pid_told():
		with socket.socket(socket.AF_UNIX) as s:
			s.settimeout(20)
			s.connect(str(path))
			s.sendall(b"GET /v1/status HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			data = b""
			while more := s.recv(65536):
				data += more
		return int(re.search(rb'"pid": (\d+)', data).group(1))
	assert pid_told() == daemon.pid
	pid = upgrade(daemon)
	until(lambda: pid_told() == pid, "the new one to answer")
	daemon.wait_exit()
	assert pid_told() == pid


def test_drains_go_along(lab):
	daemon = start(lab, lab.https(2), globals={"shutdown_grace": "1s"})

	def ask(method, target):
		with socket.socket(socket.AF_UNIX) as s:
			s.settimeout(20)
			s.connect(str(lab.directory / "stickyd.sock"))
			s.sendall(f"{method} {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
			data = b""
			while more := s.recv(65536):
				data += more
		return data
	assert b" 200 " in ask("POST", "/v1/drain?gateway=gw1").split(b"\r\n")[0]
	upgrade(daemon)
	daemon.wait_exit()
	assert {who(lab.get(daemon)) for _ in range(6)} == {"gw2"}
