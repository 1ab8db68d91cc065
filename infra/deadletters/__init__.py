"""Dead letters: what the door refused, counted, shown, repaired and sent again."""
