package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"
)

func request(t *testing.T, api http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	api.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	require.Contains(t, recorder.Header().Get("Content-Security-Policy"), "default-src 'self'")
	return recorder
}

func TestConsoleIsServedUnderItsBasePath(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"index.html":    {Data: []byte(`<script src="assets/a.js"></script><script>base = 'PUBLIC-PATH-VARIABLE'</script>`)},
		"assets/a.js":   {Data: []byte("code")},
		"favicon.ico":   {Data: []byte("icon")},
		"another.thing": {Data: []byte("x")},
	}
	for _, base := range []string{"", "/dtm"} {
		api := gin.New()
		addConsole(api, base, files)
		for _, path := range []string{base + "/", base + "/admin/kv/topics"} {
			answer := request(t, api, path)
			require.Equal(t, http.StatusOK, answer.Code)
			require.Equal(t, `<script src="`+base+`/assets/a.js"></script><script>base = '`+base+`'</script>`, answer.Body.String())
		}
		require.Equal(t, "code", request(t, api, base+"/assets/a.js").Body.String())
		require.Equal(t, "icon", request(t, api, base+"/favicon.ico").Body.String())
	}
}

func TestConsoleThatIsNotInTheBuild(t *testing.T) {
	t.Parallel()
	api := gin.New()
	addConsole(api, "", nil)
	for _, path := range []string{"/", "/admin/anything"} {
		answer := request(t, api, path)
		require.Equal(t, http.StatusNotFound, answer.Code)
		require.Contains(t, answer.Body.String(), "The console is not in this build")
	}
}
