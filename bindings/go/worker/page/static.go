package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed static
var embedded embed.FS

type file struct {
	kind, tag string
	body      []byte
}

var kinds = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

var files = readFiles()

func readFiles() map[string]file {
	entries, err := fs.ReadDir(embedded, "static")
	if err != nil {
		panic(err) // it was compiled in
	}
	all := make(map[string]file, len(entries))
	for _, entry := range entries {
		body, err := embedded.ReadFile("static/" + entry.Name())
		if err != nil {
			panic(err)
		}
		sum := sha256.Sum256(body)
		all[entry.Name()] = file{kinds[path.Ext(entry.Name())], `"` + hex.EncodeToString(sum[:12]) + `"`, body}
	}
	return all
}

func serveIndex(w http.ResponseWriter, r *http.Request) { serveFile(w, r, "index.html") }

func serveStatic(w http.ResponseWriter, r *http.Request) { serveFile(w, r, r.PathValue("name")) }

func serveFile(w http.ResponseWriter, r *http.Request, name string) {
	f, ok := files[name]
	if !ok {
		fail(w, &problem{status: http.StatusNotFound, Message: fmt.Sprintf("There is no file %.100q.", name), Fix: "The page is at /."})
		return
	}
	w.Header().Set("Content-Type", f.kind)
	w.Header().Set("ETag", f.tag)
	w.Header().Set("Cache-Control", "no-cache") // that is: ask whether it changed
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(f.body))
}
