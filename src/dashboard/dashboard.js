/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dashboard.js - fills index.html from the JSON API of the daemon that serves it, every two seconds.
 *
 * What is on the page is changed in place and only where it differs, so that focus, selection and scrolling stay,
 * with a thousand gateways too. All text becomes text nodes; nothing that the server says is ever taken for markup.
 */

const EVERY_MS = 2000;
const PATIENCE_MS = 5000;		/* for one answer */
const SAID_MS = 10000;
const EVENTS_SHOWN = 200;
const TREND_PER_GATEWAY_MS = 20;	/* history has two lists of 300 for each: of many it is asked less often */
const SPARK_POINTS = 100;

/* ---- numbers as words ---- */

const grouped = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

const whole = n => n == null ? '–' : grouped.format(n);
const rate = n => n == null ? '–' : n < 100 ? short.format(n) : whole(n);
const plural = (n, noun) => `${whole(n)} ${noun}${n === 1 ? '' : 's'}`;

/* n with the largest of the units, each a thousand times the one before, that leaves something before the point. */
function scaled(n, units) {
	if (n == null)
		return ['–', ''];
	let i = 0;
	while (i + 1 < units.length && n >= 999.5) {
		n /= 1000;
		i++;
	}
	return [short.format(n), units[i]];
}

const bytes = n => scaled(n, ['B', 'kB', 'MB', 'GB', 'TB']);
const micro = n => scaled(n, ['µs', 'ms', 's']);

function span(s) {
	const days = Math.floor(s / 86400), hours = Math.floor(s / 3600) % 24, minutes = Math.floor(s / 60) % 60;
	const parts = [[days, 'd'], [hours, 'h'], [minutes, 'min'], [s % 60, 's']];
	const first = parts.findIndex(p => p[0] > 0);
	return first < 0 ? '0 s' : parts.slice(first, first + 2).map(p => p.join(' ')).join(' ');
}

/* The log's clock: UTC, and the day where it is another than today. */
function clock(at, today) {
	return at.slice(0, 10) === today ? at.slice(11, 19) : `${at.slice(5, 10)} ${at.slice(11, 19)}`;
}

const utc = date => `${date.toISOString().slice(11, 19)} UTC`;

/* ---- the page ---- */

const byId = id => document.getElementById(id);
const partsOf = root => Object.fromEntries([...root.querySelectorAll('[data-part]')].map(e => [e.dataset.part, e]));

function put(node, text) {
	text = String(text ?? '');
	if (node.textContent !== text)
		node.textContent = text;
}

function attribute(node, name, value) {
	if (node.getAttribute(name) !== value)
		node.setAttribute(name, value);
}

function show(node, is) {
	if (node.hidden === is)
		node.hidden = !is;
}

/* As width of a bar. A style's own properties may be set under the policy, a style attribute may not. */
function fill(node, part) {
	const width = `${(100 * part).toFixed(2)}%`;
	if (node.style.getPropertyValue('--part') !== width)
		node.style.setProperty('--part', width);
}

function make(name, text, data) {
	const node = document.createElement(name);
	node.textContent = text ?? '';
	Object.assign(node.dataset, data);
	return node;
}

function drawn(name, type) {
	const node = document.createElementNS('http://www.w3.org/2000/svg', name);
	if (type)
		node.setAttribute('class', type);
	return node;
}

const cloned = id => byId(id).content.firstElementChild.cloneNode(true);

/* Keeps kept (a Map) and the children of parent like list: what is new is made, what is gone removed, and only what
 * stands in the wrong place is moved, since that would take its focus. */
function keep(kept, parent, list, key, create) {
	const keys = new Set(list.map(key));
	for (const [k, entry] of kept)
		if (!keys.has(k)) {
			entry.node.remove();
			kept.delete(k);
		}
	let next = parent.firstElementChild;
	for (const item of list) {
		const k = key(item);
		if (!kept.has(k))
			kept.set(k, create(item));
		const { node } = kept.get(k);
		if (node === next)
			next = next.nextElementSibling;
		else
			parent.insertBefore(node, next);
	}
}

