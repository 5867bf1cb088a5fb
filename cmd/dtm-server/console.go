package main

import (
	"bytes"
	"io/fs"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"
)

// contentSecurityPolicy keeps the console to this server: it loads nothing from anywhere else and cannot be
// framed.
const contentSecurityPolicy = "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; " +
	"img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// addConsole adds DTM's web console, whose built files are given, under basePath, or, when files is nil, a
// page that says that it is not in this build. (The stock server then fetches it from a host on the
// internet; this one never does.)
func addConsole(api *gin.Engine, basePath string, files fs.FS) {
	routes := api.Group(basePath, func(c *gin.Context) {
		c.Header("Content-Security-Policy", contentSecurityPolicy)
		c.Header("X-Content-Type-Options", "nosniff")
		c.Header("Referrer-Policy", "no-referrer")
	})
	index, err := readIndex(files)
	if err != nil {
		notHere := func(c *gin.Context) { c.Data(http.StatusNotFound, "text/html; charset=utf-8", []byte(noConsolePage)) }
		routes.GET("/", notHere)
		routes.GET("/admin/*name", notHere)
		return
	}
	page := adjustIndex(index, basePath)
	serveIndex := func(c *gin.Context) { c.Data(http.StatusOK, "text/html; charset=utf-8", page) }
	routes.GET("/", serveIndex)
	routes.GET("/admin/*name", serveIndex)
	if assets, err := fs.Sub(files, "assets"); err == nil {
		routes.StaticFS("/assets", http.FS(assets))
	}
	routes.StaticFileFS("/favicon.ico", "favicon.ico", http.FS(files))
}

func readIndex(files fs.FS) ([]byte, error) {
	if files == nil {
		return nil, fs.ErrNotExist
	}
	return fs.ReadFile(files, "index.html")
}

// belowBase serves what the console's pages call below basePath, too, as they do behind a proxy that passes on
// nothing else.
func belowBase(basePath string, api http.Handler) http.Handler {
	if basePath == "" {
		return api
	}
	below := http.StripPrefix(basePath, api)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, basePath+"/api/") {
			below.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// adjustIndex puts the base path into the built page, as DTM's own main does.
func adjustIndex(index []byte, basePath string) []byte {
	index = bytes.ReplaceAll(index, []byte(`"assets/`), []byte(`"`+basePath+`/assets/`))
	return bytes.ReplaceAll(index, []byte("PUBLIC-PATH-VARIABLE"), []byte(basePath))
}

const noConsolePage = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>DTM</title></head>
<body><h1>The console is not in this build</h1>
<p>The DTM server itself is running; its API is at <code>/api/dtmsvr/</code>, for example
<a href="/api/dtmsvr/all">/api/dtmsvr/all</a> lists transactions.</p>
<p>To have the console, install Node.js with npm and build this server again with
<code>-console=on</code>.</p></body></html>
`
