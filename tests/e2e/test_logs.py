# SPDX-License-Identifier: BSD-2-Clause
"""The daemon's log and the access log."""

import array
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import threading
from collections import Counter
from pathlib import Path

import pytest

from harness import ws
from harness.daemon import Stickyd, configuration, environment, program
from harness.wait import until

LOGROTATE = "/usr/sbin/logrotate"
needs_logrotate = pytest.mark.skipif(not Path(LOGROTATE).exists(), reason="logrotate is missing")
needs_supervisor = pytest.mark.skipif(not shutil.which("supervisord"), reason="supervisord is missing")
needs_namespaces = pytest.mark.skipif(os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0,
	reason="mount namespaces are root's")

FIELDS = {"time", "kind", "client", "peer", "listener", "tls", "pool", "gateway", "how", "because", "method", "target", "version", "host",
	"status", "in", "out", "msgs_in", "msgs_out", "close", "queue_ms", "response_ms", "total_ms", "retries", "why", "by", "id",
	"referer", "agent"}


def test_json_has_every_fact_of_a_request(lab):
	daemon = lab.start([lab.http()])
	answer = lab.get(daemon, "/x?y=\"z\"", "User-Agent: a \"b\" \\ \xe4", "Referer: https://example.com/", method="POST", body=b"12345",
		source="127.0.0.5")
	(record,) = daemon.records(1)
	assert set(record) == FIELDS
	assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
	assert record["client"].startswith("127.0.0.5:") and record["peer"] == record["client"]
	want = {"kind": "request", "listener": "main", "tls": False, "pool": "app", "gateway": "gw1", "how": "new", "method": "POST",
		"target": "/x?y=\"z\"", "version": "1.1", "host": "stickyd.test", "status": 200, "msgs_in": None, "msgs_out": None,
		"close": None, "retries": 0, "why": "done", "referer": "https://example.com/"}
	assert {k: record[k] for k in want} == want
	assert record["agent"].startswith("a \"b\" \\ ")
	assert record["in"] > 5 and record["out"] > len(answer.body)
	assert 0 <= record["queue_ms"] <= record["total_ms"] and 0 < record["response_ms"] <= record["total_ms"]
	assert dict(lab.gateways[0].requests[0].fields)["X-Request-Id"] == record["id"]


def test_json_has_every_fact_of_a_session(lab):
	daemon = lab.start([lab.ws()])
	c = lab.session(daemon, "/game")
	for size in (10, 1000, 100000):
		c.send_frame(ws.BINARY, bytes(size))
		c.read_frame()
	c.finish(4321)
	(record,) = daemon.records(1)
	assert set(record) == FIELDS
	want = {"kind": "session", "status": 101, "gateway": "gw1", "how": "new", "target": "/game", "msgs_in": 3, "msgs_out": 3,
		"close": 4321, "by": "client"}
	assert {k: record[k] for k in want} == want
	frames = 10 + 2 + 1000 + 4 + 100000 + 10 + 2 + 2
	assert record["out"] == frames, "unmasked, with the close frame"
	assert record["in"] == frames + 4 * 4, "masked"


NASTY = {
	"newline by percent": ("/%0a%22", []),
	"quotes": ("/\"\"\"'", ["User-Agent: \"\""]),
	"backslashes": ("/\\\\", ["User-Agent: \\"]),
	"broken UTF-8": ("/x", ["User-Agent: \xff\xfe\xc0\x80"]),
	"a fake line": ("/x", ["User-Agent: x\" 200 fake=\"1\", \"status\":500"]),
	"long": ("/" + "a" * 12000, ["User-Agent: " + "b" * 3000]),
}


@pytest.mark.parametrize("what", NASTY)
@pytest.mark.parametrize("format", ["json", "text"])
def test_a_line_stays_a_line(lab, what, format):
	target, fields = NASTY[what]
	daemon = lab.start([lab.http()], log={"format": format})
	lab.get(daemon, target, *fields)
	lab.get(daemon, "/second")
	if format == "json":
		assert [r["status"] for r in daemon.records(2)] == [200, 200]
		return
	lines = until(lambda: len(t := daemon.access_file.read_text().splitlines()) == 2 and t, "two lines")
	for line in lines:
		assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z request client=127\.0\.0\.1:\d+ ", line), line
		assert line.count(" status=200 ") == 1
		assert "fake=\"1\"" not in line and all(" " <= ch <= "~" for ch in line)


