package braid.flink;

import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;

/** {@code first_of(value, event_time, event_id)}: the value of the first row by (event_time, event_id); NULL without any. */
@FunctionHint(
        input = {@DataTypeHint("STRING"), @DataTypeHint("BIGINT"), @DataTypeHint("STRING")},
        accumulator = @DataTypeHint(bridgedTo = Edge.Accumulator.class),
        output = @DataTypeHint("STRING"))
public class FirstOf extends Edge {
    private static final long serialVersionUID = 1L;

    @Override
    protected boolean replaces(Placed given, Placed held) {
        return held.isNewerThan(given);
    }
}
