package dtmserver_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	cdpfetch "github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// envChromium names the environment variable with the path of the browser, when it is not on the path.
const envChromium = "TCCKIT_TEST_CHROMIUM"

// checkout is the repository's folder, below which deploy/local/get-servers.sh unpacks what there is not.
const checkout = "../.."

// browser is a headless Chromium with one tab.
type browser struct {
	t   *testing.T
	ctx context.Context

	user, password string // what it answers to the question for a password; no user: nothing

	mu        sync.Mutex
	requested []string // URLs
	asked     int      // how often it was asked for a password
}

// startBrowser starts one that the end of the test ends.
func startBrowser(t *testing.T) *browser {
	t.Helper()
	profile, err := os.MkdirTemp("", "tcckit-chromium-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(profile)) })
	options := append(chromedp.DefaultExecAllocatorOptions[:len(chromedp.DefaultExecAllocatorOptions):len(chromedp.DefaultExecAllocatorOptions)],
		chromedp.ExecPath(chromium(t)), chromedp.UserDataDir(profile),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en-US"))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which root cannot have
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*bound) // the test's own ends before it can be closed
	ctx, endAllocator := chromedp.NewExecAllocator(ctx, options...)
	ctx, endBrowser := chromedp.NewContext(ctx)
	b := &browser{t: t, ctx: ctx}
	var answering sync.WaitGroup
	t.Cleanup(func() {
		require.NoError(t, chromedp.Cancel(ctx))
		endBrowser()
		endAllocator()
		cancel()
		answering.Wait()
	})
	paused, auth := chromedp.Events(ctx, cdpfetch.RequestPaused), chromedp.Events(ctx, cdpfetch.AuthRequired)
	answering.Go(func() {
		for event, err := range paused {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.requested = append(b.requested, event.Request.URL)
			b.mu.Unlock()
			_, _ = chromedp.Call(ctx, cdpfetch.ContinueRequest, cdpfetch.ContinueRequestParams{RequestID: event.RequestID})
		}
	})
	answering.Go(func() {
		for event, err := range auth {
			if err != nil {
				return
			}
			_, _ = chromedp.Call(ctx, cdpfetch.ContinueWithAuth, cdpfetch.ContinueWithAuthParams{RequestID: event.RequestID, AuthChallengeResponse: b.answer()})
		}
	})
	_, err = chromedp.Call(ctx, cdpfetch.Enable, cdpfetch.EnableParams{HandleAuthRequests: new(true)})
	require.NoError(t, err)
	require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(1440, 800)))
	return b
}

func chromium(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs Chromium, which -short leaves out")
	}
	if path := os.Getenv(envChromium); path != "" {
		return path
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", filepath.Join(checkout, ".cache/servers/chromium/bin/chromium")} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	require.FailNow(t, "there is no Chromium: deploy/local/get-servers.sh chromium, or apt-get install chromium, or set "+envChromium+" to its path")
	return ""
}

// answer is what is typed when the browser asks for a password: once the same again is refused, it gives up.
func (b *browser) answer() *cdpfetch.AuthChallengeResponse {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if b.user == "" || b.asked > 1 {
		return &cdpfetch.AuthChallengeResponse{Response: cdpfetch.AuthChallengeResponseResponseCancelAuth}
	}
	return &cdpfetch.AuthChallengeResponse{Response: cdpfetch.AuthChallengeResponseResponseProvideCredentials, Username: b.user, Password: b.password}
}

// logIn is what will be typed from now on.
func (b *browser) logIn(user, password string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.user, b.password, b.asked = user, password, 0
}

func (b *browser) open(url string) {
	b.t.Helper()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.Navigate(url)))
}

// text is what the page shows.
func (b *browser) text() string {
	b.t.Helper()
	text, err := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	require.NoError(b.t, err)
	return text
}

// awaitTrue waits until an expression is true in the page.
func (b *browser) awaitTrue(expression string) {
	b.t.Helper()
	deadline := time.Now().Add(bound)
	for {
		holds, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](expression))
		if err == nil && holds {
			return
		}
		if time.Now().After(deadline) {
			require.FailNow(b.t, "the page never came to this", "%s: %v\n%s", expression, err, b.text())
		}
		select {
		case <-b.ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// awaitText waits until the page shows all of the texts.
func (b *browser) awaitText(texts ...string) {
	b.t.Helper()
	for _, text := range texts {
		b.awaitTrue(fmt.Sprintf("document.body.innerText.includes(%q)", text))
	}
}

// settle waits until nothing moves.
func (b *browser) settle() {
	b.t.Helper()
	b.awaitTrue(`document.getAnimations().every(a => a.playState !== "running")`)
}

// click clicks with the mouse on what an XPath finds, once it is visible and stays where it is.
func (b *browser) click(xpath string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, bound)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, chromedp.WaitVisible(chromedp.Search(xpath))), xpath)
	b.settle()
	require.NoError(b.t, chromedp.Do(ctx, chromedp.Click(chromedp.Search(xpath), chromedp.NodeVisible)), xpath)
}

// button is the XPath of a button by its text, which may be spaced.
func button(text string) string { return `//button[normalize-space(.)="` + text + `"]` }

func (b *browser) fill(css, text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, bound)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS(css), text)))
}

// stayed fails the test if the browser asked for anything elsewhere.
func (b *browser) stayed(url string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	require.NotEmpty(b.t, b.requested)
	for _, requested := range b.requested {
		require.True(b.t, strings.HasPrefix(requested, url+"/") || strings.HasPrefix(requested, "data:"), requested)
	}
}
