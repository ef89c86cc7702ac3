# SPDX-License-Identifier: BSD-2-Clause
"""Cookies in full: those that gateways set and stickyd writes into, the twin for pages on other sites, other balancers' cookies on moving
day, and cookies that were broken, stolen, or made up. Newcomers go round robin, so that a client who comes back was known."""

import os
import time
from collections import Counter
from itertools import permutations

import pytest

from harness import seal
from harness.chromium import Chromium, is_there
from harness.gateways import who
from harness.keys import legacy

ATTRIBUTES = [
	"", "; Path=/game", "; Path=/; HttpOnly; Secure; SameSite=Strict", "; Expires=Wed, 21 Oct 2099 07:28:00 GMT; Max-Age=3600",
	"; domain=stickyd.test;path=/;secure", "; X-Odd=\"a b\"; Partitioned; Priority=High",
]


def start(lab, affinity="cookie", gateways=None, pool=None, **how):
	return lab.start(gateways or lab.https(3), pool={"affinity": affinity, "balance": "roundrobin", **(pool or {})}, **how)


def setters(lab, *cookies, n=3):
	"""Gateways whose answers to /login set these cookies."""
	def page_of(name):
		def page(side, request):
			side.answer("200 OK", *(f"Set-Cookie: {c}" for c in cookies), body=b'{"gateway": "%s"}' % name.encode())
		return page
	return [lab.http(f"gw{i + 1}", {"/login": page_of(f"gw{i + 1}")}) for i in range(n)]


def set_by(answer, name):
	"""The one Set-Cookie of this name: value, and all that stands behind it."""
	(line,) = [c for c in answer.all("set-cookie") if c.partition("=")[0].strip() == name]
	value, semicolon, rest = line.partition("=")[2].partition(";")
	return value.strip(), semicolon + rest


def got(gateways, name):
	"""The Cookie lines of the last request at this gateway."""
	return next(g for g in gateways if g.name == name).requests[-1].all("cookie")


def hows(daemon, n):
	return Counter(r["how"] for r in daemon.records(n))


# rewrite


@pytest.mark.parametrize("attributes", ATTRIBUTES)
def test_rewrite_puts_our_value_into_the_gateways_cookie_and_keeps_the_rest(lab, attributes):
	daemon = start(lab, "rewrite:SID", setters(lab, f"SID=own-value{attributes}"))
	login = lab.get(daemon, "/login")
	value, rest = set_by(login, "SID")
	assert rest == attributes
	assert "own-value" not in value and who(login) not in value
	for _ in range(4):
		again = lab.get(daemon, cookie=f"SID={value}")
		assert who(again) == who(login) and not again.has("set-cookie")
	assert hows(daemon, 5) == {"new": 1, "rewrite:SID": 4}


@pytest.mark.parametrize("line", ['SID="own"', 'SID="a b; c"; Path=/', "SID = own ; Path=/", "SID=a=b=c", "SID=a,b"])
def test_rewrite_takes_all_values(lab, line):
	daemon = start(lab, "rewrite:SID", setters(lab, line))
	login = lab.get(daemon, "/login")
	value, _ = set_by(login, "SID")
	lab.get(daemon)
	assert who(lab.get(daemon, cookie=f"SID={value.strip(chr(34))}")) == who(login)


def test_rewrite_leaves_all_other_cookies_alone(lab):
	others = ["a=1; Path=/", "XSID=2", "SIDX=3", "sid=4; HttpOnly", "b=SID=5"]
	daemon = start(lab, "rewrite:SID", setters(lab, *others[:3], "SID=own", *others[3:]))
	login = lab.get(daemon, "/login")
	assert [c for c in login.all("set-cookie") if not c.startswith("SID=")] == others
	assert len(login.all("set-cookie")) == 6


def test_rewrite_sets_nothing_where_the_gateway_sets_nothing(lab):
	daemon = start(lab, "rewrite:SID", setters(lab, "OTHER=1"))
	assert lab.get(daemon, "/login").all("set-cookie") == ["OTHER=1"]
	assert not lab.get(daemon).has("set-cookie")


