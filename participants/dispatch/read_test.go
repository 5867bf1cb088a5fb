package dispatch_test

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/dispatch/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
	"github.com/tcckit/tcckit/participants/dispatch"
)

// put stores shipments s-01, s-02, ... of an account.
func (b *bundle) put(account string, n int) {
	b.t.Helper()
	require.NoError(b.t, b.db.Transact(b.t.Context(), func(ctx context.Context, tx *sql.Tx) error {
		for i := 1; i <= n; i++ {
			id := fmt.Sprintf("%s-s-%02d", account, i)
			if _, err := tx.ExecContext(ctx, "INSERT INTO shipment (shipment_id, order_id, account_id, created_at) VALUES (?, ?, ?, 1000)", id, "of-"+id, account); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO shipment_line (shipment_id, line, sku, quantity) VALUES (?, 1, 'pear', ?), (?, 2, 'apple', 1)", id, i, id); err != nil {
				return err
			}
		}
		return nil
	}))
}

// pages lists with req until there is no further page.
func (b *bundle) pages(req *pb.ListShipmentsRequest) (pages [][]string) {
	b.t.Helper()
	for {
		resp, err := b.ListShipments(b.t.Context(), req)
		require.NoError(b.t, err)
		var ids []string
		for _, s := range resp.GetShipments() {
			ids = append(ids, strings.TrimPrefix(s.GetShipmentId(), s.GetAccountId()+"-"))
		}
		pages = append(pages, ids)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return pages
		}
	}
}

func TestGetShipment(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.put("ann", 3)
		resp, err := b.GetShipment(t.Context(), &pb.GetShipmentRequest{OrderId: "of-ann-s-02"})
		require.NoError(t, err)
		want := &pb.Shipment{
			ShipmentId: "ann-s-02", OrderId: "of-ann-s-02", AccountId: "ann", CreateTime: &timestamppb.Timestamp{Seconds: 1},
			Lines: []*pb.ShipmentLine{{Sku: "pear", Quantity: 2}, {Sku: "apple", Quantity: 1}},
		}
		require.True(t, proto.Equal(want, resp.GetShipment()), "%v", resp)
		for _, none := range []string{"none", "OF-ANN-S-02", "äpfel", strings.Repeat("x", 128)} {
			_, err = b.GetShipment(t.Context(), &pb.GetShipmentRequest{OrderId: none})
			rpctest.RequireStatus(t, err, codes.NotFound, dispatch.ReasonUnknownShipment)
		}
		_, err = b.GetShipment(t.Context(), &pb.GetShipmentRequest{})
		require.Equal(t, codes.InvalidArgument, status.Code(err), "%v", err)
	})
}

func TestListShipments(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		require.Equal(t, [][]string{nil}, b.pages(&pb.ListShipmentsRequest{AccountId: "ann"}))
		b.put("ann", 5)
		b.put("bob", 1)
		require.Equal(t, [][]string{{"s-05", "s-04"}, {"s-03", "s-02"}, {"s-01"}}, b.pages(&pb.ListShipmentsRequest{AccountId: "ann", PageSize: 2}))
		require.Equal(t, [][]string{{"s-05", "s-04", "s-03", "s-02", "s-01"}}, b.pages(&pb.ListShipmentsRequest{AccountId: "ann", PageSize: 5}))
		require.Equal(t, [][]string{{"s-01"}}, b.pages(&pb.ListShipmentsRequest{AccountId: "bob"}))
		b.put("eve", 51)
		pages := b.pages(&pb.ListShipmentsRequest{AccountId: "eve"})
		require.Len(t, pages, 2)
		require.Len(t, pages[0], 50)
	})
}

func TestListShipmentsRefusesTokens(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.put("ann", 2)
		resp, err := b.ListShipments(t.Context(), &pb.ListShipmentsRequest{AccountId: "ann", PageSize: 1})
		require.NoError(t, err)
		require.NotEmpty(t, resp.GetNextPageToken())
		for _, token := range []string{"a", resp.GetNextPageToken()} {
			_, err = b.ListShipments(t.Context(), &pb.ListShipmentsRequest{AccountId: "bob", PageToken: token})
			rpctest.RequireStatus(t, err, codes.InvalidArgument, "BAD_PAGE_TOKEN")
		}
	})
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := dispatch.New(dispatch.Config{Timeout: -1})
	require.ErrorContains(t, err, "no DB")
	require.ErrorContains(t, err, "no Order")
	require.ErrorContains(t, err, "Timeout")
}
