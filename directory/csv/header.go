package csv

import (
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/phrase"
)

// column is a column of the file, with what the reader knows about its meaning.
type column struct {
	directory.FileColumn
	meansBlocked   bool   // whether the value Yes means accountEnabled=false, as in a column "Block sign in"
	mappedByCaller bool   // whether the caller said what the column means
	usedByTemplate bool   // whether a template builds a value from the column
	enabledHint    string // a hint for an error message if the column may hold accountEnabled; otherwise ""
}

// attributeByColumnName maps column names that can mean only one attribute to that attribute. The
// names are in the form that squeezeName returns. The attributes' own names and labels are not in
// the map.
var attributeByColumnName = map[string]string{
	"objectid": "objectId", "azureadobjectid": "objectId", "upn": "userPrincipalName",
	"fullname": "displayName", "employeename": "displayName", "legalname": "displayName", "firstname": "givenName", "legalfirstname": "givenName", "legalnamefirstname": "givenName",
	"legallastname": "surname", "legalnamelastname": "surname", "forename": "givenName", "lastname": "surname", "familyname": "surname", "sn": "surname",
	"email": "mail", "emailaddress": "mail", "workemail": "mail", "workemailaddress": "mail", "emailwork": "mail", "businessemail": "mail", "companyemail": "mail",
	"corporateemail": "mail", "primaryemail": "mail", "primaryemailaddress": "mail", "workeremail": "mail",
	"primaryworkemail": "mail", "emailprimarywork": "mail", "workemailprimary": "mail",
	"alternateemailaddress": "otherMails", "alternateemailaddresses": "otherMails",
	"businesstitle": "jobTitle", "positiontitle": "jobTitle", "employeetitle": "jobTitle", "jobposition": "jobTitle", "dept": "department", "departmentname": "department", "company": "companyName",
	"employeenumber": "employeeId", "employeeno": "employeeId", "employeenum": "employeeId", "employee#": "employeeId", "employeecode": "employeeId", "empid": "employeeId", "empno": "employeeId",
	"staffid": "employeeId", "staffnumber": "employeeId", "staffno": "employeeId", "personnelnumber": "employeeId", "personnelno": "employeeId", "workerid": "employeeId", "eeid": "employeeId",
	"workertype": "employeeType", "employmenttype": "employeeType",
	"managerupn": "manager", "manageruserprincipalname": "manager", "managerid": "manager", "managerid#": "manager", "manageremail": "manager", "manageremployeeid": "manager", "managersemail": "manager", "managersemployeeid": "manager",
	"office": "physicalDeliveryOfficeName", "officelocation": "physicalDeliveryOfficeName", "officename": "physicalDeliveryOfficeName",
	"street": "streetAddress", "stateprovince": "state", "province": "state", "zip": "postalCode", "zipcode": "postalCode", "postcode": "postalCode", "countryregion": "country",
	"workphone": "telephoneNumber", "businessphone": "telephoneNumber", "businessphones": "telephoneNumber", "workphonenumber": "telephoneNumber",
	"mobilephone": "mobile", "mobilenumber": "mobile", "mobilephonenumber": "mobile", "cellphone": "mobile", "fax": "facsimileTelephoneNumber",
	"enabled": "accountEnabled", "active": "accountEnabled", "isactive": "accountEnabled", "blocksignin": "accountEnabled",
}

