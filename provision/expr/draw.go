package expr

import (
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
)

// drawingFunctions returns the functions that yield random or unique values, and DefaultDomain. A
// random or unique value does not depend on the source object alone. It is drawn, that is
// generated, once when an account is created.
func drawingFunctions() []function {
	drawn := "The value is drawn once, when the account is created, and then stays. It is stored before the create is sent, so a create that is repeated sends the same value; only a password is never stored and drawn for each create."
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "DefaultDomain", DocumentedIn: Graph, Yields: TextType,
				Summary:  "The default domain of the directory.",
				Details:  []string{"It is set with `rollcall directory set NAME --default-domain DOMAIN`. When it changes, the next cycle looks at everybody. If the directory has no default domain, the person fails."},
				Examples: []Example{{Expression: `Join("@", [mailNickname], DefaultDomain())`, Given: attributesOf("mailNickname", "ada"), Result: "ada@example.com"}},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				if r.env.DefaultDomain == "" {
					return Null(), n.errorAt(n, "the directory has no default domain; write the domain as a string")
				}
				return String(r.env.DefaultDomain), nil
			},
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "Guid", DocumentedIn: Provisioning, Yields: TextType,
				Summary:  "A new random GUID, in small letters with hyphens.",
				Details:  []string{drawn},
				Examples: []Example{{Expression: `Mid(Guid(), 9, 1)`, Result: "-"}},
			},
			eval: evalGuid, drawsValue: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "RandomString", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{
					required("length").ofType(NumberType), required("minimumNumbers").ofType(NumberType), required("minimumSpecialCharacters").ofType(NumberType),
					required("minimumCapital").ofType(NumberType), required("minimumLowerCase").ofType(NumberType), optional("charactersToAvoid").ofType(TextType),
				},
				Summary: "Random characters: digits, special characters, capital and small letters, at least so many of each.",
				Details: []string{
					"The length is at most 256 and at least the sum of the four numbers. The special characters are ``~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/``.",
					drawn,
				},
				Examples: []Example{{Expression: `InStr(RandomString(10, 2, 2, 2, 1, "?,"), "?")`, Result: "0"}},
			},
			eval: evalRandomString, checkArguments: refuseRandomString, drawsValue: true,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "SelectUniqueValue", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("rule").ofType(TextType), {Name: "rule", Required: true, Repeats: true, Takes: TextType}},
				Summary:    "The first result that no account of the target has yet.",
				Details: []string{
					"The rules are evaluated in their order, and each result is looked up in the target. A rule without a result is skipped. If every result is taken, the person fails. A result is also taken if this job has given it to another person whose account the target does not show yet. Case does not matter. The target must be searchable by the attribute.",
					"Write it around the whole expression, not inside another function and not for a matching attribute. " + drawn,
				},
				Examples: []Example{
					{Expression: `SelectUniqueValue(Join(".", [givenName], [surname]), Join(".", Left([givenName], 1), [surname]))`, Given: attributesOf("givenName", "John", "surname", "Smith"), Taken: "John.Smith", Result: "J.Smith"},
				},
			},
			eval: evalSelectUniqueValue, addNotes: adviseUnique, drawsValue: true,
		},
	}
}

func evalGuid(n *node, r *evaluation) (Value, error) {
	var b [16]byte
	if err := n.fillRandom(r, b[:]); err != nil {
		return Null(), err
	}
	// RFC 9562 §5.4: set the version to 4, and the variant.
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return String(fmt.Sprintf("%x-%x-%x-%x-%s", b[:4], b[4:6], b[6:8], b[8:10], hex.EncodeToString(b[10:]))), nil
}

// fillRandom fills b with random bytes from Env.Random.
func (n *node) fillRandom(r *evaluation, b []byte) error {
	if r.env.Random == nil {
		return n.errorAt(n, fmt.Sprintf("%s draws a value only while an account is created", n.text))
	}
	if _, err := io.ReadFull(r.env.Random, b); err != nil {
		return &EvalError{Function: n.text, Offset: n.offset, Message: "random numbers cannot be read", Err: err}
	}
	return nil
}

// randomBelow returns a random number from 0 to most-1. All numbers have the same probability. most
// must be from 1 to 256.
func (n *node) randomBelow(r *evaluation, most int) (int, error) {
	limit := 256 - 256%most
	var b [1]byte
	for {
		if err := n.fillRandom(r, b[:]); err != nil {
			return 0, err
		}
		if int(b[0]) < limit {
			return int(b[0]) % most, nil
		}
	}
}

const maxRandomString = 256

