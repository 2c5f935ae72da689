package pgjson

// Type says how the values of a Postgres type become JSON. Its methods may be
// called from several goroutines at once.
type Type struct {
	kind kind
	// Of an array: what it consists of, and what stands between.
	element   *Type
	delimiter byte
	// Of a composite type.
	attributes []attribute
}

// attribute is one of a composite type. key is its name as JSON, with the colon.
type attribute struct {
	key []byte
	of  *Type
}

// kind is how a text is turned.
type kind uint8

const (
	text kind = iota
	integer
	number
	boolean
	document // json, jsonb
	moment   // a date with a clock time
	array
	vector // int2vector, oidvector
	composite
)

// Kind is what the values of a type are in JSON, null aside.
type Kind uint8

// The kinds of JSON. A Time is a String that holds a date and a clock time.
const (
	String Kind = iota
	Integer
	Number // a String where it is not finite
	Bool
	Time
	Any
	Array
	Object
)

// Kind says what values of the type are.
func (t *Type) Kind() Kind {
	return [...]Kind{
		text: String, integer: Integer, number: Number, boolean: Bool, document: Any, moment: Time,
		array: Array, vector: Array, composite: Object,
	}[t.kind]
}

// Text is for what is not known: its values are strings.
var Text = &Type{}

// builtin are the types whose values are not strings; their numbers are fixed
// (src/include/catalog/pg_type.dat).
var builtin = map[uint32]*Type{
	16: {kind: boolean},
	20: {kind: integer}, 21: {kind: integer}, 23: {kind: integer},
	114: {kind: document}, 3802: {kind: document},
	700: {kind: number}, 701: {kind: number}, 1700: {kind: number},
	1114: {kind: moment}, 1184: {kind: moment},
	22: {kind: vector, element: &Type{kind: integer}}, 30: {kind: vector, element: Text},
	// Frequent types that are strings: known here, they need no look into the catalog.
	25: Text, 1042: Text, 1043: Text, 2950: Text, 1082: Text, 17: Text, 19: Text,
}

// Builtin is a type that needs no look into the catalog, or nil.
func Builtin(oid uint32) *Type { return builtin[oid] }

// Append appends a value, given in its text form, as JSON.
func (t *Type) Append(dst, value []byte) ([]byte, error) {
	switch t.kind {
	case text:
		return appendText(dst, value), nil
	case integer:
		return appendInteger(dst, value)
	case number:
		return appendNumber(dst, value)
	case boolean:
		return appendBoolean(dst, value)
	case document:
		return appendDocument(dst, value)
	case moment:
		return appendMoment(dst, value)
	case array, vector, composite:
		return t.appendMade(dst, value), nil
	}
	return appendText(dst, value), nil
}

// appendMade appends a value of a type that is made of others. What does not fit
// the type was written when the type was another: it is a string.
func (t *Type) appendMade(dst, value []byte) []byte {
	var made []byte
	var err error
	switch t.kind {
	case array:
		made, err = t.appendArray(dst, value)
	case vector:
		made, err = t.appendVector(dst, value)
	default:
		made, err = t.appendComposite(dst, value)
	}
	if err != nil {
		return appendText(dst, value)
	}
	return made
}
