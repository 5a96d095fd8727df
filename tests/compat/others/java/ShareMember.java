// SPDX-License-Identifier: Apache-2.0
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * A member of a share group that uses the Java client.
 *
 * <pre>ShareMember BOOTSTRAP GROUP TOPIC [NAME=VALUE ...]</pre>
 *
 * mode=implicit or explicit; pause=MS after each event; records=N most events of a poll; group.NAME=VALUE settings of
 * the group, made before it joins; any other name is a setting of the consumer. In explicit mode the value of an event
 * says what becomes of it: "release N ..." is released until its delivery N, "reject ..." rejected, "keep ..." kept and
 * never acknowledged, "renew MS ..." renewed for so long and then accepted, and anything else accepted.
 *
 * Lines of output: "ready", "event PARTITION OFFSET DELIVERY VALUE", and after each commit "done OFFSET VALUE" for those
 * accepted or rejected, or "failed NAME".
 */
public final class ShareMember {
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    private final Map<String, String> options = new HashMap<>();
    private KafkaShareConsumer<String, String> consumer;
    private boolean explicit;
    private final Map<Long, Long> renewed = new HashMap<>();
    private final List<ConsumerRecord<String, String>> finished = new ArrayList<>();

    private Properties settings(String bootstrap, String group) {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("group.id", group);
        p.put("key.deserializer", StringDeserializer.class.getName());
        p.put("value.deserializer", StringDeserializer.class.getName());
        p.put("share.acknowledgement.mode", options.getOrDefault("mode", "implicit"));
        p.put("max.poll.records", options.getOrDefault("records", "500"));
        options.forEach((name, value) -> {
            if (!List.of("mode", "records", "pause", "session").contains(name) && !name.startsWith("group.")) {
                p.put(name, value);
            }
        });
        return p;
    }

    private void configure(String bootstrap, String group) throws Exception {
        List<AlterConfigOp> changes = new ArrayList<>();
        options.forEach((name, value) -> {
            if (name.startsWith("group.")) {
                changes.add(new AlterConfigOp(new ConfigEntry(name.substring(6), value), AlterConfigOp.OpType.SET));
            }
        });
        if (!changes.isEmpty()) {
            try (Admin admin = Admin.create(Map.of("bootstrap.servers", (Object) bootstrap))) {
                admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, group), changes))
                        .all().get();
            }
        }
    }

    /** What an event asks for, in explicit mode; returns whether it is finished then. */
    private boolean settle(ConsumerRecord<String, String> r) throws InterruptedException {
        String[] words = r.value().split(" ");
        int delivery = r.deliveryCount().map(Short::intValue).orElse(0);
        switch (words[0]) {
            case "release" -> {
                boolean again = delivery < Integer.parseInt(words[1]);
                consumer.acknowledge(r, again ? AcknowledgeType.RELEASE : AcknowledgeType.ACCEPT);
                return !again;
            }
            case "reject" -> consumer.acknowledge(r, AcknowledgeType.REJECT);
            case "keep" -> {
                return false;
            }
            case "renew" -> {
                long since = renewed.computeIfAbsent(r.offset(), offset -> System.nanoTime());
                if (System.nanoTime() - since < Long.parseLong(words[1]) * 1_000_000) {
                    Thread.sleep(300);
                    consumer.acknowledge(r, AcknowledgeType.RENEW); /* the next poll brings it again */
                    return false;
                }
                consumer.acknowledge(r, AcknowledgeType.ACCEPT);
            }
            default -> consumer.acknowledge(r, AcknowledgeType.ACCEPT);
        }
        return true;
    }

    private void commit() {
        Map<TopicIdPartition, Optional<KafkaException>> results = consumer.commitSync();
        boolean fine = true;
        for (Optional<KafkaException> result : results.values()) {
            if (result.isPresent()) {
                OUT.println("failed " + result.get().getClass().getSimpleName());
                fine = false;
            }
        }
        if (fine) {
            finished.forEach(r -> OUT.println("done " + r.offset() + " " + r.value()));
        }
        finished.clear();
    }

    private void read() throws InterruptedException {
        ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(500));
        boolean keeps = false;
        for (ConsumerRecord<String, String> r : records) {
            OUT.println("event " + r.partition() + " " + r.offset() + " " + r.deliveryCount().orElse((short) 0) + " "
                    + r.value());
            Thread.sleep(Long.parseLong(options.getOrDefault("pause", "0")));
            if (!explicit || settle(r)) {
                finished.add(r);
            }
            keeps = keeps || (explicit && r.value().startsWith("keep"));
        }
        if (keeps) {
            Thread.sleep(Long.MAX_VALUE); /* explicit mode allows no further poll */
        }
        if (!records.isEmpty()) {
            commit();
        }
    }

    private void run(String[] args) throws Exception {
        for (int i = 3; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            options.put(pair[0], pair[1]);
        }
        explicit = "explicit".equals(options.get("mode"));
        configure(args[0], args[1]);
        consumer = new KafkaShareConsumer<>(settings(args[0], args[1]));
        consumer.subscribe(List.of(args[2]));
        Thread reader = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            consumer.wakeup();
            reader.interrupt();
            try {
                reader.join();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
            Runtime.getRuntime().halt(0);
        }));
        OUT.println("ready");
        try {
            while (true) {
                read();
            }
        } catch (WakeupException | InterruptedException | org.apache.kafka.common.errors.InterruptException e) {
            Thread.interrupted();
            consumer.close();
        }
    }

    public static void main(String[] args) throws Exception {
        new ShareMember().run(args);
    }
}
