# SPDX-License-Identifier: BSD-2-Clause
"""What the stories are told with: stickyd itself, gateways, clients."""
