package causal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// Any container at all, as long as the vector covers its dots.
var genContainer = rapid.Custom(func(t *rapid.T) Container {
	var c Container
	for _, d := range rapid.SliceOfN(genDot, 0, 3).Draw(t, "vector") {
		c.Vector = c.Vector.With(d)
	}
	for _, entry := range c.Vector {
		for seq := uint64(1); seq <= entry.Seq; seq++ {
			if rapid.IntRange(0, 3).Draw(t, "holds") == 0 {
				c.Versions = append(c.Versions, versionUnder(Dot{entry.Actor, seq}))
			}
		}
	}
	return c
})

// versionUnder is the one value that a dot names.
func versionUnder(d Dot) Version {
	v := Version{Dot: d, Kind: KindString, HLC: uint64(d.Actor)<<16 | d.Seq, Payload: bytes.Repeat([]byte{byte(d.Seq)}, int(d.Seq%5))}
	switch d.Seq % 4 {
	case 0:
		v.Kind, v.Payload = KindTombstone, nil
	case 1:
		v.Expiry = int64(d.Seq) << 40
	}
	if len(v.Payload) == 0 {
		v.Payload = nil
	}
	return v
}

var genContext = rapid.Custom(func(t *rapid.T) Context {
	x := Context{Vector: genContainer.Draw(t, "container").Vector}
	for _, d := range genDots.Draw(t, "dots") {
		x = x.With(d)
	}
	return x
})

func checkRoundTrip(t *rapid.T, c Container) {
	t.Helper()
	b := c.Append(nil)
	if len(b) > c.Size() {
		t.Fatalf("%d bytes, Size said at most %d", len(b), c.Size())
	}
	back, err := DecodeContainer(b)
	if err != nil || !Same(c, back) {
		t.Fatalf("%v came back as %v, %v", c, back, err)
	}
	for i := range back.Versions {
		if !sameValue(&back.Versions[i], &c.Versions[i]) {
			t.Fatalf("version %v came back as %v", c.Versions[i], back.Versions[i])
		}
	}
	if again := back.Append(nil); !bytes.Equal(again, b) {
		t.Fatalf("%x encodes again as %x", b, again)
	}
}

func TestContainerRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkRoundTrip(t, genContainer.Draw(t, "container")) })
}

func TestClockRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, _ := clockOf(genDots.Draw(t, "dots"))
		b := c.Append(nil)
		if back, err := DecodeClock(b); err != nil || !back.Equal(&c) || !bytes.Equal(back.Append(nil), b) {
			t.Fatalf("%v came back as %v, %v", c, back, err)
		}
	})
}

func TestContextRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := genContext.Draw(t, "context")
		b := x.Append(nil)
		if back, err := DecodeContext(b); err != nil || !reflect.DeepEqual(back, x) || !bytes.Equal(back.Append(nil), b) {
			t.Fatalf("%v came back as %v, %v", x, back, err)
		}
	})
}

func TestVectorRoundTripLeavesTheRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := genContainer.Draw(t, "container").Vector
		back, rest, err := DecodeVector(append(v.Append(nil), "rest"...))
		if err != nil || !reflect.DeepEqual(back, v) || string(rest) != "rest" {
			t.Fatalf("%v came back as %v, rest %q, %v", v, back, rest, err)
		}
	})
}

// The stored bytes of format 1. A change here is a new format.
func TestGoldenBytes(t *testing.T) {
	container := Container{
		Vector: Vector{{0x0102030405060708, 300}, {0xfffefdfcfbfaf9f8, math.MaxUint64}},
		Versions: []Version{
			{Dot: Dot{0x0102030405060708, 299}, Kind: KindString, HLC: 1 << 16, Expiry: 128, Payload: []byte("ab")},
			{Dot: Dot{0xfffefdfcfbfaf9f8, 1}, Kind: KindTombstone, HLC: 127},
		},
	}
	clock := Clock{entries: []Entry{{Actor: 1, Base: 5, Above: []Range{{7, 7}, {10, 300}}}, {Actor: 2, Above: []Range{{2, 3}}}}}
	context := Context{Vector: Vector{{1, 5}}, Dots: []Dot{{1, 7}, {2, 1}}}
	for _, c := range []struct{ name, got, want string }{
		{"empty container", hex.EncodeToString(Container{}.Append(nil)), "010000"},
		{"container", hex.EncodeToString(container.Append(nil)),
			"01" + "02" + "0102030405060708" + "ac02" + "fffefdfcfbfaf9f8" + "ffffffffffffffffff01" +
				"02" + "00" + "ab02" + "01" + "808004" + "8001" + "02" + "6162" +
				"01" + "01" + "00" + "7f" + "00" + "00"},
		{"clock", hex.EncodeToString(clock.Append(nil)),
			"01" + "02" + "0000000000000001" + "05" + "02" + "0200" + "03a202" +
				"0000000000000002" + "00" + "01" + "0201"},
		{"context", hex.EncodeToString(context.Append(nil)),
			"01" + "01" + "0000000000000001" + "05" + "02" + "0000000000000001" + "07" + "0000000000000002" + "01"},
		{"vector", hex.EncodeToString(context.Vector.Append(nil)), "01" + "0000000000000001" + "05"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %s, want %s", c.name, c.got, c.want)
		}
	}
}

