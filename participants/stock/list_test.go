package stock_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/rpc/rpctest"
)

// pages lists with req until there is no further page.
func (b *bundle) pages(req *pb.ListItemsRequest) (pages [][]string) {
	b.t.Helper()
	for {
		resp, err := b.ListItems(b.t.Context(), req)
		require.NoError(b.t, err)
		var skus []string
		for _, item := range resp.GetItems() {
			skus = append(skus, item.GetSku())
		}
		pages = append(pages, skus)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return pages
		}
	}
}

func TestListItems(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		require.Equal(t, [][]string{nil}, b.pages(&pb.ListItemsRequest{}))
		for _, sku := range []string{"c", "a", "B", "d", "e"} {
			b.put(sku, 1, 1)
		}
		require.Equal(t, [][]string{{"B", "a"}, {"c", "d"}, {"e"}}, b.pages(&pb.ListItemsRequest{PageSize: 2}))
		require.Equal(t, [][]string{{"B", "a", "c", "d", "e"}}, b.pages(&pb.ListItemsRequest{PageSize: 5}))
		require.Equal(t, [][]string{{"a", "d"}}, b.pages(&pb.ListItemsRequest{Skus: []string{"d", "none", "a"}}))
		require.Equal(t, [][]string{{"a"}, {"d"}}, b.pages(&pb.ListItemsRequest{Skus: []string{"d", "a"}, PageSize: 1}))
		for i := range 50 {
			b.put(fmt.Sprintf("x-%d", i), 1, 1)
		}
		pages := b.pages(&pb.ListItemsRequest{})
		require.Len(t, pages, 2)
		require.Len(t, pages[0], 50)
	})
}

func TestListItemsRefusesTokens(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bundle) {
		b.put("a", 1, 1)
		b.put("b", 1, 1)
		resp, err := b.ListItems(t.Context(), &pb.ListItemsRequest{PageSize: 1})
		require.NoError(t, err)
		token := resp.GetNextPageToken()
		_, err = b.ListItems(t.Context(), &pb.ListItemsRequest{PageToken: "a"})
		rpctest.RequireStatus(t, err, codes.InvalidArgument, "BAD_PAGE_TOKEN")
		_, err = b.ListItems(t.Context(), &pb.ListItemsRequest{PageToken: token, Skus: []string{"a"}})
		rpctest.RequireStatus(t, err, codes.InvalidArgument, "BAD_PAGE_TOKEN")
	})
}