@pytest.mark.parametrize("line", ["SID=", "SID=; Max-Age=0; Path=/", 'SID=""; Expires=Thu, 01 Jan 1970 00:00:00 GMT'])
@pytest.mark.parametrize("selector", ["rewrite:SID", "prefix:SID"])
def test_a_cookie_that_is_being_deleted_is_let_through(lab, selector, line):
	daemon = start(lab, selector, setters(lab, line))
	assert lab.get(daemon, "/login").all("set-cookie") == [line]


def test_rewrite_of_a_cookie_set_twice(lab):
	"""For two paths, as some frameworks do."""
	daemon = start(lab, "rewrite:SID", setters(lab, "SID=one; Path=/a", "SID=two; Path=/b"))
	login = lab.get(daemon, "/login")
	assert [c.partition(";")[2] for c in login.all("set-cookie")] == [" Path=/a", " Path=/b"]
	for line in login.all("set-cookie"):
		lab.get(daemon)
		assert who(lab.get(daemon, cookie=line.partition(";")[0])) == who(login)


@pytest.mark.parametrize("selector", ["rewrite:SID", "prefix:SID"])
def test_a_101_that_sets_the_cookie_is_as_good_as_any_answer(lab, selector):
	def opening(side):
		side.accept("Set-Cookie: SID=own; Path=/; HttpOnly")
	gateways = [lab.ws(f"gw{i}", opening=opening) for i in range(3)]
	daemon = start(lab, selector, gateways)
	first = lab.session(daemon)
	value, rest = set_by(first.opening, "SID")
	assert value != "own" and rest == "; Path=/; HttpOnly"
	for _ in range(3):
		assert lab.session(daemon, cookie=f"SID={value}").echo("who") == first.echo("who")


@pytest.mark.parametrize("selector", ["rewrite:SID", "prefix:SID"])
def test_who_is_reassigned_gets_the_new_gateways_cookie_and_stays(lab, selector):
	"""Provided that it sets one, which is its affair."""
	gateways = setters(lab, "SID=own")
	daemon = start(lab, selector, gateways)
	login = lab.get(daemon, "/login")
	home = next(g for g in gateways if g.name == who(login))
	home.kill()
	moved = lab.get(daemon, "/login", cookie=f"SID={set_by(login, 'SID')[0]}")
	assert who(moved) != home.name
	home.start()
	for _ in range(3):
		assert who(lab.get(daemon, cookie=f"SID={set_by(moved, 'SID')[0]}")) == who(moved)


# prefix


@pytest.mark.parametrize("attributes", ATTRIBUTES)
def test_prefix_puts_ours_before_the_gateways_value_and_keeps_the_rest(lab, attributes):
	gateways = setters(lab, f"SID=own-value{attributes}")
	daemon = start(lab, "prefix:SID", gateways)
	login = lab.get(daemon, "/login")
	value, rest = set_by(login, "SID")
	assert rest == attributes
	assert value.endswith("~own-value") and who(login) not in value
	for _ in range(4):
		again = lab.get(daemon, cookie=f"a=1; SID={value}; b=2")
		assert who(again) == who(login) and not again.has("set-cookie")
		assert got(gateways, who(login)) == ["a=1; SID=own-value; b=2"]
	assert hows(daemon, 5) == {"new": 1, "prefix:SID": 4}


@pytest.mark.parametrize("own", ['"own"', '"a b"', "a=b=c", "a~b", "~", "%7E", "a,b", "x" * 4000])
def test_the_gateway_sees_its_own_value_again(lab, own):
	gateways = setters(lab, f"SID={own}; Path=/")
	daemon = start(lab, "prefix:SID", gateways)
	login = lab.get(daemon, "/login")
	value, _ = set_by(login, "SID")
	lab.get(daemon)
	assert who(lab.get(daemon, cookie=f"SID={value}")) == who(login)
	assert got(gateways, who(login)) == [f"SID={own}"]


