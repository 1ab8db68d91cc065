"""Benches: what the batch costs as the data grows, and the online store beside stock Feast."""
