# SPDX-License-Identifier: BSD-2-Clause
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from harness.lab import Lab


def pytest_configure(config):
	config.addinivalue_line("markers", "threads: concerns threads; worth running under ThreadSanitizer")
	config.addinivalue_line("markers", "slow: takes more than ten seconds")


@pytest.fixture
def everybodys():
	"""A directory that all users may enter: pytest's own are for one. To be asked for before the lab, so that it goes last."""
	directory = Path(tempfile.mkdtemp(prefix="stickyd-"))
	os.chmod(directory, 0o755)
	yield directory
	shutil.rmtree(directory)


@pytest.fixture
def lab(tmp_path, request):
	lab = Lab(tmp_path)
	request.node.lab = lab
	yield lab
	lab.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
	report = (yield).get_result()
	if report.failed and hasattr(item, "lab"):
		report.sections += item.lab.logs()
