# SPDX-License-Identifier: BSD-2-Clause
"""Reload in place: what changes takes effect for what comes next, what does not is not touched, and mistakes change nothing."""

import os
import re
import signal
import threading

import pytest

from harness.gateways import who
from harness.wait import until
from harness.wire import Broken


def cookie_of(response):
	return response.get("set-cookie").split(";")[0]


def threads(daemon):
	return sorted(os.listdir(f"/proc/{daemon.pid}/task"))


def test_same_process_same_threads_same_sockets(lab):
	gateways = lab.https(2)
	daemon = lab.start(gateways)
	before = threads(daemon), daemon.descriptors()
	for retries in range(2, 7):
		assert lab.reload(daemon, gateways, pool={"retries": retries})
	assert lab.get(daemon).status == 200
	until(lambda: threads(daemon) == before[0], "the reload's thread to be gone")
	lab.clients.clear()
	until(lambda: daemon.descriptors() <= before[1] + 2, "what the reloads opened to be closed")


@pytest.mark.threads
def test_gateways_come_and_go(lab):
	one, two, three = lab.https(3)
	daemon = lab.start([one, two])
	assert {who(lab.get(daemon)) for _ in range(8)} == {"gw1", "gw2"}
	assert lab.reload(daemon, [two, three])
	assert {who(lab.get(daemon)) for _ in range(8)} == {"gw2", "gw3"}


@pytest.mark.threads
def test_sessions_survive_whatever_is_reloaded(lab):
	one, two = lab.ws("gw1"), lab.ws("gw2")
	daemon = lab.start([one, two])
	sessions = [lab.session(daemon) for _ in range(8)]
	assert lab.reload(daemon, [two], pool={"affinity": "header:X-Key, cookie", "tunnel_idle": "2h"})
	assert lab.reload(daemon, [two], pool={"cookie_name": "OTHER"}, listener={"max_header": "32k"})
	for s in sessions:
		assert s.echo("still here") == "still here"
	assert lab.reload(daemon, [one, two])
	for s in sessions:
		assert s.echo("and again") == "and again"
		s.finish()


def test_a_kept_connection_goes_by_the_new_routes(lab):
	one, two = lab.http("gw1"), lab.http("gw2")
	daemon = lab.start([one])
	c = lab.client(daemon)
	assert who(c.get()) == "gw1"
	assert lab.reload(daemon, [two])
	assert who(c.get()) == "gw2"


def test_a_request_under_way_ends_with_what_it_began_with(lab):
	go = threading.Event()

	def page(side, request):
		assert go.wait(20)
		side.answer(body=b"of the old one")
	one, two = lab.http("gw1", pages={"/slow": page}), lab.http("gw2")
	daemon = lab.start([one])
	c = lab.client(daemon)
	c.request("/slow")
	until(lambda: one.requests, "the request at the gateway")
	assert lab.reload(daemon, [two], pool={"affinity": "header:X-Key"})
	go.set()
	assert c.response().body == b"of the old one"
	assert who(c.get()) == "gw2"


def test_who_is_bound_stays_and_cookies_go_on(lab):
	gateways = lab.https(3)
	daemon = lab.start(gateways, pool={"affinity": "header:X-Key, cookie"})
	homes = {k: who(lab.get(daemon, "/", f"X-Key: {k}")) for k in "abcdefgh"}
	first = lab.get(daemon)
	jar, home = cookie_of(first), who(first)
	assert lab.reload(daemon, [*reversed(gateways), lab.http("gw4")], pool={"affinity": "header:X-Key, cookie", "balance": "random"})
	assert {k: who(lab.get(daemon, "/", f"X-Key: {k}")) for k in homes} == homes
	again = lab.get(daemon, "/", f"Cookie: {jar}")
	assert (who(again), again.get("set-cookie")) == (home, None)


def test_a_renamed_gateway_keeps_its_clients(lab):
	gateways = lab.https(3)
	daemon = lab.start(gateways, pool={"affinity": "header:X-Key, cookie"})
	homes = {k: who(lab.get(daemon, "/", f"X-Key: {k}")) for k in "abcdefgh"}
	answers = [lab.get(daemon) for _ in range(6)]
	text = lab.rewrite(daemon, gateways, pool={"affinity": "header:X-Key, cookie"}).read_text()
	lab.ini(re.sub(r"gateway = gw(\d) ", r"gateway = game-\1 ", text))
	assert daemon.reload()
	assert {k: who(lab.get(daemon, "/", f"X-Key: {k}")) for k in homes} == homes
	for a in answers:
		assert who(lab.get(daemon, "/", f"Cookie: {cookie_of(a)}")) == who(a)


