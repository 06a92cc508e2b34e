package page

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// startBrowser runs a headless browser. The test fails when the page logs an error or asks another host for anything.
func startBrowser(t *testing.T, own string, expected ...string) context.Context {
	t.Helper()
	var path string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("the test of the page needs a browser: install chromium")
		}
		t.Skip("skipped: the test of the page: chromium is missing (install chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	do(t, ctx) // starts it
	var mu sync.Mutex
	var errs []string
	note := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, fmt.Sprintf(format, args...))
	}
	err := chromedp.Listen(ctx, func(event any) {
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			note("exception: %s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
		case *runtime.EventConsoleAPICalled:
			for _, arg := range e.Args {
				note("console: %s %s", e.Type, arg.Value)
			}
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
				note("log: %s %s", e.Entry.Text, e.Entry.URL)
			}
		case *network.EventRequestWillBeSent:
			if !strings.HasPrefix(e.Request.URL, own) {
				note("a request to elsewhere: %s", e.Request.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		for _, e := range errs {
			fine := false
			for _, part := range expected {
				fine = fine || strings.Contains(e, part)
			}
			if !fine {
				t.Error(e)
			}
		}
	})
	return ctx
}

type action = chromedp.Action[chromedp.Void]

func do(t *testing.T, ctx context.Context, actions ...action) {
	t.Helper()
	if len(actions) > 0 { // the first run of all is without: the browser would end with the time
		limited, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		ctx = limited
	}
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

func click(selector string) action { return chromedp.Click(chromedp.CSS(selector)) }

func script(text string) action { return chromedp.Evaluate[chromedp.Void](text) }

func value[T any](t *testing.T, ctx context.Context, expression string) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// shows waits until an element has a text.
func shows(t *testing.T, ctx context.Context, selector, text string) {
	t.Helper()
	expression := fmt.Sprintf(`[...document.querySelectorAll(%q)].map((e) => e.textContent).join(" | ")`, selector)
	var found string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if found = value[string](t, ctx, expression); strings.Contains(found, text) {
			return
		}
	}
	t.Fatalf("%s does not show %q: %.500s", selector, text, found)
}

func shot(t *testing.T, ctx context.Context, name string) {
	t.Helper()
	folder := os.Getenv("SUBPY_SHOTS")
	if folder == "" {
		return
	}
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644); err != nil {
		t.Fatal(err)
	}
}

// fillIn types a text into a field, over what is there.
func fillIn(selector, text string) action {
	return chromedp.Steps(click(selector), script(fmt.Sprintf(`document.querySelector(%q).select()`, selector)), chromedp.KeyEvent("\b"), chromedp.KeyEvent(text))
}

// choose takes an option of a select.
func choose(selector, option string) action {
	return script(fmt.Sprintf(`(() => { const s = document.querySelector(%q); s.value = %q; s.dispatchEvent(new Event("change", { bubbles: true })); })()`, selector, option))
}

func TestInBrowser(t *testing.T) {
	nc, js := startNATS(t)
	p, s := startPage(t, nc, js, Options{})
	ctx := startBrowser(t, s.URL, "404") // a look-up of a result that is not there yet is answered so
	do(t, ctx, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(s.URL))
	shows(t, ctx, "#live", "Live")
	shows(t, ctx, "#queues", "No queue yet")
	shot(t, ctx, "empty-1280")

	furnish(t, p, nc, js)
	shows(t, ctx, "#queues", "thumbnails")
	shows(t, ctx, "#workers", "worker-a1")
	before := value[string](t, ctx, `document.querySelector("#chart-rate .line").getAttribute("d")`)
	until(t, "the chart to move", func() bool {
		return value[string](t, ctx, `document.querySelector("#chart-rate .line").getAttribute("d")`) != before
	})

	for _, width := range []int64{1280, 360} {
		for _, theme := range []string{"light", "dark"} {
			t.Run(fmt.Sprintf("%d-%s", width, theme), func(t *testing.T) { everything(t, ctx, js, s.URL, width, theme) })
		}
	}
}

// everything goes through the views in one width and theme.
func everything(t *testing.T, ctx context.Context, js streams, url string, width int64, theme string) {
	name := fmt.Sprintf("%d-%s", width, theme)
	key := "try-" + name
	bury(t, js, "default", "dead-"+name, "crashed", "the process of the interpreter ended: signal 11", `{"function":"demo.add","args":[20,1],"tries":3}`)
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: theme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}
	if _, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media); err != nil {
		t.Fatal(err)
	}
	do(t, ctx, chromedp.EmulateViewport(width, 800), chromedp.Navigate(url+"/?"+name))
	shows(t, ctx, "#live", "Live")
	shows(t, ctx, "#recent", "demo.")
	fits(t, ctx, "overview")
	shot(t, ctx, "overview-"+name)

	// A job through the form, with an error first.
	do(t, ctx, click(`nav a[href="#jobs"]`))
	do(t, ctx, choose("#f-queue", "default"))
	shows(t, ctx, "#f-doc", "Add two numbers")
	do(t, ctx, fillIn("#f-args", "[40, 'two']"))
	shows(t, ctx, "#e-args", "double quotes")
	do(t, ctx, fillIn("#f-args", "[40, 2]"), fillIn("#f-key", key), click("#f-send"))
	shows(t, ctx, "#job .value", "42")
	shows(t, ctx, "#job .stdout", "adding 40 and 2")
	shows(t, ctx, "#job .steps", "done in")
	fits(t, ctx, "jobs")
	shot(t, ctx, "job-"+name)

	// One that fails: its traceback is text, whatever is in it.
	do(t, ctx, choose("#f-function", "demo.fail"), fillIn("#f-key", key+"-fails"), click("#f-send"))
	shows(t, ctx, "#job .traceback", "ValueError: <img src=x onerror=alert(1)>")
	do(t, ctx, fillIn("#l-key", key), click("#lookup button"))
	shows(t, ctx, "#job .value", "42")

	do(t, ctx, click(`nav a[href="#failures"]`))
	shows(t, ctx, "#failures .item", "is no number")
	do(t, ctx, click("#failures .item summary"))
	shows(t, ctx, "#failures .traceback", "line 12, in fail")
	if n := value[int](t, ctx, `document.querySelectorAll("main img").length`); n != 0 {
		t.Error("a message became an element")
	}
	fits(t, ctx, "failures")
	shot(t, ctx, "failures-"+name)

	do(t, ctx, click(`nav a[href="#dead"]`))
	button := fmt.Sprintf(`[aria-label="Retry dead-%s"]`, name)
	do(t, ctx, chromedp.WaitVisible(chromedp.CSS(button)))
	do(t, ctx, click("#dead .item summary"))
	shows(t, ctx, "#dead pre", "demo.add")
	fits(t, ctx, "dead letters")
	shot(t, ctx, "dead-"+name)
	do(t, ctx, click(button), chromedp.WaitNotPresent(chromedp.CSS(button)))
	shows(t, ctx, "#toasts", "in the queue again")
	do(t, ctx, script(`location.hash = "#jobs/default/dead-`+name+`"`))
	shows(t, ctx, "#job .value", "21")
}

