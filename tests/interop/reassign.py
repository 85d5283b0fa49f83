"""gregor cluster reassign against real processes, under load: the words, files and exit codes of
kafka-reassign-partitions.sh. And a broker that is gone is unregistered."""
import json
import os
import re

from harness import Cluster, check, gregor, need, need_equal, need_equal_logs, until
from cluster import Load, need_once_in_order


def plan_file(cluster, name, plan):
    path = os.path.join(cluster.directory, name)
    with open(path, "w") as out:
        json.dump(plan, out)
    return path


def reassign(cluster, *arguments, code=0):
    done = gregor(cluster.bootstrap, "cluster", "reassign", *arguments, limit=60)
    need(done.code == code, "reassign %s: %d, not %d: %s%s" %
         (" ".join(arguments), done.code, code, done.text, done.errors))
    return done


def finished(cluster, path):
    done = reassign(cluster, "verify", "--file", path)
    return "still in progress" not in done.text and done.text


@check("cluster reassign: generate, execute with a throttle, verify, cancel, list, under load")
def moves():
    cluster = Cluster("reassign", brokers=4, controllers=1).start()
    done = gregor(cluster.bootstrap, "topics", "create", "t", "--partitions", "3", "--replicas",
                  "2", "--config", "min.insync.replicas=2")
    need(done.code == 0, done.errors)
    cluster.wait_isr("t", 2)
    load = Load(cluster.bootstrap, "t", rate=2000)
    topics = plan_file(cluster, "topics.json", {"version": 1, "topics": [{"topic": "t"}]})
    lines = reassign(cluster, "generate", "--topics", topics, "--brokers", "3,4").text.split("\n")
    need_equal([lines[0], lines[3]], ["Current partition replica assignment",
                                      "Proposed partition reassignment configuration"], "words")
    before, plan = json.loads(lines[1]), json.loads(lines[4])
    need_equal([sorted(part["replicas"]) for part in plan["partitions"]], [[3, 4]] * 3, "proposed")
    need_equal([part["log_dirs"] for part in plan["partitions"]], [["any", "any"]] * 3, "log_dirs")
    path = plan_file(cluster, "plan.json", plan)
    done = reassign(cluster, "execute", "--file", path, "--throttle", "50000000")
    need(json.loads(done.text.split("\n")[2]) == before, "what is, for a rollback: " + done.text)
    need("throttle limit was set to 50000000 B/s" in done.text, done.text)
    need("Successfully started partition reassignments for t-0,t-1,t-2" in done.text, done.text)
    text = until("the end of the reassignment", lambda: finished(cluster, path), 40)
    need(text.count("is completed") == 3, text)
    need("Clearing broker-level throttles on brokers" in text, text)
    need("Clearing topic-level throttles on topics t" in text, text)
    need_equal({tuple(sorted(replicas)) for _, replicas, _ in cluster.describe("t").values()},
               {(3, 4)}, "replicas")
    settings = gregor(cluster.bootstrap, "configs", "describe", "topic", "t").text
    need("throttled" not in settings, "settings that stay: " + settings)
    need_equal(reassign(cluster, "list").text, "No partition reassignments found.\n", "list")
    # To a broker that is down it cannot end; then it is taken back.
    cluster.nodes[2].kill()
    path = plan_file(cluster, "away.json", {"version": 1, "partitions": [
        {"topic": "t", "partition": 0, "replicas": [2, 3]}]})
    reassign(cluster, "execute", "--file", path)
    text = reassign(cluster, "list").text
    need(re.search(r"^t-0: replicas: 2,3,4. adding: 2. removing: 4.$", text, re.M), text)
    need("still in progress" in reassign(cluster, "verify", "--file", path).text, "verify")
    done = reassign(cluster, "execute", "--file", path, code=1)
    need("--additional" in done.errors, done.errors)
    text = reassign(cluster, "cancel", "--file", path).text
    need("Successfully cancelled partition reassignments for: t-0" in text, text)
    text = reassign(cluster, "cancel", "--file", path).text
    need("None of the specified partition reassignments are active." in text, text)
    reassign(cluster, "verify", "--file", path, code=1)
    need_equal(sorted(cluster.describe("t")[0][1]), [3, 4], "replicas after going back")
    load.end()
    need_once_in_order(cluster, "t", 3, load)
    until("the logs are equal", lambda: need_equal_logs(cluster, "t", 3) is None, 10)


@check("cluster reassign: wrong files are told with line and column, and change nothing")
def wrong():
    cluster = Cluster("wrongplan", brokers=1).start()
    gregor(cluster.bootstrap, "topics", "create", "t", "--partitions", "1", "--replicas", "1")
    for text, says in (('{"version":1}', '1:1: "partitions"'),
                       ('{"version":2,"partitions":[]}', "1:12: the version is not 1"),
                       ('{"version":1,\n"partitions":[{"topic":"t"}]}', "2:15: "),
                       ('{"version":1,"partitions":[{"topic":"t","partition":0,'
                        '"replicas":[1,1]}]}', "a broker is named twice"),
                       ('{"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[1],'
                        '"log_dirs":["/x"]}]}', 'only "any"'),
                       ("[1,", "1:4: ")):
        path = os.path.join(cluster.directory, "wrong.json")
        with open(path, "w") as out:
            out.write(text)
        done = reassign(cluster, "execute", "--file", path, code=2)
        need(says in done.errors and done.errors.count("\n") == 1, "%s: %s" % (text, done.errors))
    need("--throttle BYTES" in reassign(cluster, "--help").text, "help")
    path = plan_file(cluster, "nobody.json", {"version": 1, "partitions": [
        {"topic": "t", "partition": 0, "replicas": [9]}]})
    done = reassign(cluster, "execute", "--file", path, code=1)
    need("INVALID_REPLICA_ASSIGNMENT" in done.errors, done.errors)
    path = plan_file(cluster, "nothing.json", {"version": 1, "partitions": [
        {"topic": "u", "partition": 0, "replicas": [1]}]})
    need("u-0 does not exist" in reassign(cluster, "verify", "--file", path, code=1).errors, "u")


@check("cluster unregister: a dead broker leaves the cluster, its partitions move")
def unregistered():
    cluster = Cluster("unregister", brokers=3, controllers=1).start()
    done = gregor(cluster.bootstrap, "topics", "create", "t", "--partitions", "2", "--replicas",
                  "2")
    need(done.code == 0, done.errors)
    cluster.wait_isr("t", 2)
    cluster.nodes[3].kill()
    done = gregor(cluster.bootstrap, "cluster", "unregister", "3", limit=60)
    need_equal((done.code, done.text), (0, "Broker 3 is no longer registered.\n"), "unregister")
    done = gregor(cluster.bootstrap, "cluster", "unregister", "3", limit=60)
    need(done.code == 1 and "BROKER_ID_NOT_REGISTERED" in done.errors, done.errors)
    need(gregor(cluster.bootstrap, "cluster", "unregister", "x").code == 2, "a word is no id")
    until("broker 3 is gone", lambda: "Broker: 3" not in
          gregor(cluster.bootstrap, "cluster", "describe").text, 10)
    state = cluster.describe("t")
    need(all(leader != 3 and 3 not in isr for leader, _, isr in state.values()), str(state))
    cluster.nodes[3].start()
    cluster.wait_isr("t", 2)
