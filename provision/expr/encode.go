package expr

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// encodingFunctions returns the functions that encode and decode strings.
func encodingFunctions() []function {
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "ConvertFromBase64", DocumentedIn: CloudSync, Yields: TextType,
				Parameters: []Parameter{required("source").ofType(TextType), {Name: "encoding", Words: []string{"Unicode", "ASCII", "UTF8"}}},
				Summary:    "The string that a Base64 string encodes.",
				Details:    []string{"The encoding is one of the bare words `Unicode`, which is UTF-16 and the default, `ASCII` and `UTF8`. Null stays null."},
				Examples: []Example{
					{Expression: `ConvertFromBase64("SABlAGwAbABvACAAdwBvAHIAbABkACEA")`, Result: "Hello world!"},
					{Expression: `ConvertFromBase64("WsO8cmljaA==", UTF8)`, Result: "Zürich"},
				},
			},
			eval: evalFromBase64,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "ConvertToBase64", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("source").ofType(TextType)},
				Summary:    "The source as UTF-16, in Base64.",
				Details:    []string{"The bytes are little endian, without a byte order mark. Null stays null."},
				Examples:   []Example{{Expression: `ConvertToBase64("Hello world!")`, Result: "SABlAGwAbABvACAAdwBvAHIAbABkACEA"}},
			},
			eval: evalConvert(func(s string) string {
				var b []byte
				for _, unit := range utf16.Encode([]rune(s)) {
					b = binary.LittleEndian.AppendUint16(b, unit)
				}
				return base64.StdEncoding.EncodeToString(b)
			}),
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "ConvertToUTF8Hex", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("source").ofType(TextType)},
				Summary:    "The source as UTF-8, in hexadecimal digits.",
				Details:    []string{"The digits are capital letters, without separators. Null stays null."},
				Examples:   []Example{{Expression: `ConvertToUTF8Hex("Hello Zoë")`, Result: "48656C6C6F205A6FC3AB"}},
			},
			eval: evalConvert(func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) }),
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "DNComponent", DocumentedIn: CloudSync, Yields: TextType,
				Parameters: []Parameter{required("dn").ofType(TextType), required("componentNumber").ofType(NumberType)},
				Summary:    "The value of one component of a distinguished name, counted from the left; the first is 1.",
				Details:    []string{"If there is no such component, or the name is null, the result is null."},
				Examples: []Example{
					{Expression: `DNComponent("cn=Joe,ou=Sales,dc=example,dc=com", 1)`, Result: "Joe"},
					{Expression: `DNComponent("CN=Lovelace\\, Ada,OU=Users", 1)`, Result: "Lovelace, Ada"},
				},
			},
			eval: evalDNComponent,
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "StringFromSid", DocumentedIn: CloudSync, Yields: TextType,
				Parameters: []Parameter{required("bytes").ofType(TextType)},
				Summary:    "The string form of a security identifier.",
				Details:    []string{"The bytes are given in Base64, as binary attributes have them. A string that is already in the form `S-1-…` stays as it is, and so does null."},
				Examples:   []Example{{Expression: `StringFromSid("AQUAAAAAAAUVAAAAoGXPfnhLm1/nfIdwUAQAAA==")`, Result: "S-1-5-21-2127521184-1604012920-1887927527-1104"}},
			},
			eval: evalStringFromSid,
		},
	}
}

// evalConvert returns the eval of a function that converts a string with change. Null stays null.
func evalConvert(change func(string) string) func(*node, *evaluation) (Value, error) {
	return func(n *node, r *evaluation) (Value, error) {
		v, err := n.evalSingle(r, 0)
		if err != nil || v.IsNull() || v.IsNoFlow() {
			return v, err
		}
		return String(change(v.text)), nil
	}
}