def test_text_has_the_same_facts(lab):
	daemon = lab.start([lab.ws()], log={"format": "text"})
	c = lab.session(daemon, "/game", "User-Agent: a b")
	c.echo("x")
	c.finish(1000)
	line = until(lambda: daemon.access_file.read_text(), "the line")
	for part in ("session", "gateway=gw1", "how=new", "\"GET /game HTTP/1.1\"", "status=101", "msgs_in=1", "msgs_out=1", "close=1000",
			"by=client", "agent=\"a b\""):
		assert part in line, part


def test_usr1_opens_the_files_anew(lab):
	log = lab.directory / "own.log"
	ini = lab.ini(configuration(lab.sections([lab.http()], log={"output": log})))
	daemon = lab.start_with("-c", ini, access=lab.directory / "stickyd.access")
	daemon.stderr_file = log
	until(log.exists, "the log")
	daemon.wait_ready()
	assert stat.S_IMODE(os.stat(daemon.access_file).st_mode) & 0o007 == 0
	c = lab.client(daemon)
	assert c.get("/before").status == 200
	daemon.records(1)
	rotated = {}
	for path in (log, daemon.access_file):
		rotated[path] = path.with_suffix(".1")
		path.rename(rotated[path])
	daemon.signal(signal.SIGUSR1)
	until(lambda: log.exists() and daemon.access_file.exists(), "the new files")
	assert c.get("/after").status == 200, "on the same connection"
	(record,) = daemon.records(1)
	assert record["target"] == "/after"
	old = [json.loads(line) for line in rotated[daemon.access_file].read_text().splitlines()]
	assert [r["target"] for r in old] == ["/before"]


@pytest.mark.parametrize("level, debug, info, notice", [("debug", True, True, True), ("info", False, True, True),
	("notice", False, False, True)])
def test_levels(lab, level, debug, info, notice):
	daemon = lab.start([lab.refusing(), lab.http("gw2")], log={"level": level}, pool={"balance": "roundrobin"})
	with lab.client(daemon) as c:
		c.send(b"nonsense\r\n\r\n")
		c.response()
	for _ in range(3):
		lab.get(daemon)
	daemon.stop()
	levels = set(re.findall(r"^\d{4}-\S+Z (\w+) ", daemon.log, re.M))
	assert ("info" in levels, "notice" in levels) == (info, notice)
	assert debug or "debug" not in levels


def test_the_access_log_may_be_off(lab):
	daemon = lab.start(lab.https(1), log={"access": "off"})
	assert lab.get(daemon).status == 200
	daemon.stop()
	assert not daemon.access_file.exists()


def test_the_access_log_may_go_to_stdout(lab):
	daemon = lab.start(lab.https(1), log={"access": "stdout"})
	assert lab.get(daemon).status == 200
	line = until(lambda: daemon.stdout_file.read_text(), "the line")
	assert json.loads(line)["status"] == 200


def test_a_full_disk_stops_nobody(lab):
	daemon = lab.start(lab.https(1), log={"access": "/dev/full"})
	with lab.client(daemon) as c:
		for _ in range(50):
			assert c.get().status == 200
	daemon.wait_log("(?i)no space left")


def test_a_reader_of_the_log_that_hangs_stops_nobody(lab):
	pipe = lab.directory / "pipe"
	os.mkfifo(pipe)
	reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
	daemon = lab.start(lab.https(1), log={"access": pipe})
	with lab.client(daemon) as c:
		for _ in range(500):
			assert c.get("/" + "x" * 2000).status == 200
	assert daemon.rss_kb() < 1 << 20
	os.close(reader)


@pytest.mark.threads
def test_no_line_is_lost_or_torn(lab):
	daemon = lab.start(lab.https(2), globals={"workers": 4})
	clients = [lab.client(daemon) for _ in range(16)]
	for i in range(50):
		for n, c in enumerate(clients):
			c.request(f"/{n}/{i}")
		for c in clients:
			assert c.response().status == 200
	records = daemon.records(800)
	assert {r["target"] for r in records} == {f"/{n}/{i}" for n in range(16) for i in range(50)}


# rotated under load


