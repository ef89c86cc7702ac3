# SPDX-License-Identifier: BSD-2-Clause
"""The command line and the configuration file: what an operator gets to see."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest

from harness.daemon import configuration, program, run
from harness.wait import until

GOOD = """\
[global]
state_dir = {dir}/state
[listener main]
bind = 127.0.0.1:0
pool = app
[pool app]
gateway = gw1 127.0.0.1:9001
"""


def check(lab, text, **how):
	"""-t on this text: exit status and the mistakes."""
	(lab.directory / "state").mkdir(exist_ok=True)
	path = lab.ini(text.replace("{dir}", str(lab.directory)))
	out = run("-t", "-c", str(path), cwd=lab.directory, **how)
	return out.returncode, [line for line in out.stderr.splitlines() if str(path) in line or "conf.d" in line], path


def test_a_good_file(lab):
	assert check(lab, GOOD)[:2] == (0, [])


BAD = """\
[global]
workers = many
shutdwn_grace = 5s
state_dir = {dir}/state
[log]
level = loud
format = xml
[lstener x]
bind = 127.0.0.1:1
[listener main]
bind = nowhere
pool = app
header_timeout = 10
max_header = 16q
mptcp = maybe
[listener main]
bind = 127.0.0.1:0
pool = app
[route r]
path = nopath
pool = nosuch
[pool app]
balance = leastcon
affinity = cooky
cookie_samesite = never
gateway = gw1
[pool empty]
balance = random
"""


def test_every_mistake_of_a_file_in_one_run(lab):
	code, mistakes, path = check(lab, BAD)
	assert code == 1
	at = {}
	for line in mistakes:
		found = re.search(re.escape(str(path)) + r":(\d+): (.*)", line)
		assert found, line
		at.setdefault(int(found.group(1)), []).append(found.group(2))
	lines = BAD.split("\n")
	for number in (2, 3, 6, 7, 8, 11, 13, 14, 15, 16, 20, 21, 23, 24, 25, 26, 27):
		assert number in at, f"nothing is said of line {number}: {lines[number - 1]}"
	assert "shutdown_grace" in at[3][0], "the nearest known name"
	assert "listener" in at[8][0]
	assert at[2][0].startswith("[global] workers: 'many'") and "auto" in at[2][0]
	assert "leastconn" in at[23][0]
	assert "nosuch" in at[21][0]
	assert set(at) <= set(range(1, len(lines))), at


def test_what_a_later_version_brings_is_refused_by_name(lab):
	code, mistakes, _ = check(lab, GOOD + "[listener other]\nbind = 127.0.0.1:0\npool = app\nprotocols = h2\n")
	assert code == 1 and "'h2' is not in this version" in " ".join(mistakes)


@pytest.mark.parametrize("length, good", [(190, True), (1000, True), (4000, True)])
def test_long_lines_are_not_cut(lab, length, good):
	"""inih as Debian builds it cuts at 200 bytes."""
	networks = ", ".join(f"10.{i // 256}.{i % 256}.0/24" for i in range(1000))[:length].rsplit(",", 1)[0]
	text = GOOD.replace("pool = app\n[pool", f"pool = app\nallow = {networks}\n[pool")
	(lab.directory / "state").mkdir()
	path = lab.ini(text.replace("{dir}", str(lab.directory)))
	out = run("-T", "-c", str(path))
	if out.returncode == 0:
		assert networks.split(", ")[-1] in out.stdout
	else:
		assert length >= 4000 and ":6: " in out.stderr and "long" in out.stderr


def test_what_is_printed_reads_back_to_the_same(lab):
	text = GOOD + "cookie_idle = 90s\ncookie_name = SID\ncheck = http\ncheck_path = /x\nbalance = random\n" \
		"affinity = header:X-Id, source/24/64, cookie\n" \
		"gateway = gw2 127.0.0.1:9002 max_sessions=5 backup\non_down = wait:5s\non_full = reject\nduplicate = close-old\n" \
		"cookie_cors_twin = TWIN\ncookie_legacy = SERVERID\n[admin]\nsocket = a.sock\n" \
		"[store]\nurl = redis://:p%40ss@[::1]/3\nttl = 90s\n" \
		"[route r]\nhost = a.example.com, *.b.example.com\npath = /x/\nredirect = https://{host}{uri} 308\n"
	(lab.directory / "state").mkdir()
	path = lab.ini(text.replace("{dir}", str(lab.directory)))
	first = run("-T", "-c", str(path))
	assert first.returncode == 0, first.stderr
	assert "cookie_idle = 90s" in first.stdout.replace("  ", " ") or re.search(r"cookie_idle\s*= 90s", first.stdout)
	second = run("-T", "-c", str(lab.ini(first.stdout, "printed")))
	assert second.returncode == 0, second.stderr
	assert second.stdout == first.stdout


def test_variables(lab):
	text = GOOD.replace("127.0.0.1:0", "${HOST}:${PORT:-0}").replace("9001", "${GATEWAY:-9001}")
	assert check(lab, text, env={"HOST": "127.0.0.1"})[0] == 0
	code, mistakes, _ = check(lab, text)
	assert code == 1 and "HOST" in mistakes[0]


def test_include(lab):
	(lab.directory / "conf.d").mkdir()
	(lab.directory / "conf.d/app.ini").write_text("[pool app]\ngateway = gw1 127.0.0.1:9001\nblance = random\n")
	(lab.directory / "conf.d/ignored.txt").write_text("nonsense\n")
	text = GOOD.split("[pool app]")[0].replace("[global]\n", "[global]\ninclude = conf.d/*.ini\n")
	code, mistakes, _ = check(lab, text)
	assert code == 1 and len(mistakes) == 1
	assert re.search(r"conf\.d/app\.ini:3: \[pool app\] blance: .*balance", mistakes[0])


def test_comments_and_blanks(lab):
	text = "; one\n# two\n\n" + GOOD.replace("127.0.0.1:0", "127.0.0.1:0   ; behind").replace("pool = app\n", "  pool=app\t\n", 1)
	assert check(lab, text)[:2] == (0, [])


def test_a_file_that_is_not_there(lab):
	out = run("-c", str(lab.directory / "none.ini"))
	assert out.returncode == 1 and "none.ini" in out.stderr and "No such file" in out.stderr
	out = run("-c", str(lab.directory))
	assert out.returncode == 1 and str(lab.directory) in out.stderr


def test_version_and_help():
	out = run("-V")
	assert out.returncode == 0 and re.match(r"stickyd \d+\.\d+", out.stdout)
	out = run("-h")
	assert out.returncode == 0
	for option in ("-c", "-t", "-T", "-v", "-V", "-h", "--listen", "--gateway"):
		assert option in out.stdout


@pytest.mark.parametrize("arguments", [["-x"], ["--nonsense"], ["-c"], ["extra"], ["--listen"],
	["-c", "x", "--listen", "127.0.0.1:0"]])
def test_a_wrong_command_line(arguments):
	out = run(*arguments)
	assert out.returncode in (1, 2) and out.stderr


def test_without_a_file(lab):
	gateways = lab.https(2)
	daemon = lab.start_with("--listen", "127.0.0.1:0", "--gateway", gateways[0].address, "--gateway", gateways[1].address,
		env={"XDG_STATE_HOME": str(lab.directory / "xdg"), "HOME": str(lab.directory)})
	daemon.wait_ready()
	first = lab.get(daemon)
	assert first.status == 200 and first.cookie()
	again = lab.get(daemon, cookie=str(first.cookie()))
	assert json.loads(again.body)["gateway"] == json.loads(first.body)["gateway"] and again.cookie() is None


def test_a_default_directory_gives_way_to_the_users_own(lab):
	"""As a user who may not write /var/lib."""
	if os.geteuid() != 0:
		pytest.skip("needs root to become somebody else")
	gateway = lab.http()
	own = lab.directory / "xdg"
	own.mkdir()
	os.chmod(own, 0o777)
	for parent in [lab.directory, *lab.directory.parents]:
		if parent.stat().st_mode & 0o001 == 0:
			os.chmod(parent, parent.stat().st_mode | 0o011)
	if not os.access(program(), os.X_OK) or subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", program(), "-V"],
			capture_output=True).returncode:
		pytest.skip("nobody may run the program here")
	daemon = lab.start_with("--listen", "127.0.0.1:0", "--gateway", gateway.address, wrap=["setpriv", "--reuid=65534",
		"--regid=65534", "--clear-groups"], env={"XDG_STATE_HOME": str(own)})
	daemon.wait_ready()
	assert (own / "stickyd/seal.key").exists()
	assert "state_dir" in daemon.log
	assert lab.get(daemon).status == 200


def refuses_to_start(lab, **sections):
	"""What it says."""
	path = lab.ini(configuration(lab.sections([], **sections)))
	out = run("-c", str(path), cwd=lab.directory)
	assert out.returncode == 1, out.stderr
	return out.stderr


GATEWAY = {"gateway": "gw1 127.0.0.1:9"}


def test_a_port_in_use(lab):
	with socket.create_server(("127.0.0.1", 0)) as taken:
		port = taken.getsockname()[1]
		said = refuses_to_start(lab, pool=GATEWAY, listener={"bind": f"127.0.0.1:{port}"})
		assert re.search(r"stickyd\.ini:\d+: \[listener main\] bind: ", said)
		assert str(port) in said and "in use" in said


def test_an_address_that_is_not_ours(lab):
	said = refuses_to_start(lab, pool=GATEWAY, listener={"bind": "192.0.2.1:0"})
	assert "192.0.2.1" in said and "[listener main] bind" in said


@pytest.mark.parametrize("what", ["missing", "garbage", "empty", "key of another", "a directory"])
def test_a_certificate_that_does_not_load(lab, what):
	chain, key = lab.authority.issue("game.test").split()
	_, other = lab.authority.issue("other.test").split()
	bad = lab.directory / "bad.pem"
	if what == "garbage":
		bad.write_bytes(os.urandom(1000))
	elif what == "empty":
		bad.write_bytes(b"")
	elif what == "a directory":
		bad.mkdir()
	certificate = f"{chain} {other}" if what == "key of another" else f"{bad} {key}"
	said = refuses_to_start(lab, pool=GATEWAY, listener={"tls": "yes", "certificate": [certificate, f"{chain} {key}"]})
	assert re.search(r"stickyd\.ini:\d+: \[listener main\] certificate: ", said), said
	assert (other if what == "key of another" else str(bad)) in said


def test_bad_certificates_are_found_by_a_check_too(lab):
	path = lab.ini(configuration(lab.sections([], pool=GATEWAY, listener={"tls": "yes", "certificate": "/no/a.pem /no/b.pem"})))
	out = run("-t", "-c", str(path))
	assert out.returncode == 1 and "/no/a.pem" in out.stderr


def test_a_state_directory_that_cannot_be_used(lab):
	(lab.directory / "file").write_text("")
	said = refuses_to_start(lab, pool=GATEWAY, globals={"state_dir": lab.directory / "file"})
	assert str(lab.directory / "file") in said
	if os.geteuid() == 0:
		said = refuses_to_start(lab, pool=GATEWAY, globals={"state_dir": "/proc/stickyd"})
		assert "/proc/stickyd" in said


@pytest.mark.parametrize("text", ["", "nonsense\n", "00" * 31 + "\n", "zz" * 32 + "\n"])
def test_a_key_file_that_is_broken(lab, text):
	"""To make a new one would void every cookie: better not to start."""
	(lab.state_dir() / "seal.key").write_text(text)
	os.chmod(lab.state_dir() / "seal.key", 0o600)
	said = refuses_to_start(lab, pool=GATEWAY)
	assert "seal.key" in said
	assert (lab.state_dir() / "seal.key").read_text() == text


def test_a_log_that_cannot_be_written(lab):
	said = refuses_to_start(lab, pool=GATEWAY, log={"access": "/proc/none/access.log"})
	assert "/proc/none/access.log" in said


# running out of descriptors


def test_running_out_of_descriptors_slows_accepting_and_says_so(lab):
	daemon = lab.start([lab.http()], wrap=["prlimit", "--nofile=60:60"], globals={"workers": 1})
	clients = []
	for _ in range(100):
		c = lab.client(daemon)
		c.sock.settimeout(20)
		clients.append(c)
	daemon.wait_log("(?i)too many open files|descriptors")
	assert daemon.cpu_share(1) < 0.3, "it rests, it does not spin"
	served = clients[0].get()
	assert served.status in (200, 502, 503), "who is in is answered"
	for c in clients[:90]:
		c.close()
	assert clients[95].get().status == 200, "those who waited are let in"
	assert len(re.findall("(?i)too many open files|descriptors", daemon.log)) < 20, "and it says so now and then"


def test_a_limit_too_low_for_max_connections_is_told(lab):
	daemon = lab.start(lab.https(1), wrap=["prlimit", "--nofile=500:500"])
	assert re.search(r"warn.*max_connections", daemon.log)
	daemon.stop()
	daemon = lab.start(lab.https(1), name="enough", listener={"max_connections": 100}, wrap=["prlimit", "--nofile=100:5000"])
	assert "max_connections" not in daemon.log, "the soft limit is raised"


def test_the_log_is_not_lost_when_it_cannot_start(lab):
	path = lab.ini("[listener main]\n")
	out = run("-c", str(path))
	assert out.returncode == 1
	assert len(out.stderr.splitlines()) >= 2


def test_int_before_it_is_ready(lab):
	daemon = lab.start_with("-c", lab.ini(configuration(lab.sections(lab.https(1)))))
	until(lambda: daemon.log or daemon.process.poll() is not None, "a first word")
	daemon.signal(signal.SIGINT)
	assert daemon.wait_exit(10) in (0, -signal.SIGINT)
	daemon.expected_exit = daemon.process.returncode


