"""confluent-kafka (librdkafka): see README.md of this folder for the commands."""
import os
import sys
import time

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

bootstrap, command, topic, *rest = sys.argv[1:]


def say(*words):
    print(*words, flush=True)


def produce(count, pause):
    failed = []
    acked = []

    def told(error, _):
        (acked if error is None else failed).append(error)
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all"})
    for n in range(count):
        producer.produce(topic, key="k%d" % (n % 17), value=str(n), on_delivery=told)
        producer.poll(0)
        if pause and n % 10 == 9:
            producer.flush(30)
            time.sleep(pause / 1000)
    producer.flush(60)
    if failed:
        raise SystemExit("failed: %s" % failed[:3])
    say("acked", len(acked))


def consume(group, idle):
    config = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
              "session.timeout.ms": 6000, "heartbeat.interval.ms": 500, "auto.commit.interval.ms": 200}
    if os.environ.get("GROUP_PROTOCOL"):  # KIP-848: the broker sets the times
        config["group.protocol"] = os.environ["GROUP_PROTOCOL"]
        del config["session.timeout.ms"], config["heartbeat.interval.ms"]
    consumer = Consumer(config)
    consumer.subscribe([topic], on_assign=lambda _, parts: say(
        "assigned", sorted(part.partition for part in parts)))
    last = time.monotonic()
    while time.monotonic() - last < idle:
        message = consumer.poll(0.2)
        if message is not None and message.error() is None:
            say("v", message.value().decode())
            last = time.monotonic()
    consumer.close()
    say("done")


def admin(group):
    client = AdminClient({"bootstrap.servers": bootstrap})
    client.create_topics([NewTopic(topic, 3, 3)])[topic].result(20)
    time.sleep(1)
    say("partitions", len(client.list_topics(topic, timeout=20).topics[topic].partitions))
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, set_config={"retention.ms": "123456"})
    client.alter_configs([resource])[resource].result(20)
    time.sleep(1)  # any broker answers, once it has heard
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    say("config", client.describe_configs([resource])[resource].result(20)["retention.ms"].value)
    produce(300, 0)
    time.sleep(0.05)
    middle = int(time.time() * 1000)
    time.sleep(0.05)
    produce(300, 0)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "none"})
    found = consumer.offsets_for_times([TopicPartition(topic, n, middle) for n in range(3)], 20)
    say("middle", sum(one.offset for one in found))
    marks = [consumer.get_watermark_offsets(TopicPartition(topic, n), 20) for n in range(3)]
    say("end", sum(high for _, high in marks))
    if hasattr(client, "delete_records"):  # not in Debian's 1.7
        part = TopicPartition(topic, 0, 5)
        client.delete_records([part])[part].result(20)
        say("low", consumer.get_watermark_offsets(TopicPartition(topic, 0), 20)[0])
    consumer.close()
    if hasattr(client, "list_consumer_groups"):
        listed = client.list_consumer_groups().result(20).valid
        say("listed", str(group in [one.group_id for one in listed]).lower())
        state = client.describe_consumer_groups([group])[group].result(20).state
        say("group", state.name.capitalize())
    else:
        listed = {one.id: one.state for one in client.list_groups(timeout=20)}
        say("listed", str(group in listed).lower())
        say("group", listed.get(group))
    client.delete_topics([topic])[topic].result(20)
    time.sleep(1)
    say("deleted", str(topic not in client.list_topics(timeout=20).topics).lower())


if command == "produce":
    produce(int(rest[0]), int(rest[1]) if len(rest) > 1 else 0)
elif command == "consume":
    consume(rest[0], float(rest[1]))
else:
    admin(rest[0])
