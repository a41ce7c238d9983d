package expr

// redactedText stands in logs and traces where a value behind Redact would stand.
const redactedText = "[Redact]"

// Step is one part of an expression in a trace: what it was and what came out of it.
type Step struct {
	Expression   string // the part in its normal form
	Line, Column int    // where it begins in the text
	Value        Value
	Err          error // nil, or why it has no value; the steps around it have the same error
	Skipped      bool  // not evaluated: another branch was chosen, or an error came first
	Steps        []*Step
}

// Redacted reports whether the value must not be shown: it came through Redact.
func (s *Step) Redacted() bool { return s.Value.redacted }

// Trace is Eval that also says what each part yielded. The steps have the form of the expression: each argument that is
// written is a step, evaluated or not.
func (e *Expr) Trace(env Env) (Value, *Step, error) {
	r := &run{env: env, trace: &tracer{text: e.text, steps: map[*node]*Step{}}}
	v, err := e.root.eval(r)
	v, err = e.finish(r, v, err)
	root := r.trace.tree(e.root)
	root.Value.redacted = root.Value.redacted || v.redacted
	return v, root, err
}

// tracer notes the steps of one evaluation.
type tracer struct {
	text  string
	steps map[*node]*Step
}

func (t *tracer) step(n *node, r *run) (Value, error) {
	before := r.redacted
	r.redacted = false
	v, err := n.compute(r)
	s := &Step{Value: v, Err: err}
	s.Value.redacted = v.redacted || r.redacted
	t.steps[n] = s
	r.redacted = r.redacted || before
	return v, err
}

// tree gives the steps their places, in the order of the text.
func (t *tracer) tree(n *node) *Step {
	s := t.steps[n]
	if s == nil {
		s = &Step{Skipped: true}
	}
	s.Expression = printNode(n)
	s.Line, s.Column = position(t.text, n.at)
	for _, arg := range n.args {
		if arg.kind == emptyNode || arg.kind == wordNode {
			continue
		}
		child := t.tree(arg)
		if n.kind == callNode && n.text == "Redact" {
			child.redact()
		}
		s.Steps = append(s.Steps, child)
	}
	return s
}

func (s *Step) redact() {
	s.Value.redacted = true
	for _, child := range s.Steps {
		child.redact()
	}
}
