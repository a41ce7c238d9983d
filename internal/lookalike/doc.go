// Package lookalike finds strings that look the same to a reader, by comparing skeletons: Unicode
// Technical Standard #39, section 4.
//
// generate.go makes confusables.txt from the file of that name that Unicode publishes with the
// standard. LICENSE-UNICODE is the licence of Unicode's data files.
package lookalike
