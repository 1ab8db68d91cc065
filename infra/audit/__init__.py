"""`braid audit FILE`: what a shop's own export holds, and what could be trained from it."""
