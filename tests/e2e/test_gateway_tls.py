# SPDX-License-Identifier: BSD-2-Clause
"""TLS towards gateways: whose certificate is good, what is said of one that is not, and that nothing else changes."""

import json
import os
import shutil
import socket
import ssl
import subprocess

import pytest

from harness.activation import free_port
from harness.certs import Authority
from harness.daemon import run
from harness.gateways import who
from harness.wait import until

needs_nginx = pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is missing")


def tls(lab, **more):
	return {"gateway_tls": "yes", "gateway_ca": lab.authority.file, **more}


def posted(client, n):
	"""What the gateway says that it got."""
	client.request(method="POST", body=os.urandom(n))
	return json.loads(client.response().body)["length"]


def stranger(lab):
	"""An authority that nobody was told of."""
	directory = lab.directory / "stranger"
	directory.mkdir(exist_ok=True)
	return Authority(directory)


class Nginx:
	"""TLS before a plain gateway, WebSockets and all."""

	def __init__(self, directory, certificate, upstream):
		self.port, self.directory = free_port(), directory / "nginx"
		self.directory.mkdir()
		chain, key = certificate.split()
		(self.directory / "nginx.conf").write_text(f"""
			daemon off; pid {self.directory}/pid; error_log {self.directory}/error.log notice; worker_processes 1;
			events {{ }}
			http {{
				access_log {self.directory}/access.log combined;
				client_body_temp_path {self.directory}/body; proxy_temp_path {self.directory}/proxy;
				fastcgi_temp_path {self.directory}/f; uwsgi_temp_path {self.directory}/u; scgi_temp_path {self.directory}/s;
				server {{
					listen 127.0.0.1:{self.port} ssl; ssl_certificate {chain}; ssl_certificate_key {key};
					add_header X-Resumed $ssl_session_reused; add_header X-Name $ssl_server_name;
					location / {{
						proxy_pass http://{upstream}; proxy_http_version 1.1; proxy_request_buffering off;
						proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;
						client_max_body_size 0;
					}}
				}}
			}}""")
		self.process = subprocess.Popen(["nginx", "-p", self.directory, "-c", "nginx.conf"], stderr=subprocess.DEVNULL)
		until(self.is_open, "nginx to listen")

	def is_open(self):
		with socket.socket() as s:
			return s.connect_ex(("127.0.0.1", self.port)) == 0

	@property
	def line(self):
		return f"gw1 127.0.0.1:{self.port}"

	def stop(self):
		self.process.terminate()
		self.process.wait()


# who is believed


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_gateway_is_known_by_its_address(lab, version):
	context = lab.authority.server("127.0.0.1")
	context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
	context.set_alpn_protocols(["http/1.1", "h2"])
	gateway = lab.http(tls=context)
	daemon = lab.start([gateway], pool=tls(lab))
	with lab.client(daemon) as c:
		for n in range(3):
			assert c.get(f"/{n}").status == 200
		assert posted(c, 300000) == 300000
	assert len(gateway.sides) == 1, "the connection was kept"
	sock = gateway.sides[0].sock
	assert sock.version() == version.replace("_", ".") and sock.selected_alpn_protocol() == "http/1.1"


def test_a_gateway_is_known_by_its_name(lab):
	asked = []
	context = lab.authority.server("localhost")
	context.sni_callback = lambda sock, name, context: asked.append(name)
	gateway = lab.http(tls=context)
	daemon = lab.start(pool={"gateway": f"gw1 localhost:{gateway.port}", **tls(lab)})
	assert lab.get(daemon).status == 200 and asked == ["localhost"]


@pytest.mark.parametrize("certificate", ["gw.game.test", "*.game.test"])
def test_a_gateway_is_known_by_the_name_that_is_configured(lab, certificate):
	asked = []
	context = lab.authority.server(certificate)
	context.sni_callback = lambda sock, name, context: asked.append(name)
	gateway = lab.http(tls=context)
	daemon = lab.start([gateway], pool=tls(lab, gateway_sni="gw.game.test"))
	assert lab.get(daemon).status == 200 and asked == ["gw.game.test"]


def test_no_name_is_asked_for_where_there_is_but_an_address(lab):
	asked = []
	context = lab.authority.server("127.0.0.1")
	context.sni_callback = lambda sock, name, context: asked.append(name)
	daemon = lab.start([lab.http(tls=context)], pool=tls(lab))
	assert lab.get(daemon).status == 200 and asked == [None]


