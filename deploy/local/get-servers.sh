#!/usr/bin/env bash
# get-servers.sh [-d DEST] [SERVER...]: unpack the real servers that the tests use into DEST (.cache/servers
# of this checkout), all or those named, each with its own libc, without installing anything on the machine:
#
#   DEST/mysql/bin/mysqld          MySQL 9.7 or later, from Debian unstable
#   DEST/mariadb/bin/mariadbd      MariaDB, from the release that this machine runs
#   DEST/redis/bin/redis-server    Redis, from the release that this machine runs
#   DEST/{mysql,mariadb}/data      an initialised data directory to copy (user root, no password)
#   DEST/rocketmq/lib              RocketMQ's name server and broker, which run on
#   DEST/rocketmq/bin/java         Java 17 or later: this machine's, or one unpacked
#   DEST/chromium/bin/chromium     Chromium, from the release that this machine runs, which is no server but the
#                                  browser for the tests of DTM's console; left out where one is on the path
#
# It needs Debian's apt-get and dpkg-deb and a package mirror, but not root: apt works on folders of its
# own below DEST, and no service is installed or started. RocketMQ comes through Maven, this machine's or
# one unpacked, which needs a repository that it can reach. A server whose address is in the environment
# (TCCKIT_TEST_MYSQL, TCCKIT_TEST_MARIADB, TCCKIT_TEST_REDIS, TCCKIT_TEST_ROCKETMQ; of Chromium the path,
# TCCKIT_TEST_CHROMIUM) is left out. What is complete already is not fetched again; what was interrupted is.
set -euo pipefail
self=${BASH_SOURCE[0]}
dest=$(dirname "$self")/../../.cache/servers

main() {
  local server
  if [ "${1:-}" = -d ]; then
    dest=${2:?a folder must follow -d}
    shift 2
  fi
  [ $# -gt 0 ] || set -- mysql mariadb redis rocketmq chromium
  for server; do
    case $server in
    mysql | mariadb | redis | rocketmq | chromium) ;;
    *) echo "get-servers.sh: $server is none of mysql, mariadb, redis, rocketmq, chromium" >&2; exit 2 ;;
    esac
  done
  for server; do
    provide "TCCKIT_TEST_$(tr '[:lower:]' '[:upper:]' <<<"$server")" "$server"
  done
}

# provide VARIABLE SERVER: fetch SERVER unless VARIABLE gives one or DEST has it.
provide() {
  local variable=$1 server=$2
  if [ -n "${!variable:-}" ]; then
    echo "$server: the one that $variable names"
    return
  fi
  [ "$server" != chromium ] || ! command -v chromium chromium-browser google-chrome >/dev/null || return 0
  need flock sha256sum || { explain "$variable" "$server" >&2; exit 1; }
  mkdir -p "$dest"
  dest=$(cd "$dest" && pwd)
  exec 9>"$dest/lock"
  flock 9 # of two runs in one checkout the second finds the work done
  local recipe work=$dest/$server.partial rc=0
  recipe=$(sha256sum <"$self")
  # The machine may have lost its Java since.
  [ "$server" != rocketmq ] || "$dest/rocketmq/bin/java" -version >/dev/null 2>&1 || rm -f "$dest/rocketmq/recipe"
  [ "$(cat "$dest/$server/recipe" 2>/dev/null)" != "$recipe" ] || return 0

  echo "$server: fetching"
  rm -rf "$work" "${dest:?}/$server"
  mkdir -p "$work/apt"
  # Not `(...) || rc=$?`: there set -e would not hold within.
  set +e
  (set -e; "fetch_$server" "$work") >"$work/log" 2>&1
  rc=$?
  set -e
  if [ $rc -ne 0 ]; then
    tail -n 20 "$work/log" >&2
    explain "$variable" "$server" >&2
    exit 1
  fi
  rm -rf "$work/apt"
  printf '%s\n' "$recipe" >"$work/recipe"
  mv "$work" "$dest/$server"
  echo "$server: $(sed 's/.* Ver /version /' "$dest/$server/version")"
}

