# SPDX-License-Identifier: BSD-2-Clause
"""The daemon's log and the access log."""

import json
import os
import re
import signal
import stat

import pytest

from harness import ws
from harness.daemon import configuration
from harness.wait import until

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
