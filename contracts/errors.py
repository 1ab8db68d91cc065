"""The exceptions of the vocabulary: each message names the key, the value and what to do."""

import msgspec

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What is raised where JSON is decoded: it is none, not of the shape, no UTF-8, or nested too deeply."""


class BraidError(Exception):
    """The root of every error that Braid raises on purpose."""


class SettingsError(BraidError):
    """A setting has a value that cannot be used."""


class SourceError(BraidError):
    """A source file or folder is missing or not in the form its adapter reads."""


class UnknownPlacementError(BraidError):
    """A request names a placement that is not declared."""


class GateError(BraidError):
    """A quality gate failed: the data of the day is not fit to publish."""


class PolicyError(BraidError):
    """A policy file cannot be read or says what cannot be."""
