package change

import (
	"encoding/binary"
	"math/bits"
)

// The functions here look at eight bytes of the text at a time: most of a step
// is digits and short words, and a branch for every byte is what takes the time.

const (
	everyByte = 0x0101010101010101
	highBits  = 0x80 * everyByte
)

// plain is the index of the first byte at or after i that ends a string's plain
// text: a quote, a backslash, a control character or one beyond ASCII. It is
// len(data) when there is none.
func plain(data []byte, i int) int {
	for ; i <= len(data)-8; i += 8 {
		if found := special(binary.LittleEndian.Uint64(data[i : i+8])); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(data) && data[i] >= ' ' && data[i] < 0x80 && data[i] != '"' && data[i] != '\\' {
		i++
	}
	return i
}

// special sets the high bit of the first byte that is not plain, and perhaps of
// some behind it: a subtraction makes a byte that is too small borrow. With its
// second bit turned, a quote is a space, and all below a space stay there. A byte
// beyond ASCII keeps its high bit through one of the two subtractions at least.
func special(word uint64) uint64 {
	return (((word ^ 2*everyByte) - 0x21*everyByte) | ((word ^ '\\'*everyByte) - everyByte)) & highBits
}

// digits is the index of the first byte at or after i that is no digit.
func digits(data []byte, i int) int {
	for ; i <= len(data)-8; i += 8 {
		if found := notDigits(binary.LittleEndian.Uint64(data[i:i+8]) ^ ('0' * everyByte)); found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	return i
}

// notDigits sets the high bit of the first byte above 9, and perhaps of some
// behind it.
func notDigits(word uint64) uint64 { return ((word + 0x76*everyByte) | word) & highBits }

// powers are those of ten.
var powers = [8]uint64{1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000}

// natural reads an integer of 0 or more that fits into an int64. It gives up,
// with lost, at other numbers and where there is none.
func natural(data []byte, i int) (n uint64, end int) {
	if i == lost {
		return 0, lost
	}
	rest := data[i:]
	if len(rest) < 16 {
		return naturalByByte(data, i)
	}
	word := binary.LittleEndian.Uint64(rest) ^ ('0' * everyByte)
	count := bits.TrailingZeros64(notDigits(word)) / 8
	if count < 8 {
		if count == 0 || rest[0] == '0' && count > 1 {
			return 0, lost
		}
		return eightDigits(word << (64 - 8*count)), i + count
	}
	next := binary.LittleEndian.Uint64(rest[8:]) ^ ('0' * everyByte)
	count = bits.TrailingZeros64(notDigits(next)) / 8
	if count == 8 || rest[0] == '0' {
		return naturalByByte(data, i)
	}
	return eightDigits(word)*powers[count&7] + eightDigits(next<<(64-8*count)), i + 8 + count
}

// naturalByByte is natural for long numbers and near the end of the data.
func naturalByByte(data []byte, i int) (n uint64, end int) {
	start := i
	for ; i < len(data) && data[i]-'0' <= 9; i++ {
		if i-start >= 18 {
			return 0, lost
		}
		n = n*10 + uint64(data[i]-'0')
	}
	if i == start || data[start] == '0' && i > start+1 {
		return 0, lost
	}
	return n, i
}

// eightDigits is the number whose decimal digits are the bytes of the word, the
// first one lowest.
func eightDigits(word uint64) uint64 {
	const even = 0x000000ff000000ff
	word = word*10 + word>>8 // every other byte is now a pair's value
	return ((word&even)*(100+(1_000_000<<32)) + (word>>16&even)*(1+(10_000<<32))) >> 32
}
