#!/usr/bin/env python3
"""Puts what `gregor-sim list reference` prints between its two marks in a file.

usage: reference.py PROGRAM FILE
"""
import subprocess
import sys

BEGIN = "<!-- begin: gregor-sim list reference -->\n"
END = "<!-- end: gregor-sim list reference -->\n"

program, path = sys.argv[1:]
text = subprocess.run([program, "list", "reference"], check=True, capture_output=True, text=True)
old = open(path, encoding="utf-8").read()
before, rest = old.split(BEGIN)
after = rest.split(END)[1]
with open(path, "w", encoding="utf-8") as file:
    file.write(before + BEGIN + "\n" + text.stdout + "\n" + END + after)
