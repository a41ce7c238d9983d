// Package lookalike finds strings that look the same to a reader. It compares their skeletons,
// which Unicode Technical Standard #39, section 4, defines.
//
// generate.go makes confusables.txt from the file with the same name that Unicode publishes.
// LICENSE-UNICODE is the licence of Unicode's data files.
package lookalike
