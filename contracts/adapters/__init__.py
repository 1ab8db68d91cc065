"""Adapters: pure functions from the rows of a source to wire records of the contracts."""