const page = partsOf(document);

/* ---- what is told ---- */

let saidTimer;

/* For who listens instead of looking. */
const announce = text => put(byId('announce'), text);

function notice(id, text) {
	put(byId(id).querySelector('p'), text);
	byId(id).hidden = false;
}

function say(text) {
	byId('refused').hidden = true;
	notice('said', text);
	announce(text);
	clearTimeout(saidTimer);
	saidTimer = setTimeout(() => byId('said').hidden = true, SAID_MS);
}

function refuse(text) {
	byId('said').hidden = true;
	notice('refused', text);
}

for (const button of document.querySelectorAll('.notice button'))
	button.addEventListener('click', () => button.parentElement.hidden = true);

/* ---- dialogs ---- */

/* Whether it was agreed to. Esc and Cancel do not. */
function agreed(dialog) {
	return new Promise(resolve => {
		dialog.returnValue = '';
		dialog.addEventListener('close', () => resolve(dialog.returnValue === 'go'), { once: true });
		dialog.showModal();
	});
}

for (const button of document.querySelectorAll('dialog button[value=cancel]'))
	button.addEventListener('click', () => button.closest('dialog').close());

/* ---- the token ---- */

const KEPT_AS = 'stickyd-token';
const lock = byId('lock');

const token = () => sessionStorage.getItem(KEPT_AS);

function keepToken(text) {
	if (text)
		sessionStorage.setItem(KEPT_AS, text);
	else
		sessionStorage.removeItem(KEPT_AS);
	lock.hidden = !text;
}

async function askToken(wrong) {
	const dialog = byId('token'), input = dialog.querySelector('input');
	input.value = '';
	put(page.wrong, wrong);
	const good = await agreed(dialog) && input.value.trim();
	input.value = '';
	keepToken(good);
	return good;
}

lock.addEventListener('click', () => {
	keepToken(null);
	say('The token is forgotten: the next change asks for it again.');
});

/* ---- asking the daemon ---- */

class Refused extends Error {}

/* Where reading needs the token too, the browser has asked for it (Basic) when it loaded the page, and sends it by
 * itself. Elsewhere it is kept from that: at a 401 it would ask in a window of its own, in place of our dialog. */
let credentials = 'omit';

/* The address of this page without a user and a password that may have been typed into it: fetch refuses those. */
const here = location.origin + location.pathname;

async function send(method, target) {
	const bearer = token();
	const response = await fetch(new URL(target, here), {
		method,
		cache: 'no-store',
		credentials: bearer ? 'omit' : credentials,
		headers: bearer ? { Authorization: `Bearer ${bearer}` } : {},
		signal: AbortSignal.timeout(PATIENCE_MS),
	});
	if (response.status === 401 && bearer)
		keepToken(null);
	return { response, bearer };
}

async function result(response) {
	const answer = await response.json().catch(() => ({}));
	if (!response.ok)
		throw new Refused(answer.error ?? `The daemon answers ${response.status}.`);
	return answer;
}

async function get(target) {
	let { response, bearer } = await send('GET', target);
	if (response.status === 401 && (bearer || credentials === 'omit')) {
		if (!bearer)
			credentials = 'same-origin';
		({ response } = await send('GET', target));
	}
	return result(response);
}

/* null: the operator has thought better of it. */
async function post(target) {
	let { response, bearer } = await send('POST', target);
	while (response.status === 401) {
		if (!await askToken(bearer ? 'The daemon refused this token.' : ''))
			return null;
		({ response, bearer } = await send('POST', target));
	}
	return result(response);
}

/* ---- graphs ---- */

