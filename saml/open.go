package saml

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/beevik/etree"
	rtvalidator "github.com/mattermost/xml-roundtrip-validator"
)

// Limits on the size of a document.
const (
	MaxResponse   = 512 << 10 // the largest size of a response, in bytes of base64
	MaxMetadata   = 2 << 20   // the largest size of an identity provider's metadata, in bytes
	maxDepth      = 40        // how deep elements may be nested
	maxTokens     = 20_000    // the largest number of XML tokens of a response; metadata may have four times as many
	maxAttributes = 64        // the largest number of attributes of one element, with its namespace declarations
)

// decodeBase64 decodes a response in strict base64. It ignores line ends, because many identity
// providers wrap lines in the POST binding.
func decodeBase64(encoded string) ([]byte, *Error) {
	if len(encoded) > MaxResponse {
		return nil, refuse(Malformed, "the response is larger than %d KiB", MaxResponse>>10)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, refuse(Malformed, "the response is not base64")
	}
	return raw, nil
}

// parseDocument parses a message, or the metadata of an identity provider. The argument metadata
// says which. Other code also reads the document with encoding/xml. So parseDocument refuses
// everything that etree and encoding/xml might read differently: a DOCTYPE, processing
// instructions, and XML that changes when it is written and read again.
func parseDocument(raw []byte, metadata bool) (*etree.Element, *Error) {
	if err := checkTokens(raw, metadata); err != nil {
		return nil, err
	}
	if err := rtvalidator.Validate(bytes.NewReader(raw)); err != nil {
		return nil, unstableXMLError()
	}
	return parseTree(raw)
}

// parseForLibrary is like parseDocument, for a response that gosaml2 verifies afterwards. It does
// not check whether the XML changes when it is written and read again. That check takes a third of
// the time of a sign-in, and gosaml2 begins with it.
func parseForLibrary(raw []byte) (*etree.Element, *Error) {
	if err := checkTokens(raw, false); err != nil {
		return nil, err
	}
	return parseTree(raw)
}

// unstableXMLError returns the error for XML that changes when it is written and read again.
func unstableXMLError() *Error { return refuse(Malformed, "the XML changes when it is read again") }

// parseTree parses XML with etree, and returns the root element.
func parseTree(raw []byte) (*etree.Element, *Error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromBytes(raw); err != nil || doc.Root() == nil {
		return nil, refuse(Malformed, "the document is not XML")
	}
	return doc.Root(), nil
}

// checkTokens checks a document before it is parsed: its encoding, its size and depth, and that it
// has no DOCTYPE, no processing instruction and no repeated attribute.
func checkTokens(raw []byte, metadata bool) *Error {
	if !utf8.Valid(raw) {
		return refuse(Malformed, "the document is not UTF-8")
	}
	d := xml.NewDecoder(bytes.NewReader(raw))
	d.CharsetReader = func(string, io.Reader) (io.Reader, error) { return nil, errors.New("only UTF-8") }
	depth, tokens, roots := 0, 0, 0
	limit := maxTokens
	if metadata {
		limit *= 4
	}
	for {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return refuse(Malformed, "the document is not XML")
		}
		if tokens++; tokens > limit {
			return refuse(Malformed, "the document has too many parts")
		}
		switch t := token.(type) {
		case xml.Directive:
			return refuse(Directive, "the document has a DOCTYPE")
		case xml.ProcInst:
			if t.Target != "xml" || tokens != 1 {
				return refuse(Directive, "the document has a processing instruction")
			}
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			if depth++; depth > maxDepth {
				return refuse(Malformed, "the document is nested too deeply")
			}
			if len(t.Attr) > maxAttributes {
				return refuse(Malformed, "an element has too many attributes")
			}
			if name := repeatedAttribute(t.Attr); name != "" {
				return refuse(Malformed, "an element has the attribute %q twice", name)
			}
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(t)) > 0 {
				return refuse(Malformed, "there is text outside of the document")
			}
		}
	}
	if depth != 0 || roots != 1 {
		return refuse(Malformed, "the document is not one XML element")
	}
	return nil
}

// repeatedAttribute returns the name of an attribute that occurs twice, or "" if there is none.
func repeatedAttribute(attrs []xml.Attr) string {
	seen := make(map[xml.Name]bool, len(attrs))
	for _, a := range attrs {
		if seen[a.Name] {
			return a.Name.Local
		}
		seen[a.Name] = true
	}
	return ""
}
