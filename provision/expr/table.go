package expr

import "slices"

// functions is the table of all functions. The checker, the evaluation, the documentation, the
// editor and the completion of commands use it. Each group of functions has its own file. Microsoft
// documents every function.
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
	drawingFunctions(),
)

var functionsByName = indexFunctions()

func indexFunctions() map[string]*function {
	index := make(map[string]*function, len(functions))
	for i := range functions {
		index[functions[i].Name] = &functions[i]
	}
	return index
}