func evalFromBase64(n *node, r *evaluation) (Value, error) {
	v, err := n.evalSingle(r, 0)
	if err != nil || v.IsNull() || v.IsNoFlow() {
		return v, err
	}
	b, err := base64.StdEncoding.DecodeString(v.text)
	if err != nil {
		return Null(), n.failAt(n.args[0], r.quoteForMessage(v)+" is not Base64")
	}
	encoding := "Unicode"
	if n.hasArgument(1) {
		encoding = n.args[1].text
	}
	switch encoding {
	case "UTF8":
		if !utf8.Valid(b) {
			return Null(), n.failAt(n.args[0], "the bytes are not UTF-8")
		}
		return String(string(b)), nil
	case "ASCII":
		for i, c := range b {
			if c >= utf8.RuneSelf {
				b[i] = '?' // .NET also replaces these bytes
			}
		}
		return String(string(b)), nil
	}
	if len(b)%2 != 0 {
		return Null(), n.failAt(n.args[0], "an odd number of bytes is not UTF-16; name the encoding, UTF8 or ASCII")
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(b[2*i:])
	}
	return String(string(utf16.Decode(units))), nil
}

func evalDNComponent(n *node, r *evaluation) (Value, error) {
	dn, err := n.evalSingle(r, 0)
	if err != nil {
		return Null(), err
	}
	wanted, err := n.evalRequiredWhole(r, 1)
	if err != nil || dn.text == "" {
		return Null(), err
	}
	if wanted < 1 {
		return Null(), n.failAt(n.args[1], fmt.Sprintf("componentNumber of DNComponent must be 1 or more and is %d", wanted))
	}
	rest := dn.text
	for ; rest != ""; wanted-- {
		component, after, ok := readComponent(rest)
		if !ok {
			return Null(), n.failAt(n.args[0], r.quoteForMessage(dn)+" is not a distinguished name such as CN=Ada,OU=Users")
		}
		if wanted == 1 {
			return String(component), nil
		}
		rest = after
	}
	return Null(), nil
}

// readComponent reads the first component, type=value, of a distinguished name and decodes the
// value. rest is the name after the comma. ok is false if the component is malformed.
//
// RFC 4514: a backslash is followed by a special character or by two hexadecimal digits.
func readComponent(s string) (value, rest string, ok bool) {
	_, text, ok := strings.Cut(s, "=")
	if !ok {
		return "", "", false
	}
	var b strings.Builder
	quoted := false
	end := 0 // the length of b without unescaped spaces at its end
	text = strings.TrimLeft(text, " ")
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			quoted = !quoted
			end = b.Len()
			continue
		case c == ',' && !quoted, c == ';' && !quoted:
			return b.String()[:end], text[i+1:], true
		case c == '\\' && i+2 < len(text) && isHex(text[i+1]) && isHex(text[i+2]):
			decoded, _ := hex.DecodeString(text[i+1 : i+3]) // cannot fail, because both characters are hexadecimal digits
			b.Write(decoded)
			i += 2
			end = b.Len()
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
			end = b.Len()
		default:
			b.WriteByte(c)
			if c != ' ' || quoted {
				end = b.Len()
			}
		}
	}
	return strings.ToValidUTF8(b.String()[:end], "\uFFFD"), "", !quoted
}

func evalStringFromSid(n *node, r *evaluation) (Value, error) {
	v, err := n.evalSingle(r, 0)
	if err != nil || v.text == "" || strings.HasPrefix(v.text, "S-1-") {
		return v, err
	}
	b, err := base64.StdEncoding.DecodeString(v.text)
	if err != nil || len(b) < 8 || b[0] != 1 || len(b) != 8+4*int(b[1]) {
		return Null(), n.failAt(n.args[0], r.quoteForMessage(v)+" is not a security identifier in Base64")
	}
	var authority uint64
	for _, c := range b[2:8] {
		authority = authority<<8 | uint64(c)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "S-1-%d", authority)
	for i := 8; i < len(b); i += 4 {
		fmt.Fprintf(&s, "-%d", binary.LittleEndian.Uint32(b[i:]))
	}
	return String(s.String()), nil
}
