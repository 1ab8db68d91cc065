package braid.flink;

/**
 * What is kept of one row of a view: a number for each aggregate that is one, and for the others a part: a String, a {@link
 * Placed}, a {@code Placed[]} (newest first), a {@code String[]} (in order), a {@link Tally} or {@link Days}.
 *
 * <p>Flink keeps it as it is, so an event costs no conversion; {@link RowStateSerializer} writes it into snapshots.
 */
public final class RowState {
    static final long ABSENT = Long.MIN_VALUE;

    long newest = ABSENT;
    long seen;
    final long[] numbers;
    final Object[] parts;

    RowState(long[] numbers, Object[] parts) {
        this.numbers = numbers;
        this.parts = parts;
    }

    RowState copy() {
        Object[] copied = new Object[parts.length];
        for (int at = 0; at < parts.length; at++) {
            copied[at] = copyOf(parts[at]);
        }
        RowState copy = new RowState(numbers.clone(), copied);
        copy.newest = newest;
        copy.seen = seen;
        return copy;
    }

    /** Strings and placed values never change; an array is replaced, not written into. */
    private static Object copyOf(Object part) {
        if (part instanceof Tally tally) {
            return tally.copy();
        }
        return part instanceof Days days ? days.copy() : part;
    }
}