def test_prefix_in_several_lines(lab):
	gateways = setters(lab, "SID=own")
	daemon = start(lab, "prefix:SID", gateways)
	login = lab.get(daemon, "/login")
	value, _ = set_by(login, "SID")
	lab.get(daemon)
	answer = lab.get(daemon, "/", "Cookie: a=1", f"Cookie: SID={value}; XSID={value}", "Cookie: b=2")
	assert who(answer) == who(login)
	assert "; ".join(got(gateways, who(login))) == f"a=1; SID=own; XSID={value}; b=2"


def test_prefix_of_a_cookie_sent_twice(lab):
	"""The first that opens decides; the gateway sees its own values of both."""
	gateways = setters(lab, "SID=own")
	daemon = start(lab, "prefix:SID", gateways)
	one, two = [lab.get(daemon, "/login") for _ in range(2)]
	values = [set_by(a, "SID")[0] for a in (one, two)]
	assert who(lab.get(daemon, cookie=f"SID={values[1]}; SID={values[0]}")) == who(two)
	assert got(gateways, who(two)) == ["SID=own; SID=own"]
	assert who(lab.get(daemon, cookie=f"SID=its-own; SID={values[0]}")) == who(one)
	assert got(gateways, who(one)) == ["SID=its-own; SID=own"]


def test_a_value_that_was_never_ours_is_the_gateways(lab):
	gateways = setters(lab, "SID=own", n=1)
	daemon = start(lab, "prefix:SID", gateways)
	for value in ("own", "a~b", "~own", "no-seal~own", "A" * 60):
		assert lab.get(daemon, cookie=f"SID={value}").status == 200
		assert got(gateways, "gw1") == [f"SID={value}"]


def test_a_prefix_that_does_not_open_is_taken_off_too(lab):
	"""As when the key file is another's: what stands there was never the gateway's."""
	gateways = setters(lab, "SID=own", n=1)
	daemon = start(lab, "prefix:SID", gateways)
	value, _ = set_by(lab.get(daemon, "/login"), "SID")
	assert lab.get(daemon, cookie=f"SID={flip(value, 20)}").status == 200
	assert got(gateways, "gw1") == ["SID=own"]
	assert hows(daemon, 2) == {"new": 1, "invalid": 1}


@pytest.mark.parametrize("selector", ["rewrite:SID", "prefix:SID"])
def test_names_are_matched_whole(lab, selector):
	daemon = start(lab, selector, setters(lab, "SID=own"))
	value, _ = set_by(lab.get(daemon, "/login"), "SID")
	for name in ("XSID", "SIDX", "sid", "SID2", "X-SID"):
		lab.get(daemon, cookie=f"{name}={value}")
	assert selector not in hows(daemon, 6)
	assert who(lab.get(daemon, cookie=f"XSID=1; SID={value}; SIDX=2")) == who(lab.get(daemon, cookie=f"SID={value}"))


@pytest.mark.parametrize("selector", ["cookie", "rewrite:SID", "prefix:SID"])
def test_a_value_may_stand_in_quotes(lab, selector):
	name = "STICKYD" if selector == "cookie" else "SID"
	daemon = start(lab, selector, setters(lab, "SID=own"))
	login = lab.get(daemon, "/login")
	value, _ = set_by(login, name)
	lab.get(daemon)
	assert who(lab.get(daemon, cookie=f'a="1;2"; {name}="{value}"; b="3"')) == who(login)


@pytest.mark.parametrize("selector", ["cookie", "rewrite:SID", "prefix:SID"])
def test_an_answer_that_carries_our_word_is_private(lab, selector):
	daemon = start(lab, selector, setters(lab, "SID=own"))
	login = lab.get(daemon, "/login")
	assert login.get("cache-control") == "private"
	cookie = login.all("set-cookie")[-1].partition(";")[0]
	assert not lab.get(daemon, cookie=cookie).has("cache-control")


