package coordinator_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tcckit/tcckit/coordinator"
	"github.com/tcckit/tcckit/tcc"
)

// payload returns a text whose message is n bytes long when encoded.
func payload(t *testing.T, n int) string {
	t.Helper()
	text := strings.Repeat("x", n-4)
	require.Equal(t, n, proto.Size(wrapperspb.String(text)))
	return text
}

func testLargestPayload(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	tx := begin(t, c)
	text := payload(t, coordinator.MaxPayloadLen)
	require.NoError(t, tx.Try(bounded(t), p.branch(text)))
	require.NoError(t, tx.Commit(bounded(t)))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	require.Equal(t, text, p.got(tx.GID(), tcc.Confirm)[0].request)
}

func testEmptyPayload(t *testing.T, d *dtm) {
	c, p := d.client(t), newParticipant(t)
	tx := begin(t, c)
	b := p.branch("")
	b.Request = &emptypb.Empty{}
	require.NoError(t, tx.Try(bounded(t), b))
	require.NoError(t, tx.Commit(bounded(t)))
	awaitStatus(t, c, tx.GID(), coordinator.Succeeded)
	require.Equal(t, []string{"01 try", "01 confirm"}, p.calls(tx.GID()))
}

// The client counts the bytes of the options as DTM stores them, and the
// largest that it lets pass fits.
func testOptionsAsStored(t *testing.T, d *dtm) {
	c := d.client(t)
	fits := func(n int) error {
		tx, err := c.Begin(bounded(t), coordinator.WithHeaders(map[string]string{"x-filling": strings.Repeat("<", n)}))
		if err != nil {
			require.ErrorIs(t, err, tcc.ErrInvalid)
			require.ErrorContains(t, err, "at most 1024")
			return err
		}
		require.LessOrEqual(t, len(storedOptions(t, d, tx.GID())), coordinator.MaxOptionsLen)
		require.NoError(t, tx.Abort(bounded(t), ""))
		return nil
	}
	require.NoError(t, fits(10))
	low, high := 10, 1000 // a "<" takes six bytes
	for high-low > 1 {
		if middle := (low + high) / 2; fits(middle) == nil {
			low = middle
		} else {
			high = middle
		}
	}
	tx, err := c.Begin(bounded(t), coordinator.WithHeaders(map[string]string{"x-filling": strings.Repeat("<", low)}))
	require.NoError(t, err)
	require.Greater(t, len(storedOptions(t, d, tx.GID())), coordinator.MaxOptionsLen-6, "it refuses what would fit")
	require.NoError(t, tx.Abort(bounded(t), ""))
}

func storedOptions(t *testing.T, d *dtm, gid string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(bounded(t), http.MethodGet, d.HTTPURL()+"/api/dtmsvr/query?gid="+gid, nil)
	require.NoError(t, err)
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var answer struct {
		Transaction struct {
			Options string `json:"options"`
		} `json:"transaction"`
	}
	require.NoError(t, json.Unmarshal(body, &answer), "%s", body)
	require.NotEmpty(t, answer.Transaction.Options)
	return answer.Transaction.Options
}

// What can never work is refused before anything is sent.
func TestMalformedBranches(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	c, p := newClient(t, dial(t, s.grpcAddr), s.httpURL), newParticipant(t)
	change := func(f func(*coordinator.Branch)) []coordinator.Branch {
		b := p.branch("bad")
		f(&b)
		return []coordinator.Branch{p.branch("good"), b}
	}
	for _, test := range []struct {
		name, want string
		branches   []coordinator.Branch
	}{
		{"payload", "at most 65535", change(func(b *coordinator.Branch) { b.Request = wrapperspb.String(payload(t, 65536)) })},
		{"not UTF-8", "cannot be encoded", change(func(b *coordinator.Branch) { b.Request = wrapperspb.String("\xff") })},
		{"no request", "no Request", change(func(b *coordinator.Branch) { b.Request = nil })},
		{"no connection", "no Conn", change(func(b *coordinator.Branch) { b.Conn = nil })},
		{"no target", "want host:port", change(func(b *coordinator.Branch) { b.Target = "" })},
		{"no port", "want host:port", change(func(b *coordinator.Branch) { b.Target = "stock" })},
		{"scheme", "want host:port", change(func(b *coordinator.Branch) { b.Target = "dns:///stock:80" })},
		{"http", "want host:port", change(func(b *coordinator.Branch) { b.Target = "http://stock:80" })},
		{"path", "want host:port", change(func(b *coordinator.Branch) { b.Target = "stock:80/x" })},
		{"long url", "at most 1024", change(func(b *coordinator.Branch) { b.Cancel = "/s/" + strings.Repeat("m", 1020) })},
		{"no try", "method of try", change(func(b *coordinator.Branch) { b.Try = "" })},
		{"no slash", "method of confirm", change(func(b *coordinator.Branch) { b.Confirm = "s/Confirm" })},
		{"no method", "method of cancel", change(func(b *coordinator.Branch) { b.Cancel = "/s/" })},
		{"three parts", "method of cancel", change(func(b *coordinator.Branch) { b.Cancel = "/s/m/x" })},
		{"id with space", "branch id", change(func(b *coordinator.Branch) { b.ID = "a b" })},
		{"long id", "branch id", change(func(b *coordinator.Branch) { b.ID = strings.Repeat("i", 129) })},
		{"same id", "used twice", change(func(b *coordinator.Branch) { b.ID = "01" })},
		{"many", "at most 500", make([]coordinator.Branch, 501)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			tx := begin(t, c)
			err := tx.Try(bounded(t), test.branches...)
			require.ErrorIs(t, err, tcc.ErrInvalid)
			require.ErrorContains(t, err, test.want)
			require.ErrorContains(t, err, tx.GID())
			require.Empty(t, p.got(tx.GID()))
			require.ErrorIs(t, tx.Commit(bounded(t)), tcc.ErrInvalid)
			require.Empty(t, s.branches(tx.GID()))
			require.Equal(t, coordinator.Failed, s.status(tx.GID()))
		})
	}
}

func TestMalformedHeaders(t *testing.T) {
	t.Parallel()
	s := newStandIn(t)
	c := newClient(t, dial(t, s.grpcAddr), s.httpURL)
	for _, headers := range []map[string]string{
		{"": "x"},
		{"Upper": "x"},
		{"with space": "x"},
		{"dtm-gid": "x"},
		{"tcc-signature": "x"},
		{"grpc-timeout": "x"},
		{"x-bin": "x"},
		{"x": "line\nbreak"},
		{"x": "ü"},
		{":path": "x"},
	} {
		_, err := c.Begin(bounded(t), coordinator.WithHeaders(headers))
		require.ErrorIs(t, err, tcc.ErrInvalid, "%q", headers)
	}
}
