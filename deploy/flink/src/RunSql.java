import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs files of Flink SQL in a cluster of this one process.
 *
 * <p>Arguments: {@code key=value} sets an option of Flink, anything else is a file. {@code ${NAME}} in a file is taken from the
 * environment. A statement ends with a semicolon at the end of a line. An INSERT ends with its job: a bounded one when its input
 * is read, an unbounded one when this process is stopped.
 */
public final class RunSql {
    /** What a cluster of one process needs: nothing of it is reachable from elsewhere. Times are written in UTC. */
    private static final Map<String, String> OURS = Map.of(
        "rest.address", "127.0.0.1", "rest.bind-address", "127.0.0.1", "rest.bind-port", "0",
        "jobmanager.bind-host", "127.0.0.1", "taskmanager.bind-host", "127.0.0.1", "taskmanager.host", "127.0.0.1",
        "table.local-time-zone", "UTC");
    private static final Pattern PLACEHOLDER = Pattern.compile("\\$\\{([A-Z_]+)}");
    private static final Pattern SETTING = Pattern.compile("(?i)SET\\s+'([^']+)'\\s*=\\s*'([^']+)'");

    public static void main(String[] arguments) throws Exception {
        Configuration configuration = Configuration.fromMap(OURS);
        List<Path> files = new ArrayList<>();
        for (String argument : arguments) {
            int equals = argument.indexOf('=');
            if (equals > 0) {
                configuration.setString(argument.substring(0, equals), argument.substring(equals + 1));
            } else {
                files.add(Path.of(argument));
            }
        }
        TableEnvironment tables = TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
        for (Path file : files) {
            for (String statement : statements(Files.readString(file))) {
                run(tables, fill(statement, file));
            }
        }
    }

    private static List<String> statements(String text) {
        List<String> found = new ArrayList<>();
        String code = text.replaceAll("(?m)^\\s*--.*$", "");
        for (String statement : code.split(";\\s*(\\n|$)")) {
            if (!statement.isBlank()) {
                found.add(statement.strip());
            }
        }
        return found;
    }

    private static String fill(String statement, Path file) {
        return PLACEHOLDER.matcher(statement).replaceAll(found -> {
            String value = System.getenv(found.group(1));
            if (value == null) {
                throw new IllegalArgumentException(file + ": expected a value of " + found.group(1) + " in the environment");
            }
            return Matcher.quoteReplacement(value);
        });
    }

    private static void run(TableEnvironment tables, String statement) throws Exception {
        Matcher setting = SETTING.matcher(statement);
        if (setting.matches()) {
            tables.getConfig().set(setting.group(1), setting.group(2));
            return;
        }
        TableResult result = tables.executeSql(statement);
        String first = statement.split("\\s+", 2)[0].toUpperCase(Locale.ROOT);
        if (first.equals("INSERT") || first.equals("EXECUTE")) {
            result.await();
        } else if (first.equals("EXPLAIN")) {
            System.out.println(result.collect().next().getField(0));
        }
    }
}
