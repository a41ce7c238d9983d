// Package expr parses, prints and evaluates the expressions of Microsoft Entra attribute mappings,
// such as Join(" ", [givenName], [surname]).
//
//	text ──Parse──► Expr ──Eval(Env)──► Value
//	                 ▲ │
//	      FromSource │ ▼ Source
//	            Node, the tree of Microsoft Graph's attributeMappingSource
//
// Parse reads the whole grammar. Then it checks each function's name and arguments against the
// table of Functions. A parsed expression can be evaluated any number of times, and by several
// goroutines at once. String returns a normal form that parses to the same expression.
//
// Other packages decide where attribute values come from, what a null result means for a target,
// which attributes exist, and when a mapping is applied. This package reads no files and no
// network. It reads the clock only to stop a slow regular expression.
package expr
