package provision_test

import (
	"bytes"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/provision"
)

// FuzzParseSchema imports any document. An accepted document is exported, and the export must parse
// to the same schema. Each problem must be about a row. A schema without problems must compile.
func FuzzParseSchema(f *testing.F) {
	_, gallery := gallerySchema(f)
	f.Add(gallery)
	guide, err := guideSchema(f).JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(guide)
	f.Add([]byte("\xef\xbb\xbf" + `{"synchronizationRules":[{"objectMappings":[{"sourceObjectName":"User","attributeMappings":[{"targetAttributeName":"a","source":{"type":"Function","name":"IIF","parameters":[{"value":{"type":"Attribute","name":"x"}}]}}],"scope":{"groups":[{"clauses":null}]}}]}]}`))
	f.Add([]byte(`{"synchronizationRules":[{"objectMappings":[{"sourceObjectName":"User","scope":{"groups":[{"clauses":[{"sourceOperandName":"a","operatorName":"REGEX MATCH","targetOperand":{"values":["(a+)+$"]}}]}]}}]}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		s, err := provision.ParseSchema(doc)
		if err != nil {
			if err.Error() == "" {
				t.Fatal("an error without words")
			}
			return
		}
		written, err := s.JSON()
		if err != nil {
			t.Fatalf("%q cannot be written: %v", doc, err)
		}
		again, err := provision.ParseSchema(written)
		if err != nil {
			t.Fatalf("%q was written as %q: %v", doc, written, err)
		}
		if twice, err := again.JSON(); err != nil || !bytes.Equal(twice, written) {
			t.Fatalf("%q was written as %q and then as %q, %v", doc, written, twice, err)
		}
		if err := s.Validate(source.UserAttributes{}); err != nil {
			var row *provision.RowError
			if !errors.As(err, &row) || row.Message == "" || utf8.Valid(doc) && !utf8.ValidString(err.Error()) {
				t.Fatalf("got %v", err)
			}
			return
		}
		for _, m := range s.ObjectMappings() {
			if _, err := s.Compile(m, source.UserAttributes{}); err != nil {
				t.Fatalf("%q is valid and does not compile: %v", doc, err)
			}
		}
	})
}
