// The Java client: see README.md of this folder for the commands.
import java.time.Duration;
import java.util.*;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
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
        long[] last = {System.nanoTime() + 60_000_000_000L}; // a minute for the first assignment
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
                    last[0] = System.nanoTime();
                }
            });
            while ((System.nanoTime() - last[0]) / 1e9 < idle) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    System.out.println("v " + record.value());
                    last[0] = System.nanoTime();
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
            produce(300, 0);
            Thread.sleep(50);
            long moment = System.currentTimeMillis();
            Thread.sleep(50);
            produce(300, 0);
            Map<TopicPartition, Long> times = new HashMap<>();
            for (int n = 0; n < 3; n++) times.put(new TopicPartition(topic, n), moment);
            long middle = 0, end = 0;
            for (OffsetAndTimestamp one : consumer.offsetsForTimes(times).values()) middle += one.offset();
            for (long one : consumer.endOffsets(times.keySet()).values()) end += one;
            System.out.println("middle " + middle);
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

    static Map<TopicPartitionReplica, String> places(Admin admin, boolean future) throws Exception {
        Map<TopicPartitionReplica, String> found = new HashMap<>();
        List<Integer> brokers = admin.describeCluster().nodes().get().stream().map(node -> node.id()).toList();
        for (var broker : admin.describeLogDirs(brokers).allDescriptions().get().entrySet())
            for (var dir : broker.getValue().entrySet())
                for (var replica : dir.getValue().replicaInfos().entrySet())
                    if (replica.getKey().topic().equals(topic) && replica.getValue().isFuture() == future)
                        found.put(new TopicPartitionReplica(topic, replica.getKey().partition(), broker.getKey()), dir.getKey());
        return found;
    }

    // Every replica of the topic to another directory of its broker.
    static void move() throws Exception {
        try (Admin admin = Admin.create(base())) {
            Map<TopicPartitionReplica, String> wanted = new HashMap<>(), before = places(admin, false);
            for (var one : before.entrySet())
                for (String dir : admin.describeLogDirs(List.of(one.getKey().brokerId())).allDescriptions().get().get(one.getKey().brokerId()).keySet())
                    if (!dir.equals(one.getValue())) wanted.put(one.getKey(), dir);
            System.out.println("replicas " + before.size());
            admin.alterReplicaLogDirs(wanted).all().get();
            Set<TopicPartitionReplica> grew = new HashSet<>();
            for (int n = 0; n < 600 && !wanted.equals(places(admin, false)); n++) {
                var growing = places(admin, true);
                for (var one : growing.entrySet())
                    if (one.getValue().equals(wanted.get(one.getKey()))) grew.add(one.getKey());
                    else throw new Exception(one + " grows where nobody asked for it");
                Thread.sleep(10);
            }
            System.out.println("future " + grew.size());
            System.out.println("moved " + (wanted.equals(places(admin, false)) && places(admin, true).isEmpty()));
            long there = admin.describeReplicaLogDirs(wanted.keySet()).all().get().entrySet().stream().filter(one ->
                one.getValue().getCurrentReplicaLogDir().equals(wanted.get(one.getKey())) && one.getValue().getFutureReplicaLogDir() == null).count();
            System.out.println("there " + there);
            TopicPartitionReplica any = wanted.keySet().iterator().next();
            try {
                admin.alterReplicaLogDirs(Map.of(any, "/no/such/directory")).all().get();
            } catch (java.util.concurrent.ExecutionException error) {
                System.out.println("refused " + error.getCause().getClass().getSimpleName());
            }
        }
    }

    public static void main(String[] words) throws Exception {
        bootstrap = words[0];
        topic = words[2];
        switch (words[1]) {
            case "produce" -> produce(Integer.parseInt(words[3]), words.length > 4 ? Integer.parseInt(words[4]) : 0);
            case "consume" -> consume(words[3], Double.parseDouble(words[4]));
            case "move" -> move();
            default -> admin(words[3]);
        }
    }
}