@pytest.mark.parametrize("order", permutations(["cookie", "rewrite:SID", "prefix:SESSION"]))
def test_all_three_together(lab, order):
	daemon = start(lab, ", ".join(order), setters(lab, "SID=one", "SESSION=two"))
	logins = [lab.get(daemon, "/login") for _ in range(3)]
	names = {"cookie": "STICKYD", "rewrite:SID": "SID", "prefix:SESSION": "SESSION"}
	shown = {s: f"{names[s]}={set_by(login, names[s])[0]}" for s, login in zip(order, logins)}
	assert who(lab.get(daemon, cookie="; ".join(shown.values()))) == who(logins[0])
	daemon.record(how=order[0])
	assert who(lab.get(daemon, cookie=shown[order[2]])) == who(logins[2])


# the twin, for pages on other sites


TWIN = {"cookie_cors_twin": "STICKYDCORS"}


def test_the_twin_is_set_along_and_either_is_enough(lab):
	gateways = lab.https(3)
	daemon = start(lab, gateways=gateways, pool=TWIN)
	first = lab.get(daemon)
	ours, twin = first.cookie(), first.cookie("STICKYDCORS")
	assert ours.attributes["samesite"].lower() == "lax" and "secure" not in ours.attributes
	assert twin.attributes["samesite"].lower() == "none" and "secure" in twin.attributes
	assert ours.value != twin.value
	for cookies in (f"{ours}; {twin}", str(ours), str(twin)):
		again = lab.get(daemon, cookie=f"a=1; {cookies}")
		assert who(again) == who(first) and not again.has("set-cookie"), cookies
		assert got(gateways, who(first)) == ["a=1"], "both are ours"


def test_where_the_two_differ_ours_comes_first(lab):
	daemon = start(lab, pool=TWIN)
	one, two = lab.get(daemon), lab.get(daemon)
	assert who(lab.get(daemon, cookie=f"{two.cookie('STICKYDCORS')}; {one.cookie()}")) == who(one)


def test_without_the_key_there_is_no_twin(lab):
	assert len(lab.get(start(lab)).all("set-cookie")) == 1


# A page of one site, sessions with another: what the browser then sends is the twin alone.
EMBEDDED = """
	const visit = () => new Promise((done, fail) => {
		const ws = new WebSocket('wss://127.0.0.1:%d/game');
		ws.onmessage = (m) => { ws.onclose = () => done(m.data); ws.close(1000); };
		ws.onerror = () => fail('the session failed');
	});
	return [await visit(), await visit(), await visit()];
"""


@pytest.mark.skipif(not is_there(), reason="chromium is missing")
def test_a_page_on_another_site_comes_back_by_the_twin(lab):
	browser = Chromium(lab.directory, third_party_cookies=True)
	lab.others.append(browser)
	page = "<!doctype html><title>game</title><link rel=icon href=data:,>"
	gateways = [lab.library(f"gw{i}", page=page) for i in range(3)]
	tls = {"tls": "yes", "certificate": lab.authority.issue("127.0.0.1", "localhost")}
	daemon = start(lab, gateways=gateways, pool=TWIN, listener=tls)
	seen, _ = browser.run(f"https://localhost:{daemon.port}/page", EMBEDDED % daemon.port)
	assert len(set(seen)) == 1, seen
	sessions = [r["how"] for r in daemon.records(4) if r["kind"] == "session"]
	assert Counter(sessions) == {"new": 1, "cookie": 2}


# moving day


def test_another_balancers_cookie_is_believed_once_and_replaced(lab):
	gateways = lab.https(3)
	daemon = start(lab, gateways=gateways, pool={"cookie_legacy": "SERVERID"})
	for g in gateways[::-1]:
		moved = lab.get(daemon, cookie=f"a=1; SERVERID={legacy(g)}")
		assert who(moved) == g.name
		ended = moved.cookie("SERVERID")
		assert ended.value == "" and ended.attributes == {"max-age": "0", "path": "/"}
		again = lab.get(daemon, cookie=str(moved.cookie()))
		assert who(again) == g.name and not again.has("set-cookie")
	assert hows(daemon, 6) == {"cookie": 6}
	assert Counter(r["because"] for r in daemon.access())["legacy"] == 3


