import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringSerializer;

/** ProduceKeys SERVERS TOPIC: a record for each line of the input, its key; prints where the default partitioner put it. */
public final class ProduceKeys {
    public static void main(String[] arguments) throws Exception {
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0]);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            for (String key = input.readLine(); key != null; key = input.readLine()) {
                sent.add(producer.send(new ProducerRecord<>(arguments[1], key, "")));
            }
        }
        StringBuilder partitions = new StringBuilder();
        for (Future<RecordMetadata> record : sent) {
            partitions.append(record.get().partition()).append('\n');
        }
        System.out.print(partitions);
    }
}