/* Runs of known values as [x, y] on a grid of width by height; what is not known (before the start) is a gap. */
function runs(values, width, height, top, samples) {
	const all = [], step = width / Math.max(1, samples - 1);
	let run = null;
	values.forEach((value, i) => {
		if (value == null) {
			run = null;
			return;
		}
		if (!run)
			all.push(run = []);
		const y = height - 1 - (height - 3) * Math.min(1, value / top);
		run.push([(samples - values.length + i) * step, y]);
	});
	return all;
}

const points = run => run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join('L');

function lineOf(all) {
	return all.map(run => `M${points(run)}`).join('');
}

function areaOf(all, height) {
	const ground = ([x]) => `${x.toFixed(1)} ${height}`;
	return all.map(run => `M${ground(run[0])}L${points(run)}L${ground(run.at(-1))}Z`).join('');
}

const highest = lists => Math.max(0, ...lists.map(l => l.reduce((a, b) => Math.max(a, b ?? 0), 0)));
const lowest = list => list.reduce((a, b) => b == null ? a : Math.min(a, b), Infinity);
const spoken = ([n, unit]) => !unit || unit[0] === '/' ? n + unit : `${n} ${unit}`;

/* ---- tiles ---- */

const perSecond = n => [rate(n), '/s'];
const bytesPerSecond = n => {
	const [value, unit] = bytes(n);
	return [value, `${unit}/s`];
};
const last = list => list?.at(-1);

/* The first of the series is the one that counts; a second stands beside it under the name second. */
const TILES = [
	{
		title: 'Sessions', series: ['sessions'], words: n => [whole(n), ''],
		now: s => [whole(s.sessions), 'open'],
	}, {
		title: 'New connections', series: ['connections_s'], words: perSecond,
		now: s => perSecond(s.rates?.connections_s),
	}, {
		title: 'Requests', series: ['requests_s', 'errors_s'], second: 'errors', words: perSecond,
		now: s => perSecond(s.rates?.requests_s),
	}, {
		title: 'Traffic in', series: ['bytes_in_s', 'bytes_out_s'], second: 'out', words: bytesPerSecond,
		now: s => bytesPerSecond(s.rates?.bytes_in_s),
	}, {
		title: 'Event-loop lag', series: ['lag_max_us'], words: micro,
		now: () => micro(last(trend?.series.lag_max_us)),
	},
];

function makeTile(tile) {
	const node = cloned('tile-template');
	tile.parts = partsOf(node);
	tile.svg = node.querySelector('svg');
	tile.area = drawn('path', 'area');
	tile.lines = tile.series.map((_, i) => drawn('path', i ? 'second' : ''));
	tile.cursor = drawn('line');
	tile.svg.append(tile.area, ...tile.lines, tile.cursor);
	tile.svg.addEventListener('pointermove', e => pointAt(tile, e));
	tile.svg.addEventListener('pointerleave', () => pointAt(tile, null));
	put(tile.parts.title, tile.title);
	byId('tiles').append(node);
}

/* All graphs show the same moment: what happened elsewhere at that time? */
let pointed = null;

function pointAt(tile, e) {
	const box = tile.svg.getBoundingClientRect();
	pointed = e && Math.max(0, Math.min(1, (e.clientX - box.left) / box.width));
	for (const each of TILES)
		showFoot(each);
}

function showFoot(tile) {
	const values = tile.values?.[0] ?? [], lines = tile.values ?? [];
	if (pointed !== null && values.length) {
		const ago = Math.round((1 - pointed) * (trend.samples - 1));
		const at = new Date(Date.parse(trend.until) - ago * trend.step_s * 1000).toISOString();
		const then = lines.map(l => spoken(tile.words(l.at(-1 - ago))));
		put(tile.parts.foot, `${at.slice(11, 19)}: ${then.join(`, ${tile.second} `)}`);
		for (const x of ['x1', 'x2'])
			tile.cursor.setAttribute(x, pointed * 300);
		tile.cursor.setAttribute('y2', 40);
		return;
	}
	for (const x of ['x1', 'x2'])
		tile.cursor.setAttribute(x, -9);
	const second = tile.second ? `${tile.second} ${spoken(tile.words(last(lines[1])))} · ` : '';
	put(tile.parts.foot, values.length ? `${second}peak ${spoken(tile.words(highest([values])))}` : '');
}