def test_whom_the_system_trusts(lab):
	gateways = [lab.http(tls=lab.authority.server("127.0.0.1"))]
	daemon = lab.start(gateways, env={"SSL_CERT_FILE": str(lab.authority.file), "SSL_CERT_DIR": "/nowhere"},
		pool={"gateway_tls": "yes"})
	assert lab.get(daemon).status == 200


def test_a_certificate_of_its_own(lab):
	"""Signed by itself, or by whom nobody knows: in gateway_ca it counts as it is."""
	authority = stranger(lab)
	gateway = lab.http(tls=authority.server("127.0.0.1"))
	daemon = lab.start([gateway], pool=tls(lab, gateway_ca=authority.directory / "127.0.0.pem"))
	assert lab.get(daemon).status == 200


MISTAKES = {
	"a stranger's": (lambda lab: stranger(lab).server("127.0.0.1"), "unable to get local issuer certificate"),
	"for another name": (lambda lab: lab.authority.server("other.test"), "IP address mismatch"),
	"for another address": (lambda lab: lab.authority.server("127.0.0.2"), "IP address mismatch"),
	"expired": (lambda lab: lab.authority.server("127.0.0.1", days=-1), "certificate has expired"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_who_is_not_believed(lab, mistake):
	make, words = MISTAKES[mistake]
	gateway = lab.http(tls=make(lab))
	daemon = lab.start([gateway], pool=tls(lab))
	assert lab.get(daemon).status == 502
	daemon.wait_log(rf"gateway gw1: connect failed: TLS: certificate: {words}")
	assert gateway.requests == [], "it has not seen a byte of the request"


def test_who_is_not_believed_by_name(lab):
	gateway = lab.http(tls=lab.authority.server("other.test"))
	daemon = lab.start([gateway], pool=tls(lab, gateway_sni="gw.game.test"))
	assert lab.get(daemon).status == 502
	daemon.wait_log("gateway gw1: connect failed: TLS: the certificate is not for gw.game.test")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_everybody_is_believed_where_nobody_verifies(lab, mistake):
	daemon = lab.start([lab.http(tls=MISTAKES[mistake][0](lab))], pool={"gateway_tls": "yes", "gateway_verify": "no"})
	assert lab.get(daemon).status == 200
	assert "pool app: gateway_verify is no" in daemon.log


def test_a_good_one_serves_where_another_is_not_believed(lab):
	bad, good = lab.http("bad", tls=MISTAKES["expired"][0](lab)), lab.http("good", tls=lab.authority.server("127.0.0.1"))
	daemon = lab.start([bad, good], pool=tls(lab, balance="roundrobin"))
	assert [who(lab.get(daemon)) for _ in range(4)] == ["good"] * 4


# what else can go wrong


@pytest.mark.parametrize("how, words", [
	("plain", "TLS: "), ("closes", "Connection reset by peer"), ("nothing", "no answer in time"), ("old", "TLS: .*version"),
])
def test_handshakes_that_come_to_nothing(lab, how, words):
	def handler(side):
		if how == "plain":
			side.read_some()
			side.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		elif how == "nothing":
			side.read_to_end()
		elif how == "closes":
			side.read_some()

	context = None
	if how == "old":
		context = lab.authority.server("127.0.0.1")
		context.set_ciphers("ALL:@SECLEVEL=0")
		context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
	daemon = lab.start([lab.scripted(handler, tls=context)], pool=tls(lab, connect_timeout="300ms"))
	assert lab.get(daemon).status in (502, 504)
	daemon.wait_log(f"gateway gw1: connect failed: {words}")


def test_files_that_do_not_serve(lab):
	empty = lab.directory / "empty.pem"
	empty.write_text("")
	for file, words in ((lab.directory / "nosuch.pem", "No such file"), (empty, "no certificate")):
		ini = lab.ini(f"[listener a]\nbind = 127.0.0.1:0\npool = app\n[pool app]\ngateway = gw1 127.0.0.1:1\n"
			f"gateway_tls = yes\ngateway_ca = {file}\n", "bad")
		out = run("-t", "-c", str(ini))
		assert out.returncode == 1 and f"{ini}:7: [pool app] gateway_ca: {file}: " in out.stderr
		assert words in out.stderr.lower() or words in out.stderr


# sessions


@pytest.mark.parametrize("front", [False, True])
def test_websockets(lab, front):
	"""With TLS behind, and on both sides."""
	gateway = lab.library(ssl=lab.authority.server("127.0.0.1"))
	listener = {"tls": "yes", "certificate": [lab.authority.issue("game.test")]} if front else {}
	daemon = lab.start([gateway], pool=tls(lab), listener=listener)
	how = {"tls": lab.authority.context(), "server_name": "game.test"} if front else {}
	sessions = [lab.session(daemon, **how) for _ in range(10)]
	for n, c in enumerate(sessions):
		assert c.read_text() == "gw1"
		for size in (1, 70000, 1000000):
			c.send_text("x" * size + str(n))
			assert c.read_text() == "x" * size + str(n)
	for c in sessions:
		c.send_text("close")
		assert c.read_frame().code == 4001
	assert {r["close"] for r in daemon.records(10)} == {4001}


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_sessions_of_tls_are_resumed(lab, version):
	context = lab.authority.server("127.0.0.1")
	context.maximum_version = ssl.TLSVersion[version]
	gateway = lab.ws(tls=context)
	daemon = lab.start([gateway], pool=tls(lab), globals={"workers": 1})
	for n in range(5):
		c = lab.session(daemon)
		assert c.echo(f"hello {n}") == f"hello {n}"
	until(lambda: [s.sock.session_reused for s in gateway.sides] == [False] + [True] * 4, "resumed sessions")


def test_a_session_is_not_resumed_under_other_rules(lab):
	"""A reload that believes somebody else: what was believed before does not count."""
	gateway = lab.ws(tls=lab.authority.server("127.0.0.1"))
	daemon = lab.start([gateway], pool=tls(lab), globals={"workers": 1})
	first = lab.session(daemon)
	assert first.echo("hello") == "hello"
	other = stranger(lab)
	assert lab.reload(daemon, [gateway], pool=tls(lab, gateway_ca=other.file), globals={"workers": 1})
	assert lab.get(daemon).status == 502
	daemon.wait_log("connect failed: TLS: certificate: unable to get local issuer")
	assert first.echo("still here") == "still here"


@needs_nginx
def test_nginx(lab):
	behind = lab.http()
	nginx = Nginx(lab.directory, lab.authority.issue("gw.game.test"), behind.address)
	lab.others.append(nginx)
	daemon = lab.start([nginx], pool=tls(lab, gateway_sni="gw.game.test", check="http", check_path="/"),
		globals={"workers": 1})
	answer = lab.get(daemon)
	assert answer.status == 200 and answer.get("x-name") == "gw.game.test"
	with lab.client(daemon) as c:
		assert posted(c, 5000000) == 5000000
	assert "is down" not in daemon.log


@needs_nginx
def test_websockets_through_nginx(lab):
	behind = lab.library()
	nginx = Nginx(lab.directory, lab.authority.issue("gw.game.test"), f"127.0.0.1:{behind.port}")
	lab.others.append(nginx)
	daemon = lab.start([nginx], pool=tls(lab, gateway_sni="gw.game.test", check="websocket", check_path="/x"),
		globals={"workers": 1})
	for _ in range(3):
		c = lab.session(daemon)
		assert c.read_text() == "gw1"
		c.send_text("x" * 1000000)
		assert c.read_text() == "x" * 1000000
		c.finish()
	assert "is down" not in daemon.log


@pytest.mark.threads
def test_reloads_under_traffic(lab):
	"""Each has a context of its own; sessions and kept connections go on, and nobody notices."""
	gateway = lab.library(ssl=lab.authority.server("127.0.0.1"))
	daemon = lab.start([gateway], pool=tls(lab, check="websocket", check_path="/", check_interval="50ms"))
	sessions = [lab.session(daemon) for _ in range(8)]
	for c in sessions:
		assert c.read_text() == "gw1"
	for n in range(6):
		assert lab.reload(daemon, [gateway], pool=tls(lab, check="websocket", check_path="/", retries=n))
		sessions += [lab.session(daemon) for _ in range(2)]
		for c in sessions[-2:]:
			assert c.read_text() == "gw1"
		for c in sessions:
			assert c.echo(f"{n}") == f"{n}"
	for c in sessions:
		c.finish()
	assert {r["close"] for r in daemon.records(20)} == {1000}
