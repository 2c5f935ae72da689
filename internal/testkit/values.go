package testkit

// ValueTypes makes the types that ValueColumns need, and unlike settings of the database's own would make
// them look otherwise.
const ValueTypes = `
	CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS citext;
	CREATE TYPE mood AS ENUM ('so "so"', 'fine', 'a,b', 'NULL', '{}');
	CREATE DOMAIN positive AS bigint CHECK (value > 0); CREATE DOMAIN more_positive AS positive CHECK (value > 1);
	CREATE DOMAIN wish AS boolean; CREATE DOMAIN stamp AS timestamptz; CREATE DOMAIN remark AS jsonb;
	CREATE TYPE pair AS (a int, b text); CREATE TYPE lone AS ("the ""one""" numeric); CREATE TYPE nothing AS ();
	CREATE TYPE deep AS (p pair, ps pair[], m mood, j jsonb, t timestamptz, ok boolean, f float8, u uuid, positives bigint[]);
	CREATE DOMAIN positives AS integer[]; CREATE DOMAIN paired AS pair CHECK ((value).a IS DISTINCT FROM 0);
	CREATE TYPE floats AS RANGE (subtype = float8);
	CREATE TYPE later AS (gone int, stays text, came bool); ALTER TYPE later DROP ATTRIBUTE gone;
	CREATE TYPE boxed AS (b box, bs box[]);
	CREATE DOMAIN bag AS hstore; CREATE TYPE bags AS (h hstore, hs hstore[], b bag)`

// ValueColumn is a type of column, and SQL of values for it.
type ValueColumn struct {
	Type   string
	Values []string
	// Like is what to_json is asked about instead of the value, with %s for the column: a type with a
	// cast of its own is streamed as text.
	Like string
}

