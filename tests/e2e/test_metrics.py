# SPDX-License-Identifier: BSD-2-Clause
"""/metrics: what Prometheus' own tool thinks of it, and that every family counts what the manual says, seen to change by just that."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from harness.http import Client
from harness.metrics import LISTEN, metrics
from harness.redis import Redis
from harness.wait import until

MANUAL = Path(__file__).parents[2] / "man/stickyd.8"
GATEWAY = '{pool="app",gateway="gw1"}'
MAIN = '{listener="main"}'


def start(lab, gateways, **how):
	return lab.start(gateways, admin=LISTEN, **how)


def text(daemon):
	port = re.search(r"admin: listening on 127\.0\.0\.1:(\d+)", daemon.log).group(1)
	with Client(("127.0.0.1", int(port))) as c:
		return c.get("/metrics", "Connection: close", host="127.0.0.1").text


class Growth:
	"""What has changed since the last look."""

	def __init__(self, daemon):
		self.daemon = daemon
		self.before = metrics(daemon)

	def of(self, sample):
		return metrics(self.daemon).get(sample, 0) - self.before.get(sample, 0)

	def grows(self, wanted):
		"""{sample: by how much}; they get there in a moment."""
		def now():
			return {sample: self.of(sample) for sample in wanted}
		try:
			until(lambda: now() == wanted, wanted)
		except AssertionError:
			assert now() == wanted
		self.before = metrics(self.daemon)


def families(page):
	return {m[1]: m[2] for m in re.finditer(r"^# TYPE (\S+) (\S+)$", page, re.M)}


def manual():
	"""All that its list has."""
	section = re.search(r"^\.Sh METRICS\n(.*?)^\.Sh ", MANUAL.read_text(), re.M | re.S)[1]
	return set(re.findall(r"\bLi ((?:stickyd|process)_\w+)", section))


# ---- all of it ----

@pytest.mark.skipif(not shutil.which("promtool"), reason="there is no promtool")
@pytest.mark.skipif(not Redis.is_there(), reason="there is no redis-server")
def test_promtool_and_the_manual(lab):
	redis = lab.redis()
	daemon = start(lab, lab.https(2), pool={"affinity": "header:X-Key, cookie", "check": "http"},
		listener={"tls": "yes", "certificate": lab.authority.issue("game.test")},
		more={"store": {"type": "redis", "url": redis.url}})
	page = text(daemon)
	out = subprocess.run(["promtool", "check", "metrics"], input=page.encode(), capture_output=True)
	assert (out.returncode, out.stdout + out.stderr) == (0, b"")
	assert set(families(page)) == manual()
	for name in re.findall(r"^# HELP (\S+)", page, re.M):
		assert page.count(f"# HELP {name} ") == page.count(f"# TYPE {name} ") == 1


def test_every_family_has_its_story():
	"""Which name it, here or with what they are about."""
	told = "".join(Path(__file__).with_name(f"test_{n}.py").read_text() for n in ("metrics", "redis", "table"))
	assert [name for name in sorted(manual()) if name not in told] == []


# ---- the process ----

def test_the_process(lab):
	began = time.time()
	daemon = start(lab, lab.https(1))
	now = metrics(daemon)
	assert any(s.startswith('stickyd_build_info{version="') and v == 1 for s, v in now.items())
	assert began - 2 < now["stickyd_start_time_seconds"] == now["process_start_time_seconds"] < time.time() + 1
	assert now["stickyd_workers"] == 2
	assert abs(now["process_resident_memory_bytes"] / 1024 - daemon.rss_kb()) < 20000
	assert now["process_virtual_memory_bytes"] > now["process_resident_memory_bytes"]
	assert now["process_max_fds"] >= now["process_open_fds"] > 10
	clients = [lab.client(daemon) for _ in range(20)]
	until(lambda: metrics(daemon)["process_open_fds"] >= now["process_open_fds"] + 20, "20 descriptors more")
	for c in clients:
		c.get("/")
	until(lambda: metrics(daemon)["process_cpu_seconds_total"] > now["process_cpu_seconds_total"], "work to take time")


def test_event_loop_lag(lab):
	daemon = start(lab, lab.https(1), globals={"workers": 1})
	g = Growth(daemon)
	for _ in range(50):
		lab.get(daemon)
	daemon.records(50)
	now = metrics(daemon)
	lag = "stickyd_event_loop_lag_seconds_%s"
	assert g.of((lag % "count") + '{worker="0"}') > 50
	assert g.of((lag % "sum") + '{worker="0"}') > 0
	buckets = [v for s, v in now.items() if s.startswith(lag % "bucket")]
	assert buckets == sorted(buckets) and buckets[-1] == now[(lag % "count") + '{worker="0"}']


def test_reloads(lab):
	daemon = start(lab, lab.https(1))
	now = metrics(daemon)
	assert (now["stickyd_reload_last_time_seconds"], now["stickyd_reload_last_successful"]) == (0, 1)
	began = int(time.time())
	assert lab.reload(daemon, lab.gateways, admin=LISTEN)
	now = metrics(daemon)
	assert (now["stickyd_reloads_total"], now["stickyd_reloads_failed_total"]) == (1, 0)
	good = now["stickyd_reload_last_success_time_seconds"]
	assert began <= good == now["stickyd_reload_last_time_seconds"] <= time.time()
	assert not lab.reload(daemon, lab.gateways, admin=LISTEN, pool={"balance": "fair"})
	now = metrics(daemon)
	assert (now["stickyd_reloads_total"], now["stickyd_reloads_failed_total"]) == (2, 1)
	assert now["stickyd_reload_last_successful"] == 0 and now["stickyd_reload_last_success_time_seconds"] == good


def test_lines_that_were_lost(lab):
	"""Nobody reads the pipe that they go to."""
	fifo = lab.directory / "pipe"
	subprocess.run(["mkfifo", fifo], check=True)
	reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
	daemon = start(lab, lab.terse(1), log={"access": fifo})
	def lost():
		with Client(daemon.address()) as c:
			for _ in range(20):
				c.send(b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % (b"x" * 1000) * 100)
				for _ in range(100):
					c.response()
		return metrics(daemon)["stickyd_log_dropped_total"] > 0
	until(lost, "lines to be lost", 60)
	os.close(reader)


# ---- traffic ----

def test_requests(lab):
	daemon = start(lab, [lab.http("gw1", {"/gone": lambda side, request: side.answer("404 Not Found", body=b"")})])
	g = Growth(daemon)
	with Client(daemon.address()) as c:
		assert [c.get("/").status, c.get("/gone").status] == [200, 404]
	g.grows({
		"stickyd_connections_total": 1, "stickyd_requests_total": 2, "stickyd_bad_requests_total": 0,
		f"stickyd_listener_connections_total{MAIN}": 1, f"stickyd_listener_connections{MAIN}": 0,
		'stickyd_listener_requests_total{listener="main",code="2xx"}': 1,
		'stickyd_listener_requests_total{listener="main",code="4xx"}': 1,
		'stickyd_request_ends_total{by="stickyd",reason="done"}': 2,
		f"stickyd_gateway_requests_total{GATEWAY}": 2, f"stickyd_gateway_errors_total{GATEWAY}": 0,
		'stickyd_request_duration_seconds_count{pool="app"}': 2, 'stickyd_connect_duration_seconds_count{pool="app"}': 2,
	})
	with Client(daemon.address()) as c:
		until(lambda: metrics(daemon)[f"stickyd_listener_connections{MAIN}"] == 1, "the client to be counted")
		c.send(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
		assert c.response().status == 400
	g.grows({
		"stickyd_bad_requests_total": 1, 'stickyd_listener_requests_total{listener="main",code="4xx"}': 1,
		'stickyd_request_ends_total{by="client",reason="bad-request"}': 1,
		'stickyd_request_duration_seconds_count{pool="app"}': 0, f"stickyd_listener_connections{MAIN}": 0,
	})


def test_bytes_of_listeners(lab):
	daemon = start(lab, [lab.ws("gw1")])
	session = lab.session(daemon)
	until(lambda: metrics(daemon)["stickyd_sessions_total"] == 1, "the session")
	g = Growth(daemon)
	for _ in range(100):
		session.echo("x" * 1000)
	# as they pass, not only at the end: heads of 8 bytes with their masks, of 4 without
	g.grows({
		f"stickyd_listener_received_bytes_total{MAIN}": 100 * 1008, f"stickyd_listener_sent_bytes_total{MAIN}": 100 * 1004})


def test_sessions(lab):
	gateway = lab.ws("gw1")
	daemon = start(lab, [gateway], pool={"gateway": f"{gateway.line} max_sessions=5"})
	assert metrics(daemon)[f"stickyd_gateway_max_sessions{GATEWAY}"] == 5
	g = Growth(daemon)
	sessions = [lab.session(daemon) for _ in range(3)]
	g.grows({
		"stickyd_sessions_total": 3, f"stickyd_gateway_sessions_total{GATEWAY}": 3, f"stickyd_sessions{GATEWAY}": 3,
		f"stickyd_gateway_load{GATEWAY}": 3, 'stickyd_listener_requests_total{listener="main",code="1xx"}': 3,
		'stickyd_session_duration_seconds_count{pool="app"}': 0,
		'stickyd_session_duration_seconds_bucket{pool="app",le="1"}': 0})
	sessions[0].finish()
	sessions[1].close()
	g.grows({
		"stickyd_sessions_total": 0, f"stickyd_sessions{GATEWAY}": -2, f"stickyd_gateway_load{GATEWAY}": -2,
		'stickyd_session_duration_seconds_count{pool="app"}': 2,
		'stickyd_session_duration_seconds_bucket{pool="app",le="604800"}': 2,
		'stickyd_session_ends_total{by="client",reason="client-closed"}': 2})


def test_duplicates(lab):
	daemon = start(lab, [lab.ws("gw1")], pool={"affinity": "query:id", "duplicate": "close-old"})
	g = Growth(daemon)
	lab.session(daemon, "/?id=a")
	lab.session(daemon, "/?id=a")
	g.grows({
		"stickyd_duplicates_closed_total": 1,
		'stickyd_session_ends_total{by="stickyd",reason="duplicate-session"}': 1})


def test_tls_handshakes(lab):
	daemon = start(lab, lab.https(1), listener={"tls": "yes", "certificate": lab.authority.issue("game.test")})
	g = Growth(daemon)
	context = lab.authority.context()
	kinds = 'stickyd_listener_tls_handshakes_total{listener="main",kind="%s"}'
	with Client(daemon.address(), tls=context, server_name="game.test") as c:
		c.get("/")
		session = c.sock.session
	g.grows({kinds % "full": 1, kinds % "resumed": 0, kinds % "failed": 0})
	with socket.create_connection(daemon.address()) as s:
		with context.wrap_socket(s, server_hostname="game.test", session=session) as tls:
			assert tls.session_reused
	with socket.create_connection(daemon.address()) as s:
		s.sendall(b"this is no handshake\r\n")
		s.recv(100)
	g.grows({kinds % "full": 0, kinds % "resumed": 1, kinds % "failed": 1})


# ---- gateways ----

def test_a_gateway_that_goes_and_comes(lab):
	gateway = lab.http("gw1")
	daemon = start(lab, [gateway, lab.http("gw2")],
		pool={"check": "http", "check_interval": "50ms", "check_fall": 1, "check_rise": 1})
	state = 'stickyd_gateway_state{pool="app",gateway="gw1",state="%s"}'
	to = 'stickyd_gateway_transitions_total{pool="app",gateway="gw1",to="%s"}'
	now = until(lambda: (m := metrics(daemon)).get(f"stickyd_gateway_check_good{GATEWAY}") == 1 and m, "a good check")
	assert 0 < now[f"stickyd_gateway_check_duration_seconds{GATEWAY}"] < 5
	assert (now[f"stickyd_gateway_up{GATEWAY}"], now[state % "up"], now[f"stickyd_gateway_weight{GATEWAY}"]) == (1, 1, 1)
	g = Growth(daemon)
	gateway.kill()
	g.grows({
		f"stickyd_gateway_up{GATEWAY}": -1, state % "up": -1, state % "down": 1, to % "down": 1, to % "up": 0,
		f"stickyd_gateway_check_good{GATEWAY}": -1})
	assert abs(metrics(daemon)[f"stickyd_gateway_state_since_seconds{GATEWAY}"] - time.time()) < 60
	gateway.start()
	g.grows({f"stickyd_gateway_up{GATEWAY}": 1, state % "down": -1, to % "down": 0, to % "up": 1})


def test_failures_in_traffic(lab):
	"""It answers no request as it should, so it is set aside; the other gets them."""
	bad = lab.scripted(lambda side: side.read_request() and side.send(b"what?\r\n\r\n"), "gw1")
	daemon = start(lab, [bad, lab.http("gw2")], pool={"eject_after": 2, "eject_time": "1h", "check": "tcp",
		"balance": "roundrobin", "affinity": "", "retries": 0})
	def ejected():
		lab.get(daemon)
		return metrics(daemon)[f"stickyd_gateway_ejected{GATEWAY}"] == 1
	until(ejected, "it to be set aside")
	now = metrics(daemon)
	assert now[f"stickyd_gateway_ejections_total{GATEWAY}"] == 1
	assert now[f"stickyd_gateway_errors_total{GATEWAY}"] >= 2
	assert now['stickyd_request_ends_total{by="gateway",reason="gateway-bad-answer"}'] >= 2
	assert now['stickyd_listener_requests_total{listener="main",code="5xx"}'] >= 2


def test_a_connect_that_failed_is_tried_elsewhere(lab):
	daemon = start(lab, [lab.refusing("gw1"), lab.http("gw2")], pool={"affinity": "", "balance": "roundrobin"})
	g = Growth(daemon)
	for _ in range(4):
		assert lab.get(daemon).status == 200
	retries = g.of('stickyd_gateway_retries_total{pool="app"}')
	assert retries >= 1 and g.of(f"stickyd_gateway_errors_total{GATEWAY}") >= retries


# ---- affinity ----

def test_affinity(lab):
	daemon = start(lab, lab.https(2), pool={"affinity": "header:X-Key, cookie"}, more={"store": {"max_keys": 1000}})
	decided = 'stickyd_affinity_decisions_total{pool="app",selector="%s",outcome="%s"}'
	assert metrics(daemon)["stickyd_table_max_keys"] == 1000
	g = Growth(daemon)
	cookie = str(lab.get(daemon, "/", "X-Key: alice").cookie())
	g.grows({decided % ("none", "new"): 1, "stickyd_table_keys": 1})
	lab.get(daemon, "/", "X-Key: alice")
	lab.get(daemon, cookie=cookie)
	lab.get(daemon)
	g.grows({
		decided % ("header:X-Key", "hit"): 1, decided % ("cookie", "hit"): 1, decided % ("none", "new"): 1,
		'stickyd_affinity_bare_requests_total{pool="app"}': 1, "stickyd_table_keys": 0})


def test_waiting(lab):
	gateway = lab.http("gw1")
	daemon = start(lab, [gateway], pool={"affinity": "header:X-Key", "on_down": "wait:20s", "check": "tcp",
		"check_interval": "50ms", "check_fall": 1, "check_rise": 1})
	lab.get(daemon, "/", "X-Key: alice")
	g = Growth(daemon)
	gateway.kill()
	until(lambda: metrics(daemon)[f"stickyd_gateway_up{GATEWAY}"] == 0, "it to be down")
	client = lab.client(daemon)
	client.request("/", "X-Key: alice")
	gateway.start()
	assert client.response().status == 200
	assert g.of('stickyd_affinity_waited_total{pool="app"}') == 1
	assert metrics(daemon)['stickyd_connect_duration_seconds_count{pool="app"}'] >= 2


def test_keys_that_go(lab):
	daemon = start(lab, lab.https(1), pool={"affinity": "header:X-Key"}, more={"store": {"max_keys": 64}})
	with Client(daemon.address()) as c:
		for i in range(1000):
			c.get("/", f"X-Key: {i}")
	now = metrics(daemon)
	assert now["stickyd_table_evictions_total"] > 0 and now["stickyd_table_keys"] <= now["stickyd_table_max_keys"]
	assert now["stickyd_table_expired_total"] == 0


@pytest.mark.skipif(not Redis.is_there(), reason="there is no redis-server")
def test_a_store_that_says_nothing_or_nonsense(lab):
	"""What it is asked otherwise is in test_redis.py."""
	redis = lab.redis()
	daemon = start(lab, lab.https(1), pool={"affinity": "header:X-Key"},
		more={"store": {"type": "redis", "url": redis.url, "timeout": "50ms"}})
	lab.get(daemon, "/", "X-Key: alice")
	assert metrics(daemon)["stickyd_store_errors_total"] == 0
	redis.command("CONFIG", "SET", "maxmemory", "1")
	lab.get(daemon, "/", "X-Key: bob")
	until(lambda: metrics(daemon)["stickyd_store_errors_total"] > 0, "OOM to be an error")
	redis.command("CONFIG", "SET", "maxmemory", "0")
	redis.process.send_signal(signal.SIGSTOP)
	assert lab.get(daemon, "/", "X-Key: carol").status == 200
	assert metrics(daemon)["stickyd_store_silent_total"] > 0
	redis.process.send_signal(signal.SIGCONT)


# ---- over a reload ----

def test_counters_stay_over_a_reload(lab):
	gateways = lab.https(1)
	daemon = start(lab, gateways)
	for _ in range(3):
		lab.get(daemon)
	daemon.records(3)
	before = metrics(daemon)
	assert lab.reload(daemon, gateways, admin=LISTEN, pool={"balance": "random"})
	after = metrics(daemon)
	for sample, value in before.items():
		if sample.split("{")[0].endswith(("_total", "_count", "_bucket")):
			assert after[sample] >= value, sample
