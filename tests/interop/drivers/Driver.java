// The Java client: see README.md of this folder for the commands.
import java.time.Duration;
import java.util.*;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

public class Driver {
    static String bootstrap, topic;

    static Properties base() {
        Properties made = new Properties();
        made.put("bootstrap.servers", bootstrap);
        for (String side : new String[] {"key", "value"}) {
            made.put(side + ".serializer", "org.apache.kafka.common.serialization.StringSerializer");
            made.put(side + ".deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        }
        return made;
    }

    static void produce(int count, int pause) throws Exception {
        Properties config = base();
        config.put("enable.idempotence", "true");
        try (Producer<String, String> producer = new KafkaProducer<>(config)) {
            List<Future<RecordMetadata>> waiting = new ArrayList<>();
            for (int n = 0; n < count; n++) {
                waiting.add(producer.send(new ProducerRecord<>(topic, "k" + n % 17, "" + n)));
                if (pause > 0 && n % 10 == 9) Thread.sleep(pause);
            }
            for (Future<RecordMetadata> one : waiting) one.get();
        }
        System.out.println("acked " + count);
    }

    static void consume(String group, double idle) {
        Properties config = base();
        config.put("group.id", group);
        config.put("auto.offset.reset", "earliest");
        config.put("session.timeout.ms", "6000");
        config.put("heartbeat.interval.ms", "500");
        config.put("auto.commit.interval.ms", "200");
        if (System.getenv("GROUP_PROTOCOL") != null) {
            config.put("group.protocol", System.getenv("GROUP_PROTOCOL"));
            config.remove("session.timeout.ms");
            config.remove("heartbeat.interval.ms");
        }
        try (Consumer<String, String> consumer = new KafkaConsumer<>(config)) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                public void onPartitionsRevoked(Collection<TopicPartition> parts) {}
                public void onPartitionsAssigned(Collection<TopicPartition> parts) {
                    System.out.println("assigned " + parts);
                }
            });
            long last = System.nanoTime();
            while ((System.nanoTime() - last) / 1e9 < idle) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    System.out.println("v " + record.value());
                    last = System.nanoTime();
                }
            }
        }
        System.out.println("done");
    }

    static void admin(String group) throws Exception {
        try (Admin admin = Admin.create(base()); Consumer<String, String> consumer = new KafkaConsumer<>(base())) {
            admin.createTopics(List.of(new NewTopic(topic, 3, (short) 3))).all().get();
            Thread.sleep(1000);
            System.out.println("partitions "
                + admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size());
            ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
            admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(
                new ConfigEntry("retention.ms", "123456"), AlterConfigOp.OpType.SET)))).all().get();
            Thread.sleep(1000); // any broker answers, once it has heard
            System.out.println("config "
                + admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value());
            long before = System.currentTimeMillis();
            produce(300, 0);
            Map<TopicPartition, Long> times = new HashMap<>();
            for (int n = 0; n < 3; n++) times.put(new TopicPartition(topic, n), before - 1000);
            long first = 0, end = 0;
            for (OffsetAndTimestamp one : consumer.offsetsForTimes(times).values()) if (one != null) first += one.offset();
            for (long one : consumer.endOffsets(times.keySet()).values()) end += one;
            System.out.println("first " + first);
            System.out.println("end " + end);
            TopicPartition part = new TopicPartition(topic, 0);
            admin.deleteRecords(Map.of(part, RecordsToDelete.beforeOffset(5))).all().get();
            System.out.println("low " + consumer.beginningOffsets(List.of(part)).get(part));
            boolean listed = admin.listConsumerGroups().all().get().stream().anyMatch(one -> one.groupId().equals(group));
            System.out.println("listed " + listed);
            String state = admin.describeConsumerGroups(List.of(group)).all().get().get(group).groupState().toString();
            System.out.println("group " + state);
            admin.deleteTopics(List.of(topic)).all().get();
            Thread.sleep(1000);
            System.out.println("deleted " + !admin.listTopics().names().get().contains(topic));
        }
    }

    public static void main(String[] words) throws Exception {
        bootstrap = words[0];
        topic = words[2];
        switch (words[1]) {
            case "produce" -> produce(Integer.parseInt(words[3]), words.length > 4 ? Integer.parseInt(words[4]) : 0);
            case "consume" -> consume(words[3], Double.parseDouble(words[4]));
            default -> admin(words[3]);
        }
    }
}
