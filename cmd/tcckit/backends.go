package main

import (
	"github.com/spf13/pflag"

	"github.com/tcckit/tcckit/internal/stack"
)

// backends are servers that run already.
type backends struct {
	mysql, dtmGRPC, dtmHTTP string
	rocketMQ                []string
}

func (b *backends) register(flags *pflag.FlagSet) {
	flags.StringVar(&b.mysql, "mysql", "", "DSN of a MySQL server on which each service gets a database, mysql://user:password@host:3306/ (default: SQLite files)")
	flags.StringVar(&b.dtmGRPC, "dtm-grpc", "", "host:port of the gRPC API of a DTM server on this machine (default: one is started, on boltdb)")
	flags.StringVar(&b.dtmHTTP, "dtm-http", "", "URL of its HTTP API")
	flags.StringSliceVar(&b.rocketMQ, "rocketmq", nil, "host:port of RocketMQ's name servers (default: messages stay within their process)")
}

func (b *backends) dtm() (stack.DTM, error) {
	if (b.dtmGRPC == "") != (b.dtmHTTP == "") {
		return stack.DTM{}, usagef("--dtm-grpc and --dtm-http belong together: DTM has two addresses")
	}
	return stack.DTM{GRPCAddr: b.dtmGRPC, HTTPURL: b.dtmHTTP}, nil
}
