// Package api installs the chart on a real API server of Kubernetes, with its etcd, and nothing else: no kubelet, no
// controllers. Objects are validated, defaulted and kept as in a cluster, but no pod starts; Jobs end as the tests say. It
// has only tests, which deploy/test-deploy-api.sh runs.
package api
