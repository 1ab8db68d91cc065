"""Ports for the stacks of tests: blocks that no two of them share, in one test session or in two."""

from __future__ import annotations

import random
import socket

from contracts.settings import PORTS
from infra.stack.ports import all_free

# Below the range that the kernel hands out to clients.
FIRST_PORT, LAST_PORT = 20_000, 32_000

_reserved: list[socket.socket] = []


def free_port_base(host: str = "127.0.0.1") -> int:
    """The first port of a block of `PORTS`, free now and given to no one else while this process lives.

    Raises:
        RuntimeError: every block is in use.
    """
    bases = list(range(FIRST_PORT, LAST_PORT - len(PORTS), len(PORTS)))
    random.SystemRandom().shuffle(bases)
    for base in bases:
        if all_free(host, range(base, base + len(PORTS))) and _reserve(base):
            return base
    raise RuntimeError(f"no {len(PORTS)} free ports between {FIRST_PORT} and {LAST_PORT}")


def _reserve(base: int) -> bool:
    """Hold an abstract Unix socket of the block's name: the kernel gives it once and frees it with the process."""
    held = socket.socket(socket.AF_UNIX)
    try:
        held.bind(f"\0braid-tests-{base}")
    except OSError:
        held.close()
        return False
    _reserved.append(held)
    return True
