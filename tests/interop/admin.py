"""The admin surface as foreign clients use it: settings, partitions, deleted records."""
import socket
import struct

from harness import check, gregor, kcat, need, need_equal, need_python_kafka, PYTHON, run, single

SETTINGS = """
import sys
from kafka.admin import KafkaAdminClient, ConfigResource, ConfigResourceType, NewPartitions
admin = KafkaAdminClient(bootstrap_servers=sys.argv[1])
topic = ConfigResource(ConfigResourceType.TOPIC, "t")
def values(resource):
    found = {}
    for answer in admin.describe_configs([resource]):
        for result in answer.resources:
            assert result[0] == 0, result
            for config in result[4]:
                found[config[0]] = config[1]
    return found
print(values(topic)["retention.ms"], values(topic)["cleanup.policy"])
print(admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, "t",
                                          {"retention.ms": "1234"})]).resources[0][0])
print(values(topic)["retention.ms"])
print(values(ConfigResource(ConfigResourceType.BROKER, "1"))["min.insync.replicas"])
admin.create_partitions({"t": NewPartitions(4)})
print(len(admin.describe_topics(["t"])[0]["partitions"]))
"""


@check("python3-kafka: describe_configs, alter_configs, create_partitions")
def settings():
    need_python_kafka()
    node = single("settings-python").start()
    need_equal(gregor(node.address, "topics", "create", "t").code, 0, "create")
    done = run([PYTHON, "-c", SETTINGS, node.address])
    need_equal(done.text.split(), ["604800000", "delete", "0", "1234", "1", "4"],
               "answers (%s)" % done.errors.strip()[-300:])


def delete_records(node, topic, partition, offset):
    """DeleteRecords 0; (low watermark, error)."""
    name = topic.encode()
    body = struct.pack(">hhih", 21, 0, 7, -1)
    body += struct.pack(">ih", 1, len(name)) + name
    body += struct.pack(">iiqi", 1, partition, offset, 5000)
    with socket.create_connection(("127.0.0.1", node.port), 10) as link:
        link.settimeout(10)
        link.sendall(struct.pack(">i", len(body)) + body)
        answer = b""
        while len(answer) < 4 or len(answer) < 4 + struct.unpack(">i", answer[:4])[0]:
            more = link.recv(4096)
            need(more, "the connection was closed")
            answer += more
    low, error = struct.unpack(">qh", answer[-10:])
    return low, error


@check("DeleteRecords: the log start moves, is told, and survives a restart")
def records():
    node = single("delete-records").start()
    need_equal(gregor(node.address, "topics", "create", "t").code, 0, "create")
    gregor(node.address, "produce", "t", "--partition", "0",
           stdin=b"".join(b"%d\n" % n for n in range(100)))
    need_equal(delete_records(node, "t", 0, 40), (40, 0), "to 40")
    need_equal(delete_records(node, "t", 0, 10), (40, 0), "nothing comes back")
    need_equal(delete_records(node, "t", 0, 101), (-1, 1), "above the high watermark")
    need_equal(delete_records(node, "t", 7, 1)[1], 3, "no such partition")
    first = kcat("-b", node.address, "-t", "t", "-p", "0", "-C", "-o", "beginning", "-e", "-q")
    need_equal(first.text.split()[0], "40", "the first record")
    node.kill()
    node.start()
    first = kcat("-b", node.address, "-t", "t", "-p", "0", "-C", "-o", "beginning", "-e", "-q")
    need_equal(first.text.split()[0], "40", "the first record after a kill")
    need_equal(delete_records(node, "t", 0, -1), (100, 0), "all")
