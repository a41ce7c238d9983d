// Package lookalike finds strings that look the same to a reader. It compares the skeletons of the
// strings. The skeleton of a string has each character replaced by its prototype, one string that
// stands for all characters that look the same. Unicode Technical Standard #39, section 4, defines
// skeletons and prototypes.
//
// generate.go makes confusables.txt from the file with the same name that Unicode publishes.
// LICENSE-UNICODE is the licence of Unicode's data files.
package lookalike
