# SPDX-License-Identifier: BSD-2-Clause
"""What an operator asks a running stickyd: by stickyctl, by the admin socket, by TCP."""

import http.client
import json
import os
import re
import resource
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from harness.daemon import configuration, environment, program
from harness.redis import Redis
from harness.wait import until

TOKEN = "0123456789abcdef0123456789abcdef"
KEYS = {"affinity": "header:X-Player-Id, cookie"}


def stickyctl(daemon_or_path, *words, env=None):
	path = getattr(daemon_or_path, "admin_socket", daemon_or_path)
	socket_words = ["-s", str(path)] if path else []
	return subprocess.run([str(Path(program()).parent / "stickyctl"), *socket_words, *map(str, words)],
		stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, env=environment(**(env or {})))


def asked(daemon, *words):
	"""What the answer says, as JSON."""
	out = stickyctl(daemon, "--json", *words)
	assert (out.returncode, out.stderr) == (0, ""), out
	return json.loads(out.stdout)


def told(daemon, *words):
	"""The same as people read it."""
	out = stickyctl(daemon, *words)
	assert (out.returncode, out.stderr) == (0, ""), out
	return out.stdout


def start(lab, gateways, name="stickyd", at="admin.sock", admin=None, **how):
	path = lab.directory / at
	daemon = lab.start(gateways, name=name, admin={"socket": path, **(admin or {})}, **how)
	daemon.admin_socket = path
	return daemon


def who(response):
	return json.loads(response.body)["gateway"]


def by_tcp(daemon, method, target, **fields):
	host, port = re.search(r"admin: listening on ([\d.]+):(\d+)", daemon.log).groups()
	connection = http.client.HTTPConnection(host, int(port), timeout=20)
	connection.request(method, target, headers=fields)
	response = connection.getresponse()
	body = response.read()
	connection.close()
	return response, body


def test_an_operator_finds_and_moves_a_player(lab):
	daemon = start(lab, lab.https(2), pool=KEYS)
	first = who(lab.get(daemon, "/", "X-Player-Id: alice"))
	other = {"gw1": "gw2", "gw2": "gw1"}[first]
	binding, = asked(daemon, "table", "get", "alice")["bindings"]
	assert (binding["pool"], binding["gateway"], binding["state"]) == ("app", first, "up")
	assert asked(daemon, "table", "count")["keys"] == 1
	assert f"gateway    {other} (up)" in told(daemon, "table", "set", "alice", other)
	assert who(lab.get(daemon, "/", "X-Player-Id: alice")) == other
	explained, = asked(daemon, "explain", "alice")["pools"]
	assert explained["gateway"] == other and explained["now"] == "kept" and explained["bound_by"] == "table"
	assert [(m["from"], m["to"], m["why"]) for m in explained["moves"]] == [(first, other, "operator")]
	assert told(daemon, "table", "delete", "alice") == "deleted\n"
	out = stickyctl(daemon, "table", "get", "alice")
	assert (out.returncode, out.stdout, out.stderr) == (1, "", "stickyctl: the key is not bound\n")
	assert "alice" not in daemon.log, "keys may be tokens"


def test_keys_of_any_bytes(lab):
	daemon = start(lab, lab.https(2), pool={"affinity": "query:k"})
	first = who(lab.get(daemon, "/?k=%2Fa%26b+c%C3%BC"))
	binding, = asked(daemon, "table", "get", "/a&b cü")["bindings"]
	assert binding["gateway"] == first
	assert stickyctl(daemon, "table", "get", "/a&b+cü").returncode == 1
	told(daemon, "table", "set", "-x", "gw1")	# it stands behind the command, so it is no option


def test_a_cookie_is_explained(lab):
	gateways = lab.https(2)
	daemon = start(lab, gateways, pool={**KEYS, "check": "tcp", "check_interval": "100ms", "check_fall": 1})
	response = lab.get(daemon)
	cookie, first = response.cookie(), who(response)
	for text in (cookie.value, str(cookie), response.get("set-cookie")):
		explained, = asked(daemon, "explain", text)["pools"]
		assert explained["kind"] == "cookie" and explained["counts"] and explained["gateway"] == first
		assert explained["now"] == "kept" and explained["selectors"] == ["cookie"]
		assert explained["since"] and explained["seen"] and "ago" in explained["since_words"] + " now ago"
	bad = str(cookie)[:-1] + ("A" if str(cookie)[-1] != "A" else "B")
	explained, = asked(daemon, "explain", bad)["pools"]
	assert (explained["counts"], explained["why"], explained["now"]) == (False, "forged", "new")
	out = told(daemon, "explain", "STICKYD=short")
	assert "does not count  malformed: " in out and "pool app" in out
	next(g for g in gateways if g.name == first).stop()
	until(lambda: asked(daemon, "explain", str(cookie))["pools"][0]["state"] == "down", "the check to see it")
	explained, = asked(daemon, "explain", str(cookie))["pools"]
	assert (explained["now"], explained["because"]) == ("reassigned", "down")
	row = next(g for g in asked(daemon, "gateways")["gateways"] if g["name"] == first)
	assert row["state"] == "down"


