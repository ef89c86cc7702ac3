# SPDX-License-Identifier: BSD-2-Clause
"""What an operator does around a running stickyd: checks first, starts as root, lets systemd watch, rotates, reads the manual."""

import os
import pwd
import re
import shutil
import signal
import socket
import tempfile
from pathlib import Path

import pytest

from harness.daemon import TOP, configuration, run
from harness.wait import until


def status_of(daemon, key):
	text = Path(f"/proc/{daemon.pid}/status").read_text()
	return re.search(rf"^{key}:[ \t]*(.*)$", text, re.M).group(1).split()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_it_becomes_another_user(everybodys, lab):
	"""With a port of root's, and state and logs that are the user's from the first start on."""
	lab.directory = everybodys
	nobody = pwd.getpwnam("nobody")
	logs = everybodys / "log"
	logs.mkdir()
	os.chown(logs, nobody.pw_uid, nobody.pw_gid)
	how = {
		"globals": {"user": "nobody", "state_dir": everybodys / "new/state"},
		"log": {"access": logs / "access.log"}, "listener": {"bind": "127.0.0.177:443"},
	}
	daemon = lab.start(lab.https(1), **how)
	assert status_of(daemon, "Uid") == [str(nobody.pw_uid)] * 4
	assert status_of(daemon, "Gid") == [str(nobody.pw_gid)] * 4
	assert "0" not in status_of(daemon, "Groups")
	assert int(status_of(daemon, "CapEff")[0], 16) == 0
	for path in (everybodys / "new/state", everybodys / "new/state/seal.key", logs / "access.log"):
		assert (path.stat().st_uid, path.stat().st_gid) == (nobody.pw_uid, nobody.pw_gid), path
	cookie = str(lab.get(daemon).cookie())
	(logs / "access.log").rename(logs / "access.log.1")
	daemon.signal(signal.SIGUSR1)
	daemon.wait_log("reopening")
	until(lambda: (logs / "access.log").exists(), "the log to be made anew")
	daemon.stop()
	daemon = lab.start(lab.gateways, name="again", **how)
	assert lab.get(daemon, cookie=cookie).cookie() is None, "the key is still the same"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another group")
def test_it_becomes_another_group(lab):
	group = pwd.getpwnam("nobody").pw_gid
	daemon = lab.start(lab.https(1), globals={"group": "nogroup"})
	assert status_of(daemon, "Gid") == [str(group)] * 4 and status_of(daemon, "Groups") == []
	assert status_of(daemon, "Uid") == ["0"] * 4


def test_a_check_sees_what_only_the_system_knows(lab):
	"""All of it in one run, by its line, and nothing is made."""
	(lab.directory / "file").write_text("")
	path = lab.ini(
		"[global]\nuser = nobody-of-that-name\ngroup = none-of-that-name\nstate_dir = file/state\n"
		"[log]\noutput = none/a.log\naccess = file/b.log\n"
		"[listener main]\nbind = 192.0.2.1:0\npool = app\ntls = yes\ncertificate = none.pem none.key\n"
		"[pool app]\ngateway = gw1 nowhere.invalid:1\n")
	before = sorted(lab.directory.rglob("*"))
	out = run("-t", "-c", str(path))
	assert out.returncode == 1
	for line, key in ((2, "user"), (3, "group"), (4, "state_dir"), (6, "output"), (7, "access"), (9, "bind"),
			(12, "certificate"), (14, "gateway")):
		assert re.search(rf"stickyd\.ini:{line}: \[[a-z ]+\] {key}: ", out.stderr), (key, out.stderr)
	assert sorted(lab.directory.rglob("*")) == before
	text = path.read_text()
	path = lab.ini(text.replace("pool = app", "pool = apps") + "retires = 3\n")
	both = run("-t", "-c", str(path))
	assert both.returncode == 1
	assert ":10: [listener main] pool: " in both.stderr and ":15: [pool app] retires: " in both.stderr
	assert set(out.stderr.splitlines()) < set(both.stderr.splitlines()), "a mistake in the text hides none of them"
	for wrong in ("state_dir", "output", "access", "bind", "certificate", "gateway", "tls"):
		run_bad = run("-t", "-c", str(lab.ini(re.sub(rf"^{wrong} = .*$", f"{wrong} = ;", text, flags=re.M))))
		assert run_bad.returncode == 1 and "stickyd.ini:2: [global] user: " in run_bad.stderr, wrong
	path = lab.ini("[global]\nstate_dir = new/state\n[log]\naccess = ./a.log\n"
		"[listener main]\nbind = 127.0.0.1:0\npool = app\n[pool app]\ngateway = gw1 127.0.0.1:1\n")
	out = run("-t", "-c", str(path))
	assert (out.returncode, out.stderr) == (0, "")
	assert sorted(lab.directory.rglob("*")) == before, "what could be made is not made"


