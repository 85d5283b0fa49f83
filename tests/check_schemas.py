#!/usr/bin/env python3
"""Compares client/wire/schema with Kafka's own message schemas, if a directory of those is there.

usage: check_schemas.py [DIRECTORY...]

For every message and every version that both know: the same fields in the same order, with the same
types, nullability, tags, defaults, and the same rule for versions without the field. Ours may cover
fewer versions. Exit 0: equal or skipped; 1: differences, one per line.
"""
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SCHEMAS = os.path.join(ROOT, "client", "wire", "schema")
DEFAULT = os.path.join(ROOT, "..", "shared", "reference", "kafka-messages")
OWN_TAGS = 10000
SCALARS = {"bool", "int8", "int16", "uint16", "int32", "uint32", "int64", "uuid", "string",
           "bytes", "records"}
# Names that changed between Kafka's releases (KIP-996): old to new.
RENAMED = {"candidateepoch": "replicaepoch", "candidateid": "replicaid",
           "candidatedirectoryid": "replicadirectoryid"}


def squash(name):
    return name.replace("_", "").lower()


def parse_range(text):
    if text is None or text == "none":
        return (1, 0)
    if text.endswith("+"):
        return (int(text[:-1]), 32767)
    first, _, last = text.partition("-")
    return (int(first), int(last or first))


def inside(version, bounds):
    return bounds[0] <= version <= bounds[1]


def normal_default(text):
    """'' for the default of the type."""
    if text is None:
        return ""
    text = str(text)
    if re.fullmatch(r"-?0x[0-9a-fA-F]+", text):
        text = str(int(text, 16))
    return "" if text in ("0", "false", "False") else text.lower()


class Field:
    def __init__(self, name, kind, array, versions):
        self.name, self.kind, self.array, self.versions = squash(name), kind, array, versions
        self.nullable, self.tag, self.default = (1, 0), None, ""
        self.tagged, self.ignorable, self.plain, self.fields = (1, 0), False, False, None


class Message:
    def __init__(self, name, versions, flexible, number):
        self.name, self.versions, self.flexible, self.number = squash(name), versions, flexible, number
        self.fields, self.coordinator = [], False


# ---- ours


def split_lines(path):
    for line in open(path):
        text = line.split("#")[0].rstrip()
        if text:
            yield (len(text) - len(text.lstrip())) // 4, text.split()


def read_field(words):
    kind = words[1]
    array = kind.startswith("[]")
    kind = kind[2:] if array else kind
    field = Field(words[0], kind, array, parse_range(words[2]))
    rest = iter(words[3:])
    for word in rest:
        if word == "null":
            field.nullable = parse_range(next(rest))
        elif word == "tag":
            field.tag, field.tagged = int(next(rest)), field.versions
        elif word == "=":
            field.default = normal_default(next(rest))
        elif word == "ignorable":
            field.ignorable = True
        elif word == "plain":
            field.plain = True
    return field


def read_fields(lines, at, depth, structs):
    fields = []
    while at < len(lines) and lines[at][0] >= depth:
        field = read_field(lines[at][1])
        at += 1
        if field.kind not in SCALARS:
            if at < len(lines) and lines[at][0] > depth:
                field.fields, at = read_fields(lines, at, depth + 1, structs)
                structs[field.kind] = field.fields
            else:
                field.fields = structs[field.kind]
        fields.append(field)
    return fields, at


def read_ours(path):
    lines = list(split_lines(path))
    head = lines[0][1]
    facts = dict(zip(head[2::2], head[3::2]))
    versions = parse_range(facts["serve"])
    flexible = (1, 0) if facts["flexible"] == "never" else (int(facts["flexible"]), 32767)
    number = int(facts.get("key", facts.get("id", -1)))
    messages, at = [], 1
    names = [head[1]] if head[0] != "api" else [head[1] + "_request", head[1] + "_response"]
    for name in names:
        message = Message(name, versions, flexible, number)
        at += 1 if head[0] == "api" else 0
        message.fields, at = read_fields(lines, at, 1, {})
        messages.append(message)
    return messages


# ---- theirs


def read_json(path):
    text = "\n".join(re.sub(r'^((?:[^"/]|"(?:[^"\\]|\\.)*"|/(?!/))*)//.*$', r"\1", line)
                     for line in open(path).read().split("\n"))
    return json.loads(text)


def convert_fields(rows, common):
    fields = []
    for row in rows:
        kind = row["type"]
        array = kind.startswith("[]")
        kind = kind[2:] if array else kind
        field = Field(row["name"], kind, array, parse_range(row.get("versions")))
        field.nullable = parse_range(row.get("nullableVersions"))
        field.tag, field.tagged = int(row.get("tag", -1)), parse_range(row.get("taggedVersions"))
        field.default = normal_default(row.get("default"))
        field.ignorable = row.get("ignorable", False) in (True, "true")
        field.plain = row.get("flexibleVersions") == "none"
        if kind not in SCALARS and kind != "float64":
            field.fields = convert_fields(row["fields"] if "fields" in row else common[kind], common)
        fields.append(field)
    return fields


