package csv

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/rollcall-scim/rollcall/directory"
)

// decode turns the bytes of a file into a string. note is a sentence for the user that names the
// encoding, or "" if no such sentence is needed. If the caller names no encoding, decode tries, in
// this order: a byte order mark, the many zero bytes of UTF-16, UTF-8, and Windows-1252. It uses
// Windows-1252 only if every other common encoding would read the file the same way.
func decode(b []byte, name string) (text, note string, err error) {
	if what := mistakenFormat(b); what != "" {
		return "", "", fileError("this is %s, not a CSV file; in a spreadsheet choose Save As and CSV UTF-8", what)
	}
	if name != "" {
		e, err := encodingNamed(name)
		if err != nil {
			return "", "", err
		}
		return decodeAs(e, b, "")
	}
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return string(b[3:]), "", nil
	case bytes.HasPrefix(b, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(b, []byte("\x00\x00\xfe\xff")):
		return "", "", fileError("the file is UTF-32; save it as UTF-8")
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		return decodeAs(unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), b, "UTF-16")
	}
	even, odd := countZeroBytes(b)
	switch {
	case odd > 0 && odd > 20*even:
		return decodeAs(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), b, "UTF-16")
	case even > 0 && even > 20*odd:
		return decodeAs(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM), b, "UTF-16")
	case utf8.Valid(b), hasLongRunes(b), endsInsideRune(b):
		return string(b), "", nil // a value that is not UTF-8 becomes an error of its row later
	}
	return decodeLegacy(b)
}

func fileError(format string, args ...any) error {
	return &directory.FileError{Detail: fmt.Sprintf(format, args...)}
}

// mistakenFormat recognises formats that users often mistake for CSV, such as Excel workbooks. It
// returns the format's name, or "" if the file has none of these formats.
func mistakenFormat(b []byte) string {
	for prefix, what := range map[string]string{
		"PK\x03\x04": "an Excel workbook or a ZIP file", "\xd0\xcf\x11\xe0": "an old Excel workbook", "%PDF": "a PDF file", "\x1f\x8b": "a compressed file",
		"<html": "a web page", "<!DOC": "a web page", "<?xml": "an XML file",
	} {
		if bytes.HasPrefix(b, []byte(prefix)) {
			return what
		}
	}
	return ""
}

// countZeroBytes counts the zero bytes at even and at odd positions in the first 4096 bytes of a
// file. If there are too few for UTF-16, it returns 0 for both.
func countZeroBytes(b []byte) (even, odd int) {
	for i, c := range b[:min(len(b), 4096)] {
		switch {
		case c != 0:
		case i%2 == 0:
			even++
		default:
			odd++
		}
	}
	if most := max(even, odd); most*4 < min(len(b), 4096) {
		return 0, 0 // a few zero bytes do not mean UTF-16
	}
	return even, odd
}

// hasLongRunes reports whether a file contains characters that UTF-8 encodes in several bytes. If
// such a file is not valid UTF-8, it is probably damaged UTF-8.
func hasLongRunes(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if n > 1 && r != utf8.RuneError {
			return true
		}
		b = b[n:]
	}
	return false
}

// endsInsideRune reports whether a file is UTF-8 that ends in the middle of a character.
func endsInsideRune(b []byte) bool {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if rest := b[len(b)-n:]; utf8.RuneStart(rest[0]) {
			return !utf8.FullRune(rest) && !isLetterInAllEncodings(rest[0]) && utf8.Valid(b[:len(b)-n])
		}
	}
	return false
}

// decodeAs decodes the bytes of a file in the encoding e. name is the encoding's name for messages.
func decodeAs(e encoding.Encoding, b []byte, name string) (string, string, error) {
	if name == "UTF-16" && len(b)%2 != 0 {
		return "", "", fileError("the file is UTF-16 and has an odd number of bytes; it was cut off")
	}
	out, err := e.NewDecoder().Bytes(b)
	if err != nil {
		return "", "", fileError("the file cannot be decoded: %v", err)
	}
	if i := bytes.IndexRune(out, utf8.RuneError); i >= 0 {
		line := bytes.Count(out[:i], []byte("\n")) + 1
		return "", "", fileError("line %d has bytes that this encoding does not have; save the file as UTF-8", line)
	}
	text := strings.TrimPrefix(string(out), "\ufeff")
	if name == "" {
		return text, "", nil
	}
	return text, "The file is " + name + ".", nil
}

