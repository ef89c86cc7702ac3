# SPDX-License-Identifier: BSD-2-Clause
"""The dashboard in a real browser, before the real daemon: what it shows is what the API says, and what is clicked happens."""

import json
import re
import urllib.request
from urllib.error import HTTPError

import pytest

from harness.chromium import Chromium, is_there
from harness.wait import until, while_true

pytestmark = pytest.mark.skipif(not is_there(), reason="chromium is missing")

TOKEN = "0123456789abcdef0123456789abcdef"
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
LIVE = "document.body.className === 'live'"


class Board:
	"""stickyd with its dashboard, and a browser that looks at it."""

	def __init__(self, lab, gateways, listen="127.0.0.1:0", name="stickyd", tab=None, **how):
		token_file = lab.directory / "token"
		token_file.write_text(TOKEN + "\n")
		token_file.chmod(0o600)
		self.daemon = lab.start(gateways, name=name, admin={"socket": lab.directory / f"{name}.sock", "listen": listen,
			"token_file": token_file}, **how)
		self.listen = re.search(r"admin: listening on ([\d.]+:\d+)", self.daemon.log).group(1)
		self.url = f"http://{self.listen}/"
		self.tab = tab

	def look(self, lab, width=1280, height=800, dark=False):
		chromium = Chromium(lab.directory)
		lab.others.append(chromium)
		self.tab = chromium.tab()
		lab.others.insert(0, self.tab)
		self.tab.size(width, height, dark)
		self.tab.open(self.url)
		self.tab.wait(LIVE, 60)
		return self.tab

	def api(self, target, method="GET"):
		request = urllib.request.Request(self.url + target, method=method, headers={"Authorization": f"Bearer {TOKEN}"})
		with urllib.request.urlopen(request, timeout=20) as answer:
			return json.load(answer)

	def gateway(self, name):
		return next(g for g in self.api("v1/gateways")["gateways"] if g["name"] == name)

	def give_token(self, token=TOKEN):
		self.tab.wait("document.getElementById('token').open")
		self.tab.type(token)
		self.tab.press("Enter")


def board(lab, gateways, **how):
	made = Board(lab, gateways, **how)
	made.look(lab)
	return made


def mark(tab):
	"""Rows are found by their gateway's name from now on."""
	tab.js("""for (const r of document.querySelectorAll('.gateways tbody tr'))
		r.dataset.name = r.querySelector('[data-part=name]').textContent""")


def shown(tab, name, part):
	return tab.text(f"tr[data-name='{name}'] [data-part={part}]")


def button(name, what):
	return f"tr[data-name='{name}'] button[value={what}]"


def number(text):
	return int(text.replace(",", ""))


def cpu_seconds(tab):
	"""Of the page's thread, however busy the machine is."""
	return next(m["value"] for m in tab.call("Performance.getMetrics")["metrics"] if m["name"] == "TaskDuration")


# ---- as a file ----

def test_the_files_come_under_a_strict_policy(lab):
	b = Board(lab, lab.https(1))
	for path, kind in (("", "text/html"), ("dashboard.css", "text/css"), ("dashboard.js", "text/javascript")):
		with urllib.request.urlopen(b.url + path, timeout=20) as answer:
			fields, body = answer.headers, answer.read()
		assert fields["Content-Type"] == f"{kind}; charset=utf-8"
		assert fields["Content-Security-Policy"] == POLICY
		assert fields["X-Content-Type-Options"] == "nosniff" and fields["Referrer-Policy"] == "no-referrer"
		assert fields["Cache-Control"] == "no-cache"
		assert len(body) == int(fields["Content-Length"]) > 1000
		again = urllib.request.Request(b.url + path, headers={"If-None-Match": fields["ETag"]})
		with pytest.raises(HTTPError) as known:
			urllib.request.urlopen(again, timeout=20)
		assert known.value.code == 304 and known.value.read() == b"" and known.value.headers["ETag"] == fields["ETag"]


# ---- what is shown ----