def rename(fields):
    for field in fields:
        field.name = RENAMED.get(field.name, field.name)
        rename(field.fields or [])


def read_theirs(directories):
    found = {}
    for directory in directories:
        for folder, _, names in sorted(os.walk(directory)):
            for name in sorted(names):
                if not name.endswith(".json"):
                    continue
                path = os.path.join(folder, name)
                data = read_json(path)
                if data.get("validVersions", "none") == "none":
                    continue
                common = {s["name"]: s["fields"] for s in data.get("commonStructs", [])}
                message = Message(data["name"], parse_range(data["validVersions"]),
                                  parse_range(data.get("flexibleVersions", "none")),
                                  data.get("apiKey", -1))
                message.fields = convert_fields(data["fields"], common)
                # A later release numbers the records of coordinators; here they have no number.
                message.coordinator = data.get("type", "").startswith("coordinator-")
                if message.name == "voterequest":
                    rename(message.fields)
                found.setdefault(message.name, []).append((os.path.relpath(path, directory), message))
    return found


# ---- compare


def describe(fields, version):
    """What a version looks like: one line per field, untagged ones in order, then tagged ones."""
    lines = []
    for field in fields:
        if not inside(version, field.versions):
            continue
        tagged = inside(version, field.tagged)
        kind = "struct" if field.fields is not None else field.kind
        text = "%s %s%s%s%s%s%s" % (
            field.name, "[]" if field.array else "", kind,
            " null" if inside(version, field.nullable) else "",
            " tag %s" % field.tag if tagged else "",
            " = %s" % field.default if field.default else "",
            " plain" if field.plain else "")
        children = describe(field.fields, version) if field.fields is not None else []
        lines.append((field.tag if tagged else -1, [text] + ["    " + line for line in children]))
    lines.sort(key=lambda pair: pair[0])  # stable: untagged fields keep their order
    return [line for _, group in lines for line in group]


def absent_rules(fields, version, path=""):
    """Fields that a version lacks: ignorable or not."""
    rules = {}
    for field in fields:
        name = path + field.name
        if not inside(version, field.versions):
            rules[name] = field.ignorable
        elif field.fields is not None:
            rules.update(absent_rules(field.fields, version, name + "."))
    return rules


def without_own(fields):
    """Without fields of our own, which Kafka passes over: tagged, far above its numbers."""
    kept = [f for f in fields if f.tag is None or f.tag < OWN_TAGS]
    for field in kept:
        if field.fields is not None:
            field.fields = without_own(field.fields)
    return kept


def compare(ours, where, theirs):
    problems = []
    ours.fields = without_own(ours.fields)
    if theirs.coordinator:
        # Tagged fields of later releases come without a new version; readers pass them over.
        known = {field.name for field in ours.fields}
        theirs.fields = [f for f in theirs.fields if f.tag in (None, -1) or f.name in known]
    elif theirs.number != -1 and ours.number != theirs.number:
        problems.append("number %d, not %d" % (ours.number, theirs.number))
    for version in range(ours.versions[0], ours.versions[1] + 1):
        if not inside(version, theirs.versions):
            continue
        if inside(version, ours.flexible) != inside(version, theirs.flexible):
            problems.append("v%d: flexible or not" % version)
        left, right = describe(ours.fields, version), describe(theirs.fields, version)
        if left != right:
            for a, b in zip(left + [""] * len(right), right + [""] * len(left)):
                if a != b:
                    problems.append("v%d: ours '%s', theirs '%s'" % (version, a.strip(), b.strip()))
                    break
        mine, other = absent_rules(ours.fields, version), absent_rules(theirs.fields, version)
        for name in sorted(set(mine) & set(other)):
            if mine[name] != other[name]:
                problems.append("v%d: %s ignorable or not" % (version, name))
    return ["%s (%s) %s" % (ours.name, where, problem) for problem in problems]


def main():
    directories = sys.argv[1:] or [DEFAULT]
    directories = [d for d in directories if os.path.isdir(d)]
    if not directories:
        print("check_schemas: skipped, no directory of Kafka's schemas")
        return 0
    theirs = read_theirs(directories)
    problems, compared, versions, alone = [], 0, 0, []
    for folder, _, names in sorted(os.walk(SCHEMAS)):
        for name in sorted(names):
            for ours in read_ours(os.path.join(folder, name)):
                others = theirs.get(ours.name, [])
                seen = set()
                for where, other in others:
                    problems += compare(ours, where, other)
                    seen |= set(range(other.versions[0], other.versions[1] + 1))
                compared += 1 if others else 0
                versions += ours.versions[1] - ours.versions[0] + 1
                for version in range(ours.versions[0], ours.versions[1] + 1):
                    if version not in seen:
                        alone.append("%s v%d" % (ours.name, version))
    for problem in problems:
        print(problem)
    for name in alone:
        print("no counterpart: %s" % name)
    print("check_schemas: %d messages, %d versions compared, %d differences"
          % (compared, versions, len(problems) + len(alone)))
    return 1 if problems or alone else 0


if __name__ == "__main__":
    sys.exit(main())
