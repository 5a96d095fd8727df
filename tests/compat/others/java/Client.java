// SPDX-License-Identifier: Apache-2.0
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The Java client of the compatibility tests; arguments and output as those of the Go one, and:
 *
 * <pre>Client admin BOOTSTRAP TOPIC    goes through a topic's life and prints "ok"</pre>
 */
public final class Client {
    private static final long PATIENCE_S = 60;

    /** What the file of security.go means to this client. */
    private static void security(Properties p) throws Exception {
        String file = System.getenv("COMPAT_SECURITY");
        if (file == null) {
            return;
        }
        Properties given = new Properties();
        try (var in = Files.newBufferedReader(Path.of(file))) {
            given.load(in);
        }
        String mechanism = given.getProperty("mechanism");
        p.put("security.protocol", mechanism == null ? "SSL" : "SASL_SSL");
        p.put("ssl.truststore.type", "PEM");
        p.put("ssl.truststore.location", given.getProperty("ca"));
        if (given.getProperty("pair") != null) {
            p.put("ssl.keystore.type", "PEM");
            p.put("ssl.keystore.location", given.getProperty("pair"));
        }
        if (mechanism != null) {
            p.put("sasl.mechanism", mechanism);
            p.put("sasl.jaas.config", "org.apache.kafka.common.security."
                    + (mechanism.equals("PLAIN") ? "plain.PlainLoginModule" : "scram.ScramLoginModule") + " required username=\""
                    + given.getProperty("user") + "\" password=\"" + given.getProperty("password") + "\";");
        }
    }

    static Properties settings(String bootstrap) throws Exception {
        Properties p = new Properties();
        security(p);
        p.put("bootstrap.servers", bootstrap);
        p.put("key.serializer", StringSerializer.class.getName());
        p.put("value.serializer", StringSerializer.class.getName());
        p.put("key.deserializer", StringDeserializer.class.getName());
        p.put("value.deserializer", StringDeserializer.class.getName());
        return p;
    }

    private static void produce(String bootstrap, String topic, String codec) throws Exception {
        Properties p = settings(bootstrap);
        p.put("compression.type", codec);
        p.put("linger.ms", "20");
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p);
                BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line; (line = in.readLine()) != null;) {
                int tab = line.indexOf('\t');
                sent.add(producer.send(new ProducerRecord<>(topic, 0, line.substring(0, tab), line.substring(tab + 1))));
                if (sent.get(sent.size() - 1).isDone()) { // refused before it was sent: so would all be, one after another
                    sent.get(sent.size() - 1).get();
                }
            }
            producer.flush();
            for (Future<RecordMetadata> one : sent) {
                one.get();
            }
        }
    }

    private static void consume(String bootstrap, String topic, int count) throws Exception {
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        long deadline = System.nanoTime() + PATIENCE_S * 1_000_000_000L;
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings(bootstrap))) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            while (count > 0 && System.nanoTime() < deadline) {
                for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(200))) {
                    if (count-- > 0) {
                        out.println(r.offset() + "\t" + r.key() + "\t" + r.value());
                    }
                }
            }
        }
        out.flush();
        check(count <= 0, "the events did not arrive in time");
    }

    private static void check(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }

    private static void admin(String bootstrap, String topic) throws Exception {
        try (Admin admin = Admin.create(settings(bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, 2, (short) 1))).all().get();
            check(admin.listTopics().names().get().contains(topic), "listed");
            var described = admin.describeTopics(Set.of(topic)).allTopicNames().get().get(topic);
            check(described.partitions().size() == 2 && described.partitions().get(0).leader().id() == 1, "described");
            admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
            check(admin.describeTopics(Set.of(topic)).allTopicNames().get().get(topic).partitions().size() == 4, "grown");
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            ConfigEntry entry = new ConfigEntry("retention.ms", "777000");
            admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(entry, AlterConfigOp.OpType.SET))))
                    .all().get();
            check(admin.describeConfigs(Set.of(resource)).all().get().get(resource).get("retention.ms").value()
                    .equals("777000"), "altered");
            TopicPartition partition = new TopicPartition(topic, 3);
            check(admin.listOffsets(Map.of(partition, OffsetSpec.latest())).partitionResult(partition).get().offset() == 0,
                    "offsets");
            check(admin.describeCluster().nodes().get().size() == 1, "cluster");
            admin.deleteTopics(List.of(topic)).all().get();
            check(!admin.listTopics().names().get().contains(topic), "deleted");
        }
        System.out.println("ok");
    }

    public static void main(String[] args) throws Exception {
        switch (args[0]) {
            case "produce" -> produce(args[1], args[2], args[3]);
            case "consume" -> consume(args[1], args[2], Integer.parseInt(args[3]));
            default -> admin(args[1], args[2]);
        }
    }
}
