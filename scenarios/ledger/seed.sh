#!/bin/sh
# The seed of this code: a hash of the trees of client/, broker/ and sim/ as committed.
# usage: gregor-sim fuzz --seeds $(sh scenarios/ledger/seed.sh)+200
set -eu
git rev-parse HEAD:client HEAD:broker HEAD:sim | sha1sum | cut -d' ' -f1
