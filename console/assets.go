package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"sort"
	"strings"
	"time"
)

//go:embed assets
var assetFiles embed.FS

// assetTypes maps the extension of a file to its content type. Files with other extensions, such as
// licences, are not served.
var assetTypes = map[string]string{
	".css":   "text/css; charset=utf-8",
	".js":    "text/javascript; charset=utf-8",
	".svg":   "image/svg+xml",
	".woff2": "font/woff2",
}

const assetPath = "/assets/"

// assets serves the embedded files. The name under which it serves a file contains a hash of the
// content, so browsers can cache the file for a year.
type assets struct {
	hashedNames map[string]string // the served name of each file, such as console.0f3a….css for console.css
	files       map[string][]byte // the content of each file, by its served name
}

func newAssets() (*assets, error) {
	a := &assets{hashedNames: make(map[string]string), files: make(map[string][]byte)}
	var sheets []string
	err := fs.WalkDir(assetFiles, "assets", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || assetTypes[path.Ext(file)] == "" {
			return err
		}
		if path.Ext(file) == ".css" {
			sheets = append(sheets, file)
			return nil
		}
		return a.add(file, nil)
	})
	if err != nil {
		return nil, fmt.Errorf("read assets: %w", err)
	}
	// Style sheets are added last: they contain the served names of other files, and their own hash
	// must cover those names.
	sort.Strings(sheets)
	for _, sheet := range sheets {
		if err := a.add(sheet, a.hashedNames); err != nil {
			return nil, fmt.Errorf("read assets: %w", err)
		}
	}
	return a, nil
}

// add adds one file. links maps the names of other files to their served names. add replaces each
// url("name") in the file with the address of the served file.
func (a *assets) add(file string, links map[string]string) error {
	b, err := assetFiles.ReadFile(file)
	if err != nil {
		return err
	}
	for name, hashed := range links {
		b = bytes.ReplaceAll(b, []byte(`url("`+name+`")`), []byte(`url("`+assetPath+hashed+`")`))
	}
	sum := sha256.Sum256(b)
	name := path.Base(file)
	ext := path.Ext(name)
	hashed := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
	a.hashedNames[name], a.files[hashed] = hashed, b
	return nil
}

// url returns the address of an asset. For an unknown name it returns an address that responds with
// 404. A test checks that no page contains such an address.
func (a *assets) url(name string) string {
	if hashed, ok := a.hashedNames[name]; ok {
		return assetPath + hashed
	}
	return assetPath + name
}

// ServeHTTP serves the files under /assets/.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, assetPath)
	b, ok := a.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", assetTypes[path.Ext(name)])
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	r.Pattern = "GET " + assetPath
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}
