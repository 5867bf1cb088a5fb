package rpc

import (
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// replicasScheme is that of targets which are lists.
const replicasScheme = "replicas"

// replicas returns the target of gRPC that stands for a list of addresses, and
// what resolves it; another target is returned as it is. Each address is
// expected to have a certificate for its own host.
func replicas(target string) (string, []grpc.DialOption) {
	if !strings.Contains(target, ",") || strings.Contains(target, "://") {
		return target, nil
	}
	var state resolver.State
	for addr := range strings.SplitSeq(target, ",") {
		state.Endpoints = append(state.Endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: addr, ServerName: addr}}})
	}
	r := manual.NewBuilderWithScheme(replicasScheme)
	r.InitialState(state)
	return replicasScheme + ":///" + target, []grpc.DialOption{grpc.WithResolvers(r)}
}
