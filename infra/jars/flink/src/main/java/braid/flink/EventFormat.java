package braid.flink;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.configuration.ConfigOptions;
import org.apache.flink.configuration.ReadableConfig;
import org.apache.flink.formats.json.JsonFormatFactory;
import org.apache.flink.metrics.Counter;
import org.apache.flink.table.connector.ChangelogMode;
import org.apache.flink.table.connector.format.DecodingFormat;
import org.apache.flink.table.connector.source.DynamicTableSource;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.DeserializationFormatFactory;
import org.apache.flink.table.factories.DynamicTableFactory;
import org.apache.flink.table.types.DataType;
import org.apache.flink.util.Collector;

/**
 * The format {@code braid-json}: Flink's JSON, except that what cannot be read is counted, in the metric {@code unreadable}.
 *
 * <p>The door has validated every event, so such a record has passed by it. It must not stop the job, and it must not
 * disappear: Flink's own {@code ignore-parse-errors} drops it without a word. A record without one of the columns in {@code
 * braid-json.required} is unreadable too.
 */
public final class EventFormat implements DeserializationFormatFactory {
    private static final ConfigOption<List<String>> REQUIRED =
            ConfigOptions.key("required").stringType().asList().noDefaultValue();

    @Override
    public String factoryIdentifier() {
        return "braid-json";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Set.of(REQUIRED);
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Set.of();
    }

    @Override
    public DecodingFormat<DeserializationSchema<RowData>> createDecodingFormat(
            DynamicTableFactory.Context context, ReadableConfig options) {
        DecodingFormat<DeserializationSchema<RowData>> json =
                new JsonFormatFactory().createDecodingFormat(context, new org.apache.flink.configuration.Configuration());
        List<String> required = options.get(REQUIRED);
        return new DecodingFormat<>() {
            @Override
            public DeserializationSchema<RowData> createRuntimeDecoder(
                    DynamicTableSource.Context source, DataType columns) {
                List<String> names = DataType.getFieldNames(columns);
                int[] places = required.stream().mapToInt(names::indexOf).toArray();
                if (Arrays.stream(places).anyMatch(place -> place < 0)) {
                    throw new IllegalArgumentException("braid-json.required names a column that is not read: " + required);
                }
                return new Reader(json.createRuntimeDecoder(source, columns), places);
            }

            @Override
            public ChangelogMode getChangelogMode() {
                return json.getChangelogMode();
            }
        };
    }

    private static final class Reader implements DeserializationSchema<RowData> {
        private static final long serialVersionUID = 1L;

        private final DeserializationSchema<RowData> json;
        private final int[] required;
        private transient Counter unreadable;

        Reader(DeserializationSchema<RowData> json, int[] required) {
            this.json = json;
            this.required = required;
        }

        @Override
        public void open(InitializationContext context) throws Exception {
            json.open(context);
            unreadable = context.getMetricGroup().counter("unreadable");
        }

        @Override
        public void deserialize(byte[] record, Collector<RowData> out) {
            RowData row = read(record);
            if (row == null) {
                unreadable.inc();
            } else {
                out.collect(row);
            }
        }

        @Override
        public RowData deserialize(byte[] record) {
            return read(record);
        }

        /** The event; null where it is none. */
        private RowData read(byte[] record) {
            List<RowData> found = new ArrayList<>(1);
            try {
                json.deserialize(record, new Found(found));
            } catch (IOException | RuntimeException error) {
                return null;
            }
            // A JSON array is read as so many rows.
            if (found.size() != 1 || found.get(0) == null) {
                return null;
            }
            RowData row = found.get(0);
            return Arrays.stream(required).noneMatch(row::isNullAt) ? row : null;
        }

        @Override
        public boolean isEndOfStream(RowData row) {
            return false;
        }

        @Override
        public TypeInformation<RowData> getProducedType() {
            return json.getProducedType();
        }
    }

    private record Found(List<RowData> rows) implements Collector<RowData> {
        @Override
        public void collect(RowData row) {
            rows.add(row);
        }

        @Override
        public void close() {}
    }
}
