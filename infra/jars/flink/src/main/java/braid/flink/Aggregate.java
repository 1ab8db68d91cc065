package braid.flink;

import java.io.IOException;
import java.time.LocalDate;
import java.util.Arrays;
import java.util.stream.IntStream;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonGenerator;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.SerializableString;

/**
 * One stored feature over the events of a row: what it keeps of them, and its value. Each is a function of the set of its
 * events, and none takes one back. What they mean stands in {@code contracts.features.declare}.
 */
abstract class Aggregate {
    private static final long DAY_MICROS = 86_400_000_000L;

    final int column;
    final int slot;

    private Aggregate(int column, int slot) {
        this.column = column;
        this.slot = slot;
    }

    /** Takes an event that the feature counts. */
    abstract void add(RowState state, Event event);

    /** The value: a Long, a String, or a {@code String[]}; null without any. */
    abstract Object value(RowState state);

    /** Writes name and value. */
    final void write(SerializableString name, RowState state, JsonGenerator json) throws IOException {
        Object value = value(state);
        json.writeFieldName(name);
        if (value == null) {
            json.writeNull();
        } else if (value instanceof Long number) {
            json.writeNumber(number);
        } else if (value instanceof String text) {
            json.writeString(text);
        } else {
            json.writeArray((String[]) value, 0, ((String[]) value).length);
        }
    }

    /** Whether it keeps a number, in {@link RowState#numbers}; else a part. */
    boolean isNumber() {
        return false;
    }

    /** What an empty number is. */
    long empty() {
        return 0;
    }

    static Aggregate of(ViewSpec.Feature feature, boolean text, int slot) {
        int column = feature.column();
        return switch (feature.aggregate()) {
            case "count" -> new Count(column, slot);
            case "sum" -> new Sum(column, slot);
            case "min" -> text ? new BestText(column, slot, -1) : new Best(column, slot, -1);
            case "max" -> text ? new BestText(column, slot, 1) : new Best(column, slot, 1);
            case "distinct" -> new Distinct(column, slot);
            case "first" -> new End(column, slot, false);
            case "last" -> new End(column, slot, true);
            case "last_k" -> new LastK(column, slot, feature.size());
            case "top_k" -> new Top(column, slot, feature.size());
            case "top_count" -> new Top(column, slot, 0);
            case "by_day" -> new ByDay(column, slot, feature.size());
            case "switched" -> new Switched(feature, slot);
            default -> throw new IllegalArgumentException(feature.name() + ": no aggregate " + feature.aggregate());
        };
    }

    private static String[] texts(String[] values) {
        return values.length == 0 ? null : values;
    }

    private static String[] textsOf(Placed[] list) {
        String[] values = new String[list.length];
        for (int at = 0; at < list.length; at++) {
            values[at] = list[at].value;
        }
        return texts(values);
    }

    /** {@code list} with {@code given} at its place, at most {@code k} long; the list itself where it has none. */
    private static Placed[] inserted(Placed[] list, Placed given, int k) {
        int place = 0;
        while (place < list.length && !given.isNewerThan(list[place])) {
            place++;
        }
        if (place >= k) {
            return list;
        }
        Placed[] changed = Arrays.copyOf(list, Math.min(list.length + 1, k));
        System.arraycopy(list, place, changed, place + 1, changed.length - place - 1);
        changed[place] = given;
        return changed;
    }

    private abstract static class Number extends Aggregate {
        Number(int column, int slot) {
            super(column, slot);
        }

        @Override
        boolean isNumber() {
            return true;
        }

        @Override
        Object value(RowState state) {
            return state.numbers[slot] == RowState.ABSENT ? null : state.numbers[slot];
        }
    }

    private static final class Count extends Number {
        Count(int column, int slot) {
            super(column, slot);
        }

        @Override
        void add(RowState state, Event event) {
            if (column < 0 || event.has(column)) {
                state.numbers[slot]++;
            }
        }
    }

    private static final class Sum extends Number {
        Sum(int column, int slot) {
            super(column, slot);
        }

        @Override
        void add(RowState state, Event event) {
            if (event.has(column)) {
                state.numbers[slot] += event.number(column);
            }
        }
    }

    /** The least (sign -1) or greatest (1) number. */
    private static final class Best extends Number {
        private final int sign;

        Best(int column, int slot, int sign) {
            super(column, slot);
            this.sign = sign;
        }

        @Override
        long empty() {
            return RowState.ABSENT;
        }

        @Override
        void add(RowState state, Event event) {
            if (event.has(column)) {
                long held = state.numbers[slot];
                long given = event.number(column);
                if (held == RowState.ABSENT || sign * Long.compare(given, held) > 0) {
                    state.numbers[slot] = given;
                }
            }
        }
    }

    private static final class BestText extends Aggregate {
        private final int sign;

        BestText(int column, int slot, int sign) {
            super(column, slot);
            this.sign = sign;
        }

        @Override
        void add(RowState state, Event event) {
            if (event.has(column)) {
                String given = event.text(column);
                String held = (String) state.parts[slot];
                if (held == null || sign * Placed.compare(given, held) > 0) {
                    state.parts[slot] = given;
                }
            }
        }

        @Override
        Object value(RowState state) {
            return state.parts[slot];
        }
    }

    private static final class Distinct extends Aggregate {
        Distinct(int column, int slot) {
            super(column, slot);
        }

