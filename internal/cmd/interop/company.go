package main

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// company is a copy of the data that the directory should contain. Each step changes both the copy
// and the directory. So the comparison at the end does not rely on Rollcall's own reports.
type company struct {
	random        *rand.Rand // the source of all random choices
	people        []*person  // the people in the order of hire, without purged people
	groups        []*group   // the groups in the order of creation, without purged groups
	hired         int        // how many people there have ever been
	createdGroups int        // how many groups there have ever been
	excluded      string     // the department that the scoping filter leaves out, or ""
}

// person is a user of the directory.
type person struct {
	objectID   string            // the id of the person in the directory
	attributes map[string]string // the values, by the directory's attribute names; attributes without a value are absent
	manager    *person           // the person's manager; may be nil
	blocked    bool              // whether sign-in is blocked
	deleted    bool              // whether the person is soft-deleted

	// sent holds the account's values, as sent by the last run in which the person was in scope. It
	// is nil if there is no account. Runs send nothing about a person who is out of scope, so sent
	// does not contain later changes.
	sent map[string]string
}

// group is a group of the directory. All groups are assigned to the applications.
type group struct {
	objectID, name string
	everyone       bool // whether every new person becomes a member
	members        map[*person]bool
	memberGroups   map[*group]bool // the groups that are members of this group
	deleted        bool            // whether the group is soft-deleted
	existed        bool            // whether the group existed, and was not soft-deleted, at the last provisioning run
}

const (
	departments = 25                // the number of departments
	domain      = "contoso.example" // the domain of all user names
)

// The values from which the attributes of people are drawn.
var (
	givenNames  = strings.Fields("Ada Bo Chidi Dóra Emre Farah Grace Hanna Ines Jürgen Kofi Lena Mai Noé Olga Priya Quinn Rosa Søren Tomás Ulla Vera Wei Xena Yara Zoë")
	familyNames = strings.Fields("Adeyemi Böhm Castro D'Souza Eriksson Fernández Gupta Hughes Ivanov Jensen Kowalski Łuczak Müller Nguyễn O'Brien Petrov Quist Rossi Smith-Jones Takeda Ünal Virtanen Wang Xu Yılmaz Žižka")
	jobTitles   = []string{"Engineer", "Team Lead", "Accountant", "Sales Manager (EMEA)", "Welder, 2nd class", `Chief "Fun" Officer`, "Nurse & Trainer", "C++ Developer"}
	cities      = []string{"Oslo", "Zürich", "San José", "Kraków", "Lagos", "Ōsaka"}
)

// pick returns a random element.
func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

// fill fills a new company. The first group contains everyone, and the second is empty. Every
// fourth group contains another group.
func (c *company) fill(people, groups int) {
	all := c.newGroup("Everyone")
	all.everyone = true
	for range people {
		c.newPerson()
	}
	for i := 1; i < groups; i++ {
		g := c.newGroup("")
		if i == 1 {
			continue
		}
		for range 1 + c.random.IntN(30) {
			g.members[pick(c.random, c.people)] = true
		}
		if i%4 == 0 {
			g.memberGroups[c.groups[i-1]] = true
		}
	}
	for _, p := range c.people[1:] {
		p.manager = c.people[c.random.IntN(1+len(c.people)/10)]
		if p.manager == p {
			p.manager = nil
		}
	}
}

// newPerson adds a person with random attributes to the company, and to the groups that contain
// everyone.
func (c *company) newPerson() *person {
	c.hired++
	r := c.random
	p := &person{attributes: map[string]string{
		"employeeId": fmt.Sprintf("%05d", c.hired), "jobTitle": pick(r, jobTitles), "department": departmentName(r.IntN(departments)),
		"city": pick(r, cities), "country": "NO", "streetAddress": fmt.Sprintf("%d High Street", 1+r.IntN(99)), "postalCode": fmt.Sprintf("%04d", r.IntN(10000)),
		"telephoneNumber": fmt.Sprintf("+47 22 %02d %02d", r.IntN(100), r.IntN(100)), "preferredLanguage": "nb-NO",
		"mailNickname": fmt.Sprintf("u%d", c.hired),
	}}
	p.setName(pick(r, givenNames), pick(r, familyNames), c.hired)
	for _, optional := range []string{"mail", "mobile", "facsimileTelephoneNumber", "state", "physicalDeliveryOfficeName"} {
		if r.IntN(3) > 0 {
			p.attributes[optional] = c.valueOf(p, optional)
		}
	}
	c.people = append(c.people, p)
	for _, g := range c.groups {
		if g.everyone {
			g.members[p] = true
		}
	}
	return p
}

// valueOf returns a value for one of the attributes that some people lack.
func (c *company) valueOf(p *person, attribute string) string {
	r := c.random
	switch attribute {
	case "mail":
		return p.attributes["userPrincipalName"]
	case "state":
		return pick(r, []string{"Viken", "ZH", "São Paulo"})
	case "physicalDeliveryOfficeName":
		return fmt.Sprintf("Building %d, floor %d", r.IntN(5), r.IntN(9))
	}
	return fmt.Sprintf("+47 9%02d %02d %03d", r.IntN(100), r.IntN(100), r.IntN(1000))
}