def test_with_the_twin_three_cookies_are_set(lab):
	gateways = lab.https(3)
	daemon = start(lab, gateways=gateways, pool={"cookie_legacy": "SERVERID", **TWIN})
	moved = lab.get(daemon, cookie=f"SERVERID={legacy(gateways[1])}")
	assert len(moved.all("set-cookie")) == 3
	assert who(lab.get(daemon, cookie=str(moved.cookie("STICKYDCORS")))) == "gw2"


def test_ours_comes_before_another_balancers(lab):
	gateways = lab.https(3)
	daemon = start(lab, gateways=gateways, pool={"cookie_legacy": "SERVERID"})
	first = lab.get(daemon)
	other = next(g for g in gateways if g.name != who(first))
	for cookies in (f"SERVERID={legacy(other)}; {first.cookie()}", f"{first.cookie()}; SERVERID={legacy(other)}"):
		assert who(lab.get(daemon, cookie=cookies)) == who(first)


def test_a_session_moves_likewise(lab):
	gateways = [lab.ws(f"gw{i}") for i in range(3)]
	daemon = start(lab, gateways=gateways, pool={"cookie_legacy": "SERVERID"})
	moved = lab.session(daemon, cookie=f"SERVERID={legacy(gateways[2])}")
	assert moved.echo("who") == "gw2" and moved.opening.cookie()
	assert lab.session(daemon, cookie=str(moved.opening.cookie())).echo("who") == "gw2"


def test_both_cookies_may_have_one_name(lab):
	gateways = lab.https(3)
	daemon = start(lab, gateways=gateways, pool={"cookie_name": "SERVERID", "cookie_legacy": "SERVERID"})
	moved = lab.get(daemon, cookie=f"SERVERID={legacy(gateways[2])}")
	assert who(moved) == "gw3"
	ours = moved.cookie("SERVERID")		# one, and not its end
	assert ours.value and "max-age" not in ours.attributes
	again = lab.get(daemon, cookie=str(ours))
	assert who(again) == "gw3" and not again.has("set-cookie")


NO_LEGACY = {
	"empty": lambda v: "",
	"of a stranger": lambda v: "0" * 32 + v[32:],
	"in capitals": lambda v: "ABCDEF" + v[6:].upper(),
	"one digit more": lambda v: "0" + v,
	"one digit less": lambda v: v[1:],
	"no times": lambda v: v[:32],
	"one time": lambda v: v.rpartition("|")[0],
	"three times": lambda v: v + "|1500000000",
	"times of words": lambda v: v[:32] + "|now|then",
	"a time that is none": lambda v: v[:32] + "|99999999999999999999|1",
	"a name": lambda v: "gw1",
}


@pytest.mark.parametrize("how", NO_LEGACY)
def test_what_is_no_such_cookie_is_a_newcomers(lab, how):
	gateways = lab.https(3)
	daemon = start(lab, gateways=gateways, pool={"cookie_legacy": "SERVERID"})
	lab.get(daemon)
	answer = lab.get(daemon, cookie=f"SERVERID={NO_LEGACY[how](legacy(gateways[0]))}")
	assert who(answer) != "gw1" or how == "in capitals", "the next in turn"
	assert answer.status == 200 and answer.cookie()
	assert "cookie" not in hows(daemon, 2)


def test_another_balancers_cookie_for_a_gateway_that_is_down(lab):
	gateways = lab.https(2)
	daemon = start(lab, gateways=gateways, pool={"cookie_legacy": "SERVERID"})
	gateways[0].kill()
	moved = lab.get(daemon, cookie=f"SERVERID={legacy(gateways[0])}")
	assert moved.status == 200 and who(moved) == "gw2"
	gateways[0].start()
	assert who(lab.get(daemon, cookie=str(moved.cookie()))) == "gw2"


