# SPDX-License-Identifier: BSD-2-Clause
"""A page of Chromium by the DevTools protocol: looked at, clicked and typed into as a person does, by real input events."""

import asyncio
import json
import time

import websockets

from .wait import until

KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, "Space": 32, "Backspace": 8}
TEXTS = {"Enter": "\r", "Space": " "}


class Tab:
	def __init__(self, url):
		"""url: of the page's DevTools."""
		self.loop = asyncio.new_event_loop()
		self.number = 0
		self.complaints = []	# errors on the console, uncaught exceptions, what a policy has blocked
		self.devtools = self._run(self._connect(url))
		for domain in ("Page", "Runtime", "Log", "Network"):
			self.call(f"{domain}.enable")

	async def _connect(self, url):
		return await websockets.connect(url, max_size=None, ping_interval=None)	# the loop runs only while it is asked

	def _run(self, what):
		async def bounded():
			return await asyncio.wait_for(what, 90)
		return self.loop.run_until_complete(bounded())

	def call(self, method, **parameters):
		self.number += 1
		self._run(self.devtools.send(json.dumps({"id": self.number, "method": method, "params": parameters})))
		while (message := json.loads(self._run(self.devtools.recv()))).get("id") != self.number:
			self._note(message)
		assert "error" not in message, message
		return message["result"]

	def _note(self, event):
		method, about = event.get("method"), event.get("params", {})
		if method == "Runtime.exceptionThrown":
			self.complaints.append(about["exceptionDetails"])
		elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
			self.complaints.append(about)
		elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
			self.complaints.append(about["entry"])

	# looking

	def js(self, expression):
		"""The value of an expression, awaited if it is a promise."""
		answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
		assert "exceptionDetails" not in answer, (expression, answer)
		return answer["result"].get("value")

	def wait(self, expression, bound=20):
		return until(lambda: self.js(expression), f"{expression} in the page", bound)

	def text(self, selector):
		return self.js(f"document.querySelector({json.dumps(selector)})?.textContent ?? null")

	# doing

	def open(self, url):
		self.call("Page.navigate", url=url)
		self.wait(f"location.href === {json.dumps(url)} && document.readyState === 'complete'", 60)

	def size(self, width, height, dark=False):
		self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
		self.call("Emulation.setEmulatedMedia",
			features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

	def click(self, selector):
		"""In its middle, where it must be visible and uncovered."""
		where = self.js(f"""(() => {{
			const e = document.querySelector({json.dumps(selector)});
			e.scrollIntoView({{ block: 'center', behavior: 'instant' }});
			const box = e.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
			return e.contains(document.elementFromPoint(x, y)) ? [x, y] : null;
		}})()""")
		assert where, f"{selector} can't be clicked"
		for kind in ("mousePressed", "mouseReleased"):
			self.call("Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], button="left", clickCount=1)

	def press(self, key):
		about = {"key": {"Space": " "}.get(key, key), "code": key,
			"windowsVirtualKeyCode": KEYS.get(key, ord(key[0].upper()))}
		text = TEXTS.get(key, key if len(key) == 1 else None)
		self.call("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": text} if text else {}))
		self.call("Input.dispatchKeyEvent", type="keyUp", **about)

	def type(self, text):
		self.call("Input.insertText", text=text)

	def walk(self, selector, bound=200):
		"""By Tab alone, until that has the focus."""
		for _ in range(bound):
			if self.js(f"document.activeElement.matches({json.dumps(selector)})"):
				return
			self.press("Tab")
		raise AssertionError(f"{selector} is not reached by the keyboard")

	def spend(self, seconds):
		"""Lets the page live on, hearing what it complains about."""
		end = time.monotonic() + seconds
		while time.monotonic() < end:
			self.js("new Promise(done => setTimeout(done, 100))")

	def stop(self):
		self._run(self.devtools.close())
		self.loop.close()
