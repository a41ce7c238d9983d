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
// The comments use these words. A Node is Graph's form of an expression; Graph calls it a source. A
// node (type node) is a part of a parsed expression: an attribute, a literal, a call or a
// comparison. A bare word is an argument without quotation marks, such as vbTextCompare. The source
// object is the user or group whose attributes an expression reads, and the target is the
// application that gets the value. Null is the value of an absent attribute. No-flow is a result
// that leaves the target attribute out of the request. A value is drawn if it is random or unique:
// it is generated only once, when an account is created. A function named evalX evaluates a call of
// the expressions' function X. A function named refuseX returns an error if such a call is invalid.
//
// Other packages decide where attribute values come from, what a null result means for a target,
// which attributes exist, and when a mapping is applied. This package reads no files and no
// network. It reads the clock only to stop a slow regular expression.
package expr
