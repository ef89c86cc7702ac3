# SPDX-License-Identifier: BSD-2-Clause
"""What was measured, as a table, and as a picture."""

from html import escape

COLUMNS = ["relay", "splice", "haproxy", "nginx", "stickyd"]


def value(result, name):
	r = result["proxies"].get(name)
	return r["value"]["median"] if r and r["value"] else None


def best(result):
	rivals = [v for v in (value(result, "haproxy"), value(result, "nginx")) if v is not None]
	return min(rivals) if rivals else None


def ratio(a, b):
	return a / b if a is not None and b else None


def judged(measured, goal):
	"""The ratio, its goal and whether it is reached."""
	if measured is None:
		return "-"
	if goal is None:
		return f"{measured:.2f}"
	return f"{measured:.2f} ({'<=' if measured <= goal else 'MISSED'} {goal:.2f})"


def ratios(result):
	ours = value(result, "stickyd")
	return ratio(ours, best(result)), ratio(ours, value(result, "relay"))


def number(v):
	return "-" if v is None else f"{v:,.0f}" if v >= 1000 else f"{v:.1f}" if v >= 3 else f"{v:.2f}"


def spread(result, name):
	r = result["proxies"].get(name)
	if not r or not r["value"]:
		return "-"
	v = r["value"]
	return number(v["median"]) if v["min"] == v["max"] else f"{number(v['median'])} ({number(v['min'])}-{number(v['max'])})"


def lines(results):
	head = ["", *COLUMNS, "to the best", "to the relay"]
	rows = [head]
	for r in results:
		to_best, to_floor = ratios(r)
		rows.append([f"{r['name']}: {r['unit']}", *(spread(r, c) for c in COLUMNS), judged(to_best, r["best"]), judged(to_floor, r["floor"])])
	widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
	return ["  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths))).rstrip() for row in rows]


def derived(results):
	"""What follows from several rows, a line each."""
	by = {r["name"]: r for r in results}

	def growth(a, b, what):
		if a not in by or b not in by:
			return
		told = (f"{n} {ratio(value(by[b], n), value(by[a], n)):.2f}" for n in COLUMNS if value(by[a], n) and value(by[b], n))
		yield f"{what}: {', '.join(told)}"

	def speed(a, b, what):
		if a not in by or b not in by:
			return
		told = (f"{n} {by[b]['proxies'][n]['per_second']['median'] / by[a]['proxies'][n]['per_second']['median']:.2f}"
			for n in COLUMNS if n in by[a]["proxies"] and n in by[b]["proxies"])
		yield f"{what}: {', '.join(told)}"

	yield from growth("message-100", "message-9000", "cost of a message, 9,000 sessions to 100")
	yield from growth("get-64", "gateways-1000", "cost of a request, 1,000 gateways to 2")
	yield from speed("message-125", "workers-2", "messages a second, 2 workers to 1 (load and gateways have the other CPUs)")
	yield from speed("message-125", "workers-4", "messages a second, 4 workers to 1 (likewise, or the same)")
	for name in ("memory", "memory-tls"):
		if name in by:
			told = (f"{n} {number(p['after_burst']['median'])}" for n, p in by[name]["proxies"].items())
			yield f"{name} after a burst of 64 KB on each session: {', '.join(told)}"
	for name in ("latency", "latency-tls"):
		if name in by:
			told = (f"{n} {p['p50_us']['median']:.0f}/{p['p99_us']['median']:.0f}/{p['p999_us']['median']:.0f}"
				for n, p in by[name]["proxies"].items())
			yield f"{name}, p50/p99/p99.9 in us at {by[name]['proxies']['stickyd']['rate']:,} echoes a second: {', '.join(told)}"


# the picture: one bar for each proxy of each row, the better of HAProxy and nginx being 1

BAR, GAP, LEFT, WIDTH, TOP = 11, 12, 330, 470, 74
COLOUR = {"relay": "#9a9a9a", "haproxy": "#4a7bd0", "nginx": "#3a9d5d", "stickyd": "#e0572f"}


def bars(result, y):
	scale = best(result)
	yield f'<text class="row" x="{LEFT - 12}" y="{y + 2 * BAR + 4}" text-anchor="end">{escape(result["title"])}</text>'
	for i, name in enumerate(COLOUR):
		v = ratio(value(result, name), scale)
		if v is None:
			continue
		width = min(v, 2.1) / 2.1 * WIDTH
		yield f'<rect x="{LEFT}" y="{y + i * BAR}" width="{width:.1f}" height="{BAR - 2}" fill="{COLOUR[name]}"/>'
		yield f'<text class="figure" x="{LEFT + width + 4:.1f}" y="{y + i * BAR + 8}">{v:.2f}</text>'


def chart(results, versions, when, machine):
	results = [r for r in results if best(r) and r["kind"] in ("cpu", "memory")]
	height = TOP + len(results) * (4 * BAR + GAP) + 34
	names = {"relay": "bare TCP relay", "haproxy": f"HAProxy {versions.get('haproxy', '')}", "nginx": f"nginx {versions.get('nginx', '')}",
		"stickyd": f"stickyd {versions.get('stickyd', '')}"}
	one = LEFT + WIDTH / 2.1
	out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 {height}" font-family="sans-serif" role="img">',
		"<title>CPU time and memory beside HAProxy, nginx and a bare relay</title>",
		"<style>text{fill:#333}.row{font-size:12px}.figure{font-size:9px}.head{font-size:17px;font-weight:bold}.note{font-size:11px}"
		".line{stroke:#888;stroke-dasharray:3 3}.ground{fill:#fff}"
		"@media(prefers-color-scheme:dark){text{fill:#ddd}.ground{fill:#161616}}</style>",
		f'<rect class="ground" width="880" height="{height}"/>',
		'<text class="head" x="16" y="26">CPU time and memory; the better of HAProxy and nginx is 1, shorter is better</text>']
	x = 16
	for name, label in names.items():
		out.append(f'<rect x="{x}" y="42" width="11" height="11" fill="{COLOUR[name]}"/>'
			f'<text class="note" x="{x + 16}" y="52">{escape(label)}</text>')
		x += 150
	for i, result in enumerate(results):
		out += bars(result, TOP + i * (4 * BAR + GAP))
	out.append(f'<line class="line" x1="{one:.1f}" x2="{one:.1f}" y1="{TOP - 8}" y2="{height - 34}"/>')
	out.append(f'<text class="note" x="16" y="{height - 12}">tests/bench/compare, {escape(when)}, {escape(machine)}. '
		"The relay looks at nothing and keeps nobody anywhere.</text></svg>")
	return "\n".join(out) + "\n"
