package rpc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"

	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Authenticator decides whether a call may go on, by its metadata and peer, and
// returns the context for its handler, which may say who calls. Its error
// should be a status of the code Unauthenticated or PermissionDenied.
type Authenticator = auth.AuthFunc

// BearerTokens accepts calls with one of the tokens in their metadata, as
// "authorization: Bearer <token>". It is an example of an [Authenticator] and
// enough for a few callers that are trusted alike; it does not tell them apart.
func BearerTokens(tokens ...string) (Authenticator, error) {
	if len(tokens) == 0 {
		return nil, errors.New("rpc: no bearer token is given, so nobody could call")
	}
	// Hashes have one length, so that comparing them tells nothing about
	// the tokens'.
	hashes := make([][sha256.Size]byte, len(tokens))
	for i, t := range tokens {
		if len(t) < 16 {
			return nil, errors.New("rpc: a bearer token has fewer than 16 characters and could be guessed")
		}
		hashes[i] = sha256.Sum256([]byte(t))
	}
	return func(ctx context.Context) (context.Context, error) {
		token, err := auth.AuthFromMD(ctx, "bearer")
		if err != nil {
			return nil, status.Error(codes.Unauthenticated, "send a token in the metadata, as \"authorization: Bearer <token>\"")
		}
		got, match := sha256.Sum256([]byte(token)), 0
		for i := range hashes {
			match |= subtle.ConstantTimeCompare(got[:], hashes[i][:])
		}
		if match != 1 {
			return nil, status.Error(codes.Unauthenticated, "the token is not known")
		}
		return ctx, nil
	}, nil
}