/* What there is to see, for who can't. */
function labelOf({ title, values, words }) {
	const low = lowest(values[0]), say = n => spoken(words(n));
	if (low === Infinity)
		return `${title}: nothing is known yet`;
	return `${title} over ${span(trend.samples * trend.step_s)}: now ${say(last(values[0]))}, lowest ${
		say(low)}, highest ${say(highest(values))}`;
}

function showTile(tile, status) {
	const [value, unit] = tile.now(status);
	put(tile.parts.value, value);
	put(tile.parts.unit, unit);
	if (!trend || tile.drawn === trend)
		return;
	tile.drawn = trend;
	tile.values = tile.series.map(name => trend.series[name] ?? []);
	const top = highest(tile.values) * 1.05 || 1;
	tile.lines.forEach((line, i) => {
		const all = runs(tile.values[i], 300, 40, top, trend.samples);
		line.setAttribute('d', lineOf(all));
		if (i === 0)
			tile.area.setAttribute('d', areaOf(all, 40));
	});
	attribute(tile.svg, 'aria-label', labelOf(tile));
	showFoot(tile);
}

/* ---- the process ---- */

function showReload(reloads, today) {
	const done = reloads?.last;
	put(page.reload, done ? `${clock(done.at, today)}${done.good ? '' : ', refused'}` : 'at the start');
	show(byId('reload'), done ? !done.good : false);
	if (!done || done.good)
		return;
	put(page['reload-at'], done.at_words ?? '');
	const list = done.mistakes ?? [];
	if (list.join() !== [...page.mistakes.children].map(e => e.textContent).join())
		page.mistakes.replaceChildren(...list.map(m => make('li', m)));
}

function showStatus(s) {
	document.body.dataset.state = s.state;
	put(page.version, s.version);
	put(page.state, s.draining ? `${s.state}, draining` : s.state);
	put(page.uptime, span(s.uptime_s));
	put(page.pid, s.pid);
	put(page.memory, spoken(bytes(s.memory_bytes)));
	put(page.keys, whole(s.table?.keys));
	showReload(s.reloads, new Date().toISOString().slice(0, 10));
	for (const tile of TILES)
		showTile(tile, s);
	showWorkers(s.workers_list ?? []);
}

const workers = new Map();

function makeWorker() {
	const node = document.createElement('tr');
	node.append(Object.assign(make('th'), { scope: 'row' }), ...Array.from({ length: 6 }, () => make('td')));
	return { node };
}

function showWorkers(list) {
	keep(workers, byId('workers'), list, w => w.number, makeWorker);
	for (const w of list) {
		const lags = ['p50_us', 'p99_us', 'p999_us', 'max_us'].map(p => spoken(micro(w.lag?.[p])));
		const texts = [w.number, whole(w.sessions), whole(w.connections), ...lags];
		texts.forEach((text, i) => put(workers.get(w.number).node.children[i], text));
	}
}

/* ---- pools and gateways ---- */

const STATES = ['up', 'full', 'draining', 'down', 'gone'];
const OUTCOMES = ['hit', 'new', 'reassigned', 'invalid', 'rejected'];

const pools = new Map();
const entryOf = new WeakMap();		/* of a row */
const keyOf = g => `${g.pool}/${g.name}`;
/* Another may have the name of one that is gone. */
const rowOf = g => g.state === 'gone' ? `${g.name} at ${g.address}` : g.name;

function makePool(pool) {
	const node = cloned('pool-template');
	node.querySelector('table').setAttribute('aria-label', `Gateways of pool ${pool.name}`);
	return {
		node, parts: partsOf(node), rows: new Map(),
		stack: [...node.querySelectorAll('.stack i')], body: node.querySelector('tbody'),
	};
}

