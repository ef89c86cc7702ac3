// SPDX-License-Identifier: BSD-2-Clause
// Short sessions of clients made of the `ws` library, one after the other: node visits.js JSON, which is a list of {url, protocols, options};
// the options are the library's. Prints what each saw as JSON: gateway, Set-Cookie, subprotocol.
'use strict';
const WebSocket = require('ws');

const visit = ({ url, protocols, options }) => new Promise((done, fail) => {
	const seen = {};
	const ws = new WebSocket(url, protocols, options);
	ws.on('upgrade', (response) => { seen.setCookie = response.headers['set-cookie'] || []; });
	ws.on('message', (data) => {
		seen.gateway = data.toString();
		ws.close(1000);
	});
	ws.on('close', () => done({ ...seen, protocol: ws.protocol }));
	ws.on('error', fail);
});

(async () => {
	const seen = [];
	for (const one of JSON.parse(process.argv[2]))
		seen.push(await visit(one));
	console.log(JSON.stringify(seen));
})();