// likelyAttributeByColumnName maps column names to the attribute that they probably mean, or to ""
// if they mean none. The names are in the form that squeezeName returns. The reader only suggests
// the attribute in messages; it does not assign it to the column.
var likelyAttributeByColumnName = map[string]string{
	"username": "userPrincipalName", "login": "userPrincipalName", "loginname": "userPrincipalName", "userid": "userPrincipalName", "user": "userPrincipalName", "signinname": "userPrincipalName", "samaccountname": "userPrincipalName", "logonname": "userPrincipalName", "accountname": "userPrincipalName",
	"status": "accountEnabled", "employmentstatus": "accountEnabled", "employeestatus": "accountEnabled", "workerstatus": "accountEnabled", "userstatus": "accountEnabled", "accountstatus": "accountEnabled", "newstatus": "accountEnabled",
	"lifecyclestatus": "accountEnabled", "positionstatus": "accountEnabled", "assignmentstatus": "accountEnabled", "aktiv": "accountEnabled", "actif": "accountEnabled", "statut": "accountEnabled",
	"aktiviert": "accountEnabled", "kontoaktiv": "accountEnabled", "kontoaktiviert": "accountEnabled", "activé": "accountEnabled", "compteactif": "accountEnabled", "activo": "accountEnabled", "habilitado": "accountEnabled", "estado": "accountEnabled",
	"attivo": "accountEnabled", "abilitato": "accountEnabled", "stato": "accountEnabled", "ativo": "accountEnabled", "actief": "accountEnabled", "aktywny": "accountEnabled",
	"personalnummer": "employeeId", "vorname": "givenName", "nachname": "surname", "abteilung": "department", "telefon": "telephoneNumber", "vorgesetzter": "manager", "stadt": "city", "ort": "city", "plz": "postalCode",
	"matricule": "employeeId", "prénom": "givenName", "prenom": "givenName", "nom": "surname", "nomdefamille": "surname", "service": "department", "téléphone": "telephoneNumber", "poste": "jobTitle", "ville": "city", "codepostal": "postalCode",
	"title": "jobTitle", "position": "jobTitle", "designation": "jobTitle", "jobrole": "jobTitle", "supervisor": "manager", "reportsto": "manager", "reportingto": "manager", "managername": "manager", "supervisorname": "manager", "supervisoremail": "manager", "linemanager": "manager",
	"location": "physicalDeliveryOfficeName", "worklocation": "physicalDeliveryOfficeName", "phone": "telephoneNumber", "phonenumber": "telephoneNumber", "telephone": "telephoneNumber", "primaryphone": "telephoneNumber",
	"id": "employeeId", "associateid": "employeeId", "name": "displayName", "address": "streetAddress", "town": "city", "preferredname": "displayName", "language": "preferredLanguage",
	"countrycode": "usageLocation", "organization": "companyName", "organisation": "companyName", "workaddress": "streetAddress", "secondemail": "otherMails", "nickname": "",
	"birthdate": "", "dateofbirth": "", "hiredate": "", "startdate": "", "enddate": "", "terminationdate": "",
}

// ignoredColumns lists the columns that the reader always leaves out: passwords, and columns of
// Entra's own files for which Rollcall has no attribute. The names are in the form that squeezeName
// returns.
var ignoredColumns = map[string]bool{
	"creationtype": true, "directorysynced": true, "invitationstate": true, "identityissuer": true, "createddatetime": true, "usertype": true, "agegroup": true,
	"consentprovidedforminor": true, "legalagegroupclassification": true, "passwordprofile": true, "initialpassword": true, "password": true, "passwordhashfunction": true,
}

var bracketPattern = regexp.MustCompile(`\[([^\]]*)\]`)

