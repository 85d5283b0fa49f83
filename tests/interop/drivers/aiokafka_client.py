"""aiokafka: see README.md of this folder for the commands."""
import asyncio
import sys
import time

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

bootstrap, command, topic, *rest = sys.argv[1:]


def say(*words):
    print(*words, flush=True)


async def produce(count, pause):
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, acks="all",
                                request_timeout_ms=30000)
    await producer.start()
    for first in range(0, count, 10):
        waiting = [await producer.send(topic, key=b"k%d" % (n % 17), value=b"%d" % n)
                   for n in range(first, min(first + 10, count))]
        for one in waiting:
            await one
        await asyncio.sleep(pause / 1000)
    await producer.stop()
    say("acked", count)


class Listener(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        pass

    async def on_partitions_assigned(self, assigned):
        say("assigned", sorted(p.partition for p in assigned))


async def consume(group, idle):
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest",
                                session_timeout_ms=6000, heartbeat_interval_ms=500,
                                auto_commit_interval_ms=200)
    consumer.subscribe([topic], listener=Listener())
    await consumer.start()
    last = time.monotonic()
    while time.monotonic() - last < idle:
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                say("v", record.value.decode())
                last = time.monotonic()
    await consumer.stop()
    say("done")


async def admin(group):
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 3, 3)])
    await asyncio.sleep(1)
    say("partitions", len((await admin.describe_topics([topic]))[0]["partitions"]))
    name = ConfigResource(ConfigResourceType.TOPIC, topic, {"retention.ms": "123456"})
    await admin.alter_configs([name])
    await asyncio.sleep(1)
    answer = (await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))[0]
    say("config", next(row[1] for row in answer.resources[0][4] if row[0] == "retention.ms"))
    await produce(300, 0)
    await asyncio.sleep(0.05)
    middle = int(time.time() * 1000)
    await asyncio.sleep(0.05)
    await produce(300, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    parts = [TopicPartition(topic, n) for n in range(3)]
    found = await consumer.offsets_for_times({part: middle for part in parts})
    say("middle", sum(one.offset for one in found.values()))
    say("end", sum((await consumer.end_offsets(parts)).values()))
    await admin.delete_records({parts[0]: RecordsToDelete(before_offset=5)})
    say("low", (await consumer.beginning_offsets(parts))[parts[0]])
    await consumer.stop()
    say("listed", str(group in [one[0] for one in await admin.list_consumer_groups()]).lower())
    say("group", (await admin.describe_consumer_groups([group]))[0].groups[0][2])
    await admin.delete_topics([topic])
    await asyncio.sleep(1)
    say("deleted", str(topic not in await admin.list_topics()).lower())
    await admin.close()


if command == "produce":
    asyncio.run(produce(int(rest[0]), int(rest[1]) if len(rest) > 1 else 0))
elif command == "consume":
    asyncio.run(consume(rest[0], float(rest[1])))
else:
    asyncio.run(admin(rest[0]))
