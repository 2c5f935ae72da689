// Package people knows what people are called: events carry ids, and whoever shows one
// to a person looks the name up.
//
// A name that cannot be had within a second is left out, and for half a minute after
// that nobody asks: what is shown must not wait for a database that does not answer.
package people

import (
	"cmp"
	"context"
	"time"
)

// Names looks up people's names by id; ids that nobody has are left out.
type Names interface {
	Usernames(ctx context.Context, ids []string) (map[string]string, error)
}

const (
	patience = time.Second
	quiet    = 30 * time.Second
	kept     = 10_000
)

// Book looks names up and remembers them. It is for one goroutine.
type Book struct {
	names Names
	known map[string]string
	quiet time.Time // until when nobody asks
}

// NewBook makes a book of names; with nil it knows none.
func NewBook(names Names) *Book { return &Book{names: names, known: map[string]string{}} }

// Name is what somebody is called, or "" where that cannot be said.
func (b *Book) Name(ctx context.Context, id string) string {
	name, known := b.known[id]
	if known || b.names == nil || time.Now().Before(b.quiet) {
		return name
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	found, err := b.names.Usernames(ctx, []string{id})
	if err != nil {
		b.quiet = time.Now().Add(quiet)
		return ""
	}
	if len(b.known) >= kept {
		clear(b.known)
	}
	name = found[id]
	b.known[id] = name
	return name
}

// Call is how to call somebody: by the name, or else by the id.
func (b *Book) Call(ctx context.Context) func(id string) string {
	return func(id string) string { return cmp.Or(b.Name(ctx, id), id) }
}
