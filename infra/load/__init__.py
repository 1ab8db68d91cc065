"""Load and its figures: open-loop events with freshness, open-loop requests, a burst through the stream."""
