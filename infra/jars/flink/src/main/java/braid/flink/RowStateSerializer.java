package braid.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;
import org.apache.flink.types.StringValue;

/** {@link RowState} in snapshots; it describes itself, so one serializer serves every view. */
public final class RowStateSerializer extends TypeSerializerSingleton<RowState> {
    private static final long serialVersionUID = 1L;
    static final RowStateSerializer INSTANCE = new RowStateSerializer();

    private enum Kind {
        NOTHING,
        TEXT,
        PLACED,
        LIST,
        SET,
        TALLY,
        DAYS
    }

    private static final Kind[] KINDS = Kind.values();

    @Override
    public void serialize(RowState state, DataOutputView out) throws IOException {
        out.writeLong(state.newest);
        out.writeLong(state.seen);
        write(state.numbers, out);
        out.writeShort(state.parts.length);
        for (Object part : state.parts) {
            writePart(part, out);
        }
    }

    @Override
    public RowState deserialize(DataInputView in) throws IOException {
        long newest = in.readLong();
        long seen = in.readLong();
        long[] numbers = readLongs(in);
        Object[] parts = new Object[in.readShort()];
        for (int at = 0; at < parts.length; at++) {
            parts[at] = readPart(in);
        }
        RowState state = new RowState(numbers, parts);
        state.newest = newest;
        state.seen = seen;
        return state;
    }

    private static void writePart(Object part, DataOutputView out) throws IOException {
        if (part == null) {
            out.writeByte(Kind.NOTHING.ordinal());
        } else if (part instanceof String text) {
            out.writeByte(Kind.TEXT.ordinal());
            StringValue.writeString(text, out);
        } else if (part instanceof Placed placed) {
            out.writeByte(Kind.PLACED.ordinal());
            write(placed, out);
        } else if (part instanceof Placed[] list) {
            out.writeByte(Kind.LIST.ordinal());
            out.writeInt(list.length);
            for (Placed placed : list) {
                write(placed, out);
            }
        } else if (part instanceof String[] set) {
            out.writeByte(Kind.SET.ordinal());
            write(set, out);
        } else if (part instanceof Tally tally) {
            out.writeByte(Kind.TALLY.ordinal());
            write(tally.values, out);
            write(tally.counts, out);
        } else {
            Days days = (Days) part;
            out.writeByte(Kind.DAYS.ordinal());
            write(days.days, out);
            write(days.sums, out);
        }
    }

    private static Object readPart(DataInputView in) throws IOException {
        return switch (KINDS[in.readByte()]) {
            case NOTHING -> null;
            case TEXT -> StringValue.readString(in);
            case PLACED -> readPlaced(in);
            case LIST -> {
                Placed[] list = new Placed[in.readInt()];
                for (int at = 0; at < list.length; at++) {
                    list[at] = readPlaced(in);
                }
                yield list;
            }
            case SET -> readStrings(in);
            case TALLY -> new Tally(readStrings(in), readLongs(in));
            case DAYS -> new Days(readLongs(in), readLongs(in));
        };
    }

    private static void write(Placed placed, DataOutputView out) throws IOException {
        StringValue.writeString(placed.value, out);
        out.writeLong(placed.eventTime);
        StringValue.writeString(placed.eventId, out);
        out.writeBoolean(placed.on);
    }

    private static Placed readPlaced(DataInputView in) throws IOException {
        return new Placed(StringValue.readString(in), in.readLong(), StringValue.readString(in), in.readBoolean());
    }

    private static void write(String[] values, DataOutputView out) throws IOException {
        out.writeInt(values.length);
        for (String value : values) {
            StringValue.writeString(value, out);
        }
    }

    private static String[] readStrings(DataInputView in) throws IOException {
        String[] values = new String[in.readInt()];
        for (int at = 0; at < values.length; at++) {
            values[at] = StringValue.readString(in);
        }
        return values;
    }

    private static void write(long[] numbers, DataOutputView out) throws IOException {
        out.writeInt(numbers.length);
        for (long number : numbers) {
            out.writeLong(number);
        }
    }

    private static long[] readLongs(DataInputView in) throws IOException {
        long[] numbers = new long[in.readInt()];
        for (int at = 0; at < numbers.length; at++) {
            numbers[at] = in.readLong();
        }
        return numbers;
    }

    @Override
    public boolean isImmutableType() {
        return false;
    }

    @Override
    public RowState createInstance() {
        return new RowState(new long[0], new Object[0]);
    }

    @Override
    public RowState copy(RowState from) {
        return from.copy();
    }

    @Override
    public RowState copy(RowState from, RowState reuse) {
        return from.copy();
    }

    @Override
    public int getLength() {
        return -1;
    }

    @Override
    public RowState deserialize(RowState reuse, DataInputView in) throws IOException {
        return deserialize(in);
    }

    @Override
    public void copy(DataInputView in, DataOutputView out) throws IOException {
        serialize(deserialize(in), out);
    }

    @Override
    public TypeSerializerSnapshot<RowState> snapshotConfiguration() {
        return new Snapshot();
    }

    /** Made by Flink when it reads a snapshot. */
    public static final class Snapshot extends SimpleTypeSerializerSnapshot<RowState> {
        public Snapshot() {
            super(() -> INSTANCE);
        }
    }
}
