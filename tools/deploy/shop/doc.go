// Package shop starts what the chart renders, as processes of this machine: the containers' arguments, environment and
// mounted files as they are, on addresses of the loopback network in place of pods' and Services', and Kubernetes' probes
// asked as a kubelet asks them. It has only tests.
package shop
