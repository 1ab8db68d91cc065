"""`make data-faults`: faults planted into clean days, and what the door, silver and the gates make of them."""
