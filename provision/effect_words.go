package provision

import (
	"fmt"
	"strings"
)

// Count is a function that returns a number with a noun, such as "2 users". Its arguments one and
// several are the noun in singular and plural.
type Count func(n int, one, several string) string

// Limits on how much of an effect the sentences mention.
const (
	maxReasonsNamed  = 8 // how many attributes, or clauses, are mentioned
	maxExamplesNamed = 3 // how many examples are mentioned for an attribute
)

// ValueSentences returns sentences about how a change affects the values at an application.
func (e Effect) ValueSentences(app string, count Count) []string {
	return e.valueSentences(app, nouns{"user", "users"}, count)
}

// nouns holds the noun for the objects of an effect, in singular and plural.
type nouns struct{ one, several string }

func (e Effect) valueSentences(app string, of nouns, count Count) []string {
	var said []string
	if e.Changed > 0 {
		said = append(said, count(e.Changed, of.one+" in scope gets", of.several+" in scope get")+" other values at "+app+".")
	}
	for i, a := range e.Attributes {
		if i == maxReasonsNamed {
			said = append(said, fmt.Sprintf("%s.", count(len(e.Attributes)-i, "more attribute changes", "more attributes change")))
			break
		}
		words := a.Target + " changes for " + count(a.People, of.one, of.several)
		if a.Emptied > 0 {
			words += "; " + count(a.Emptied, "of them gets", "of them get") + " no value from the mapping"
			if a.Keeps {
				words += ", and an account keeps the value that it has"
			}
		}
		said = append(said, words+". "+exampleWords(a.Examples))
	}
	return said
}

// Sentences returns sentences about the other effects of a change: accounts that a value switches
// on or off, missing or shared matching values, failures, and users who leave the scope or come
// into it, with the reasons. Sentences about groups follow.
func (e Effect) Sentences(app string, count Count) []string {
	return e.allSentences(app, nouns{"user", "users"}, count)
}

func (e Effect) allSentences(app string, of nouns, count Count) []string {
	said := e.sentences(app, of, count)
	if g := e.Groups; g != nil && g.Matters() {
		said = append(said, g.valueSentences(app, nouns{"group", "groups"}, count)...)
		said = append(said, g.sentences(app, nouns{"group", "groups"}, count)...)
		if g.Off > 0 {
			said = append(said, count(g.Off, "group is", "groups are")+" deleted at "+app+", because Delete is among the Target Object Actions.")
		}
		if g.Make > 0 {
			said = append(said, count(g.Make, "group is", "groups are")+" made at "+app+", except for those that are there already.")
		}
	}
	return said
}

// PlanNotes returns the same sentences as Sentences, for a plan: they speak of people instead of
// users.
func (e Effect) PlanNotes(app string, count Count) []string {
	return e.allSentences(app, nouns{"person", "people"}, count)
}

func (e Effect) sentences(app string, of nouns, count Count) []string {
	var said []string
	if e.SwitchedOff > 0 {
		said = append(said, count(e.SwitchedOff, "linked account", "linked accounts")+" at "+app+" will be switched off by the new value of active.")
	}
	if e.SwitchedOn > 0 {
		said = append(said, count(e.SwitchedOn, "linked account", "linked accounts")+" at "+app+" will be switched on by the new value of active.")
	}
	if e.Keyless > 0 {
		said = append(said, count(e.Keyless, of.one+" has", of.several+" have")+" no value in any matching attribute then: no account is found or made for them. "+peopleWords(e.NoKey))
	}
	for _, l := range e.Lacking {
		said = append(said, count(l.People, of.one+" without an account has", of.several+" without an account have")+" no value for "+l.Target+", which is required: no account is made for them. "+peopleWords(l.Examples))
	}
	for _, s := range e.Shared {
		words := s.Target + " is the same for " + count(s.People, of.one, of.several) + " who share it with another one, and " + app + " may take it only once"
		if s.Value != "" {
			words += ": most get " + fmt.Sprintf("%q", s.Value)
		}
		said = append(said, words+". "+peopleWords(s.Examples))
	}
	if e.Failing > 0 {
		words := "The mapping fails for " + count(e.Failing, of.one, of.several) + " in scope, who are not provisioned then."
		for _, f := range e.Failures[:min(2, len(e.Failures))] {
			words += " " + f.Name + ": " + f.Text
		}
		said = append(said, words)
	}
	said = append(said, reasonWords(e.Left, count, of.one+" leaves the scope because of", of.several+" leave the scope because of")...)
	return append(said, reasonWords(e.Came, count, of.one+" comes into scope because of", of.several+" come into scope because of")...)
}

// reasonWords returns a sentence for each reason, with the number of users and examples.
func reasonWords(reasons []ClauseEffect, count Count, one, several string) []string {
	var said []string
	for i, r := range reasons {
		if i == maxReasonsNamed {
			said = append(said, fmt.Sprintf("And for %s.", count(len(reasons)-i, "more reason", "more reasons")))
			break
		}
		said = append(said, count(r.People, one, several)+": "+r.Clause+". "+peopleWords(r.Examples))
	}
	return said
}

func peopleWords(people []Person) string {
	names := make([]string, min(len(people), maxExamples))
	for i := range names {
		names[i] = people[i].Name
	}
	return "For example " + strings.Join(names, ", ") + "."
}

func exampleWords(examples []ValueExample) string {
	words := make([]string, min(maxExamplesNamed, len(examples)))
	for i := range words {
		x := examples[i]
		words[i] = x.Name + ": " + shownValue(x.Before) + " → " + shownValue(x.After)
		if x.Hidden {
			words[i] = x.Name + " (the value is not shown)"
		}
	}
	return "For example " + strings.Join(words, "; ") + "."
}

// shownValue formats a value for a sentence.
func shownValue(v any) string {
	switch v := v.(type) {
	case nil:
		return "no value"
	case []any:
		list := make([]string, len(v))
		for i, item := range v {
			list[i] = fmt.Sprint(item)
		}
		return strings.Join(list, ", ")
	default:
		return fmt.Sprint(v)
	}
}
