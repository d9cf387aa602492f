package jsonschema

import (
	"bytes"
	"math/big"
	"strconv"
)

// decimal is a number exactly as a literal says: 0.DIGITS × 10^exp, without zeros at either end of the digits. Zero has
// no digits.
type decimal struct {
	neg bool
	exp int
	n   int
	d   [maxLiteral]byte
}

// read takes a literal that value.read accepted.
func (x *decimal) read(s []byte) {
	x.neg, x.exp, x.n = false, 0, 0
	point := false
	for i, c := range s {
		switch {
		case c == '-':
			x.neg = true
		case c == '.':
			point = true
		case c|0x20 == 'e':
			e, _ := strconv.Atoi(string(bytes.TrimPrefix(s[i+1:], []byte("+"))))
			x.exp += e
			x.trim()
			return
		case c == '0' && x.n == 0:
			if point {
				x.exp--
			}
		default:
			x.d[x.n] = c
			x.n++
			if !point {
				x.exp++
			}
		}
	}
	x.trim()
}

func (x *decimal) trim() {
	for x.n > 0 && x.d[x.n-1] == '0' {
		x.n--
	}
	if x.n == 0 {
		x.neg, x.exp = false, 0
	}
}

func (x *decimal) digits() []byte { return x.d[:x.n] }

func (x *decimal) whole() bool { return x.exp >= x.n }

func (x *decimal) cmp(y *decimal) int {
	switch {
	case x.n == 0 && y.n == 0:
		return 0
	case x.n == 0:
		return -y.sign()
	case y.n == 0 || x.neg != y.neg:
		return x.sign()
	case x.exp != y.exp:
		if x.exp > y.exp {
			return x.sign()
		}
		return -x.sign()
	}
	return bytes.Compare(x.digits(), y.digits()) * x.sign()
}

func (x *decimal) sign() int {
	if x.neg {
		return -1
	}
	return 1
}

// multiple reports whether x is y times an integer; y is not zero. With x = a·10^i and y = b·10^j, neither a nor b ending
// in a zero, x/y is a·10^(i-j)/b: no integer when i < j, and else one when b divides a·10^(i-j).
func (x *decimal) multiple(y *decimal) bool {
	k := (x.exp - x.n) - (y.exp - y.n)
	switch {
	case x.n == 0:
		return true
	case k < 0:
		return false
	case y.n <= 9 && k <= maxLiteral: // remainders fit a word
		b, r := uint64(0), uint64(0)
		for _, c := range y.digits() {
			b = b*10 + uint64(c-'0')
		}
		for _, c := range x.digits() {
			r = (r*10 + uint64(c-'0')) % b
		}
		for ; k > 0; k-- {
			r = r * 10 % b
		}
		return r == 0
	}
	a, _ := new(big.Int).SetString(string(x.digits()), 10)
	b, _ := new(big.Int).SetString(string(y.digits()), 10)
	p := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(k)), b)
	return a.Mul(a, p).Mod(a, b).Sign() == 0
}

// count is the number as a count of things; false when it is negative or has a fraction.
func (x *decimal) count() (int32, bool) {
	const most = 1 << 30 // more than any instance has
	if x.neg || !x.whole() {
		return 0, false
	}
	if x.exp > 9 {
		return most, true
	}
	n := 0
	for i := range x.exp {
		n *= 10
		if i < x.n {
			n += int(x.d[i] - '0')
		}
	}
	return int32(min(n, most)), true
}
