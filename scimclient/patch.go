package scimclient

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
)

type patchRequest struct {
	Schemas    []string    `json:"schemas"`
	Operations []operation `json:"Operations"`
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
}

// patchBody returns the body of a PATCH. trying means that the application has just refused a path
// to an element of a list. Then an element that may or may not exist is treated as missing.
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
	return marshal(patchRequest{Schemas: []string{scim.PatchOpURN}, Operations: ops})
}

// elementOperations returns the operations that add whole elements. Each multi-valued attribute has
// one operation.
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
// are sent as strings, unless the application refuses these.
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

func hasBoolean(changes []provision.Change) bool {
	return slices.ContainsFunc(changes, func(ch provision.Change) bool {
		_, is := ch.New.(bool)
		return is
	})
}

// compliantOperations returns the operations that Entra sends with its flag aadOptscim062020. A
// path with a value filter has its own operation. For each op (add, replace), all other changes are
// merged into one operation without a path. But a single add keeps its path, and so does a replace
// of only active.
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

// sentValue returns the value to send for a change. Entra sends a reference as the plain id.
func sentValue(ch provision.Change, d provision.Dialect) any {
	if isReference(ch) && d.References && !strings.HasSuffix(strings.ToLower(ch.Path), ".value") {
		return map[string]any{"value": ch.New}
	}
	return ch.New
}

// removeOperation returns the operation that removes the value of an attribute.
func removeOperation(remove, replace string, ch provision.Change, d provision.Dialect) operation {
	if isReference(ch) {
		return removedReference(remove, replace, ch, d)
	}
	if d.Empties {
		return operation{Op: replace, Path: ch.Path, Value: ""}
	}
	return operation{Op: remove, Path: removalPath(ch)}
}

// removedReference returns the operation that removes a reference. Without its flag, Entra sends an
// empty value. With the flag, Entra sends the value to remove.
func removedReference(remove, replace string, ch provision.Change, d provision.Dialect) operation {
	old, known := ch.Old.(string)
	switch {
	case d.References:
		return operation{Op: remove, Path: ch.Path}
	case remove == "Remove":
		return operation{Op: replace, Path: ch.Path, Value: ""}
	case known && strings.HasSuffix(strings.ToLower(ch.Path), ":manager"):
		return operation{Op: remove, Path: "manager[value eq " + quote(old) + "]"}
	}
	return operation{Op: remove, Path: ch.Path}
}

// removalPath returns the path to remove for an attribute that should have no value. If the mapping
// writes no other attribute of the element, this is the whole element: an e-mail entry of type work
// without an address would be useless.
func removalPath(ch provision.Change) string {
	if element, isValue := strings.CutSuffix(ch.Path, "].value"); isValue && ch.Alone {
		return element + "]"
	}
	return ch.Path
}

// marshal is json.Marshal, but does not escape HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
