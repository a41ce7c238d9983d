package event

import (
	"context"
	"strings"
	"unicode/utf8"
)

// ActorKind says what kind of somebody acted.
type ActorKind string

// The kinds of actors.
const (
	Operator ActorKind = "operator" // runs the installation
	Admin    ActorKind = "admin"    // an administrator of a site
	Person   ActorKind = "person"   // somebody of a site, who acts for themselves: signs in or out
	Token    ActorKind = "token"    // an identity provider, by a SCIM token
	Command  ActorKind = "command"  // the command line on the server
	Job      ActorKind = "job"      // a provisioning job
	System   ActorKind = "system"   // Rollcall itself
	Anybody  ActorKind = "anybody"  // somebody who did not say who they are
)

// ActorKinds lists the kinds in the order in which pages offer them.
var ActorKinds = []ActorKind{Operator, Admin, Person, Token, Command, Job, System, Anybody}

// Actor is who did something, and from where. Names can change and be given to others; ids cannot.
type Actor struct {
	Kind      ActorKind
	ID        string // of the operator, the person, the token or the application; the user number on the command line
	Name      string // what it was called then: a user name, a token's label, user@host on the command line
	Address   string // network address of the client, after trusted proxies; empty where there is none
	UserAgent string // what the client called itself
}

// IsZero says whether nothing is known of the actor.
func (a Actor) IsZero() bool { return a == Actor{} }

// At returns a, acting from where other does.
func (a Actor) At(other Actor) Actor {
	a.Address, a.UserAgent = other.Address, other.UserAgent
	return a
}

// Label is the short form that Event.Actor holds.
func (a Actor) Label() string {
	switch a.Kind {
	case Operator, Admin:
		return string(a.Kind) + ":" + a.Name
	case Person:
		return "user:" + a.Name
	case Token:
		return "scim:" + tail(a.Name)
	case Command:
		return "cli"
	case Job, System:
		return "system"
	case Anybody:
		return "anybody"
	}
	return a.Name
}

// Words names the actor in a sentence for people.
func (a Actor) Words() string {
	switch a.Kind {
	case Operator:
		return a.Name + " (operator)"
	case Token:
		return "SCIM, token " + tail(a.Name)
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

// IsAutomatic says whether nobody acted: it was Rollcall itself.
func (a Actor) IsAutomatic() bool {
	return a.Kind == Job || a.Kind == System || a.Kind == "" && a.Name == ""
}

// tail is what a token's label ends with: "…a91f", its last four characters.
func tail(label string) string {
	if at := strings.LastIndex(label, "…"); at >= 0 {
		return strings.TrimSuffix(label[at:], ")")
	}
	return label
}

// ParseActor reads a Label. It is the only code that does: stores call it for rows of before actors had
// columns of their own, and pages for stamps, which keep the label alone. Of a token it knows only the last four characters.
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
	}
	return Actor{Name: label}
}

type actorKey struct{}

// WithActor returns a context in which a acts. The edges call it once for each request, command or slice of a job: every event
// that is appended under the context then tells who it was and from where.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorIn returns who acts in a context; the zero Actor when nobody said.
func ActorIn(ctx context.Context) Actor {
	a, _ := ctx.Value(actorKey{}).(Actor)
	return a
}

// maxActorText bounds what a client says about itself, in bytes.
const maxActorText = 300

// Attribute completes an event with who acts in ctx. What the event says itself counts more: By where it is set, then Actor. The
// stores call it for each event that they append.
func (e *Event) Attribute(ctx context.Context) {
	in := ActorIn(ctx)
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
		*text = clip(*text, maxActorText)
	}
}

// clip shortens text to at most limit bytes of whole characters, and drops bytes that are no text.
func clip(text string, limit int) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) <= limit {
		return text
	}
	cut := limit - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
