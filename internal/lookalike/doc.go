// Package lookalike tells which texts look the same to a reader: the skeletons of Unicode Technical Standard #39, section 4.
//
// confusables.txt is made by generate.go from the file of that name which Unicode publishes with the standard; the licence of
// Unicode's data files is in LICENSE-UNICODE.
package lookalike