// ValueColumns are columns of every sort of type, with the values that are easily got wrong.
var ValueColumns = []ValueColumn{
	{Type: "smallint", Values: []string{"0", "-32768", "32767"}},
	{Type: "integer", Values: []string{"1", "-2147483648"}},
	{Type: "bigint", Values: []string{"9223372036854775807", "'-9223372036854775808'"}},
	{Type: "oid", Values: []string{"4294967295"}},
	{Type: "real", Values: []string{"0.1", "'-0'", "1e-30", "'NaN'", "'-Infinity'", "3.4028235e38", "16777216"}},
	{Type: "double precision", Values: []string{"0.1", "1e300", "'Infinity'", "'NaN'", "5e-324", "1.0", "123456789012345678", "0.1::float8 + 0.2"}},
	{Type: "numeric", Values: []string{
		"0", "'NaN'", "1.10", "-0.00000000000000000001", "'Infinity'", "'-Infinity'", "1e100",
		"123456789012345678901234567890123456789012345678901234567890.123456789",
	}},
	{Type: "numeric(12,3)", Values: []string{"1.5", "-123456789.125"}},
	{Type: "money", Values: []string{"12.34"}},
	{Type: "boolean", Values: []string{"true", "false"}},
	{Type: "text", Values: []string{
		`''`, `'plain'`, `'quote " slash \ /'`, `E'tab\t line\n return\r bell\x07 del\x7f esc\x1b back\x08 feed\x0c one\x01'`,
		`'ünïcode 日本 🎉'`, `U&'\2028\2029\FFFD\200B'`, `'null'`, `'<script>&amp;'''`, `repeat('x', 5000)`,
	}},
	{Type: "varchar(40)", Values: []string{`'a'`}},
	{Type: "character(5)", Values: []string{`'ab'`}},
	{Type: `"char"`, Values: []string{`'a'`}},
	{Type: "name", Values: []string{`'a name'`}},
	{Type: "citext", Values: []string{`'Any CASE "x"'`}},
	{Type: "timestamptz", Values: []string{
		"'2025-07-01 13:22:32.5+02'", "'infinity'", "'-infinity'", "'0044-03-15 12:00:00.000001+00 BC'", "'12345-06-07 00:00+00'", "'epoch'",
	}},
	{Type: "timestamp", Values: []string{"'2025-07-01 13:22:32.123456'", "'infinity'", "'0001-01-01 00:00 BC'", "'2025-07-01'", "'294276-12-31 23:59:59'"}},
	{Type: "timestamp(0)", Values: []string{"'2025-07-01 13:22:32.9'"}},
	{Type: "date", Values: []string{"'2025-07-01'", "'infinity'", "'-infinity'", "'0044-03-15 BC'", "'12345-01-01'"}},
	{Type: "time", Values: []string{"'13:22:32.5'", "'24:00'"}},
	{Type: "timetz", Values: []string{"'13:22:32.5+02:30'"}},
	{Type: "interval", Values: []string{"'1 year 2 months -3 days 04:05:06.7'", "'-1 s'"}},
	{Type: "uuid", Values: []string{"'11111111-1111-4111-8111-11111111111A'"}},
	{Type: "json", Values: []string{`'{"b" : [1, 2.50, null],   "a":"\u00e9\u0000"}'`, `'null'`, `'"text"'`, `'[]'`, `E'{\n "a":\t1, "a": -0.0e-7}'`}},
	{Type: "jsonb", Values: []string{`'{"b" : [1, 2.50, null], "a":"\u00e9 \" \\"}'`, `'null'`, `'1e5'`, `repeat('[', 480)::text || repeat(']', 480)`}},
	{Type: "jsonpath", Values: []string{`'$.a[*] ? (@ > 1)'`}},
	{Type: "bytea", Values: []string{`'\x00ff5c'`, `''`}},
	{Type: "mood", Values: []string{`'so "so"'`, `'NULL'`}},
	{Type: "positive", Values: []string{"7"}},
	{Type: "more_positive", Values: []string{"8"}},
	{Type: "wish", Values: []string{"true"}},
	{Type: "stamp", Values: []string{"'2025-07-01 13:22:32+02'"}},
	{Type: "remark", Values: []string{`'{"a": 1}'`}},
	{Type: "inet", Values: []string{"'10.0.0.1/8'"}},
	{Type: "cidr", Values: []string{"'10.0.0.0/8'"}},
	{Type: "macaddr", Values: []string{"'08:00:2b:01:02:03'"}},
	{Type: "xml", Values: []string{"'<a b=\"c\"/>'"}},
	{Type: "bit(4)", Values: []string{"B'1010'"}},
	{Type: "varbit", Values: []string{"B'101'"}},
	{Type: "tsvector", Values: []string{"'a:1 b'"}},
	{Type: "tsquery", Values: []string{"'a & !b'"}},
	{Type: "point", Values: []string{"'(1,2.5)'"}},
	{Type: "polygon", Values: []string{"'((0,0),(1,1),(1,0))'"}},
	{Type: "pg_lsn", Values: []string{"'16/B374D848'"}},
	{Type: "xid", Values: []string{"'12'"}},
	{Type: "regclass", Values: []string{"'pg_class'"}},
	{Type: "int4range", Values: []string{"'[1,5)'", "'empty'", "'(,)'"}},
	{Type: "tstzrange", Values: []string{`'["2025-07-01 13:22:32+02",infinity)'`}},
	{Type: "floats", Values: []string{"'[0.1,1e300]'"}},
	{Type: "nummultirange", Values: []string{"'{[1,2),[5,6]}'", "'{}'"}},
	{Type: "int2vector", Values: []string{"'1 2 3'", "''"}},
	{Type: "oidvector", Values: []string{"'1 2 3'"}},
	{Type: "integer[]", Values: []string{
		"'{1,2,NULL}'", "'{}'", "'{{1,2},{3,4}}'", "'[0:1]={1,2}'", "'[-1:0][2:3]={{1,NULL},{3,4}}'", "'{{{{{{7}}}}}}'", "'{NULL}'",
	}},
	{Type: "text[]", Values: []string{
		`'{a,"b c"}'`, `ARRAY['', 'NULL', 'null', NULL, 'quote " slash \ brace { } comma , semicolon ;']`, `ARRAY[E'line\n\ttab', ' ', '日本']`,
		`ARRAY[ARRAY['a"b', NULL], ARRAY['\', '{}']]`, `ARRAY['[0:1]={1}', '(1,2)', '"', '""', '\"']`,
	}},
	{Type: "boolean[]", Values: []string{"'{t,f,NULL}'"}},
	{Type: "numeric[]", Values: []string{"'{1.10,NaN,-Infinity,1e100}'"}},
	{Type: "float4[]", Values: []string{"'{0.1,NaN,1e-30}'"}},
	{Type: "timestamptz[]", Values: []string{"'{2025-07-01 13:22:32.5+02,infinity,NULL,0044-03-15 12:00:00+00 BC}'"}},
	{Type: "date[]", Values: []string{"'{2025-07-01,infinity}'"}},
	{Type: "json[]", Values: []string{`ARRAY['{"a" : "x\\y"}', 'null', NULL, '[1,  2]']::json[]`}},
	{Type: "jsonb[]", Values: []string{`ARRAY['{"a" : "x\"y"}', 'null', NULL, '"t"']::jsonb[]`}},
	{Type: "bytea[]", Values: []string{`ARRAY['\x00ff'::bytea, '']`}},
	{Type: "uuid[]", Values: []string{"'{11111111-1111-4111-8111-11111111111a}'"}},
	{Type: "interval[]", Values: []string{"'{1 day 02:00}'"}},
	{Type: "box[]", Values: []string{"'{(1,2),(0,0);(3,4),(1,1);NULL}'"}},
	{Type: "mood[]", Values: []string{`ARRAY['so "so"', 'NULL', NULL, 'a,b', '{}']::mood[]`}},
	{Type: "stamp[]", Values: []string{"ARRAY['2025-07-01 13:22:32+02', NULL]::stamp[]"}},
	{Type: "more_positive[]", Values: []string{"ARRAY[ARRAY[5, NULL], ARRAY[6, 7]]::more_positive[]"}},
	{Type: "int4range[]", Values: []string{"'{\"[1,5)\",empty}'"}},
	{Type: "positives", Values: []string{"'{1,2}'", "'[5:6]={1,NULL}'"}},
	{Type: "pair", Values: []string{
		"'(1,x)'", "'(,)'", `ROW(NULL, '')`, `ROW(-1, 'a "b" \ (c), d')`, `ROW(2, E' \n')`, "ROW(3, 'null')",
	}},
	{Type: "pair[]", Values: []string{`ARRAY[ROW(1, 'a "b" \ (c), {d}'), NULL, ROW(NULL, NULL), ROW(2, '')]::pair[]`, "'{}'"}},
	{Type: "lone", Values: []string{"'()'", "'(1.50)'", "'(NaN)'"}},
	{Type: "nothing", Values: []string{"'()'"}},
	{Type: "nothing[]", Values: []string{"'{(),NULL,()}'"}},
	{Type: "deep", Values: []string{
		`ROW(ROW(1, 'x "y"'), ARRAY[ROW(2, 'z\'), NULL]::pair[], 'a,b', '{"k": ["v", "\""]}', '2025-07-01 13:22:32+02', true, 'NaN',
			'11111111-1111-4111-8111-111111111111', '{{1},{2}}')::deep`, `'(,,,,,,,,)'`,
	}},
	{Type: "deep[]", Values: []string{`ARRAY[ROW(ROW(1, 'x "y"'), ARRAY[ROW(2, 'z\'), NULL]::pair[], 'fine', '{"k": 1}', 'infinity', false, 0.1, NULL, '{}')::deep, NULL]`}},
	{Type: "paired", Values: []string{"'(4,y)'"}},
	{Type: "paired[]", Values: []string{"ARRAY['(4,y)', NULL]::paired[]"}},
	{Type: "later", Values: []string{"'(x,t)'"}},
	{Type: "boxed", Values: []string{`'("(1,2),(0,0)","{(1,2),(0,0);(3,4),(1,1)}")'`}},
	{Type: "hstore", Values: []string{`'a=>1, "b c"=>NULL'`}, Like: "%s::text"},
	{Type: "bag", Values: []string{`'a=>1'`}, Like: "%s::text"},
	{Type: "hstore[]", Values: []string{`ARRAY['a=>1, "b c"=>NULL'::hstore, NULL]`}, Like: "%s::text[]"},
}

// ValueSettings are settings of a database under which values look otherwise than readers may expect.
var ValueSettings = []string{
	"timezone = 'Asia/Kathmandu'", "datestyle = 'German'", "extra_float_digits = 0", "bytea_output = 'escape'", "intervalstyle = 'iso_8601'",
}
