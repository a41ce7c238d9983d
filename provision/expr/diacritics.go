package expr

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// diacriticRows is Microsoft's table of letters with diacritics. Each row has a replacement,
// followed by the letters that it replaces.
const diacriticRows = `
a ä à â ã å á ą ă ā ā́ ā̀ ā̂ ā̃ ǟ ā̈ ǡ a̱ å̄
A Ä À Â Ã Å Á Ą Ă Ā Ā́ Ā̀ Ā̂ Ā̃ Ǟ Ā̈ Ǡ A̱ Å̄
ae æ ǣ
AE Æ Ǣ
c ç č ć c̄ c̱
C Ç Č Ć C̄ C̱
d ď d̄ ḏ
D Ď D̄ Ḏ
e ë è é ê ę ě ė ē ḗ ḕ ē̂ ē̃ ê̄ e̱ ë̄ e̊̄
E Ë È É Ê Ę Ě Ė Ē Ḗ Ḕ Ē̂ Ē̃ Ê̄ E̱ Ë̄ E̊̄
g ğ ḡ g̱
G Ğ Ḡ G̱
i ï î ì í ı ī ī́ ī̀ ī̂ ī̃ i̱
I Ï Î Ì Í İ Ī Ī́ Ī̀ Ī̂ Ī̃ I̱
l ľ ł l̄ ḹ ḻ
L Ł Ľ L̄ Ḹ Ḻ
n ñ ń ň n̄ ṉ
N Ñ Ń Ň N̄ Ṉ
o ö ò ő õ ô ó ō ṓ ṑ ō̂ ō̃ ȫ ō̈ ǭ ȭ ȱ o̱
O Ö Ò Ő Õ Ô Ó Ō Ṓ Ṑ Ō̂ Ō̃ Ȫ Ō̈ Ǭ Ȭ Ȱ O̱
oe ø ø̄ œ̄
OE Ø Ø̄ Œ̄
r ř r̄ ṟ ṝ
R Ř R̄ Ṟ Ṝ
ss ß
s š ś ș ş s̄ s̱
S Š Ś Ș Ş S̄ S̱
t ť ț t̄ ṯ
T Ť Ț T̄ Ṯ
u ü ù û ú ů ű ū ū́ ū̀ ū̂ ū̃ u̇̄ ǖ ṻ ṳ̄ u̱
U Ü Ù Û Ú Ů Ű Ū Ū́ Ū̀ Ū̂ Ū̃ U̇̄ Ǖ Ṻ Ṳ̄ U̱
y ÿ ý ȳ ȳ́ ȳ̀ ȳ̃ y̱
Y Ÿ Ý Ȳ Ȳ́ Ȳ̀ Ȳ̃ Y̱
z ź ž ż z̄ ẕ
Z Ź Ž Ż Z̄ Ẕ
`

// diacritics maps each letter of the table to its replacement. It has each letter in its composed
// and its decomposed form.
var diacritics = readDiacritics()

func readDiacritics() map[string]string {
	table := map[string]string{}
	for line := range strings.Lines(diacriticRows) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		for _, letter := range fields[1:] {
			for _, form := range []string{letter, norm.NFC.String(letter), norm.NFD.String(letter)} {
				table[form] = fields[0]
			}
		}
	}
	return table
}

// normalizeDiacritics replaces each letter that is in the table, together with its combining marks.
// It keeps all other letters.
func normalizeDiacritics(s string) string {
	at := firstNonASCII(s)
	if at == len(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	at = max(at-1, 0) // the first character outside ASCII may be a combining mark, which belongs to the letter before it
	b.WriteString(s[:at])
	for at < len(s) {
		end := at + letterLength(s[at:])
		letter := s[at:end]
		at = end
		if len(letter) == 1 {
			b.WriteByte(letter[0])
			continue
		}
		plain, ok := diacritics[letter]
		if !ok {
			plain, ok = diacritics[norm.NFD.String(letter)]
		}
		if !ok {
			plain = letter
		}
		b.WriteString(plain)
	}
	return b.String()
}

func firstNonASCII(s string) int {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return i
		}
	}
	return len(s)
}

// letterLength returns how many bytes the first character of s has, together with the combining
// marks after it.
func letterLength(s string) int {
	_, length := utf8.DecodeRuneInString(s)
	for length < len(s) && s[length] >= utf8.RuneSelf {
		mark, size := utf8.DecodeRuneInString(s[length:])
		if !unicode.Is(unicode.Mn, mark) {
			break
		}
		length += size
	}
	return length
}
