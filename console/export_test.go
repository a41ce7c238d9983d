package console

// What the tests outside of this package look at beside the pages.
const (
	AssetPath    = assetPath
	NoticeCookie = noticeCookie
	StartCookie  = startCookie
)

// AssetURL is where a page finds an asset.
func (c *Console) AssetURL(name string) string { return c.assets.url(name) }

// AssetFiles are the assets by the names that they are served under.
func (c *Console) AssetFiles() map[string][]byte { return c.assets.files }
