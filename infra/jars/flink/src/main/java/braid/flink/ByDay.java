package braid.flink;

import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.functions.AggregateFunction;

/**
 * {@code by_day(n, event_time, days)}: {@code YYYY-MM-DD=sum} of each of the last days, newest first, without those of 0.
 *
 * <p>The last days end with the UTC day of the newest row, whether it has an n or not. At most {@code days} sums are kept.
 */
@FunctionHint(
        input = {@DataTypeHint("BIGINT"), @DataTypeHint("BIGINT"), @DataTypeHint("INT")},
        accumulator = @DataTypeHint(bridgedTo = ByDay.Accumulator.class),
        output = @DataTypeHint("ARRAY<STRING>"))
public class ByDay extends AggregateFunction<String[], ByDay.Accumulator> {
    private static final long serialVersionUID = 1L;
    private static final long DAY_MICROS = 24L * 3600 * 1_000_000;

    /** The sums of the days that end with {@code newest}, newest first; empty before the first row. */
    public static class Accumulator {
        public long newest;
        public long[] sums = new long[0];
    }

    @Override
    public Accumulator createAccumulator() {
        return new Accumulator();
    }

    /** Adds one row; one without an n only says how far time went. */
    public void accumulate(Accumulator accumulator, Long n, Long eventTime, Integer days) {
        if (eventTime == null) {
            return;
        }
        long day = Math.floorDiv(eventTime, DAY_MICROS);
        advance(accumulator, day, days);
        long age = accumulator.newest - day;
        if (n != null && age < days) {
            // Arrays are replaced, never written into: the state may hold the one before.
            long[] sums = Arrays.copyOf(accumulator.sums, days);
            sums[(int) age] += n;
            accumulator.sums = sums;
        }
    }

    @Override
    public String[] getValue(Accumulator accumulator) {
        List<String> told = new ArrayList<>();
        for (int age = 0; age < accumulator.sums.length; age++) {
            if (accumulator.sums[age] > 0) {
                told.add(LocalDate.ofEpochDay(accumulator.newest - age) + "=" + accumulator.sums[age]);
            }
        }
        return told.isEmpty() ? null : told.toArray(new String[0]);
    }

    private static void advance(Accumulator accumulator, long day, int days) {
        if (accumulator.sums.length == 0) {
            accumulator.newest = day;
            accumulator.sums = new long[days];
        } else if (day > accumulator.newest) {
            long[] sums = new long[days];
            int moved = (int) Math.min(days, day - accumulator.newest);
            System.arraycopy(accumulator.sums, 0, sums, moved, days - moved);
            accumulator.newest = day;
            accumulator.sums = sums;
        }
    }
}
