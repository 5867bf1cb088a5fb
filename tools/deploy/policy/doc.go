// Package policy says what NetworkPolicies, as rendered, let through: the rules of networking.k8s.io/v1 for pods of one
// namespace. It has only tests.
package policy