def test_without_the_key_such_a_cookie_is_the_gateways_affair(lab):
	gateways = lab.https(2)
	daemon = start(lab, gateways=gateways)
	answer = lab.get(daemon, cookie=f"SERVERID={legacy(gateways[1])}")
	assert who(answer) == "gw1" and answer.cookie("SERVERID") is None
	assert got(gateways, "gw1") == [f"SERVERID={legacy(gateways[1])}"]


# broken, made up, stolen


def flip(text, at):
	return text[:at] + ("B" if text[at] == "A" else "A") + text[at + 1:]


def bit_flips(value):
	for at, character in enumerate(value):
		for bit in range(8):
			yield value[:at] + chr(ord(character) ^ 1 << bit) + value[at + 1:]


def may_be_sent(value):
	"""Control characters end a request, and not as a matter of cookies."""
	return all(c == "\t" or (c >= " " and c != "\x7f") for c in value)


@pytest.mark.parametrize("selector", ["cookie", "rewrite:SID", "prefix:SID"])
def test_no_bit_of_a_seal_may_differ(lab, selector):
	"""Even while the true one has just been opened."""
	name = "STICKYD" if selector == "cookie" else "SID"
	daemon = start(lab, selector, setters(lab, "SID=own"))
	value, _ = set_by(lab.get(daemon, "/login"), name)
	good, tilde, own = value.partition("~")
	broken = [v for v in bit_flips(good) if may_be_sent(v)]
	assert len(broken) > 6 * len(good)
	with lab.client(daemon) as c:
		for v in broken:
			assert c.get(cookie=f"{name}={value}").status == 200
			assert c.get(cookie=f"{name}={v}{tilde}{own}").status == 200
	assert hows(daemon, 1 + 2 * len(broken))[selector] == len(broken)


def test_control_characters_in_a_cookie_end_one_request(lab):
	daemon = start(lab)
	good = lab.get(daemon).cookie()
	for v in bit_flips(good.value[:8]):
		if not may_be_sent(v):
			assert lab.get(daemon, cookie=f"STICKYD={v}{good.value[8:]}").status == 400
	assert lab.get(daemon, cookie=str(good)).cookie() is None


@pytest.mark.parametrize("selector", ["cookie", "rewrite:SID", "prefix:SID"])
def test_a_seal_cut_anywhere_is_none(lab, selector):
	name = "STICKYD" if selector == "cookie" else "SID"
	daemon = start(lab, selector, setters(lab, "SID=own"))
	value, _ = set_by(lab.get(daemon, "/login"), name)
	good, tilde, own = value.partition("~")
	with lab.client(daemon) as c:
		for n in range(len(good)):
			assert c.get(cookie=f"{name}={good[:n]}{tilde}{own}").status == 200
			assert c.get(cookie=f"{name}={good[n + 1:]}{tilde}{own}").status == 200
	assert selector not in hows(daemon, 1 + 2 * len(good))


@pytest.mark.parametrize("selector", ["cookie", "rewrite:SID", "prefix:SID"])
def test_a_seal_of_another_pool_is_none(lab, selector):
	name = "STICKYD" if selector == "cookie" else "SID"
	gateways = setters(lab, "SID=own")
	other = {"gateway": [g.line for g in gateways], "affinity": selector, "check": "none"}
	daemon = start(lab, selector, gateways, more={"pool other": other, "route other": {"path": "/login", "pool": "other"}})
	value, _ = set_by(lab.get(daemon, "/login"), name)
	assert lab.get(daemon, cookie=f"{name}={value}").status == 200
	assert daemon.record(target="/")["how"] == "invalid"
	assert daemon.record(target="/")["because"] == "forged"


def test_a_cookie_of_another_key_file_is_none(lab):
	gateways = lab.https(2)
	here = start(lab, gateways=gateways, name="here")
	there = start(lab, gateways=gateways, name="there", globals={"state_dir": lab.state_dir("elsewhere")})
	cookie = lab.get(here).cookie()
	answer = lab.get(there, cookie=str(cookie))
	assert answer.status == 200 and answer.cookie()
	assert (there.record()["how"], there.record()["because"]) == ("invalid", "forged")


