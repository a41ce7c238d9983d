package graphapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/operator"
)

// Route is one kind of request that the API supports.
type Route struct {
	Method  string
	Path    string         // the part of the address after the version, such as "servicePrincipals/{servicePrincipal}/synchronization/jobs"
	Level   operator.Level // the level that the API key must have
	MaxBody int64          // the largest allowed body, in bytes; 0 means maxBody

	handle func(*call) error // answers the request, or returns an error
	params map[string]string // the values of the placeholders in Path; only findRoute sets them
}

// Routes returns every route of the API.
func Routes() []Route {
	const (
		sp     = "servicePrincipals/{servicePrincipal}"
		s      = sp + "/synchronization"
		job    = s + "/jobs/{job}"
		schema = job + "/schema"
		tmpl   = s + "/templates/{template}"
	)
	get, post := http.MethodGet, http.MethodPost
	return []Route{
		// Service principals
		{Method: get, Path: "servicePrincipals", Level: operator.Read, handle: (*call).listPrincipals},
		{Method: get, Path: sp, Level: operator.Read, handle: (*call).getPrincipal},
		{Method: post, Path: "applicationTemplates/{applicationTemplate}/instantiate", Level: operator.Configure, handle: (*call).instantiate},

		// Users, groups and their assignments to an application
		{Method: get, Path: "users", Level: operator.Read, handle: (*call).listUsers},
		{Method: get, Path: "users/{user}", Level: operator.Read, handle: (*call).getUser},
		{Method: get, Path: "groups", Level: operator.Read, handle: (*call).listGroups},
		{Method: get, Path: "groups/{group}", Level: operator.Read, handle: (*call).getGroup},
		{Method: get, Path: sp + "/appRoleAssignedTo", Level: operator.Read, handle: (*call).listAssignments},
		{Method: post, Path: sp + "/appRoleAssignedTo", Level: operator.Configure, handle: (*call).createAssignment},
		{Method: http.MethodDelete, Path: sp + "/appRoleAssignedTo/{appRoleAssignment}", Level: operator.Configure, handle: (*call).deleteAssignment},

		// Templates
		{Method: get, Path: s + "/templates", Level: operator.Read, handle: (*call).listTemplates},
		{Method: get, Path: tmpl, Level: operator.Read, handle: (*call).getTemplate},
		{Method: get, Path: tmpl + "/schema", Level: operator.Read, handle: (*call).getTemplateSchema},
		{Method: get, Path: tmpl + "/schema/functions", Level: operator.Read, handle: (*call).listFunctions},
		{Method: get, Path: tmpl + "/schema/filterOperators", Level: operator.Read, handle: (*call).listFilterOperators},
		{Method: post, Path: tmpl + "/schema/parseExpression", Level: operator.Read, handle: (*call).parseExpression},

		// Jobs
		{Method: get, Path: s + "/jobs", Level: operator.Read, handle: (*call).listJobs},
		{Method: post, Path: s + "/jobs", Level: operator.Configure, handle: (*call).createJob},
		{Method: post, Path: s + "/jobs/validateCredentials", Level: operator.Configure, handle: (*call).validateNewCredentials},
		{Method: get, Path: job, Level: operator.Read, handle: (*call).getJob},
		{Method: http.MethodDelete, Path: job, Level: operator.Configure, handle: (*call).deleteJob},
		{Method: post, Path: job + "/start", Level: operator.Run, handle: (*call).startJob},
		{Method: post, Path: job + "/pause", Level: operator.Run, handle: (*call).pauseJob},
		{Method: post, Path: job + "/restart", Level: operator.Run, handle: (*call).restartJob},
		{Method: post, Path: job + "/validateCredentials", Level: operator.Run, handle: (*call).validateCredentials},
		{Method: post, Path: job + "/provisionOnDemand", Level: operator.Run, handle: (*call).provisionOnDemand},

		// Connections
		{Method: get, Path: job + "/objectConnections", Level: operator.Read, handle: (*call).listConnections},
		{Method: post, Path: job + "/objectConnections", Level: operator.Configure, handle: (*call).createConnection},
		{Method: get, Path: job + "/objectConnections/{objectConnection}", Level: operator.Read, handle: (*call).getConnection},
		{Method: http.MethodDelete, Path: job + "/objectConnections/{objectConnection}", Level: operator.Configure, handle: (*call).deleteConnection},

		// Schema
		{Method: get, Path: schema, Level: operator.Read, handle: (*call).getSchema},
		{Method: http.MethodPut, Path: schema, Level: operator.Configure, MaxBody: maxSchemaBody, handle: (*call).putSchema},
		{Method: http.MethodPatch, Path: schema, Level: operator.Configure, MaxBody: maxSchemaBody, handle: (*call).putSchema},
		{Method: http.MethodDelete, Path: schema, Level: operator.Configure, handle: (*call).resetSchema},
		{Method: get, Path: schema + "/directories", Level: operator.Read, handle: (*call).listDirectories},
		{Method: get, Path: schema + "/directories/{definition}", Level: operator.Read, handle: (*call).getDirectory},
		{Method: post, Path: schema + "/directories/{definition}/discover", Level: operator.Read, handle: (*call).getDirectory},
		{Method: get, Path: schema + "/functions", Level: operator.Read, handle: (*call).listFunctions},
		{Method: get, Path: schema + "/filterOperators", Level: operator.Read, handle: (*call).listFilterOperators},
		{Method: post, Path: schema + "/parseExpression", Level: operator.Read, handle: (*call).parseExpression},

		// Credentials
		{Method: get, Path: s + "/secrets", Level: operator.Read, handle: (*call).listSecrets},
		{Method: http.MethodPut, Path: s + "/secrets", Level: operator.Configure, handle: (*call).putSecrets},

		// Provisioning logs
		{Method: get, Path: "auditLogs/provisioning", Level: operator.Read, handle: (*call).listLogs},
	}
}

