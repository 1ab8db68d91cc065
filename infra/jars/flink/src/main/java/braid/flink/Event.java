package braid.flink;

import java.util.List;
import org.apache.flink.table.data.StringData;

/** One event, as a view's features read it: its columns by number, text made a String when it is first asked for. */
final class Event {
    final String name;
    final long time;
    private final StringData id;
    private String idText;
    private final Object[] columns;

    Event(StringData name, long time, StringData id, Object[] columns) {
        this.name = name.toString();
        this.time = time;
        this.id = id;
        this.columns = columns;
    }

    String id() {
        if (idText == null) {
            idText = id.toString();
        }
        return idText;
    }

    boolean has(int column) {
        return columns[column] != null;
    }

    long number(int column) {
        return (Long) columns[column];
    }

    String text(int column) {
        Object value = columns[column];
        if (value instanceof StringData) {
            value = value.toString();
            columns[column] = value;
        }
        return (String) value;
    }

    Placed placed(String value, boolean on) {
        return new Placed(value, time, id(), on);
    }

    /** Whether each of these columns holds its text. */
    boolean meets(List<ViewSpec.Where> conditions) {
        for (ViewSpec.Where condition : conditions) {
            if (!has(condition.column()) || !text(condition.column()).equals(condition.value())) {
                return false;
            }
        }
        return true;
    }
}
