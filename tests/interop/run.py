#!/usr/bin/python3
"""Gregor against real clients, in real processes: `make interop`, or run.py [WORD...] for the checks
whose text or file has one of the words. INTEROP_LONG=1: two minutes of failovers. INTEROP_KEEP=1:
directories and outputs stay."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness

for module in ("one_node", "command", "cluster", "failures", "stop", "hostile", "failover",
               "admin", "reassign", "apache", "foreign", "clients", "log_dirs", "library", "scripts"):
    if os.path.exists(os.path.join(os.path.dirname(os.path.abspath(__file__)), module + ".py")):
        __import__(module)
sys.exit(harness.main(sys.argv[1:]))