def test_it_shows_what_the_api_says(lab):
	gateways = [lab.ws("gw1"), lab.ws("gw2")]
	b = Board(lab, gateways, pool={"check": "tcp", "check_interval": "100ms"},
		more={"pool other": {"gateway": "spare 127.0.0.1:9", "check": "none"}})
	for _ in range(3):
		lab.session(b.daemon)
	until(lambda: b.api("v1/status")["sessions"] == 3, "three sessions")
	tab = b.look(lab)
	mark(tab)
	tab.wait("document.querySelector('.tile b').textContent === '3'")
	status, answer = b.api("v1/status"), b.api("v1/gateways")
	assert tab.text("body > header [data-part=version]") == status["version"]
	assert tab.text("body > header [data-part=state]") == status["state"] == "running"
	assert tab.text("body > header [data-part=pid]") == str(status["pid"])
	for g in answer["gateways"]:
		assert shown(tab, g["name"], "address") == g["address"]
		assert shown(tab, g["name"], "state") == g["state"]
		for part in ("sessions", "requests", "errors"):
			assert number(shown(tab, g["name"], part)) == g[part], (g["name"], part)
		assert tab.js(f"document.querySelector(\"tr[data-name='{g['name']}'] .weight\").value") == str(g["weight"])
	pool = next(p for p in answer["pools"] if p["name"] == "app")
	assert tab.text(".pool header [data-part=balance]") == pool["balance"] == "leastconn"
	assert tab.text(".pool header [data-part=up]") == "2 of 2"
	for outcome, n in pool["affinity"].items():
		assert number(tab.text(f".pool header [data-part={outcome}]")) == n
	assert pool["affinity"]["new"] == 3
	assert tab.js("document.getElementById('workers').rows.length") == status["workers"]
	newest = b.api("v1/events?after=0")["events"][-1]
	tab.wait(f"document.querySelector('#events li')?.textContent.includes({json.dumps(newest['text'])})")
	assert tab.js("[...document.querySelectorAll('.graph')].every(g => g.getAttribute('aria-label').includes('now'))")
	tab.spend(5)
	assert tab.complaints == [], tab.complaints


def test_a_gateway_that_goes_down_is_seen(lab):
	gateways = [lab.http("gw1"), lab.http("gw2")]
	b = board(lab, gateways, pool={"check": "tcp", "check_interval": "100ms", "check_fall": 1, "check_rise": 1})
	mark(b.tab)
	gateways[0].kill()
	b.tab.wait("document.querySelector(\"tr[data-name='gw1']\").dataset.state === 'down'")
	assert shown(b.tab, "gw1", "state") == "down" and shown(b.tab, "gw1", "why") == b.gateway("gw1")["why"]
	assert b.tab.js("document.querySelector(\"tr[data-name='gw1'] use\").getAttribute('href')") == "#shape-down"
	assert b.tab.js("document.title") == "(1 down) stickyd"
	b.tab.wait("document.getElementById('events').textContent.includes('gw1')")