# explain VARIABLE SERVER: what to do on a machine where SERVER cannot be had.
explain() {
  local source="Debian packages, which needs apt-get,
dpkg-deb and a reachable package mirror; root is not needed" example='root:secret@tcp(127.0.0.1:3306)/'
  local what="a DSN of go-sql-driver/mysql for a user that may create and drop databases."
  case $2 in
  redis)
    example='127.0.0.1:6379'
    what="its address. The tests write to it and may flush it."
    ;;
  chromium)
    example='/usr/bin/chromium'
    what="its path."
    ;;
  rocketmq)
    source="a Maven repository, through Maven on
Java 17 or later; what this machine lacks of these is unpacked from Debian packages, which needs apt-get,
dpkg-deb and a reachable package mirror; root is not needed"
    example='127.0.0.1:9876'
    what="its name server's address. The tests create topics, and its broker must ask about half messages
early: transactionTimeOut=1000, transactionCheckInterval=1000, transactionCheckMax=60."
    ;;
  esac
  cat <<END

get-servers.sh: cannot provide $2 (see above). It comes from $source. On a machine without them start a
server yourself, for instance with Docker, and set

  $1='$example'

to $what
'make test-short' needs no server.
END
}

fetch_mysql() {
  # Stable releases of Debian have no MySQL. The mirror is the one that this machine uses already.
  local mirror key=/usr/share/keyrings/debian-archive-keyring.gpg
  mirror=$(apt-get indextargets --format '$(REPO_URI)' | grep -m1 '/debian/\?$') ||
    { echo "apt on this machine names no Debian mirror"; return 1; }
  [ -f $key ] || { echo "$key is missing: install debian-archive-keyring"; return 1; }
  echo "deb [signed-by=$key] $mirror sid main" >"$1/apt/sources.list"
  unpack "$1" mysql-server-core
  launcher "$1" mysqld usr/sbin/mysqld "$mysql_options"
  "$1/bin/mysqld" --version >"$1/version"
  "$1/bin/mysqld" --initialize-insecure --innodb-redo-log-capacity=8M --datadir="$1/data"
  rm "$1/data/auto.cnf" # every copy makes a server id of its own
}

fetch_mariadb() {
  unpack "$1" mariadb-server-core
  launcher "$1" mariadbd usr/sbin/mariadbd "$mysql_options"
  "$1/bin/mariadbd" --version >"$1/version"
  # The package's own script; what it looks for in option files the launcher says.
  printf '#!/bin/sh\n' >"$1/root/usr/bin/my_print_defaults"
  chmod +x "$1/root/usr/bin/my_print_defaults"
  MYSQLD_BOOTSTRAP="$1/bin/mariadbd" sh "$1/root/usr/bin/mariadb-install-db" --basedir="$1/root/usr" \
    --datadir="$1/data" --auth-root-authentication-method=normal --skip-test-db --force \
    --innodb-log-file-size=8M
}

fetch_redis() {
  unpack "$1" redis-server
  launcher "$1" redis-server usr/bin/redis-server ""
  "$1/bin/redis-server" --version >"$1/version"
}

# The browser starts itself again as its own children, so it runs without the loader, with the C library of the
# machine, whose release it is of.
fetch_chromium() {
  unpack "$1" chromium
  mkdir "$1/bin"
  local triplet
  triplet=$(basename "$(dirname "$(find "$1/root" -name 'libnss3.so' -printf '%P\n' | head -n 1)")")
  find "$1/root" \( -name 'ld-linux*' -o -name 'libc.so.6' -o -name 'libm.so.6' -o -name 'libpthread.so.0' -o -name 'libdl.so.2' \
    -o -name 'librt.so.1' -o -name 'libresolv.so.2' \) -delete
  cat >"$1/bin/chromium" <<END
#!/bin/sh
root=\$(cd "\$(dirname "\$0")/../root" && pwd)
export LD_LIBRARY_PATH="\$root/usr/lib/$triplet:\$root/lib/$triplet:\$root/usr/lib/$triplet/pulseaudio"
export FONTCONFIG_PATH="\$root/etc/fonts" FONTCONFIG_SYSROOT="\$root"
exec "\$root/usr/lib/chromium/chromium" "\$@"
END
  chmod +x "$1/bin/chromium"
  "$1/bin/chromium" --version --no-sandbox >"$1/version"
}