// findRoute returns the route of a request, or an error if there is none. Like Graph, it ignores
// case in path segments. It accepts a key in brackets, as in jobs('id'), and empty brackets after
// the name of a function.
func findRoute(method string, path []string) (*Route, error) {
	path = normalizePath(path)
	var allow []string
	furthest := 0
	for _, rt := range Routes() {
		params, matched := matchRoute(strings.Split(rt.Path, "/"), path)
		furthest = max(furthest, matched)
		if params == nil {
			continue
		}
		if rt.Method == method || method == http.MethodHead && rt.Method == http.MethodGet {
			rt.params = params
			return &rt, nil
		}
		if !slices.Contains(allow, rt.Method) {
			allow = append(allow, rt.Method)
		}
	}
	if len(allow) > 0 {
		e := refuse(http.StatusMethodNotAllowed, codeMethod, "This address takes %s.", strings.Join(allow, ", "))
		e.AllowedMethods = allow
		return nil, e
	}
	if furthest < len(path) {
		return nil, refuse(http.StatusBadRequest, codeBadRequest, "Resource not found for the segment '%s'.", toPrintable(path[furthest]))
	}
	return nil, refuse(http.StatusNotFound, codeNotFound, "There is nothing at this address.")
}

// normalizePath returns a path in the form of the routes. A key in brackets becomes a segment of
// its own. Empty brackets and the prefix microsoft.graph. are removed.
// applications/{id}/synchronization becomes servicePrincipals/{id}/synchronization.
func normalizePath(path []string) (out []string) {
	for _, segment := range path {
		name, rest, bracket := strings.Cut(segment, "(")
		key, closed := strings.CutSuffix(rest, ")")
		if name = strings.TrimPrefix(name, "microsoft.graph."); !bracket || !closed || name == "" {
			out = append(out, strings.TrimPrefix(segment, "microsoft.graph."))
			continue
		}
		out = append(out, name)
		if _, value, alternate := strings.Cut(key, "="); alternate && strings.EqualFold(name, "servicePrincipals") {
			key = value // the key is appId='…'; the application and its service principal have the same id
		}
		if key = strings.TrimSpace(key); key != "" {
			out = append(out, unquote(key))
		}
	}
	if len(out) > 0 && out[len(out)-1] == "" {
		out = out[:len(out)-1] // the path ends with a slash
	}
	if len(out) > 2 && strings.EqualFold(out[0], "applications") && strings.EqualFold(out[2], "synchronization") {
		out[0] = "servicePrincipals"
	}
	return out
}

// unquote returns the value of an OData string, in which quotation marks are doubled.
func unquote(text string) string {
	if len(text) < 2 || text[0] != '\'' || text[len(text)-1] != '\'' {
		return text
	}
	return strings.ReplaceAll(text[1:len(text)-1], "''", "'")
}

// matchRoute compares a path with the path of a route. params has the values of the placeholders;
// it is nil if the path does not match. matched is how many segments match.
func matchRoute(route, path []string) (params map[string]string, matched int) {
	found := map[string]string{}
	for matched < min(len(route), len(path)) {
		name, isParam := strings.CutPrefix(route[matched], "{")
		switch {
		case isParam && path[matched] != "":
			found[strings.TrimSuffix(name, "}")] = path[matched]
		case isParam || !strings.EqualFold(route[matched], path[matched]):
			return nil, matched
		}
		matched++
	}
	if len(route) != len(path) {
		return nil, matched
	}
	return found, matched
}
