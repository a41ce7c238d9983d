package web

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Health answers the two questions of whoever watches the process.
type Health struct {
	// Ready returns what keeps the server from doing its work, or nil. It gets two seconds.
	Ready func(ctx context.Context) error
	Log   *slog.Logger // gets a line when the answer changes, not one for each question

	unready atomic.Bool // what the last answer was
}

// Register adds GET /healthz (the process runs) and GET /readyz (it can do its work: 200, else 503).
func (h *Health) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /healthz", h.alive)
	mux.HandleFunc("GET /readyz", h.ready)
}

func (h *Health) alive(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok\n") }

func (h *Health) ready(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	err := h.Ready(ctx)
	if changed := h.unready.Swap(err != nil) != (err != nil); changed && h.Log != nil {
		if err == nil {
			h.Log.Info("ready again")
		} else {
			// The reason may name hosts and files: it belongs into the log, not to whoever asks.
			h.Log.Warn("not ready", "error", err)
		}
	}
	if err != nil {
		plain(w, http.StatusServiceUnavailable, "not ready\n")
		return
	}
	plain(w, http.StatusOK, "ready\n")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	io.WriteString(w, text) //nolint:errcheck // the asker has gone
}
