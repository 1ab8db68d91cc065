"""Processes of the stream are killed under load; afterwards every row is what a recomputation says."""
