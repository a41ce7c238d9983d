package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Health serves two paths for monitoring: one says whether the process runs, the other whether
// it can do its work.
type Health struct {
	// Ready returns an error if the server cannot do its work. Its context ends after two seconds.
	Ready func(ctx context.Context) error
	Log   *slog.Logger // receives a line when the server becomes ready or stops being ready

	lastUnready atomic.Bool // whether the last answer was "not ready"
}

// Register adds GET /healthz, which always answers 200, and GET /readyz, which answers 200 if Ready
// returns nil and 503 otherwise.
func (h *Health) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", h.serveAlive)
	mux.HandleFunc("GET /readyz", h.serveReady)
}

// serveAlive serves GET /healthz.
func (h *Health) serveAlive(w http.ResponseWriter, _ *http.Request) {
	writePlain(w, http.StatusOK, "ok\n")
}

// serveReady serves GET /readyz, and logs if the answer is not the same as last time.
func (h *Health) serveReady(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	err := h.Ready(ctx)
	if changed := h.lastUnready.Swap(err != nil) != (err != nil); changed && h.Log != nil {
		if err == nil {
			h.Log.Info("ready again")
		} else {
			// The reason may name hosts and files, so it belongs in the log and not in the answer.
			h.Log.Warn("not ready", "error", err)
		}
	}
	if err != nil {
		writePlain(w, http.StatusServiceUnavailable, "not ready\n")
		return
	}
	writePlain(w, http.StatusOK, "ready\n")
}

// writePlain answers with plain text that no cache may keep.
func writePlain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text) //nolint:errcheck // an error means that the client has gone
}
