"""`make bench-features`: materialization, contended writes and reads beside stock Feast."""
