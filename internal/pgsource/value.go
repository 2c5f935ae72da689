package pgsource

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/change"
)

// Type OIDs of Postgres (src/include/catalog/pg_type.dat) whose JSON form is not
// their text as a string.
const (
	oidBool        = 16
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidJSON        = 114
	oidFloat4      = 700
	oidFloat8      = 701
	oidTimestamp   = 1114
	oidTimestamptz = 1184
	oidNumeric     = 1700
	oidJSONB       = 3802
)

// readDomains asks which types are domains, and of what, on a replication
// connection: the protocol gives a domain's own number only.
func readDomains(ctx context.Context, conn *pgconn.PgConn) (map[uint32]uint32, error) {
	results, err := conn.Exec(ctx, `
		WITH RECURSIVE base(domain, oid) AS (
			SELECT oid, typbasetype FROM pg_type WHERE typtype = 'd'
			UNION ALL
			SELECT b.domain, t.typbasetype FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype = 'd')
		SELECT b.domain, b.oid FROM base b JOIN pg_type t ON t.oid = b.oid WHERE t.typtype <> 'd'`).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read domain types: %w", err)
	}
	domains := map[uint32]uint32{}
	for _, result := range results {
		for _, row := range result.Rows {
			domain, err := strconv.ParseUint(string(row[0]), 10, 32)
			if err != nil {
				return nil, fmt.Errorf("read domain types: %w", err)
			}
			base, err := strconv.ParseUint(string(row[1]), 10, 32)
			if err != nil {
				return nil, fmt.Errorf("read domain types: %w", err)
			}
			domains[uint32(domain)] = uint32(base)
		}
	}
	return domains, nil
}

// appendJSON appends a value in Postgres's text form as to_json would give it.
func appendJSON(dst []byte, oid uint32, text []byte) ([]byte, error) {
	switch oid {
	case oidInt2, oidInt4, oidInt8:
		if !isNumber(text) {
			return nil, fmt.Errorf("integer %.40q", text)
		}
		return append(dst, text...), nil
	case oidBool:
		if len(text) != 1 || text[0] != 't' && text[0] != 'f' {
			return nil, fmt.Errorf("boolean %.20q", text)
		}
		if text[0] == 't' {
			return append(dst, "true"...), nil
		}
		return append(dst, "false"...), nil
	case oidFloat4, oidFloat8, oidNumeric:
		if isNumber(text) {
			return append(dst, text...), nil
		}
		// NaN and the infinities are strings in JSON.
	case oidJSON, oidJSONB:
		if !json.Valid(text) {
			return nil, fmt.Errorf("json %.40q", text)
		}
		return append(dst, text...), nil
	case oidTimestamp, oidTimestamptz:
		return appendTime(dst, text)
	}
	return change.AppendString(dst, string(text)), nil
}

// isNumber reports whether a text is a number in JSON.
func isNumber(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	return len(digits) > 0 && digits[0] >= '0' && digits[0] <= '9' && json.Valid(text)
}

// appendTime turns 2025-07-01 13:22:32.5+00 into "2025-07-01T13:22:32.5+00:00".
// The zone is UTC because the connection's is. Infinities stay as they are.
func appendTime(dst, text []byte) ([]byte, error) {
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' || c > '~' {
			return nil, fmt.Errorf("time %.40q", text)
		}
	}
	dst = append(dst, '"')
	day, clock, found := bytes.Cut(text, []byte(" "))
	dst = append(dst, day...)
	if found {
		clock, era, hasEra := bytes.Cut(clock, []byte(" "))
		dst = append(dst, 'T')
		dst = append(dst, clock...)
		if bytes.HasSuffix(clock, []byte("+00")) {
			dst = append(dst, ":00"...)
		}
		if hasEra {
			dst = append(dst, ' ')
			dst = append(dst, era...)
		}
	}
	return append(dst, '"'), nil
}
