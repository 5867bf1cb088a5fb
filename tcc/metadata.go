package tcc

import (
	"context"
	"fmt"

	"google.golang.org/grpc/metadata"
)

// The metadata keys of a branch call. DTM sets the first four on the calls
// that it makes; an initiator sets them on Try. Header is what a coordinator
// is asked to send along.
const (
	mdGID       = "dtm-gid"
	mdBranchID  = "dtm-branch_id"
	mdOp        = "dtm-op"
	mdTransType = "dtm-trans_type"

	// SignatureHeader carries the signature of [Keyring.Sign]. An initiator
	// puts it on Try and into the branch headers that DTM sends.
	SignatureHeader = "tcc-signature"

	transType = "tcc"
)

// Outgoing returns a context whose gRPC calls are a delivery of b, in place
// of any branch that ctx was already calling for. signature may be empty.
func Outgoing(ctx context.Context, b Branch, signature string) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx)
	md = md.Copy()
	if md == nil {
		md = metadata.MD{}
	}
	md.Set(mdGID, b.GID)
	md.Set(mdBranchID, b.ID)
	md.Set(mdOp, b.Phase.String())
	md.Set(mdTransType, transType)
	delete(md, SignatureHeader)
	if signature != "" {
		md.Set(SignatureHeader, signature)
	}
	return metadata.NewOutgoingContext(ctx, md)
}

// incoming reads the branch that a call belongs to. It reports false for a
// call that names no global transaction, and an error for one that names it
// wrongly: half a branch is never taken for none.
func incoming(ctx context.Context, method string) (b Branch, signature string, ok bool, err error) {
	md, _ := metadata.FromIncomingContext(ctx)
	gid, hasGID, err := only(md, mdGID)
	if err != nil {
		return Branch{}, "", false, err
	}
	id, hasID, err := only(md, mdBranchID)
	if err != nil {
		return Branch{}, "", false, err
	}
	op, hasOp, err := only(md, mdOp)
	if err != nil {
		return Branch{}, "", false, err
	}
	if !hasGID && !hasID && !hasOp {
		return Branch{}, "", false, nil
	}
	if tt, has, err := only(md, mdTransType); err != nil {
		return Branch{}, "", false, err
	} else if has && tt != transType {
		return Branch{}, "", false, fmt.Errorf("%s is %q, this participant takes part in %q only", mdTransType, cut(tt, 32), transType)
	}
	phase, known := ParsePhase(op)
	if !known {
		return Branch{}, "", false, fmt.Errorf("%s is %q, want try, confirm or cancel", mdOp, cut(op, 32))
	}
	b = Branch{GID: gid, ID: id, Phase: phase, Method: method}
	if err := b.Validate(); err != nil {
		return Branch{}, "", false, err
	}
	signature, _, err = only(md, SignatureHeader)
	return b, signature, true, err
}

// only returns the single value of a key. Two values are an error: which of
// them counts would depend on who reads.
func only(md metadata.MD, key string) (string, bool, error) {
	switch v := md.Get(key); len(v) {
	case 0:
		return "", false, nil
	case 1:
		return v[0], true, nil
	default:
		return "", false, fmt.Errorf("%s is given %d times", key, len(v))
	}
}
