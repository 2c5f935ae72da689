package pgjson

import "strconv"

// Query asks the catalog about the types in $1, a List, and about those that they
// are made of. Its columns are those of a Definition.
const Query = `
	WITH RECURSIVE made(oid) AS (
		SELECT unnest($1::text::oid[])
	UNION
		SELECT part.oid FROM made JOIN pg_catalog.pg_type t ON t.oid = made.oid CROSS JOIN LATERAL (
			SELECT t.typbasetype WHERE t.typtype = 'd'
			UNION ALL SELECT t.typelem WHERE t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc
			UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a
				WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) part(oid))
	SELECT t.oid::bigint, t.typtype::text, t.typbasetype::bigint,
		CASE WHEN t.typsubscript = 'pg_catalog.array_subscript_handler'::regproc THEN t.typelem ELSE 0 END::bigint,
		coalesce((SELECT e.typdelim::text FROM pg_catalog.pg_type e WHERE e.oid = t.typelem), ''),
		array(SELECT a.attname::text FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum),
		array(SELECT a.atttypid::bigint FROM pg_catalog.pg_attribute a
			WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
	FROM made JOIN pg_catalog.pg_type t ON t.oid = made.oid`

// List is Query's argument.
func List(oids []uint32) string {
	list := []byte{'{'}
	for i, oid := range oids {
		if i > 0 {
			list = append(list, ',')
		}
		list = strconv.AppendUint(list, uint64(oid), 10)
	}
	return string(append(list, '}'))
}

// Definition is what the catalog says of a type.
type Definition struct {
	OID int64
	// Category is pg_type's typtype: d for a domain, c for a composite type.
	Category string
	// Base is what a domain is made of, Element what an array is.
	Base, Element int64
	Delimiter     string
	// Names and Types are a composite type's attributes.
	Names []string
	Types []int64
}

// Build makes types of definitions. A type that one is made of and that is
// neither built in nor defined is Text.
func Build(definitions []Definition) map[uint32]*Type {
	b := builder{types: make(map[uint32]*Type, len(definitions)), bases: map[uint32]uint32{}}
	for i := range definitions {
		d := &definitions[i]
		if d.Category == "d" {
			b.bases[uint32(d.OID)] = uint32(d.Base)
			continue
		}
		if t := Builtin(uint32(d.OID)); t != nil {
			b.types[uint32(d.OID)] = t
			continue
		}
		b.types[uint32(d.OID)] = &Type{}
	}
	for i := range definitions {
		d := &definitions[i]
		if t := b.types[uint32(d.OID)]; t != nil && Builtin(uint32(d.OID)) == nil {
			b.define(t, d)
		}
	}
	for domain := range b.bases {
		b.types[domain] = b.of(domain)
	}
	return b.types
}

type builder struct {
	types map[uint32]*Type
	bases map[uint32]uint32 // of domains
}

// of finds a type below all domains. Domains cannot be circular; what says
// otherwise is taken for a text.
func (b *builder) of(oid uint32) *Type {
	for range len(b.bases) + 1 {
		base, domain := b.bases[oid]
		if !domain {
			break
		}
		oid = base
	}
	if t := Builtin(oid); t != nil {
		return t
	}
	if t := b.types[oid]; t != nil {
		return t
	}
	return Text
}

func (b *builder) define(t *Type, d *Definition) {
	switch {
	case d.Element != 0 && len(d.Delimiter) == 1:
		t.kind, t.element, t.delimiter = array, b.of(uint32(d.Element)), d.Delimiter[0]
	case d.Category == "c" && len(d.Names) == len(d.Types):
		t.kind, t.attributes = composite, make([]attribute, len(d.Names))
		for i, name := range d.Names {
			t.attributes[i] = attribute{key: append(appendText(nil, []byte(name)), ':'), of: b.of(uint32(d.Types[i]))}
		}
	}
}
