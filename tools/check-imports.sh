#!/usr/bin/env bash
# check-imports.sh LINTER: prove that the import rules in .golangci.yaml catch what they forbid, and nothing
# else. LINTER is golangci-lint. It plants one file for each line below in an empty tree of the same module,
# lints that, and compares.
set -euo pipefail
cd "$(dirname "$0")/.."
linter=$1

own=github.com/tcckit/tcckit
# FOLDER IMPORT: files in FOLDER must not import IMPORT or what lies below it, or with $ at its end IMPORT
# itself. Folders of this module are written without its name.
forbidden="
tcc                       barrier
tcc                       barrier/mysql
tcc                       coordinator
tcc                       participants/account
tcc                       api/gen/tcckit/order/v1
tcc                       cmd/tcckit
tcc                       github.com/go-sql-driver/mysql
tcc/deeper                go.opentelemetry.io/otel/sdk/trace
barrier                   coordinator
barrier                   participants/account
barrier                   cmd/tcckit
barrier                   github.com/go-sql-driver/mysql
barrier                   github.com/redis/go-redis/v9
barrier                   github.com/dtm-labs/client/dtmgrpc/dtmgpb
barrier/internal/deeper   modernc.org/sqlite
barrier/mysql             coordinator
barrier/mysql             participants/account
barrier/mysql             modernc.org/sqlite
barrier/mysql             github.com/redis/go-redis/v9
barrier/sqlite            github.com/go-sql-driver/mysql
barrier/sqlite            coordinator
barrier/barriertest       coordinator
barrier/barriertest       participants/account
coordinator               barrier
coordinator               participants/order
coordinator               cmd/tcckit
coordinator               github.com/go-sql-driver/mysql
coordinator               github.com/dtm-labs/client/dtmgrpc
coordinator               messaging
barrier                   messaging
tcc                       messaging
messaging                 barrier
messaging                 participants/order
messaging                 github.com/go-sql-driver/mysql
messaging/outbox          messaging/inbox
messaging/outbox          messaging/rocketmq
messaging/outbox          barrier/mysql
messaging/outbox          github.com/apache/rocketmq-client-go/v2/primitive
messaging/inbox           messaging/outbox
messaging/inbox           barrier
messaging/inbox           api/gen/tcckit/order/v1
messaging/rocketmq        messaging/outbox
messaging/rocketmq        coordinator
participants              cmd/tcckit
participants/order        github.com/apache/rocketmq-client-go/v2/producer
participants/cart         participants/order
participants/bank         participants/express
participants/account      cmd/tcckit
participants/account      participants/stock
participants/order        cmd/tcckit
participants/order        participants/account
participants/stock        cmd/tcckit
participants/stock        participants/order
internal                  participants/stock
internal/deeper           participants/stock
internal/deeper           cmd/tcckit
internal/deeper           github.com/dtm-labs/client/dtmgrpc
"
# The same for test files.
forbidden_in_tests="
tcc                       barrier
tcc                       participants/account
barrier                   coordinator
barrier/mysql             participants/account
coordinator               barrier
coordinator               cmd/tcckit
internal/deeper           participants/order
participants/account      participants/stock
messaging/outbox          participants/order
messaging/inbox           coordinator
messaging/inbox           github.com/apache/rocketmq-client-go/v2
"
allowed="
tcc                       google.golang.org/grpc/codes
tcc                       go.opentelemetry.io/otel
barrier                   tcc
barrier                   google.golang.org/protobuf/proto
barrier/mysql             barrier$
barrier/mysql             barrier/internal
barrier/mysql             github.com/go-sql-driver/mysql
barrier/sqlite            modernc.org/sqlite
barrier/barriertest       github.com/stretchr/testify/require
coordinator               tcc
coordinator               github.com/dtm-labs/client/dtmgrpc/dtmgpb
messaging                 github.com/ThreeDotsLabs/watermill/message
messaging/outbox          messaging$
messaging/outbox          barrier$
messaging/inbox           messaging$
messaging/rocketmq        messaging$
messaging/rocketmq        github.com/apache/rocketmq-client-go/v2/producer
participants/order        messaging
participants/account      barrier
participants/account      coordinator
participants/account      tcc
participants/account      api/gen/tcckit/order/v1
participants/account      internal/deeper
internal/deeper           tcc
cmd/tcckit                participants/account
cmd/tcckit                coordinator
cmd/tcckit                barrier/mysql
"

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cp go.mod go.sum .golangci.yaml "$tree"

# plant NAME SUFFIX LINES: a file for each line; what it imports of this module exists as an empty package below
# the one named, so that no two plants import each other.
plant() {
  local n=0 folder import package
  while read -r folder import; do
    [ -n "$folder" ] || continue
    n=$((n + 1))
    case $import in
    *.*/*) ;;
    *\$) import=$own/${import%\$} ;;
    *)
      import=$import/leaf
      mkdir -p "$tree/$import"
      echo "package leaf" >"$tree/$import/leaf.go"
      import=$own/$import
      ;;
    esac
    package=$(basename "$folder")
    mkdir -p "$tree/$folder"
    printf 'package %s\n\nimport _ "%s"\n' "$package" "$import" >"$tree/$folder/$1$n$2.go"
  done <<<"$3"
}
plant forbidden "" "$forbidden"
plant forbidden _test "$forbidden_in_tests"
plant allowed "" "$allowed"

# A cache of its own: the shared one answers for files of the same content with the names that they had before.
export GOLANGCI_LINT_CACHE=$tree/.cache
report=$(cd "$tree" && "$linter" run --enable-only depguard --output.text.colors=false --allow-parallel-runners ./... 2>&1) || true
failed=0
for file in $(cd "$tree" && find . -name 'forbidden*.go' -o -name 'allowed*.go' | cut -c3- | sort); do
  caught=$(grep -c "^$file:.*(depguard)$" <<<"$report" || true)
  case $file in
  */forbidden*) [ "$caught" -ge 1 ] || wrong="is not caught" ;;
  *) [ "$caught" -eq 0 ] || wrong="is caught, although allowed" ;;
  esac
  if [ -n "${wrong:-}" ]; then
    echo "check-imports.sh: $(grep import "$tree/$file") in $(dirname "$file") $wrong" >&2
    failed=1 wrong=
  fi
done
if [ $failed -ne 0 ]; then
  printf '%s\n' "$report" >&2
  exit 1
fi
echo "import rules: $(grep -c . <<<"$forbidden$forbidden_in_tests") planted violations caught, $(grep -c . <<<"$allowed") proper imports passed"
