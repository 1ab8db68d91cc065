package braid.flink;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonGenerator;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.io.SerializedString;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.catalog.DataTypeFactory;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.functions.AggregateFunction;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.inference.InputTypeStrategies;
import org.apache.flink.table.types.inference.TypeInference;
import org.apache.flink.table.types.inference.TypeStrategies;

/**
 * {@code <view>_row(event_name, event_time, event_id, columns …)}: the row of a view over its events, all features at once.
 *
 * <p>One aggregate instead of one a feature: an event touches the features that count it and no others, and the state is one
 * object, which Flink keeps without converting it. The row is a JSON object of {@code newest_event_time}, {@code events_seen}
 * and the features, written once and not touched again on its way to Kafka; {@link ViewRecord} adds the keys.
 */
public final class ViewRow extends AggregateFunction<byte[], RowState> {
    private static final long serialVersionUID = 1L;
    private static final JsonFactory JSON = new JsonFactory();

    private final String json;
    private transient Plan plan;

    /** Of the view that {@code json} describes (see {@link ViewSpec}). */
    public ViewRow(String json) {
        this.json = json;
    }

    /** The aggregates of all features, and by the name of an event those that count it. */
    private static final class Plan {
        final List<Aggregate> aggregates = new ArrayList<>();
        final List<ViewSpec.Feature> features;
        /** Encoded once: there are forty in each row. */
        final List<SerializedString> names;
        final Map<String, int[]> byEvent = new HashMap<>();
        final int[] ofEvery;
        final long[] empty;
        final int parts;

        Plan(ViewSpec spec) {
            features = spec.features();
            names = features.stream().map(feature -> new SerializedString(feature.name())).toList();
            List<Long> numbers = new ArrayList<>();
            int others = 0;
            for (ViewSpec.Feature feature : features) {
                boolean text = feature.column() >= 0 && spec.columns().get(feature.column()).equals("STRING");
                Aggregate aggregate = Aggregate.of(feature, text, 0);
                boolean isNumber = aggregate.isNumber();
                aggregates.add(Aggregate.of(feature, text, isNumber ? numbers.size() : others));
                if (isNumber) {
                    numbers.add(aggregate.empty());
                } else {
                    others++;
                }
            }
            empty = numbers.stream().mapToLong(Long::longValue).toArray();
            parts = others;
            ofEvery = counting(null);
            features.stream().flatMap(feature -> feature.events().stream()).distinct()
                    .forEach(name -> byEvent.put(name, counting(name)));
        }

        private int[] counting(String name) {
            int[] found = new int[features.size()];
            int n = 0;
            for (int at = 0; at < found.length; at++) {
                List<String> events = features.get(at).events();
                if (events.isEmpty() || events.contains(name)) {
                    found[n++] = at;
                }
            }
            return Arrays.copyOf(found, n);
        }
    }

    @Override
    public void open(FunctionContext context) {
        plan = new Plan(ViewSpec.read(json));
    }

    @Override
    public RowState createAccumulator() {
        return new RowState(plan.empty.clone(), new Object[plan.parts]);
    }

    /** Adds one event. */
    public void accumulate(RowState state, StringData name, Long time, StringData id, Object... columns) {
        Event event = new Event(name, time, id, columns);
        state.newest = Math.max(state.newest, time);
        state.seen++;
        for (int at : plan.byEvent.getOrDefault(event.name, plan.ofEvery)) {
            ViewSpec.Feature feature = plan.features.get(at);
            if (time >= feature.from() && event.meets(feature.where())) {
                plan.aggregates.get(at).add(state, event);
            }
        }
    }

    @Override
    public byte[] getValue(RowState state) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(1024);
        try (JsonGenerator row = JSON.createGenerator(bytes)) {
            row.writeStartObject();
            row.writeNumberField("newest_event_time", state.newest);
            row.writeNumberField("events_seen", state.seen);
            for (int at = 0; at < plan.features.size(); at++) {
                plan.aggregates.get(at).write(plan.names.get(at), state, row);
            }
            row.writeEndObject();
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
        return bytes.toByteArray();
    }

    @Override
    public TypeInference getTypeInference(DataTypeFactory types) {
        ViewSpec spec = ViewSpec.read(json);
        List<DataType> arguments = new ArrayList<>(List.of(type("STRING"), type("BIGINT"), type("STRING")));
        spec.columns().forEach(column -> arguments.add(type(column)));
        DataType state = DataTypes.RAW(RowState.class, RowStateSerializer.INSTANCE);
        return TypeInference.newBuilder()
                .inputTypeStrategy(InputTypeStrategies.explicitSequence(arguments.toArray(DataType[]::new)))
                .accumulatorTypeStrategy(call -> Optional.of(state))
                .outputTypeStrategy(TypeStrategies.explicit(DataTypes.BYTES()))
                .build();
    }

    private static DataType type(String name) {
        return name.equals("BIGINT") ? DataTypes.BIGINT() : DataTypes.STRING().bridgedTo(StringData.class);
    }
}
