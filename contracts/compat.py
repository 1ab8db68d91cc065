"""`python -m contracts.compat [--release V]`: the wire's schemas against the newest ones released.

A sender that keeps to a released schema must stay welcome. So an optional field may be added and a rule widened; a
field removed, retyped or narrowed, or newly required, is refused; and so is a keyword of JSON Schema that is not compared
here (`anyOf`, `const`, `$ref` …), for nobody could say what it does to a sender. `--release` writes what is declared now
as a version, which nothing overwrites.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import BraidError
from contracts.generate import FOLDER, texts

RELEASED = FOLDER / "released"
WIRE = ("event.schema.json", "catalog.schema.json")
"""What senders keep to; what Braid itself writes may change with it."""
VERSION = re.compile(r"^[0-9]+\.[0-9]+$")
Schema = dict[str, Any]
LEAST = ("minimum", "minLength", "minItems", "exclusiveMinimum")
MOST = ("maximum", "maxLength", "maxItems", "exclusiveMaximum")
COMPARED = frozenset(
    {
        "type",
        "properties",
        "required",
        "items",
        "enum",
        "pattern",
        "format",
        "additionalProperties",
        *LEAST,
        *MOST,
    }
)
SAID_ONLY = frozenset(
    {"$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated"}
)
"""Keywords that refuse no record."""


class ReleaseError(BraidError):
    """A version cannot be released, or none has been."""


@dataclass(frozen=True, slots=True)
class Break:
    """One change that a sender of the released schema would feel."""

    field: str
    was: str
    now: str

    def __str__(self) -> str:
        return f"{self.field}: was {self.was}, is {self.now}"


def breaks(old: Schema, new: Schema, field: str = "") -> Iterator[Break]:
    """Every way in which a record that `old` takes could be refused by `new`, by field; or what in them cannot be compared."""
    unknown = {**dict(_unknown(old, field)), **dict(_unknown(new, field))}
    if unknown:
        yield from (Break(place, "comparable", why) for place, why in unknown.items())
    else:
        yield from _compared(old, new, field)


def _unknown(schema: Schema, field: str) -> Iterator[tuple[str, str]]:
    """Where a schema says what is not compared here, and what that is."""
    if not isinstance(schema, dict):
        yield field, f"{schema}, which cannot be compared: say it by type, enum or bounds"
        return
    known = COMPARED | SAID_ONLY
    found = [key for key in schema if key not in known]
    found += [key for key in ("items", "additionalProperties") if not _plain(key, schema.get(key))]
    if found:
        yield field, f"{', '.join(found)}, which cannot be compared: say it by type, enum or bounds"
    for name, inner in schema.get("properties", {}).items():
        yield from _unknown(inner, _inner(field, name))
    if isinstance(schema.get("items"), dict):
        yield from _unknown(schema["items"], f"{field}[]")


def _plain(key: str, value: object) -> bool:
    """Whether items are one schema, and additionalProperties a yes or no."""
    return value is None or isinstance(value, dict if key == "items" else bool)


def _inner(field: str, name: str) -> str:
    return f"{field}.{name}" if field else name


def _compared(old: Schema, new: Schema, field: str) -> Iterator[Break]:
    yield from _types(old, new, field)
    yield from _bounds(old, new, field)
    yield from _choices(old, new, field)
    yield from _required(old, new, field)
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, schema in before.items():
        inner = _inner(field, name)
        if name in after:
            yield from _compared(schema, after[name], inner)
        else:
            yield Break(inner, _type_name(schema), "removed")
    yield from _items(old, new, field)


def _items(old: Schema, new: Schema, field: str) -> Iterator[Break]:
    """What a list holds; where it could hold anything, any rule is a new one."""
    before, after = old.get("items", {}), new.get("items", {})
    could_be_list = not _type_set(old) or "array" in _type_set(old)
    if "items" in old:
        yield from _compared(before, after, f"{field}[]")
    elif could_be_list and (rules := [key for key in after if key not in SAID_ONLY]):
        yield Break(f"{field}[]", "anything", f"held to {', '.join(rules)}")


def _types(old: Schema, new: Schema, field: str) -> Iterator[Break]:
    lost = _type_set(old) - _type_set(new)
    if "number" in _type_set(new):
        lost -= {"integer"}
    if _type_set(new) and (lost or not _type_set(old)):
        yield Break(field, _type_name(old), _type_name(new))


def _bounds(old: Schema, new: Schema, field: str) -> Iterator[Break]:
    """A bound that is new or tighter; a pattern or format that is new or another, for no one can tell which is wider."""
    for key in LEAST:
        if key in new and (key not in old or new[key] > old[key]):
            yield Break(field, f"{key} {old.get(key, 'none')}", f"{key} {new[key]}")
    for key in MOST:
        if key in new and (key not in old or new[key] < old[key]):
            yield Break(field, f"{key} {old.get(key, 'none')}", f"{key} {new[key]}")
    for key in ("pattern", "format"):
        if key in new and new[key] != old.get(key):
            yield Break(field, f"{key} {old.get(key, 'none')}", f"{key} {new[key]}")
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield Break(field, "further keys allowed", "further keys refused")


def _choices(old: Schema, new: Schema, field: str) -> Iterator[Break]:
    if "enum" not in new:
        return
    if "enum" not in old:
        yield Break(field, "any value", f"one of {', '.join(map(str, new['enum']))}")
        return
    lost = [choice for choice in old["enum"] if choice not in new["enum"]]
    if lost:
        yield Break(field, f"may be {', '.join(map(str, lost))}", "may not")


def _required(old: Schema, new: Schema, field: str) -> Iterator[Break]:
    for name in new.get("required", ()):
        if name not in old.get("required", ()):
            known = name in old.get("properties", {})
            yield Break(_inner(field, name), "optional" if known else "absent", "required")


def _type_set(schema: Schema) -> set[str]:
    found = schema.get("type", ())
    return {found} if isinstance(found, str) else set(found)


def _type_name(schema: Schema) -> str:
    return " or ".join(sorted(_type_set(schema))) or "of any type"


def newest(folder: Path = RELEASED) -> str:
    """The newest released version, by number.

    Raises:
        ReleaseError: there is none.
    """
    versions = [path.name for path in folder.glob("*") if VERSION.match(path.name)]
    if not versions:
        raise ReleaseError(f"{folder} holds no released version: release the first one with --release 1.0")
    return max(versions, key=_number)


def check(folder: Path = RELEASED, current: dict[str, str] | None = None) -> list[str]:
    """A line a break against the newest release: the file, the field, what it was and what it is.

    Args:
        current: file name → schema text; None is what is declared now.
    """
    now = texts() if current is None else current
    lines = []
    for path in sorted((folder / newest(folder)).glob("*.schema.json")):
        if path.name not in now:
            lines.append(f"{path.name}: was released, is removed")
            continue
        found = breaks(json.loads(path.read_text()), json.loads(now[path.name]))
        lines += [f"{path.name}: {one}" for one in found]
    return lines


def release(version: str, folder: Path = RELEASED) -> Path:
    """Write the schemas declared now as `version`; returns its folder.

    Raises:
        ReleaseError: the version is no number, not above the newest, or breaks it without a new first number; or a schema
            says what no later one could be compared with.
    """
    if not VERSION.match(version):
        raise ReleaseError(f"version {version!r}: give two numbers, as 1.1")
    if any(VERSION.match(path.name) for path in folder.glob("*")):
        last = newest(folder)
        if _number(version) <= _number(last):
            raise ReleaseError(f"version {version} is not above {last}, which stands: nothing is overwritten")
        broken = check(folder)
        if broken and _number(version)[0] == _number(last)[0]:
            raise ReleaseError(
                f"version {version} breaks {last} ({broken[0]}): give {_number(last)[0] + 1}.0"
            )
    for name in WIRE:
        for place, why in _unknown(json.loads(texts()[name]), ""):
            raise ReleaseError(f"{name}: {place} has {why}")
    target = folder / version
    target.mkdir(parents=True)
    for name in WIRE:
        (target / name).write_text(texts()[name])
    return target


def _number(version: str) -> tuple[int, int]:
    first, second = version.split(".")
    return int(first), int(second)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 when a released schema is broken or a version cannot be released."""
    parser = argparse.ArgumentParser(prog="contracts.compat", description=__doc__)
    parser.add_argument("--release", metavar="V", help="write today's schemas as version V, as 1.1")
    parser.add_argument("--folder", type=Path, default=RELEASED, help="where the released versions lie")
    options = parser.parse_args(arguments)
    try:
        if options.release:
            sys.stdout.write(f"released {release(options.release, options.folder)}\n")
            return 0
        version, broken = newest(options.folder), check(options.folder)
    except ReleaseError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for line in broken:
        sys.stderr.write(f"{line}\n")
    if broken:
        sys.stderr.write(f"{len(broken)} changes break the released contract {version}\n")
        return 1
    sys.stdout.write(f"the wire's schemas keep the released contract {version}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
