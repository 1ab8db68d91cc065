package braid.flink;

import org.apache.flink.table.annotation.ArgumentHint;
import org.apache.flink.table.annotation.ArgumentTrait;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.annotation.StateHint;
import org.apache.flink.table.api.dataview.MapView;
import org.apache.flink.table.functions.ProcessTableFunction;
import org.apache.flink.types.Row;

/**
 * Lets each event of a visitor pass once: the first with its event_id, in the order of arrival.
 *
 * <p>ROW_NUMBER() partitioned by (visitor_id, event_id) would do the same, but spreads the events of one visitor
 * over subtasks, and its mini-batches forget their order. Here the partition is the visitor, so that a row with
 * events_seen = n is always made of the first n events in offset order.
 */
@FunctionHint(output = @DataTypeHint("ROW<first BOOLEAN>"))
public class FirstOfEach extends ProcessTableFunction<Row> {

    private static final Row FIRST = Row.of(true);

    public void eval(
            @StateHint(name = "seen") MapView<String, Boolean> seen,
            @ArgumentHint(
                            name = "event",
                            value = {ArgumentTrait.SET_SEMANTIC_TABLE, ArgumentTrait.PASS_COLUMNS_THROUGH})
                    Row event)
            throws Exception {
        String id = event.getFieldAs("event_id");
        if (!seen.contains(id)) {
            seen.put(id, true);
            collect(FIRST);
        }
    }
}
