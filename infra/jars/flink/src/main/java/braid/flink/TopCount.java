package braid.flink;

import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.functions.AggregateFunction;

/** {@code top_count(value)}: how often the most frequent value occurs; NULL without any. */
@FunctionHint(
        input = {@DataTypeHint("STRING")},
        accumulator = @DataTypeHint(bridgedTo = TopCount.Accumulator.class),
        output = @DataTypeHint("BIGINT"))
public class TopCount extends AggregateFunction<Long, TopCount.Accumulator> {
    private static final long serialVersionUID = 1L;

    /** How often each value occurred, and the greatest of these. */
    public static class Accumulator {
        public MapView<String, Long> counts = new MapView<>();
        public long greatest;
    }

    @Override
    public Accumulator createAccumulator() {
        return new Accumulator();
    }

    /** Adds one row; NULL is no value. */
    public void accumulate(Accumulator accumulator, String value) throws Exception {
        if (value == null) {
            return;
        }
        Long before = accumulator.counts.get(value);
        long frequency = before == null ? 1 : before + 1;
        accumulator.counts.put(value, frequency);
        accumulator.greatest = Math.max(accumulator.greatest, frequency);
    }

    @Override
    public Long getValue(Accumulator accumulator) {
        return accumulator.greatest == 0 ? null : accumulator.greatest;
    }
}
