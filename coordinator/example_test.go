package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/tcckit/tcckit/coordinator"
)

func ExampleClient_Run() {
	// A stand-in for DTM and a participant, in this process.
	dtm, participant, stop := startExample()
	defer stop()

	conn, err := grpc.NewClient(dtm.grpcAddr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	client, err := coordinator.New(coordinator.Config{Conn: conn, HTTPURL: dtm.httpURL})
	if err != nil {
		fmt.Println(err)
		return
	}

	// The deadline covers the Trys; DTM gives up some time after it.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	order := func(sku string) error {
		return client.Run(ctx, func(ctx context.Context, tx *coordinator.Transaction) error {
			debit := new(wrapperspb.StringValue)
			return tx.Try(ctx,
				coordinator.Branch{
					Conn: participant.conn, Target: participant.addr,
					Try: tryMethod, Confirm: confirmMethod, Cancel: cancelMethod, // in practice Account_TryDebit_FullMethodName, ...
					Request: wrapperspb.String("debit 5"), Reply: debit,
				},
				coordinator.Branch{
					Conn: participant.conn, Target: participant.addr,
					Try: tryMethod, Confirm: confirmMethod, Cancel: cancelMethod,
					Request: wrapperspb.String("reserve " + sku),
				})
		})
	}

	fmt.Println("tea:", order("tea"))
	var rejected *coordinator.RejectedError
	if errors.As(order("coffee"), &rejected) {
		fmt.Println("coffee:", rejected.Rejection.Reason, rejected.Rejection.Metadata["left"])
	}
	// Output:
	// tea: <nil>
	// coffee: INSUFFICIENT_STOCK 0
}