rocketmq_version=5.3.3

fetch_rocketmq() {
  local java mvn
  java=$(find_java) || java=
  mvn=$(command -v mvn) || mvn=
  if [ -z "$java" ] || [ -z "$mvn" ]; then
    unpack "$1" maven # and what it depends on: libraries and a Java runtime
    relink "$1/root"
  fi
  if [ -z "$java" ]; then
    unpacked_java "$1"
    java='$(dirname "$0")/../jre/bin/java'
  fi
  mkdir "$1/bin"
  printf '#!/bin/sh\nexec "%s" "$@"\n' "$java" >"$1/bin/java"
  chmod +x "$1/bin/java"
  if [ -z "$mvn" ]; then
    mvn=$1/root/usr/share/maven/bin/mvn
    JAVA_HOME=$("$1/bin/java" -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.home = //p')
    export JAVA_HOME
  fi
  cat >"$1/pom.xml" <<END
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>com.github.tcckit</groupId>
  <artifactId>servers</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>org.apache.rocketmq</groupId>
      <artifactId>rocketmq-namesrv</artifactId>
      <version>$rocketmq_version</version>
    </dependency>
    <dependency>
      <groupId>org.apache.rocketmq</groupId>
      <artifactId>rocketmq-broker</artifactId>
      <version>$rocketmq_version</version>
    </dependency>
  </dependencies>
</project>
END
  "$mvn" -B -ntp -f "$1/pom.xml" -Dmaven.repo.local="$1/m2" dependency:copy-dependencies \
    -DincludeScope=runtime -DoutputDirectory="$1/lib"
  [ -f "$1/lib/rocketmq-broker-$rocketmq_version.jar" ]
  rm -rf "$1/root" "$1/m2" "$1/target"
  echo "RocketMQ Ver $rocketmq_version" >"$1/version"
}

# find_java: this machine's Java, if it is 17 or later.
find_java() {
  local java version
  for java in "${JAVA_HOME:-/none}/bin/java" "$(command -v java)"; do
    version=$("$java" -version 2>&1 | sed -n '1s/.* version "\([0-9]*\).*/\1/p')
    if [ "${version:-0}" -ge 17 ] 2>/dev/null; then
      echo "$java"
      return
    fi
  done
  return 1
}

# unpacked_java DIR: make DIR/jre of the Java runtime in DIR/root. It takes its C library, libz and
# libstdc++ from the machine, on which apt and dpkg need them, too.
unpacked_java() {
  local java
  java=$(find "$1/root/usr/lib/jvm" -path '*/bin/java' -type f | head -n 1)
  mv "${java%/bin/java}" "$1/jre"
  [ ! -s "$1/jre/lib/security/cacerts" ] || return 0
  # The package's installation would have made it of the certificates that the machine trusts.
  local bundle=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
  if [ ! -s "$bundle" ]; then
    bundle=$1/bundle
    cat "$1"/root/usr/share/ca-certificates/mozilla/*.crt >"$bundle"
  fi
  mkdir "$1/certs"
  csplit -s -z -f "$1/certs/" -b %03d "$bundle" '/-----BEGIN CERTIFICATE-----/' '{*}'
  rm -f "$1/jre/lib/security/cacerts"
  key_store "$1"/certs/* >"$1/jre/lib/security/cacerts"
  rm -r "$1/certs"
}

# key_store FILE...: a Java key store that trusts the certificates, one in PEM in each FILE. keytool adds one
# in a second and there are 150, so the format is written here: a head, the entries, and a checksum over a
# password that nobody asks for.
key_store() {
  local file der count=0
  printf '\xfe\xed\xfe\xed'
  number 2 # version
  number "$(cat "$@" | grep -c 'BEGIN CERTIFICATE')"
  for file; do
    grep -q 'BEGIN CERTIFICATE' "$file" || continue
    der=$(sed -n '/-----BEGIN/,/-----END/{/-----/!p}' "$file" | tr -d '\r\n')
    count=$((count + 1))
    number 2                              # an entry that is a trusted certificate
    printf '\x00\x04%04d' "$count"        # its name
    number 0 && number 0                  # its date
    printf '\x00\x05X.509'
    number "$(base64 -d <<<"$der" | wc -c)"
    base64 -d <<<"$der"
  done
  number 0 && number 0 && number 0 && number 0 && number 0
}

# number N: four bytes, the highest first.
number() {
  # shellcheck disable=SC2059 # the format is made here
  printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)))"
}

# relink ROOT: symbolic links below ROOT that name another unpacked file from the machine's root get a
# copy of that.
relink() {
  local link target
  find "$1" -type l -lname '/*' -print0 | while IFS= read -r -d '' link; do
    target=$1$(readlink "$link")
    [ -e "$target" ] || continue
    rm "$link"
    cp -RL "$target" "$link"
  done
}

# No option file of the machine, and files where the packages have them. As root the server must be told
# that it may. shellcheck disable=SC2016 # expanded by the launcher
mysql_options='--no-defaults ${user:+"$user"} --secure-file-priv= --basedir="$root/usr" \
  --lc-messages-dir="$root/usr/share/mysql" --character-sets-dir="$root/usr/share/mysql/charsets" \
  --plugin-dir="$root/usr/lib/mysql/plugin"'

need() {
  local program
  for program; do
    command -v "$program" >/dev/null || { echo "$program is not on this machine" >&2; return 1; }
  done
}

# unpack DIR PACKAGE: PACKAGE and the libraries that it depends on, down to libc, into DIR/root.
unpack() {
  need apt-get dpkg-deb
  local apt=$1/apt
  mkdir -p "$apt"/{lists,cache/archives}/partial "$1/root"
  : >"$apt/status" # nothing counts as installed, so that every library comes along
  cat >"$apt/apt.conf" <<END
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
Dir::State::lists "$apt/lists";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Debug::NoLocking "true";
APT::Sandbox::User "";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
END
  if [ -f "$apt/sources.list" ]; then
    printf 'Dir::Etc::sourcelist "%s";\nDir::Etc::sourceparts "/dev/null";\n' "$apt/sources.list" >>"$apt/apt.conf"
  fi
  apt-get -q -c "$apt/apt.conf" update
  apt-get -q -c "$apt/apt.conf" install -y --download-only "$2"
  local deb name
  for deb in "$apt"/cache/archives/*.deb; do
    name=${deb##*/}
    case ${name%%_*} in
    libperl*) ;;
    lib* | redis-tools | openjdk-*-jre-headless | ca-certificates | chromium-common | fontconfig-config | fonts-* | "$2") dpkg-deb -x "$deb" "$1/root" ;;
    esac
  done
}

# launcher DIR NAME PROGRAM OPTIONS: write DIR/bin/NAME, which runs PROGRAM of DIR/root with the libraries
# that were unpacked beside it. DIR may be moved.
launcher() {
  local dir=$1 name=$2 program=$3 options=$4 loader triplet
  loader=$(find "$dir/root" -path '*-linux-*' -name 'ld-linux*.so.*' -printf '%P\n' | head -n 1)
  [ -n "$loader" ] || { echo "no dynamic loader among the unpacked packages"; return 1; }
  triplet=$(basename "$(dirname "$loader")")
  mkdir -p "$dir/bin"
  cat >"$dir/bin/$name" <<END
#!/bin/sh
root=\$(cd "\$(dirname "\$0")/../root" && pwd)
libs=\$root/lib/$triplet:\$root/usr/lib/$triplet
user=; [ "\$(id -u)" = 0 ] && user=--user=root
exec "\$root/$loader" --library-path "\$libs" --argv0 "\$root/$program" "\$root/$program" $options "\$@"
END
  chmod +x "$dir/bin/$name"
}

main "$@"
