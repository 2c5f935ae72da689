package bus

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/hint"
)

// ErrDamaged says that an object is not what was stored.
var ErrDamaged = errors.New("object is damaged")

// Objects is an object store, in the form of the library's: the nats command shows
// what is in it. It is written and read in another way than the library's, with few
// chunks under way: a server that stores slowly must not have to hold an object in
// memory, nor what else comes over the connection wait behind it.
type Objects struct {
	conn   *Conn
	bucket string
}

// Object is a stored object.
type Object struct {
	Name   string
	Size   int64
	Stored time.Time // by the server's clock
	info   jetstream.ObjectInfo
}

// Checkpoints is the store of the checker's states.
func (c *Conn) Checkpoints() *Objects { return c.checkpoints }

// Reports is the store of audits' reports and of trends.
func (c *Conn) Reports() *Objects { return c.reports }

// List lists the objects that are there as a whole, by name. What else is in the
// store, the rest of an upload that was cut off or something foreign, is left out.
func (o *Objects) List(ctx context.Context) ([]Object, error) {
	objects, _, err := o.look(ctx)
	return objects, classify(fmt.Sprintf("list objects of bucket %q", o.bucket), err)
}

// Get looks up one object; ErrNoMessage when there is none of the name.
func (o *Objects) Get(ctx context.Context, name string) (Object, error) {
	object, err := o.read(ctx, o.infoSubject(name))
	return object, classify(fmt.Sprintf("look up object %q of bucket %q", name, o.bucket), err)
}

// look lists the whole objects, and the subjects of chunks and of infos that belong
// to none.
func (o *Objects) look(ctx context.Context) (whole []Object, scraps []string, err error) {
	subjects, err := o.subjects(ctx)
	if err != nil {
		return nil, nil, err
	}
	used := map[string]bool{}
	for subject := range subjects {
		if !strings.HasPrefix(subject, o.infoSubject("")) {
			continue
		}
		object, err := o.read(ctx, subject)
		switch chunks := o.chunkSubject(object.info.NUID); {
		case err != nil && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoMessage):
			return nil, nil, err
		case err == nil && subjects[chunks] == uint64(object.info.Chunks):
			used[subject], used[chunks] = true, true
			whole = append(whole, object)
		}
	}
	for subject := range subjects {
		if !used[subject] {
			scraps = append(scraps, subject)
		}
	}
	slices.SortFunc(whole, func(a, b Object) int { return cmp.Compare(a.Name, b.Name) })
	return whole, scraps, nil
}

// subjects counts the messages of the store by subject.
func (o *Objects) subjects(ctx context.Context) (all map[string]uint64, err error) {
	err = o.conn.admin(ctx, o.stream(), func(ctx context.Context) error {
		stream, err := o.conn.js.Stream(ctx, o.stream())
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return hint.Failed("open object store", fmt.Errorf("%w: %w", ErrSetup, err), "start questwatch run again, or have the object store created")
		}
		if err != nil {
			return err
		}
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(">"))
		if err == nil {
			all = info.State.Subjects
		}
		return err
	})
	return all, err
}

// read reads an object's info.
func (o *Objects) read(ctx context.Context, subject string) (Object, error) {
	m, err := o.conn.getMessage(ctx, o.stream(), getRequest{LastFor: subject})
	if err != nil {
		return Object{}, err
	}
	var info jetstream.ObjectInfo
	if err := json.Unmarshal(m.Data, &info); err != nil || info.Deleted || info.NUID == "" || o.infoSubject(info.Name) != subject {
		return Object{}, ErrDamaged
	}
	return Object{Name: info.Name, Size: int64(info.Size), Stored: m.Stored, info: info}, nil
}

// Delete removes an object; one that is not there is no error.
func (o *Objects) Delete(ctx context.Context, object Object) error {
	// First the info, so that nobody is told of an object of which half is there.
	err := o.purge(ctx, o.infoSubject(object.Name))
	if err == nil {
		err = o.purge(ctx, o.chunkSubject(object.info.NUID))
	}
	return classify(fmt.Sprintf("delete object %q of bucket %q", object.Name, o.bucket), err)
}

// Sweep removes what uploads have left behind that were cut off, and all else that
// is no whole object. Nobody may be uploading.
func (o *Objects) Sweep(ctx context.Context) error {
	_, scraps, err := o.look(ctx)
	for _, subject := range scraps {
		if err == nil {
			err = o.purge(ctx, subject)
		}
	}
	return classify(fmt.Sprintf("sweep bucket %q", o.bucket), err)
}

func (o *Objects) purge(ctx context.Context, subject string) error {
	return o.conn.admin(ctx, o.stream(), func(ctx context.Context) error {
		stream, err := o.conn.js.Stream(ctx, o.stream())
		if err != nil {
			return err
		}
		return stream.Purge(ctx, jetstream.WithPurgeSubject(subject))
	})
}

func (o *Objects) stream() string { return "OBJ_" + o.bucket }

func (o *Objects) chunkSubject(nuid string) string { return "$O." + o.bucket + ".C." + nuid }

func (o *Objects) infoSubject(name string) string {
	return "$O." + o.bucket + ".M." + base64.URLEncoding.EncodeToString([]byte(name))
}
