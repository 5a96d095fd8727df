// SPDX-License-Identifier: Apache-2.0
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A producer for topics with streams.
 *
 * <pre>Streams BOOTSTRAP TOPIC    lines "key TAB expected", the latter may be empty; one answer a line:
 *                            "ok OFFSET" or "CLASS MESSAGE"</pre>
 */
public final class Streams {
    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", args[0]);
        p.put("key.serializer", StringSerializer.class.getName());
        p.put("value.serializer", StringSerializer.class.getName());
        p.put("linger.ms", "0");
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(p);
                BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            for (String line; (line = in.readLine()) != null;) {
                int tab = line.indexOf('\t');
                ProducerRecord<String, String> record = new ProducerRecord<>(args[1], line.substring(0, tab), "v");
                if (tab + 1 < line.length()) {
                    record.headers().add("evlog-expected-version",
                            line.substring(tab + 1).getBytes(StandardCharsets.US_ASCII));
                }
                try {
                    RecordMetadata stored = producer.send(record).get();
                    System.out.println("ok " + stored.offset());
                } catch (ExecutionException failed) {
                    Throwable cause = failed.getCause();
                    System.out.println(cause.getClass().getSimpleName() + " " + cause.getMessage());
                }
            }
        }
    }
}