function makeGateway(g) {
	const node = cloned('gateway-template');
	const entry = {
		node, parts: partsOf(node), use: node.querySelector('use'), weight: node.querySelector('.weight'),
		meter: node.querySelector('.meter'), spark: node.querySelector('.spark'),
		buttons: Object.fromEntries([...node.querySelectorAll('.acts button')].map(b => [b.value, b])),
		area: drawn('path', 'area'), line: drawn('path'),
	};
	entry.spark.append(entry.area, entry.line);
	attribute(entry.weight, 'aria-label', `Weight of ${g.name}`);
	for (const [what, button] of Object.entries(entry.buttons))
		attribute(button, 'aria-label', `${what[0].toUpperCase()}${what.slice(1)} ${g.name}`);
	entryOf.set(node, entry);
	return entry;
}

function showPool(entry, pool) {
	const { parts } = entry, affinity = pool.affinity ?? {};
	const all = OUTCOMES.reduce((sum, o) => sum + (affinity[o] ?? 0), 0);
	put(parts.name, pool.name);
	put(parts.balance, pool.balance);
	put(parts.up, `${whole(pool.up)} of ${whole(pool.gateways)}`);
	put(parts.sessions, whole(pool.sessions));
	show(parts.moving, Boolean(pool.rebalancing));
	if (pool.rebalancing)
		put(parts.moving, `rebalancing at ${pool.rebalancing.rate}/s, ${whole(pool.rebalancing.left)} left`);
	OUTCOMES.forEach((outcome, i) => {
		put(parts[outcome], whole(affinity[outcome]));
		fill(entry.stack[i], all ? (affinity[outcome] ?? 0) / all : 0);
	});
}

/* Of a drain: until when, and what it still has to do. */
function dueOf(g) {
	if (!g.deadline)
		return g.state === 'draining' ? 'no deadline' : '';
	return `deadline ${g.deadline_words}${g.closing ? `, ${whole(g.closing)} still to close` : ''}`;
}

function showCheck({ parts }, check) {
	const verdict = check?.good == null ? 'not yet' : check.good ? 'ok' : 'failed';
	const about = check?.good ? spoken(micro(check.took_us)) : check?.what;
	put(parts.verdict, check ? `${check.kind} ${verdict}` : 'none');
	attribute(parts.verdict, 'data-good', String(check?.good ?? true));
	put(parts.checked, check?.good == null ? '' : [about, check.at_words].filter(Boolean).join(' · '));
}

/* What the operator is typing stays. */
function showWeight({ weight }, value) {
	if (weight.dataset.shown === undefined || weight.value === weight.dataset.shown)
		weight.value = value;
	weight.dataset.shown = value;
}

function showSessions({ parts, meter }, g) {
	const part = g.max_sessions ? Math.min(1, g.sessions / g.max_sessions) : 0;
	put(parts.sessions, whole(g.sessions));
	put(parts.max, g.max_sessions ? ` of ${whole(g.max_sessions)}` : '');
	show(meter, Boolean(g.max_sessions));
	fill(meter, part);
	meter.classList.toggle('high', part > 0.9);
}

function showGateway(entry, g) {
	const { node, parts, buttons } = entry;
	entry.gateway = g;
	attribute(node, 'data-state', g.state);
	attribute(entry.use, 'href', `#shape-${STATES.includes(g.state) ? g.state : 'gone'}`);
	put(parts.name, g.name);
	show(parts.backup, Boolean(g.backup));
	put(parts.address, g.address);
	put(parts.state, g.state);
	put(parts.why, g.why ?? '');
	put(parts.since, g.since_words ? `${g.why ? '· ' : ''}${g.since_words}` : '');
	attribute(parts.since, 'datetime', g.since ?? '');
	put(parts.due, dueOf(g));
	show(parts.due, parts.due.textContent !== '');
	showWeight(entry, g.weight);
	showSessions(entry, g);
	put(parts.requests, whole(g.requests));
	put(parts.errors, whole(g.errors));
	attribute(parts.errors, 'data-some', String(g.errors > 0));
	showCheck(entry, g.check);
	/* Not `disabled`: a button that has the focus would lose it. */
	attribute(buttons.drain, 'aria-disabled', String(isAway || g.state === 'gone'));
	attribute(buttons.ready, 'aria-disabled', String(isAway || ['up', 'full', 'gone'].includes(g.state)));
	attribute(buttons.down, 'aria-disabled', String(isAway || g.state === 'gone'));
	entry.text = [g.pool, g.name, g.address, g.state, g.why].join(' ').toLowerCase();
}

