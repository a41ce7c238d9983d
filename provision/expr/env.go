package expr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxJSONDepth is how deep objects may be nested in the input of EnvFromJSON.
const maxJSONDepth = 16

// EnvFromJSON reads a source object from JSON and returns an Env with its attributes. Each member
// is an attribute. Strings, numbers and booleans become strings (true becomes True, as in Entra).
// null means that the attribute is absent. A list is a multi-valued attribute; its nulls are left
// out. The members of a nested object get names with a dot: {"passwordProfile": {"password": "x"}}
// is the attribute passwordProfile.password.
func EnvFromJSON(b []byte) (Env, error) {
	r := objectReader{dec: json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))), text: string(b), values: map[string]Value{}}
	r.dec.UseNumber()
	if err := r.readObject(); err != nil {
		return Env{}, err
	}
	values := r.values
	return Env{Attribute: func(name string) Value { return values[name] }}, nil
}

// objectReader reads the attributes of a source object from a JSON document.
type objectReader struct {
	dec    *json.Decoder
	text   string
	values map[string]Value
}

func (r *objectReader) readObject() error {
	token, err := r.nextToken()
	if err != nil {
		return err
	}
	if token != json.Delim('{') {
		return r.errorHere(`the attributes must be a JSON object such as {"givenName": "Ada"}`)
	}
	if err := r.readMembers("", 1); err != nil {
		return err
	}
	if _, err := r.dec.Token(); !errors.Is(err, io.EOF) {
		return r.errorHere("something follows the JSON object; write one object only")
	}
	return nil
}

// readMembers reads the members of an object, and its closing brace. prefix is put before their
// names.
func (r *objectReader) readMembers(prefix string, depth int) error {
	if depth > maxJSONDepth {
		return r.errorHere(fmt.Sprintf("objects are nested more than %d deep", maxJSONDepth))
	}
	for {
		token, err := r.nextToken()
		if err != nil {
			return err
		}
		name, isName := token.(string)
		if !isName {
			return nil // the token is the closing brace
		}
		if err := r.readMember(prefix+name, depth); err != nil {
			return err
		}
	}
}

func (r *objectReader) readMember(name string, depth int) error {
	token, err := r.nextToken()
	if err != nil {
		return err
	}
	if token == json.Delim('{') {
		return r.readMembers(name+".", depth+1)
	}
	if _, twice := r.values[name]; twice {
		return r.errorHere(fmt.Sprintf("the attribute %q occurs twice; keep one", name))
	}
	if token != json.Delim('[') {
		r.values[name] = jsonValue(token)
		return nil
	}
	list, err := r.readList(name)
	if err != nil {
		return err
	}
	r.values[name] = List(list)
	return nil
}

func (r *objectReader) readList(name string) ([]string, error) {
	var list []string
	for {
		token, err := r.nextToken()
		if err != nil {
			return nil, err
		}
		if token == json.Delim(']') {
			return list, nil
		}
		if _, nested := token.(json.Delim); nested {
			return nil, r.errorHere(fmt.Sprintf("the attribute %q has a list or an object inside its list; write strings", name))
		}
		if v := jsonValue(token); !v.IsNull() {
			list = append(list, v.Text())
		}
	}
}

func jsonValue(token json.Token) Value {
	switch t := token.(type) {
	case string:
		return String(t)
	case bool:
		return String(Boolean(t).Text())
	case json.Number:
		return String(t.String())
	default:
		return Null()
	}
}

func (r *objectReader) nextToken() (json.Token, error) {
	token, err := r.dec.Token()
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return token, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, r.errorHere("the JSON ends too early")
	case errors.As(err, &syntax):
		return nil, r.errorHere("the JSON cannot be read: " + syntax.Error())
	default:
		return nil, fmt.Errorf("read the attributes: %w", err)
	}
}

func (r *objectReader) errorHere(message string) error {
	line, column := position(r.text, int(r.dec.InputOffset()))
	return fmt.Errorf("line %d, column %d: %s", line, column, message)
}
