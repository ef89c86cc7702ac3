# SPDX-License-Identifier: BSD-2-Clause
"""The four, configured alike: two gateways, an affinity cookie, forwarded headers, health checks, kept connections to gateways, HTTP/1.1,
TLS 1.2 and 1.3 with tickets. nginx has no affinity cookie in Debian's build: a map from a cookie to a gateway does the same. nginx passes bodies
and answers on without buffering them."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

DESCRIPTORS = 20000


@dataclass
class Setting:
	"""What a group of measurements wants of a proxy."""
	tls: bool = False
	access_log: bool = False
	workers: int = 1
	gateways: list = field(default_factory=list)	# "127.0.0.1:PORT"


def free_port():
	with socket.socket() as s:
		s.bind(("127.0.0.1", 0))
		return s.getsockname()[1]


def program(variable, name):
	"""Where it is, or None."""
	return os.environ.get(variable) or shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


class Proxy:
	name = None

	def __init__(self, program, directory, certificate, cpus):
		self.program, self.cpus = program, cpus
		self.directory = Path(directory) / f"{self.name}.d"
		self.directory.mkdir(exist_ok=True)
		self.certificate = certificate		# a chain and its key
		self.process = None

	def start(self, setting):
		self.port = free_port()
		self.log = open(self.directory / "output", "wb")
		self.process = subprocess.Popen(self.command(setting), stdout=self.output(), stderr=self.log,
			preexec_fn=lambda: os.sched_setaffinity(0, self.cpus[:setting.workers] or self.cpus))
		self.find_port()
		self.wait()

	def output(self):
		return self.log

	def find_port(self):
		pass

	def wait(self):
		for _ in range(500):
			if self.process.poll() is not None:
				raise SystemExit(f"{self.name} did not start:\n{(self.directory / 'output').read_text()}")
			try:
				socket.create_connection(("127.0.0.1", self.port), 1).close()
				return
			except ConnectionRefusedError:
				time.sleep(0.01)
		raise SystemExit(f"{self.name} does not listen")

	def stop(self):
		if self.process:
			self.process.terminate()
			try:
				self.process.wait(10)
			except subprocess.TimeoutExpired:
				self.process.kill()
				self.process.wait()
			self.log.close()
			self.process = None

	def family(self):
		"""The pids of all its processes."""
		parents = {}
		for stat in Path("/proc").glob("[0-9]*/stat"):
			with contextlib.suppress(OSError):
				parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
		pids = [self.process.pid]
		for pid in pids:
			pids += [child for child, parent in parents.items() if parent == pid]
		return pids

	def cpu_ns(self):
		"""User and system time of all its threads."""
		return sum(int((task / "schedstat").read_text().split()[0])
			for pid in self.family() for task in Path(f"/proc/{pid}/task").iterdir())

	def memory(self):
		"""Bytes of memory that are its alone, or its part of what is shared (Pss)."""
		rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.family())
		return 1024 * sum(int(line.split()[1]) for rollup in rollups for line in rollup.splitlines() if line.startswith("Pss:"))

	def write(self, name, text):
		path = self.directory / name
		path.write_text(text)
		return path


class Stickyd(Proxy):
	name = "stickyd"

	def version(self):
		return subprocess.run([self.program, "-V"], capture_output=True, text=True).stdout.split()[1]

	def command(self, s):
		(self.directory / "state").mkdir(exist_ok=True)
		tls = f"tls = yes\ncertificate = {' '.join(self.certificate)}\n" if s.tls else ""
		gateways = "".join(f"gateway = gw{i + 1} {g}\n" for i, g in enumerate(s.gateways))
		return [self.program, "-c", self.write("stickyd.ini", f"""[global]
