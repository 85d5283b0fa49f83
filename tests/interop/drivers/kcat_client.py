"""kcat: see README.md of this folder for the commands. What kcat says is put into their words; it dies
with this program."""
import ctypes
import re
import signal
import subprocess
import sys
import threading
import time

bootstrap, command, topic, *rest = sys.argv[1:]


def say(*words):
    print(*words, flush=True)


def kcat(*words, **options):
    return subprocess.Popen(("kcat", "-b", bootstrap) + words, text=True, preexec_fn=lambda: (
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)), **options)  # PR_SET_PDEATHSIG


def ask(*words):
    child = kcat(*words, stdout=subprocess.PIPE)
    text = child.communicate(timeout=30)[0]
    if child.returncode != 0:
        raise SystemExit("kcat %s: %d" % (" ".join(words), child.returncode))
    return text


def produce(count, pause):
    child = kcat("-P", "-t", topic, "-K", ":", "-E", "-X", "enable.idempotence=true", "-X", "acks=all",
                 stdin=subprocess.PIPE)
    for n in range(count):
        child.stdin.write("k%d:%d\n" % (n % 17, n))
        if n % 10 == 9 and pause:
            child.stdin.flush()
            time.sleep(pause / 1000)
    child.stdin.close()
    if child.wait(90) != 0:
        raise SystemExit("kcat -P: %d" % child.returncode)
    say("acked", count)


def consume(group, idle):
    child = kcat("-G", group, topic, "-u", "-E", "-f", "v %s\n", "-X", "auto.offset.reset=earliest",
                 "-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=500",
                 "-X", "auto.commit.interval.ms=200", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    last = [time.monotonic()]

    def read_errors():
        for line in child.stderr:
            found = re.search(r"\bassigned: (.*)", line)
            if found:
                say("assigned", re.findall(r"\[(\d+)\]", found.group(1)))
                last[0] = time.monotonic()

    def read_values():
        for line in child.stdout:
            say(line.strip())
            last[0] = time.monotonic()
    readers = [threading.Thread(target=one, daemon=True) for one in (read_errors, read_values)]
    for reader in readers:
        reader.start()
    while time.monotonic() - last[0] < idle:
        if child.poll() is not None:
            raise SystemExit("kcat -G: %d" % child.returncode)
        time.sleep(0.1)
    child.terminate()
    child.wait(30)
    for reader in readers:
        reader.join(10)
    say("done")


def offsets(moment):
    asked = [word for part in range(3) for word in ("-t", "%s:%d:%d" % (topic, part, moment))]
    return [int(offset) for offset in re.findall(r"offset (-?\d+)", ask("-Q", *asked))]


def admin():
    said = ask("-L", "-t", topic)
    say("metadata", len(re.findall(r"^ +partition \d+", said, re.M)))
    produce(300, 0)
    time.sleep(0.05)
    middle = int(time.time() * 1000)
    time.sleep(0.05)
    produce(300, 0)
    say("middle", sum(offsets(middle)))
    say("end", sum(offsets(-1)))


if command == "produce":
    produce(int(rest[0]), int(rest[1]) if len(rest) > 1 else 0)
elif command == "consume":
    consume(rest[0], float(rest[1]))
else:
    admin()
