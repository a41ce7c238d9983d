package scim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// stream decodes a body with DecodeStream and puts the values back where Decode has them.
func stream(rt *ResourceType, r io.Reader, m Mode) (Resource, bool, []Fix, error) {
	var values []any
	res, named, fixes, err := DecodeStream(rt, r, m, Stream{Name: "members", Each: func(v any) error {
		values = append(values, v)
		return nil
	}})
	if err == nil && len(values) > 0 {
		res["members"] = withoutDuplicates(rt.Schema.Attribute("members"), values)
	}
	return res, named, fixes, err
}

func TestDecodeStream(t *testing.T) {
	t.Parallel()
	group := func(rest string) string { return `{"schemas":["` + GroupURN + `"],"displayName":"g"` + rest + `}` }
	bodies := map[string]string{
		"members behind":                    group(`,"members":[{"value":"1","type":"User"},{"value":"2"}]`),
		"members in front":                  `{"members":[{"value":"1"},{"value":"2"}],"displayName":"g"}`,
		"no members":                        group(``),
		"an empty list":                     group(`,"members":[]`),
		"null":                              group(`,"members":null`),
		"white space everywhere":            "\ufeff {\n\"members\" : [ \n{\"value\" :\"1\" }\t, {\"value\":\"2\"}\n] ,\"displayName\":\"g\"} ",
		"other case":                        `{"displayName":"g","MEMBERS":[{"VALUE":"1"}]}`,
		"an escaped name":                   `{"displayName":"g","m\u0065mbers":[{"value":"1"}]}`,
		"brackets and quotes in texts":      `{"displayName":"\"members\":[{","members":[{"value":"]},{\"\\"}]}`,
		"members inside another attribute":  group(`,"other":{"members":[{"value":"1"}]}`),
		"members as a string value":         `{"displayName":"members","members":[{"value":"1"}]}`,
		"texts for objects":                 group(`,"members":["1","2",null,""]`),
		"one object where a list belongs":   group(`,"members":{"value":"1"}`),
		"under the core URN":                `{"` + GroupURN + `":{"members":[{"value":"1"}]},"urn:ietf:params:scim:schemas:core:2.0Group":{"displayName":"x"},"displayName":"g"}`,
		"the same member twice":             group(`,"members":[{"value":"1"},{"value":"1"}]`),
		"an attribute nobody knows":         group(`,"members":[{"value":"1","color":"red"}]`),
		"a number for a member":             group(`,"members":[{"value":"1"},7]`),
		"a list inside the list":            group(`,"members":[["1"]]`),
		"a comma too many":                  group(`,"members":[{"value":"1"},]`),
		"no comma":                          group(`,"members":[{"value":"1"}{"value":"2"}]`),
		"no end of the list":                `{"displayName":"g","members":[{"value":"1"}`,
		"no end of the body":                `{"displayName":"g","members":[{"value":"1"}]`,
		"an end inside a value":             `{"displayName":"g","members":[{"value":"1`,
		"text after the body":               group(`,"members":[]`) + `x`,
		"named twice":                       group(`,"members":[{"value":"1"}],"Members":[]`),
		"a name twice in a member":          group(`,"members":[{"value":"1","Value":"2"}]`),
		"broken UTF-8 in a member":          group(`,"members":[{"value":"` + "\xff" + `"}]`),
		"broken UTF-8 elsewhere":            `{"displayName":"` + "\xff" + `","members":[]}`,
		"too deep a member":                 group(`,"members":[` + strings.Repeat(`{"value":`, 20) + `1` + strings.Repeat(`}`, 20) + `]`),
		"no body":                           ``,
		"a list":                            `["members",[{"value":"1"}]]`,
		"a list that looks like a resource": `[1,"members":[{"value":"1"}]]`,
		"a quote that never ends":           `{"members`,
		"a name without a value":            `{"members":`,
	}
	for name, body := range bodies {
		for _, mode := range []Mode{Lenient, Strict} {
			t.Run(fmt.Sprint(name, " ", mode), func(t *testing.T) {
				t.Parallel()
				want, wantFixes, wantErr := Decode(GroupType(), []byte(body), mode)
				for _, in := range []io.Reader{strings.NewReader(body), iotest.OneByteReader(strings.NewReader(body))} {
					got, _, fixes, err := stream(GroupType(), in, mode)
					var e, wantE *Error
					if errors.As(err, &e) != errors.As(wantErr, &wantE) || e != nil && e.ScimType != wantE.ScimType {
						t.Fatalf("got %v, want %v", err, wantErr)
					}
					if diff := cmp.Diff(got, want); diff != "" {
						t.Errorf("(-got +want):\n%s", diff)
					}
					if len(fixes) != len(wantFixes) {
						t.Errorf("got fixes %v, want %v", fixes, wantFixes)
					}
				}
			})
		}
	}
	t.Run("named says whether the attribute was there", func(t *testing.T) {
		t.Parallel()
		for body, want := range map[string]bool{group(``): false, group(`,"members":[]`): true, group(`,"Members":[{"value":"1"}]`): true} {
			if _, named, _, err := stream(GroupType(), strings.NewReader(body), Lenient); err != nil || named != want {
				t.Errorf("%s: got %t, %v", body, named, err)
			}
		}
	})
	t.Run("an error of the reader and of the receiver is returned as it is", func(t *testing.T) {
		t.Parallel()
		broken := errors.New("broken")
		for n := range 60 {
			body := group(`,"members":[{"value":"1"}]`)
			in := io.MultiReader(strings.NewReader(body[:min(n, len(body)-2)]), iotest.ErrReader(broken))
			if _, _, _, err := stream(GroupType(), in, Lenient); err != broken {
				t.Errorf("after %d bytes: got %v", n, err)
			}
		}
		_, _, _, err := DecodeStream(GroupType(), strings.NewReader(group(`,"members":[{"value":"1"}]`)), Lenient,
			Stream{Name: "members", Each: func(any) error { return broken }})
		if err != broken {
			t.Errorf("got %v", err)
		}
	})
	t.Run("what is not streamed is bounded", func(t *testing.T) {
		t.Parallel()
		long := strings.Repeat("x", MaxStreamedRestBytes)
		for _, body := range []string{group(`,"externalId":"` + long + `"`), group(`,"members":[{"value":"` + long + `"}]`)} {
			_, _, _, err := stream(GroupType(), strings.NewReader(body), Lenient)
			var e *Error
			if !errors.As(err, &e) || e.Status != 413 {
				t.Errorf("got %v, want 413", err)
			}
		}
	})
}