workers = {s.workers}
state_dir = {self.directory}/state
shutdown_grace = 1s
[log]
access = {self.directory / "access.log" if s.access_log else "off"}
[admin]
socket = {self.directory}/admin.sock
[listener main]
bind = 127.0.0.1:{self.port}
pool = app
max_connections = {DESCRIPTORS // 2 - 200}
{tls}[pool app]
{gateways}""")]


class Haproxy(Proxy):
	name = "haproxy"

	def version(self):
		return subprocess.run([self.program, "-v"], capture_output=True, text=True).stdout.split()[2].split("-")[0]

	def output(self):
		return open(self.directory / "access.log", "wb")

	def command(self, s):
		pem = self.write("chain-and-key.pem", "".join(Path(p).read_text() for p in self.certificate))
		bind = f"127.0.0.1:{self.port}" + (f" ssl crt {pem} ssl-min-ver TLSv1.2" if s.tls else "")
		servers = "".join(f"\tserver gw{i + 1} {g} cookie gw{i + 1} check\n" for i, g in enumerate(s.gateways))
		log = ("\tlog stdout format raw local0\n", "\tlog global\n\toption httplog\n") if s.access_log else ("", "")
		return [self.program, "-db", "-f", self.write("haproxy.cfg", f"""global
	nbthread {s.workers}
	maxconn {DESCRIPTORS // 2 - 100 - len(s.gateways)}
{log[0]}defaults
	mode http
{log[1]}	timeout connect 5s
	timeout client 300s
	timeout server 300s
	timeout tunnel 1h
	option forwardfor
	http-reuse always
frontend main
	bind {bind}
	http-request set-header X-Forwarded-Proto http{"s" if s.tls else ""}
	default_backend app
backend app
	balance leastconn
	cookie STICKYD insert indirect nocache
{servers}""")]


class Nginx(Proxy):
	name = "nginx"

	def version(self):
		return subprocess.run([self.program, "-v"], capture_output=True, text=True).stderr.split("/")[1].strip()

	def command(self, s):
		tls = f"""ssl_certificate {self.certificate[0]};
	ssl_certificate_key {self.certificate[1]};
	ssl_protocols TLSv1.2 TLSv1.3;
	ssl_session_tickets on;
	ssl_session_cache off;""" if s.tls else ""
		names = [(f"gw{i + 1}", g) for i, g in enumerate(s.gateways)]
		one_each = "".join(f"upstream {n} {{ server {g}; keepalive 512; keepalive_requests 1000000000; }}\n" for n, g in names)
		by_cookie = "".join(f"{n} {n};" for n, _ in names)
		cookies = "".join(f'":{g}" "route={n}; Path=/; HttpOnly";' for n, g in names)
		return [self.program, "-p", str(self.directory), "-e", str(self.directory / "error.log"), "-c", self.write("nginx.conf", f"""
worker_processes {s.workers};
worker_rlimit_nofile {DESCRIPTORS};
daemon off;
pid {self.directory}/nginx.pid;
error_log {self.directory}/error.log crit;
events {{ worker_connections {DESCRIPTORS - 200}; }}
http {{
client_body_temp_path {self.directory}/body;
proxy_temp_path {self.directory}/proxy;
fastcgi_temp_path {self.directory}/fastcgi;
uwsgi_temp_path {self.directory}/uwsgi;
scgi_temp_path {self.directory}/scgi;
access_log {str(self.directory / "access.log") + " combined buffer=64k flush=1s" if s.access_log else "off"};
keepalive_requests 1000000000;
keepalive_timeout 300s;
client_max_body_size 0;
map_hash_bucket_size 128;
map_hash_max_size 8192;
upstream all {{ least_conn; {"".join(f"server {g};" for _, g in names)} keepalive 512; keepalive_requests 1000000000; }}
{one_each}map $cookie_route $to {{ default all; {by_cookie} }}
map "$cookie_route:$upstream_addr" $set_cookie {{ default ""; {cookies} }}
map $http_upgrade $connection_upgrade {{ default upgrade; "" ""; }}
server {{
	listen 127.0.0.1:{self.port} backlog=4096{" ssl" if s.tls else ""};
	{tls}
	location / {{
		proxy_pass http://$to;
		proxy_http_version 1.1;
		proxy_buffering off;
		proxy_request_buffering off;
		proxy_read_timeout 1h;
		proxy_set_header Host $host;
		proxy_set_header Upgrade $http_upgrade;
		proxy_set_header Connection $connection_upgrade;
		proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		proxy_set_header X-Forwarded-Proto $scheme;
		add_header Set-Cookie $set_cookie;
	}}
}}
}}
""")]


class Relay(Proxy):
	"""The floor: parses nothing, keeps nobody anywhere."""
	name = "relay"
	splices = False

	def version(self):
		return ""

	def output(self):
		return subprocess.PIPE

	def command(self, s):
		tls = ["-T", *self.certificate] if s.tls else []
		return [self.program, "-w", str(s.workers), *(["-s"] if self.splices else []), *tls, s.gateways[0].split(":")[1]]

	def find_port(self):
		self.port = int(self.process.stdout.readline())


class Splicing(Relay):
	name = "splice"
	splices = True
