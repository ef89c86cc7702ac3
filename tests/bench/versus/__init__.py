# SPDX-License-Identifier: BSD-2-Clause
"""stickyd beside HAProxy, nginx and a bare relay: proxies.py starts them, rows.py says what is measured and how far it is to go,
measure.py does it, report.py tells."""
