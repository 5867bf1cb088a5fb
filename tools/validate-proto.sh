#!/usr/bin/env bash
# validate-proto.sh: copy buf/validate/validate.proto into .cache/proto, where buf.yaml looks for it.
#
# The file comes from the Go module github.com/bufbuild/protovalidate through the Go module proxy, so
# that generating needs no schema registry. The module holds no Go package, and `go mod tidy` would drop
# it from any go.mod: version and checksum are pinned here instead.
set -euo pipefail
cd "$(dirname "$0")/.."

version=v1.2.2
sum=h1:2H/9/Kr97etSRqW3IJjTTb09z+zutkK2GDhDRbOnqr4=
out=.cache/proto/buf/validate/validate.proto
stamp=.cache/proto/version

if [ -f "$out" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$version $sum" ]; then
  exit 0
fi
if ! module=$(go mod download -json "github.com/bufbuild/protovalidate@$version"); then
  printf '%s\n' "$module" >&2
  echo "validate-proto.sh: cannot download the module github.com/bufbuild/protovalidate@$version (see above); it needs the Go module proxy once" >&2
  exit 1
fi
field() { sed -n 's/^[[:space:]]*"'"$1"'": "\(.*\)",\{0,1\}$/\1/p' <<<"$module"; }
if [ "$(field Sum)" != "$sum" ]; then
  echo "validate-proto.sh: protovalidate $version has the checksum $(field Sum), expected $sum" >&2
  exit 1
fi
mkdir -p "$(dirname "$out")"
# The module cache is read-only: take the content, not the mode.
cat "$(field Dir)/proto/protovalidate/buf/validate/validate.proto" >"$out"
printf '%s\n' "$version $sum" >"$stamp"
