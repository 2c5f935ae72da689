package change

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Connector is the name of this program in a step's source.
const Connector = "questwatch"

// AppendStep appends a step's wire form.
func AppendStep(dst []byte, s *Step) []byte {
	dst = append(dst, `{"quest_id":`...)
	dst = strconv.AppendInt(dst, s.QuestID, 10)
	dst = appendTransaction(dst, &s.Transaction)
	dst = appendSource(dst, &s.Source)
	dst = append(dst, `,"changes":[`...)
	for i := range s.Changes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendChange(dst, &s.Changes[i])
	}
	dst = append(dst, `],"ts_ms":`...)
	dst = strconv.AppendInt(dst, int64(s.Published), 10)
	return append(dst, '}')
}

func appendTransaction(dst []byte, t *Transaction) []byte {
	dst = append(dst, `,"transaction":{"id":`...)
	dst = strconv.AppendUint(dst, t.ID, 10)
	dst = append(dst, `,"commit_lsn":`...)
	dst = strconv.AppendUint(dst, uint64(t.CommitLSN), 10)
	if t.EndLSN != 0 {
		dst = append(dst, `,"end_lsn":`...)
		dst = strconv.AppendUint(dst, uint64(t.EndLSN), 10)
	}
	dst = append(dst, `,"ts_ms":`...)
	dst = strconv.AppendInt(dst, int64(t.Time), 10)
	dst = append(dst, `,"message":`...)
	dst = strconv.AppendInt(dst, int64(t.Message), 10)
	dst = append(dst, `,"messages":`...)
	dst = strconv.AppendInt(dst, int64(t.Messages), 10)
	return append(dst, '}')
}

func appendSource(dst []byte, s *Source) []byte {
	dst = append(dst, `,"source":{"connector":"`+Connector+`","db":`...)
	dst = AppendString(dst, s.DB)
	dst = append(dst, `,"epoch":`...)
	dst = strconv.AppendUint(dst, s.Epoch, 10)
	dst = append(dst, `,"snapshot":`...)
	dst = strconv.AppendBool(dst, s.Snapshot)
	return append(dst, '}')
}

func appendChange(dst []byte, c *Change) []byte {
	dst = append(dst, `{"op":"`...)
	dst = append(dst, byte(c.Op))
	dst = append(dst, `","entity":"`...)
	dst = append(dst, c.Entity.String()...)
	dst = append(dst, `","table":`...)
	dst = AppendString(dst, c.Table)
	dst = append(dst, `,"order":`...)
	dst = strconv.AppendInt(dst, int64(c.Order), 10)
	dst = append(dst, `,"lsn":`...)
	dst = strconv.AppendUint(dst, uint64(c.LSN), 10)
	if c.Moved {
		dst = append(dst, `,"moved":true`...)
	}
	dst = appendRow(append(dst, `,"before":`...), c.Before)
	dst = appendRow(append(dst, `,"after":`...), c.After)
	dst = appendNames(dst, `,"unchanged":`, c.Unchanged)
	dst = appendNames(dst, `,"omitted":`, c.Omitted)
	return append(dst, '}')
}

func appendRow(dst []byte, r Row) []byte {
	if r == nil {
		return append(dst, "null"...)
	}
	return append(dst, r...)
}

func appendNames(dst []byte, key string, names []string) []byte {
	if len(names) == 0 {
		return dst
	}
	dst = append(dst, key...)
	for i, name := range names {
		if i == 0 {
			dst = append(dst, '[')
		} else {
			dst = append(dst, ',')
		}
		dst = AppendString(dst, name)
	}
	return append(dst, ']')
}

// AppendControl appends a control record's wire form.
func AppendControl(dst []byte, c *Control) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode %s record: %w", c.Kind, err)
	}
	dst = append(dst, body[:len(body)-1]...)
	if c.Transaction != nil {
		dst = appendTransaction(dst, c.Transaction)
	}
	dst = appendSource(dst, &c.Source)
	return append(dst, '}'), nil
}

const hexDigits = "0123456789abcdef"

// AppendString appends text as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, as in encoding/json; Postgres sends none from a UTF-8 database.
func AppendString(dst []byte, text string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, text[start:i]...)
			dst = appendEscaped(dst, c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(dst, text[start:i]...)
			dst = append(dst, `\ufffd`...)
			start = i + 1
		}
		i += size
	}
	dst = append(dst, text[start:]...)
	return append(dst, '"')
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
