package rocketmq

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"

	clienterrors "github.com/apache/rocketmq-client-go/v2/errors"
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"github.com/tcckit/tcckit/messaging"
	"github.com/tcckit/tcckit/messaging/rocketmq/internal/remoting"
)

var (
	// ErrUnknownTopic says that no broker has the topic, although there are
	// brokers. Somebody may create it, so the error is neither
	// [messaging.ErrUnavailable] nor [messaging.ErrPermanent].
	ErrUnknownTopic = errors.New("rocketmq: the topic does not exist")

	// errNoAnswer says that a message may have been stored or not.
	errNoAnswer = errors.New("no answer in time: the broker may have stored it")
)

// The codes with which a broker refuses.
const (
	codeSystemError  = 1
	codeSystemBusy   = 2
	codeIllegal      = 13
	codeNotAvailable = 14
	codeNotPermitted = 16
	codeUnknownTopic = 17
)

// refusal matches the client's error about a broker's code.
const refusal = `^CODE: (\d+), {1,2}DESC: `

// wrongCredentials matches what a broker says of credentials: with the ACL before
// RocketMQ 5.3, and since.
const wrongCredentials = `AclException|AuthenticationException|username cannot be null|check signature failed|User:\S* is (not found|disabled?)`

// classify says what is to blame for a failed send: see messaging.ErrUnavailable
// and messaging.ErrPermanent. The client's errors are mostly texts.
func (b *Bus) classify(ctx context.Context, topic string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, clienterrors.ErrRequestTimeout), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return messaging.Unavailable(errNoAnswer)
	case errors.Is(err, clienterrors.ErrNotRunning), errors.Is(err, clienterrors.ErrService):
		return ErrClosed
	case errors.As(err, new(net.Error)), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded),
		primitive.IsRemotingErr(err):
		return messaging.Unavailable(err)
	case strings.Contains(err.Error(), "route info not found"):
		return b.classifyNoRoute(ctx, topic)
	}
	if m := regexp.MustCompile(refusal).FindStringSubmatch(err.Error()); m != nil {
		code, _ := strconv.Atoi(m[1]) // digits
		return classifyCode(code, err)
	}
	return err
}

func classifyCode(code int, err error) error {
	switch code {
	case codeSystemBusy, codeNotAvailable:
		return messaging.Unavailable(err)
	case codeIllegal:
		return messaging.Permanent(err)
	case codeUnknownTopic:
		return fmt.Errorf("%w: %w", ErrUnknownTopic, err)
	case codeSystemError, codeNotPermitted:
		// With wrong credentials no message would have been taken; what a
		// right account may not do is a matter of the topic.
		if regexp.MustCompile(wrongCredentials).MatchString(err.Error()) {
			return messaging.Unavailable(fmt.Errorf("the broker does not accept the access key or secret key: %w", err))
		}
	}
	return err
}

// classifyNoRoute finds out what the client's "route info not found" means: no
// name server, no broker, or no such topic.
func (b *Bus) classifyNoRoute(ctx context.Context, topic string) error {
	r, err := b.route(ctx, topic)
	if err != nil {
		return err
	}
	if len(r.Queues) > 0 {
		return messaging.Unavailable(errors.New("the topic was not known yet"))
	}
	brokers, err := b.brokers(ctx)
	if err != nil {
		return err
	}
	if len(brokers) == 0 {
		return messaging.Unavailable(errors.New("the name server knows of no broker"))
	}
	return ErrUnknownTopic
}

// refusedBy is the error of a broker that was asked by internal/remoting.
func refusedBy(broker string, err error) error {
	err = fmt.Errorf("broker %s: %w", broker, err)
	if code, ok := remoting.Refused(err); ok {
		return classifyCode(code, err)
	}
	return messaging.Unavailable(err)
}
