"""Benches: what the batch costs as the data grows."""