class Load:
	"""Clients that ask, one request after the other, for targets that are numbered: /CLIENT/NUMBER."""

	def __init__(self, lab, daemon, clients=6):
		self.over = threading.Event()
		self.failed = []
		self.asked = [0] * clients
		self.threads = [threading.Thread(target=self.ask, args=(lab.client(daemon), n)) for n in range(clients)]
		for t in self.threads:
			t.start()

	def ask(self, client, n):
		try:
			while not self.over.is_set():
				assert client.get(f"/{n}/{self.asked[n]}").status == 200
				self.asked[n] += 1
		except Exception as e:
			self.failed.append(e)

	def wait_more(self, requests):
		end = sum(self.asked) + requests
		until(lambda: sum(self.asked) >= end or self.failed, f"{requests} more answers", 120)

	def end(self):
		self.over.set()
		for t in self.threads:
			t.join()
		assert not self.failed, self.failed
		return {(n, i) for n, asked in enumerate(self.asked) for i in range(asked)}


def numbers(text):
	"""Of whole lines, in their order."""
	assert text == "" or text.endswith("\n"), "a line is cut"
	return [tuple(int(n) for n in json.loads(line)["target"].split("/")[1:]) for line in text.splitlines()]


def rotated(path):
	"""All files of a log, the oldest first."""
	files = [f for f in path.parent.glob(path.name + "*") if f.name == path.name or re.fullmatch(r"\d+", f.suffix[1:])]
	return sorted(files, key=lambda f: -int(f.suffix[1:]) if f != path else 0)


def holds(daemon, path):
	"""Is it open there, under this name?"""
	return any(os.path.realpath(fd) == os.path.realpath(path) for fd in Path(f"/proc/{daemon.pid}/fd").iterdir())


class Logrotate:
	def __init__(self, lab, log, *how):
		self.state = lab.directory / "logrotate.state"
		self.conf = lab.directory / "logrotate.conf"
		body = "\n".join(["rotate 1000", "nocompress", "missingok", *how])
		self.conf.write_text(f"{log} {{\n{body}\n}}\n")
		self.conf.chmod(0o644)

	def run(self):
		subprocess.run([LOGROTATE, "-f", "-s", self.state, self.conf], check=True, capture_output=True, timeout=60)


@needs_logrotate
@pytest.mark.threads
def test_logrotate_by_create_loses_no_line(lab):
	daemon = lab.start(lab.terse(2), globals={"workers": 4})
	log = daemon.access_file
	rotate = Logrotate(lab, log, "create", "postrotate", f"kill -USR1 {daemon.pid}", "endscript")
	load = Load(lab, daemon)
	for _ in range(25):
		load.wait_more(40)
		# not within the moment of the last one: logrotate sets aside a file that is there before it makes it
		until(lambda: holds(daemon, log), "the new file to be opened")
		rotate.run()
	load.wait_more(40)
	asked = load.end()
	daemon.stop()
	files = rotated(log)
	assert len(files) == 26
	seen = Counter(n for f in files for n in numbers(f.read_text()))
	assert set(seen) == asked and set(seen.values()) == {1}
	assert sum(f.stat().st_size != 0 for f in files) > 13, "they were rotated under load"


@needs_logrotate
def test_logrotate_by_copytruncate_goes_on_in_the_emptied_file(lab):
	daemon = lab.start(lab.terse(2), globals={"workers": 4})
	log = daemon.access_file
	rotate = Logrotate(lab, log, "copytruncate")
	load = Load(lab, daemon)
	inode = log.stat().st_ino
	for _ in range(15):
		load.wait_more(60)
		rotate.run()
	load.wait_more(60)
	asked = load.end()
	daemon.stop()
	assert log.stat().st_ino == inode
	files = [f.read_bytes() for f in rotated(log)]
	assert len(files) == 16 and not any(b"\0" in text for text in files), "no hole where the file was cut"
	seen = Counter()
	for text in files:
		# a copy may end within a line that was written meanwhile; what follows begins with a whole one
		whole = numbers(text[:text.rfind(b"\n") + 1].decode())
		seen.update(whole)
		for client in range(len(load.asked)):
			its = [i for n, i in whole if n == client]
			assert its == list(range(its[0], its[0] + len(its))) if its else True, "lost but at a cut"
	assert set(seen) <= asked and set(seen.values()) == {1}


