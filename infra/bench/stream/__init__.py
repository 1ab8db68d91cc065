"""The stream strand from `events` to Redis: its rate beside a PyFlink job's, its freshness, and how both grow."""
