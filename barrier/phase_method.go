package barrier

import (
	"fmt"
	"strings"

	"github.com/tcckit/tcckit/tcc"
)

// PhaseMethod returns the full method of a branch's Confirm or Cancel, given
// that of its Try, by the convention that the three differ in the first word of
// the method's name: "/shop.Till/TryDebit", "/shop.Till/ConfirmDebit",
// "/shop.Till/CancelDebit". It is [ResolverConfig].Method unless a participant
// names its methods otherwise.
func PhaseMethod(try string, phase tcc.Phase) (string, error) {
	service, name, ok := strings.Cut(strings.TrimPrefix(try, "/"), "/")
	action, isTry := strings.CutPrefix(name, "Try")
	if !ok || service == "" || !strings.HasPrefix(try, "/") || !isTry {
		return "", fmt.Errorf("barrier: the method %q of a try is not of the form /package.Service/TryAction, so its %s is not known: give the resolver a Method of your own", try, phase)
	}
	switch phase {
	case tcc.Confirm:
		return "/" + service + "/Confirm" + action, nil
	case tcc.Cancel:
		return "/" + service + "/Cancel" + action, nil
	default:
		return "", fmt.Errorf("barrier: a branch is resolved by confirm or cancel, not by %s", phase)
	}
}
