# SPDX-License-Identifier: BSD-2-Clause
"""Waiting for a condition, with a bound. Nothing else in these tests sleeps."""

import time

BOUND = 20.0		# seconds; generous, since sanitizers and a busy machine slow everything down


def until(condition, what, bound=BOUND):
	"""The first true answer of condition(), asked again and again."""
	end = time.monotonic() + bound
	while True:
		answer = condition()
		if answer:
			return answer
		if time.monotonic() > end:
			raise AssertionError(f"waited {bound} s in vain for {what}")
		time.sleep(0.01)


def while_true(condition, what, seconds):
	"""Holds that condition() stays true for a while: for what must not happen."""
	end = time.monotonic() + seconds
	while time.monotonic() < end:
		assert condition(), what
		time.sleep(0.01)