def test_a_tab_that_nobody_sees_asks_nothing(lab):
	b = board(lab, lab.https(1))
	asked = "performance.getEntriesByType('resource').length"
	b.tab.js("""Object.defineProperty(document, 'hidden', { value: true, configurable: true });
		document.dispatchEvent(new Event('visibilitychange'))""")
	b.tab.spend(3)			# what was under way is over
	before = b.tab.js(asked)
	while_true(lambda: b.tab.js(asked) == before, "it asked", 5)
	b.tab.js("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
	b.tab.wait(f"{asked} > {before}")


# ---- changes ----

def test_changes_need_the_token_once_and_happen(lab):
	b = board(lab, lab.https(3))
	tab = b.tab
	mark(tab)
	tab.click(button("gw2", "drain"))
	tab.wait("document.getElementById('drain').open")
	tab.click("#drain .go")
	b.give_token()
	until(lambda: b.gateway("gw2")["state"] == "draining", "gw2 to drain")
	tab.wait("document.querySelector(\"tr[data-name='gw2']\").dataset.state === 'draining'")
	assert "app/gw2 is draining" in tab.text("#said p")
	assert b.gateway("gw2")["deadline"] is None

	tab.click(button("gw2", "ready"))
	until(lambda: b.gateway("gw2")["state"] == "up", "gw2 to be ready")
	assert not tab.js("document.getElementById('token').open"), "it is asked for once"

	tab.click(button("gw3", "down"))
	assert b.gateway("gw3")["state"] == "up", "only when it was confirmed"
	tab.click("#down .go")
	until(lambda: b.gateway("gw3")["state"] == "down", "gw3 to be down")

	tab.click("tr[data-name='gw1'] .weight")
	tab.js("document.activeElement.select()")
	tab.type("37")
	tab.press("Enter")
	until(lambda: b.gateway("gw1")["weight"] == 37, "the weight")
	tab.wait("document.querySelector('#said p').textContent === 'app/gw1 has weight 37'")
	assert tab.js("document.activeElement.matches('.weight')"), "the focus stays"


def test_a_drain_with_a_deadline_says_what_it_does(lab):
	b = board(lab, lab.https(2))
	tab = b.tab
	mark(tab)
	tab.js(f"sessionStorage.setItem('stickyd-token', '{TOKEN}')")
	tab.click(button("gw1", "drain"))
	assert tab.text("#drain .hurts") == ""
	tab.click("#drain input[value='10m']")
	assert "After 10 minutes, the sessions that are left are closed" in tab.text("#drain .hurts")
	tab.press("Escape")
	tab.wait("!document.getElementById('drain').open")
	assert tab.js(f"document.activeElement.matches(\"{button('gw1', 'drain')}\")"), "the focus is back where it was"
	assert b.gateway("gw1")["state"] == "up"
	tab.press("Enter")
	tab.click("#drain input[name=other]")
	tab.type("soon")
	tab.click("#drain .go")
	assert tab.js("document.getElementById('drain').open"), "that is no time"
	tab.js("document.activeElement.select()")
	tab.type("90s")
	tab.click("#drain .go")
	until(lambda: b.gateway("gw1")["deadline"], "the deadline")
	tab.wait("document.querySelector(\"tr[data-name='gw1'] .due\").textContent.startsWith('deadline in')")


def test_a_wrong_token_is_refused_and_not_kept(lab):
	b = board(lab, lab.https(2))
	tab = b.tab
	mark(tab)
	tab.click(button("gw1", "down"))
	tab.click("#down .go")
	b.give_token("something else, which is long enough")
	tab.wait("document.querySelector('#token .wrong').textContent === 'The daemon refused this token.'")
	assert b.gateway("gw1")["state"] == "up"
	assert tab.js("sessionStorage.length") == 0
	tab.press("Escape")
	tab.wait("!document.getElementById('token').open")
	assert b.gateway("gw1")["state"] == "up"
	tab.click(button("gw1", "down"))
	tab.click("#down .go")
	b.give_token()
	until(lambda: b.gateway("gw1")["state"] == "down", "the right one to do it")
	tab.click("#lock")
	assert tab.js("sessionStorage.length") == 0


def test_what_the_daemon_refuses_is_said_in_its_words(lab):
	b = board(lab, lab.https(1))
	tab = b.tab
	mark(tab)
	tab.js(f"sessionStorage.setItem('stickyd-token', '{TOKEN}')")
	tab.click("tr[data-name='gw1'] .weight")
	tab.js("document.activeElement.select()")
	tab.type("many")
	tab.press("Enter")
	tab.wait("!document.getElementById('refused').hidden")
	with pytest.raises(HTTPError) as refused:
		b.api("v1/weight?gateway=app/gw1&weight=many", "POST")
	assert tab.text("#refused p") == "app/gw1: " + json.load(refused.value)["error"]
	assert tab.js("document.activeElement.value") == str(b.gateway("gw1")["weight"])


# ---- when the daemon is away ----

def test_it_says_that_the_daemon_is_away_and_recovers(lab):
	gateways = lab.https(2)
	b = board(lab, gateways)
	tab = b.tab
	first = tab.text("body > header [data-part=pid]")
	b.daemon.stop()
	tab.wait("document.body.className === 'away'")
	assert tab.text("#away").startswith("The daemon does not answer. What is shown is of ")
	assert tab.js("[...document.querySelectorAll('.acts button')].every(b => b.getAttribute('aria-disabled') === 'true')")
	assert tab.text("body > header [data-part=pid]") == first, "what was known stays to be read"
	again = Board(lab, gateways, listen=b.listen, name="again", tab=tab)
	tab.wait(LIVE)
	assert tab.text("body > header [data-part=pid]") == str(again.daemon.pid) != first
	assert "restarted" in tab.text("#said p")
	assert tab.js("document.querySelector('[data-part=state]').textContent") == "running"
	tab.wait("document.querySelector('.acts button').getAttribute('aria-disabled') === 'false'")


# ---- for everybody ----

def test_all_of_it_by_the_keyboard(lab):
	b = board(lab, lab.https(2))
	tab = b.tab
	mark(tab)
	tab.press("/")
	tab.type("gw2")
	tab.wait("[...document.querySelectorAll('.gateways tbody tr:not([hidden])')].map(r => r.dataset.name).join() === 'gw2'")
	tab.walk(button("gw2", "drain"))
	assert tab.js("getComputedStyle(document.activeElement).outlineStyle") != "none", "the focus is seen"
	tab.spend(5)
	assert tab.js(f"document.activeElement.matches(\"{button('gw2', 'drain')}\")"), "updates take no focus"
	tab.press("Enter")
	tab.wait("document.getElementById('drain').open")
	tab.walk("#drain .go")
	tab.press("Enter")
	b.give_token()
	until(lambda: b.gateway("gw2")["state"] == "draining", "gw2 to drain")
	tab.wait("!document.querySelector('dialog[open]')")
	tab.wait(f"document.querySelector(\"{button('gw2', 'ready')}\").getAttribute('aria-disabled') === 'false'")
	tab.walk(button("gw2", "ready"))
	tab.press("Space")
	until(lambda: b.gateway("gw2")["state"] == "up", "gw2 to be ready")
	assert tab.text("#announce") != "", "who listens hears it"


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_screen(lab, width):
	gateways = [lab.http("a-gateway-with-a-name-of-some-length-that-nobody-likes"), lab.http("gw2")]
	b = Board(lab, gateways, pool={"gateway": [f"{g.line} max_sessions=20000" for g in gateways]})
	tab = b.look(lab, width, 740)
	wide = """[...document.querySelectorAll('body *')].filter(e => {
		const box = e.getBoundingClientRect();
		return box.width > 1 && box.right > innerWidth + 1 && !e.closest('.skip');
	}).map(e => e.outerHTML.slice(0, 120))"""
	assert tab.js("document.documentElement.scrollWidth <= innerWidth") and tab.js(wide) == []
	tab.click(".acts button[value=drain]")
	assert tab.js(wide) == []


# Of every element with text of its own, how much brighter the one of text and ground is than the other (WCAG 2, 1.4.3).
PALE = """(() => {
	const canvas = new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
	const mixed = colours => {
		canvas.clearRect(0, 0, 1, 1);
		for (const c of colours) {
			canvas.fillStyle = c;
			canvas.fillRect(0, 0, 1, 1);
		}
		return [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)];
	};
	const light = rgb => rgb.map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const ground = e => e ? [...ground(e.parentElement), getComputedStyle(e).backgroundColor] : ['white'];
	const pale = [];
	for (const e of document.querySelectorAll('body *')) {
		const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || e.matches('input');
		if (!own || !e.checkVisibility() || e.closest('[aria-disabled=true]'))
			continue;
		const below = ground(e);
		const [a, b] = [light(mixed(below)), light(mixed([...below, getComputedStyle(e).color]))].sort((x, y) => y - x);
		if ((a + 0.05) / (b + 0.05) < 4.5)
			pale.push([((a + 0.05) / (b + 0.05)).toFixed(2), e.outerHTML.slice(0, 150)]);
	}
	return pale;
})()"""


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_has_enough_contrast(lab, dark):
	gateways = [lab.http(f"gw{i}") for i in range(4)]
	b = Board(lab, gateways, pool={"check": "tcp", "check_interval": "100ms", "check_fall": 1})
	gateways[0].kill()
	b.api("v1/drain?gateway=gw1&deadline=10m", "POST")
	until(lambda: b.gateway("gw0")["state"] == "down", "the check to see it")
	tab = b.look(lab, dark=dark)
	assert tab.js(PALE) == []
	tab.click("[data-state=draining] button")
	assert tab.js(PALE) == []


# ---- many ----

def test_300_gateways_stay_usable(lab):
	one = lab.http("node-000")
	port = one.address.split(":")[1]
	lines = [f"node-{i:03} 127.0.{i // 200}.{i % 200 + 1}:{port}" for i in range(300)]
	b = board(lab, [], pool={"gateway": lines})
	tab = b.tab
	assert tab.text("[data-part=count]") == "300 gateways"
	tab.js("window.kept = [...document.querySelectorAll('.gateways tbody tr')]")
	tab.press("/")
	tab.type("node-29")
	tab.wait("document.querySelector('[data-part=count]').textContent === '10 of 300 gateways'")
	assert tab.js("document.querySelectorAll('.gateways tbody tr:not([hidden])').length") == 10
	b.api("v1/drain?gateway=node-123", "POST")
	tab.wait("document.querySelector('.chips [data-state=draining]')?.textContent === 'draining 1'")
	assert tab.js("document.activeElement.id") == "filter" and tab.js("document.activeElement.value") == "node-29"
	tab.js("document.activeElement.select()")
	tab.press("Backspace")
	tab.click(".chips [data-state=draining]")
	assert tab.text(".gateways tbody tr:not([hidden]) [data-part=name]") == "node-123"
	assert tab.text("[data-part=count]") == "1 of 300 gateways"
	tab.call("Performance.enable", timeDomain="threadTicks")
	before = cpu_seconds(tab)
	tab.spend(6)
	assert cpu_seconds(tab) - before < 2, "three updates are a small thing"
	assert tab.js("kept.every((r, i) => r === document.querySelectorAll('.gateways tbody tr')[i])"), "rows stay what they were"
	assert tab.complaints == [], tab.complaints
