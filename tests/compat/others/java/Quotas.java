// SPDX-License-Identifier: Apache-2.0
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterClientQuotasOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.quota.ClientQuotaFilterComponent;

/**
 * Quotas as a Java program sets and feels them: commands come in, a line each, and the answer to each ends with a line
 * ".". An ENTITY is "user=alice,client-id=app" and the like, a name "*" is the default; a FILTER the same, where the
 * name "?" stands for all of that type. What is refused is answered with its class.
 *
 * <pre>Quotas BOOTSTRAP
 *
 * alter ENTITY LIMIT=VALUE...         without a value: removed; answers "ok"
 * try ENTITY LIMIT=VALUE...           the same, and only looked at
 * describe strict|any [FILTER]        lines "ENTITY LIMIT=VALUE"
 * produce TOPIC CLIENT-ID COUNT SIZE  events one after another; "THROTTLE-AVG-MS ELAPSED-MS"
 * consume TOPIC CLIENT-ID COUNT SIZE  the same of COUNT events
 * connect COUNT                       describes the cluster COUNT times, each by a client of its own; "ok"</pre>
 */
public final class Quotas {
    private static final long PATIENCE_S = 120;

    private static Map<String, String> parts(String said) {
        Map<String, String> parts = new TreeMap<>();
        for (String part : said.split(",")) {
            parts.put(part.substring(0, part.indexOf('=')), part.substring(part.indexOf('=') + 1));
        }
        return parts;
    }

    private static void alter(Admin admin, boolean validateOnly, String entity, List<String> limits) throws Exception {
        Map<String, String> names = new HashMap<>(parts(entity));
        names.replaceAll((type, name) -> name.equals("*") ? null : name);
        List<ClientQuotaAlteration.Op> ops = new ArrayList<>();
        for (String limit : limits) {
            int at = limit.indexOf('=');
            String value = limit.substring(at + 1);
            Double wanted = value.isEmpty() ? null : Double.valueOf(value);
            ops.add(new ClientQuotaAlteration.Op(limit.substring(0, at), wanted));
        }
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(new ClientQuotaEntity(names), ops)),
                new AlterClientQuotasOptions().validateOnly(validateOnly)).all().get();
        System.out.println("ok");
    }

    private static ClientQuotaFilter filter(boolean strict, String said) {
        Collection<ClientQuotaFilterComponent> components = new ArrayList<>();
        for (Map.Entry<String, String> part : (said == null ? Map.<String, String>of() : parts(said)).entrySet()) {
            components.add(switch (part.getValue()) {
                case "*" -> ClientQuotaFilterComponent.ofDefaultEntity(part.getKey());
                case "?" -> ClientQuotaFilterComponent.ofEntityType(part.getKey());
                default -> ClientQuotaFilterComponent.ofEntity(part.getKey(), part.getValue());
            });
        }
        return strict ? ClientQuotaFilter.containsOnly(components) : ClientQuotaFilter.contains(components);
    }

    private static void describe(Admin admin, boolean strict, String said) throws Exception {
        List<String> lines = new ArrayList<>();
        admin.describeClientQuotas(filter(strict, said)).entities().get().forEach((entity, limits) -> {
            List<String> names = new ArrayList<>();
            for (Map.Entry<String, String> part : new TreeMap<>(entity.entries()).entrySet()) {
                names.add(part.getKey() + "=" + (part.getValue() == null ? "*" : part.getValue()));
            }
            limits.forEach((limit, value) -> lines.add(String.join(",", names) + " " + limit + "=" + value));
        });
        lines.stream().sorted().forEach(System.out::println);
    }

    /** The one value of a client's own metric that no topic or node has for itself. */
    private static double metric(Map<MetricName, ? extends Metric> metrics, String name) {
        return metrics.entrySet().stream().filter(entry -> entry.getKey().name().equals(name))
                .mapToDouble(entry -> (Double) entry.getValue().metricValue()).findFirst().orElseThrow();
    }

    private static void print(double throttleMs, long beganNs) {
        System.out.println(throttleMs + " " + (System.nanoTime() - beganNs) / 1_000_000);
    }

    private static void produce(String bootstrap, String topic, String client, int count, int size) throws Exception {
        Properties p = Client.settings(bootstrap);
        p.put("client.id", client);
        p.put("linger.ms", "0");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p)) {
            producer.partitionsFor(topic);
            long began = System.nanoTime();
            for (int i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>(topic, 0, "k", "x".repeat(size))).get();
            }
            print(metric(producer.metrics(), "produce-throttle-time-avg"), began);
        }
    }

    private static void consume(String bootstrap, String topic, String client, int count, int size) throws Exception {
        Properties p = Client.settings(bootstrap);
        p.put("client.id", client);
        p.put("max.partition.fetch.bytes", String.valueOf(2 * size));
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(p)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            consumer.position(partition);
            long began = System.nanoTime();
            int got = 0;
            while (got < count && System.nanoTime() - began < PATIENCE_S * 1_000_000_000L) {
                got += consumer.poll(Duration.ofMillis(200)).count();
            }
            if (got < count) {
                throw new IllegalStateException("only " + got + " events arrived in time");
            }
            print(metric(consumer.metrics(), "fetch-throttle-time-avg"), began);
        }
    }

    private static void connect(String bootstrap, int count) throws Exception {
        for (int i = 0; i < count; i++) {
            try (Admin admin = Admin.create(Client.settings(bootstrap))) {
                admin.describeCluster().nodes().get();
            }
        }
        System.out.println("ok");
    }

    private static void answer(Admin admin, String bootstrap, List<String> said) throws Exception {
        String verb = said.get(0);
        List<String> rest = said.subList(1, said.size());
        switch (verb) {
            case "alter", "try" -> alter(admin, verb.equals("try"), rest.get(0), rest.subList(1, rest.size()));
            case "describe" -> describe(admin, rest.get(0).equals("strict"), rest.size() > 1 ? rest.get(1) : null);
            case "connect" -> connect(bootstrap, Integer.parseInt(rest.get(0)));
            default -> {
                int count = Integer.parseInt(rest.get(2)), size = Integer.parseInt(rest.get(3));
                if (verb.equals("produce")) {
                    produce(bootstrap, rest.get(0), rest.get(1), count, size);
                } else {
                    consume(bootstrap, rest.get(0), rest.get(1), count, size);
                }
            }
        }
    }

    public static void main(String[] args) throws Exception {
        try (Admin admin = Admin.create(Client.settings(args[0]));
                BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line; (line = in.readLine()) != null;) {
                try {
                    answer(admin, args[0], List.of(line.split(" ")));
                } catch (ExecutionException refused) {
                    System.out.println(refused.getCause().getClass().getSimpleName());
                }
                System.out.println(".");
            }
        }
    }
}
