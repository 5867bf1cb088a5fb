#!/usr/bin/env bash
# up.sh: start DTM and the shop's services in the background, on their usual loopback addresses, with their
# data in .cache/up, and return when they take work. down.sh stops them. `make up` builds them first.
# What TCCKIT_* variables say about the services (`bin/tcckit serve --help`) holds here too.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=.cache/up
mkdir -p $dir/dtm

# running NAME: whether the process of NAME.pid is still the program NAME, not another that got its number.
running() { [ -f "$dir/$1.pid" ] && [ "$(ps -o comm= -p "$(cat "$dir/$1.pid")" 2>/dev/null)" = "$1" ]; }

# launch NAME HOST:PORT/PATH COMMAND...: start it unless it runs, and wait until the URL answers 200.
launch() {
  local name=$1 url=$2
  shift 2
  if running "$name"; then
    echo "$name runs already"
    return
  fi
  nohup "$@" >>"$dir/$name.log" 2>&1 </dev/null &
  echo $! >"$dir/$name.pid"
  local tries=300
  until answers "$url"; do
    if ! running "$name" || [ $((tries -= 1)) -eq 0 ]; then
      echo "up.sh: $name does not answer at $url; $dir/$name.log ends" >&2
      tail -n 20 "$dir/$name.log" >&2
      deploy/local/down.sh
      exit 1
    fi
    sleep 0.1
  done
  echo "$name runs; log: $dir/$name.log"
}

# answers HOST:PORT/PATH: whether HTTP GET gives 200. In bash alone, for a machine without curl.
answers() {
  local address=${1%%/*} status
  (
    exec 3<>"/dev/tcp/${address%:*}/${address#*:}"
    printf 'GET /%s HTTP/1.0\r\nHost: %s\r\n\r\n' "${1#*/}" "$address" >&3
    read -r -t 5 _ status _ <&3
    [ "$status" = 200 ]
  ) 2>/dev/null
}

DATA_DIR=$dir/dtm launch dtm-server 127.0.0.1:36789/api/metrics bin/dtm-server
for service in account stock order; do
  variable=TCCKIT_${service^^}_DB
  export "$variable=${!variable:-sqlite:$dir/$service.db}"
done
launch tcckit 127.0.0.1:7403/readyz bin/tcckit serve account stock order --migrate
cat <<END
Services: 127.0.0.1:7401 (the shop's API), 127.0.0.1:7402 (all methods), http://127.0.0.1:7403/metrics
DTM:      http://127.0.0.1:36789
Stop them with 'make down'; the data stays in $dir.
END
