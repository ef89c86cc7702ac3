# SPDX-License-Identifier: BSD-2-Clause
"""
The same bytes to our parser and to Node's HTTP server. Where the two differ we are the stricter: what we take, Node takes too and
reads as we do. The few exceptions stand in NODE_REFUSES, each with the RFC's reason.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

TOOLS = pathlib.Path(__file__).parent.parent / "tools"

GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


def line(text):
	"""A request line with what a request needs behind it."""
	return text + b"\r\nHost: a\r\n\r\n"


def field(text):
	return GET + text + b"\r\n\r\n"


def smuggle(fields, body=b"0\r\n\r\n"):
	"""A body whose end is doubtful, and the request that one of two parties would find in it."""
	return POST + fields + b"\r\n\r\n" + body + NEXT


def chunks(body):
	return CHUNKED + b"\r\n" + body + NEXT


LINES = {
	"plain": line(b"GET / HTTP/1.1"),
	"query": line(b"GET /a/b?c=d&e=%20 HTTP/1.1"),
	"printable": line(b"GET /!$&'()*+,-.;<=>@[]^_`{|}~\\\"% HTTP/1.1"),
	"dots": line(b"GET /a/../b//c HTTP/1.1"),
	"two-slashes": line(b"GET //evil/x HTTP/1.1"),
	"head": line(b"HEAD /x HTTP/1.1"),
	"put": line(b"PUT /x HTTP/1.1"),
	"delete": line(b"DELETE /x HTTP/1.1"),
	"patch": line(b"PATCH /x HTTP/1.1"),
	"trace": line(b"TRACE /x HTTP/1.1"),
	"options": line(b"OPTIONS /x HTTP/1.1"),
	"options-star": line(b"OPTIONS * HTTP/1.1"),
	"get-star": line(b"GET * HTTP/1.1"),
	"options-star-more": line(b"OPTIONS *x HTTP/1.1"),
	"m-search": line(b"M-SEARCH /x HTTP/1.1"),
	"method-unknown": line(b"BREW /x HTTP/1.1"),
	"method-small": line(b"get /x HTTP/1.1"),
	"method-bad": line(b"G@T /x HTTP/1.1"),
	"method-latin": line(b"G\xcbT /x HTTP/1.1"),
	"method-none": line(b" /x HTTP/1.1"),
	"version-1.0": b"GET / HTTP/1.0\r\n\r\n",
	"version-1.0-keep": b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
	"version-1.2": line(b"GET / HTTP/1.2"),
	"version-1.9": line(b"GET / HTTP/1.9"),
	"version-0.9": line(b"GET / HTTP/0.9"),
	"version-2.0": line(b"GET / HTTP/2.0"),
	"version-3.0": line(b"GET / HTTP/3.0"),
	"version-1.10": line(b"GET / HTTP/1.10"),
	"version-01.1": line(b"GET / HTTP/01.1"),
	"version-1": line(b"GET / HTTP/1"),
	"version-none": line(b"GET /"),
	"version-empty": line(b"GET / "),
	"version-small": line(b"GET / http/1.1"),
	"version-mixed": line(b"GET / Http/1.1"),
	"version-other": line(b"GET / HTTQ/1.1"),
	"version-comma": line(b"GET / HTTP/1,1"),
	"version-sign": line(b"GET / HTTP/+1.1"),
	"version-junk": line(b"GET / HTTP/1.1x"),
	"version-icy": line(b"GET / ICE/1.0"),
	"preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"blank-before": line(b" GET / HTTP/1.1"),
	"blank-behind": line(b"GET / HTTP/1.1 "),
	"tab-behind": line(b"GET / HTTP/1.1\t"),
	"two-blanks-first": line(b"GET  / HTTP/1.1"),
	"two-blanks-second": line(b"GET /  HTTP/1.1"),
	"tab-first": line(b"GET\t/ HTTP/1.1"),
	"tab-second": line(b"GET /\tHTTP/1.1"),
	"vertical-tab": line(b"GET\v/ HTTP/1.1"),
	"nbsp": line(b"GET\xa0/ HTTP/1.1"),
	"blank-in-target": line(b"GET /a b HTTP/1.1"),
	"fragment": line(b"GET /a#b HTTP/1.1"),
	"target-latin": line(b"GET /\xe4 HTTP/1.1"),
	"target-utf8": line(b"GET /\xc3\xa4 HTTP/1.1"),
	"target-nul": line(b"GET /\0 HTTP/1.1"),
	"target-control": line(b"GET /\x01 HTTP/1.1"),
	"target-del": line(b"GET /\x7f HTTP/1.1"),
	"target-cr": line(b"GET /\r HTTP/1.1"),
	"target-relative": line(b"GET x HTTP/1.1"),
	"target-query-only": line(b"GET ?x HTTP/1.1"),
	"absolute": line(b"GET http://a/x?y HTTP/1.1"),
	"absolute-large": line(b"GET HTTP://A/x HTTP/1.1"),
	"absolute-https": line(b"GET https://a/x HTTP/1.1"),
	"absolute-no-path": line(b"GET http://a HTTP/1.1"),
	"absolute-query": line(b"GET http://a?x HTTP/1.1"),
	"absolute-user": line(b"GET http://u:p@a/ HTTP/1.1"),
	"absolute-no-host": line(b"GET http:///x HTTP/1.1"),
	"absolute-other-host": line(b"GET http://b/x HTTP/1.1"),
	"absolute-other-scheme": line(b"GET ftp://a/x HTTP/1.1"),
	"absolute-one-slash": line(b"GET http:/a HTTP/1.1"),
	"absolute-1.0": b"GET http://a/x HTTP/1.0\r\n\r\n",
	"connect": b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n",
	"connect-path": b"CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n",
	"connect-no-port": b"CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
	"connect-absolute": b"CONNECT http://a:443/ HTTP/1.1\r\nHost: a:443\r\n\r\n",
	"empty-line-before": b"\r\n" + GET + b"\r\n",
	"empty-lines-before": b"\r\n\r\n" + GET + b"\r\n",
	"lf-before": b"\n" + GET + b"\r\n",
	"cr-before": b"\r" + GET + b"\r\n",
	"lf-ends": b"GET / HTTP/1.1\nHost: a\n\n",
	"lf-ends-line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
	"cr-ends-line": b"GET / HTTP/1.1\rHost: a\r\n\r\n",
	"cr-cr-lf": b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n",
	"tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"response": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"nothing": b"",
	"half": b"GET / HT",
	"half-head": GET,
	"long-line": b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
}

FIELDS = {
	"plain": field(b"A: b"),
	"no-blank": field(b"A:b"),
	"blanks-around": field(b"A: \t b c \t "),
	"empty": field(b"A:"),
	"blank-only": field(b"A: \t"),
	"tab-inside": field(b"A: b\tc"),
	"latin": field(b"A: b\xe4\xff\x80c"),
	"quotes": field(b'A: "b, c"; d=(e)'),
	"odd-name": field(b"!#$%&'*+-.^_`|~09azAZ: b"),
	"repeated": field(b"A: b\r\na: c\r\nA: b"),
	"blank-before-colon": field(b"A : b"),
	"tab-before-colon": field(b"A\t: b"),
	"no-name": field(b": b"),
	"no-colon": field(b"A"),
	"no-colon-blank": field(b"A b"),
	"blank-in-name": field(b"A b: c"),
	"name-paren": field(b"A(b): c"),
	"name-quote": field(b'"A": c'),
	"name-slash": field(b"A/b: c"),
	"name-brackets": field(b"[A]: c"),
	"name-latin": field(b"\xe4: c"),
	"name-nul": field(b"A\0: c"),
	"name-control": field(b"A\x01: c"),
	"name-del": field(b"A\x7f: c"),
	"folded": field(b"A: b\r\n c"),
	"folded-tab": field(b"A: b\r\n\tc"),
	"folded-empty": field(b"A: b\r\n "),
	"folded-colon": field(b"A: b\r\n C: d"),
	"folded-first": b"GET / HTTP/1.1\r\n Host: a\r\nHost: a\r\n\r\n",
	"folded-first-junk": b"GET / HTTP/1.1\r\n x\r\nHost: a\r\n\r\n",
	"value-nul": field(b"A: b\0c"),
	"value-control": field(b"A: b\x01c"),
	"value-escape": field(b"A: \x1b[31m"),
	"value-del": field(b"A: b\x7fc"),
	"value-vertical-tab": field(b"A: b\vc"),
	"value-form-feed": field(b"A: \fb"),
	"value-bare-cr": field(b"A: b\rc"),
	"value-bare-lf": field(b"A: b\nC: d"),
	"value-cr-cr-lf": field(b"A: b\r"),
	"value-cr-first": field(b"A:\rb"),
	"lf-ends-head": GET + b"\n",
	"lf-lf": GET + b"A: b\n\n",
	"cr-lf-lf": GET + b"A: b\r\n\n",
	"lf-cr-lf": GET + b"A: b\n\r\n",
	"cr-at-end": GET + b"\r",
	"cr-x": GET + b"\rx",
	"many": GET + b"A: b\r\n" * 120 + b"\r\n",
	"too-many": GET + b"A: b\r\n" * 200 + b"\r\n",
	"too-large": GET + b"A: " + b"x" * 20000 + b"\r\n\r\n",
	"host-missing": b"GET / HTTP/1.1\r\nA: b\r\n\r\n",
	"host-empty": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
	"host-twice": GET + b"Host: a\r\n\r\n",
	"host-two": GET + b"Host: b\r\n\r\n",
	"host-list": b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
	"host-blank": b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
	"host-path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
	"host-user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
	"host-ipv6": b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
	"host-ipv6-bad": b"GET / HTTP/1.1\r\nHost: [::1:80\r\n\r\n",
	"host-port-bad": b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
	"host-blank-before-colon": b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
	"host-1.0-twice": b"GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
	"connection-close": field(b"Connection: close") + NEXT,
	"connection-list": field(b"Connection: , keep-alive,, X-A\r\nX-A: b") + NEXT,
	"connection-both": field(b"Connection: keep-alive, close") + NEXT,
	"connection-bad": field(b'Connection: "close"') + NEXT,
	"connection-1.0-close": b"GET / HTTP/1.0\r\n\r\n" + NEXT,
	"upgrade-websocket": field(
		b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	),
	"upgrade-h2c": field(b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk"),
	"expect": POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc" + NEXT,
	"expect-other": POST + b"Expect: x\r\nContent-Length: 3\r\n\r\nabc" + NEXT,
	"pipelined": GET + b"\r\n" + NEXT + NEXT,
	"pipelined-empty-line": GET + b"\r\n\r\n" + NEXT,
	"pipelined-junk": GET + b"\r\n\0\0\0",
}

LENGTHS = {
	"length": POST + b"Content-Length: 3\r\n\r\nabc" + NEXT,
	"length-0": POST + b"Content-Length: 0\r\n\r\n" + NEXT,
	"length-zeros": POST + b"Content-Length: 0003\r\n\r\nabc" + NEXT,
	"length-blanks": POST + b"Content-Length: \t3 \r\n\r\nabc" + NEXT,
	"length-get": GET + b"Content-Length: 3\r\n\r\nabc" + NEXT,
	"length-short": POST + b"Content-Length: 9\r\n\r\nabc",
	"length-1.0": b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\n\r\n",
	"no-length": POST + b"\r\n" + NEXT,
	"length-name-case": POST + b"cOnTeNt-LeNgTh: 3\r\n\r\nabc" + NEXT,
	"length-empty": smuggle(b"Content-Length:"),
	"length-minus": smuggle(b"Content-Length: -5"),
	"length-plus": smuggle(b"Content-Length: +5"),
	"length-hex": smuggle(b"Content-Length: 0x5"),
	"length-octal": smuggle(b"Content-Length: 0o5"),
	"length-float": smuggle(b"Content-Length: 5.0"),
	"length-exponent": smuggle(b"Content-Length: 5e0"),
	"length-underscore": smuggle(b"Content-Length: 5_0"),
	"length-blank": smuggle(b"Content-Length: 5 0"),
	"length-tab": smuggle(b"Content-Length: 5\t0"),
	"length-letter": smuggle(b"Content-Length: 5a"),
	"length-comma": smuggle(b"Content-Length: 5,"),
	"length-list": smuggle(b"Content-Length: 5, 5"),
	"length-list-differs": smuggle(b"Content-Length: 5, 0"),
	"length-semicolon": smuggle(b"Content-Length: 5;x"),
	"length-quoted": smuggle(b'Content-Length: "5"'),
	"length-superscript": smuggle(b"Content-Length: \xb5"),
	"length-nul": smuggle(b"Content-Length: 5\0"),
	"length-twice": smuggle(b"Content-Length: 5\r\nContent-Length: 5"),
	"length-two": smuggle(b"Content-Length: 5\r\nContent-Length: 0"),
	"length-two-cases": smuggle(b"Content-Length: 5\r\ncontent-length: 0"),
	"length-blank-colon": smuggle(b"Content-Length : 5"),
	"length-folded": smuggle(b"Content-Length:\r\n 5"),
	"length-above-64": smuggle(b"Content-Length: 18446744073709551621"),
	"length-above-63": POST + b"Content-Length: 9223372036854775808\r\n\r\nabc",
	"length-huge": smuggle(b"Content-Length: 99999999999999999999999999"),
	"length-underscore-name": smuggle(b"Content_Length: 5"),
	"length-latin-name": smuggle(b"Content-Length\xa0: 5"),
	"length-nul-name": smuggle(b"\0Content-Length: 5"),
	"both": smuggle(b"Content-Length: 5\r\nTransfer-Encoding: chunked"),
	"both-turned": smuggle(b"Transfer-Encoding: chunked\r\nContent-Length: 5"),
	"both-0": smuggle(b"Content-Length: 0\r\nTransfer-Encoding: chunked"),
	"both-identity": smuggle(b"Content-Length: 5\r\nTransfer-Encoding: identity"),
	"both-hidden-blank": smuggle(b"Content-Length: 5\r\nTransfer-Encoding : chunked"),
	"both-hidden-lf": smuggle(b"Content-Length: 5\r\nX: y\nTransfer-Encoding: chunked"),
	"both-hidden-cr": smuggle(b"Content-Length: 5\r\nX: y\rTransfer-Encoding: chunked"),
	"both-hidden-fold": smuggle(b"Content-Length: 5\r\nX: y\r\n Transfer-Encoding: chunked"),
	"both-hidden-nul": smuggle(b"Content-Length: 5\r\nTransfer-Encoding\0: chunked"),
	"coding-case": smuggle(b"transfer-ENCODING: ChUnKeD"),
	"coding-tab-before": smuggle(b"Transfer-Encoding:\tchunked"),
	"coding-tab-behind": smuggle(b"Transfer-Encoding: chunked\t"),
	"coding-blanks": smuggle(b"Transfer-Encoding:  chunked  "),
	"coding-vertical-tab": smuggle(b"Transfer-Encoding: \vchunked"),
	"coding-twice": smuggle(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
	"coding-two": smuggle(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
	"coding-two-turned": smuggle(b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
	"coding-gzip": smuggle(b"Transfer-Encoding: gzip"),
	"coding-gzip-chunked": smuggle(b"Transfer-Encoding: gzip, chunked"),
	"coding-chunked-gzip": smuggle(b"Transfer-Encoding: chunked, gzip"),
	"coding-chunked-chunked": smuggle(b"Transfer-Encoding: chunked, chunked"),
	"coding-identity": smuggle(b"Transfer-Encoding: identity"),
	"coding-empty": smuggle(b"Transfer-Encoding:"),
	"coding-comma": smuggle(b"Transfer-Encoding: chunked,"),
	"coding-comma-first": smuggle(b"Transfer-Encoding: ,chunked"),
	"coding-x": smuggle(b"Transfer-Encoding: xchunked"),
	"coding-longer": smuggle(b"Transfer-Encoding: chunkedx"),
	"coding-shorter": smuggle(b"Transfer-Encoding: chunke"),
	"coding-quoted": smuggle(b'Transfer-Encoding: "chunked"'),
	"coding-parameter": smuggle(b"Transfer-Encoding: chunked;a=b"),
	"coding-latin": smuggle(b"Transfer-Encoding: chunked\xa0"),
	"coding-folded": smuggle(b"Transfer-Encoding:\r\n chunked"),
	"coding-1.0": b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.0\r\n\r\n",
	"coding-underscore-name": smuggle(b"Transfer_Encoding: chunked"),
	"coding-get": GET + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + NEXT,
}

BODIES = {
	"one": chunks(b"3\r\nabc\r\n0\r\n\r\n"),
	"two": chunks(b"3\r\nabc\r\nB\r\n\r\n012345678\r\n0\r\n\r\n"),
	"empty": chunks(b"0\r\n\r\n"),
	"hex": chunks(b"1a\r\n" + b"x" * 26 + b"\r\n1A\r\n" + b"y" * 26 + b"\r\n0\r\n\r\n"),
	"zeros": chunks(b"0003\r\nabc\r\n000\r\n\r\n"),
	"many-zeros": chunks(b"0000000000000000003\r\nabc\r\n0\r\n\r\n"),
	"large": chunks(b"ffff\r\n" + b"x" * 65535 + b"\r\n0\r\n\r\n"),
	"unfinished": CHUNKED + b"\r\n3\r\nab",
	"no-last": CHUNKED + b"\r\n3\r\nabc\r\n",
	"no-end": CHUNKED + b"\r\n3\r\nabc\r\n0\r\n",
	"size-empty": chunks(b"\r\nabc\r\n0\r\n\r\n"),
	"size-0x": chunks(b"0x3\r\nabc\r\n0\r\n\r\n"),
	"size-plus": chunks(b"+3\r\nabc\r\n0\r\n\r\n"),
	"size-minus": chunks(b"-3\r\nabc\r\n0\r\n\r\n"),
	"size-underscore": chunks(b"0_3\r\nabc\r\n0\r\n\r\n"),
	"size-letter": chunks(b"3g\r\nabc\r\n0\r\n\r\n"),
	"size-blank-before": chunks(b" 3\r\nabc\r\n0\r\n\r\n"),
	"size-blank-behind": chunks(b"3 \r\nabc\r\n0\r\n\r\n"),
	"size-tab-behind": chunks(b"3\t\r\nabc\r\n0\r\n\r\n"),
	"size-nul": chunks(b"3\0\r\nabc\r\n0\r\n\r\n"),
	"size-comma": chunks(b"3,\r\nabc\r\n0\r\n\r\n"),
	"size-overflow": chunks(b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
	"size-63": CHUNKED + b"\r\n7fffffffffffffff\r\nabc",
	"size-64": CHUNKED + b"\r\nffffffffffffffff\r\nabc",
	"size-lf": chunks(b"3\nabc\r\n0\r\n\r\n"),
	"size-cr": chunks(b"3\rabc\r\n0\r\n\r\n"),
	"size-cr-cr-lf": chunks(b"3\r\r\nabc\r\n0\r\n\r\n"),
	"data-lf": chunks(b"3\r\nabc\n0\r\n\r\n"),
	"data-cr": chunks(b"3\r\nabc\r0\r\n\r\n"),
	"data-no-end": chunks(b"3\r\nabc0\r\n\r\n"),
	"data-longer": chunks(b"3\r\nabcd\r\n0\r\n\r\n"),
	"data-shorter": chunks(b"3\r\nab\r\n0\r\n\r\n"),
	"last-lf": chunks(b"3\r\nabc\r\n0\n\r\n"),
	"last-lf-lf": chunks(b"3\r\nabc\r\n0\n\n"),
	"end-lf": chunks(b"3\r\nabc\r\n0\r\n\n"),
	"end-cr": chunks(b"3\r\nabc\r\n0\r\n\rX"),
	"end-missing": CHUNKED + b"\r\n3\r\nabc\r\n0\r\n" + NEXT,
	"ext": chunks(b"3;a\r\nabc\r\n0\r\n\r\n"),
	"ext-value": chunks(b"3;a=b;c=d\r\nabc\r\n0;e\r\n\r\n"),
	"ext-quoted": chunks(b'3;a="b c"\r\nabc\r\n0\r\n\r\n'),
	"ext-escaped": chunks(b'3;a="b\\"c"\r\nabc\r\n0\r\n\r\n'),
	"ext-quoted-semicolon": chunks(b'3;a="b;c"\r\nabc\r\n0\r\n\r\n'),
	"ext-quoted-latin": chunks(b'3;a="\xe4"\r\nabc\r\n0\r\n\r\n'),
	"ext-quoted-tab": chunks(b'3;a="\t"\r\nabc\r\n0\r\n\r\n'),
	"ext-empty": chunks(b"3;\r\nabc\r\n0\r\n\r\n"),
	"ext-empty-value": chunks(b"3;a=\r\nabc\r\n0\r\n\r\n"),
	"ext-blank": chunks(b"3 ; a\r\nabc\r\n0\r\n\r\n"),
	"ext-unquoted": chunks(b'3;a="b\r\nabc\r\n0\r\n\r\n'),
	"ext-behind-quotes": chunks(b'3;a="b"c\r\nabc\r\n0\r\n\r\n'),
	"ext-lf": chunks(b"3;a\nabc\r\n0\r\n\r\n"),
	"ext-cr": chunks(b"3;a\rabc\r\n0\r\n\r\n"),
	"ext-quoted-lf": chunks(b'3;a="\n"\r\nabc\r\n0\r\n\r\n'),
	"ext-nul": chunks(b"3;a\0\r\nabc\r\n0\r\n\r\n"),
	"ext-long": chunks(b"3;" + b"a" * 20000 + b"\r\nabc\r\n0\r\n\r\n"),
	"ext-hides-chunk": chunks(b"2;\n\r\n02\r\n0\r\n\r\n"),
	"trailer": chunks(b"3\r\nabc\r\n0\r\nX: y\r\n\r\n"),
	"trailer-two": chunks(b"0\r\nX: y\r\nZ:\r\n\r\n"),
	"trailer-length": chunks(b"0\r\nContent-Length: 5\r\n\r\n"),
	"trailer-coding": chunks(b"0\r\nTransfer-Encoding: chunked\r\n\r\n"),
	"trailer-host": chunks(b"0\r\nHost: b\r\n\r\n"),
	"trailer-no-colon": chunks(b"0\r\nX\r\n\r\n"),
	"trailer-no-name": chunks(b"0\r\n: y\r\n\r\n"),
	"trailer-blank-colon": chunks(b"0\r\nX : y\r\n\r\n"),
	"trailer-folded": chunks(b"0\r\nX: y\r\n z\r\n\r\n"),
	"trailer-lf": chunks(b"0\r\nX: y\n\r\n"),
	"trailer-bare-cr": chunks(b"0\r\nX: y\rz\r\n\r\n"),
	"trailer-nul": chunks(b"0\r\nX: \0\r\n\r\n"),
	"trailer-is-request": CHUNKED + b"\r\n0\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n",
}

CASES = {
	f"{group}-{name}": data
	for group, cases in (("line", LINES), ("field", FIELDS), ("framing", LENGTHS), ("body", BODIES))
	for name, data in cases.items()
}

METHOD = "Node knows a list of methods; to others a method is any token, which only the origin may refuse (RFC 9110, 9.1)"
MINOR = "a higher minor version is read as the highest one known (RFC 9110, 2.5)"
TRAILER = "a field that must not be in a trailer is discarded, and never reaches the gateway (RFC 9110, 6.5.1)"
NODE_REFUSES = {
	"line-method-unknown": METHOD,
	"line-method-small": METHOD,
	"line-version-1.2": MINOR,
	"line-version-1.9": MINOR,
	"framing-coding-tab-behind": "blanks and tabs around a value are no part of it (RFC 9112, 5.1); the gateway gets a line of our own",
	"body-trailer-length": TRAILER,
	"body-trailer-coding": TRAILER,
}
SINCE_NODE_20 = ("body-trailer-length",)	# the one of Debian 12 reads these as we do


def ask(command, cases):
	"""One line of JSON for each case."""
	text = "".join(data.hex() + "\n" for data in cases)
	run = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
	assert run.returncode == 0, run.stderr
	return [json.loads(answer) for answer in run.stdout.splitlines()]


@pytest.fixture(scope="module")
def answers():
	tool, node = os.environ.get("H1DUMP"), shutil.which("node")
	if not tool or not node:
		pytest.skip("needs Node, and H1DUMP to name the program that make check builds")
	ours = ask([tool], CASES.values())
	nodes = ask([node, TOOLS / "node_http.js"], CASES.values())
	assert len(ours) == len(nodes) == len(CASES)
	return {name: pair for name, pair in zip(CASES, zip(ours, nodes))}


def origin_form(target, method):
	"""Node leaves an absolute-form as it is; we take it apart."""
	apart = re.match(r"https?://[^/]*(.*)", target, re.IGNORECASE)
	if method == "CONNECT" or not apart:
		return target
	return apart[1] or "/"


def facts_of_ours(request):
	return {key: request[key] for key in ("method", "target", "fields", "body", "complete")}


def facts_of_node(request):
	facts = {key: request[key] for key in ("method", "fields", "body", "complete")}
	return facts | {"target": origin_form(request["target"], request["method"])}


REFUSED = ("bad", "too-large", "uri-too-long", "version")


def never_laxer(ours, node):
	taken, nodes = ours["requests"], node["requests"]
	# what both have taken they read alike; what we refused midway is as if it had not been there
	if ours["end"] in REFUSED and taken and not taken[-1]["complete"]:
		taken = taken[:-1]
	assert [facts_of_ours(r) for r in taken] == [facts_of_node(r) for r in nodes[: len(taken)]]
	if ours["end"] in REFUSED:
		return
	assert len(nodes) == len(taken), "Node found more requests than we did"
	if ours["end"] in ("clean", "more"):
		assert node["error"] in (None, "HPE_INVALID_EOF_STATE"), "Node refuses what we wait for the rest of"
		assert not [status for status in node["statuses"] if not status.endswith((" 200", " 100"))]


@pytest.mark.parametrize("name", [name for name in CASES if name not in NODE_REFUSES])
def test_never_laxer_than_node(answers, name):
	never_laxer(*answers[name])


@pytest.mark.parametrize("name", NODE_REFUSES)
def test_exceptions_are_needed(answers, name):
	version = subprocess.run(["node", "-p", "process.versions.node"], capture_output=True, text=True, check=True).stdout
	if name in SINCE_NODE_20 and int(version.split(".")[0]) < 20:
		never_laxer(*answers[name])
		return
	with pytest.raises(AssertionError):
		never_laxer(*answers[name])


def test_both_kinds_are_there(answers):
	"""The table would prove nothing if one side refused all, or neither anything."""
	refused = [name for name, (ours, _) in answers.items() if ours["end"] in REFUSED]
	stricter = [name for name in refused if len(answers[name][1]["requests"]) > len(answers[name][0]["requests"])]
	assert 100 < len(refused) < len(answers) - 50
	assert len(stricter) > 5
