package pgjson

import (
	"maps"
	"slices"
	"strings"
)

// Settings are the session's settings that texts must be written with.
var Settings = map[string]string{
	"TimeZone":           "UTC",
	"DateStyle":          "ISO, MDY",
	"IntervalStyle":      "postgres",
	"extra_float_digits": "1",
	"bytea_output":       "hex",
	"client_encoding":    "UTF8",
}

// Impose puts Settings among the parameters of a connection, in place of what
// it has by other spellings: of two the server would take the later one.
func Impose(params map[string]string) {
	maps.DeleteFunc(params, func(name, _ string) bool {
		return slices.ContainsFunc(slices.Collect(maps.Keys(Settings)), func(ours string) bool { return strings.EqualFold(ours, name) })
	})
	maps.Copy(params, Settings)
}

// SetLocal are statements that impose Settings on a transaction, where a
// connection's parameters may not get through to the server.
func SetLocal() string {
	var sql strings.Builder
	for _, name := range slices.Sorted(maps.Keys(Settings)) {
		sql.WriteString("SET LOCAL " + name + " = '" + Settings[name] + "';")
	}
	return sql.String()
}
