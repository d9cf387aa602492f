package gatehouse

import "net/netip"

// PrincipalKind says what sort of caller a Principal is.
type PrincipalKind string

// The kinds of caller.
const (
	Anonymous PrincipalKind = "anonymous" // nobody signed in: loopback only, unless configured otherwise
	Local     PrincipalKind = "local"     // the operating-system user who started the process, on standard input
	Key       PrincipalKind = "key"       // an access key
)

// Principal is who calls. Every stage after identity knows the caller only by this value; it is immutable.
type Principal struct {
	Kind   PrincipalKind
	ID     string     // stable and unique among all kinds, e.g. "key:ci-runner"; never empty
	Name   string     // for people: the key's name, the user's login
	Token  string     // public id of the credential used (a key id); never the credential
	Source netip.Addr // address the call came from; invalid on stdio
}