def test_what_fails_at_the_start_is_told_at_once(lab):
	(lab.directory / "file").write_text("")
	path = lab.ini("[global]\nstate_dir = file/state\n[log]\noutput = file/a.log\naccess = file/b.log\n"
		"[listener main]\nbind = 127.0.0.1:0\npool = app\n[pool app]\ngateway = gw1 127.0.0.1:1\n")
	out = run("-c", str(path))
	assert out.returncode == 1
	for line in (2, 4, 5):
		assert f"stickyd.ini:{line}: " in out.stderr


def test_relative_paths_begin_at_their_file(lab):
	"""Not at the directory in which it was started."""
	conf = lab.directory / "etc/conf.d"
	conf.mkdir(parents=True)
	chain, key = lab.authority.issue("game.test").split()
	shutil.copy(chain, conf / "game.pem")
	shutil.copy(key, conf / "game.key")
	gateway = lab.http()
	(conf.parent / "stickyd.ini").write_text("[global]\nstate_dir = state\n[log]\nformat = json\naccess = ./access.log\n")
	(conf / "public.ini").write_text(
		"[listener main]\nbind = 127.0.0.1:0\npool = app\ntls = yes\ncertificate = game.pem game.key\n"
		f"[pool app]\ngateway = {gateway.line}\n")
	daemon = lab.start_with("-c", "etc/stickyd.ini", access=conf.parent / "access.log").wait_ready()
	with lab.client(daemon, tls=lab.authority.context(), server_name="game.test") as c:
		assert c.get("/").status == 200
	daemon.records(1)
	assert (conf.parent / "state/seal.key").exists()
	printed = run("-T", "-c", "etc/stickyd.ini", cwd=lab.directory).stdout
	assert f"certificate = {conf}/game.pem {conf}/game.key\n" in printed
	assert run("-T", "-c", str(lab.ini(printed, "printed")), cwd="/").stdout == printed


@pytest.mark.parametrize("second", ["the same address", "all addresses"])
def test_two_daemons_do_not_share_a_port(lab, second):
	"""SO_REUSEPORT would let them, and give each some of the clients."""
	daemon = lab.start(lab.https(1))
	host = "127.0.0.1" if second == "the same address" else "0.0.0.0"
	path = lab.ini(configuration(lab.sections(lab.gateways, listener={"bind": f"{host}:{daemon.port}"})), "second")
	out = run("-c", str(path))
	assert out.returncode == 1
	assert re.search(rf"second\.ini:\d+: \[listener main\] bind: '{host}:{daemon.port}': Address already in use", out.stderr)
	assert run("-t", "-c", str(path)).returncode == 0, "a check may be asked about the one that runs"


def test_systemd_hears_of_start_and_stop(lab):
	if not re.search("libsystemd", os.popen(f"ldd {os.environ.get('STICKYD', '')}").read()):
		pytest.skip("built without libsystemd")
	where = tempfile.mkdtemp(prefix="stickyd-")	# the path of a socket is short
	try:
		with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
			heard.bind(f"{where}/notify")
			heard.settimeout(20)
			daemon = lab.start(lab.https(1), env={"NOTIFY_SOCKET": f"{where}/notify"})
			said = [heard.recv(4096), heard.recv(4096)]
			assert said[0] == b"READY=1" and said[1].startswith(b"STATUS=")
			daemon.stop()
			assert heard.recv(4096) == b"STOPPING=1"
	finally:
		shutil.rmtree(where)


def examples(text):
	"""The configurations that a document shows."""
	return [e for e in re.findall(r"```ini\n(.*?)```", text, re.S) + re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", text, re.S | re.M)
		if "[listener" in e]


