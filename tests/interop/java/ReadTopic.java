import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.agrona.concurrent.UnsafeBuffer;
import pseudofeed.wire.MessageHeaderDecoder;

/** ReadTopic SERVERS TOPIC: all ticks that a topic holds now, in the lines that the readers of docs/wire.md print. */
public final class ReadTopic {
    public static void main(String[] arguments) throws Exception {
        PrintStream out = new PrintStream(System.out, false, "UTF-8");
        System.setOut(out);
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0], "auto.offset.reset", "earliest");
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            consumer.partitionsFor(arguments[1]).forEach(p -> partitions.add(new TopicPartition(p.topic(), p.partition())));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(10))) {
                    read(record.value());
                }
            }
        }
        out.flush();
    }

    private static void read(byte[] message) {
        CRC32 sum = new CRC32();
        sum.update(message, 0, 28);
        sum.update(message, 32, message.length - 32);
        UnsafeBuffer buffer = new UnsafeBuffer(message);
        if ((buffer.getInt(28) & 0xffffffffL) != sum.getValue()) {
            throw new IllegalStateException("checksum");
        }
        int template = new MessageHeaderDecoder().wrap(buffer, 0).templateId();
        if (template == pseudofeed.wire.TickDecoder.TEMPLATE_ID) {
            DocumentedTick.read(message);
        } else {
            DocumentedBlock.read(message);
        }
    }
}
