package fakebroker

// Request is the code of a request.
type Request int

// The requests that the server understands.
const (
	Send           Request = 10
	Pull           Request = 11
	QueryOffset    Request = 14
	UpdateOffset   Request = 15
	CreateTopic    Request = 17
	SearchOffset   Request = 29
	MaxOffset      Request = 30
	MinOffset      Request = 31
	Heartbeat      Request = 34
	Unregister     Request = 35
	SendBack       Request = 36
	EndTransaction Request = 37
	ConsumersOf    Request = 38
	LockQueues     Request = 41
	UnlockQueues   Request = 42
	Route          Request = 105
	ClusterInfo    Request = 106
	SendV2         Request = 310
	SendBatch      Request = 320
)

// checkHalf is a request of the broker's own; its opaque begins where a
// client's does not come to.
const (
	checkHalf       = 39
	checkHalfOpaque = 1 << 30
)

// Outcome is the code of a response.
type Outcome int

// Some outcomes.
const (
	Success            Outcome = 0
	SystemError        Outcome = 1
	SystemBusy         Outcome = 2
	Unsupported        Outcome = 3
	FlushDiskTimeout   Outcome = 10
	SlaveNotAvailable  Outcome = 11
	FlushSlaveTimeout  Outcome = 12
	MessageIllegal     Outcome = 13
	ServiceUnavailable Outcome = 14
	NoPermission       Outcome = 16
	TopicUnknown       Outcome = 17
	PullNotFound       Outcome = 19
	PullOffsetMoved    Outcome = 21
	QueryNotFound      Outcome = 22
)
