#!/usr/bin/env python3
"""Validates scenario files against the schema that `gregor-sim list schema` prints.

usage: check_scenarios.py PROGRAM FILE.yaml...

Exit 0: all valid, or there is no python3-jsonschema or python3-yaml here; 1: one line per error.
"""
import json
import re
import subprocess
import sys

try:
    import jsonschema
    import yaml
except ImportError:
    print("check-scenarios: skipped, python3-jsonschema or python3-yaml is not there")
    sys.exit(0)



class Loader(yaml.SafeLoader):
    """YAML 1.2, as libfyaml reads it: `on` is a word and no truth."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:bool"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))

program, files = sys.argv[1], sys.argv[2:]
text = subprocess.run([program, "list", "schema"], check=True, capture_output=True, text=True)
schema = json.loads(text.stdout)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
bad = 0
for path in files:
    with open(path, encoding="utf-8") as file:
        document = yaml.load(file, Loader)
    for error in validator.iter_errors(document):
        where = "/".join(str(part) for part in error.absolute_path)
        print(f"{path}: {where}: {error.message[:200]}")
        bad += 1
wrong = {"gregor": 1, "name": "x", "steps": [{"at": "1s", "do": {"crush": "brokers"}}]}
if validator.is_valid(wrong):
    print("the schema takes an action that is none")
    bad += 1
print(f"check-scenarios: {len(files)} files, {bad} errors")
sys.exit(1 if bad else 0)