// fits fails when the page is wider than the screen, when a text is hard to read, and when a control has no name.
func fits(t *testing.T, ctx context.Context, view string) {
	t.Helper()
	for _, problem := range value[[]string](t, ctx, sound) {
		t.Errorf("%s: %s", view, problem)
	}
}

// sound looks through the page as it is. The contrast that it asks for is that of WCAG 2.2, AA: 4.5, and 3 for what is large.
const sound = `(() => {
	const problems = [];
	const room = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth > room) {
		for (const e of document.querySelectorAll("body *")) if (e.getBoundingClientRect().right > room + 1) problems.push("too wide: " + e.tagName + "." + e.className + "#" + e.id);
	}
	const parse = (color) => { const n = color.match(/[\d.]+/g).map(Number); return n.length < 4 ? [...n, 1] : n; };
	const light = (c) => c.slice(0, 3).map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	for (let node; (node = walker.nextNode());) {
		const e = node.parentElement;
		if (!node.data.trim() || !e.checkVisibility() || e.closest("button:disabled, svg, option, noscript, .sr")) continue;
		const style = getComputedStyle(e);
		const [a, b] = [light(parse(style.color)), light(behind(e))].sort((x, y) => y - x);
		const ratio = (a + 0.05) / (b + 0.05);
		if (ratio < (parseFloat(style.fontSize) >= 24 ? 3 : 4.5)) problems.push("contrast " + ratio.toFixed(2) + ": " + e.tagName + "." + e.className + " " + node.data.slice(0, 40));
	}
	for (const e of document.querySelectorAll("input, select, textarea, button, [role=slider], pre[tabindex]")) {
		const name = e.getAttribute("aria-label") || [...(e.labels || [])].map((l) => l.textContent).join("") || e.textContent.trim();
		if (e.checkVisibility() && !name.trim()) problems.push("no name: " + e.tagName + "#" + e.id);
	}
	return [...new Set(problems)].slice(0, 10);
})()`

// The token, a connection that is lost, and the theme's switch.
func TestConnectionInBrowser(t *testing.T) {
	nc, js := startNATS(t)
	p, err := New(nc, js, Options{Token: token})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	var down atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler)
		}
		p.ServeHTTP(w, r)
	}))
	t.Cleanup(s.CloseClientConnections)
	startFake(t, nc, js, "default", "w1")
	ctx := startBrowser(t, s.URL, "401", "ERR_EMPTY_RESPONSE", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION")
	do(t, ctx, chromedp.EmulateViewport(1280, 800), chromedp.Navigate(s.URL), chromedp.WaitVisible(chromedp.CSS("#login-token")))
	do(t, ctx, fillIn("#login-token", "a wrong one"), chromedp.KeyEvent("\r"))
	shows(t, ctx, "#e-login", "That is not the token")
	shows(t, ctx, "#live", "Not signed in")
	fits(t, ctx, "login")
	shot(t, ctx, "login-1280")
	do(t, ctx, fillIn("#login-token", token), chromedp.KeyEvent("\r"))
	shows(t, ctx, "#live", "Live")
	shows(t, ctx, "#workers", "w1")

	down.Store(true)
	s.CloseClientConnections()
	shows(t, ctx, "#live", "Connection lost")
	shot(t, ctx, "lost-1280")
	down.Store(false)
	shows(t, ctx, "#live", "Live")

	do(t, ctx, click("#workers .link"))
	shows(t, ctx, "#detail", "demo.add(a: int, b: int = 0) -> int")
	fits(t, ctx, "worker")
	shot(t, ctx, "worker-1280")
	do(t, ctx, click("#detail-close"))
	colour := func() string { return value[string](t, ctx, `getComputedStyle(document.body).backgroundColor`) }
	do(t, ctx, click("#theme"))
	light := colour()
	do(t, ctx, click("#theme"))
	if dark := colour(); dark == light {
		t.Error("the theme did not change:", dark)
	}
	do(t, ctx, chromedp.Reload())
	shows(t, ctx, "#theme-text", "Dark")
}
