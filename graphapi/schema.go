package graphapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
)

// isNoJob reports whether an error says that the application has no job.
func isNoJob(err error) bool { return errors.Is(err, provision.ErrNoJob) }

// targetErrorOf returns the *provision.TargetError in err, or nil if there is none.
func targetErrorOf(err error) *provision.TargetError {
	var target *provision.TargetError
	if errors.As(err, &target) {
		return target
	}
	return nil
}

// answerSchema answers with a schema document.
func (c *call) answerSchema(s *provision.Schema, context string) error {
	text, err := s.JSON()
	if err != nil {
		return err
	}
	return c.answerOK(withContext(text, context))
}

// withContext returns a JSON object with @odata.context as an additional first member.
func withContext(object []byte, context string) json.RawMessage {
	name, _ := json.Marshal(context) // cannot fail: a string always encodes
	rest := bytes.TrimSpace(object)[1:]
	return json.RawMessage(`{"@odata.context":` + string(name) + `,` + string(rest))
}

func (c *call) getSchema() error {
	return c.answerSchema(c.job.Schema, c.odataContext("servicePrincipals('%s')/synchronization/jobs('%s')/schema/$entity", c.app.ID, c.params["job"]))
}

// putSchema replaces the whole schema. The job's next cycle evaluates all users. If this would take
// access away from too many people, the guard puts these operations on hold.
func (c *call) putSchema() error {
	text, err := c.readBody()
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return refuse(http.StatusBadRequest, codeBadRequest, "Empty Payload. JSON content expected.")
	}
	schema, err := provision.ParseSchema(text)
	if err != nil {
		return invalid("%s", toSentence(err.Error()))
	}
	lost, err := provision.NotTakenOver(text, schema)
	if err != nil {
		return invalid("%s", toSentence(err.Error()))
	}
	if err := completeSources(schema); err != nil {
		return err
	}
	// The document may come from another job, so give it the id of this job's schema.
	schema.ID = c.job.Schema.ID
	if _, err := c.h.Jobs.ImportSchema(c.r.Context(), c.key(), schema, acceptNoClosings, c.actor()); err != nil {
		return err
	}
	c.reportIgnored(lost)
	return c.answerNoContent()
}

// acceptNoClosings returns 0 as the number of accounts that an administrator agreed to disable or
// delete with this change of the schema. No administrator was asked, so the guard checks all of
// them.
func acceptNoClosings(_, _ provision.Job) (int, error) { return 0, nil }

// completeSources adds the expression to each source that has only a name and a type. Microsoft's
// examples have such sources.
func completeSources(s *provision.Schema) error {
	for _, m := range s.ObjectMappings() {
		for i := range m.AttributeMappings {
			row := &m.AttributeMappings[i]
			if row.Source == nil || row.Source.Expression != "" {
				continue
			}
			e, err := expr.FromSource(row.Source)
			if err != nil {
				return invalid("The source of %s cannot be used: %s", toPrintable(row.TargetAttributeName), toSentence(err.Error()))
			}
			row.Source = e.Source()
		}
	}
	return nil
}

// resetSchema replaces the job's mappings with those of its template.
func (c *call) resetSchema() error {
	t := c.h.templateOf(c.job.Schema)
	if _, err := c.h.Jobs.ImportSchema(c.r.Context(), c.key(), t.schema, acceptNoClosings, c.actor()); err != nil {
		return err
	}
	return c.answerNoContent()
}

func (c *call) listDirectories() error {
	all, err := c.job.Schema.JSON()
	if err != nil {
		return err
	}
	var s struct {
		Directories []json.RawMessage `json:"directories"`
	}
	if err := json.Unmarshal(all, &s); err != nil {
		return err
	}
	return answerList(c, c.odataContext("servicePrincipals('%s')/synchronization/jobs('%s')/schema/directories", c.app.ID, c.params["job"]), s.Directories)
}

// getDirectory answers with the definition of the source or the target. It also answers discovery,
// which finds nothing new: a SCIM application has only the attributes in its attribute list.
func (c *call) getDirectory() error {
	all, err := c.job.Schema.JSON()
	if err != nil {
		return err
	}
	full, err := provision.ParseSchema(all)
	if err != nil {
		return err
	}
	for i, d := range full.Directories {
		if !strings.EqualFold(d.ID, c.params["definition"]) {
			continue
		}
		text, err := json.Marshal(full.Directories[i])
		if err != nil {
			return err
		}
		return c.answerOK(withContext(text, c.odataContext("servicePrincipals('%s')/synchronization/jobs('%s')/schema/directories/$entity", c.app.ID, c.params["job"])))
	}
	return notFound("The schema has no directory '%s'.", toPrintable(c.params["definition"]))
}

// functionSchema is Graph's attributeMappingFunctionSchema.
type functionSchema struct {
	Name       string            `json:"name"`
	Parameters []parameterSchema `json:"parameters"`
}

// parameterSchema is Graph's attributeMappingParameterSchema.
type parameterSchema struct {
	Name                      string `json:"name"`
	Required                  bool   `json:"required"`
	AllowsMultipleOccurrences bool   `json:"allowMultipleOccurrences"`
	Type                      string `json:"type"`
}

func (c *call) listFunctions() error {
	var all []functionSchema
	for _, f := range expr.Functions() {
		one := functionSchema{Name: f.Name, Parameters: []parameterSchema{}}
		for _, p := range f.Parameters {
			name := p.Name
			if p.Key != "" {
				name = p.Key
			}
			one.Parameters = append(one.Parameters, parameterSchema{Name: name, Required: p.Required, AllowsMultipleOccurrences: p.Repeats, Type: "String"})
		}
		all = append(all, one)
	}
	return answerList(c, c.odataContext("Collection(microsoft.graph.attributeMappingFunctionSchema)"), all)
}

