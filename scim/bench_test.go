package scim

import (
	"fmt"
	"strings"
	"testing"
)

// twoKilobytes is a user of about 2 KB, as an identity provider creates it.
func twoKilobytes() []byte {
	var emails, phones []string
	for i := range 4 {
		emails = append(emails, fmt.Sprintf(`{"value":"ada.lovelace.%d@example.com","type":"work","display":"Work address %d","primary":%t}`, i, i, i == 0))
		phones = append(phones, fmt.Sprintf(`{"value":"+44 20 7946 %04d","type":"mobile"}`, i))
	}
	return []byte(`{"schemas":["` + UserURN + `","` + EnterpriseURN + `"],"externalId":"9c1f6bd0-3c2e-4f7c-9a57-0a3f0b6f6e11",
"userName":"ada.lovelace@example.com","name":{"formatted":"Ms. Ada King Lovelace","familyName":"Lovelace","givenName":"Ada","middleName":"King","honorificPrefix":"Ms."},
"displayName":"Ada Lovelace","nickName":"Countess","profileUrl":"https://login.example.com/ada","title":"Analyst","userType":"Employee","preferredLanguage":"en-GB",
"locale":"en-GB","timezone":"Europe/London","active":true,"emails":[` + strings.Join(emails, ",") + `],"phoneNumbers":[` + strings.Join(phones, ",") + `],
"addresses":[{"type":"work","streetAddress":"12 St James's Square","locality":"London","region":"Greater London","postalCode":"SW1Y 4JH","country":"GB","formatted":"12 St James's Square\nLondon SW1Y 4JH GB","primary":true}],
"photos":[{"value":"https://photos.example.com/profilephoto/ada/F","type":"photo"}],"roles":[{"value":"Admin","display":"Administrator"}],
"entitlements":[{"value":"engine"}],"` + EnterpriseURN + `":{"employeeNumber":"1815","costCenter":"4130","organization":"Analytical Engines","division":"Research","department":"Computation","manager":{"value":"26118915-6090-4610-87e4-49d8ca9f808d"}}}`)
}

func benchUser(b *testing.B) (Resource, []byte) {
	r, _, err := Decode(UserType(), twoKilobytes(), Lenient)
	if err != nil {
		b.Fatal(err)
	}
	r["id"] = "2819c223-7f76-453a-919d-413861904646"
	r["meta"] = map[string]any{"resourceType": "User", "created": "2026-01-01T00:00:00Z", "lastModified": "2026-01-01T00:00:00Z", "version": `W/"1"`}
	return r, Encode(UserType(), r)
}

func BenchmarkDecode(b *testing.B) {
	body := twoKilobytes()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Decode(UserType(), body, Lenient); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	r, _ := benchUser(b)
	b.ReportAllocs()
	for b.Loop() {
		Encode(UserType(), r)
	}
}

func BenchmarkParse(b *testing.B) {
	_, doc := benchUser(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseAttributes(b *testing.B) {
	_, doc := benchUser(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseAttributes(doc, []string{"title"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSplice(b *testing.B) {
	_, doc := benchUser(b)
	b.ReportAllocs()
	for b.Loop() {
		Splice(doc, UnstoredParts{Location: "https://example.com/scim/v2/Users/2819c223-7f76-453a-919d-413861904646"})
	}
}

func BenchmarkParseFilter(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ParseFilter(UserType(), `userName eq "ada.lovelace@example.com"`, Lenient); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFilterMatch(b *testing.B) {
	r, _ := benchUser(b)
	f, _, err := ParseFilter(UserType(), `emails[type eq "work" and value co "@example.org"] or title sw "an"`, Lenient)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f.Match(r)
	}
}

func BenchmarkPatch(b *testing.B) {
	r, _ := benchUser(b)
	body := patchCase{ops: `{"op":"Replace","path":"active","value":"False"},{"op":"Replace","path":"emails[type eq \"work\"].value","value":"new@example.com"},{"op":"Add","path":"name.givenName","value":"Augusta"}`}.body()
	b.ReportAllocs()
	for b.Loop() {
		p, _, err := DecodePatch(UserType(), body, Lenient)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Apply(UserType(), r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAddOneMemberToTenThousand(b *testing.B) {
	members := make([]any, 10_000)
	for i := range members {
		members[i] = map[string]any{"value": fmt.Sprintf("user-%d", i)}
	}
	r := Resource{"displayName": "All", "members": members}
	body := patchCase{ops: `{"op":"Add","path":"members","value":[{"value":"new"}]}`}.body()
	b.Run("apply", func(b *testing.B) {
		for b.Loop() {
			p, _, err := DecodePatch(GroupType(), body, Lenient)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := p.Apply(GroupType(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("detach", func(b *testing.B) {
		for b.Loop() {
			p, _, err := DecodePatch(GroupType(), body, Lenient)
			if err != nil {
				b.Fatal(err)
			}
			if _, _, ok := p.DetachAttribute("members"); !ok {
				b.Fatal("not detached")
			}
		}
	})
}
