package pgstore

import (
	"bytes"

	"github.com/jackc/pgx/v5/pgtype"

	"github.com/peerquest/questwatch/internal/change"
)

// render says how a column's text becomes the JSON that to_json would make.
type render uint8

const (
	asText render = iota
	asNumber
	asBool
	asTime
	asJSON // the server has made it
)

// renderOf is how a type is rendered. Everything that is not known here is left
// to the server's own to_json: arrays, composites, types with a cast to JSON.
// base is the type below all domains.
func renderOf(base uint32, enum bool) render {
	switch base {
	case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID, pgtype.NumericOID, pgtype.Float4OID, pgtype.Float8OID:
		return asNumber
	case pgtype.BoolOID:
		return asBool
	case pgtype.TimestampOID, pgtype.TimestamptzOID:
		return asTime
	case pgtype.UUIDOID, pgtype.TextOID, pgtype.VarcharOID, pgtype.BPCharOID, pgtype.NameOID, pgtype.DateOID, pgtype.TimeOID,
		pgtype.InetOID, pgtype.CIDROID:
		return asText
	}
	if enum {
		return asText
	}
	return asJSON
}

// appendJSON appends a value that the server sent as text; nil is null.
func appendJSON(dst []byte, how render, text []byte) []byte {
	if text == nil {
		return append(dst, "null"...)
	}
	switch how {
	case asJSON:
		return append(dst, text...)
	case asNumber:
		if finite(text) {
			return append(dst, text...)
		}
		dst = append(append(dst, '"'), text...)
		return append(dst, '"')
	case asBool:
		if len(text) > 0 && text[0] == 't' {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case asTime:
		return appendTime(dst, text)
	case asText:
	}
	return change.AppendString(dst, string(text))
}

// finite tells numbers from NaN, Infinity and -Infinity, which JSON does not
// have.
func finite(text []byte) bool {
	last := text[len(text)-1]
	return last >= '0' && last <= '9'
}

// appendTime turns the ISO date style of a UTC session into ISO 8601:
// 2025-06-06 04:02:26.5+00 becomes "2025-06-06T04:02:26.5+00:00". Infinities and
// the BC behind very old times stay.
func appendTime(dst, text []byte) []byte {
	dst = append(dst, '"')
	day, clock, ok := bytes.Cut(text, []byte(" "))
	if !ok {
		return append(append(dst, text...), '"')
	}
	dst = append(append(dst, day...), 'T')
	clock, era, old := bytes.Cut(clock, []byte(" "))
	dst = append(dst, clock...)
	if len(clock) > 3 && clock[len(clock)-3] == '+' {
		dst = append(dst, ":00"...)
	}
	if old {
		dst = append(append(dst, ' '), era...)
	}
	return append(dst, '"')
}
