#!/bin/sh
# Kafka's name and options for what `gregor` does.
here=$(dirname "$(readlink -f "$0")")
[ -x "$here/gregor" ] || here=$here/../../build
exec "$here/gregor" kafka-console-consumer "$@"
