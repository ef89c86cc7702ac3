# SPDX-License-Identifier: BSD-2-Clause
"""The operator's hand: every command against a running stickyd, what is said when something is wrong, the live screen,
and what a shell completes."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from harness.ctl import Live, asked, binary, refused, stickyctl, told
from harness.daemon import TOP, configuration
from harness.wait import until

KEYS = {"affinity": "header:X-Player-Id, cookie"}


def start(lab, gateways, name="stickyd", **how):
	path = lab.directory / "admin.sock"
	daemon = lab.start(gateways, name=name, admin={"socket": path}, **how)
	daemon.admin_socket = path
	return daemon


def live(lab, daemon, *words, **how):
	top = Live(daemon, *words, **how)
	lab.others.append(top)
	return top


def gateway(daemon, name):
	return next(g for g in asked(daemon, "gateways")["gateways"] if f"{g['pool']}/{g['name']}" == name)


def rewrite(lab, daemon, **sections):
	"""The file that the daemon was started with, said anew."""
	return lab.ini(configuration(lab.sections(lab.gateways, admin={"socket": daemon.admin_socket}, **sections)))


# the command line

@pytest.mark.parametrize("words, code, says", [
	((), 2, "usage: "), (("-h",), 0, ""), (("--help",), 0, ""), (("-V",), 0, ""), (("status", "--help"), 0, ""),
	(("--nonsense",), 2, "there is no option '--nonsense'"), (("--jsn", "status"), 2, "did you mean '--json'?"),
	(("statsu",), 2, "there is no command 'statsu'; did you mean 'status'?"), (("\x1b[2J",), 2, r"\x1b[2J"),
	(("table",), 2, "table get"), (("table", "gte", "x"), 2, "'get'"), (("table", "set", "x"), 2, "table set K GW"),
	(("drain",), 2, "drain GW ... [--deadline 10m]"), (("drain", "gw1", "--deadline"), 2, "--deadline needs a value"),
	(("ready", "gw1", "--deadline", "1m"), 2, "there is no option '--deadline' here"),
	(("sessions", "--gatway", "gw1"), 2, "did you mean '--gateway'?"), (("weight", "gw1"), 2, "weight GW N"),
	(("status", "--follow=1"), 2, "there is no option"), (("events", "--follow=1"), 2, "--follow takes no value"),
	(("top", "--json"), 2, "is for people"), (("status",), 1, "is stickyd running?"),
	(("top", "--once"), 1, "is stickyd running?"), (("events", "--follow"), 1, "is stickyd running?"),
])
def test_the_command_line(tmp_path, words, code, says):
	out = stickyctl(tmp_path / "none.sock", *words)
	assert out.returncode == code
	assert says in out.stderr and bool(out.stderr) == bool(says)
	assert bool(out.stdout) == (code == 0)


def test_options_stand_anywhere_but_clients_words_are_words(lab):
	daemon = start(lab, lab.https(1), pool=KEYS)
	path = str(daemon.admin_socket)
	for words in (("status", "--json", "-s", path), ("--json", f"--socket={path}", "status"), ("-s" + path, "status", "--json")):
		assert json.loads(stickyctl(None, *words).stdout)["pid"] == daemon.pid, words
	for key in ("-x", "--deadline", "-", "--rate=1"):
		told(daemon, "table", "set", key, "gw1")
		assert asked(daemon, "table", "get", key)["bindings"][0]["gateway"] == "gw1"
	told(daemon, "table", "set", "--", "--json", "gw1")
	assert "gw1" in told(daemon, "table", "get", "--", "--json")
	assert asked(daemon, "table", "count")["keys"] == 5


def test_why_it_cannot_connect(lab, tmp_path):
	"""Which socket was tried, and what is wrong with it."""
	none = tmp_path / "none.sock"
	assert f"cannot connect to {none}: No such file or directory: is stickyd running?" in refused(none, "status")
	dead = tmp_path / "dead.sock"
	with socket.socket(socket.AF_UNIX) as s:
		s.bind(str(dead))
	assert f"cannot connect to {dead}: Connection refused" in refused(dead, "status")
	with socket.socket(socket.AF_UNIX) as s:
		s.bind(str(tmp_path / "other.sock"))
		s.listen()
		other = subprocess.Popen([binary(), "-s", str(tmp_path / "other.sock"), "status"], stderr=subprocess.PIPE, text=True)
		peer, _ = s.accept()
		peer.recv(1000)
		peer.sendall(b"220 mail.example.com\r\n")
		peer.close()
		assert "does not speak HTTP" in other.communicate()[1] and other.returncode == 1
	if not Path("/run/stickyd/admin.sock").exists():
		out = stickyctl(None, "status", env={"XDG_RUNTIME_DIR": str(tmp_path)})
		assert "/run/stickyd/admin.sock" in out.stderr and f"nor to {tmp_path}/stickyd/admin.sock" in out.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_whose_socket_it_is(everybodys, lab):
	if subprocess.run([binary(), "-V"], user="nobody", capture_output=True).returncode:
		pytest.skip("others may not run what was built")
	lab.directory = everybodys
	daemon = start(lab, lab.https(1))
	nobody = {"user": "nobody", "group": "nogroup", "extra_groups": []}
	out = stickyctl(daemon, "status", **nobody)
	assert out.returncode == 1
	assert f"cannot connect to {daemon.admin_socket}: Permission denied: it is for user 'root' and group 'root'" in out.stderr
	os.chmod(everybodys, 0o700)
	assert "its directory lets only others in" in stickyctl(daemon, "status", **nobody).stderr


def test_a_pipe_that_is_closed(lab):
	"""`stickyctl gateways | head` ends quietly; a full disk does not."""
	daemon = start(lab, lab.https(1))
	with open("/dev/full", "w") as full:
		out = subprocess.run([binary(), "-s", str(daemon.admin_socket), "status"], stdout=full, stderr=subprocess.PIPE, text=True)
	assert out.returncode == 1 and "could not be written" in out.stderr


# for people and for programs

def test_tables(lab):
	daemon = start(lab, lab.https(2), pool={"check": "tcp"})
	until(lambda: gateway(daemon, "app/gw2")["state"] == "up", "the gateways to be up")
	head, first, second = told(daemon, "gateways").splitlines()[:3]
	assert re.match(r"POOL +GATEWAY +ADDRESS +STATE +SINCE +WEIGHT +SESSIONS +MAX +LOAD +REQUESTS +ERRORS +CHECK +WHY$", head)
	assert first.index("gw1") == head.index("GATEWAY") == second.index("gw2")
	assert re.search(r"\bup\b.*\d+ (seconds?|minutes?) ago|\bup\b.*\bnow\b", first)
	assert "\x1b" not in first and not first.endswith(" ")
	assert re.search(r"^app +\S+ +2 of 2 ", told(daemon, "gateways"), re.M), "the pools stand below"
	status = told(daemon, "status")
	for line in (r"version +\d", rf"pid +{daemon.pid}$", r"started +\d{4}-\d\d-\d\dT.*Z \(", r"sessions +0 now", r"workers +2$",
			r"lately +0 new sessions", r"WORKER +SESSIONS"):
		assert re.search(rf"^{line}", status, re.M), line


@pytest.mark.parametrize("columns", [80, 60, 170])
def test_tables_fit_the_terminal(lab, columns):
	gone = lab.refusing("gw-with-a-longer-name")
	daemon = start(lab, [gone], pool={"check": "tcp"})
	until(lambda: gateway(daemon, "app/gw-with-a-longer-name")["state"] == "down", "the gateway to be down")
	terminal = live(lab, daemon, "gateways", columns=columns)
	assert terminal.wait_exit() == 0
	assert all(len(line) <= columns for line in terminal.screen.text.splitlines())
	text = terminal.wait("Connection", "refused")
	assert b"\x1b[31mdown" in terminal.written
	assert "STATE" in text and ("ADDRESS" in text) == (columns == 170)
	plain = live(lab, daemon, "gateways", env={"NO_COLOR": "1"})
	assert plain.wait_exit() == 0 and b"\x1b" not in plain.written


def test_json_is_utf8_whatever_clients_sent(lab):
	daemon = start(lab, lab.https(1), pool=KEYS)
	for text in (b"na\xff\xc3me=\x9b2J", b"\xc3\xbc", b"\xc2\x9b", b"\xe2\x80\xaex"):
		for words in ((b"--json", b"explain", text), (b"explain", text)):
			out = subprocess.run([binary(), "-s", str(daemon.admin_socket), *words], capture_output=True)
			assert out.returncode == 0 and out.stderr == b""
			assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", out.stdout.decode("utf-8"))
			if words[0] == b"--json":
				json.loads(out.stdout)


# gateways

def test_drain_ready_down_weight(lab):
	daemon = start(lab, lab.https(3), pool={"check": "none"}, more={"pool lobby": {"gateway": ["gw1 127.0.0.1:9"], "check": "none"}})
	said = told(daemon, "drain", "app/gw1", "gw2", "--deadline", "10m")
	assert re.search(r"^app/gw1 is draining \(.*deadline in \d+ minutes\), weight 1, 0 sessions$", said, re.M)
	assert re.search(r"^app/gw2 is draining ", said, re.M)
	assert {gateway(daemon, f"app/gw{n}")["state"] for n in (1, 2)} == {"draining"}
	assert re.search(r"gw1 .* draining .*deadline in ", told(daemon, "gateways"))
	assert re.search(r"^app/gw1 is up", told(daemon, "ready", "app/gw1"))
	assert re.search(r"^app/gw1 is down", told(daemon, "down", "app/gw1"))
	assert asked(daemon, "ready", "app/gw1", "--json")["gateway"]["state"] == "up"
	assert "weight 7" in told(daemon, "weight", "gw3", "7")
	assert gateway(daemon, "app/gw3")["weight"] == 7


def test_what_the_daemon_refuses(lab):
	daemon = start(lab, lab.https(2), more={"pool lobby": {"gateway": ["gw1 127.0.0.1:9"]}})
	assert re.search("no such gateway.*did you mean 'gw2'", refused(daemon, "ready", "gw22"))
	assert "POOL/NAME" in refused(daemon, "down", "gw1")
	assert refused(daemon, "weight", "gw2", "many") and refused(daemon, "drain", "gw2", "--deadline", "soon")
	assert re.search("no such pool.*did you mean 'lobby'", refused(daemon, "rebalance", "loby"))
	out = stickyctl(daemon, "drain", "zzzz", "gw2")
	assert out.returncode == 1 and "no such gateway" in out.stderr
	assert "app/gw2 is draining" in out.stdout, "the others are done"


def test_rebalance(lab):
	gateways = [lab.ws(f"gw{n}") for n in (1, 2)]
	daemon = start(lab, gateways)
	told(daemon, "down", "gw2")
	for _ in range(6):
		lab.session(daemon)
	told(daemon, "ready", "gw2")
	assert re.search(r"^app: 3 sessions to move", told(daemon, "rebalance", "app", "--rate", "100/s"))


# sessions

def test_sessions(lab):
	gateways = [lab.ws(f"gw{n}") for n in (1, 2)]
	daemon = start(lab, gateways, pool=KEYS)
	for n in range(6):
		lab.session(daemon, "/play?n=1", f"X-Player-Id: player-{n}")
	until(lambda: asked(daemon, "sessions")["total"] == 6, "all sessions to be seen")
	rows = told(daemon, "sessions").splitlines()
	assert re.match(r"CLIENT +GATEWAY +SINCE +IDLE +IN +OUT +MESSAGES +LISTENER +HOW +TARGET$", rows[0]) and len(rows) == 7
	assert re.match(r"127\.0\.0\.1(:\d+)? +app/gw[12] .* main .*/play", rows[1])
	parts = [asked(daemon, "sessions", "--gateway", f"gw{n}")["sessions"] for n in (1, 2)]
	assert sum(map(len, parts)) == 6 and all(s["gateway"] == "gw2" for s in parts[1])
	one, = asked(daemon, "sessions", "--key", "player-3")["sessions"]
	assert one["pool"] == "app"
	cut = told(daemon, "sessions", "--limit", "2")
	assert len(cut.splitlines()) == 5 and "2 of 6; --limit shows more" in cut
	assert told(daemon, "sessions", "--pool", "app").count("\n") == 7
	assert "no such gateway" in refused(daemon, "sessions", "--gateway", "gw9")


# the process

def test_reload(lab):
	daemon = start(lab, lab.https(1))
	rewrite(lab, daemon, pool={"gateway": [lab.gateways[0].line, "gw9 127.0.0.1:9"]})
	assert told(daemon, "reload").splitlines()[0] == "reloaded"
	assert gateway(daemon, "app/gw9")
	rewrite(lab, daemon, pool={"retires": "3", "balance": "fair"})
	out = stickyctl(daemon, "reload")
	assert (out.returncode, out.stdout) == (1, "")
	*mistakes, last = out.stderr.splitlines()
	assert len(mistakes) == 2 and all(re.match(r"\S*stickyd\.ini:\d+: \[pool app\] (retires|balance): ", m) for m in mistakes)
	assert last.startswith("stickyctl: ")
	assert gateway(daemon, "app/gw9"), "nothing has changed"
	assert re.search(r"^reloads +2, 1 failed; the last one, .*, FAILED$", told(daemon, "status"), re.M)
	rewrite(lab, daemon, globals={"workers": 3})
	assert re.search(r"^notice: .*workers", told(daemon, "reload"), re.M)


def test_reopen(lab):
	daemon = start(lab, lab.https(1))
	lab.get(daemon)
	daemon.records(1)
	moved = daemon.access_file.rename(daemon.access_file.with_suffix(".1"))
	assert told(daemon, "reopen") == "the logs are reopened\n"
	until(daemon.access_file.exists, "the log to be made anew")
	assert moved.read_text()


def test_events(lab):
	daemon = start(lab, lab.https(2))
	assert re.search(r"^\S+Z notice +.*is ready", told(daemon, "events"), re.M)
	with subprocess.Popen([binary(), "-s", str(daemon.admin_socket), "events", "--follow", "--json"], stdout=subprocess.PIPE,
			stderr=subprocess.PIPE, text=True) as follow:
		lines = iter(follow.stdout)
		assert any("is ready" in json.loads(line)["text"] for line in lines)
		told(daemon, "drain", "gw1")
		assert any("gw1" in json.loads(line)["text"] for line in lines)
		daemon.stop()
		daemon = start(lab, lab.gateways, name="again")
		assert any("is ready" in json.loads(line)["text"] for line in lines), "a restart is no end of it"
		follow.send_signal(signal.SIGINT)
		follow.wait()
		assert "stickyctl: " in follow.stderr.read()


# the live screen

def test_top(lab):
	gateways = [lab.ws("gw1"), lab.ws("gw2")]
	daemon = start(lab, gateways, pool={"check": "tcp"})
	for _ in range(3):
		lab.session(daemon)
	top = live(lab, daemon, "top")
	top.wait(rf"^stickyd \S+  running  pid {daemon.pid}  .*2 workers", "^3 sessions", "^app/gw1 +up .*", "^app/gw2 +up",
		r"loops' lag", r"^1-2 of 2  q quit  s sorted by name")
	assert len(top.screen.text.splitlines()) == 24 and top.screen.modes["?1049"] and not top.screen.modes["?25"]
	told(daemon, "drain", "gw2", "--deadline", "10m")
	top.wait(r"^draining  app/gw2: \d left, deadline in ", "^app/gw2 +draining")
	written = len(top.written)
	top.type("s")
	top.wait("s sorted by state")
	assert b"\x1b[2J" not in top.written[written:], "what is redrawn does not flicker"
	top.size(12, 60)
	top.wait("^app/gw2 +draining", r"^1-2 of 2  q quit")
	assert len(top.screen.text.splitlines()) == 12
	top.size(40, 150)
	top.wait("^app/gw1 .*tcp: ")
	top.type("q")
	assert top.wait_exit() == 0 and top.is_as_before()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_top_leaves_the_terminal_as_it_was(lab, number):
	daemon = start(lab, lab.https(1))
	top = live(lab, daemon, "top")
	top.wait("q quit")
	top.process.send_signal(number)
	assert top.wait_exit() == 0 and top.is_as_before()


def test_top_is_stopped_and_goes_on(lab):
	daemon = start(lab, lab.https(1))
	top = live(lab, daemon, "top")
	top.wait("q quit")
	top.type("\x1a")
	until(lambda: re.search(r"\) T ", Path(f"/proc/{top.process.pid}/stat").read_text()), "it to be stopped")
	top.read()
	assert top.is_as_before()
	top.process.send_signal(signal.SIGCONT)
	until(lambda: top.read() and top.screen.modes["?1049"], "the screen to be back")
	top.wait("q quit")
	top.type("\x03")
	assert top.wait_exit() == 0 and top.is_as_before()


def test_top_survives_a_restart(lab):
	daemon = start(lab, lab.https(1))
	top = live(lab, daemon, "top")
	top.wait(f"pid {daemon.pid} ")
	daemon.signal(signal.SIGSTOP)
	top.wait(r"^NO ANSWER for \d+ s")
	daemon.signal(signal.SIGCONT)
	until(lambda: "NO ANSWER" not in top.read(), "it to be answered again")
	daemon.stop()
	top.wait("^NOT ANSWERED for .*asking again: cannot connect to")
	again = start(lab, lab.gateways, name="again")
	top.wait(f"pid {again.pid} ")
	assert "ANSWER" not in top.screen.text
	top.type("q")
	assert top.wait_exit() == 0


def test_top_with_more_gateways_than_lines(lab):
	daemon = start(lab, (), more={"pool app": {"gateway": [f"gw{n} 127.0.0.1:{n + 1}" for n in range(100)], "check": "none",
		"affinity": "cookie"}})
	top = live(lab, daemon, "top")
	top.wait("^app/gw0 ", r"of 100  q quit")
	assert "gw99" not in top.screen.text
	for key, shows in (("\x1b[F", "^app/gw99 "), ("\x1b[H", "^app/gw0 "), ("\x1b[6~", "^app/gw20 "), ("\x1b[B", "^app/gw21 "),
			("r", "^app/gw78 ")):
		top.type(key)
		top.wait(shows)


def test_top_where_there_is_no_screen(lab):
	daemon = start(lab, lab.https(1))
	for words in (("top",), ("top", "--once")):
		text = told(daemon, *words)
		assert re.search(rf"^stickyd .*pid {daemon.pid} .*\n", text) and re.search("^app/gw1 ", text, re.M) and "\x1b" not in text
	dumb = live(lab, daemon, "top", env={"TERM": "dumb"})
	assert dumb.wait_exit() == 1
	said = dumb.screen.text.replace("\n", "")
	assert "the terminal has no screen" in said and "top --once prints one screen" in said


# shells

def completed(daemon, *words, cwd=None):
	"""What bash would offer for the last word."""
	script = """source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _stickyctl; printf '%s\\n' "${COMPREPLY[@]}" """
	where = ["-s", str(daemon.admin_socket)] if daemon else []
	out = subprocess.run(["bash", "-c", script, "bash", str(TOP / "contrib/completion/stickyctl"), binary(), *where, *words],
		capture_output=True, text=True, timeout=60, cwd=cwd)
	assert (out.returncode, out.stderr) == (0, ""), out
	return set(out.stdout.split())


def usage():
	"""Each command, with what its line of the usage says."""
	return re.findall(r"^  (\w+)((?: .*?)?)(?:  .*)?$", stickyctl(None, "-h").stdout, re.M)


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash")
def test_bash_completes(lab):
	daemon = start(lab, lab.https(2), more={"pool lobby": {"gateway": ["gw1 127.0.0.1:9", "gw7 127.0.0.1:10"]}})
	for words, offers in (
			(("drain", ""), {"app/gw1", "gw2", "lobby/gw1", "gw7"}), (("drain", "gw2", "l"), {"lobby/gw1"}),
			(("weight", "gw"), {"gw2", "gw7"}), (("weight", "gw2", ""), set()), (("rebalance", ""), {"app", "lobby"}),
			(("sessions", "--gateway", "app"), {"app/gw1"}), (("sessions", "--pool", "l"), {"lobby"}),
			(("table", "set", "k", "gw"), {"gw2", "gw7"}), (("table", "set", ""), set()), (("ta",), {"table"}),
			(("table", ""), {"get", "set", "delete", "count"}), (("explain", ""), set())):
		assert completed(daemon, *words) == offers, words
	assert completed(None, "-s", "adm", cwd=daemon.admin_socket.parent) == {"admin.sock"}
	daemon.stop()
	assert completed(daemon, "drain", "") == set()


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_knows_all_there_is(shell):
	"""Commands and options as the usage has them."""
	commands = {name for name, _ in usage()}
	assert len(commands) > 10
	if shell == "bash":
		assert completed(None, "") == commands
		for name, call in usage():
			offered = completed(None, name, "-") - {"--json", "--help"}
			assert offered == set(re.findall(r"--\w+", call)), name
		return
	text = (TOP / "contrib/completion/_stickyctl").read_text()
	assert set(re.findall(r"^\t\t'([a-z]+):", text, re.M)) == commands
	for name, call in usage():
		for option in re.findall(r"--\w+", call):
			assert f"'{option}[" in text, (name, option)


def test_the_manual_has_every_command():
	page = (TOP / "man/stickyctl.8").read_text()
	for name, call in usage():
		sub = re.match(r" ([a-z]+)", call)
		assert re.search(rf"^\.It Cm {name}{' ' + sub.group(1) if sub and name == 'table' else ''}\b", page, re.M), name
		for option in re.findall(r"--(\w+)", call):
			assert re.search(rf"^\.(It|Op) Fl -{option}|Fl -{option}\b", page, re.M), option
