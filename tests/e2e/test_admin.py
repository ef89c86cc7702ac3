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


# ---- answers that take their time ----

def ask(daemon, method, target):
	"""By the socket: status and body."""
	with socket.socket(socket.AF_UNIX) as s:
		s.settimeout(30)
		s.connect(str(daemon.admin_socket))
		s.sendall(f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
		data = b""
		while more := s.recv(65536):
			data += more
	head, body = data.split(b"\r\n\r\n", 1)
	return int(head.split()[1]), body


def api(daemon, method, target, status=200):
	got, body = ask(daemon, method, target)
	assert got == status, body
	return json.loads(body)


def rewrite(lab, daemon, gateways, admin=None, **sections):
	return lab.rewrite(daemon, gateways, admin={"socket": daemon.admin_socket, **(admin or {})}, **sections)


def test_a_reload_is_answered_when_it_is_done(lab):
	gateways = lab.https(2)
	daemon = start(lab, gateways[:1])
	rewrite(lab, daemon, gateways)
	assert api(daemon, "POST", "/v1/reload") == {"reloaded": True, "notices": []}
	assert [g["name"] for g in api(daemon, "GET", "/v1/gateways")["gateways"]] == ["gw1", "gw2"]
	rewrite(lab, daemon, gateways, globals={"workers": 3})
	assert "restart" in api(daemon, "POST", "/v1/reload")["notices"][0]
	rewrite(lab, daemon, gateways, pool={"balance": "fair", "check": "maybe"})
	refused = api(daemon, "POST", "/v1/reload", 422)
	assert len(refused["mistakes"]) == 2 and all("stickyd.ini:" in m for m in refused["mistakes"])
	reloads = api(daemon, "GET", "/v1/status")["reloads"]
	assert (reloads["total"], reloads["failed"], reloads["last"]["good"]) == (3, 1, False)
	assert reloads["last"]["mistakes"] == refused["mistakes"]


def test_many_ask_for_a_reload_and_some_do_not_wait(lab):
	daemon = start(lab, lab.https(1))
	rewrite(lab, daemon, lab.gateways)
	asking = []
	for _ in range(40):
		s = socket.socket(socket.AF_UNIX)
		s.settimeout(30)
		s.connect(str(daemon.admin_socket))
		s.sendall(b"POST /v1/reload HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		asking.append(s)
	for s in asking[::2]:
		s.close()
	for s in asking[1::2]:
		assert s.recv(1000).startswith(b"HTTP/1.1 200 ")
		s.close()
	assert api(daemon, "GET", "/v1/status")["state"] == "running"


def test_sessions_are_listed(lab):
	gateways = [lab.ws("gw1"), lab.ws("gw2")]
	daemon = start(lab, gateways, pool={"affinity": "query:id", "balance": "roundrobin"},
		more={"pool other": {"gateway": "gw1 127.0.0.1:9", "check": "none"}})
	held = [lab.session(daemon, f"/play?id={i}") for i in range(10)]
	until(lambda: asked(daemon, "status")["sessions"] == 10, "ten sessions")
	for _ in range(3):
		held[4].echo("hello")
	everyone = api(daemon, "GET", "/v1/sessions")
	assert (everyone["total"], everyone["cut"], len(everyone["sessions"])) == (10, False, 10)
	one, = api(daemon, "GET", "/v1/sessions?key=4")["sessions"]
	assert (one["pool"], one["listener"], one["tls"], one["target"]) == ("app", "main", False, "/play?id=4")
	assert (one["messages_in"], one["messages_out"], one["bytes_in"]) == (3, 3, 3 * 11)
	assert one["client"] == "%s:%d" % held[4].sock.getsockname()
	assert 0 <= one["duration_s"] < 60 and one["idle_s"] <= one["duration_s"] and one["since_words"]
	assert one["host"] and len(one["request_id"]) == 32 and one["how"]
	at = api(daemon, "GET", f"/v1/sessions?gateway=app/{one['gateway']}")
	assert at["total"] == 5 and {s["gateway"] for s in at["sessions"]} == {one["gateway"]}
	assert api(daemon, "GET", "/v1/sessions?pool=other")["total"] == 0
	some = api(daemon, "GET", "/v1/sessions?limit=3")
	assert (some["total"], some["cut"], len(some["sessions"])) == (10, True, 3)
	assert "say POOL/NAME" in api(daemon, "GET", "/v1/sessions?gateway=gw1", 409)["error"]


def test_what_an_operator_wishes(lab):
	daemon = start(lab, lab.https(2), pool={"drain_deadline": "1h"})
	gateway = api(daemon, "POST", "/v1/drain?gateway=gw1")["gateway"]
	assert (gateway["state"], gateway["deadline_words"]) == ("draining", "in 1 hour")
	assert api(daemon, "GET", "/v1/status")["draining"] is True
	assert {who(lab.get(daemon)) for _ in range(8)} == {"gw2"}
	assert api(daemon, "POST", "/v1/drain?gateway=gw1&deadline=0")["gateway"]["deadline"] is None
	assert api(daemon, "POST", "/v1/ready?gateway=app/gw1")["gateway"]["state"] == "up"
	assert api(daemon, "POST", "/v1/weight?gateway=gw2&weight=0")["gateway"]["weight"] == 0
	assert {who(lab.get(daemon)) for _ in range(8)} == {"gw1"}
	assert api(daemon, "POST", "/v1/down?gateway=gw2")["gateway"]["state"] == "down"
	assert "operator" in api(daemon, "GET", "/v1/gateways")["gateways"][1]["why"]


def test_events(lab):
	daemon = start(lab, lab.https(1))
	before = api(daemon, "GET", "/v1/events")
	assert before["last"] == before["events"][-1]["number"]
	assert any("is ready" in e["text"] for e in before["events"])
	api(daemon, "POST", "/v1/down?gateway=gw1")
	fresh = api(daemon, "GET", f"/v1/events?after={before['last']}")["events"]
	assert fresh[0]["level"] == "warn" and "gw1" in fresh[0]["text"] and fresh[0]["number"] == before["last"] + 1
	daemon.wait_log(re.escape(fresh[0]["text"]))


def test_the_trend(lab):
	daemon = start(lab, [lab.ws()])
	session = lab.session(daemon)

	def known():
		session.echo("x" * 10000)
		trend = api(daemon, "GET", "/v1/trend")
		return len(trend["series"]["sessions"]) >= 2 and trend
	trend = until(known, "two samples")
	assert (trend["step_s"], trend["samples"]) == (2, 300)
	assert trend["series"]["sessions"][-1] == 1 and trend["series"]["bytes_in_s"][-1] > 10000
	assert {len(s) for s in trend["series"].values()} == {len(trend["series"]["sessions"])}
	gateway, = trend["gateways"]
	assert gateway["sessions"][-1] == 1 and len(gateway["requests_s"]) == len(gateway["sessions"])
	rates = api(daemon, "GET", "/v1/status")["rates"]
	assert rates["bytes_in_s"] > 1000 and rates["bytes_out_s"] > 1000


def test_a_gateway_that_is_gone_is_told_of_as_long_as_it_has_sessions(lab):
	one, two = lab.ws("gw1"), lab.ws("gw2")
	daemon = start(lab, [one])
	session = lab.session(daemon)
	rewrite(lab, daemon, [two])
	api(daemon, "POST", "/v1/reload")
	here, gone = api(daemon, "GET", "/v1/gateways")["gateways"]
	assert (here["name"], here["state"]) == ("gw2", "up")
	assert (gone["pool"], gone["name"], gone["state"], gone["sessions"], gone["check"]) == ("app", "gw1", "gone", 1, None)
	assert session.echo("still there") == "still there"
	session.finish()
	until(lambda: len(api(daemon, "GET", "/v1/gateways")["gateways"]) == 1, "it to be forgotten")


# ---- probes ----

def test_it_is_ready_when_every_pool_is(lab):
	gateway, session = lab.http("gw1"), lab.ws("gw2")
	daemon = start(lab, [gateway], pool={"check": "tcp", "check_interval": "50ms", "check_fall": 1, "check_rise": 1},
		more={"pool ws": {"gateway": session.line, "check": "none"}}, globals={"shutdown_grace": "20s"},
		listener={"pool": "ws"})
	assert ask(daemon, "GET", "/readyz") == (200, b"ready\n") and ask(daemon, "GET", "/healthz") == (200, b"ok\n")
	gateway.kill()
	until(lambda: ask(daemon, "GET", "/readyz") == (503, b"not ready: pool app has no gateway that is up\n"), "it to see")
	assert ask(daemon, "GET", "/healthz")[0] == 200
	gateway.start()
	until(lambda: ask(daemon, "GET", "/readyz")[0] == 200, "it to come back")
	held = lab.session(daemon)
	daemon.signal(15)
	until(lambda: ask(daemon, "GET", "/readyz") == (503, b"not ready: stopping\n"), "the stop")
	assert api(daemon, "GET", "/v1/status")["state"] == "stopping"
	held.close()


# ---- doors ----

def test_doors_change_at_a_reload(lab):
	"""The one by which it was asked for goes: its answer comes all the same."""
	token = lab.directory / "token"
	token.write_text(TOKEN)
	token.chmod(0o600)
	daemon = start(lab, lab.https(1), admin={"listen": "127.0.0.1:0", "token_file": token})
	moved = lab.directory / "moved.sock"
	rewrite(lab, daemon, lab.gateways, admin={"socket": moved})
	response, body = by_tcp(daemon, "POST", "/v1/reload", Authorization=f"Bearer {TOKEN}")
	assert response.status == 200 and json.loads(body)["reloaded"]
	with pytest.raises(OSError):
		by_tcp(daemon, "GET", "/healthz")
	assert not daemon.admin_socket.exists()
	assert asked(moved, "status")["pid"] == daemon.pid
	inode = moved.stat().st_ino
	rewrite(lab, daemon, lab.gateways, admin={"socket": moved}, pool={"balance": "random"})
	assert asked(moved, "reload")["reloaded"] and moved.stat().st_ino == inode, "what stays is not touched"


def test_a_crowd_keeps_no_operator_out(lab):
	daemon = start(lab, lab.https(1), admin={"listen": "127.0.0.1:0"})
	port = int(re.search(r"admin: listening on 127\.0\.0\.1:(\d+)", daemon.log).group(1))
	crowd = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
	for s in crowd:
		s.sendall(b"GET /metr")
	assert by_tcp(daemon, "GET", "/v1/status")[0].status == 200
	assert asked(daemon, "status")["pid"] == daemon.pid
	assert daemon.descriptors() < 150
	for s in crowd:
		s.close()
