package demo

import (
	"errors"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// rejection returns the reason of a rejected order, and its details.
func rejection(err error) (*errdetails.ErrorInfo, error) {
	if err == nil {
		return nil, errors.New("the order was taken, although it must be rejected")
	}
	s := status.Convert(err)
	if s.Code() == codes.FailedPrecondition {
		for _, d := range s.Details() {
			if info, ok := d.(*errdetails.ErrorInfo); ok {
				return info, nil
			}
		}
	}
	return nil, fmt.Errorf("want a rejection with its reason, got: %w", err)
}
