package braid.flink;

import java.util.Arrays;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.functions.AggregateFunction;

/**
 * {@code switched_on(value, on, event_time, event_id, k)}: of the k values that were set last those whose newest setting is
 * on, newest first.
 *
 * <p>A function of the set of its rows: a value that was forgotten had a setting older than all k kept ones, so an even
 * older one of it would not be among them either.
 */
@FunctionHint(
        input = {
            @DataTypeHint("STRING"),
            @DataTypeHint("BOOLEAN"),
            @DataTypeHint("BIGINT"),
            @DataTypeHint("STRING"),
            @DataTypeHint("INT")
        },
        accumulator = @DataTypeHint(bridgedTo = SwitchedOn.Accumulator.class),
        output = @DataTypeHint("ARRAY<STRING>"))
public class SwitchedOn extends AggregateFunction<String[], SwitchedOn.Accumulator> {
    private static final long serialVersionUID = 1L;

    /** A value's newest setting; of two at one place, on. */
    public static class Setting extends Placed {
        public boolean on;

        boolean standsBefore(Setting given) {
            return isNewerThan(given) || !given.isNewerThan(this) && on;
        }
    }

    /** The newest settings, newest first, one a value. */
    public static class Accumulator {
        public Setting[] settings = new Setting[0];
    }

    @Override
    public Accumulator createAccumulator() {
        return new Accumulator();
    }

    /** Adds one row; rows without a value are left out. */
    public void accumulate(
            Accumulator accumulator, String value, Boolean on, Long eventTime, String eventId, Integer k) {
        if (value == null || eventTime == null || eventId == null) {
            return;
        }
        Setting given = new Setting();
        given.value = value;
        given.eventTime = eventTime;
        given.eventId = eventId;
        given.on = Boolean.TRUE.equals(on);
        for (Setting held : accumulator.settings) {
            if (held.value.equals(value) && held.standsBefore(given)) {
                return;
            }
        }
        accumulator.settings = inserted(accumulator.settings, given, k);
    }

    @Override
    public String[] getValue(Accumulator accumulator) {
        String[] values =
                Arrays.stream(accumulator.settings).filter(s -> s.on).map(s -> s.value).toArray(String[]::new);
        return values.length == 0 ? null : values;
    }

    private static Setting[] inserted(Setting[] settings, Setting given, int k) {
        Setting[] others =
                Arrays.stream(settings).filter(held -> !held.value.equals(given.value)).toArray(Setting[]::new);
        int place = 0;
        while (place < others.length && others[place].isNewerThan(given)) {
            place++;
        }
        Setting[] changed = new Setting[others.length + 1];
        System.arraycopy(others, 0, changed, 0, place);
        changed[place] = given;
        System.arraycopy(others, place, changed, place + 1, others.length - place);
        return changed.length > k ? Arrays.copyOf(changed, k) : changed;
    }
}
