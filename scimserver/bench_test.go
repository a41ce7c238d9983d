package scimserver_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rollcall-scim/rollcall/site"
)

// BenchmarkRead measures the handler without the network: authentication, the domain call, the
// answer and the gathered row.
func BenchmarkRead(b *testing.B) {
	w := newWorld(b, site.Full)
	for i := range 200 {
		w.bring(fmt.Sprintf(`{"userName":"person%d@acme.test","externalId":"e%d","displayName":"Person %d","name":{"givenName":"Person","familyName":"%d"},"emails":[{"type":"work","value":"person%d@acme.test","primary":true}]}`, i, i, i, i, i))
	}
	for name, path := range map[string]string{
		"by_id":       "/Users/u-77",
		"by_userName": "/Users?filter=userName+eq+%22PERSON77@acme.test%22",
		"page_of_100": "/Users?startIndex=50&count=100",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, tenantURL+path, nil)
				r.Header.Set("Authorization", "Bearer "+w.token)
				got := httptest.NewRecorder()
				w.handler.ServeHTTP(got, r)
				if got.Code != http.StatusOK {
					b.Fatalf("got %d: %s", got.Code, got.Body)
				}
			}
		})
	}
}

// BenchmarkCreate measures a durable create from 16 clients at once: the user's commit and its
// request log row's.
func BenchmarkCreate(b *testing.B) {
	w := newWorld(b, site.Full)
	var n atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			body := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"person%d@acme.test","externalId":"e%d","displayName":"Person %d","name":{"givenName":"Person","familyName":"%d"},"emails":[{"type":"work","value":"person%d@acme.test","primary":true}],"active":true}`, i, i, i, i, i)
			r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, tenantURL+"/Users", strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+w.token)
			got := httptest.NewRecorder()
			w.handler.ServeHTTP(got, r)
			if got.Code != http.StatusCreated {
				b.Errorf("got %d: %s", got.Code, got.Body)
			}
		}
	})
}
