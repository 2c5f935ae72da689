package pgjson

import (
	"bytes"
	"errors"
)

// errShape is a text that is not what array_out or record_out write.
var errShape = errors.New("is not of its type")

// nested reads the text of an array or of a composite value.
type nested struct {
	text []byte
	// scratch holds an element without its quotes and escapes.
	scratch []byte
}

func (n *nested) peek() byte {
	if len(n.text) == 0 {
		return 0
	}
	return n.text[0]
}

func (n *nested) accept(c byte) bool {
	if n.peek() != c {
		return false
	}
	n.text = n.text[1:]
	return true
}

// value takes an element up to the delimiter or the closing character. One that
// was quoted is never null. The result is valid until the next call.
func (n *nested) value(delimiter, closing byte) (value []byte, quoted bool, err error) {
	if n.peek() == '"' {
		value, err = n.quoted()
		return value, true, err
	}
	for i, c := range n.text {
		switch c {
		case delimiter, closing:
			value, n.text = n.text[:i], n.text[i:]
			return value, false, nil
		case '"', '\\':
			return nil, false, errShape
		}
	}
	return nil, false, errShape
}

// quoted takes a quoted element. Within the quotes a backslash makes the next
// character literal, and so does a composite's doubled quote; array_out doubles
// none, and after an element's end no quote can follow.
func (n *nested) quoted() ([]byte, error) {
	n.scratch = n.scratch[:0]
	for i := 1; ; i++ {
		run := bytes.IndexAny(n.text[i:], `"\`)
		if run < 0 || i+run+1 >= len(n.text) {
			return nil, errShape
		}
		n.scratch = append(n.scratch, n.text[i:i+run]...)
		i += run
		if next := n.text[i+1]; n.text[i] == '\\' || next == '"' {
			n.scratch = append(n.scratch, next)
			i++
			continue
		}
		n.text = n.text[i+1:]
		return n.scratch, nil
	}
}

// maxDimensions is the server's own MAXDIM.
const maxDimensions = 6

func (t *Type) appendArray(dst, value []byte) ([]byte, error) {
	n := nested{text: value}
	if n.peek() == '[' { // lower bounds other than 1: [0:1]={…}
		end := bytes.IndexByte(n.text, '=')
		if end < 0 {
			return nil, errShape
		}
		n.text = n.text[end+1:]
	}
	dst, err := t.appendDimension(dst, &n, 1)
	if err == nil && len(n.text) > 0 {
		err = errShape
	}
	return dst, err
}

func (t *Type) appendDimension(dst []byte, n *nested, dimension int) ([]byte, error) {
	if dimension > maxDimensions || !n.accept('{') {
		return nil, errShape
	}
	dst = append(dst, '[')
	for first := true; !n.accept('}'); first = false {
		if !first {
			if !n.accept(t.delimiter) {
				return nil, errShape
			}
			dst = append(dst, ',')
		}
		var err error
		if n.peek() == '{' {
			dst, err = t.appendDimension(dst, n, dimension+1)
		} else {
			dst, err = t.appendElement(dst, n)
		}
		if err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func (t *Type) appendElement(dst []byte, n *nested) ([]byte, error) {
	value, quoted, err := n.value(t.delimiter, '}')
	switch {
	case err != nil:
		return nil, err
	case !quoted && string(value) == "NULL":
		return append(dst, "null"...), nil
	case !quoted && len(value) == 0:
		return nil, errShape
	}
	return t.element.Append(dst, value)
}

// appendVector is for the old arrays of the catalog, whose text has spaces only.
func (t *Type) appendVector(dst, value []byte) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, word := range bytes.Fields(value) {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = t.element.Append(dst, word); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func (t *Type) appendComposite(dst, value []byte) ([]byte, error) {
	n := nested{text: value}
	if !n.accept('(') {
		return nil, errShape
	}
	dst = append(dst, '{')
	for i := range t.attributes {
		if i > 0 {
			if !n.accept(',') {
				return nil, errShape
			}
			dst = append(dst, ',')
		}
		part, quoted, err := n.value(',', ')')
		if err != nil {
			return nil, err
		}
		a := &t.attributes[i]
		dst = append(dst, a.key...)
		if !quoted && len(part) == 0 {
			dst = append(dst, "null"...)
			continue
		}
		if dst, err = a.of.Append(dst, part); err != nil {
			return nil, err
		}
	}
	if !n.accept(')') || len(n.text) > 0 {
		return nil, errShape
	}
	return append(dst, '}'), nil
}
