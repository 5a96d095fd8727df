// SPDX-License-Identifier: Apache-2.0
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndTimestamp;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a group that uses the Java client; arguments and output as those of tests/compat/member.py.
 *
 * <pre>Member BOOTSTRAP GROUP TOPIC [NAME=VALUE ...]</pre>
 */
public final class Member {
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    private static final Map<String, Class<?>> STRATEGIES = Map.of("range", RangeAssignor.class, "roundrobin",
            RoundRobinAssignor.class, "cooperative", CooperativeStickyAssignor.class);
    private final Map<String, String> options = new HashMap<>();
    private KafkaConsumer<String, String> consumer;
    private String last = "";

    private Properties settings(String bootstrap, String group) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("group.id", group);
        p.put("key.deserializer", StringDeserializer.class.getName());
        p.put("value.deserializer", StringDeserializer.class.getName());
        p.put("auto.offset.reset", "earliest");
        p.put("enable.auto.commit", "false");
        p.put("session.timeout.ms", options.get("session"));
        p.put("heartbeat.interval.ms", "300");
        p.put("fetch.max.wait.ms", "50");
        p.put("partition.assignment.strategy", STRATEGIES.get(options.getOrDefault("strategy", "range")).getName());
        if (options.containsKey("instance")) {
            p.put("group.instance.id", options.get("instance"));
        }
        return p;
    }

    private final class Listener implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            if (!partitions.isEmpty()) {
                OUT.println("revoked");
            }
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            if (options.containsKey("since") && !partitions.isEmpty()) {
                long since = Long.parseLong(options.get("since"));
                Map<TopicPartition, OffsetAndTimestamp> found = consumer.offsetsForTimes(
                        partitions.stream().collect(Collectors.toMap(p -> p, p -> since)));
                found.forEach((partition, at) -> {
                    if (at == null) {
                        consumer.seekToEnd(List.of(partition));
                    } else {
                        consumer.seek(partition, at.offset());
                    }
                });
            }
            tellAssignment();
        }
    }

    private void tellAssignment() {
        String now = "assigned " + consumer.assignment().stream().map(TopicPartition::partition).sorted()
                .map(String::valueOf).collect(Collectors.joining(","));
        if (!now.equals(last)) {
            OUT.println(now);
            last = now;
        }
    }

    private void read() {
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
        tellAssignment();
        for (ConsumerRecord<String, String> r : records) {
            OUT.println("event " + r.partition() + " " + r.offset() + " " + r.value());
        }
        if (!records.isEmpty()) {
            try {
                consumer.commitSync();
            } catch (WakeupException e) {
                throw e;
            } catch (KafkaException e) {
                OUT.println("not committed: " + e.getClass().getSimpleName());
            }
        }
    }

    private void run(String[] args) throws InterruptedException {
        for (int i = 3; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            options.put(pair[0], pair[1]);
        }
        consumer = new KafkaConsumer<>(settings(args[0], args[1]));
        consumer.subscribe(List.of(args[2]), new Listener());
        Thread reader = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            try {
                reader.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            Runtime.getRuntime().halt(0);
        }));
        try {
            while (true) {
                read();
            }
        } catch (WakeupException e) {
            consumer.close();
        }
    }

    public static void main(String[] args) throws Exception {
        new Member().run(args);
    }
}
