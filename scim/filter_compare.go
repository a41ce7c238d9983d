package scim

import (
	"strconv"
	"time"
)

// itoa is strconv.Itoa.
func itoa(n int) string { return strconv.Itoa(n) }

// newCompare returns the node for "path op literal". It converts the literal to the attribute's
// type and checks that the operator fits.
func (p *filterParser) newCompare(path AttrPath, a *Attribute, op Op, lit literal) (Node, error) {
	if lit.value == nil {
		return p.newNullCompare(path, a, op)
	}
	if a != nil && a.Type == Complex && !p.inValuePath {
		// A complex attribute without a sub-attribute, such as emails or manager, means its
		// sub-attribute "value".
		sub := a.Sub("value")
		if path.Sub != "" || sub == nil {
			return nil, p.failf("%s is complex; name one of its sub-attributes", path)
		}
		path.Sub, a = sub.Name, sub
	}
	c := Compare{Path: path, Op: op, Attr: a}
	var err error
	if c.Value, err = p.convertOperand(c, lit); err != nil {
		return nil, err
	}
	if err := p.checkOperator(c); err != nil {
		return nil, err
	}
	if lit.isUnquoted {
		p.addFix("unquoted-value", path.String(), "%s read as a string", quote(lit.text))
	}
	c.operand = c.prepareOperand()
	return c, nil
}

// newNullCompare returns the node for a comparison with null, which asks whether the attribute has
// a value. RFC 7643 §2.5: null and unassigned are the same.
func (p *filterParser) newNullCompare(path AttrPath, a *Attribute, op Op) (Node, error) {
	if op != Eq && op != Ne {
		return nil, p.failf("null can only be compared by eq and ne")
	}
	return Compare{Path: path, Op: op, Attr: a, operand: operand{isPrepared: true}}, nil
}

// convertOperand converts the literal to the type of the attribute.
func (p *filterParser) convertOperand(c Compare, lit literal) (any, error) {
	typ := ""
	if c.Attr != nil {
		typ = c.Attr.Type
	}
	switch v := lit.value.(type) {
	case bool:
		if typ == "" || typ == Boolean {
			return v, nil
		}
	case number:
		if typ == Boolean && (v == "0" || v == "1") && p.mode == Lenient {
			p.addFix("number-boolean", c.Path.String(), "%s read as %t", v, v == "1")
			return v == "1", nil
		}
		if n, ok := parseDecimal(string(v)); ok && (typ == "" || typ == Integer || typ == Decimal) {
			return n, nil
		}
	case string:
		if v, ok := p.convertString(c, typ, v); ok {
			return v, nil
		}
	}
	// The value is probably an identifier of digits that the client forgot to quote.
	if isString := typ == String || typ == Reference; isString && lit.text != "" && p.mode == Lenient {
		p.addFix("unquoted-value", c.Path.String(), "%s read as a string", quote(lit.text))
		return lit.text, nil
	}
	return nil, p.failf("%s is of type %s, which the value does not fit", c.Path, typ)
}

// convertString converts a string literal to the type of the attribute; ok is false when it does
// not fit.
func (p *filterParser) convertString(c Compare, typ, s string) (value any, ok bool) {
	switch typ {
	case Boolean:
		b, ok := parseBoolean(s)
		if !ok || p.mode == Strict {
			return nil, false
		}
		p.addFix("text-boolean", c.Path.String(), "%s read as %t", quote(s), b)
		return b, true
	case Integer, Decimal:
		if p.mode == Strict || numberLength(s) != len(s) {
			return nil, false
		}
		n, ok := parseDecimal(s)
		if ok {
			p.addFix("text-number", c.Path.String(), "%s read as a number", quote(s))
		}
		return n, ok
	case DateTime:
		if _, ok := parseTime(s); !ok && (c.Op != Co && c.Op != Sw && c.Op != Ew) {
			return nil, false
		}
	}
	return s, true
}

// checkOperator returns an error if the operator has no meaning for the attribute's type. RFC 7644
// §3.4.2.2 Table 3: Boolean and Binary attributes have no order.
func (p *filterParser) checkOperator(c Compare) error {
	order := c.Op == Gt || c.Op == Ge || c.Op == Lt || c.Op == Le
	parts := c.Op == Co || c.Op == Sw || c.Op == Ew
	_, isBool := c.Value.(bool)
	isBinary := c.Attr != nil && c.Attr.Type == Binary
	if order && (isBool || isBinary) || parts && isBool {
		return p.failf("%s cannot be compared by %s", c.Path, c.Op)
	}
	switch c.Value.(type) {
	case int64, float64:
		if parts {
			return p.failf("%s is a number and cannot be compared by %s", c.Path, c.Op)
		}
	}
	return nil
}

// operand is the right side of a comparison in the form that match needs.
type operand struct {
	isPrepared bool      // whether the operand has been prepared
	text       string    // the string; folded unless the comparison is case-sensitive
	time       time.Time // the time, for a dateTime attribute
	isTime     bool
}

// prepareOperand returns the operand of a comparison. It is called once for each comparison, so
// that match does not fold or parse the right side for each resource.
func (c Compare) prepareOperand() operand {
	o := operand{isPrepared: true}
	s, ok := c.Value.(string)
	if !ok {
		return o
	}
	o.text = s
	if !c.caseExact() {
		o.text = Fold(s)
	}
	if c.Attr != nil && c.Attr.Type == DateTime {
		o.time, o.isTime = parseTime(s)
	}
	return o
}

// caseExact reports whether the comparison is case-sensitive. RFC 7643 §2.2.
func (c Compare) caseExact() bool {
	return c.Attr != nil && (c.Attr.CaseExact || c.Attr.Type == Binary)
}
