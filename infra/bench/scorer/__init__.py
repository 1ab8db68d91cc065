"""The request path at scale → bench-scorer.json."""
