"""What the room refuses to do, and what to do instead."""

from __future__ import annotations

from contracts.errors import BraidError


class ModelsError(BraidError):
    """Training, embedding or publishing cannot go on; the message names what is missing."""


class OtherLayoutError(ModelsError):
    """A registered two-tower reads questions of another layout than `models.decide` asks."""
