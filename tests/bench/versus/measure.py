# SPDX-License-Identifier: BSD-2-Clause
"""One row after the other; in each, rounds in which all proxies take their turn, so that what disturbs one disturbs the others."""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from versus import proxies
from versus.proxies import Setting

HERE = Path(__file__).resolve().parent.parent
BURST = 65536
WARM = 200
SHORT_S, SHORT_RUNS = 1, 4		# of latencies: in a round


def figure(values):
	return {"median": statistics.median(values), "min": min(values), "max": max(values)} if values else None


class Bench:
	"""The tools, the gateways, the certificate and the CPUs."""

	def __init__(self, directory, authority):
		self.directory = Path(directory)
		self.ends = contextlib.ExitStack()
		self.cpus = sorted(os.sched_getaffinity(0))
		if len(self.cpus) < 2:
			sys.exit("one CPU is not enough: the proxy needs one of its own")
		self.tools = {name: self.build(name) for name in ("load", "origin", "relay")}
		self.certificate = authority(self.directory).issue("bench.test").split()
		self.ports = [self.origin() for _ in range(2)]

	def build(self, name):
		out = self.directory / name
		subprocess.run([os.environ.get("CC", "cc"), "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-o", out, HERE / f"{name}.c",
			"-lssl", "-lcrypto", "-lpthread"], check=True)
		return out

	def others(self, workers):
		"""The CPUs that the proxy does not run on; all, where it takes all."""
		return self.cpus[workers:] or self.cpus

	def origin(self):
		"""Listens everywhere on loopback: a thousand gateways are the same two, by other addresses."""
		origin = subprocess.Popen([self.tools["origin"], "-a", "0.0.0.0"], stdout=subprocess.PIPE, text=True,
			preexec_fn=lambda: os.sched_setaffinity(0, self.others(1)))
		self.ends.callback(origin.wait)
		self.ends.callback(origin.kill)
		return int(origin.stdout.readline())

	def gateways(self, n):
		return [f"127.{i // 250}.{i // 2 % 125}.1:{self.ports[i % 2]}" if n > 2 else f"127.0.0.1:{self.ports[i]}" for i in range(n)]

	def available(self, wanted, setting):
		"""The proxies, in the order of the columns."""
		found = []
		for kind, program in ((proxies.Relay, self.tools["relay"]), (proxies.Splicing, self.tools["relay"]),
				(proxies.Haproxy, proxies.program("HAPROXY", "haproxy")), (proxies.Nginx, proxies.program("NGINX", "nginx")),
				(proxies.Stickyd, os.environ["STICKYD"])):
			if kind is proxies.Splicing and (setting.tls or not wanted["splice"]):
				continue
			if kind is proxies.Relay and not wanted["relay"]:
				continue
			if program is not None:
				found.append(kind(program, self.directory, self.certificate, self.cpus))
		return found

	def load(self, arguments, proxy, workers):
		load = subprocess.Popen([self.tools["load"], *arguments, str(proxy.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
			text=True, preexec_fn=lambda: os.sched_setaffinity(0, self.others(workers)))
		if load.stdout.readline() != "ready\n":
			load.wait()
			sys.exit(f"load {' '.join(map(str, arguments))} through {proxy.name} could not begin")
		return load

	def tell(self, load, words):
		load.stdin.write(words + "\n")
		load.stdin.flush()
		return load.stdout.readline()

	def end(self, load):
		load.stdin.close()
		load.wait()


def busy(bench, row, proxy, seconds, rate=None):
	"""One run: what load saw, and the proxy's CPU time for it."""
	threads = min(2, len(bench.others(row.workers)))
	load = bench.load([*row.load, "-t", str(threads), "-d", str(seconds), *(["-r", str(rate)] if rate else [])], proxy, row.workers)
	before = proxy.cpu_ns()
	seen = json.loads(bench.tell(load, "go"))
	seen["cpu_us"] = (proxy.cpu_ns() - before) / 1000 / (seen["ops"] or 1) / row.parts
	bench.end(load)
	if seen["errors"]:
		print(f"{row.name}: {seen['errors']} errors through {proxy.name}", file=sys.stderr)
	return seen


def in_turn(found, rounds):
	"""Every proxy in every round, each round beginning with another."""
	for n in range(rounds):
		for i in range(len(found)):
			yield found[(n + i) % len(found)]


def collected(runs, parts):
	return {"value": figure([r["cpu_us"] for r in runs]), "per_second": figure([r["ops"] / r["seconds"] * parts for r in runs]),
		**{key: figure([r[key] for r in runs]) for key in ("p50_us", "p99_us", "p999_us")}, "errors": sum(r["errors"] for r in runs)}


def cpu(bench, row, found, rounds, seconds):
	runs = {p.name: [] for p in found}
	for proxy in in_turn(found, rounds):
		runs[proxy.name].append(busy(bench, row, proxy, seconds))
	return {name: collected(r, row.parts) for name, r in runs.items()}


def latency(bench, row, found, rounds, seconds):
	"""At 70 % of what the slowest of them can do, the same for all. Many short runs: a virtual machine that stands still for a tenth of a
	second is the tail of the run in which it did, and of no other."""
	most = {p.name: [] for p in found}
	for proxy in in_turn(found, 3):
		seen = busy(bench, row, proxy, seconds)
		most[proxy.name].append(seen["ops"] / seen["seconds"])
	rate = round(0.7 * min(statistics.median(m) for m in most.values()))
	runs = {p.name: [] for p in found}
	for proxy in in_turn(found, rounds * SHORT_RUNS):
		runs[proxy.name].append(busy(bench, row, proxy, SHORT_S, rate))
	results = {name: collected(r, row.parts) for name, r in runs.items()}
	for r in results.values():
		r |= {"value": r["p99_us"], "rate": rate}
	return results


def memory(bench, row, proxy, sessions):
	"""Of a session that is idle, and of the same after each has had a message of 64 KB: bytes. What the first sessions make a proxy load
	and set up is none of it."""
	bench.end(bench.load([*row.load, "-c", str(WARM)], proxy, 1))
	empty = proxy.memory()
	load = bench.load([*row.load, "-c", str(sessions), "-t", "2"], proxy, 1)
	idle = proxy.memory()
	if bench.tell(load, f"burst {BURST}") != "done\n":
		sys.exit(f"no burst through {proxy.name}")
	after = proxy.memory()
	bench.end(load)
	value, burst = (idle - empty) / sessions, (after - empty) / sessions
	return {"value": figure([value]), "after_burst": figure([burst]), "errors": 0}


def watched(pid):
	"""How many descriptors each of a process's epoll instances watches."""
	found = []
	for fd in Path(f"/proc/{pid}/fd").iterdir():
		with contextlib.suppress(OSError):
			if "eventpoll" in os.readlink(fd):
				found.append(Path(f"/proc/{pid}/fdinfo/{fd.name}").read_text().count("tfd:"))
	return found


def spread(bench, row, proxy, sessions):
	"""Each worker has an epoll instance of its own: what the fullest watches, to the mean."""
	load = bench.load([*row.load, "-c", str(sessions), "-t", "2"], proxy, row.workers)
	each = sorted(n for pid in proxy.family() for n in watched(pid))[-row.workers:]
	bench.end(load)
	return {"value": figure([each[-1] * len(each) / sum(each)]), "each": each, "errors": 0}


def measure_row(bench, row, rounds, seconds, sessions):
	setting = Setting(tls=row.tls, access_log=row.access_log, workers=row.workers, gateways=bench.gateways(row.gateways))
	wanted = {"relay": row.gateways == 2, "splice": row.per == "MB"}
	found = bench.available(wanted, setting)
	with contextlib.ExitStack() as ends:
		if row.kind in ("memory", "spread"):	# each for itself, from its start
			results = {}
			for p in found:
				ends.callback(p.stop)
				p.start(setting)
				results[p.name] = {"memory": memory, "spread": spread}[row.kind](bench, row, p, sessions)
				p.stop()
			return results
		for p in found:
			ends.callback(p.stop)
			p.start(setting)
		return {"cpu": cpu, "latency": latency}[row.kind](bench, row, found, rounds, seconds)


def versions(bench):
	return {p.name: p.version() for p in bench.available({"relay": False, "splice": False}, Setting())}


@contextlib.contextmanager
def bench(authority):
	with tempfile.TemporaryDirectory(prefix="stickyd-compare.") as directory:
		os.chmod(directory, 0o755)		# nginx's workers may run as another user
		b = Bench(directory, authority)
		with b.ends:
			yield b
