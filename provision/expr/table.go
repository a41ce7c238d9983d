package expr

import "slices"

// functions is the table of all functions. The checker, the evaluation, the documentation and the
// completion use it. Each family of functions has its own file. Every function is in Microsoft's
// documents.
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
