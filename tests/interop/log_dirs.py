"""AlterReplicaLogDirs (KIP-113) as Apache Kafka asks for it: by the Admin of the Java client, and by
kafka-reassign-partitions.sh; three brokers with two directories each, under load."""
import json
import os

import apache
from clients import Driver, java_client, records_in
from harness import WORK, Cluster, check, gregor, need, need_equal, run, until

TOOL = "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"


def said(done):
    need(done.code == 0, "ended with %d: %s" % (done.code, (done.text + done.errors)[-600:]))
    return dict(line.split(" ", 1) for line in done.text.splitlines() if " " in line)


def tool(cluster, *arguments):
    done = run(["java", "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp",
                apache.need_kafka(), TOOL, "--bootstrap-server", cluster.bootstrap] +
               list(arguments), limit=90)
    need(done.code == 0, "the tool ended with %d: %s" % (done.code,
                                                         (done.text + done.errors)[-600:]))
    return done.text


def holders(cluster, partition):
    """Where on the disks each node has the partition; a copy that grows and what is thrown away have
    other names."""
    return {node: [place for place in cluster.log_dirs(node, 2)
                   if os.path.isdir(os.path.join(place, "t-%d" % partition))]
            for node in cluster.brokers}


@check("the Java client: AlterReplicaLogDirs under load, DescribeLogDirs tells the copy and the new place; "
       "kafka-reassign-partitions.sh moves back")
def moves():
    driver = java_client()
    cluster = Cluster("log-dirs", directories=2).start()
    done = gregor(cluster.bootstrap, "topics", "create", "t", "--partitions", "3", "--replicas", "3",
                  "--config", "min.insync.replicas=2")
    need_equal(done.code, 0, "create")
    cluster.wait_isr("t", 3)
    load = Driver(driver + [cluster.bootstrap, "produce", "t", "15000", "20"], "dirs-load")
    try:
        until("some records are there", lambda: records_in(cluster, "t") > 500, 40, 0.2)
        before = [holders(cluster, n) for n in range(3)]
        got = said(run(driver + [cluster.bootstrap, "move", "t"], limit=90))
        for name, value in (("replicas", "9"), ("moved", "true"), ("there", "9"),
                            ("refused", "LogDirNotFoundException")):
            need_equal(got.get(name), value, name)
        after = [holders(cluster, n) for n in range(3)]
        for n in range(3):
            for node in cluster.brokers:
                need_equal(sorted(before[n][node] + after[n][node]), cluster.log_dirs(node, 2),
                           "where node %d had and has t-%d" % (node, n))
        back = os.path.join(WORK, "dirs.json")
        with open(back, "w") as out:
            json.dump({"version": 1, "partitions": [
                {"topic": "t", "partition": n, "replicas": replicas,
                 "log_dirs": [before[n][node][0] for node in replicas]}
                for n, (_, replicas, _) in cluster.describe("t").items()]}, out)
        text = tool(cluster, "--reassignment-json-file", back, "--execute")
        need_equal(text.count("Successfully started moving log directory to"), 9, "moves begun")

        def verified():
            text = tool(cluster, "--reassignment-json-file", back, "--verify")
            return text.count("completed successfully") >= 9
        until("the tool finds all moved", verified, 60, 0.5)
        need_equal([holders(cluster, n) for n in range(3)], before, "where all is again")
        load.end(120)
    finally:
        load.kill()
    cluster.nodes[2].kill()
    cluster.nodes[2].start()
    cluster.wait_isr("t", 3)
    need_equal([holders(cluster, n) for n in range(3)], before, "where all is after a kill")
    done = gregor(cluster.bootstrap, "consume", "t", "--from", "beginning", "--exit-at-end")
    values = [int(line) for line in done.text.split()]
    need_equal(sorted(values), list(range(15000)), "records")
    for key in range(17):
        mine = [n for n in values if n % 17 == key]
        need_equal(mine, sorted(mine), "order of key %d" % key)