        @Override
        void add(RowState state, Event event) {
            if (!event.has(column)) {
                return;
            }
            String[] held = state.parts[slot] == null ? new String[0] : (String[]) state.parts[slot];
            int place = Arrays.binarySearch(held, event.text(column));
            if (place < 0) {
                String[] more = Arrays.copyOf(held, held.length + 1);
                System.arraycopy(held, -place - 1, more, -place, held.length + place + 1);
                more[-place - 1] = event.text(column);
                state.parts[slot] = more;
            }
        }

        @Override
        Object value(RowState state) {
            return state.parts[slot] == null ? 0L : (long) ((String[]) state.parts[slot]).length;
        }
    }

    /** The value of the first or the last event. */
    private static final class End extends Aggregate {
        private final boolean last;

        End(int column, int slot, boolean last) {
            super(column, slot);
            this.last = last;
        }

        @Override
        void add(RowState state, Event event) {
            if (event.has(column)) {
                Placed given = event.placed(event.text(column), false);
                Placed held = (Placed) state.parts[slot];
                if (held == null || (last ? given.isNewerThan(held) : held.isNewerThan(given))) {
                    state.parts[slot] = given;
                }
            }
        }

        @Override
        Object value(RowState state) {
            return state.parts[slot] == null ? null : ((Placed) state.parts[slot]).value;
        }
    }

    private static final class LastK extends Aggregate {
        private final int k;

        LastK(int column, int slot, int k) {
            super(column, slot);
            this.k = k;
        }

        @Override
        void add(RowState state, Event event) {
            if (event.has(column)) {
                Placed[] held = state.parts[slot] == null ? new Placed[0] : (Placed[]) state.parts[slot];
                state.parts[slot] = inserted(held, event.placed(event.text(column), false), k);
            }
        }

        @Override
        Object value(RowState state) {
            return state.parts[slot] == null ? null : textsOf((Placed[]) state.parts[slot]);
        }
    }

    /** The k most frequent values, or with k = 0 how often the most frequent one occurs. */
    private static final class Top extends Aggregate {
        private final int k;

        Top(int column, int slot, int k) {
            super(column, slot);
            this.k = k;
        }

        @Override
        void add(RowState state, Event event) {
            if (event.has(column)) {
                if (state.parts[slot] == null) {
                    state.parts[slot] = new Tally(new String[0], new long[0]);
                }
                ((Tally) state.parts[slot]).add(event.text(column));
            }
        }

        @Override
        Object value(RowState state) {
            Tally tally = (Tally) state.parts[slot];
            if (k == 0) {
                return tally == null ? 0L : tally.most();
            }
            return tally == null ? null : texts(tally.top(k));
        }
    }

    /** Sums by day, over the days that end with the day of the row's newest event. */
    private static final class ByDay extends Aggregate {
        private final int days;

        ByDay(int column, int slot, int days) {
            super(column, slot);
            this.days = days;
        }

        @Override
        void add(RowState state, Event event) {
            long n = column < 0 ? 1 : event.has(column) ? event.number(column) : 0;
            if (n != 0) {
                Days held = state.parts[slot] == null ? new Days(new long[0], new long[0]) : (Days) state.parts[slot];
                held.add(Math.floorDiv(event.time, DAY_MICROS), n);
                held.forget(Math.floorDiv(state.newest, DAY_MICROS) - days);
                state.parts[slot] = held;
            }
        }

        @Override
        Object value(RowState state) {
            if (state.parts[slot] == null) {
                return null;
            }
            Days held = (Days) state.parts[slot];
            long oldest = Math.floorDiv(state.newest, DAY_MICROS) - days;
            return texts(IntStream.range(0, held.days.length)
                    .filter(at -> held.days[at] > oldest && held.sums[at] > 0)
                    .mapToObj(at -> LocalDate.ofEpochDay(held.days[at]) + "=" + held.sums[at])
                    .toArray(String[]::new));
        }
    }

    /**
     * Of the k values that were set last those whose newest setting is on, and newer than what clears. A value that was forgotten had a setting older than
     * all k kept ones, so an even older one of it would not be among them either.
     */
    private static final class Switched extends Aggregate {
        private final int switchColumn;
        /** The value of what clears: no value is empty. */
        private static final String CLEARED = "";

        private final String on;
        private final String clears;
        private final int k;

        Switched(ViewSpec.Feature feature, int slot) {
            super(feature.column(), slot);
            this.switchColumn = feature.switchColumn();
            this.on = feature.on();
            this.clears = feature.clears();
            this.k = feature.size();
        }

        @Override
        void add(RowState state, Event event) {
            if (!event.has(column)) {
                return;
            }
            String how = event.has(switchColumn) ? event.text(switchColumn) : "";
            Placed given = event.placed(how.equals(clears) ? CLEARED : event.text(column), how.equals(on));
            Placed[] held = state.parts[slot] == null ? new Placed[0] : (Placed[]) state.parts[slot];
            for (Placed setting : held) {
                if (setting.value.equals(given.value) && standsBefore(setting, given)) {
                    return;
                }
            }
            Placed[] others =
                    Arrays.stream(held).filter(one -> !one.value.equals(given.value)).toArray(Placed[]::new);
            state.parts[slot] = inserted(others, given, k);
        }

        /** Of two settings of a value at one place, on. */
        private static boolean standsBefore(Placed setting, Placed given) {
            return setting.isNewerThan(given) || !given.isNewerThan(setting) && setting.on;
        }

        @Override
        Object value(RowState state) {
            if (state.parts[slot] == null) {
                return null;
            }
            Placed[] held = (Placed[]) state.parts[slot];
            return textsOf(Arrays.stream(held)
                    .takeWhile(setting -> !setting.value.equals(CLEARED))
                    .filter(setting -> setting.on)
                    .toArray(Placed[]::new));
        }
    }
}
