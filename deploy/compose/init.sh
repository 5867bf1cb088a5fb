#!/usr/bin/env bash
# init.sh [DIR]: make what deploy/compose.yaml needs and no repository may hold, random and for this machine alone:
#
#   DIR/.env                      passwords that go into DSNs, and which images to run
#   DIR/compose/secrets/*         signing key, certificates, and the passwords and users of the servers
#
# DIR is deploy. It needs openssl, and for the console's password the image of dtm-server or, named by
# $DTM_SERVER, its program. What is there already is kept, so running it again is safe; to make all anew, remove the
# volumes, too, for the databases keep their passwords.
set -euo pipefail
umask 077
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$(dirname "$here")}
secrets=$dir/compose/secrets
env=$dir/.env

main() {
  command -v openssl >/dev/null || { echo "init.sh: openssl is not on this machine" >&2; exit 1; }
  if [ -e "$env" ]; then
    echo "init.sh: $env is there already and is kept"
  else
    mkdir -p "$secrets"
    # Containers run as other users, so the files are readable by all, in a folder that only their owner may enter.
    chmod 700 "$secrets"
    passwords
    certificates
    chmod 644 "$secrets"/*
    mv "$env.partial" "$env" # at last: what was interrupted is made anew
    echo "init.sh: made $env and $secrets"
  fi
  console_user
}

random() { openssl rand -hex 24; }

passwords() {
  local version service database
  version=${TCCKIT_VERSION:-$(sed -n 's/^appVersion: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$here/../helm/tcckit/Chart.yaml")}
  echo "TCCKIT_VERSION=$version" >"$env.partial"
  printf 'compose:%s\n' "$(openssl rand -hex 32)" >"$secrets/signing-keys"
  random >"$secrets/mysql-root-password"
  random >"$secrets/grafana-password"
  : >"$secrets/mysql-init.sql"
  for service in order account stock cart dispatch express bank dtm; do
    password=$(random)
    echo "$(tr '[:lower:]' '[:upper:]' <<<"$service")_PASSWORD=$password" >>"$env.partial"
    echo "CREATE USER '$service'@'%' IDENTIFIED BY '$password';" >>"$secrets/mysql-init.sql"
    case $service in
    bank) database="bank_north bank_south" ;;
    *) database=$service ;;
    esac
    for database in $database; do
      echo "CREATE DATABASE \`$database\` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;" >>"$secrets/mysql-init.sql"
      echo "GRANT ALL ON \`$database\`.* TO '$service'@'%';" >>"$secrets/mysql-init.sql"
    done
  done
  # What DTM decided must not be lost with the last second.
  printf '%s\n' "user default off" "user dtm on ~* &* +@all >$password" "appendonly yes" "appendfsync always" >"$secrets/redis.conf"
}

# certificates: a CA of this machine, and a certificate for each service: its name in the network is its identity.
certificates() {
  local service names
  openssl ecparam -name prime256v1 -genkey -noout -out "$secrets/ca.key"
  openssl req -x509 -new -key "$secrets/ca.key" -days 3650 -subj "/CN=tcckit compose" -out "$secrets/ca.crt" \
    -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign
  for service in order account stock cart dispatch express bank dtm ops; do
    names=DNS:$service
    case $service in
    order | dtm) names+=,DNS:localhost,IP:127.0.0.1 ;; # what is published on loopback
    bank) names+=,DNS:bank-north,DNS:bank-south ;;
    esac
    openssl ecparam -name prime256v1 -genkey -noout -out "$secrets/$service.key"
    openssl req -new -key "$secrets/$service.key" -subj "/CN=$service" -out "$secrets/csr"
    openssl x509 -req -in "$secrets/csr" -CA "$secrets/ca.crt" -CAkey "$secrets/ca.key" -days 825 -out "$secrets/$service.crt" \
      -extfile <(printf '%s\n' "subjectAltName=$names" "extendedKeyUsage=serverAuth,clientAuth" "keyUsage=critical,digitalSignature") 2>/dev/null
  done
  rm "$secrets/csr" "$secrets/ca.key" # nobody needs to make more; a new set has a new CA
  rm -f "$secrets"/*.srl
}

# console_user: the console's user admin, whose password is told once.
console_user() {
  local password
  [ ! -s "$secrets/console-users" ] || return 0
  password=$(random)
  # shellcheck disable=SC1090,SC2086 # written above; a command with its arguments
  . "$env"
  if ! ${DTM_SERVER:-docker run --rm -i --network none "ghcr.io/tcckit/dtm-server:$TCCKIT_VERSION"} password admin \
    <<<"$password" >"$secrets/console-users.partial"; then
    echo "init.sh: the console has no user yet: load the images (make images, docker load -i .cache/images/dtm-server.tar) and run this again" >&2
    exit 1
  fi
  chmod 644 "$secrets/console-users.partial"
  mv "$secrets/console-users.partial" "$secrets/console-users"
  echo "init.sh: DTM's console is at https://localhost:36791, user admin, password $password (it is stored only as a hash)"
  echo "init.sh: Grafana is at http://localhost:3000, user admin, password in $secrets/grafana-password"
}

main
