package braid.flink;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.util.List;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonFactory;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.core.JsonGenerator;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.InputGroup;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.ScalarFunction;

/** {@code <view>_record(row, keys …)}: a row as {@link ViewRow} writes it with its keys before it, in one JSON object. */
public final class ViewRecord extends ScalarFunction {
    private static final long serialVersionUID = 1L;
    private static final JsonFactory JSON = new JsonFactory();

    private final String json;
    private final long madeAt;
    private transient List<String> names;

    /**
     * Of the view that {@code json} describes (see {@link ViewSpec}).
     *
     * @param madeAt when the job was submitted, epoch ms
     */
    public ViewRecord(String json, long madeAt) {
        this.json = json;
        this.madeAt = madeAt;
    }

    @Override
    public void open(FunctionContext context) {
        names = ViewSpec.read(json).keys();
    }

    public byte[] eval(byte[] row, @DataTypeHint(inputGroup = InputGroup.ANY) Object... keys) throws IOException {
        ByteArrayOutputStream record = new ByteArrayOutputStream(row.length + 128);
        try (JsonGenerator start = JSON.createGenerator(record)) {
            start.disable(JsonGenerator.Feature.AUTO_CLOSE_JSON_CONTENT);
            start.writeStartObject();
            start.writeNumberField("made_at", madeAt);
            for (int at = 0; at < keys.length; at++) {
                if (keys[at] instanceof Long number) {
                    start.writeNumberField(names.get(at), number);
                } else {
                    start.writeStringField(names.get(at), (String) keys[at]);
                }
            }
        }
        record.write(',');
        record.write(row, 1, row.length - 1);
        return record.toByteArray();
    }
}
