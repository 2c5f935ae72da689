// Package browser shows pages in a headless Chromium, for tests of what people see. Every
// call has a browser of its own, which ends with it.
package browser

import (
	"context"
	_ "embed"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	height = 800
	// patience bounds all looks at a page; a busy machine takes seconds to start the browser.
	patience = time.Minute
)

// contrast finds what is hard to read.
//
//go:embed contrast.js
var contrast string

// Look is how a page is looked at.
type Look struct {
	Width int64 // of the window, in CSS pixels
	Dark  bool
}

// Seen is a page as a look at it shows it.
type Seen struct {
	Text string
	// Overflow is by how many pixels the page is wider than the window.
	Overflow int
	// Faint are texts with a contrast below 4.5 to 1, the least by WCAG 2.2, success
	// criterion 1.4.3.
	Faint []string
	// Loaded are the addresses that the page loads or would load, but for its own.
	Loaded []string
	// Said is what scripts did that a page without any does not: errors, the console, dialogs.
	Said []string
	// PNG is a picture of the whole page.
	PNG []byte
}

// Show opens a page's source and looks at it in one way after the other.
func Show(ctx context.Context, source string, looks ...Look) ([]Seen, error) {
	dir, err := os.MkdirTemp("", "questwatch-page-")
	if err != nil {
		return nil, fmt.Errorf("show page: %w", err)
	}
	defer os.RemoveAll(dir) // when the browser has ended
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		return nil, fmt.Errorf("show page: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ctx, end := chromedp.NewExecAllocator(ctx, append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, // root cannot have one
		chromedp.Env("TMPDIR="+dir))...)
	defer end()
	ctx, closed := chromedp.NewContext(ctx)
	defer closed()
	w := &watcher{ctx: ctx, own: (&url.URL{Scheme: "file", Path: file}).String()}
	if err := chromedp.Listen(ctx, w.hear); err != nil {
		return nil, fmt.Errorf("show page: %w", err)
	}
	all := make([]Seen, len(looks))
	for i, look := range looks {
		if err := w.look(look, &all[i]); err != nil {
			return nil, fmt.Errorf("show page: %w", err)
		}
	}
	return all, nil
}

type watcher struct {
	ctx context.Context
	own string

	mu           sync.Mutex // the browser tells from a goroutine of its own
	loaded, said []string
}

func (w *watcher) look(look Look, s *Seen) (err error) {
	scheme := "light"
	if look.Dark {
		scheme = "dark"
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}
	if _, err := chromedp.Call(w.ctx, emulation.SetEmulatedMedia, media); err != nil {
		return err
	}
	if err := chromedp.Do(w.ctx, chromedp.EmulateViewport(look.Width, height), chromedp.Navigate(w.own)); err != nil {
		return err
	}
	if s.Text, err = chromedp.Run(w.ctx, chromedp.Evaluate[string]("document.body.innerText")); err != nil {
		return err
	}
	if s.Overflow, err = chromedp.Run(w.ctx, chromedp.Evaluate[int]("document.documentElement.scrollWidth - window.innerWidth")); err != nil {
		return err
	}
	if s.Faint, err = chromedp.Run(w.ctx, chromedp.Evaluate[[]string](contrast)); err != nil {
		return err
	}
	if s.PNG, err = chromedp.Run(w.ctx, chromedp.FullScreenshot(100)); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Loaded, s.Said, w.loaded, w.said = w.loaded, w.said, nil, nil
	return nil
}

// hear takes what the browser tells.
func (w *watcher) hear(event any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if e.Request.URL != w.own {
			w.loaded = append(w.loaded, e.Request.URL)
		}
	case *runtime.EventConsoleAPICalled:
		w.said = append(w.said, "console: "+string(e.Type))
	case *runtime.EventExceptionThrown:
		said := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			said += " " + x.Description
		}
		w.said = append(w.said, said)
	case *page.EventJavascriptDialogOpening:
		w.said = append(w.said, "dialog: "+e.Message)
		go func() { _, _ = chromedp.Call(w.ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{}) }() // it holds all up
	}
}
