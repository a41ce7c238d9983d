package expr

import "slices"

// functions is the table that everything about functions is read from: the checker, the evaluation, the documentation and
// the completion. Each family has a file. Microsoft's documents name all of them.
var functions = slices.Concat(
	choiceFunctions(),
	textFunctions(),
	caseFunctions(),
	replaceFunctions(),
	listFunctions(),
	numberFunctions(),
	dateFunctions(),
	encodingFunctions(),
	roleFunctions(),
	drawFunctions(),
)

var functionsByName = indexFunctions()

func indexFunctions() map[string]*function {
	index := make(map[string]*function, len(functions))
	for i := range functions {
		index[functions[i].Name] = &functions[i]
	}
	return index
}