def test_sessions_are_seen_while_they_last(lab):
	daemon = start(lab, [lab.ws()], pool={"max_sessions": None})
	session = lab.session(daemon)
	until(lambda: asked(daemon, "status")["sessions"] == 1, "the session to be counted")
	row, = asked(daemon, "gateways")["gateways"]
	assert (row["sessions"], row["load"]) == (1, 1)
	assert re.search(r"^app +gw1 +127\.0\.0\.1:\d+ +up .* 1 +1 +- +1 ", told(daemon, "gateways"), re.M)
	session.finish()
	until(lambda: asked(daemon, "status")["sessions"] == 0, "its end to be counted")
	assert asked(daemon, "status")["sessions_total"] == 1
	assert "sessions     0 now, 1 in all" in told(daemon, "status")


def test_metrics(lab):
	daemon = start(lab, lab.https(2), pool=KEYS, admin={"listen": "127.0.0.1:0"})
	cookie = str(lab.get(daemon, "/", "X-Player-Id: alice").cookie())
	lab.get(daemon, "/", "X-Player-Id: alice")
	lab.get(daemon, cookie=cookie)
	lab.get(daemon)
	daemon.records(4)
	response, body = by_tcp(daemon, "GET", "/metrics")
	assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
	samples = dict(line.rsplit(" ", 1) for line in body.decode().splitlines() if line[0] != "#")
	assert samples["stickyd_requests_total"] == "4" and samples["stickyd_table_keys"] == "1"
	decided = 'stickyd_affinity_decisions_total{pool="app",selector="%s",outcome="%s"}'
	assert samples[decided % ("header:X-Player-Id", "hit")] == "1"
	assert samples[decided % ("cookie", "hit")] == "1"
	assert samples[decided % ("none", "new")] == "2"
	assert samples['stickyd_affinity_bare_requests_total{pool="app"}'] == "1"
	assert samples['stickyd_gateway_up{pool="app",gateway="gw1"}'] == "1"
	if shutil.which("promtool"):
		out = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True)
		assert (out.returncode, out.stdout + out.stderr) == (0, b"")


def test_by_tcp_changes_need_the_token(lab):
	token = lab.directory / "token"
	token.write_text(TOKEN + "\n")
	token.chmod(0o600)
	daemon = start(lab, lab.https(2), pool=KEYS, admin={"listen": "127.0.0.1:0", "token_file": token})
	change = ("PUT", "/v1/table?key=alice&gateway=gw2")
	assert by_tcp(daemon, "GET", "/v1/status")[0].status == 200
	response, body = by_tcp(daemon, *change)
	assert response.status == 401 and response.getheader("WWW-Authenticate").startswith("Bearer")
	assert "token" in json.loads(body)["error"]
	assert by_tcp(daemon, *change, Authorization=f"Bearer {TOKEN[:-1]}")[0].status == 401
	assert by_tcp(daemon, *change, Authorization=f"Bearer {TOKEN}")[0].status == 200
	assert who(lab.get(daemon, "/", "X-Player-Id: alice")) == "gw2"
	assert by_tcp(daemon, "GET", "/v1/status", Host="rebound.example")[0].status == 421
	assert TOKEN not in daemon.log


def test_beyond_loopback_all_needs_the_token(lab):
	token = lab.directory / "token"
	token.write_text(TOKEN)
	token.chmod(0o600)
	daemon = start(lab, lab.https(1), admin={"listen": "0.0.0.0:0", "token_file": token})
	assert by_tcp(daemon, "GET", "/metrics")[0].status == 401
	assert by_tcp(daemon, "GET", "/metrics", Authorization=f"Bearer {TOKEN}")[0].status == 200


