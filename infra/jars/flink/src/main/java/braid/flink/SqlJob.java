package braid.flink;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.ExplainDetail;
import org.apache.flink.table.api.StatementSet;
import org.apache.flink.table.api.TableEnvironment;

/**
 * Runs rendered SQL as one job, inside the cluster that was asked to run this jar.
 *
 * <p>Arguments: {@code --set key=value}, {@code --view name=features} (a {@link ViewRow} and its {@link ViewRecord}),
 * {@code --made-at ms} (when the job was submitted, which its records say),
 * {@code --sql statement} (DDL, in order), {@code --insert statement} (all of them one job); {@code --explain true} prints the
 * plan with its changelog modes instead.
 */
public final class SqlJob {

    private SqlJob() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, List<String>> given = read(arguments);
        TableEnvironment tables = TableEnvironment.create(settings(given.get("--set")));
        long madeAt = given.get("--made-at").stream().mapToLong(Long::parseLong).max().orElse(0);
        for (String view : given.get("--view")) {
            String[] parts = view.split("=", 2);
            tables.createTemporarySystemFunction(parts[0] + "_row", new ViewRow(parts[1]));
            tables.createTemporarySystemFunction(parts[0] + "_record", new ViewRecord(parts[1], madeAt));
        }
        given.get("--sql").forEach(tables::executeSql);
        StatementSet statements = tables.createStatementSet();
        given.get("--insert").forEach(statements::addInsertSql);
        if (given.get("--explain").isEmpty()) {
            statements.execute();
        } else {
            System.out.println(statements.explain(ExplainDetail.CHANGELOG_MODE));
        }
    }

    private static Map<String, List<String>> read(String[] arguments) {
        Map<String, List<String>> given = new HashMap<>();
        for (String name : List.of("--set", "--view", "--made-at", "--sql", "--insert", "--explain")) {
            given.put(name, new ArrayList<>());
        }
        for (int n = 0; n + 1 < arguments.length; n += 2) {
            List<String> values = given.get(arguments[n]);
            if (values == null) {
                throw new IllegalArgumentException(arguments[n] + ": give one of " + given.keySet());
            }
            values.add(arguments[n + 1]);
        }
        return given;
    }

    private static EnvironmentSettings settings(List<String> pairs) {
        Configuration configuration = new Configuration();
        for (String pair : pairs) {
            String[] parts = pair.split("=", 2);
            configuration.setString(parts[0], parts[1]);
        }
        return EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build();
    }
}
