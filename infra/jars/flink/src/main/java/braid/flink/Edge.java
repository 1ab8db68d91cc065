package braid.flink;

import org.apache.flink.table.functions.AggregateFunction;

/** The value at one end of the order of events; a function of the set of its rows. */
public abstract class Edge extends AggregateFunction<String, Edge.Accumulator> {
    private static final long serialVersionUID = 1L;

    /** The row at the end so far. */
    public static class Accumulator {
        public Placed held;
    }

    /** Whether {@code given} stands nearer to the end. */
    protected abstract boolean replaces(Placed given, Placed held);

    @Override
    public Accumulator createAccumulator() {
        return new Accumulator();
    }

    /** Adds one row; rows without a value are left out. */
    public void accumulate(Accumulator accumulator, String value, Long eventTime, String eventId) {
        if (value == null || eventTime == null || eventId == null) {
            return;
        }
        Placed given = new Placed(value, eventTime, eventId);
        if (accumulator.held == null || replaces(given, accumulator.held)) {
            accumulator.held = given;
        }
    }

    @Override
    public String getValue(Accumulator accumulator) {
        return accumulator.held == null ? null : accumulator.held.value;
    }
}
