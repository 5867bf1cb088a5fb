package rpc

import (
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tcckit/tcckit/tcc"
)

// Error returns a gRPC status with an ErrorInfo of tcc.Domain: reason for
// programs, in UPPER_SNAKE_CASE, message for people, metadata for details.
func Error(code codes.Code, reason, message string, metadata map[string]string) error {
	st := status.New(code, message)
	detailed, err := st.WithDetails(&errdetails.ErrorInfo{Domain: tcc.Domain, Reason: reason, Metadata: metadata})
	if err != nil {
		return st.Err() // of code OK, or metadata that is not UTF-8
	}
	return detailed.Err()
}
