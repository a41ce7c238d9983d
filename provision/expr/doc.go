// Package expr knows how to read, print and evaluate the expressions of Microsoft Entra attribute mappings, such as
// Join(" ", [givenName], [surname]).
//
//	text ──Parse──► Expr ──Eval(Env)──► Value
//	                 ▲ │
//	      FromSource │ ▼ Source
//	            Node, the tree of Microsoft Graph's attributeMappingSource
//
// Parse reads the whole grammar, then checks every function's name and arguments against the table of Functions; an
// expression that parses can be evaluated, as often as one likes and from several goroutines at once. String prints a
// normal form that parses to the same expression.
//
// The package leaves to others where attribute values come from, what a null result means for a target, which attribute
// names exist, and when a mapping flows. It reads no files and no network, and time only to stop a slow regular expression.
package expr