@pytest.mark.parametrize("document", ["README.md", "man/stickyd.ini.5"])
def test_examples_work_when_pasted(lab, document):
	found = examples((TOP / document).read_text())
	assert found
	for text in found:
		for name in set(re.findall(r"/etc/stickyd/tls/(\S+)\.pem", text)):
			chain, key = lab.authority.issue("game.example.com").split()
			text = text.replace(f"/etc/stickyd/tls/{name}.pem", chain).replace(f"/etc/stickyd/tls/{name}.key", key)
		if os.geteuid() != 0:
			text = re.sub(r"\]:443|\]:80|0:443|0:80", lambda m: m.group().split(":")[0] + ":0", text)
		out = run("-t", "-c", str(lab.ini(f"[global]\nstate_dir = state\n{text}")))
		assert (out.returncode, out.stderr) == (0, ""), text


def test_the_manuals_one_line_examples(lab):
	"""Each key's example in the manual is one that its section takes."""
	section, lines = None, {}
	for line in (TOP / "man/stickyd.ini.5").read_text().splitlines():
		heading = re.match(r"\.Ss \[(\w+)", line)
		section = heading.group(1) if heading else section
		example = re.match(r"\.Dl (\w+ = .*)", line)
		if example:
			lines.setdefault(section, []).append(example.group(1).replace("\\&", ""))
	assert sum(map(len, lines.values())) > 40
	pools = "[pool {0}]\ngateway = gw1 127.0.0.1:9001\n"
	for kind, examples_of_it in lines.items():
		for example in examples_of_it:
			key = example.split(" ")[0]
			if kind in ("global", "log") and key in ("user", "group", "state_dir", "include", "output", "access"):
				continue	# these look at the machine
			text = "[listener public]\nbind = 127.0.0.1:0\npool = game\n" + pools.format("game") + pools.format("login")
			if kind == "listener" and key == "certificate":
				continue
			if kind == "listener" and key == "tls":
				example += f"\ncertificate = {lab.authority.issue('game.test')}"
			if key == "proxy_protocol":
				example += "\ntrusted_proxies = 10.0.0.0/8"
			if key in ("gateway_ca", "gateway_sni", "gateway_verify"):
				example += "\ngateway_tls = yes"
			if key in ("assign", "duplicate", "key_secret_file"):
				example += "\naffinity = header:X-Player-Id"
			if kind == "listener":
				text = re.sub(rf"^{key} = .*\n", "", text, count=1, flags=re.M)
				text = text.replace("[listener public]\n", f"[listener public]\n{example}\n")
			elif kind == "route":
				text += "[route r]\n" + ("" if key in ("pool", "redirect") else "pool = login\n") + example + "\n"
			elif kind == "pool":
				text = text.replace("gateway = gw1 127.0.0.1:9001\n", f"gateway = gw1 127.0.0.1:9001\n{example}\n", 1)
			else:
				text += f"[{kind}]\n{example}\n"
			if key == "bind":
				text = text.replace(":443", ":0")
			out = run("-T", "-c", str(lab.ini(text)), env={"REDIS_PASSWORD": "secret"})
			assert out.returncode == 0, (example, out.stderr)


def test_the_installed_configuration_is_good_as_it_is(lab):
	out = run("-T", "-c", str(TOP / "etc/stickyd.ini"))
	assert (out.returncode, out.stderr) == (0, "")
	assert "bind = 127.0.0.1:8080" in out.stdout
	keys = dict(re.findall(r"^;(\w+) = (.*)$", (TOP / "etc/stickyd.ini").read_text(), re.M))
	text = (TOP / "etc/stickyd.ini").read_text()
	for key in ("user", "group", "certificate", "redirect", "trusted_proxies", "deny", "cookie_domain", "path", "host",
			"listener", "pool", "include", "state_dir", "socket", "token_file", "cookie_cors_twin",
			"cookie_legacy", "key_secret_file", "gateway_ca", "gateway_sni", "check_host"):
		keys.pop(key, None)
	for key, value in keys.items():
		text = text.replace(f"\n;{key} = ", f"\n{key} = ", 1)
	again = run("-T", "-c", str(lab.ini(text)))
	assert again.returncode == 0, again.stderr
	assert again.stdout == out.stdout, "what it shows as defaults are the defaults"
