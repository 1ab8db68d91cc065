package braid.flink;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonProcessingException;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.JsonNode;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

/**
 * What {@code contracts.feature_flink} says of a view: its key, the columns its features read, and each feature's aggregate.
 *
 * @param keys names of the key's columns
 * @param columns their types, "STRING" or "BIGINT", in the order of the function's arguments
 */
record ViewSpec(List<String> keys, List<String> columns, List<Feature> features) {

    /** A column that must hold this text. */
    record Where(int column, String value) {}

    /**
     * One stored feature.
     *
     * @param column what it aggregates, -1 for the events themselves
     * @param size k, or days
     * @param switchColumn of settings, the column that says how; {@code on} is the text that switches on, {@code clears} the one
     *     that forgets all that was set before
     * @param events names of the events that count; empty for all
     * @param from events before it (epoch µs) do not count
     */
    record Feature(
            String name,
            String aggregate,
            int column,
            int size,
            int switchColumn,
            String on,
            String clears,
            List<String> events,
            List<Where> where,
            long from) {}

    static ViewSpec read(String json) {
        try {
            JsonNode tree = new ObjectMapper().readTree(json);
            List<Feature> features = new ArrayList<>();
            tree.get("features").forEach(feature -> features.add(feature(feature)));
            return new ViewSpec(texts(tree.get("keys")), texts(tree.get("columns")), features);
        } catch (JsonProcessingException error) {
            throw new IllegalArgumentException("no view: " + json, error);
        }
    }

    private static Feature feature(JsonNode node) {
        List<Where> where = new ArrayList<>();
        node.get("where").forEach(pair -> where.add(new Where(pair.get(0).asInt(), pair.get(1).asText())));
        return new Feature(
                node.get("name").asText(),
                node.get("aggregate").asText(),
                node.path("column").asInt(-1),
                node.path("size").asInt(0),
                node.path("switch").asInt(-1),
                node.path("on").asText(""),
                node.path("clears").asText(""),
                texts(node.get("events")),
                where,
                node.path("from").asLong(Long.MIN_VALUE));
    }

    private static List<String> texts(JsonNode nodes) {
        List<String> texts = new ArrayList<>();
        nodes.forEach(node -> texts.add(node.asText()));
        return texts;
    }
}
