"""Loopback ports: free or not, and whose."""

from __future__ import annotations

import socket
from collections.abc import Iterable

import psutil


def is_free(host: str, port: int) -> bool:
    """True when a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def all_free(host: str, ports: Iterable[int]) -> bool:
    """True when every port is free."""
    return all(is_free(host, port) for port in ports)


def listeners(port: int) -> list[psutil.Process]:
    """The processes that listen on `port`: several may share it."""
    pids = {
        connection.pid
        for connection in psutil.net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid
    }
    return [psutil.Process(pid) for pid in sorted(pids)]


def owner(port: int) -> str:
    """Who listens on `port`, for a message: name and pid, or that it cannot be seen."""
    try:
        return ", ".join(f"{one.name()} (pid {one.pid})" for one in listeners(port)) or "another process"
    except psutil.Error:
        return "another process"
