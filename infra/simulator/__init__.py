"""A seeded shop of any size that writes the events of a real one; it carries load and fills what real data lacks."""
