import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import org.agrona.concurrent.UnsafeBuffer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import pseudofeed.wire.FactorBlockDecoder;
import pseudofeed.test.ProbeBlockDecoder;
import pseudofeed.wire.MessageHeaderDecoder;
import pseudofeed.wire.StatePartDecoder;
import pseudofeed.wire.TickBlockDecoder;
import pseudofeed.wire.TickDecoder;

/** ReadTopics SERVERS TOPIC...: all that the topics hold now, one after the other, in lines as docs/wire.md prints them. */
public final class ReadTopics {
    public static void main(String[] arguments) {
        PrintStream out = new PrintStream(System.out, false);
        System.setOut(out);
        Map<String, Object> settings = Map.of("bootstrap.servers", arguments[0]);
        try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            for (int i = 1; i < arguments.length; i++) {
                readTopic(consumer, arguments[i]);
            }
        }
        out.flush();
    }

    private static void readTopic(KafkaConsumer<byte[], byte[]> consumer, String topic) {
        List<TopicPartition> partitions = new ArrayList<>();
        consumer.partitionsFor(topic).forEach(p -> partitions.add(new TopicPartition(p.topic(), p.partition())));
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        while (ends.entrySet().stream().anyMatch(end -> consumer.position(end.getKey()) < end.getValue())) {
            for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofSeconds(10))) {
                readMessage(record.value());
            }
        }
    }

    private static void readMessage(byte[] message) {
        CRC32 sum = new CRC32();
        sum.update(message, 0, 28);
        sum.update(message, 32, message.length - 32);
        UnsafeBuffer buffer = new UnsafeBuffer(message);
        if ((buffer.getInt(28) & 0xffffffffL) != sum.getValue()) {
            throw new IllegalStateException("a damaged message");
        }
        switch (new MessageHeaderDecoder().wrap(buffer, 0).templateId()) {
            case TickBlockDecoder.TEMPLATE_ID -> DocumentedBlock.read(message);
            case TickDecoder.TEMPLATE_ID -> DocumentedTick.read(message);
            case FactorBlockDecoder.TEMPLATE_ID -> readFactors(buffer);
            case StatePartDecoder.TEMPLATE_ID -> readState(buffer);
            case ProbeBlockDecoder.TEMPLATE_ID -> readProbes(buffer);
            default -> throw new IllegalStateException("an unknown message");
        }
    }

    private static void readProbes(UnsafeBuffer message) {
        ProbeBlockDecoder block = new ProbeBlockDecoder();
        block.wrapAndApplyHeader(message, 0, new pseudofeed.test.MessageHeaderDecoder());
        long first = block.firstSequence();
        System.out.println("block " + first + " " + block.steps() + " " + block.firstEvent() + " " + block.more());
        for (ProbeBlockDecoder.EventsDecoder event : block.events()) {
            System.out.println((first + event.step()) + " " + event.number() + " " + event.eventNumber() + " " + event.time()
                + " " + event.level() + " " + event.size() + " " + event.side() + " " + event.label());
        }
    }

    private static void readState(UnsafeBuffer message) {
        StatePartDecoder state = new StatePartDecoder();
        state.wrapAndApplyHeader(message, 0, new MessageHeaderDecoder());
        System.out.println("state " + state.sequence() + " " + state.stateVersion() + " " + state.keySet() + " "
            + state.part() + " " + state.parts());
        for (StatePartDecoder.OffsetsDecoder place : state.offsets()) {
            long partition = place.topicPartition(), offset = place.offset();
            System.out.println("offset " + place.topic() + " " + partition + " " + offset);
        }
        for (StatePartDecoder.ArraysDecoder array : state.arrays()) {
            String type = array.arrayType().name();
            long length = array.length(), first = array.first();
            String name = array.arrayName();
            byte[] values = new byte[array.valuesLength()];
            array.getValues(values, 0, values.length);
            System.out.println("array " + name + " " + type + " " + length + " " + first + " "
                + HexFormat.of().formatHex(values));
        }
    }

    private static void readFactors(UnsafeBuffer message) {
        FactorBlockDecoder block = new FactorBlockDecoder();
        block.wrapAndApplyHeader(message, 0, new MessageHeaderDecoder());
        long first = block.firstSequence();
        int factors = (int) block.factors();
        List<Long> times = new ArrayList<>();
        block.steps().forEach(step -> times.add(step.time()));
        FactorBlockDecoder.ValuesDecoder values = block.values();
        for (int k = 0; values.hasNext(); k++) {
            values.next();
            System.out.println((first + k / factors) + " " + k % factors + " " + times.get(k / factors)
                + " " + values.increment() + " " + values.level());
        }
    }
}
