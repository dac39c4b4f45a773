// Package webui is the page: what web builds, as part of the program.
//
// It promises that all the page loads is in it, so that it works where there is no internet,
// and that the names of what is in assets change with their content. How it is served, and
// what browsers let it do, is up to httpapi; the page uses no more than the HTTP API.
package webui

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files are index.html and what it loads.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // only of a name that is none
	}
	return files
}
