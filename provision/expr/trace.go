package expr

import "encoding/json"

// redactedText is the text that logs and traces show instead of a value that went through Redact.
const redactedText = "[Redact]"

// Step is the result of one part of an expression in a trace.
type Step struct {
	Expression   string // the part in its normal form
	Line, Column int    // where the part begins in the expression
	Value        Value
	Err          error   // why the part has no value, or nil; the steps that contain this step have the same error
	Skipped      bool    // whether the part was not evaluated, because another branch was chosen or an error occurred before
	Steps        []*Step // the steps of the part's arguments
}

// IsRedacted reports whether the value must not be shown because it went through Redact.
func (s *Step) IsRedacted() bool { return s.Value.redacted }

// MarshalJSON returns the step with the steps inside it. The member "value" is a string, a list of
// strings or null. A step without a value has "skipped" or "error" instead.
func (s *Step) MarshalJSON() ([]byte, error) {
	out := map[string]any{"expression": s.Expression, "line": s.Line, "column": s.Column}
	switch {
	case s.Skipped:
		out["skipped"] = true
	case s.Err != nil:
		out["error"] = s.Err.Error()
	case s.IsRedacted():
		out["value"] = redactedText
	default:
		out["value"] = s.Value.Plain()
	}
	if len(s.Steps) > 0 {
		out["steps"] = s.Steps
	}
	return json.Marshal(out)
}

// Plain returns the value in a form for JSON: a string, a list of strings, or nil for null and
// no-flow.
func (v Value) Plain() any {
	switch {
	case v.IsNull() || v.IsNoFlow():
		return nil
	case v.Kind() == KindList:
		return v.Strings()
	}
	return v.Text()
}

// Trace is like Eval, but also returns the value of each part. The steps form a tree like the
// expression: each argument of a call has a step, even if the argument was not evaluated.
func (e *Expr) Trace(env Env) (Value, *Step, error) {
	r := &evaluation{env: env, trace: &tracer{text: e.text, steps: map[*node]*Step{}}}
	v, err := e.root.eval(r)
	v, err = e.finish(r, v, err)
	root := r.trace.buildTree(e.root)
	root.Value.redacted = root.Value.redacted || v.redacted
	return v, root, err
}

// tracer records the steps of one evaluation.
type tracer struct {
	text  string
	steps map[*node]*Step // the steps of the parts that have been evaluated
}

// record evaluates a node, and records its step.
func (t *tracer) record(n *node, r *evaluation) (Value, error) {
	before := r.redacted
	r.redacted = false
	v, err := n.compute(r)
	s := &Step{Value: v, Err: err}
	s.Value.redacted = v.redacted || r.redacted
	t.steps[n] = s
	r.redacted = r.redacted || before
	return v, err
}

// buildTree returns the step of a node, together with the steps of its arguments in the order of
// the expression.
func (t *tracer) buildTree(n *node) *Step {
	s := t.steps[n]
	if s == nil {
		s = &Step{Skipped: true}
	}
	s.Expression = printNode(n)
	s.Line, s.Column = position(t.text, n.offset)
	for _, arg := range n.args {
		if arg.kind == emptyNode || arg.kind == wordNode {
			continue
		}
		child := t.buildTree(arg)
		if n.kind == callNode && n.text == "Redact" {
			child.redact()
		}
		s.Steps = append(s.Steps, child)
	}
	return s
}

// redact hides the values of the step and of all steps within it.
func (s *Step) redact() {
	s.Value.redacted = true
	for _, child := range s.Steps {
		child.redact()
	}
}
