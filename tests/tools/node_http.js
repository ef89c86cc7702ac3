// SPDX-License-Identifier: BSD-2-Clause
// What Node's HTTP server makes of a client's bytes: reads and writes the same lines as h1dump.
"use strict";
const http = require("http");
const net = require("net");
const readline = require("readline");

// whose connection this is, by the client's port
const connections = new Map();

function take(request) {
	const seen = {
		method: request.method,
		target: request.url,
		version: request.httpVersion,
		fields: [],
		body: "",
		complete: false,
	};
	for (let i = 0; i < request.rawHeaders.length; i += 2)
		seen.fields.push([request.rawHeaders[i], request.rawHeaders[i + 1]]);
	connections.get(request.socket.remotePort).requests.push(seen);
	return seen;
}

function onRequest(request, response) {
	const seen = take(request);
	request.on("data", (data) => (seen.body += data.toString("latin1")));
	request.on("error", () => {});
	request.on("end", () => {
		seen.complete = request.complete;
		response.end();
	});
}

const server = http.createServer({ insecureHTTPParser: false, maxHeaderSize: 16384, keepAliveTimeout: 1000 }, onRequest);
server.httpAllowHalfOpen = true;
server.on("checkExpectation", onRequest);
server.on("connect", (request, socket) => {
	take(request).complete = true;
	socket.destroy();
});
server.on("clientError", (error, socket) => {
	const connection = connections.get(socket.remotePort);
	if (connection && !connection.error)
		connection.error = error.code || String(error);
	socket.destroy();
});

function feed(bytes) {
	return new Promise((resolve) => {
		const connection = { requests: [], error: null, answer: "" };
		const socket = net.connect(server.address().port, "127.0.0.1", () => {
			connections.set(socket.localPort, connection);
			socket.end(bytes);
		});
		socket.on("data", (data) => (connection.answer += data.toString("latin1")));
		socket.on("error", () => {});
		socket.on("close", () => {
			connection.statuses = connection.answer.match(/^HTTP\/1\.1 \d{3}/gm) || [];
			delete connection.answer;
			resolve(connection);
		});
	});
}

server.listen(0, "127.0.0.1", async () => {
	for await (const line of readline.createInterface({ input: process.stdin }))
		console.log(JSON.stringify(await feed(Buffer.from(line, "hex"))));
	server.close();
	server.closeAllConnections();
});
