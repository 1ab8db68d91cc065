"""Decides what to recommend: numpy only, and pure but for `artifacts`, the rim that opens files."""
