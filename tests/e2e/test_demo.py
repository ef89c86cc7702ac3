# SPDX-License-Identifier: BSD-2-Clause
"""The demonstration itself: what it prints, how it ends, and that it would tell if stickyd did not do its job."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from harness.daemon import TOP, environment, program

RUN = TOP / "contrib/demo/run"
# clients  expected  seen  result
COLUMNS = slice(0, 48), slice(48, 56), slice(58, 80), slice(82, 98), slice(100, None)


def demo(directory, stickyd=None, **how):
	"""It hears SIGINT also where the tests do not, as in the background of a shell."""
	return subprocess.Popen([str(RUN)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
		text=True, env=environment(STICKYD=str(stickyd or program()), TMPDIR=str(directory)),
		preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **how)


def rows_of(text):
	"""{what was tried: result}"""
	rows = {}
	for line in text.splitlines():
		what, _, _, _, result = (line[c].strip() for c in COLUMNS)
		if result in ("ok", "FAILED", "skipped"):
			assert what not in rows or rows[what] == result
			rows[what] = result
	return rows


def processes_in(directory):
	"""Those that name the directory in their command line."""
	found = []
	for entry in Path("/proc").glob("[0-9]*"):
		try:
			words = (entry / "cmdline").read_bytes()
		except OSError:
			continue
		if os.fsencode(directory) in words:
			found.append(words.replace(b"\0", b" ").decode(errors="replace"))
	return found


@pytest.mark.slow
def test_all_holds(tmp_path):
	process = demo(tmp_path)
	text, _ = process.communicate(timeout=120)
	assert process.returncode == 0, text
	rows = rows_of(text)
	skipped = {what for what, result in rows.items() if result == "skipped"}
	assert len(rows) >= 14 and set(rows.values()) <= {"ok", "skipped"}, text
	assert all("Multipath TCP" in what or "plain TCP" in what for what in skipped), text
	assert re.search(r"^All \d+ held", text, re.M), text
	assert not list(tmp_path.iterdir()), "it left something behind"


@pytest.mark.slow
def test_a_proxy_that_forgets_is_found_out(tmp_path):
	forgetful = tmp_path / "forgetful"
	forgetful.write_text(f'#!/bin/sh\nsed -i "s/^affinity = .*/affinity =/" "$2" && exec {program()} "$@"\n')
	forgetful.chmod(0o755)
	process = demo(tmp_path, forgetful)
	text, _ = process.communicate(timeout=120)
	assert process.returncode == 1, text
	rows = rows_of(text)
	assert rows["connect by WSS at once"] == "FAILED"
	assert rows["connections reset on wifi, back over lte"] == "FAILED"
	assert rows["control: all that, but the cookie is forgotten"] == "ok"
	assert re.search(r"^\d+ of \d+ FAILED", text, re.M), text


def test_a_proxy_that_does_not_start_is_an_error_and_no_table(tmp_path):
	process = demo(tmp_path, "/bin/false")
	text, _ = process.communicate(timeout=60)
	assert process.returncode == 1
	assert "stickyd did not start" in text and not rows_of(text)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_nothing_behind(tmp_path, number):
	process = demo(tmp_path, start_new_session=True)
	for line in process.stdout:
		if line.startswith("connect by WSS"):
			break
	assert processes_in(tmp_path)
	process.send_signal(number)
	process.communicate(timeout=30)
	assert process.returncode == 1
	assert not processes_in(tmp_path)
	assert not list(tmp_path.iterdir())
