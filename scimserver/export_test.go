package scimserver

// Offered lists every method and path of the table, with an id where one belongs.
func Offered() (requests []string) {
	for _, r := range routes {
		path := "/" + r.endpoint + map[shape]string{whole: "", single: "/u-1", search: "/.search"}[r.shape]
		for method := range r.methods {
			requests = append(requests, method+" "+path)
		}
	}
	return requests
}
