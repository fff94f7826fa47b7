#!/bin/sh
# Makes the folder from which examples/stream_client.js takes ZeroMQ when tests/deploy/stream/test_stream_clients.py
# runs it against a publisher. Prints it, to be given as RIGPOSE_NODE_MODULES.
#   RIGPOSE_NODE_MODULES=$(tests/peers/node_zeromq.sh) make test
set -eu
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/rigpose/node}
if [ ! -e "$folder/.complete" ]; then
    mkdir -p "$folder"
    npm install --silent --no-fund --no-audit --prefix "$folder" 'zeromq@^6.1' >&2
    touch "$folder/.complete"
fi
echo "$folder/node_modules"
