# SPDX-License-Identifier: BSD-2-Clause
"""stickyd as a process: its configuration, logs, end, and what it costs."""

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from .wait import until

TOP = Path(__file__).resolve().parents[3]
SANITIZED = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|AddressSanitizer:|must\(")
RELOADED = re.compile(r"the configuration (has been reloaded|was not reloaded)")
LISTENING = re.compile(r"listener (\S+): listening on (\S+):(\d+)")


def program():
	named = os.environ.get("STICKYD")
	for path in [named] if named else [TOP / "build/asan/stickyd", TOP / "build/stickyd", TOP / "stickyd"]:
		if Path(path).exists():
			return str(Path(path).resolve())
	raise RuntimeError("no stickyd: build it, or name it in the variable STICKYD")


def sanitizer():
	"""address, thread, or nothing."""
	text = Path(program()).read_bytes()
	return "thread" if b"__tsan_init" in text else "address" if b"__asan_init" in text else ""


def kb(mb):
	"""A bound for resident memory. Sanitizers need more for the same."""
	return mb * 1024 * (3 if sanitizer() else 1)


def configuration(sections):
	"""{"kind name": {key: value, list of values, or None to leave it out}} as INI text."""
	lines = []
	for name, keys in sections.items():
		lines.append(f"[{name}]")
		for key, value in keys.items():
			if value is None:
				continue
			lines += [f"{key} = {v}" for v in (value if isinstance(value, list) else [value])]
		lines.append("")
	return "\n".join(lines)


def environment(**more):
	"""The sanitizers' own options stand; the quarantine is small since tests look at resident memory."""
	asan = os.environ.get("ASAN_OPTIONS", "detect_leaks=1") + ":quarantine_size_mb=8"
	return {**os.environ, "ASAN_OPTIONS": asan, **more}


class Stickyd:
	def __init__(self, directory, arguments, access=None, wrap=(), env=None, name="stickyd"):
		self.directory = directory
		self.access_file = access
		self.stderr_file = directory / f"{name}.stderr"
		self.stdout_file = directory / f"{name}.stdout"
		self.expected_exit = 0
		with open(self.stderr_file, "ab") as err, open(self.stdout_file, "ab") as out:
			self.process = subprocess.Popen(
				[*wrap, program(), *arguments], stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=directory,
				env=environment(**(env or {})))

	# life

	def wait_ready(self):
		def is_ready():
			if self.process.poll() is not None:
				raise AssertionError(f"stickyd ended with {self.process.returncode}:\n{self.log}")
			return re.search(r"stickyd \S+ is ready", self.log)
		until(is_ready, "the daemon to be ready")
		self.listeners = {}
		for name, host, port in LISTENING.findall(self.log):
			self.listeners.setdefault(name, []).append((host.strip("[]"), int(port)))
		return self

	def address(self, listener=None):
		"""Where a listener (the first where not named) can be reached."""
		host, port = (self.listeners[listener] if listener else next(iter(self.listeners.values())))[0]
		return ({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)

	@property
	def port(self):
		return self.address()[1]

	@property
	def pid(self):
		return self.process.pid

	def signal(self, number):
		self.process.send_signal(number)

	def reload(self):
		"""HUP, until the new configuration is in force or was refused: whether it is in force."""
		said = len(RELOADED.findall(self.log))
		self.signal(signal.SIGHUP)
		return until(lambda: RELOADED.findall(self.log)[said:], "the reload's end")[0].startswith("has been")

	def wait_exit(self, bound=30):
		return until(lambda: self.process.poll() is not None and (self.process.returncode,), "the daemon to end", bound)[0]

	def stop(self):
		"""The end of every story: it goes when told to, with 0 and without a word from a sanitizer."""
		if self.process.poll() is None:
			self.signal(signal.SIGTERM)
		try:
			code = self.wait_exit()
		except AssertionError:
			self.process.kill()
			self.process.wait()
			raise
		report = SANITIZED.search(self.log)
		assert not report, f"the log holds {report.group()!r}"
		assert code == self.expected_exit, f"exit {code}"

	# what it says

	@property
	def log(self):
		return self.stderr_file.read_text(errors="replace")

	def wait_log(self, pattern, bound=20):
		return until(lambda: re.search(pattern, self.log), f"{pattern!r} in the log", bound)

	def access(self):
		"""All whole lines of the access log so far."""
		if not self.access_file or not self.access_file.exists():
			return []
		lines = self.access_file.read_text().split("\n")[:-1]
		return [json.loads(line) for line in lines]

	def record(self, bound=20, **want):
		"""The first access record with these values, waited for."""
		def find():
			return next((r for r in self.access() if all(r.get(k) == v for k, v in want.items())), None)
		return until(find, f"an access record with {want}", bound)

	def records(self, count):
		return until(lambda: len(self.access()) >= count and self.access(), f"{count} access records")

	# what it costs

	def _status_kb(self, key):
		text = Path(f"/proc/{self.pid}/status").read_text()
		return int(re.search(rf"^{key}:\s+(\d+) kB", text, re.M).group(1))

	def rss_kb(self):
		return self._status_kb("VmRSS")

	def peak_kb(self):
		return self._status_kb("VmHWM")

	def reset_peak(self):
		Path(f"/proc/{self.pid}/clear_refs").write_text("5")

	def descriptors(self):
		return len(os.listdir(f"/proc/{self.pid}/fd"))

	def cpu_seconds(self):
		fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
		return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

	def cpu_share(self, seconds):
		"""Of one CPU, over so many seconds."""
		before, began = self.cpu_seconds(), time.monotonic()
		time.sleep(seconds)
		return (self.cpu_seconds() - before) / (time.monotonic() - began)


def run(*arguments, cwd=None, env=None, bound=30):
	"""stickyd as a command that ends by itself."""
	return subprocess.run([program(), *arguments], cwd=cwd, env=environment(**(env or {})), timeout=bound,
		stdin=subprocess.DEVNULL, capture_output=True, text=True)
