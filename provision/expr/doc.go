// Package expr parses, prints and evaluates the expressions of Microsoft Entra attribute mappings,
// such as Join(" ", [givenName], [surname]).
//
//	text ──Parse──► Expr ──Eval(Env)──► Value
//	                 ▲ │
//	      FromSource │ ▼ Source
//	            Node, the tree of Microsoft Graph's attributeMappingSource
//
// Parse reads the whole grammar. Then it checks each function's name and arguments against the
// table of Functions. An expression that parses can be evaluated, any number of times and from
// several goroutines at once. String prints a normal form that parses to the same expression.
//
// The package does not decide where attribute values come from, what a null result means for a
// target, which attribute names exist, or when a mapping flows. It reads no files and no network.
// It reads the time only to stop a slow regular expression.
package expr
