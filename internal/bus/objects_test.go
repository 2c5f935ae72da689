package bus_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
)

// openObjects is a server with a store of checkpoints and a connection to it.
func openObjects(t testing.TB) (*embedded.Server, *bus.Objects) {
	t.Helper()
	s := startServer(t, embedded.Config{})
	c := connect(t, bus.Config{Options: s.InProcess(), Checkpoints: true})
	for range 2 {
		if err := c.Setup(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return s, c.Checkpoints()
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	_, _ = r.Read(b)
	return b
}

func put(t testing.TB, o *bus.Objects, name string, data []byte) {
	t.Helper()
	_, err := o.Put(t.Context(), name, func(w io.Writer) error {
		for chunk := range len(data)/7000 + 1 { // not as the store cuts it
			if _, err := w.Write(data[min(chunk*7000, len(data)):min((chunk+1)*7000, len(data))]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func list(t testing.TB, o *bus.Objects) (all []bus.Object, names string) {
	t.Helper()
	all, err := o.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range all {
		names += object.Name + " "
	}
	return all, names
}

func get(t testing.TB, o *bus.Objects, object bus.Object) (data []byte, err error) {
	t.Helper()
	err = o.Read(t.Context(), object, func(r io.Reader) error {
		data, err = io.ReadAll(r)
		return err
	})
	return data, err
}

func TestObjects(t *testing.T) {
	s, o := openObjects(t)
	if _, names := list(t, o); names != "" {
		t.Errorf("an empty store has %q", names)
	}
	sizes := []int{0, 1, 1000, 256 << 10, 256<<10 + 1, 3_000_000}
	for i, size := range sizes {
		put(t, o, fmt.Sprintf("object-%d", i), noise(size))
	}
	put(t, o, "object-5", noise(2_000_000))
	sizes[5] = 2_000_000
	all, names := list(t, o)
	if names != "object-0 object-1 object-2 object-3 object-4 object-5 " {
		t.Fatalf("the store has %q", names)
	}
	theirs, err := raw(t, s).ObjectStore(t.Context(), "questwatch-checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	for i, object := range all {
		data, err := get(t, o, object)
		if err != nil || !bytes.Equal(data, noise(sizes[i])) || object.Size != int64(sizes[i]) || time.Since(object.Stored).Abs() > time.Minute {
			t.Errorf("%+v came back as %d bytes, %v", object, len(data), err)
		}
		if same, err := theirs.GetBytes(t.Context(), object.Name); err != nil || !bytes.Equal(data, same) {
			t.Errorf("%s: the library reads %d bytes, %v", object.Name, len(same), err)
		}
	}
	if err := o.Delete(t.Context(), all[5]); err != nil {
		t.Fatal(err)
	}
	if err := o.Delete(t.Context(), all[5]); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if _, err := get(t, o, all[5]); !errors.Is(err, bus.ErrDamaged) {
		t.Errorf("read what was deleted: %v", err)
	}
	wantSubjects(t, s, 10, "objects and chunks") // the empty one has no chunk
}

// wantSubjects counts the store's subjects: nothing is left over.
func wantSubjects(t *testing.T, s *embedded.Server, want int, what string) {
	t.Helper()
	stream, err := raw(t, s).Stream(t.Context(), "OBJ_questwatch-checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	if err != nil || len(info.State.Subjects) != want-1 {
		t.Errorf("%d subjects, want %d of %s; error %v", len(info.State.Subjects), want-1, what, err)
	}
}

// An upload that fails leaves the former object, and nothing else. One that is cut
// off leaves what counts for nothing and is swept away.
func TestInterruptedUpload(t *testing.T) {
	s, o := openObjects(t)
	put(t, o, "a", noise(600_000))
	torn := errors.New("torn")
	_, err := o.Put(t.Context(), "a", func(w io.Writer) error {
		_, err := w.Write(noise(2_000_000))
		return errors.Join(err, torn)
	})
	if !errors.Is(err, torn) {
		t.Errorf("error %v", err)
	}
	wantSubjects(t, s, 3, "one object")
	ctx, cancel := context.WithCancel(t.Context())
	_, err = o.Put(ctx, "b", func(w io.Writer) error {
		_, err := w.Write(noise(1_000_000))
		cancel()
		for err == nil {
			_, err = w.Write(noise(256 << 10))
		}
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	wantSubjects(t, s, 3, "one object")

	js := raw(t, s)
	for _, m := range []struct{ subject, data string }{
		{"$O.questwatch-checkpoints.C.cutoff", "chunk"},
		{"$O.questwatch-checkpoints.M.Zm9yZWlnbg==", `{"type":"something else"}`},
		{"$O.questwatch-checkpoints.M.bm8=", `no JSON`},
		{"$O.questwatch-checkpoints.M.Yg==", `{"name":"b","bucket":"questwatch-checkpoints","nuid":"gone","size":5,"chunks":1,"digest":"SHA-256="}`},
	} {
		if _, err := js.Publish(t.Context(), m.subject, []byte(m.data)); err != nil {
			t.Fatal(err)
		}
	}
	all, names := list(t, o)
	if names != "a " {
		t.Fatalf("the store has %q", names)
	}
	if data, err := get(t, o, all[0]); err != nil || !bytes.Equal(data, noise(600_000)) {
		t.Errorf("read %d bytes, %v", len(data), err)
	}
	if err := o.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantSubjects(t, s, 3, "one object")
	if data, err := get(t, o, all[0]); err != nil || !bytes.Equal(data, noise(600_000)) {
		t.Errorf("swept: read %d bytes, %v", len(data), err)
	}
}

func TestDamagedObject(t *testing.T) {
	s, o := openObjects(t)
	put(t, o, "a", noise(600_000))
	all, _ := list(t, o)
	stream, err := raw(t, s).Stream(t.Context(), "OBJ_questwatch-checkpoints")
	if err != nil {
		t.Fatal(err)
	}
	chunk, err := stream.GetMsg(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, o, all[0]); !errors.Is(err, bus.ErrDamaged) {
		t.Errorf("without a chunk: %v", err)
	}
	if _, names := list(t, o); names != "" {
		t.Errorf("without a chunk: listed %q", names)
	}
	if _, err := raw(t, s).Publish(t.Context(), chunk.Subject, chunk.Data); err != nil {
		t.Fatal(err)
	}
	if _, err := get(t, o, all[0]); !errors.Is(err, bus.ErrDamaged) {
		t.Errorf("with the chunks in another order: %v", err)
	}
}

// Whoever may not write there is told which subject it is, at once and not when
// patience ends.
// One that is deleted while it is read is not waited for.
func TestObjectDeletedWhileRead(t *testing.T) {
	_, o := openObjects(t)
	put(t, o, "large", noise(8<<20))
	all, _ := list(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := o.Read(ctx, all[0], func(r io.Reader) error {
		if _, err := r.Read(make([]byte, 1)); err != nil {
			return err
		}
		if err := o.Delete(ctx, all[0]); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, r)
		return err
	})
	if !errors.Is(err, bus.ErrDamaged) {
		t.Errorf("read: %v", err)
	}
}

func TestObjectsWithoutPermission(t *testing.T) {
	url := plainServer(t, &server.Options{JetStream: true, NoAuthUser: "u", Users: []*server.User{
		{Username: "u", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: []string{"$O.>"}}}},
		{Username: "v", Password: "v", Permissions: &server.Permissions{Publish: &server.SubjectPermission{
			Allow: []string{">"}, Deny: []string{"$JS.API.STREAM.*.OBJ_questwatch-checkpoints"},
		}}},
	}})
	c := connect(t, bus.Config{URL: url, Checkpoints: true})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, err := c.Checkpoints().Put(t.Context(), "a", func(w io.Writer) error { _, err := w.Write(noise(10)); return err })
	var p *bus.PermissionError
	if !errors.As(err, &p) || !strings.HasPrefix(p.Subject, "$O.questwatch-checkpoints.C.") || time.Since(start) > 4*time.Second {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	if h := advice(t, err); !strings.Contains(h, p.Subject) {
		t.Error(h)
	}
	without := connect(t, bus.Config{URL: strings.Replace(url, "nats://", "nats://v:v@", 1), Checkpoints: true})
	err = without.Setup(t.Context())
	if !errors.As(err, &p) || !strings.Contains(err.Error(), `object store "questwatch-checkpoints"`) {
		t.Errorf("setup: %v", err)
	}
	advice(t, err)
}

func TestVerifyNamesTheObjectStoresCommand(t *testing.T) {
	s, _ := open(t)
	err := connect(t, bus.Config{Options: s.InProcess(), Manage: bus.ManageVerify, Checkpoints: true}).Setup(t.Context())
	if h := advice(t, err); !errors.Is(err, bus.ErrSetup) || !strings.Contains(h, "nats object add questwatch-checkpoints --storage=file") {
		t.Errorf("%v: %s", err, h)
	}
	if err := connect(t, bus.Config{Options: s.InProcess(), Manage: bus.ManageVerify}).Setup(t.Context()); err != nil {
		t.Errorf("where none is wanted: %v", err)
	}
}

// A reader of the embedded server reads checkpoints, and changes nothing of them.
func TestObjectsAreTheOwners(t *testing.T) {
	s, o := openObjects(t)
	put(t, o, "a", noise(10))
	reader := connect(t, bus.Config{URL: s.ClientURL()}).Checkpoints()
	all, names := list(t, reader)
	if names != "a " {
		t.Fatalf("a reader sees %q", names)
	}
	if data, err := get(t, reader, all[0]); err != nil || !bytes.Equal(data, noise(10)) {
		t.Errorf("a reader reads %q, %v", data, err)
	}
	var p *bus.PermissionError
	_, err := reader.Put(t.Context(), "b", func(w io.Writer) error { _, err := w.Write(noise(10)); return err })
	if !errors.As(err, &p) {
		t.Errorf("put: %v", err)
	}
	if err := reader.Delete(t.Context(), all[0]); !errors.As(err, &p) {
		t.Errorf("delete: %v", err)
	}
	wantSubjects(t, s, 3, "one object")
}

// Neither side holds an object in memory.
func TestLargeObject(t *testing.T) {
	_, o := openObjects(t)
	const size = 200 << 20
	var most uint64
	look := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
	}
	chunk, sum := noise(1<<20), sha256.New()
	start := time.Now()
	object, err := o.Put(t.Context(), "a", func(w io.Writer) error {
		for range size / len(chunk) {
			if _, err := io.MultiWriter(w, sum).Write(chunk); err != nil {
				return err
			}
			look()
		}
		return nil
	})
	if err != nil || object.Size != size {
		t.Fatalf("%+v, %v", object, err)
	}
	stored, again := time.Since(start), sha256.New()
	t.Logf("%d MB of heap in storing", most>>20)
	most = 0
	err = o.Read(t.Context(), object, func(r io.Reader) error {
		buffer := make([]byte, 1<<20)
		for {
			n, err := r.Read(buffer)
			_, _ = again.Write(buffer[:n])
			if look(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
		}
	})
	if err != nil || !bytes.Equal(sum.Sum(nil), again.Sum(nil)) {
		t.Errorf("came back as something else, %v", err)
	}
	t.Logf("%d MB stored in %v, read in %v, %d MB of heap at the most", size>>20, stored, time.Since(start)-stored, most>>20)
	if most > 150<<20 {
		t.Errorf("%d MB of heap were in use", most>>20)
	}
}

// Without a store of reports everything else goes on; who needs one is told what to do.
func TestMissingReports(t *testing.T) {
	t.Parallel()
	s := startServer(t, embedded.Config{})
	if err := connect(t, bus.Config{Options: s.InProcess()}).Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	c := connect(t, bus.Config{Options: s.InProcess(), Manage: bus.ManageVerify, Reports: true})
	if err := c.Setup(t.Context()); err != nil {
		t.Errorf("set up without reports: %v", err)
	}
	if _, err := c.Reports().List(t.Context()); !errors.Is(err, bus.ErrSetup) || advice(t, err) == "" {
		t.Errorf("list: %v", err)
	}
	made := connect(t, bus.Config{Options: s.InProcess(), Reports: true})
	if err := made.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list, err := c.Reports().List(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("list: %v, %v", list, err)
	}
}