// One value has one encoding: everything else is refused, never repaired.
func TestRefusedEncodings(t *testing.T) {
	const a1, a2 = "0000000000000001", "0000000000000002"
	container := func(b []byte) error { _, err := DecodeContainer(b); return err }
	clock := func(b []byte) error { _, err := DecodeClock(b); return err }
	context := func(b []byte) error { _, err := DecodeContext(b); return err }
	for _, c := range []struct {
		name   string
		decode func([]byte) error
		hex    string
	}{
		{"nothing", container, ""},
		{"another format", container, "020000"},
		{"a byte too many", container, "01000000"},
		{"a long zero", container, "01800000"},
		{"a varint without end", container, "01ffffffffffffffffffff01"},
		{"more entries than bytes", container, "01ffffffff0f00"},
		{"vector out of order", container, "0102" + a2 + "01" + a1 + "01" + "00"},
		{"an actor twice", container, "0102" + a1 + "01" + a1 + "02" + "00"},
		{"a vector entry of zero", container, "0101" + a1 + "00" + "00"},
		{"a dot above the vector", container, "0101" + a1 + "01" + "01" + "00" + "02" + "01000000"},
		{"a dot of seq zero", container, "0101" + a1 + "01" + "01" + "00" + "00" + "01000000"},
		{"a dot of no actor", container, "0101" + a1 + "01" + "01" + "01" + "01" + "01000000"},
		{"a dot twice", container, "0101" + a1 + "01" + "02" + "0001" + "01000000" + "0001" + "01000000"},
		{"dots out of order", container, "0101" + a1 + "02" + "02" + "0002" + "01000000" + "0001" + "01000000"},
		{"a negative expiry", container, "0101" + a1 + "01" + "01" + "0001" + "01" + "00" + "ffffffffffffffffff01" + "00"},
		{"a payload longer than the rest", container, "0101" + a1 + "01" + "01" + "0001" + "01" + "00" + "00" + "05" + "61"},
		{"an entry that says nothing", clock, "0101" + a1 + "0000"},
		{"a run that touches the base", clock, "0101" + a1 + "05" + "01" + "0100"},
		{"a run that wraps around", clock, "0101" + a1 + "05" + "01" + "02" + "ffffffffffffffffff01"},
		{"a gap that wraps around", clock, "0101" + a1 + "05" + "01" + "ffffffffffffffffff01" + "00"},
		{"an actor twice in a clock", clock, "0102" + a1 + "0100" + a1 + "0200"},
		{"a clock cut short", clock, "0101" + a1 + "05" + "01" + "02"},
		{"a context dot that the vector covers", context, "0101" + a1 + "05" + "01" + a1 + "05"},
		{"a context dot of seq zero", context, "0100" + "01" + a1 + "00"},
		{"context dots out of order", context, "0100" + "02" + a2 + "01" + a1 + "01"},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.decode(b); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestEveryCutOfAnEncodingIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genContainer.Draw(t, "container")
		clock, _ := clockOf(genDots.Draw(t, "clock"))
		x := genContext.Draw(t, "context")
		for i, b := range [][]byte{c.Append(nil), clock.Append(nil), x.Append(nil)} {
			for n := range b {
				var err error
				switch i {
				case 0:
					_, err = DecodeContainer(b[:n])
				case 1:
					_, err = DecodeClock(b[:n])
				case 2:
					_, err = DecodeContext(b[:n])
				}
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("encoding %d cut to %d of %d bytes: %v", i, n, len(b), err)
				}
			}
		}
	})
}