MISTAKES = {
	"unknown key": (lambda t: t.replace("[pool app]", "[pool app]\nbalanse = random"), "balanse"),
	"no such pool": (lambda t: t.replace("pool = app", "pool = nobody", 1), "nobody"),
	"bad gateway": (lambda t: t.replace("gateway = gw1 127.0.0.1:", "gateway = gw1 no.such.host.invalid:"), "gw1"),
	"unreadable certificate": (lambda t: t.replace("[listener main]", "[listener main]\ntls = yes\ncertificate = /none.pem /none.key"), "none.pem"),
	"address in use": (lambda t: t + "\n[listener more]\nbind = 127.0.0.1:%d\npool = app\n", "in use"),
	"unwritable log": (lambda t: t.replace("format = json", "format = json\noutput = /none/such/file"), "/none/such"),
	"no file": (lambda t: None, "stickyd.ini"),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_changes_nothing_and_is_said(lab, what):
	change, word = MISTAKES[what]
	gateways = lab.https(2)
	daemon = lab.start(gateways)
	taken = lab.http("taken")
	path = lab.rewrite(daemon, [lab.http("gw9")])
	text = change(lab.rewrite(daemon, [gateways[0]]).read_text())
	if text is None:
		path.unlink()
	else:
		path.write_text(text % int(taken.line.rsplit(":", 1)[1]) if "%d" in text else text)
	assert not daemon.reload()
	assert word in daemon.log
	assert "the one from before is still in force" in daemon.log
	assert {who(lab.get(daemon)) for _ in range(8)} == {"gw1", "gw2"}
	assert lab.reload(daemon, [gateways[1]])
	assert {who(lab.get(daemon)) for _ in range(4)} == {"gw2"}


def test_all_mistakes_of_a_file_are_told(lab):
	daemon = lab.start(lab.https(1))
	path = lab.rewrite(daemon, lab.gateways)
	path.write_text(path.read_text() + "\n[pool app2]\nbalance = wrong\nretries = many\n[pool]\n")
	assert not daemon.reload()
	for word in "wrong", "many":
		assert word in daemon.log


def test_listeners_come_and_go(lab):
	daemon = lab.start(lab.https(1))
	spare = lab.scripted(lambda side: None, "spare")
	port = int(spare.line.rsplit(":", 1)[1])
	spare.stop()
	more = {"listener more": {"bind": f"127.0.0.1:{port}", "pool": "app"}}
	assert lab.reload(daemon, lab.gateways[:1], more=more)
	daemon.listeners["more"] = [("127.0.0.1", port)]
	kept = lab.client(daemon, listener="more")
	assert kept.get().status == 200
	assert lab.reload(daemon, lab.gateways[:1])
	assert kept.is_ended()
	with pytest.raises(OSError):
		lab.client(daemon, listener="more").get()
	assert lab.get(daemon).status == 200


def test_limits_of_a_listener_take_effect(lab):
	daemon = lab.start(lab.https(1))
	assert lab.get(daemon, "/", "X-Long: " + "x" * 6000).status == 200
	assert lab.reload(daemon, lab.gateways, listener={"max_header": "2k", "deny": "127.0.0.2/32"})
	assert lab.get(daemon, "/", "X-Long: " + "x" * 6000).status == 431
	with pytest.raises((OSError, Broken)):
		assert lab.get(daemon, source="127.0.0.2").status == 200
	assert lab.reload(daemon, lab.gateways)
	assert lab.get(daemon, "/", "X-Long: " + "x" * 6000, source="127.0.0.2").status == 200


def test_the_access_log_is_switched_on_and_off(lab):
	daemon = lab.start(lab.https(1), log={"access": "off"})
	lab.get(daemon, "/before")
	assert lab.reload(daemon, lab.gateways)
	lab.get(daemon, "/between")
	daemon.record(target="/between")
	assert lab.reload(daemon, lab.gateways, log={"access": "off"})
	lab.get(daemon, "/after")
	assert lab.reload(daemon, lab.gateways)
	lab.get(daemon, "/last")
	daemon.record(target="/last")
	assert [r["target"] for r in daemon.access()] == ["/between", "/last"]


def test_a_weight_of_the_file_counts_when_it_changes(lab):
	gateways = lab.https(2)
	daemon = lab.start(gateways, pool={"balance": "roundrobin"})
	text = lab.rewrite(daemon, gateways, pool={"balance": "roundrobin"}).read_text()
	lab.ini(re.sub(r"(gateway = gw1 .*)", r"\1 weight=0", text))
	assert daemon.reload()
	assert {who(lab.get(daemon)) for _ in range(6)} == {"gw2"}
	lab.ini(re.sub(r"(gateway = gw1 .*)", r"\1 weight=3", text))
	assert daemon.reload()
	names = [who(lab.get(daemon)) for _ in range(8)]
	assert names.count("gw1") == 6


def test_what_needs_a_restart_is_said(lab):
	daemon = lab.start(lab.https(1))
	assert lab.reload(daemon, lab.gateways, globals={"workers": 3})
	assert "[global] workers: a restart" in daemon.log


def test_many_signals_at_once_are_no_trouble(lab):
	daemon = lab.start(lab.https(2))
	lab.rewrite(daemon, lab.gateways, pool={"retries": 1})
	for _ in range(20):
		daemon.signal(signal.SIGHUP)
	daemon.wait_log("has been reloaded")
	assert lab.get(daemon).status == 200


def test_a_stop_in_the_middle_of_a_reload(lab):
	daemon = lab.start(lab.https(2))
	lab.rewrite(daemon, lab.gateways, pool={"retries": 1})
	for _ in range(5):
		daemon.signal(signal.SIGHUP)
	daemon.signal(signal.SIGTERM)
	assert daemon.wait_exit(10) == 0