// randomClasses returns the classes of characters from which RandomString draws: digits, special
// characters, capital letters and small letters, in the order of its parameters.
func randomClasses() []string {
	return []string{"0123456789", "~!@#$%^&*_-+=`|\\(){}[]:;\"'<>,.?/", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"}
}

// refuseRandomString returns an error if all numbers of a call are constants and no string can have
// these numbers of characters.
func refuseRandomString(c *checker, n *node) error {
	var numbers [5]int64
	for i := range numbers {
		text, ok := n.args[i].constantText()
		if !ok {
			return nil
		}
		numbers[i], _ = wholeNumber(text) // cannot fail, because the checker has accepted the number
	}
	if problem := findRandomStringProblem(numbers); problem != "" {
		return c.errorAt(n, problem, "write a length between the sum of the four numbers and 256")
	}
	return nil
}

// findRandomStringProblem checks the length and the four minimums of a call of RandomString. It
// returns "" if they are valid.
func findRandomStringProblem(numbers [5]int64) string {
	sum := int64(0)
	for _, minimum := range numbers[1:] {
		if minimum < 0 || minimum > maxRandomString {
			return fmt.Sprintf("a minimum of RandomString is %d, which is not between 0 and %d", minimum, maxRandomString)
		}
		sum += minimum
	}
	switch {
	case numbers[0] < 1 || numbers[0] > maxRandomString:
		return fmt.Sprintf("the length of RandomString is %d, which is not between 1 and %d", numbers[0], maxRandomString)
	case sum > numbers[0]:
		return fmt.Sprintf("the minimums of RandomString add up to %d, more than its length %d", sum, numbers[0])
	}
	return ""
}

func evalRandomString(n *node, r *evaluation) (Value, error) {
	var numbers [5]int64
	for i := range numbers {
		var err error
		if numbers[i], err = n.evalRequiredWhole(r, i); err != nil {
			return Null(), err
		}
	}
	if problem := findRandomStringProblem(numbers); problem != "" {
		return Null(), n.errorAt(n, problem)
	}
	avoid := ""
	if n.hasArgument(5) {
		v, err := n.evalSingle(r, 5)
		if err != nil {
			return Null(), err
		}
		avoid = v.text
	}
	classes := randomClasses()
	for i, class := range classes {
		classes[i] = strings.Map(func(c rune) rune {
			if strings.ContainsRune(avoid, c) {
				return -1
			}
			return c
		}, class)
		if classes[i] == "" && numbers[i+1] > 0 {
			return Null(), n.errorAt(n.args[5], "charactersToAvoid of RandomString leaves no character of a kind that must occur")
		}
	}
	return n.drawString(r, numbers, classes)
}

// drawString draws the minimum number of characters from each class, then the remaining characters
// from all classes, and shuffles them. numbers has the length and the minimums.
func (n *node) drawString(r *evaluation, numbers [5]int64, classes []string) (Value, error) {
	all := strings.Join(classes, "")
	if all == "" {
		return Null(), n.errorAt(n.args[5], "charactersToAvoid of RandomString leaves no character")
	}
	drawn := make([]byte, 0, numbers[0])
	take := func(class string, count int64) error {
		for range count {
			i, err := n.randomBelow(r, len(class))
			if err != nil {
				return err
			}
			drawn = append(drawn, class[i])
		}
		return nil
	}
	for i, class := range classes {
		if err := take(class, numbers[i+1]); err != nil {
			return Null(), err
		}
	}
	if err := take(all, numbers[0]-int64(len(drawn))); err != nil {
		return Null(), err
	}
	for i := len(drawn) - 1; i > 0; i-- {
		j, err := n.randomBelow(r, i+1)
		if err != nil {
			return Null(), err
		}
		drawn[i], drawn[j] = drawn[j], drawn[i]
	}
	return String(string(drawn)), nil
}

// evalSelectUniqueValue evaluates the rules in order and returns the first result that the target
// does not have. It asks the target only once about each result.
func evalSelectUniqueValue(n *node, r *evaluation) (Value, error) {
	if r.env.Taken == nil {
		return Null(), n.errorAt(n, "SelectUniqueValue chooses a value only while an account is created, because it asks the target")
	}
	var asked []string
	for i := range n.args {
		v, err := n.evalSingle(r, i)
		if err != nil {
			return Null(), err
		}
		if v.text == "" || slices.Contains(asked, v.text) {
			continue
		}
		asked = append(asked, v.text)
		taken, err := r.env.Taken(v.text)
		if err != nil {
			return Null(), &EvalError{Function: n.text, Offset: n.offset, Message: "the target cannot say whether the value is taken: " + err.Error(), Err: err}
		}
		if !taken {
			return String(v.text), nil
		}
	}
	if len(asked) == 0 {
		return Null(), nil
	}
	shown := strings.Join(asked, ", ")
	if r.redacted {
		shown = redactedText
	}
	return Null(), n.errorAt(n, "the target already has every value that the rules give: "+truncate(shown, 200))
}
