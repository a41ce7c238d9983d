package saml

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"sync"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
)

// redirectAddress returns the address that delivers a message by redirect. field is the name of the
// query parameter that contains the message. The key signs the message; if it is nil, the message
// is not signed.
func redirectAddress(address, field string, root *etree.Element, relay string, key *rsa.PrivateKey) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("read the address of the identity provider: %w", err)
	}
	doc := etree.NewDocument()
	doc.SetRoot(root)
	text, err := doc.WriteToBytes()
	if err != nil {
		return "", fmt.Errorf("write the message: %w", err)
	}
	packed, err := deflate(text)
	if err != nil {
		return "", fmt.Errorf("pack the message: %w", err)
	}
	query := field + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(packed))
	if relay != "" {
		query += "&RelayState=" + url.QueryEscape(relay)
	}
	if key != nil {
		query += "&SigAlg=" + url.QueryEscape(dsig.RSASHA256SignatureMethod)
		sum := sha256.Sum256([]byte(query))
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			return "", fmt.Errorf("sign the message: %w", err)
		}
		query += "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
	}
	if u.RawQuery != "" {
		query = u.RawQuery + "&" + query
	}
	u.RawQuery = query
	return u.String(), nil
}

// deflate compresses a message, as the redirect binding requires.
func deflate(text []byte) ([]byte, error) {
	var packed bytes.Buffer
	w := flateWriters.Get().(*flate.Writer)
	defer flateWriters.Put(w)
	w.Reset(&packed)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// flateWriters holds writers for reuse, because a new one takes 800 KB of memory.
var flateWriters = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(io.Discard, flate.DefaultCompression) // fails only for an unknown level
	return w
}}