DAY = 24 * 3600


@pytest.mark.parametrize("born, seen, counts", [(-DAY, -DAY, True), (-1, -1, True), (30, 30, True), (DAY, DAY, False), (-DAY, DAY, False)])
def test_a_cookie_from_the_future_is_none(lab, born, seen, counts):
	"""But for what clocks of proxies may differ by."""
	daemon = start(lab)
	key = seal.ring(lab.state_dir())[0]
	first = lab.get(daemon)
	tag, _, _ = seal.opened(key, "app", first.cookie().value)
	now = int(time.time())
	answer = lab.get(daemon, cookie=f"STICKYD={seal.closed(key, 'app', tag, now + born, now + seen)}")
	assert (answer.cookie() is None) == counts
	if counts:
		assert who(answer) == who(first)
	else:
		daemon.record(how="invalid", because="future")


def test_a_seal_tells_when_it_was_given(lab):
	daemon = start(lab)
	before = int(time.time())
	_, born, seen = seal.opened(seal.ring(lab.state_dir())[0], "app", lab.get(daemon).cookie().value)
	assert before <= born == seen <= time.time() + 1


def test_a_hundred_cookies_of_our_name(lab):
	"""They are all taken off, one of the first that opens counts, and they end nothing."""
	gateways = lab.https(3)
	daemon = start(lab, gateways=gateways)
	first = lab.get(daemon)
	made_up = [f"STICKYD={flip(first.cookie().value, i % 60)}" for i in range(100)]
	among = made_up[:9] + [str(first.cookie())] + made_up[10:]
	lab.get(daemon)
	again = lab.get(daemon, cookie="; ".join(["a=1", *among, "b=2"]))
	assert who(again) == who(first) and again.cookie() is None
	assert got(gateways, who(first)) == ["a=1; b=2"]
	answer = lab.get(daemon, "/", *(f"Cookie: {c}" for c in made_up[:40]), cookie="a=1")
	assert answer.status == 200 and answer.cookie()
	assert got(gateways, who(answer)) == ["a=1"]


# the key file


def rotate(lab, *keys):
	(lab.state_dir() / "seal.key").write_text("".join(f"{key}\n" for key in keys))


def test_a_rotation_loses_no_client(lab):
	"""The new key is added behind, then put first, then alone: proxies may be restarted one after the other at each step."""
	old, new = os.urandom(32).hex(), os.urandom(32).hex()
	gateways = lab.https(3)
	rotate(lab, old)
	os.chmod(lab.state_dir() / "seal.key", 0o600)
	one = start(lab, gateways=gateways, name="one")
	clients = [[who(a), str(a.cookie())] for a in (lab.get(one) for _ in range(6))]

	def all_come_back(*proxies):
		for proxy in proxies:
			for client in reversed(clients):
				answer = lab.get(proxy, cookie=client[1])
				assert who(answer) == client[0]
				client[1] = str(answer.cookie() or client[1])
	for step, keys in enumerate([(old, new), (new, old)]):
		rotate(lab, *keys)
		two = start(lab, gateways=gateways, name=f"step{step}")
		newcomer = lab.get(two)
		clients.append([who(newcomer), str(newcomer.cookie())])
		all_come_back(two, *([one] if step == 0 else []))
		one.stop()
		one = two
	one.stop()
	rotate(lab, new)
	all_come_back(start(lab, gateways=gateways, name="done"))


@pytest.mark.parametrize("selector", ["rewrite:SID", "prefix:SID"])
def test_seals_in_gateways_cookies_open_with_any_key(lab, selector):
	gateways = setters(lab, "SID=own")
	daemon = start(lab, selector, gateways)
	login = lab.get(daemon, "/login")
	daemon.stop()
	rotate(lab, os.urandom(32).hex(), seal.ring(lab.state_dir())[0].hex())
	daemon = start(lab, selector, gateways[::-1], name="rotated")
	lab.get(daemon)
	assert who(lab.get(daemon, cookie=f"SID={set_by(login, 'SID')[0]}")) == who(login)
