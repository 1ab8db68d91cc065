package braid.flink;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * The event ids of one visitor, 64 bits each, of this era of received time and the one before; two ids of a visitor share
 * their bits once in about 10<sup>19</sup> pairs.
 *
 * <p>An era is a {@code late_horizon}: an id is known for at least that long after it was received, and for less than twice
 * as long.
 */
public final class SeenIds {
    private static final int SMALLEST = 8;

    private long era = Long.MIN_VALUE;
    private long[] now = new long[0];
    private int size;
    private long[] before = new long[0];

    /** Whether {@code id} is new in {@code eraOfIt}; it is known from then on. */
    boolean add(long id, long eraOfIt) {
        if (eraOfIt > era) {
            before = eraOfIt == era + 1 ? now : new long[0];
            now = new long[0];
            size = 0;
            era = eraOfIt;
        }
        if (find(before, id) >= 0 || find(now, id) >= 0) {
            return false;
        }
        if (3 * (size + 1) > 2 * now.length) {
            now = grown(now);
        }
        now[-find(now, id) - 1] = id;
        size++;
        return true;
    }

    /** 64 bits of an id; 0 means an empty place and is no id. */
    static long bitsOf(String id) {
        long bits = 0xcbf29ce484222325L;
        for (int at = 0; at < id.length(); at++) {
            bits = (bits ^ id.charAt(at)) * 0x100000001b3L;
        }
        bits = (bits ^ bits >>> 32) * 0xd6e8feb86659fd93L;
        bits = (bits ^ bits >>> 32) * 0xd6e8feb86659fd93L;
        bits ^= bits >>> 32;
        return bits == 0 ? 1 : bits;
    }

    /** The place of {@code id} in an open table, or -1 - its free place; -1 in one without places. */
    private static int find(long[] table, long id) {
        if (table.length == 0) {
            return -1;
        }
        int place = (int) id & table.length - 1;
        while (table[place] != 0 && table[place] != id) {
            place = place + 1 & table.length - 1;
        }
        return table[place] == id ? place : -place - 1;
    }

    private static long[] grown(long[] table) {
        long[] larger = new long[Math.max(SMALLEST, 2 * table.length)];
        for (long id : table) {
            if (id != 0) {
                larger[-find(larger, id) - 1] = id;
            }
        }
        return larger;
    }

    private SeenIds copy() {
        SeenIds copy = new SeenIds();
        copy.era = era;
        copy.now = now.clone();
        copy.size = size;
        copy.before = before;
        return copy;
    }

    /** In snapshots: the era, then each table's ids. */
    public static final class Serializer extends TypeSerializerSingleton<SeenIds> {
        private static final long serialVersionUID = 1L;
        static final Serializer INSTANCE = new Serializer();

        @Override
        public void serialize(SeenIds seen, DataOutputView out) throws IOException {
            out.writeLong(seen.era);
            out.writeInt(seen.size);
            write(seen.now, out);
            write(seen.before, out);
        }

        @Override
        public SeenIds deserialize(DataInputView in) throws IOException {
            SeenIds seen = new SeenIds();
            seen.era = in.readLong();
            seen.size = in.readInt();
            seen.now = read(in);
            seen.before = read(in);
            return seen;
        }

        private static void write(long[] table, DataOutputView out) throws IOException {
            out.writeInt(table.length);
            for (long id : table) {
                out.writeLong(id);
            }
        }

        private static long[] read(DataInputView in) throws IOException {
            long[] table = new long[in.readInt()];
            for (int at = 0; at < table.length; at++) {
                table[at] = in.readLong();
            }
            return table;
        }

        @Override
        public boolean isImmutableType() {
            return false;
        }

        @Override
        public SeenIds createInstance() {
            return new SeenIds();
        }

        @Override
        public SeenIds copy(SeenIds from) {
            return from.copy();
        }

        @Override
        public SeenIds copy(SeenIds from, SeenIds reuse) {
            return from.copy();
        }

        @Override
        public int getLength() {
            return -1;
        }

        @Override
        public SeenIds deserialize(SeenIds reuse, DataInputView in) throws IOException {
            return deserialize(in);
        }

        @Override
        public void copy(DataInputView in, DataOutputView out) throws IOException {
            serialize(deserialize(in), out);
        }

        @Override
        public TypeSerializerSnapshot<SeenIds> snapshotConfiguration() {
            return new Snapshot();
        }

        /** Made by Flink when it reads a snapshot. */
        public static final class Snapshot extends SimpleTypeSerializerSnapshot<SeenIds> {
            public Snapshot() {
                super(() -> INSTANCE);
            }
        }
    }
}