class Supervised(Stickyd):
	"""stickyd as supervisord's child, which keeps what it says."""

	def __init__(self, lab, ini):
		self.directory = lab.directory
		self.access_file = None
		self.stderr_file = lab.directory / "stickyd.stderr"
		self.stdout_file = lab.directory / "stickyd.stdout"
		self.expected_exit = 0
		conf = lab.ini(configuration({
			"supervisord": {
				"nodaemon": "true", "logfile": lab.directory / "supervisord.log", "pidfile": lab.directory / "supervisord.pid",
				"directory": lab.directory},
			"program:stickyd": {
				"command": f"{program()} -c {ini}", "stopsignal": "TERM", "stopwaitsecs": 30, "autorestart": "false",
				"stdout_logfile": self.stdout_file, "stdout_logfile_maxbytes": 20000, "stdout_logfile_backups": 1000,
				"stderr_logfile": self.stderr_file, "stderr_logfile_maxbytes": 0}}), "supervisor")
		self.process = subprocess.Popen(
			["supervisord", "-c", conf], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
			env=environment())
		until(self.stderr_file.exists, "supervisord's child")


@needs_supervisor
def test_supervisor_keeps_and_rotates_stdout(lab):
	ini = lab.ini(configuration(lab.sections(lab.terse(2), log={"access": "stdout", "level": "notice"}, globals={"workers": 4})))
	daemon = Supervised(lab, ini)
	lab.daemons.append(daemon)
	daemon.wait_ready()
	load = Load(lab, daemon)
	load.wait_more(1500)
	asked = load.end()
	daemon.stop()
	files = rotated(daemon.stdout_file)
	assert len(files) > 10
	# supervisord cuts where it likes
	seen = Counter(numbers("".join(f.read_text() for f in files)))
	assert set(seen) == asked and set(seen.values()) == {1}


# what may be wrong with an output


@needs_namespaces
def test_a_disk_that_is_full_for_a_while(lab):
	disk = lab.directory / "disk"
	disk.mkdir()
	mount = f"mount -t tmpfs -o size=2m tmpfs {disk} && exec \"$@\""
	daemon = lab.start(
		lab.terse(1), globals={"workers": 1}, log={"access": disk / "access", "level": "notice"},
		wrap=["unshare", "-m", "sh", "-c", mount, "sh"])
	inside = Path(f"/proc/{daemon.pid}/root{disk}")
	filler = inside / "filler"
	with filler.open("wb", buffering=0) as f, pytest.raises(OSError):
		while True:
			f.write(bytes(4096))
	total = 1200
	with lab.client(daemon) as c:
		for i in range(total):
			assert c.get(f"/0/{i}?{'x' * 2000}").status == 200
	daemon.wait_log("access log: .*No space left on device")
	filler.unlink()
	lost = int(daemon.wait_log(r"access log: (\d+) lines were lost").group(1))
	assert "is written again" in daemon.log
	assert 0 < lost < total
	text = until(lambda: (t := (inside / "access").read_text()).count("\n") == total - lost and t, "all that is left")
	assert [json.loads(line)["target"].split("?")[0] for line in text.splitlines()] == [f"/0/{i}" for i in range(total - lost)]
	assert lab.get(daemon).status == 200


def test_a_pipe_that_is_closed_stops_nobody(lab):
	daemon = lab.start(lab.terse(1), log={"access": "stdout"}, wrap=["bash", "-c", "exec > >(exec true); exec \"$@\"", "bash"])

	def is_said():
		assert lab.get(daemon).status == 200
		return "access log: stdout: Broken pipe" in daemon.log
	until(is_said, "the log to tell of it")
	with lab.client(daemon) as c:
		for _ in range(200):
			assert c.get("/" + "x" * 2000).status == 200


def test_a_file_that_was_removed_is_made_anew(lab):
	daemon = lab.start(lab.terse(1))
	lab.get(daemon, "/before")
	daemon.records(1)
	daemon.access_file.unlink()

	def is_there():
		assert lab.get(daemon, "/after").status == 200
		return daemon.access_file.exists()
	until(is_there, "a file of that name")
	lab.get(daemon, "/last")
	daemon.record(target="/last")


def test_a_reload_moves_the_logs(lab):
	gateways = lab.terse(2)
	daemon = lab.start(gateways, log={"access": "off"})
	first, second = lab.directory / "first.log", lab.directory / "second.log"
	with lab.client(daemon) as c:
		assert c.get("/unseen").status == 200
		assert lab.reload(daemon, gateways, log={"access": first})
		daemon.access_file = first
		assert c.get("/first").status == 200
		daemon.record(target="/first")
		assert lab.reload(daemon, gateways, log={"access": second, "format": "text"})
		assert c.get("/second").status == 200
		until(lambda: second.exists() and "GET /second" in second.read_text(), "the line in the other file, as text")
		lab.rewrite(daemon, gateways, log={"access": lab.directory / "missing" / "log"})
		assert not daemon.reload()
		assert c.get("/third").status == 200
		until(lambda: "GET /third" in second.read_text(), "the log to be as before")
		assert lab.reload(daemon, gateways, log={"access": "off"})
		assert c.get("/unseen").status == 200
	daemon.stop()
	assert "second" not in first.read_text() and "unseen" not in first.read_text() + second.read_text()


