package serve

import (
	"context"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	pb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	"github.com/tcckit/tcckit/internal/rpc"
	"github.com/tcckit/tcckit/participants/bank"
)

// banks are the names of the banks of the shop's town; bankPrefix makes them names of services.
func banks() []string { return []string{"north", "south"} }

const bankPrefix = "bank-"

// bankHost serves the banks of a process at one address, as hosts of the web share one. A call's authority,
// which is the host that the caller has dialled or what it says instead, begins with the name of the service it
// is for: bank-south, or bank-south.shop.svc:7402. Where there is only one bank, other names will do.
type bankHost struct {
	pb.UnimplementedBankServiceServer
	served map[string]*bank.Service // by name of the service
}

var _ pb.BankServiceServer = (*bankHost)(nil)

func newBankHost() *bankHost { return &bankHost{served: make(map[string]*bank.Service)} }

// Register implements registrant.
func (h *bankHost) Register(r grpc.ServiceRegistrar) { pb.RegisterBankServiceServer(r, h) }

// of returns the bank that a call is for.
func (h *bankHost) of(ctx context.Context) (*bank.Service, error) {
	var names []string
	for _, name := range banks() {
		if _, ok := h.served[bankPrefix+name]; ok {
			names = append(names, bankPrefix+name)
		}
	}
	wanted := firstLabel(authority(ctx))
	if b, ok := h.served[wanted]; ok {
		return b, nil
	}
	// It is better to refuse than to have another bank do what one was asked for.
	if elsewhere := slices.Contains(banks(), strings.TrimPrefix(wanted, bankPrefix)); len(names) > 1 || elsewhere {
		return nil, rpc.Error(codes.NotFound, "UNKNOWN_BANK", "the call is for "+wanted+", and here are "+strings.Join(names, ", ")+
			": name one of them as the call's authority (grpc.WithAuthority, grpcurl -authority)", map[string]string{"authority": authority(ctx)})
	}
	return h.served[names[0]], nil
}

// authority is the host that a call is addressed to.
func authority(ctx context.Context) string {
	if values := metadata.ValueFromIncomingContext(ctx, ":authority"); len(values) > 0 {
		return values[0]
	}
	return ""
}

// firstLabel is what comes before the first dot, or the port.
func firstLabel(host string) string {
	if i := strings.IndexAny(host, ".:"); i >= 0 {
		return host[:i]
	}
	return host
}

// Transfer implements the service.
func (h *bankHost) Transfer(ctx context.Context, req *pb.TransferRequest) (*pb.TransferResponse, error) {
	return at(ctx, h, req, (*bank.Service).Transfer)
}

// GetTransfer implements the service.
func (h *bankHost) GetTransfer(ctx context.Context, req *pb.GetTransferRequest) (*pb.GetTransferResponse, error) {
	return at(ctx, h, req, (*bank.Service).GetTransfer)
}

// GetAccount implements the service.
func (h *bankHost) GetAccount(ctx context.Context, req *pb.GetAccountRequest) (*pb.GetAccountResponse, error) {
	return at(ctx, h, req, (*bank.Service).GetAccount)
}

// OpenAccount implements the service.
func (h *bankHost) OpenAccount(ctx context.Context, req *pb.OpenAccountRequest) (*pb.OpenAccountResponse, error) {
	return at(ctx, h, req, (*bank.Service).OpenAccount)
}

// CloseAccount implements the service.
func (h *bankHost) CloseAccount(ctx context.Context, req *pb.CloseAccountRequest) (*pb.CloseAccountResponse, error) {
	return at(ctx, h, req, (*bank.Service).CloseAccount)
}

// at calls a method of the bank that a call is for.
func at[Req, Resp any](ctx context.Context, h *bankHost, req Req, method func(*bank.Service, context.Context, Req) (Resp, error)) (resp Resp, err error) {
	b, err := h.of(ctx)
	if err != nil {
		return resp, err
	}
	return method(b, ctx, req)
}
