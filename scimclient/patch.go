package scimclient

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

// patchMessage is the body of a PATCH.
type patchMessage struct {
	Schemas    []string    `json:"schemas"`
	Operations []operation `json:"Operations"`
}

// operation is one operation of a PATCH.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
}

// patchBody returns the body of a PATCH. In a dialect with Elements, it sends a whole element of a
// list if the account does not have the element. trying says that the application has just refused
// a path to an element. Then patchBody also sends whole elements where it is not known whether the
// account has the element.
func patchBody(changes []provision.Change, compliant bool, d provision.Dialect, trying bool) ([]byte, error) {
	var whole, rest []provision.Change
	var roles []operation
	for _, ch := range changes {
		if ch.Roles != "" && ch.New != nil {
			roles = append(roles, roleOperation(ch, compliant))
			continue
		}
		if d.Elements && ch.New != nil && (ch.Element == provision.ElementMissing || trying && ch.Element == provision.ElementUnknown) {
			whole = append(whole, ch)
		} else {
			rest = append(rest, ch)
		}
	}
	ops := entraOperations(rest, d)
	if compliant {
		ops = compliantOperations(rest, d)
	}
	elements, err := elementOperations(whole, compliant)
	if err != nil {
		return nil, err
	}
	ops = append(append(ops, elements...), roles...)
	return marshal(patchMessage{Schemas: []string{scim.PatchOpURN}, Operations: ops})
}

// elementOperations returns the operations that add whole elements to multi-valued attributes: one
// operation for each attribute.
func elementOperations(changes []provision.Change, compliant bool) ([]operation, error) {
	r := scim.Resource{}
	var names []string
	for _, ch := range changes {
		p, err := scim.ParsePath(nil, ch.Path, scim.Lenient)
		if err == nil {
			err = p.Set(r, ch.New)
		}
		if err != nil {
			return nil, unwritableError(ch.Path, err)
		}
		if name := ch.Path[:strings.IndexByte(ch.Path, '[')]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	markPrimary(r)
	var ops []operation
	for _, name := range names {
		p, err := scim.ParsePath(nil, name, scim.Lenient)
		if err != nil {
			return nil, unwritableError(name, err)
		}
		op := operation{Op: "Add", Path: name, Value: p.Get(r)}
		if compliant {
			op.Op = "add"
		}
		if list := p.Get(r); len(list) == 1 {
			op.Value = list[0]
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// entraOperations returns the operations that Entra sends without its flag: one operation for each
// attribute. The operation is Add if the target has no value yet, and otherwise Replace. Booleans
// are sent as the strings "True" and "False", or as booleans if the application refuses these
// strings.
func entraOperations(changes []provision.Change, d provision.Dialect) []operation {
	ops := make([]operation, 0, len(changes))
	for _, ch := range changes {
		if ch.New == nil {
			ops = append(ops, removeOperation("Remove", "Replace", ch, d))
			continue
		}
		op := "Replace"
		if ch.Old == nil {
			op = "Add"
		}
		value := sentValue(ch, d)
		if b, ok := value.(bool); ok && !d.Booleans {
			value = "False"
			if b {
				value = "True"
			}
		}
		ops = append(ops, operation{Op: op, Path: ch.Path, Value: value})
	}
	return ops
}

// hasBoolean reports whether a change sets a boolean.
func hasBoolean(changes []provision.Change) bool {
	return slices.ContainsFunc(changes, func(ch provision.Change) bool {
		_, is := ch.New.(bool)
		return is
	})
}

// compliantOperations returns the operations that Entra sends with its flag aadOptscim062020. A
// change whose path has a value filter gets its own operation. All other changes with the same op
// (add or replace) are merged into one operation without a path. But if only one attribute is
// added, or only active is replaced, the operation keeps its path.
func compliantOperations(changes []provision.Change, d provision.Dialect) []operation {
	var ops []operation
	for _, op := range []string{"add", "replace"} {
		var merged []provision.Change
		for _, ch := range changes {
			switch {
			case ch.New == nil:
			case (ch.Old == nil) != (op == "add"):
			case strings.Contains(ch.Path, "["):
				ops = append(ops, operation{Op: op, Path: ch.Path, Value: sentValue(ch, d)})
			default:
				merged = append(merged, ch)
			}
		}
		if len(merged) == 1 && (op == "add" || strings.EqualFold(merged[0].Path, "active")) {
			ops = append(ops, operation{Op: op, Path: merged[0].Path, Value: sentValue(merged[0], d)})
			continue
		}
		if len(merged) > 0 {
			values := make(map[string]any, len(merged))
			for _, ch := range merged {
				values[ch.Path] = sentValue(ch, d)
			}
			ops = append(ops, operation{Op: op, Value: values})
		}
	}
	for _, ch := range changes {
		if ch.New == nil {
			ops = append(ops, removeOperation("remove", "replace", ch, d))
		}
	}
	return ops
}

// isReference reports whether a change sets or removes a reference to another account.
func isReference(ch provision.Change) bool { return ch.Type == string(provision.TypeReference) }

// sentValue returns the value to send for a change. Like Entra, it sends a reference as the plain
// id. If the dialect has References, it sends an object with the id instead.
func sentValue(ch provision.Change, d provision.Dialect) any {
	if isReference(ch) && d.References && !strings.HasSuffix(strings.ToLower(ch.Path), ".value") {
		return map[string]any{"value": ch.New}
	}
	return ch.New
}

// removeOperation returns the operation that removes the value of an attribute. remove and replace
// are the names of the operations, whose case depends on the flag.
func removeOperation(remove, replace string, ch provision.Change, d provision.Dialect) operation {
	if isReference(ch) {
		return removeReferenceOperation(remove, replace, ch, d)
	}
	if d.Empties {
		return operation{Op: replace, Path: ch.Path, Value: ""}
	}
	return operation{Op: remove, Path: pathToRemove(ch)}
}

// removeReferenceOperation is removeOperation for a reference. Without its flag, Entra replaces the
// reference with an empty string. With the flag, Entra removes it and names the old value.
func removeReferenceOperation(remove, replace string, ch provision.Change, d provision.Dialect) operation {
	old, known := ch.Old.(string)
	switch {
	case d.References:
		return operation{Op: remove, Path: ch.Path}
	case remove == "Remove":
		return operation{Op: replace, Path: ch.Path, Value: ""}
	case known && strings.HasSuffix(strings.ToLower(ch.Path), ":manager"):
		return operation{Op: remove, Path: "manager[value eq " + quoteJSON(old) + "]"}
	}
	return operation{Op: remove, Path: ch.Path}
}

// pathToRemove returns the path to remove for an attribute that should have no value. For the
// sub-attribute "value" of an element of which the mapping writes nothing else, it is the path of
// the whole element. Otherwise an element without a value would remain, such as an e-mail entry
// without an address.
func pathToRemove(ch provision.Change) string {
	if element, isValue := strings.CutSuffix(ch.Path, "].value"); isValue && ch.Alone {
		return element + "]"
	}
	return ch.Path
}

// marshal is json.Marshal without the escaping of HTML characters.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
