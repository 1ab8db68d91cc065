package braid.flink;

import org.apache.flink.table.annotation.ArgumentHint;
import org.apache.flink.table.annotation.ArgumentTrait;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.annotation.StateHint;
import org.apache.flink.table.functions.ProcessTableFunction;
import org.apache.flink.types.Row;

/**
 * {@code first_of_each(event => TABLE … PARTITION BY visitor_id, era => …, on_time => DESCRIPTOR(rowtime))}: lets each event of
 * a visitor pass once, the first with its event_id, in the order of arrival. The table's first two columns are event_id and
 * received_time; an era is how long an id is known at least, in µs of received time. {@code on_time} keeps the time an attribute
 * behind it; late rows pass all the same (since Flink 2.3).
 *
 * <p>ROW_NUMBER() partitioned by (visitor_id, event_id) would do the same, but spreads the events of one visitor
 * over subtasks, and its mini-batches forget their order. Here the partition is the visitor, so that a row with
 * events_seen = n is always made of the first n events in offset order.
 */
@FunctionHint(output = @DataTypeHint("ROW<first BOOLEAN>"))
public class FirstOfEach extends ProcessTableFunction<Row> {
    private static final long serialVersionUID = 1L;
    private static final Row FIRST = Row.of(true);

    /** Of one visitor. */
    public static class State {
        @DataTypeHint(value = "RAW", bridgedTo = SeenIds.class, rawSerializer = SeenIds.Serializer.class)
        public SeenIds seen;
    }

    public void eval(
            @StateHint State state,
            @ArgumentHint(
                            name = "event",
                            value = {ArgumentTrait.SET_SEMANTIC_TABLE, ArgumentTrait.PASS_COLUMNS_THROUGH})
                    Row event,
            @ArgumentHint(name = "era") Long era) {
        if (state.seen == null) {
            state.seen = new SeenIds();
        }
        if (state.seen.add(SeenIds.bitsOf(event.getFieldAs(0)), event.<Long>getFieldAs(1) / era)) {
            collect(FIRST);
        }
    }
}
