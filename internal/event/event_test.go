package event_test

import (
	"testing"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	bankpb "github.com/tcckit/tcckit/api/gen/tcckit/bank/v1"
	commonpb "github.com/tcckit/tcckit/api/gen/tcckit/common/v1"
	"github.com/tcckit/tcckit/internal/event"
	"github.com/tcckit/tcckit/messaging"
)

func sent() *bankpb.TransferSent {
	return &bankpb.TransferSent{
		TransferId: "t-1", FromBank: "north", FromAccountId: "ann", ToAccountId: "bob",
		Amount: &commonpb.Money{Amount: 1999, Currency: "EUR"},
	}
}

func TestWhatIsEncodedIsDecoded(t *testing.T) {
	t.Parallel()
	payload, err := event.Encode(sent())
	require.NoError(t, err)
	var got bankpb.TransferSent
	require.NoError(t, event.Decode(message.NewMessage("1", payload), &got))
	require.True(t, proto.Equal(sent(), &got))
}

func TestDecodeTellsWhatWillNeverBeRead(t *testing.T) {
	t.Parallel()
	bad := sent()
	bad.Amount.Amount = -1
	negative, err := event.Encode(bad)
	require.NoError(t, err)
	for name, payload := range map[string][]byte{
		"nothing": nil, "no JSON": []byte("{"), "another type": []byte(`{"transferId": {}}`), "against the rules": negative,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := event.Decode(message.NewMessage("1", payload), &bankpb.TransferSent{})
			require.ErrorIs(t, err, messaging.ErrPermanent)
		})
	}
}

func TestDecodePassesOverWhatANewerReleaseSent(t *testing.T) {
	t.Parallel()
	payload, err := event.Encode(sent())
	require.NoError(t, err)
	newer := append([]byte(`{"colour":"red",`), payload[1:]...)
	require.NoError(t, event.Decode(message.NewMessage("1", newer), &bankpb.TransferSent{}))
}

func TestIDIsOneForEachSubjectOfATopic(t *testing.T) {
	t.Parallel()
	id := event.ID("a", "1")
	require.Equal(t, id, event.ID("a", "1"))
	require.NotEqual(t, id, event.ID("a", "2"))
	require.NotEqual(t, id, event.ID("b", "1"))
}
