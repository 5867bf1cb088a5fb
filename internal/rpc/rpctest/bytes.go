package rpctest

// Bytes is a codec that sends a []byte as it is, for requests that no client
// would make: grpc.ForceCodec(rpctest.Bytes{}).
type Bytes struct{}

// Name implements encoding.Codec.
func (Bytes) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (Bytes) Marshal(v any) ([]byte, error) {
	b, _ := v.([]byte)
	return b, nil
}

// Unmarshal implements encoding.Codec.
func (Bytes) Unmarshal([]byte, any) error { return nil }
