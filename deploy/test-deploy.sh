#!/usr/bin/env bash
# test-deploy.sh: what the Helm chart must pass without a cluster. It builds the programs that it needs into
# .cache/tools, at the versions in tools/deploy/programs/go.mod.
#
# With TCCKIT_TEST_MYSQL, TCCKIT_TEST_REDIS and TCCKIT_TEST_ROCKETMQ (bin/withservers gives them) it also starts what the
# chart renders, as processes of this machine, and places orders.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD chart=deploy/helm/tcckit
programs=$root/.cache/tools/deploy
release=shop namespace=trade
versions=(1.34.4 1.36.3)

step() { echo "-- $*" >&2; }

# build NAME PACKAGE: a program, anew when the versions have changed.
build() {
  (cd tools/deploy/programs && go build -o "$programs/$1" "$2")
}

step "the programs"
mkdir -p "$programs"
if ! cmp -s tools/deploy/programs/go.sum "$programs/go.sum"; then
  build helm helm.sh/helm/v4/cmd/helm
  build helm3 helm.sh/helm/v3/cmd/helm
  build helm-unittest github.com/helm-unittest/helm-unittest/cmd/helm-unittest
  build helm-docs github.com/norwoodj/helm-docs/cmd/helm-docs
  build kubeconform github.com/yannh/kubeconform/cmd/kubeconform
  cp tools/deploy/programs/go.sum "$programs/go.sum"
fi
export HELM_BIN=$programs/helm HELM3_BIN=$programs/helm3
# Nobody's own Helm: no plugins, no repositories.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export HELM_CONFIG_HOME=$scratch/helm HELM_CACHE_HOME=$scratch/helm HELM_DATA_HOME=$scratch/helm

step "the schemas of Kubernetes ${versions[*]}"
(cd tools/deploy && go run ./schemas "$scratch/schemas")

step "lint and render each ci/*-values.yaml"
mkdir "$scratch/rendered"
for values in "$chart"/ci/*-values.yaml; do
  name=$(basename "$values" -values.yaml)
  "$HELM_BIN" lint --strict --quiet "$chart" --values "$values"
  "$HELM_BIN" template "$release" "$chart" --namespace "$namespace" --kube-version "v${versions[0]}" --values "$values" >"$scratch/rendered/$name.yaml"
done

conform() {
  "$programs/kubeconform" -strict -summary -kubernetes-version "$1" \
    -schema-location "$scratch/schemas/{{ .NormalizedKubernetesVersion }}/{{ .ResourceKind }}{{ .KindSuffix }}.json" \
    -schema-location "$scratch/schemas/custom/{{ .ResourceKind }}{{ .KindSuffix }}.json" "${@:2}"
}
step "kubeconform, strict"
for version in "${versions[@]}"; do conform "$version" "$scratch"/rendered/*.yaml; done
# A field that Kubernetes does not know must be found, or the schemas are not strict.
sed 's/revisionHistoryLimit:/revisionHistoryLimits:/' "$scratch/rendered/dev.yaml" >"$scratch/misspelt.yaml"
if conform "${versions[0]}" "$scratch/misspelt.yaml" >"$scratch/misspelt.txt"; then
  echo "kubeconform took a misspelt field" >&2
  exit 1
fi
grep -q revisionHistoryLimits "$scratch/misspelt.txt"

step "helm-unittest"
"$programs/helm-unittest" "$chart"

step "README.md is what helm-docs writes"
"$programs/helm-docs" --chart-search-root "$chart" --dry-run --log-level warning >"$scratch/README.md"
diff -u "$chart/README.md" "$scratch/README.md" || {
  echo "run: $programs/helm-docs --chart-search-root $chart" >&2
  exit 1
}

step "every pod, Secret and policy"
(cd tools/deploy && go test -count=1 ./chart ./policy)

if [[ -n ${TCCKIT_TEST_MYSQL:-} && -n ${TCCKIT_TEST_REDIS:-} && -n ${TCCKIT_TEST_ROCKETMQ:-} ]]; then
  step "what it renders, as processes"
  export TCCKIT_BIN=$root/bin/tcckit DTM_SERVER_BIN=$root/bin/dtm-server
  (cd tools/deploy && go test -count=1 ./shop)
else
  echo "no servers are given (bin/withservers -servers mysql,redis,rocketmq -- $0): what the chart renders is not started" >&2
fi