// squeezeName returns a name in lower case, without spaces and without the usual punctuation.
func squeezeName(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("_-./()'’:*?", r) || unicode.IsSpace(r) || unicode.In(r, unicode.Cf, unicode.Zs, unicode.Pd) {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// meaningOf returns the only attribute that a column's name can mean. If known is true and the
// attribute is empty, the reader must leave the column out.
func meaningOf(name string) (attribute string, known bool) {
	// Entra's templates have names such as "Name [displayName] Required". Google's files have names
	// such as "First Name [Required]".
	if m := bracketPattern.FindStringSubmatch(name); m != nil {
		if attribute, known := meaningOf(m[1]); known {
			return attribute, true
		}
		name = bracketPattern.ReplaceAllString(name, "")
	}
	key := squeezeName(name)
	for _, a := range directory.Attributes() {
		if key == squeezeName(a.Name) || key == squeezeName(a.Label) {
			return a.Name, true
		}
	}
	if a, ok := attributeByColumnName[key]; ok {
		return a, true
	}
	return "", ignoredColumns[key]
}

// header is the state of the search for the attributes of each column. The search looks at the
// column's name first, and at the column's values if the name is not enough.
type header struct {
	columns           []column
	rows              iter.Seq[[]string] // the cells of each row
	askedToMap        map[int]bool       // the indexes of the columns for which the message already suggests --map
	messageParts      []string           // the parts of the error message about the columns; nil if there is no error
	flags             []string           // the flags that the error message suggests
	templates         []template
	notes             []string // sentences for the user about the reading of the file
	suggestedTemplate string   // a template for userPrincipalName that the user may choose; "" if there is none
	booleanWords      booleanWords
	enabledWords      []string // unknown words that probably mean true
	disabledWords     []string // unknown words that probably mean false
}

// booleanWords maps the words that the caller gave for enabled and disabled to "true" or "false".
// The keys are in the form that wordKey returns.
type booleanWords map[string]string

func newBooleanWords(o directory.FileOptions) (booleanWords, error) {
	w := booleanWords{}
	for value, list := range map[string][]string{"true": o.EnabledWords, "false": o.DisabledWords} {
		for _, word := range list {
			key := wordKey(word)
			if key == "" {
				continue
			}
			if had, ok := w[key]; ok && had != value {
				return nil, fileError("%q cannot mean enabled and disabled at once", strings.TrimSpace(word))
			}
			w[key] = value
		}
	}
	return w, nil
}

// wordKey returns a word in the form in which words are compared: in lower case, without commas and
// double quotes.
func wordKey(word string) string { return strings.ToLower(plainWord(word)) }

// plainWord returns a word without commas and double quotes, so that a flag can list several words
// separated by commas.
func plainWord(word string) string {
	return strings.Join(strings.FieldsFunc(word, func(r rune) bool { return unicode.IsSpace(r) || r == ',' || r == '"' }), " ")
}

// isKnown reports whether a value is a word for true or false, either the caller's word or a
// standard word.
func (w booleanWords) isKnown(value string) bool {
	return w[wordKey(value)] != "" || directory.IsBoolean(value)
}

// columnValues yields the value of a column in each row. It skips rows that are too short to have
// the column.
func (h *header) columnValues(i int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for cells := range h.rows {
			if i < len(cells) && !yield(cells[i]) {
				return
			}
		}
	}
}

// newHeader searches for the attribute of each column. names are the columns' names, and rows
// yields the cells of each row.
func newHeader(names []string, rows iter.Seq[[]string], o directory.FileOptions) (*header, error) {
	own, err := newBooleanWords(o)
	if err != nil {
		return nil, err
	}
	h := &header{rows: rows, askedToMap: map[int]bool{}, booleanWords: own}
	for i, name := range names {
		h.columns = append(h.columns, column{FileColumn: directory.FileColumn{Number: i + 1, Name: strings.TrimSpace(revealFormula(name))}})
	}
	if err := h.applyOptions(o); err != nil {
		return nil, err
	}
	var left []string
	for i := range h.columns {
		if c := &h.columns[i]; !c.mappedByCaller && h.recogniseColumn(c, i) {
			left = append(left, c.Name)
		}
	}
	h.preferMappedColumns()
	for _, m := range o.Make {
		t, err := h.parseTemplate(m)
		if err != nil {
			return nil, err
		}
		h.markUsed(t)
		h.templates = append(h.templates, t)
	}
	h.askForUserColumn()
	h.findEnabledColumns()
	h.askForUnknownColumns(o.IgnoreUnknown)
	h.refuseDuplicates()
	if h.messageParts != nil {
		return nil, &directory.FileError{Detail: strings.Join(h.messageParts, "; "), Flags: h.flags, Columns: h.fileColumns(), Template: h.suggestedTemplate, EnabledWords: h.enabledWords, DisabledWords: h.disabledWords}
	}
	if left != nil {
		h.notes = append(h.notes, "Left out, because a user here has nothing of the kind: "+strings.Join(left, ", ")+".")
	}
	return h, nil
}

// fileColumns returns the columns with examples of their values, for the user.
func (h *header) fileColumns() []directory.FileColumn {
	var list []directory.FileColumn
	for i, c := range h.columns {
		if attribute, known := meaningOf(c.Name); !known || attribute != "" {
			c.Examples = h.exampleValues(i)
		}
		c.Name = strings.Clone(c.Name) // make a copy, because a substring would keep the whole file in memory
		list = append(list, c.FileColumn)
	}
	return list
}

// exampleValues returns up to three different values of a column, each cut to 40 characters.
func (h *header) exampleValues(i int) (list []string) {
	const most, longest = 3, 40
	for v := range h.columnValues(i) {
		v = strings.Join(strings.Fields(cellText(v)), " ")
		if r := []rune(v); len(r) > longest {
			v = string(r[:longest]) + "…"
		}
		if v == "" || !utf8.ValidString(v) || slices.Contains(list, v) {
			continue
		}
		if list = append(list, strings.Clone(v)); len(list) == most {
			break
		}
	}
	return list
}

// markUsed marks the columns that a template uses. The reader then does not complain that their
// meaning is unknown.
func (h *header) markUsed(t template) {
	for i := range h.columns {
		if c := &h.columns[i]; t.usesColumn(i) {
			c.usedByTemplate, c.Unknown = true, false
		}
	}
}

// applyOptions sets the attributes of the columns that the caller mapped or ignored.
func (h *header) applyOptions(o directory.FileOptions) error {
	for _, m := range o.Map {
		at := h.columnsNamed(m.Column)
		if at == nil {
			return fileError("the file has no column %q to map; its columns are %s", m.Column, h.listColumns())
		}
		a, ok := directory.AttributeNamed(strings.TrimSpace(m.Attribute))
		if !ok {
			return fileError("column %q: there is no attribute %q%s", m.Column, m.Attribute, didYouMean(m.Attribute))
		}
		for _, i := range at {
			h.columns[i].mappedByCaller = true
			h.columns[i].Attributes = append(h.columns[i].Attributes, a.Name)
			h.columns[i].meansBlocked = a.Name == "accountEnabled" && strings.HasPrefix(squeezeName(h.columns[i].Name), "blocksignin")
		}
	}
	for _, text := range o.Ignore {
		names := []string{text}
		if h.columnsNamed(text) == nil {
			names = strings.Split(text, ",")
		}
		for _, name := range names {
			at := h.columnsNamed(name)
			if at == nil {
				return fileError("the file has no column %q to leave out; its columns are %s", strings.TrimSpace(name), h.listColumns())
			}
			for _, i := range at {
				h.columns[i].mappedByCaller, h.columns[i].Attributes = true, nil
			}
		}
	}
	return nil
}

// columnsNamed returns the indexes of the columns that have the given name. The name may be a
// column's number, such as #3. If no column has exactly this name, columnsNamed ignores case, spaces
// and punctuation.
func (h *header) columnsNamed(name string) []int {
	name = strings.TrimSpace(name)
	var exact, similar []int
	for i, c := range h.columns {
		switch {
		case name == "#"+strconv.Itoa(c.Number):
			return []int{i}
		case c.Name == name && name != "":
			exact = append(exact, i)
		case squeezeName(c.Name) == squeezeName(name) && squeezeName(name) != "":
			similar = append(similar, i)
		}
	}
	if exact != nil {
		return exact
	}
	return similar
}

// listColumns returns the names of all columns as one string.
func (h *header) listColumns() string {
	var names []string
	for i := range h.columns {
		names = append(names, h.flagName(i))
	}
	return strings.Join(names, ", ")
}

// recogniseColumn sets a column's attribute by the column's name. It returns true if the column is
// known and must be left out.
func (h *header) recogniseColumn(c *column, i int) bool {
	if c.Name == "" {
		for v := range h.columnValues(i) {
			c.Unknown = c.Unknown || strings.TrimSpace(v) != ""
		}
		return false
	}
	// Entra's downloads store the object id in a column "id". In other files, "id" can mean
	// anything.
	if squeezeName(c.Name) == "id" && h.allValues(i, directory.IsObjectID) {
		c.Attributes = []string{"objectId"}
		return false
	}
	attribute, known := meaningOf(c.Name)
	switch {
	case !known:
		c.Unknown = true
		c.Suggested = h.guessAttribute(c.Name, i)
	case attribute == "":
		return true
	case attribute == "objectId" && h.noValue(i, directory.IsObjectID):
		c.Unknown, c.Suggested = true, "employeeId"
	case attribute == "mail" && h.noValue(i, isAddress):
		c.Unknown = true // the column holds account names instead of e-mail addresses, as in Oracle's sample
	default:
		c.Attributes = []string{attribute}
		c.meansBlocked = strings.HasPrefix(squeezeName(c.Name), "blocksignin")
	}
	return false
}

// allValues reports whether every value of a column passes the test. A column without values does
// not pass.
func (h *header) allValues(i int, test func(string) bool) bool {
	some := false
	for v := range h.columnValues(i) {
		if v = strings.TrimSpace(v); v == "" {
			continue
		}
		if some = true; !test(v) {
			return false
		}
	}
	return some
}

// anyValue reports whether at least one value of a column passes the test.
func (h *header) anyValue(i int, test func(string) bool) bool {
	for v := range h.columnValues(i) {
		if v = strings.TrimSpace(v); v != "" && test(v) {
			return true
		}
	}
	return false
}

// noValue reports whether a column has values and none of them passes the test.
func (h *header) noValue(i int, test func(string) bool) bool {
	return h.allValues(i, func(v string) bool { return !test(v) })
}

func isAddress(v string) bool { return strings.Contains(v, "@") }

// guessAttribute returns the attribute that an unknown column probably holds. It returns "" if
// there is no likely attribute or if the column's values do not fit.
func (h *header) guessAttribute(name string, i int) string {
	name = bracketPattern.ReplaceAllString(name, "")
	a, ok := likelyAttributeByColumnName[squeezeName(name)]
	if !ok {
		a = directory.Suggest(name)
		if isKey(name) && a != "objectId" && a != "employeeId" && a != "manager" && a != "userPrincipalName" {
			return "" // the column holds keys of another table, not values of the attribute
		}
	}
	switch {
	case a == "manager" && strings.HasSuffix(squeezeName(name), "name") && !h.allValues(i, isAddress): // a name does not identify a manager; an e-mail address does
		return ""
	case a == "userPrincipalName" && !h.allValues(i, isAddress), a == accountEnabled && !h.holdsAccountEnabled(name, i), a == "objectId" && !h.allValues(i, directory.IsObjectID):
		return ""
	case a == "jobTitle" && h.allValues(i, func(v string) bool {
		return slices.Contains([]string{"mr", "mrs", "ms", "miss", "dr", "prof", "mx"}, squeezeName(v))
	}):
		return ""
	}
	return a
}

// holdsAccountEnabled reports whether a column holds words for true and false, as accountEnabled
// does. One such word is enough. But a column named "status" can mean many things, so all its
// values must be such words.
func (h *header) holdsAccountEnabled(name string, i int) bool {
	if key := squeezeName(name); strings.Contains(key, "stat") || strings.Contains(key, "estado") {
		return h.allValues(i, h.booleanWords.isKnown)
	}
	return h.anyValue(i, h.booleanWords.isKnown)
}

// isKey reports whether a column's name looks like the name of a key of another table, such as
// DEPARTMENT_ID.
func isKey(name string) bool {
	key := squeezeName(name)
	return slices.ContainsFunc([]string{"id", "ids", "code", "key", "guid"}, func(end string) bool { return strings.HasSuffix(key, end) })
}

// preferMappedColumns makes the caller's mapping win: if the caller mapped a column to an
// attribute, it leaves out the column that the reader recognised as this attribute by its name.
func (h *header) preferMappedColumns() {
	for i := range h.columns {
		c := &h.columns[i]
		if !c.mappedByCaller && len(c.Attributes) == 1 && slices.ContainsFunc(h.columns, func(o column) bool { return o.mappedByCaller && slices.Contains(o.Attributes, c.Attributes[0]) }) {
			c.Attributes = nil
		}
	}
}

// hasAttribute reports whether a column holds the attribute.
func (h *header) hasAttribute(attribute string) bool {
	return slices.ContainsFunc(h.columns, func(c column) bool { return slices.Contains(c.Attributes, attribute) })
}

// flagName returns the text that stands for a column in a flag: the column's name if it is unique,
// or otherwise its number, such as #3.
func (h *header) flagName(i int) string {
	if c := h.columns[i]; c.Name != "" && len(h.columnsNamed(c.Name)) == 1 {
		return c.Name
	}
	return "#" + strconv.Itoa(h.columns[i].Number)
}

// askToMap adds a --map flag for column i to the flags that the error message suggests.
func (h *header) askToMap(i int, attribute string) {
	h.flags = append(h.flags, fmt.Sprintf("--map \"%s=%s\"", h.flagName(i), attribute))
	h.askedToMap[i] = true
}

// askForUserColumn handles a file that has no column for userPrincipalName. If the file has no
// objectId either, it suggests a column or a template in the error message.
func (h *header) askForUserColumn() {
	if h.hasAttribute("userPrincipalName") || slices.ContainsFunc(h.templates, func(t template) bool { return t.attribute == "userPrincipalName" }) {
		return
	}
	h.suggestedTemplate = h.suggestTemplate()
	if h.hasAttribute("objectId") {
		return
	}
	best := -1
	for i, c := range h.columns {
		switch {
		case !h.allValues(i, isAddress) && !slices.Contains(c.Attributes, "mail"):
		case best < 0, userNameRank(c) > userNameRank(h.columns[best]):
			best = i
		}
	}
	if best < 0 {
		h.askForTemplate()
		return
	}
	h.messageParts = append(h.messageParts, fmt.Sprintf("the file has no column userPrincipalName, but %q has addresses", h.columns[best].Name))
	h.askToMap(best, "userPrincipalName")
	if slices.Contains(h.columns[best].Attributes, "mail") {
		h.askToMap(best, "mail") // the column holds the mail address as well
	}
	h.columns[best].AlsoMail = slices.Contains(h.columns[best].Attributes, "mail")
	h.columns[best].Attributes, h.columns[best].Suggested, h.columns[best].Unknown = nil, "userPrincipalName", true
}

// askForTemplate handles a file in which no column has addresses. The error message then suggests a
// template that builds userPrincipalName. A file with employeeIds may need no template, because
// changes to existing users need no userPrincipalName.
func (h *header) askForTemplate() {
	unknown := slices.ContainsFunc(h.columns, func(c column) bool { return c.Unknown })
	switch {
	case h.hasAttribute("employeeId") && (!unknown || h.suggestedTemplate == ""):
		return
	case h.suggestedTemplate == "":
		h.messageParts = append(h.messageParts, "no column says who a row is about: the file has neither objectId nor employeeId nor userPrincipalName. Say which column has it")
		h.flags = append(h.flags, `--map "COLUMN=userPrincipalName"`)
		return
	case h.hasAttribute("employeeId"):
		h.messageParts = append(h.messageParts, "the file has no column userPrincipalName, which new users need. It can be built from other columns, with your own domain instead of example.com")
	default:
		h.messageParts = append(h.messageParts, "no column says who a row is about: the file has neither objectId nor employeeId nor userPrincipalName. A userPrincipalName can be built from other columns, with your own domain instead of example.com")
	}
	h.flags = append(h.flags, templateFlag(h.suggestedTemplate))
	if t, err := h.parseTemplate(directory.Template{Attribute: "userPrincipalName", Text: h.suggestedTemplate}); err == nil {
		for i := range h.columns {
			if t.usesColumn(i) && h.columns[i].Suggested == "" {
				h.columns[i].usedByTemplate = true // the template uses the column, so the caller need not map it
			}
		}
	}
}

func templateFlag(text string) string { return fmt.Sprintf("--make \"userPrincipalName=%s\"", text) }

// userNameRank rates how likely a column holds the userPrincipalName. A greater number means more
// likely.
func userNameRank(c column) int {
	switch {
	case c.Suggested == "userPrincipalName": // the values of the column are logins that look like e-mail addresses
		return 4
	case slices.Contains(c.Attributes, "mail") && strings.HasPrefix(squeezeName(c.Name), "work"):
		return 3
	case slices.Contains(c.Attributes, "mail"):
		return 2
	case c.Unknown:
		return 1
	}
	return 0
}

// findEnabledColumns looks for columns whose values may say which accounts are enabled, if no
// column's name says so. If the import ignored such a column, people who have left would stay
// enabled.
func (h *header) findEnabledColumns() {
	if h.hasAttribute(accountEnabled) || slices.ContainsFunc(h.columns, func(c column) bool { return c.Suggested == accountEnabled }) {
		return
	}
	var states []int
	for i := range h.columns {
		c := &h.columns[i]
		switch {
		case !c.Unknown || c.Suggested != "" || c.usedByTemplate || h.askedToMap[i]:
		case likelyAttributeByColumnName[squeezeName(c.Name)] == accountEnabled && h.anyValue(i, h.booleanWords.isKnown):
			h.askAboutWords(i)
		case !h.hasYesAndNo(i):
		case disabledPattern.MatchString(squeezeName(c.Name)):
			c.enabledHint = `if yes means that somebody may not sign in, give it the name "Block sign in", or leavers stay enabled`
		default:
			states = append(states, i)
		}
	}
	for _, i := range states {
		c := &h.columns[i]
		c.enabledHint = "its values are yes and no; if it says whose account is enabled, map it to accountEnabled, or leavers stay enabled"
		if len(states) == 1 {
			c.enabledHint, c.Suggested = "its values are yes and no; did you mean accountEnabled? If it says something else, leave it out", accountEnabled
		}
	}
}

// unknownWords returns up to 20 different values of a column that are words for neither true nor
// false.
func (h *header) unknownWords(i int) (list []string) {
	const most = 20
	for v := range h.columnValues(i) {
		v = plainWord(cellText(v))
		if v == "" || h.booleanWords.isKnown(v) || !utf8.ValidString(v) || slices.ContainsFunc(list, func(had string) bool { return strings.EqualFold(had, v) }) {
			continue
		}
		if list = append(list, strings.Clone(v)); len(list) == most {
			break
		}
	}
	return list
}

// askAboutWords adds the unknown words of a column to the message, and suggests whether they mean
// enabled or disabled. For example, words about leaving mean disabled. The caller must confirm the
// meaning: if the import ignored the column, people who have left would stay enabled.
func (h *header) askAboutWords(i int) {
	c := &h.columns[i]
	c.Suggested = accountEnabled
	var shown []string
	for _, word := range h.unknownWords(i) {
		shown = append(shown, strconv.Quote(word))
		if disabledPattern.MatchString(squeezeName(word)) {
			h.disabledWords = append(h.disabledWords, word)
		} else {
			h.enabledWords = append(h.enabledWords, word)
		}
	}
	const most = 8
	if n := len(shown); n > most {
		shown = append(shown[:most], fmt.Sprintf("%d more", n-most))
	}
	c.enabledHint = "some of its values are those of accountEnabled, but not " + strings.Join(shown, ", ") + "; say which of these words mean that an account is enabled, or leavers stay enabled"
}

// disabledPattern matches words about accounts that are not enabled, such as "blocked" or
// "terminated". In a column whose name matches, yes may mean "not enabled".
var disabledPattern = regexp.MustCompile(`disab|inact|inakt|deakt|deact|désact|desact|block|bloq|lock|sperr|termin|attrition|suspend|delet|lösch|archiv|leaver|left|exit|ausgeschieden|gekündigt`)

// hasYesAndNo reports whether all values of a column are words for true or false, and both occur.
func (h *header) hasYesAndNo(i int) bool {
	var said [2]bool
	all := h.allValues(i, func(v string) bool {
		said[len(invertBlocked(v))-len("true")] = true
		return directory.IsBoolean(v)
	})
	return all && said[0] && said[1]
}

// askForUnknownColumns adds the columns whose meaning is not known to the error message, and
// suggests flags for them. If ignore is true, it leaves these columns out instead.
func (h *header) askForUnknownColumns(ignore bool) {
	var names []string
	var rest []int
	for i := range h.columns {
		c := &h.columns[i]
		if !c.Unknown || h.askedToMap[i] || c.usedByTemplate && c.Suggested == "" {
			continue
		}
		if ignore {
			c.Unknown = false
			if c.enabledHint != "" || c.Suggested == accountEnabled && !h.hasAttribute(accountEnabled) {
				h.notes = append(h.notes, fmt.Sprintf("The column %q was left out, although it may say whose account is enabled: --map \"%s=accountEnabled\" reads it.", c.Name, h.flagName(i)))
			}
			continue
		}
		name := fmt.Sprintf("%q", c.Name)
		if c.Name == "" {
			name = fmt.Sprintf("number %d, which has values and no name", c.Number)
		}
		suggested := c.Suggested
		if suggested != "" && h.hasAttribute(suggested) || h.alreadySuggested(i, suggested) {
			suggested = ""
		}
		if c.enabledHint != "" {
			name += " (" + c.enabledHint + ")"
		}
		switch {
		case suggested == "":
			rest = append(rest, i)
		case c.enabledHint != "":
			h.askToMap(i, suggested)
		case meansObjectID(c.Name):
			name += " (its values are no object ids, which are GUIDs; did you mean " + suggested + "?)"
			h.askToMap(i, suggested)
		default:
			name += " (did you mean " + suggested + "?)"
			h.askToMap(i, suggested)
		}
		names = append(names, name)
	}
	if names == nil {
		return
	}
	h.suggestWordFlags()
	h.messageParts = append(h.messageParts, "it is not known what to do with the "+phrase.Noun(len(names), "column ", "columns ")+strings.Join(names, ", "))
	var plain []string
	for _, i := range rest {
		if name := h.flagName(i); strings.Contains(name, ",") {
			h.flags = append(h.flags, fmt.Sprintf("--ignore-columns \"%s\"", name))
		} else {
			plain = append(plain, name)
		}
	}
	if plain != nil {
		h.flags = append(h.flags, fmt.Sprintf("--ignore-columns \"%s\"", strings.Join(plain, ",")))
	}
}

// suggestWordFlags suggests the flags that say which words mean enabled and which mean disabled.
func (h *header) suggestWordFlags() {
	for _, list := range []struct {
		flag  string
		words []string
	}{{"--enabled-words", h.enabledWords}, {"--disabled-words", h.disabledWords}} {
		if list.words != nil {
			h.flags = append(h.flags, fmt.Sprintf("%s \"%s\"", list.flag, strings.Join(list.words, ",")))
		}
	}
}

const accountEnabled = "accountEnabled"

// meansObjectID reports whether a column's name means the attribute objectId.
func meansObjectID(name string) bool {
	a, _ := meaningOf(name)
	return a == "objectId"
}

// alreadySuggested reports whether the error message already suggests this attribute for a column
// other than i.
func (h *header) alreadySuggested(i int, attribute string) bool {
	for j := range h.columns {
		if j != i && h.askedToMap[j] && h.columns[j].Suggested == attribute {
			return true
		}
	}
	return false
}

// refuseDuplicates adds an error if two columns hold the same single-valued attribute.
func (h *header) refuseDuplicates() {
	first := map[string]int{}
	for i, c := range h.columns {
		for _, name := range c.Attributes {
			a, _ := directory.AttributeNamed(name)
			j, taken := first[name]
			if !taken || a.MultiValued {
				first[name] = i
				continue
			}
			out := i
			if squeezeName(h.columns[i].Name) == squeezeName(name) && squeezeName(h.columns[j].Name) != squeezeName(name) {
				out = j // keep the column whose name is the attribute's name, and leave out the other one
			}
			h.messageParts = append(h.messageParts, fmt.Sprintf("the columns %q and %q both mean %s; leave one out", h.flagName(j), h.flagName(i), name))
			h.flags = append(h.flags, fmt.Sprintf("--ignore-columns \"%s\"", h.flagName(out)))
		}
	}
}