function showGateways(answer) {
	const of = new Map(answer.pools.map(p => [p.name, []]));
	for (const g of answer.gateways)
		of.get(g.pool)?.push(g);
	keep(pools, byId('pool-list'), answer.pools, p => p.name, makePool);
	for (const pool of answer.pools) {
		const entry = pools.get(pool.name), list = of.get(pool.name);
		showPool(entry, pool);
		keep(entry.rows, entry.body, list, rowOf, makeGateway);
		for (const g of list)
			showGateway(entry.rows.get(rowOf(g)), g);
	}
	const down = answer.gateways.filter(g => g.state === 'down').length;
	document.title = down ? `(${down} down) stickyd` : 'stickyd';
	showFilter();
}

/* One scale for a pool, so that its gateways can be compared. */
function showSparks() {
	const lists = new Map((trend?.gateways ?? []).map(g => [keyOf(g), g.sessions ?? []]));
	for (const [name, pool] of pools) {
		const own = [...pool.rows.keys()].map(g => lists.get(`${name}/${g}`) ?? []);
		const top = highest(own) * 1.05 || 1;
		[...pool.rows.values()].forEach((entry, i) => showSpark(entry, own[i], top));
	}
}

function showSpark(entry, values, top) {
	const every = Math.max(1, Math.round(trend.samples / SPARK_POINTS));
	const some = values.filter((_, i) => (values.length - 1 - i) % every === 0);
	const all = runs(some, 100, 20, top, Math.ceil(trend.samples / every));
	attribute(entry.line, 'd', lineOf(all));
	attribute(entry.area, 'd', areaOf(all, 20));
	attribute(entry.spark, 'aria-label', values.length === 0 ? 'nothing is known yet' :
		`Sessions over 10 minutes: lowest ${whole(lowest(values))}, highest ${whole(highest([values]))}`);
}

/* ---- the filter ---- */

const filter = byId('filter');
const chips = Object.fromEntries(STATES.map(state => [state, makeChip(state)]));
let only = null;	/* a state */

function makeChip(state) {
	const button = make('button', '', { state });
	const shape = drawn('svg'), use = drawn('use'), text = make('span');
	use.setAttribute('href', `#shape-${state}`);
	shape.setAttribute('aria-hidden', 'true');
	shape.append(use);
	button.type = 'button';
	button.hidden = true;
	button.append(shape, text);
	button.addEventListener('click', () => {
		only = only === state ? null : state;
		showFilter();
	});
	document.querySelector('.chips').append(button);
	return { button, text };
}

function showChips(counts) {
	for (const [state, { button, text }] of Object.entries(chips)) {
		put(text, `${state} ${whole(counts[state] ?? 0)}`);
		show(button, Boolean(counts[state]) || only === state);
		attribute(button, 'aria-pressed', String(only === state));
	}
}

function showFilter() {
	const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean), counts = {};
	let seen = 0, all = 0;
	for (const pool of pools.values()) {
		let here = 0;
		for (const { node, text, gateway } of pool.rows.values()) {
			const is = (!only || gateway.state === only) && words.every(w => text.includes(w));
			counts[gateway.state] = (counts[gateway.state] ?? 0) + 1;
			show(node, is);
			here += is;
		}
		show(pool.node, here > 0 || (!only && words.length === 0));
		seen += here;
		all += pool.rows.size;
	}
	showChips(counts);
	put(page.count, seen === all ? plural(all, 'gateway') : `${whole(seen)} of ${plural(all, 'gateway')}`);
}