// setName gives a person a name and a user name. The number makes the user name unique.
func (p *person) setName(given, family string, number int) {
	p.attributes["givenName"], p.attributes["surname"], p.attributes["displayName"] = given, family, given+" "+family
	p.attributes["userPrincipalName"] = fmt.Sprintf("%s.%d@%s", plainLetters(given+"."+family), number, domain)
	if p.attributes["mail"] != "" {
		p.attributes["mail"] = p.attributes["userPrincipalName"]
	}
}

// plainLetters keeps the ASCII letters and dots of a name, in lower case.
func plainLetters(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r == '.' {
			return r
		}
		return -1
	}, strings.ToLower(s))
}

// departmentName returns the name of the department with the number i.
func departmentName(i int) string { return fmt.Sprintf("Department %02d", i) }

// newGroup adds a group without members to the company. If name is empty, the group gets a new
// name.
func (c *company) newGroup(name string) *group {
	c.createdGroups++
	if name == "" {
		name = fmt.Sprintf("Project %03d", c.createdGroups)
	}
	g := &group{name: name, members: map[*person]bool{}, memberGroups: map[*group]bool{}}
	c.groups = append(c.groups, g)
	return g
}

// inScope reports whether a person is in the scope of provisioning, and so should have an active
// account.
func (c *company) inScope(p *person) bool {
	return !p.deleted && !p.blocked && p.attributes["department"] != c.excluded
}

// mayBeManager reports whether other accounts may have the person's account as their manager. The
// account of a blocked or soft-deleted person remains the manager of other accounts.
func (c *company) mayBeManager(p *person) bool {
	return p.sent != nil && p.attributes["department"] != c.excluded
}

// mayBeMember reports whether the person's account may be a member of groups. A blocked person
// stays a member, as with Entra. A soft-deleted person is no member until the account is restored.
func (c *company) mayBeMember(p *person) bool { return c.mayBeManager(p) && !p.deleted }

// recordRun records the state of people and groups at a provisioning run of all applications.
func (c *company) recordRun() {
	for _, p := range c.people {
		if c.inScope(p) {
			p.sent = mappedValues(p)
		}
	}
	for _, g := range c.groups {
		g.existed = !g.deleted
	}
}

// choose returns a random person that the function fits accepts, or nil if many attempts find none.
func (c *company) choose(fits func(*person) bool) *person {
	for range 50 {
		if p := pick(c.random, c.people); fits(p) {
			return p
		}
	}
	return nil
}

// chooseGroup returns a random group that the function fits accepts, or nil if many attempts find
// none.
func (c *company) chooseGroup(fits func(*group) bool) *group {
	for range 50 {
		if g := pick(c.random, c.groups); fits(g) {
			return g
		}
	}
	return nil
}

// purge removes a permanently deleted person from the company.
func (c *company) purge(p *person) {
	c.people = slices.DeleteFunc(c.people, func(other *person) bool { return other == p })
	for _, other := range c.people {
		if other.manager == p {
			other.manager = nil
		}
	}
	for _, g := range c.groups {
		delete(g.members, p)
	}
}

// mappedValues returns the values that the default mappings give a person's account, by target
// attribute. It leaves out the manager, because that value is the id of another account.
func mappedValues(p *person) map[string]string {
	account := map[string]string{}
	for target, attribute := range directMappings {
		if v := p.attributes[attribute]; v != "" {
			account[target] = v
		}
	}
	account["name.formatted"] = strings.TrimSpace(p.attributes["givenName"] + " " + p.attributes["surname"])
	return account
}

// enterpriseURN is the URN of the enterprise extension of users.
const enterpriseURN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

// directMappings are the mappings of the default schema that send an attribute of the directory
// unchanged. The keys are the target attributes.
var directMappings = map[string]string{
	"userName": "userPrincipalName", "displayName": "displayName", "title": "jobTitle", `emails[type eq "work"].value`: "mail",
	"preferredLanguage": "preferredLanguage", "name.givenName": "givenName", "name.familyName": "surname",
	`addresses[type eq "work"].formatted`: "physicalDeliveryOfficeName", `addresses[type eq "work"].streetAddress`: "streetAddress",
	`addresses[type eq "work"].locality`: "city", `addresses[type eq "work"].region`: "state", `addresses[type eq "work"].postalCode`: "postalCode",
	`addresses[type eq "work"].country`: "country", `phoneNumbers[type eq "work"].value`: "telephoneNumber", `phoneNumbers[type eq "mobile"].value`: "mobile",
	`phoneNumbers[type eq "fax"].value`: "facsimileTelephoneNumber", "externalId": "mailNickname",
	enterpriseURN + ":employeeNumber": "employeeId", enterpriseURN + ":department": "department",
}

// attributeNames returns the names of the directory attributes that the program fills.
func attributeNames() []string {
	return slices.Sorted(maps.Values(directMappings))
}