# the journal


class Journal:
	"""A socket that is what journald's would be, for a program that runs with `wrap`."""

	def __init__(self):
		self.directory = Path(tempfile.mkdtemp(prefix="stickyd-journal-", dir="/tmp"))
		(self.directory / "systemd" / "journal").mkdir(parents=True)
		self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
		self.socket.bind(str(self.directory / "systemd" / "journal" / "socket"))
		self.entries = []
		self.wrap = ["unshare", "-m", "sh", "-c", f"mount --bind {self.directory} /run && exec \"$@\"", "sh"]
		self.thread = threading.Thread(target=self.listen, daemon=True)
		self.thread.start()

	def listen(self):
		while True:
			data, control, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
			if data == b"end":
				return
			for _, _, fds in control:		# a big one comes as a file
				with os.fdopen(array.array("i", fds)[0], "rb") as f:
					f.seek(0)
					data += f.read()
			self.entries.append(self.parse(data))

	@staticmethod
	def parse(data):
		"""systemd's "Native Journal Protocol": NAME=value, or NAME, eight bytes of length, and the value."""
		fields = {}
		while data:
			line, data = data.split(b"\n", 1)
			name, is_text, value = line.partition(b"=")
			if not is_text:
				n = int.from_bytes(data[:8], "little")
				value, data = data[8:8 + n], data[8 + n + 1:]
			assert re.fullmatch(rb"[A-Z][A-Z0-9_]*", name), name
			fields[name.decode()] = value.decode()
		return fields

	def find(self, **want):
		return next((e for e in list(self.entries) if all(e.get(k) == v for k, v in want.items())), None)

	def stop(self):
		with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
			s.sendto(b"end", self.socket.getsockname())
		self.thread.join()
		self.socket.close()
		shutil.rmtree(self.directory)


@needs_namespaces
@pytest.mark.parametrize("format", ["text", "json"])
def test_the_journal_gets_fields(lab, format):
	journal = Journal()
	lab.others.append(journal)
	stderr = lab.directory / "stickyd.stderr"
	stderr.touch()
	status = stderr.stat()
	stream = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
	ini = lab.ini(configuration(lab.sections([lab.ws()], log={"output": "journal", "access": "stderr", "format": format})))
	daemon = lab.start_with("-c", ini, wrap=journal.wrap, env=stream)
	ready = until(lambda: next((e for e in list(journal.entries) if "is ready" in e["MESSAGE"]), None), "it to be ready")
	assert ready["PRIORITY"] == "5" and ready["SYSLOG_IDENTIFIER"] == "stickyd"
	assert ready["MESSAGE"].startswith("stickyd "), "without our time and level"
	stderr.write_text("\n".join(e["MESSAGE"] for e in list(journal.entries)))
	daemon.wait_ready()
	c = lab.session(daemon, "/game?id=1", "User-Agent: a browser", "Cookie: " + "x" * 3000)
	c.echo("x")
	c.finish(1000)
	entry = until(lambda: journal.find(STICKYD_KIND="session"), "the session")
	want = {
		"STICKYD_GATEWAY": "gw1", "STICKYD_POOL": "app", "STICKYD_TARGET": "/game?id=1", "STICKYD_STATUS": "101", "STICKYD_CLOSE": "1000",
		"STICKYD_AGENT": "a browser", "STICKYD_MSGS_IN": "1", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "stickyd"}
	assert {k: entry.get(k) for k in want} == want
	assert re.fullmatch(r"127\.0\.0\.1:\d+", entry["STICKYD_CLIENT"])
	assert not {"STICKYD_TIME", "STICKYD_REFERER", "STICKYD_BECAUSE"} & set(entry), "what is not known is left out"
	if format == "json":
		assert json.loads(entry["MESSAGE"])["gateway"] == "gw1"
	lab.session(daemon, "/" + "y" * 9000).finish(1001)
	assert until(lambda: journal.find(STICKYD_CLOSE="1001"), "a long one")["STICKYD_TARGET"].startswith("/yyyy")
	daemon.stop()
	assert journal.find(PRIORITY="4") is None
