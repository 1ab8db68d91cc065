"""An export as lines, one at a time: gzip'd or plain, CSV, JSON lines or a JSON array whose elements are the lines."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from contracts.adapters.files import open_text
from contracts.errors import SourceError

CHUNK = 1 << 16
MAX_ELEMENT = 16 << 20
"""Characters of one element of a JSON array; what is longer is no array of records."""
OTHER_FILES = {b"PAR1": "a Parquet file", b"PK\x03\x04": "a zip file", b"Obj\x01": "an Avro file", b"ORC": "an ORC file",
               b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}  # fmt: skip


class Lines:
    """The lines of a file, counted without blank ones; those of a JSON array are its elements."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.count = 0
        self.first = ""

    def __iter__(self) -> Iterator[str]:
        for line in records(self._stream):
            self.first = self.first or line.strip("\ufeff \t\r\n")
            self.count += bool(line.strip())
            yield line

    @property
    def has_header(self) -> bool:
        """Whether the first line is none of JSON."""
        return bool(self.first) and self.first[0] not in "{["


@contextmanager
def opened(path: Path) -> Iterator[Lines]:
    """The file's lines.

    Raises:
        SourceError: it is not there, empty, broken or of another kind.
    """
    lines = None
    try:
        with path.open("rb") as raw:
            start = raw.read(4)
        kind = next((what for magic, what in OTHER_FILES.items() if start.startswith(magic)), None)
        if kind or not start:
            raise SourceError(
                f"it is {kind or 'empty'}: give CSV, JSON lines or a JSON array, plain or gzip'd"
            )
        with open_text(path) as stream:
            lines = Lines(stream)
            yield lines
    except IsADirectoryError:
        raise SourceError(f"{path} is a folder: name its files") from None
    except (SourceError, OSError, EOFError, zlib.error) as error:
        place = f"{path}, line {lines.count}" if lines and lines.count > 1 else str(path)
        raise SourceError(f"{place}: {getattr(error, 'strerror', None) or error}") from error


def records(stream: TextIO) -> Iterator[str]:
    """The lines of CSV or JSON lines, or the elements of a JSON array.

    Raises:
        SourceError: the array has an element that does not end.
    """
    start = stream.readline(CHUNK)
    while start and not start.strip("\ufeff \t\r\n"):
        yield start
        start = stream.readline(CHUNK)
    bare = start.lstrip("\ufeff \t\r\n")
    if bare.startswith("["):
        yield from _elements(bare[1:], stream)
        return
    # `readline` may have cut a line that is longer than CHUNK.
    yield start if start.endswith(("\n", "\r")) else start + stream.readline()
    yield from stream


def _elements(buffer: str, stream: TextIO) -> Iterator[str]:
    """The text of each element; after one that cannot be read, the rest of the file as one."""
    decoder, at, ended = json.JSONDecoder(), 0, False
    while True:
        while at < len(buffer) and buffer[at] in " \t\r\n,":
            at += 1
        end = _end_of(decoder, buffer, at)
        if buffer[at : at + 1] == "]":
            return
        if end is not None and (end < len(buffer) or ended):
            yield buffer[at:end]
            at = end
            continue
        if ended:
            if buffer[at:].strip():
                yield buffer[at:]
            return
        if len(buffer) - at > MAX_ELEMENT:
            raise SourceError(
                f"an element of the JSON array does not end within {MAX_ELEMENT >> 20} Mi characters"
            )
        # Twice as much each time, so that a long element is not tried again for each small piece of it.
        more = stream.read(max(CHUNK, len(buffer) - at))
        buffer, at, ended = buffer[at:] + more, 0, not more


def _end_of(decoder: json.JSONDecoder, buffer: str, at: int) -> int | None:
    try:
        return decoder.raw_decode(buffer, at)[1]
    except (ValueError, RecursionError):
        return None