// encodingNamed finds an encoding by one of its usual names. It ignores case, spaces and
// punctuation.
func encodingNamed(name string) (encoding.Encoding, error) {
	switch key := squeezeName(name); key {
	case "utf8":
		return unicode.UTF8BOM, nil
	case "utf16":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), nil
	case "utf16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), nil
	case "utf16be":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM), nil
	default:
		for _, e := range charmap.All {
			c, ok := e.(*charmap.Charmap)
			if !ok {
				continue
			}
			own := squeezeName(c.String())
			number := strings.TrimPrefix(strings.TrimPrefix(own, "ibmcodepage"), "windows")
			if key == own || number != own && (key == "cp"+number || key == "ibm"+number && strings.HasPrefix(own, "ibm")) || key == "latin1" && own == "iso88591" {
				return e, nil
			}
		}
	}
	return nil, fileError("there is no encoding %q; use one such as utf-8, utf-16, windows-1252, windows-1250, iso-8859-1, ibm850 or macintosh", name)
}

// similarEncodings lists the common encodings besides Windows-1252 that programs in Europe use. A
// file in one of them is easily mistaken for Windows-1252.
var similarEncodings = []*charmap.Charmap{charmap.Windows1250, charmap.Windows1254, charmap.Windows1257}

// decodeLegacy reads a file that has one byte per character. Such a file does not say what its
// encoding is. A letter is certain if its byte means the same letter in Windows-1252 and in all
// similarEncodings. decodeLegacy refuses a file that has any other byte outside ASCII, because a
// wrong guess would store wrong names.
func decodeLegacy(b []byte) (string, string, error) {
	run := 0
	for i, c := range b {
		if c < utf8.RuneSelf {
			run = 0
			continue
		}
		run++
		if run > 2 || !isLetterInAllEncodings(c) {
			return "", "", ambiguousEncodingError(b, i)
		}
	}
	text, _, err := decodeAs(charmap.Windows1252, b, "")
	first := bytes.IndexFunc(b, func(r rune) bool { return r >= utf8.RuneSelf })
	return text, fmt.Sprintf("The file is not UTF-8; it was read as Windows-1252 (%q).", wordAt(charmap.Windows1252, b, first)), err
}

// isLetterInAllEncodings reports whether a byte is the same letter in Windows-1252 and in all
// similarEncodings.
func isLetterInAllEncodings(c byte) bool {
	r := charmap.Windows1252.DecodeByte(c)
	if c < 0xc0 || r == utf8.RuneError {
		return false // the byte is undefined or punctuation in Windows-1252, but may be a letter in other encodings
	}
	for _, other := range similarEncodings {
		if other.DecodeByte(c) != r {
			return false
		}
	}
	return true
}

func ambiguousEncodingError(b []byte, at int) error {
	line := bytes.Count(b[:at], []byte("\n")) + 1
	seen := map[string]bool{}
	var readings, flags []string
	var encodings []directory.Reading
	for _, c := range []struct {
		name string
		*charmap.Charmap
	}{
		{"windows-1252", charmap.Windows1252}, {"windows-1250", charmap.Windows1250}, {"windows-1251", charmap.Windows1251}, {"ibm850", charmap.CodePage850}, {"macintosh", charmap.Macintosh},
	} {
		word := wordAt(c.Charmap, b, at)
		if seen[word] || strings.ContainsRune(word, utf8.RuneError) {
			continue
		}
		seen[word] = true
		readings = append(readings, fmt.Sprintf("%q as %s", word, c.name))
		flags = append(flags, "--encoding "+c.name)
		encodings = append(encodings, directory.Reading{Encoding: c.name, Word: word})
	}
	return &directory.FileError{
		Detail: fmt.Sprintf("the file is not UTF-8, and its encoding is not certain: line %d reads %s. Save the file as UTF-8, or choose the encoding that is right", line, strings.Join(readings, ", ")),
		Flags:  []string{strings.Join(flags, " or ")}, Encodings: encodings,
	}
}

// wordAt decodes the word that contains the byte b[at]. Of a long word it decodes only 30 bytes
// before and 30 bytes after that byte.
func wordAt(c *charmap.Charmap, b []byte, at int) string {
	part := func(c byte) bool {
		return c >= utf8.RuneSelf || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '\'' || c == '-'
	}
	from, to := at, at
	for from > 0 && at-from < 30 && part(b[from-1]) {
		from--
	}
	for to < len(b) && to-at < 30 && part(b[to]) {
		to++
	}
	var out strings.Builder
	for _, x := range b[from:to] {
		out.WriteRune(c.DecodeByte(x))
	}
	return out.String()
}
