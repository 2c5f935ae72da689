// Package squeeze makes data smaller that is kept, and larger again.
//
// Guarantees. The same data is always squeezed to the same bytes by the same version of
// the program. What is no squeezed data, or is cut off, is an error and no panic.
package squeeze

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
)

// most is how large data may get again: what is kept is far smaller.
const most = 1 << 28

// In is the data squeezed.
func In(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(data) // a Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// Out is squeezed data as it was.
func Out(r io.Reader) ([]byte, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("unsqueeze: %w", err)
	}
	data, err := io.ReadAll(io.LimitReader(z, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("it is larger than %d bytes", most)
	}
	if err != nil {
		return nil, fmt.Errorf("unsqueeze: %w", err)
	}
	return data, nil
}
