package stock

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/stock/v1"
	"github.com/tcckit/tcckit/internal/database"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/internal/rpc/pagetoken"
)

const defaultPageSize = 50

// ListItems lists items by SKU.
func (s *Service) ListItems(ctx context.Context, req *pb.ListItemsRequest) (*pb.ListItemsResponse, error) {
	// A token is good for the list that it was given for only.
	scope := "items\x00" + strings.Join(req.GetSkus(), "\x00")
	after, err := pagetoken.Decode(scope, req.GetPageToken())
	if err != nil {
		return nil, rpc.Error(codes.InvalidArgument, "BAD_PAGE_TOKEN", err.Error(), nil)
	}
	size := int(req.GetPageSize())
	if size <= 0 {
		size = defaultPageSize
	}
	// One more than the page tells whether there is another one.
	items, err := list(ctx, s.db.SQL(), req.GetSkus(), after, size+1)
	if err != nil {
		return nil, database.Transient(err)
	}
	resp := &pb.ListItemsResponse{Items: items}
	if len(items) > size {
		resp.Items = items[:size]
		resp.NextPageToken = pagetoken.Encode(scope, items[size-1].GetSku())
	}
	return resp, nil
}
