package braid.flink;

import java.util.Arrays;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.functions.AggregateFunction;

/**
 * {@code top_k(value, k)}: the k most frequent values, most frequent first; of equally frequent ones the smaller first.
 *
 * <p>Frequencies only grow, so the best k follow from the best k before and the one value that was added: a row costs the
 * same whatever the number of different values.
 */
@FunctionHint(
        input = {@DataTypeHint("STRING"), @DataTypeHint("INT")},
        accumulator = @DataTypeHint(bridgedTo = TopK.Accumulator.class),
        output = @DataTypeHint("ARRAY<STRING>"))
public class TopK extends AggregateFunction<String[], TopK.Accumulator> {
    private static final long serialVersionUID = 1L;

    /** How often each value occurred, and the best with their frequencies. */
    public static class Accumulator {
        public MapView<String, Long> counts = new MapView<>();
        public String[] values = new String[0];
        public long[] frequencies = new long[0];
    }

    @Override
    public Accumulator createAccumulator() {
        return new Accumulator();
    }

    /** Adds one row; NULL is no value. */
    public void accumulate(Accumulator accumulator, String value, Integer k) throws Exception {
        if (value == null) {
            return;
        }
        Long before = accumulator.counts.get(value);
        long frequency = before == null ? 1 : before + 1;
        accumulator.counts.put(value, frequency);
        rank(accumulator, value, frequency, k);
    }

    @Override
    public String[] getValue(Accumulator accumulator) {
        return accumulator.values.length == 0 ? null : accumulator.values;
    }

    private static void rank(Accumulator accumulator, String value, long frequency, int k) {
        int place = Arrays.asList(accumulator.values).indexOf(value);
        int length = accumulator.values.length;
        if (place < 0 && length == k && !precedes(value, frequency, accumulator, length - 1)) {
            return;
        }
        int size = place < 0 && length < k ? length + 1 : length;
        String[] values = Arrays.copyOf(accumulator.values, size);
        long[] frequencies = Arrays.copyOf(accumulator.frequencies, size);
        int at = place < 0 ? size - 1 : place;
        for (; at > 0 && precedes(value, frequency, accumulator, at - 1); at--) {
            values[at] = values[at - 1];
            frequencies[at] = frequencies[at - 1];
        }
        values[at] = value;
        frequencies[at] = frequency;
        accumulator.values = values;
        accumulator.frequencies = frequencies;
    }

    private static boolean precedes(String value, long frequency, Accumulator accumulator, int place) {
        long other = accumulator.frequencies[place];
        return frequency != other
                ? frequency > other
                : Placed.compare(value, accumulator.values[place]) < 0;
    }
}
