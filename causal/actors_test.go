package causal

import "testing"

func TestClocksOfOneActor(t *testing.T) {
	var c Clock
	for _, d := range []Dot{{1, 1}, {2, 1}, {2, 2}, {2, 5}, {3, 9}} {
		c.Add(d)
	}
	two := c.Only(2)
	if two.Base(2) != 2 || two.Max(2) != 5 || two.Contains(Dot{1, 1}) || len(two.Entries()) != 1 {
		t.Fatalf("%+v", two)
	}
	two.Add(Dot{2, 4})
	if c.Contains(Dot{2, 4}) {
		t.Fatal("the copy shares its runs")
	}
	if none := c.Only(9); !none.IsZero() {
		t.Fatalf("%+v", none)
	}
	closed := Upto(2, 6)
	c.Union(&closed)
	if c.Base(2) != 6 || c.Max(2) != 6 || c.Contains(Dot{3, 1}) {
		t.Fatalf("%+v", c)
	}
	if none := Upto(2, 0); !none.IsZero() {
		t.Fatalf("%+v", none)
	}
}
