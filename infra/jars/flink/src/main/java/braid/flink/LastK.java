package braid.flink;

import java.util.Arrays;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.functions.AggregateFunction;

/**
 * {@code last_k(value, event_time, event_id, k)}: the newest k values by (event_time, event_id), newest first.
 *
 * <p>A function of the set of its rows: arrival order does not matter. Rows with a null value are left out, and without
 * any row the answer is NULL. The accumulator holds at most k entries, so a long session costs no more than a short one;
 * for the same reason a row cannot be taken back (the input must be append-only).
 */
@FunctionHint(
        input = {
            @DataTypeHint("STRING"),
            @DataTypeHint("BIGINT"),
            @DataTypeHint("STRING"),
            @DataTypeHint("INT")
        },
        accumulator = @DataTypeHint(bridgedTo = LastK.Accumulator.class),
        output = @DataTypeHint("ARRAY<STRING>"))
public class LastK extends AggregateFunction<String[], LastK.Accumulator> {
    private static final long serialVersionUID = 1L;

    /** The newest entries, newest first. */
    public static class Accumulator {
        public Placed[] entries = new Placed[0];
        public int k;
    }

    @Override
    public Accumulator createAccumulator() {
        return new Accumulator();
    }

    /** Adds one row. */
    public void accumulate(Accumulator accumulator, String value, Long eventTime, String eventId, Integer k) {
        if (k == null || k < 1) {
            throw new IllegalArgumentException("last_k: k must be at least 1, got " + k);
        }
        accumulator.k = k;
        if (value == null || eventTime == null || eventId == null) {
            return;
        }
        insert(accumulator, new Placed(value, eventTime, eventId));
    }

    /** Joins accumulators of the same group. */
    public void merge(Accumulator accumulator, Iterable<Accumulator> others) {
        for (Accumulator other : others) {
            accumulator.k = Math.max(accumulator.k, other.k);
            for (Placed entry : other.entries) {
                insert(accumulator, entry);
            }
        }
    }

    /** Forgets everything. */
    public void resetAccumulator(Accumulator accumulator) {
        accumulator.entries = new Placed[0];
    }

    @Override
    public String[] getValue(Accumulator accumulator) {
        if (accumulator.entries.length == 0) {
            return null;
        }
        return Arrays.stream(accumulator.entries).map(entry -> entry.value).toArray(String[]::new);
    }

    private static void insert(Accumulator accumulator, Placed entry) {
        Placed[] entries = accumulator.entries;
        int place = 0;
        while (place < entries.length && !entry.isNewerThan(entries[place])) {
            place++;
        }
        if (place >= accumulator.k) {
            return;
        }
        int length = Math.min(entries.length + 1, accumulator.k);
        Placed[] changed = Arrays.copyOf(entries, length);
        changed[place] = entry;
        System.arraycopy(entries, place, changed, place + 1, length - place - 1);
        accumulator.entries = changed;
    }
}