// operatorSchema is Graph's filterOperatorSchema.
type operatorSchema struct {
	ID                      string   `json:"id"`
	Name                    string   `json:"name"`
	Arity                   string   `json:"arity"`
	MultivaluedComparison   string   `json:"multivaluedComparisonType"`
	SupportedAttributeTypes []string `json:"supportedAttributeTypes"`
}

func (c *call) listFilterOperators() error {
	var all []operatorSchema
	for _, o := range provision.Operators() {
		one := operatorSchema{ID: o.Name, Name: o.Name, Arity: "Unary", MultivaluedComparison: "All", SupportedAttributeTypes: []string{"String", "Integer", "Boolean"}}
		if o.Value {
			one.Arity = "Binary"
		}
		switch {
		case o.Is("IS TRUE"), o.Is("IS FALSE"):
			one.SupportedAttributeTypes = []string{"Boolean"}
		case o.Is("GREATER_THAN"), o.Is("GREATER_THAN_OR_EQUALS"), o.Is("&"), o.Is("!&"):
			one.SupportedAttributeTypes = []string{"Integer"}
		case o.Is("INCLUDES"):
			one.MultivaluedComparison, one.SupportedAttributeTypes = "Any", []string{"String"}
		case o.Is("ENDS_WITH"), o.Is("REGEX MATCH"), o.Is("NOT REGEX MATCH"):
			one.SupportedAttributeTypes = []string{"String"}
		}
		all = append(all, one)
	}
	return answerList(c, c.odataContext("Collection(microsoft.graph.filterOperatorSchema)"), all)
}

// parseResult is Graph's parseExpressionResponse.
type parseResult struct {
	Context             string           `json:"@odata.context"`
	Error               *expressionError `json:"error"`
	EvaluationSucceeded bool             `json:"evaluationSucceeded"`
	EvaluationResult    []string         `json:"evaluationResult"`
	ParsedExpression    json.RawMessage  `json:"parsedExpression"`
	ParsingSucceeded    bool             `json:"parsingSucceeded"`
}

// expressionError describes what is wrong with an expression.
type expressionError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// parseExpression parses an expression. If the request has a test object, it also evaluates the
// expression. As in Graph, errors of the expression are in the body of a successful answer.
func (c *call) parseExpression() error {
	var body struct {
		Expression *string `json:"expression"`
		Target     *struct {
			Name        string             `json:"name"`
			Type        expr.AttributeType `json:"type"`
			Multivalued bool               `json:"multivalued"`
		} `json:"targetAttributeDefinition"`
		TestInput *struct {
			Properties []struct {
				Key   string          `json:"key"`
				Value json.RawMessage `json:"value"`
			} `json:"properties"`
		} `json:"testInputObject"`
	}
	if err := c.readJSON(&body, false); err != nil {
		return err
	}
	if body.Expression == nil {
		return refuse(http.StatusBadRequest, codeMissing, "expression is missing.")
	}
	out := parseResult{Context: c.odataContext("microsoft.graph.parseExpressionResponse"), EvaluationResult: []string{}}
	e, err := expr.Parse(*body.Expression)
	if err == nil && body.Target != nil && body.Target.Type != "" {
		problems, _ := e.Check(expr.Place{Target: &expr.Attribute{Name: body.Target.Name, Type: body.Target.Type, Multivalued: body.Target.Multivalued}})
		if len(problems) > 0 {
			err = problems[0]
		}
	}
	if err != nil {
		out.Error = &expressionError{Code: "ParsingFailed", Message: toSentence(err.Error())}
		return c.answerOK(out)
	}
	out.ParsingSucceeded = true
	if out.ParsedExpression, err = json.Marshal(e.Source()); err != nil {
		return err
	}
	if body.TestInput == nil {
		return c.answerOK(out)
	}
	values := map[string]expr.Value{}
	for _, p := range body.TestInput.Properties {
		v, err := decodeTestValue(p.Key, p.Value)
		if err != nil {
			return err
		}
		values[p.Key] = v
	}
	v, err := e.Eval(expr.Env{
		Attribute: func(name string) expr.Value { return values[name] }, Now: c.h.Now(), Random: randomSource(), DefaultDomain: c.Directory.DefaultDomain,
		Taken: func(string) (bool, error) { return false, nil },
	})
	if err != nil {
		out.Error = &expressionError{Code: "EvaluationFailed", Message: toSentence(err.Error())}
		return c.answerOK(out)
	}
	out.EvaluationSucceeded = true
	if !v.IsNull() && !v.IsNoFlow() {
		out.EvaluationResult = append(out.EvaluationResult, v.Strings()...)
	}
	return c.answerOK(out)
}

// decodeTestValue decodes a value of a test object: a string, a boolean, a number, null or a list
// of strings.
func decodeTestValue(key string, text json.RawMessage) (expr.Value, error) {
	env, err := expr.EnvFromJSON([]byte(`{"value":` + string(text) + `}`))
	if len(text) == 0 {
		return expr.Null(), nil
	}
	if err != nil {
		return expr.Value{}, invalid("The test value of '%s' cannot be read: %s", toPrintable(key), toSentence(err.Error()))
	}
	return env.Attribute("value"), nil
}