func TestDecodeStreamHoldsOneValue(t *testing.T) {
	const members = 400_000
	pr, pw := io.Pipe()
	go func() {
		var b bytes.Buffer
		b.WriteString(`{"displayName":"g","members":[`)
		for i := range members {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, `{"value":"%032d","type":"User"}`, i)
			if b.Len() > 1<<15 {
				pw.Write(b.Bytes())
				b.Reset()
			}
		}
		b.WriteString(`]}`)
		pw.Write(b.Bytes())
		pw.Close()
	}()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	got, peak := 0, uint64(0)
	_, _, _, err := DecodeStream(GroupType(), pr, Lenient, Stream{Name: "members", Each: func(any) error {
		if got++; got%100_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&after)
			peak = max(peak, after.HeapAlloc)
		}
		return nil
	}})
	if err != nil || got != members {
		t.Fatalf("got %d members, %v", got, err)
	}
	if peak > before.HeapAlloc+(2<<20) {
		t.Errorf("%d bytes are held after 100,000 members, want next to none", peak-before.HeapAlloc)
	}
}

func FuzzDecodeStream(f *testing.F) {
	f.Add([]byte(`{"displayName":"g","members":[{"value":"1","type":"User"},"2",null]}`), false)
	f.Add([]byte(`{"members":[{"value":"1"}],"displayName":"g","Members":[]}`), true)
	f.Add([]byte(`["members":[1,]]`), true)
	f.Fuzz(func(t *testing.T, body []byte, strict bool) {
		mode := Lenient
		if strict {
			mode = Strict
		}
		want, _, wantErr := Decode(GroupType(), body, mode)
		got, _, _, err := stream(GroupType(), bytes.NewReader(body), mode)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: got %v, Decode says %v", body, err, wantErr)
		}
		if err != nil {
			checkClientError(t, err)
			return
		}
		if diff := cmp.Diff(got, want); diff != "" {
			t.Fatalf("%q (-got +want):\n%s", body, diff)
		}
	})
}
