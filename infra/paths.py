"""Paths into wire records: `consent.personalization`, `items.0.price`, `items.*.price`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

MISSING = object()


def places(record: Any, path: str) -> Iterator[tuple[Any, Any]]:
    """The containers and keys that the path leads to, as far as their containers are there."""
    *outer, last = path.split(".")
    nodes = [record]
    for key in outer:
        nodes = [inner for node in nodes for inner in _inner(node, key)]
    for node in nodes:
        yield from ((node, key) for key in _keys(node, last, new=True))


def values(record: Any, path: str) -> list[Any]:
    """The values at the path; none where it leads nowhere."""
    found = [_get(node, key) for node, key in places(record, path)]
    return [value for value in found if value is not MISSING]


def put(record: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at every place; objects on the way are made."""
    *outer, _ = path.split(".")
    node: Any = record
    for key in outer:
        if not isinstance(node, dict):
            break
        if node.get(key) is None:
            node[key] = {}
        node = node[key]
    for found, key in places(record, path):
        found[key] = value


def drop(record: dict[str, Any], path: str) -> None:
    """Leave the path out."""
    for node, key in list(places(record, path)):
        if isinstance(node, dict):
            node.pop(key, None)
        elif isinstance(node, list):
            del node[key]


def change(record: dict[str, Any], path: str, how: Callable[[Any], Any]) -> None:
    """Replace every value at the path by `how(value)`; null stays."""
    for node, key in places(record, path):
        value = _get(node, key)
        if value is not MISSING and value is not None:
            node[key] = how(value)


def _inner(node: Any, key: str) -> list[Any]:
    return [value for one in _keys(node, key) if (value := _get(node, one)) is not MISSING]


def _keys(node: Any, key: str, new: bool = False) -> list[Any]:
    if isinstance(node, list):
        if key == "*":
            return list(range(len(node)))
        return [int(key)] if key.isdigit() and int(key) < len(node) else []
    return [key] if isinstance(node, dict) and (new or key in node) else []


def _get(node: Any, key: Any) -> Any:
    if isinstance(node, dict):
        return node.get(key, MISSING)
    return node[key]
