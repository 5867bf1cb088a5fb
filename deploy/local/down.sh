#!/usr/bin/env bash
# down.sh: stop what up.sh started, the services first. Their data stays in .cache/up.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=.cache/up

for name in tcckit dtm-server; do
  pid=$(cat "$dir/$name.pid" 2>/dev/null) || continue
  tries=300
  while [ "$(ps -o comm= -p "$pid" 2>/dev/null)" = "$name" ]; do
    # Once to ask, for a second signal would end it in the middle of its calls; at last without asking.
    case $tries in
    300) kill -TERM "$pid" ;;
    0) kill -KILL "$pid" ;;
    esac
    tries=$((tries - 1))
    sleep 0.1
  done
  rm -f "$dir/$name.pid"
  echo "$name stopped"
done
