package coordinator

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/dtm-labs/client/dtmgrpc/dtmgpb"
	"go.opentelemetry.io/otel/propagation"

	"github.com/tcckit/tcckit/tcc"
)

// graceToFail is added to the Try deadline to make the time after which DTM
// aborts a transaction that its initiator left undecided.
const graceToFail = 10 * time.Second

// BeginOption changes one transaction; see [WithGID] and [WithHeaders].
type BeginOption func(*beginOptions)

type beginOptions struct {
	gid     string
	headers map[string]string
}

// WithGID gives the transaction an id of the caller's, who must have stored it
// before: an initiator that crashes can then find out what became of it. It
// must never have been used before, so make it a UUID (version 7 keeps the
// barrier's tables in time order); DTM takes a second Begin of an undecided
// gid for a repetition of the first.
func WithGID(gid string) BeginOption {
	return func(o *beginOptions) { o.gid = gid }
}

// WithHeaders adds metadata to every delivery of the transaction: Try, and
// the Confirm and Cancel that the coordinator calls. Keys are lower case,
// values printable ASCII. The coordinator stores them readable for all who
// may query it, and [MaxOptionsLen] limits them.
func WithHeaders(headers map[string]string) BeginOption {
	h := maps.Clone(headers)
	return func(o *beginOptions) { o.headers = h }
}

// validateHeaders refuses what would be lost on the way, or would speak in the
// framework's or gRPC's name.
func validateHeaders(headers map[string]string) error {
	for k, v := range headers {
		if k == "" || strings.IndexFunc(k, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
		}) >= 0 {
			return tcc.Invalidf("header %q: a key is made of lower-case letters, digits, '-', '_' and '.'", k)
		}
		for _, reserved := range [...]string{"dtm-", "tcc-", "grpc-"} {
			if strings.HasPrefix(k, reserved) {
				return tcc.Invalidf("header %q: keys that begin with %q are reserved", k, reserved)
			}
		}
		if strings.HasSuffix(k, "-bin") {
			return tcc.Invalidf("header %q: binary headers are not supported, encode the value and choose another name", k)
		}
		if strings.IndexFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			return tcc.Invalidf("header %q: its value has a character that is not printable ASCII", k)
		}
	}
	return nil
}

// dtmOptions makes the options that Prepare and Submit both carry: DTM
// processes a Submit with those of its request, and later retries with those
// of Prepare.
func (c *Client) dtmOptions(ctx context.Context, left time.Duration, headers map[string]string, signature string) (*dtmgpb.DtmTransOptions, error) {
	o := &dtmgpb.DtmTransOptions{
		// With WaitResult, an accepted Submit can answer with an error, and
		// the end of its call cancels a running Confirm.
		WaitResult:     false,
		TimeoutToFail:  ceilSeconds(left + graceToFail),
		RetryInterval:  int64(c.cfg.RetryInterval / time.Second),
		RequestTimeout: int64(c.cfg.RequestTimeout / time.Second),
		BranchHeaders:  make(map[string]string),
	}
	maps.Copy(o.BranchHeaders, headers)
	if signature != "" {
		o.BranchHeaders[tcc.SignatureHeader] = signature
	}
	n, err := optionsLen(o)
	if err != nil {
		return nil, err
	}
	if n > MaxOptionsLen {
		return nil, tcc.Invalidf("the options of the transaction, with its headers, are %d bytes long, DTM stores at most %d: send shorter headers", n, MaxOptionsLen)
	}
	return o, c.addTrace(ctx, o)
}

// addTrace adds the trace context. A transaction does not fail for want of
// room for it: baggage and vendors' state go first, then all of it.
func (c *Client) addTrace(ctx context.Context, o *dtmgpb.DtmTransOptions) error {
	carrier := propagation.MapCarrier{}
	c.cfg.Propagator.Inject(ctx, carrier)
	plain := o.BranchHeaders
	for _, keep := range [...]func(key string) bool{
		func(string) bool { return true },
		func(key string) bool { return key == "traceparent" },
	} {
		o.BranchHeaders = maps.Clone(plain)
		for k, v := range carrier {
			if k = strings.ToLower(k); keep(k) {
				o.BranchHeaders[k] = v
			}
		}
		if n, err := optionsLen(o); err != nil || n <= MaxOptionsLen {
			return err
		}
	}
	o.BranchHeaders = plain
	return nil
}

// optionsLen is the length of what DTM stores of o: JSON with these names in
// this order.
func optionsLen(o *dtmgpb.DtmTransOptions) (int, error) {
	b, err := json.Marshal(struct {
		WaitResult     bool              `json:"wait_result,omitempty"`
		TimeoutToFail  int64             `json:"timeout_to_fail,omitempty"`
		RequestTimeout int64             `json:"request_timeout,omitempty"`
		RetryInterval  int64             `json:"retry_interval,omitempty"`
		BranchHeaders  map[string]string `json:"branch_headers,omitempty"`
		Concurrent     bool              `json:"concurrent"`
	}{o.GetWaitResult(), o.GetTimeoutToFail(), o.GetRequestTimeout(), o.GetRetryInterval(), o.GetBranchHeaders(), false})
	return len(b), err
}

func ceilSeconds(d time.Duration) int64 {
	return int64((d + time.Second - 1) / time.Second)
}
