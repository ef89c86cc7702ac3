# SPDX-License-Identifier: BSD-2-Clause
"""Certificates of a small authority of our own, made by openssl."""

import ssl
import subprocess


def openssl(*arguments):
	subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
	def __init__(self, directory):
		self.directory = directory
		self.file = directory / "ca.pem"
		self.key = directory / "ca.key"
		openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "7",
			"-subj", "/CN=test authority", "-keyout", self.key, "-out", self.file)

	def issue(self, *names, days=7):
		"""The two words of the key `certificate`: a chain and its key. A name may be an IP address too."""
		base = self.directory / names[0].replace("*", "_")
		alternatives = ",".join(("IP:" if n[0].isdigit() else "DNS:") + n for n in names)
		request, extensions, chain, key = (base.with_suffix(s) for s in (".csr", ".ext", ".pem", ".key"))
		extensions.write_text(f"subjectAltName={alternatives}\n")
		openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={names[0]}",
			"-keyout", key, "-out", request)
		openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self.key, "-CAcreateserial", "-days", days,
			"-extfile", extensions, "-out", chain)
		return f"{chain} {key}"

	def server(self, *names, days=7):
		"""For gateways that show such a certificate."""
		context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
		context.load_cert_chain(*self.issue(*names, days=days).split())
		return context

	def context(self, alpn=("http/1.1",)):
		"""For clients that trust this authority."""
		context = ssl.create_default_context(cafile=self.file)
		context.set_alpn_protocols(list(alpn))
		return context