def test_the_socket_comes_and_goes_with_the_daemon(lab):
	daemon = start(lab, lab.https(1))
	mode = os.stat(daemon.admin_socket).st_mode
	assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660
	sections = lab.sections(lab.gateways, admin={"socket": daemon.admin_socket})
	second = lab.start_with("-c", lab.ini(configuration(sections), "second"), name="second")
	second.expected_exit = 1
	assert second.wait_exit() == 1
	assert re.search(r"second\.ini:\d+: \[admin\] socket: '.*': another process answers there", second.log)
	assert asked(daemon, "status")["pid"] == daemon.pid, "the first goes on"
	daemon.process.kill()
	daemon.wait_exit()
	daemon.expected_exit = -9
	out = stickyctl(daemon, "status")
	assert out.returncode == 1 and "is stickyd running?" in out.stderr
	daemon = start(lab, lab.gateways, name="again")
	assert asked(daemon, "status")["pid"] == daemon.pid, "a dead one's socket is replaced"
	daemon.stop()
	assert not daemon.admin_socket.exists()


def test_a_slow_asker_hinders_nobody(lab):
	"""Half a request on each way in, and others are served meanwhile; it is dropped in the end."""
	daemon = start(lab, lab.https(1))
	with socket.socket(socket.AF_UNIX) as slow:
		slow.connect(str(daemon.admin_socket))
		slow.sendall(b"GET /v1/sta")
		assert asked(daemon, "status")["pid"] == daemon.pid
		slow.settimeout(30)
		assert b" 200 " not in slow.recv(1000)


@pytest.mark.skipif(not Redis.is_there(), reason="there is no redis-server")
def test_with_a_shared_store(lab):
	"""What an operator binds at one proxy holds at the other; and when the store is away nothing is changed by halves."""
	redis = lab.redis()
	gateways = lab.https(2)
	one, two = (start(lab, gateways, name=name, at=f"{name}.sock", pool=KEYS,
		more={"store": {"type": "redis", "url": redis.url}}) for name in ("one", "two"))
	first = who(lab.get(one, "/", "X-Player-Id: alice"))
	other = {"gw1": "gw2", "gw2": "gw1"}[first]
	binding, = until(lambda: json.loads(stickyctl(two, "--json", "table", "get", "alice").stdout or "{}").get("bindings"),
		"the binding to be in the store")
	assert binding["gateway"] is None and binding["store"]["gateway"] == first
	assert who(lab.get(two, "/", "X-Player-Id: alice")) == first
	binding, = asked(one, "table", "set", "alice", other)["bindings"]
	assert binding["gateway"] == other and binding["confirmed"] and binding["store"]["gateway"] == other
	until(lambda: who(lab.get(two, "/", "X-Player-Id: alice")) == other, "the other proxy to follow")
	assert re.search(rf"^  in the store +{other}$", told(two, "explain", "alice"), re.M)
	assert asked(one, "status")["store"]["well"] is True
	told(two, "table", "delete", "alice")
	assert redis.bound("alice") is None
	redis.kill()
	out = stickyctl(one, "table", "set", "bob", "gw1")
	assert out.returncode == 1 and "nothing was changed" in out.stderr
	assert stickyctl(one, "table", "get", "bob").returncode == 1


def test_the_users_own_socket_is_found(lab, tmp_path):
	"""Where nobody answers at the default place; that one may be taken on the machine that runs this."""
	if Path("/run/stickyd/admin.sock").exists():
		pytest.skip("there is a socket at the default path")
	(tmp_path / "stickyd").mkdir()
	daemon = start(lab, lab.https(1), at=tmp_path / "stickyd/admin.sock")
	out = stickyctl(None, "--json", "status", env={"XDG_RUNTIME_DIR": str(tmp_path)})
	assert json.loads(out.stdout)["pid"] == daemon.pid


def test_no_descriptors_for_operators_cost_nobody_else_anything(lab):
	"""Who knocks stays there; that must neither spin nor flood the log, and is over when there are descriptors again."""
	daemon = start(lab, lab.https(1))
	hard = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[1]
	resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (daemon.descriptors(), hard))
	knocking = []
	for _ in range(8):
		s = socket.socket(socket.AF_UNIX)
		s.connect(str(daemon.admin_socket))
		knocking.append(s)
	daemon.wait_log("admin: nobody can be let in: Too many open files")
	assert daemon.cpu_share(1.5) < 0.5
	assert daemon.log.count("nobody can be let in") == 1
	for s in knocking:
		s.close()
	resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (hard, hard))
	assert asked(daemon, "status")["workers"]