filter.addEventListener('input', showFilter);
document.addEventListener('keydown', e => {
	if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, dialog'))
		return;
	e.preventDefault();
	filter.focus();
});

/* ---- changes ---- */

/* Whether it was done. words makes a sentence of the gateway as it is then; control is what was used. */
async function change(entry, control, call, parameters, words) {
	const query = new URLSearchParams({ gateway: keyOf(entry.gateway), ...parameters });
	if (control.getAttribute('aria-busy') === 'true')
		return false;
	control.setAttribute('aria-busy', 'true');
	try {
		const answer = await post(`v1/${call}?${query}`);
		if (answer)
			say(words(answer.gateway));
		return Boolean(answer);
	} catch (e) {
		const why = e instanceof Refused ? e.message : 'no answer came: look whether it was done';
		refuse(`${keyOf(entry.gateway)}: ${why}`);
		return false;
	} finally {
		control.removeAttribute('aria-busy');
		look();
	}
}

const told = g => [`${keyOf(g)} is ${g.state}`, g.why, dueOf(g)].filter(Boolean).join(', ');

function prepare(dialog, g) {
	const parts = partsOf(dialog);
	put(parts.name, keyOf(g));
	put(parts.sessions, plural(g.sessions, 'session'));
}

function chosenDeadline() {
	const { deadline, other } = byId('drain').querySelector('form').elements;
	other.required = deadline.value === 'other';
	return deadline.value === 'other' ? other.value.trim() : deadline.value;
}

function showChosen() {
	const deadline = chosenDeadline(), chosen = byId('drain').querySelector('input:checked');
	const words = chosen.value === 'other' ? deadline : chosen.parentElement.textContent.trim();
	put(page.hurts, deadline && `After ${words}, the sessions that are left are closed at the pool's drain_rate` +
		', and clients that come back go elsewhere.');
	put(page.go, deadline ? `Drain, close after ${words}` : 'Drain');
}

byId('drain').addEventListener('input', e => {
	if (e.target.name === 'other')
		e.target.form.elements.deadline.value = 'other';
	showChosen();
});

const ACTS = {
	async drain(entry, button) {
		const dialog = byId('drain');
		prepare(dialog, entry.gateway);
		dialog.querySelector('form').reset();
		showChosen();
		if (await agreed(dialog)) {
			const deadline = chosenDeadline();
			await change(entry, button, 'drain', deadline ? { deadline } : {}, told);
		}
	},
	async down(entry, button) {
		prepare(byId('down'), entry.gateway);
		if (await agreed(byId('down')))
			await change(entry, button, 'down', {}, told);
	},
	ready: (entry, button) => change(entry, button, 'ready', {}, told),
};

byId('pool-list').addEventListener('click', e => {
	const button = e.target.closest('.acts button');
	if (button && button.getAttribute('aria-disabled') !== 'true')
		ACTS[button.value](entryOf.get(button.closest('tr')), button);
});

/* By Enter, or when it is left. */
byId('pool-list').addEventListener('change', async e => {
	const entry = entryOf.get(e.target.closest('tr')), { weight } = entry;
	const wanted = weight.value.trim();
	if (wanted !== weight.dataset.shown && await change(entry, weight, 'weight', { weight: wanted },
		g => `${keyOf(g)} has weight ${g.weight}`))
		weight.dataset.shown = wanted;
	weight.value = weight.dataset.shown;
});

byId('pool-list').addEventListener('keydown', e => {
	if (e.key === 'Escape' && e.target.matches('.weight'))
		e.target.value = e.target.dataset.shown;
});

/* ---- events ---- */

const events = byId('events');
let eventsSeen = 0;

