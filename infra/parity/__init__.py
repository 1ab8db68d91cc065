"""`make parity`: every stored value of every key, in the reference, Spark and Flink; consent, and decisions."""
