#!/usr/bin/env bash
# test-deploy-api.sh: installs, upgrades, rolls back and removes the chart on a real Kubernetes API server, without kubelets
# and controllers. By hand, for building the server takes its time (.cache/tools keeps it); deploy/test-deploy.sh comes first,
# which builds Helm.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=$PWD/.cache/tools/deploy
for helm in helm helm3; do
  [[ -x $programs/$helm ]] || { echo "there is no $programs/$helm: run deploy/test-deploy.sh first" >&2; exit 1; }
done
# The server says which Kubernetes it is by what its build sets.
release=$(sed -n 's/^.*k8s.io\/kubernetes v\([0-9.]*\).*$/\1/p' tools/deploy/apiserver/go.mod | head -n 1)
prefix=k8s.io/component-base/version
version="-X $prefix.gitVersion=v$release -X $prefix.gitMajor=1 -X $prefix.gitMinor=$(cut -d. -f2 <<<"$release")"
for name in etcd apiserver; do
  if ! cmp -s "tools/deploy/$name/go.sum" "$programs/$name.sum"; then
    (cd "tools/deploy/$name" && go build -ldflags "$version" -o "$programs/$name" .)
    cp "tools/deploy/$name/go.sum" "$programs/$name.sum"
  fi
done
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export HELM_CONFIG_HOME=$scratch HELM_CACHE_HOME=$scratch HELM_DATA_HOME=$scratch
export HELM_BIN=$programs/helm HELM3_BIN=$programs/helm3 ETCD_BIN=$programs/etcd KUBE_APISERVER_BIN=$programs/apiserver
cd tools/deploy
go test -count=1 -v ./api