function makeEvent(e, today) {
	const node = make('li', '', { level: e.level });
	const time = make('time', clock(e.at, today)), level = make('span', e.level);
	time.dateTime = e.at;
	level.className = 'level';
	node.append(time, level, make('span', e.text));
	return node;
}

function showEvents(answer) {
	const today = new Date().toISOString().slice(0, 10), fresh = answer.events.slice(-EVENTS_SHOWN);
	const serious = fresh.filter(e => e.level === 'warn' || e.level === 'error');
	if (eventsSeen !== 0 && serious.length)
		announce(serious.map(e => e.text).join('. '));
	events.prepend(...fresh.reverse().map(e => makeEvent(e, today)));
	while (events.childElementCount > EVENTS_SHOWN)
		events.lastElementChild.remove();
	eventsSeen = answer.last;
}

/* ---- once every two seconds ---- */

let trend = null, trendDue = 0;
let isAway = false, heardAt = null;
let process = null;		/* who answers, to notice when it is another */
let timer, isLooking = false, isWanted = false;

const isAnother = status => process !== null && process !== whoOf(status);
const whoOf = status => `${status.pid} ${status.started}`;

function hear(status) {
	if (isAway)
		announce('The daemon answers again.');
	isAway = false;
	heardAt = new Date();
	document.body.className = 'live';
	put(page.fresh, `live, ${utc(heardAt)}`);
	show(byId('away'), false);
	if (isAnother(status)) {
		events.replaceChildren();
		say('Another process answers now: the daemon was restarted.');
	}
	process = whoOf(status);
}

function miss(e) {
	const why = e instanceof Refused ? `It says: ${e.message}` : '';
	const ago = heardAt ? span(Math.round((Date.now() - heardAt) / 1000)) : '';
	const of = heardAt ? `What is shown is of ${utc(heardAt)}, ${ago} ago.` : '';
	if (!isAway && heardAt)
		announce('The daemon does not answer.');
	isAway = true;
	document.body.className = 'away';
	put(page.fresh, heardAt ? `stale, ${utc(heardAt)}` : 'no answer');
	put(page['away-what'], `The daemon ${e instanceof Refused ? 'refuses to' : 'does not'} answer.`);
	put(page.away, [why, of, 'It is asked again every 2 seconds.'].filter(Boolean).join(' '));
	show(byId('away'), true);
	for (const button of document.querySelectorAll('.acts button'))
		attribute(button, 'aria-disabled', 'true');
}

/* The status comes first and alone: it tells whether we may ask at all, and who answers; another process has events
 * and a history of its own. */
async function askAll() {
	const status = await get('v1/status');
	if (isAnother(status))
		eventsSeen = trendDue = 0;
	const wantsTrend = Date.now() >= trendDue;
	const [gateways, happened, history] = await Promise.all([
		get('v1/gateways'), get(`v1/events?after=${eventsSeen}`), wantsTrend ? get('v1/trend') : null,
	]);
	return { status, gateways, happened, history };
}

function showAll({ status, gateways, happened, history }) {
	hear(status);
	if (history) {
		trend = history;
		trendDue = Date.now() + Math.max(EVERY_MS / 2, gateways.gateways.length * TREND_PER_GATEWAY_MS);
	}
	showStatus(status);
	showGateways(gateways);
	if (history)
		showSparks();
	showEvents(happened);
}

/* Asks now, and from then on again and again; one question at a time. */
async function look() {
	isWanted = true;
	if (isLooking)
		return;
	isLooking = true;
	clearTimeout(timer);
	try {
		while (isWanted) {
			isWanted = false;
			const answers = await askAll().catch(miss);
			if (answers)
				showAll(answers);
		}
	} finally {
		isLooking = false;
		if (!document.hidden)
			timer = setTimeout(look, EVERY_MS);
	}
}

document.addEventListener('visibilitychange', () => document.hidden ? clearTimeout(timer) : look());

TILES.forEach(makeTile);
keepToken(token());
look();
