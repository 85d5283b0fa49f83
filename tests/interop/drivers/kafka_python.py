"""python3-kafka: see README.md of this folder for the commands. Its producer (2.0) knows no
idempotence: what it sends again may be there twice."""
import sys
import time

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic

bootstrap, command, topic, *rest = sys.argv[1:]
servers = bootstrap.split(",")


def say(*words):
    print(*words, flush=True)


def produce(count, pause):
    producer = KafkaProducer(bootstrap_servers=servers, acks="all", retries=100, retry_backoff_ms=200,
                             max_in_flight_requests_per_connection=1)
    for first in range(0, count, 10):
        waiting = [producer.send(topic, key=b"k%d" % (n % 17), value=b"%d" % n)
                   for n in range(first, min(first + 10, count))]
        for one in waiting:
            one.get(60)
        time.sleep(pause / 1000)
    producer.close()
    say("acked", count)


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        say("assigned", sorted(part.partition for part in assigned))


def consume(group, idle):
    consumer = KafkaConsumer(bootstrap_servers=servers, group_id=group, auto_offset_reset="earliest",
                             session_timeout_ms=6000, heartbeat_interval_ms=500,
                             auto_commit_interval_ms=200)
    consumer.subscribe([topic], listener=Listener())
    last = time.monotonic()
    while time.monotonic() - last < idle:
        for records in consumer.poll(200).values():
            for record in records:
                say("v", record.value.decode())
                last = time.monotonic()
    consumer.close()
    say("done")


def admin(group):
    client = KafkaAdminClient(bootstrap_servers=servers)
    client.create_topics([NewTopic(topic, 3, 3)])
    time.sleep(1)
    say("partitions", len(client.describe_topics([topic])[0]["partitions"]))
    client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "123456"})])
    time.sleep(1)  # any broker answers, once it has heard
    answer = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])[0]
    say("config", next(row[1] for row in answer.resources[0][4] if row[0] == "retention.ms"))
    produce(300, 0)
    time.sleep(0.05)
    middle = int(time.time() * 1000)
    time.sleep(0.05)
    produce(300, 0)
    consumer = KafkaConsumer(bootstrap_servers=servers)
    parts = [TopicPartition(topic, n) for n in range(3)]
    found = consumer.offsets_for_times({part: middle for part in parts})
    say("middle", sum(one.offset for one in found.values()))
    say("end", sum(consumer.end_offsets(parts).values()))
    consumer.close()
    say("listed", str(group in [one[0] for one in client.list_consumer_groups()]).lower())
    say("group", client.describe_consumer_groups([group])[0].state)
    client.delete_topics([topic])
    time.sleep(1)
    say("deleted", str(topic not in client.list_topics()).lower())
    client.close()


if command == "produce":
    produce(int(rest[0]), int(rest[1]) if len(rest) > 1 else 0)
elif command == "consume":
    consume(rest[0], float(rest[1]))
else:
    admin(rest[0])
