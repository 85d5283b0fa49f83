"""The leader is killed every few seconds while an idempotent acks=all producer runs: for 24 s, with
INTEROP_LONG=1 for two minutes, with INTEROP_FAILOVER=SECONDS for so long."""
import os
import time

from harness import LONG, Cluster, check, gregor, need, need_equal_logs, until
from cluster import Load, need_once_in_order

SECONDS = int(os.environ.get("INTEROP_FAILOVER", 120 if LONG else 24))


@check("failover again and again: kill -9 of the leader every few seconds for %d s under load" %
       SECONDS)
def again_and_again():
    cluster = Cluster("failover").start()
    done = gregor(cluster.bootstrap, "topics", "create", "t", "--partitions", "3", "--replicas",
                  "3", "--config", "min.insync.replicas=2")
    need(done.code == 0, done.errors)
    cluster.wait_isr("t", 3)
    load = Load(cluster.bootstrap, "t", rate=2000)
    end = time.monotonic() + SECONDS
    kills = 0
    while time.monotonic() < end:
        time.sleep(1.5)
        leader = cluster.leader("t", kills % 3)
        need(leader > 0, "partition %d has no leader: %s" % (kills % 3, cluster.describe("t")))
        cluster.nodes[leader].kill()
        kills += 1
        cluster.wait_led("t", 30)
        time.sleep(0.5)
        cluster.nodes[leader].start(40)
        cluster.wait_isr("t", 3)
    need(kills >= 2, "only %d kills" % kills)
    load.end()
    need_once_in_order(cluster, "t", 3, load)
    until("the logs are equal", lambda: need_equal_logs(cluster, "t", 3) is None, 10)
