#!/usr/bin/env bash
# check-generated.sh: fail when api/gen is not what `make generate` would write. Touches no file of the checkout.
set -euo pipefail
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tools/validate-proto.sh
mkdir -p "$tmp/api/gen"
go tool -modfile=tools/go.mod buf generate --output "$tmp"
if ! diff -ru api/gen "$tmp/api/gen"; then
  echo "check-generated.sh: api/gen differs from what the protos give (above): run 'make generate' and commit the result" >&2
  exit 1
fi
