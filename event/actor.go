package event

import (
	"context"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/phrase"
)

// ActorKind is the kind of an actor, such as an operator or a token.
type ActorKind string

// The kinds of actors.
const (
	Operator ActorKind = "operator" // a person who runs the installation
	Admin    ActorKind = "admin"    // an administrator of a site
	Person   ActorKind = "person"   // a user of a site who acts for themselves, such as signing in or out
	Token    ActorKind = "token"    // an identity provider with a SCIM token
	APIKey   ActorKind = "key"      // a script with an API key of a directory
	Command  ActorKind = "command"  // the command line on the server
	Job      ActorKind = "job"      // a provisioning job
	System   ActorKind = "system"   // Rollcall itself
	Anybody  ActorKind = "anybody"  // a caller who did not sign in and sent no token
)

// ActorKinds lists the kinds in the order in which pages offer them.
var ActorKinds = []ActorKind{Operator, Admin, Person, Token, APIKey, Command, Job, System, Anybody}

// Actor says who did something, and from where. The name of an actor can change, and another actor
// can get it later. The id of an actor never changes.
type Actor struct {
	Kind      ActorKind
	ID        string // the id of the operator, person, token, key or application; on the command line, the user number (uid) of the operating system
	Name      string // the name at that time: a user name, the label of a token or key, or user@host on the command line
	Address   string // the client's network address, as trusted proxies report it; empty if there is none
	UserAgent string // the User-Agent header of the client's request; empty if there is none
}

// IsZero reports whether nothing is known about the actor.
func (a Actor) IsZero() bool { return a == Actor{} }

// At returns the actor a with the network address and user agent of other.
func (a Actor) At(other Actor) Actor {
	a.Address, a.UserAgent = other.Address, other.UserAgent
	return a
}

// Label returns the actor in the short form of Event.Actor, such as "operator:sam".
func (a Actor) Label() string {
	switch a.Kind {
	case Operator, Admin:
		return string(a.Kind) + ":" + a.Name
	case Person:
		return "user:" + a.Name
	case Token:
		return "scim:" + labelEnd(a.Name)
	case APIKey:
		return "key:" + labelEnd(a.Name)
	case Command:
		return "cli"
	case Job, System:
		return "system"
	case Anybody:
		return "anybody"
	}
	return a.Name
}

// Words describes the actor for people, such as "sam (operator)".
func (a Actor) Words() string {
	switch a.Kind {
	case Operator:
		return a.Name + " (operator)"
	case Token:
		return "SCIM, token " + labelEnd(a.Name)
	case APIKey:
		return "API key " + labelEnd(a.Name)
	case Command:
		return "command line"
	case Job, System:
		return "Rollcall itself"
	case Anybody:
		return "anybody"
	}
	if a.Name == "" {
		return "Rollcall itself"
	}
	return a.Name
}

// IsAutomatic reports whether Rollcall itself acted, without a person or client.
func (a Actor) IsAutomatic() bool {
	return a.Kind == Job || a.Kind == System || a.Kind == "" && a.Name == ""
}

// labelEnd returns the end of a token's or key's label: "…" and the last four characters of the
// token or key.
func labelEnd(label string) string {
	if at := strings.LastIndex(label, "…"); at >= 0 {
		return strings.TrimSuffix(label[at:], ")")
	}
	return label
}

// ParseActor returns the actor with this Label, as far as the label describes it. Stores call it
// for old rows, which have only the actor's label. Pages call it for the record of who last changed
// an account, which also has only the label.
func ParseActor(label string) Actor {
	kind, name, found := strings.Cut(label, ":")
	switch {
	case label == "":
		return Actor{}
	case label == "cli":
		return Actor{Kind: Command}
	case label == "system":
		return Actor{Kind: System}
	case label == "anybody":
		return Actor{Kind: Anybody}
	case !found:
		return Actor{Name: label}
	}
	switch kind {
	case "operator", "admin":
		return Actor{Kind: ActorKind(kind), Name: name}
	case "user":
		return Actor{Kind: Person, Name: name}
	case "scim":
		return Actor{Kind: Token, Name: name}
	case "key":
		return Actor{Kind: APIKey, Name: name}
	}
	return Actor{Name: label}
}

// actorKey is the key of the actor in a context.
type actorKey struct{}

// WithActor returns a context that carries the actor a. Servers and commands call it once for each
// request, command or piece of a job's work. Every event that is appended with this context then
// names the actor and the network address.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorIn returns the actor of a context; the zero Actor if the context has none.
func ActorIn(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

// maxActorText is the maximum length, in bytes, of each stored string that a client sends about
// itself, such as the User-Agent.
const maxActorText = 300

// FillFrom fills in the actor and the cause of the event from ctx. It keeps an actor that the event
// already names in By, or else in Actor. Stores call FillFrom for each event that they append.
func (e *Event) FillFrom(ctx context.Context) {
	in := ActorIn(ctx)
	if e.Cause == "" {
		e.Cause = CauseIn(ctx).ID
	}
	switch {
	case !e.By.IsZero():
	case e.Actor == "" || e.Actor == in.Label():
		e.By = in
	default:
		e.By = ParseActor(e.Actor)
	}
	if e.By.Address == "" && e.By.UserAgent == "" {
		e.By.Address, e.By.UserAgent = in.Address, in.UserAgent
	}
	if e.Actor == "" {
		e.Actor = e.By.Label()
	}
	for _, text := range []*string{&e.By.ID, &e.By.Name, &e.By.Address, &e.By.UserAgent} {
		*text = phrase.Cut(phrase.Storable(*text), maxActorText)
	}
}
