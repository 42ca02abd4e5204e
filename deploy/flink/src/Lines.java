import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.Admin;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.admin.NewTopic;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.TopicPartition;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.flink.kafka.shaded.org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Topics of lines, for the tests of this folder.
 *
 * <p>{@code create TOPIC PARTITIONS}; {@code delete TOPIC…}; {@code send TOPIC DIR PARTITION:FROM:TO…}: lines FROM to TO (empty: to
 * the end) of {@code DIR/PARTITION.jsonl}, keyed by channel, to that partition; {@code read TOPIC [COUNT SECONDS]}: every value up
 * to the topic's present end, a line each, each partition in order, once there are COUNT or so many seconds have passed. The
 * brokers are named by {@code KAFKA_BOOTSTRAP_SERVERS}.
 */
public final class Lines {
    private static final Pattern CHANNEL = Pattern.compile("\"channel\":\"([^\"]*)\"");

    public static void main(String[] arguments) throws Exception {
        String topic = arguments[1];
        switch (arguments[0]) {
            case "create" -> admin(admin -> admin.createTopics(
                List.of(new NewTopic(topic, Integer.parseInt(arguments[2]), (short) 1))).all().get());
            case "delete" -> admin(admin -> admin.deleteTopics(List.of(arguments).subList(1, arguments.length)).all().get());
            case "send" -> send(topic, Path.of(arguments[2]), List.of(arguments).subList(3, arguments.length));
            case "read" -> read(topic, arguments.length > 2 ? Long.parseLong(arguments[2]) : 0,
                arguments.length > 3 ? Long.parseLong(arguments[3]) : 0);
            default -> throw new IllegalArgumentException("expected create, delete, send or read, got " + arguments[0]);
        }
    }

    private interface Task {
        void on(Admin admin) throws Exception;
    }

    private static Properties properties() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", System.getenv().getOrDefault("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092"));
        return properties;
    }

    private static void admin(Task task) throws Exception {
        try (Admin admin = Admin.create(properties())) {
            task.on(admin);
        }
    }

    private static void send(String topic, Path folder, List<String> parts) throws Exception {
        Properties properties = properties();
        properties.putAll(Map.of("acks", "all", "linger.ms", "5", "batch.size", "131072", "compression.type", "lz4"));
        try (var producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (String part : parts) {
                String[] numbers = part.split(":", 3);
                long from = Long.parseLong(numbers[1]);
                long to = numbers[2].isEmpty() ? Long.MAX_VALUE : Long.parseLong(numbers[2]);
                try (Stream<String> lines = Files.lines(folder.resolve(numbers[0] + ".jsonl"))) {
                    lines.skip(from).limit(to - from).forEach(line -> {
                        Matcher channel = CHANNEL.matcher(line);
                        byte[] key = channel.find() ? channel.group(1).getBytes(UTF_8) : null;
                        producer.send(new ProducerRecord<>(topic, Integer.parseInt(numbers[0]), key, line.getBytes(UTF_8)));
                    });
                }
            }
        }
    }

    private static void read(String topic, long count, long seconds) throws Exception {
        long until = System.nanoTime() + seconds * 1_000_000_000L;
        Properties properties = properties();
        properties.putAll(Map.of("isolation.level", "read_committed", "enable.auto.commit", "false"));
        try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> all = consumer.partitionsFor(topic).stream()
                .map(partition -> new TopicPartition(topic, partition.partition())).toList();
            consumer.assign(all);
            consumer.seekToBeginning(all);
            long found = 0;
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            while (found < count && System.nanoTime() < until
                || all.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(200))) {
                    if (record.value() != null) {
                        System.out.write(record.value());
                        System.out.write('\n');
                        found++;
                    }
                }
            }
            System.out.flush();
        }
    }
}
