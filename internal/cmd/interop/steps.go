package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// month plays the steps of a month. Each step changes the company, and runs a command that changes
// the directory in the same way.
type month struct {
	*company
	source       *source          // changes the directory
	applications []string         // the names of the applications, one for each target
	touched      map[*person]bool // the people that a step has changed since the last run
	timesPlayed  map[string]int   // how many times each kind of step was played
}

// step is a kind of step. The function do plays one step of this kind. It returns false if no
// person or group of the company is suitable for the step.
type step struct {
	name   string
	weight int // how likely the step is, relative to the other steps
	do     func(context.Context) (bool, error)
}

// steps returns all kinds of steps.
func (m *month) steps() []step {
	return []step{
		{"hire", 8, m.hire},
		{"leave: blocked", 4, m.blockPerson},
		{"leave: deleted", 5, m.deletePerson},
		{"come back from a block", 3, m.unblockPerson},
		{"restore", 3, m.restorePerson},
		{"re-hire", 3, m.rehire},
		{"purge", 2, m.purgePerson},
		{"rename", 8, m.renamePerson},
		{"swap of user names", 4, m.swapNames},
		{"move", 18, m.moveDepartment},
		{"contact data", 14, m.changeContact},
		{"manager", 12, m.changeManager},
		{"group: new", 2, m.addGroup},
		{"group: renamed", 2, m.renameGroup},
		{"group: deleted", 2, m.deleteGroup},
		{"group: restored", 1, m.restoreGroup},
		{"group: purged", 1, m.purgeGroup},
		{"group: members added", 5, m.addMembers},
		{"group: members removed", 4, m.removeMembers},
		{"group: put into a group", 1, m.nestGroup},
	}
}

// play plays one random step.
func (m *month) play(ctx context.Context) error {
	all, total := m.steps(), 0
	for _, s := range all {
		total += s.weight
	}
	for range 200 {
		n := m.random.IntN(total)
		i := 0
		for ; n >= all[i].weight; i++ {
			n -= all[i].weight
		}
		did, err := all[i].do(ctx)
		if err != nil {
			return fmt.Errorf("step %q: %w", all[i].name, err)
		}
		if did {
			m.timesPlayed[all[i].name]++
			return nil
		}
	}
	return fmt.Errorf("no step fits")
}

// takePerson chooses a random person that the function fits accepts and that no step has changed
// since the last run. It records that a step changes this person now. It returns nil if it finds
// none.
func (m *month) takePerson(fits func(*person) bool) *person {
	p := m.choose(func(p *person) bool { return !m.touched[p] && fits(p) })
	if p != nil {
		m.touched[p] = true
	}
	return p
}

// setAttributes changes attributes of a person in the directory and in the company. An empty value
// clears the attribute.
func (m *month) setAttributes(ctx context.Context, p *person, values map[string]string) error {
	args := []string{p.objectID}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		args = append(args, name+"="+values[name])
		p.attributes[name] = values[name]
	}
	_, err := m.source.rollcall(ctx, "directory user set", args...)
	return err
}

// runUserCommand runs a command that changes a person in the directory.
func (m *month) runUserCommand(ctx context.Context, command string, p *person, flags ...string) error {
	_, err := m.source.rollcall(ctx, "directory user "+command, append([]string{p.objectID}, flags...)...)
	return err
}

// hire adds a new person.
func (m *month) hire(ctx context.Context) (bool, error) {
	p := m.newPerson()
	p.manager = m.choose(m.inScope)
	if p.manager == p {
		p.manager = nil
	}
	m.touched[p] = true
	return true, m.enroll(ctx, p)
}

// enroll adds a new person to the directory, and to the groups of which the person is a member in
// the company.
func (m *month) enroll(ctx context.Context, p *person) (err error) {
	args := []string{p.attributes["userPrincipalName"]}
	for _, name := range attributeNames() {
		if v := p.attributes[name]; v != "" && name != "userPrincipalName" {
			args = append(args, name+"="+v)
		}
	}
	if p.manager != nil {
		args = append(args, "manager="+p.manager.objectID)
	}
	if p.objectID, err = m.source.create(ctx, "directory user add", args...); err != nil {
		return err
	}
	for _, g := range m.groups {
		if g.members[p] {
			if _, err := m.source.rollcall(ctx, "directory group member add", g.objectID, p.objectID); err != nil {
				return err
			}
		}
	}
	return nil
}

// blockPerson blocks the sign-in of a person who leaves.
func (m *month) blockPerson(ctx context.Context) (bool, error) {
	p := m.takePerson(m.inScope)
	if p == nil {
		return false, nil
	}
	p.blocked = true
	return true, m.runUserCommand(ctx, "disable", p)
}

// unblockPerson allows the sign-in of a blocked person again.
func (m *month) unblockPerson(ctx context.Context) (bool, error) {
	p := m.takePerson(func(p *person) bool { return p.blocked && !p.deleted })
	if p == nil {
		return false, nil
	}
	p.blocked = false
	return true, m.runUserCommand(ctx, "enable", p)
}

// deletePerson soft-deletes a person who leaves.
func (m *month) deletePerson(ctx context.Context) (bool, error) {
	p := m.takePerson(m.inScope)
	if p == nil {
		return false, nil
	}
	p.deleted = true
	return true, m.runUserCommand(ctx, "delete", p)
}

// nameIsFree reports whether no other user has the person's user name now.
func (m *month) nameIsFree(p *person) bool {
	return !slices.ContainsFunc(m.people, func(other *person) bool {
		return other != p && !other.deleted && strings.EqualFold(other.attributes["userPrincipalName"], p.attributes["userPrincipalName"])
	})
}

// restorePerson restores a soft-deleted person.
func (m *month) restorePerson(ctx context.Context) (bool, error) {
	p := m.takePerson(func(p *person) bool { return p.deleted && m.nameIsFree(p) })
	if p == nil {
		return false, nil
	}
	p.deleted = false
	return true, m.runUserCommand(ctx, "restore", p)
}

// rehire hires a former employee again. The directory gets a new object with the same name and
// employee number. The new object takes over the account.
func (m *month) rehire(ctx context.Context) (bool, error) {
	old := m.takePerson(func(p *person) bool { return p.deleted && p.sent != nil && m.nameIsFree(p) })
	if old == nil {
		return false, nil
	}
	p := m.newPerson()
	m.touched[p] = true
	p.attributes = maps.Clone(old.attributes)
	p.attributes["jobTitle"], p.attributes["department"] = pick(m.random, jobTitles), departmentName(1+m.random.IntN(departments-1))
	if old.sent["userName"] == p.attributes["userPrincipalName"] {
		old.sent = nil
	}
	return true, m.enroll(ctx, p)
}

// purgePerson deletes a soft-deleted person permanently.
func (m *month) purgePerson(ctx context.Context) (bool, error) {
	p := m.takePerson(func(p *person) bool { return p.deleted && p.attributes["department"] != m.excluded })
	if p == nil {
		return false, nil
	}
	m.purge(p)
	return true, m.runUserCommand(ctx, "purge", p, "--yes")
}

// renamePerson gives a person another name and user name.
func (m *month) renamePerson(ctx context.Context) (bool, error) {
	p := m.takePerson(m.inScope)
	if p == nil {
		return false, nil
	}
	m.hired++
	p.setName(pick(m.random, givenNames), pick(m.random, familyNames), m.hired)
	values := map[string]string{}
	for _, name := range []string{"userPrincipalName", "displayName", "givenName", "surname", "mail"} {
		if v := p.attributes[name]; v != "" {
			values[name] = v
		}
	}
	return true, m.setAttributes(ctx, p, values)
}

// swapNames gives two people each other's user name, in one import.
func (m *month) swapNames(ctx context.Context) (bool, error) {
	a, b := m.takePerson(m.inScope), m.takePerson(m.inScope)
	if a == nil || b == nil || a.sent == nil || b.sent == nil {
		return false, nil
	}
	const upn = "userPrincipalName"
	a.attributes[upn], b.attributes[upn] = b.attributes[upn], a.attributes[upn]
	return true, m.source.importCSV(ctx, "directory import", [][]string{
		{"objectId", upn}, {a.objectID, a.attributes[upn]}, {b.objectID, b.attributes[upn]},
	})
}

// moveDepartment gives a person another department, job title, city and office.
func (m *month) moveDepartment(ctx context.Context) (bool, error) {
	p := m.takePerson(m.inScope)
	if p == nil {
		return false, nil
	}
	r := m.random
	return true, m.setAttributes(ctx, p, map[string]string{
		"department": departmentName(r.IntN(departments)), "jobTitle": pick(r, jobTitles), "city": pick(r, cities),
		"physicalDeliveryOfficeName": m.valueOf(p, "physicalDeliveryOfficeName"),
	})
}

// changeContact adds, changes or removes one value of a person, such as a phone number.
func (m *month) changeContact(ctx context.Context) (bool, error) {
	p := m.takePerson(m.inScope)
	if p == nil {
		return false, nil
	}
	name := pick(m.random, []string{"mobile", "facsimileTelephoneNumber", "state", "telephoneNumber", "mail", "jobTitle"})
	value := ""
	switch {
	case p.attributes[name] != "" && m.random.IntN(2) == 0:
	case name == "jobTitle":
		value = pick(m.random, jobTitles)
	default:
		value = m.valueOf(p, name)
	}
	if value == p.attributes[name] {
		return false, nil
	}
	return true, m.setAttributes(ctx, p, map[string]string{name: value})
}

// changeManager gives a person another manager, or none.
func (m *month) changeManager(ctx context.Context) (bool, error) {
	p := m.takePerson(m.inScope)
	if p == nil {
		return false, nil
	}
	boss, id := (*person)(nil), ""
	if m.random.IntN(5) > 0 {
		boss = m.choose(func(other *person) bool { return other != p && m.inScope(other) })
	}
	if boss == p.manager {
		return false, nil
	}
	if p.manager = boss; boss != nil {
		id = boss.objectID
	}
	_, err := m.source.rollcall(ctx, "directory user set", p.objectID, "manager="+id)
	return true, err
}

// runGroupCommand runs a command that changes a group in the directory.
func (m *month) runGroupCommand(ctx context.Context, command string, g *group, rest ...string) error {
	_, err := m.source.rollcall(ctx, "directory group "+command, append([]string{g.objectID}, rest...)...)
	return err
}

// addGroup creates a group with members, and assigns it to all applications.
func (m *month) addGroup(ctx context.Context) (_ bool, err error) {
	g := m.newGroup("")
	if g.objectID, err = m.source.create(ctx, "directory group create", g.name); err != nil {
		return false, err
	}
	for _, application := range m.applications {
		if err := m.source.assign(ctx, application, g); err != nil {
			return false, err
		}
	}
	return true, m.addRandomMembers(ctx, g, 1+m.random.IntN(12))
}

// isOrdinary reports whether a group is not deleted, and is not the group that contains everyone.
func isOrdinary(g *group) bool { return !g.everyone && !g.deleted }

// renameGroup gives a group another name.
func (m *month) renameGroup(ctx context.Context) (bool, error) {
	g := m.chooseGroup(isOrdinary)
	if g == nil {
		return false, nil
	}
	m.createdGroups++
	g.name = fmt.Sprintf("Renamed “%d” & more", m.createdGroups)
	return true, m.runGroupCommand(ctx, "set", g, "displayName="+g.name)
}

// deleteGroup soft-deletes a group.
func (m *month) deleteGroup(ctx context.Context) (bool, error) {
	g := m.chooseGroup(isOrdinary)
	if g == nil {
		return false, nil
	}
	g.deleted = true
	return true, m.runGroupCommand(ctx, "delete", g, "--yes")
}

// restoreGroup restores a soft-deleted group.
func (m *month) restoreGroup(ctx context.Context) (bool, error) {
	g := m.chooseGroup(func(g *group) bool { return g.deleted })
	if g == nil {
		return false, nil
	}
	g.deleted = false
	return true, m.runGroupCommand(ctx, "restore", g)
}

// purgeGroup deletes a soft-deleted group permanently.
func (m *month) purgeGroup(ctx context.Context) (bool, error) {
	g := m.chooseGroup(func(g *group) bool { return g.deleted })
	if g == nil {
		return false, nil
	}
	m.groups = slices.DeleteFunc(m.groups, func(other *group) bool { return other == g })
	for _, other := range m.groups {
		delete(other.memberGroups, g)
	}
	return true, m.runGroupCommand(ctx, "purge", g, "--yes")
}

// addMembers makes some people members of a group.
func (m *month) addMembers(ctx context.Context) (bool, error) {
	g := m.chooseGroup(isOrdinary)
	if g == nil {
		return false, nil
	}
	return true, m.addRandomMembers(ctx, g, 1+m.random.IntN(8))
}

// addRandomMembers makes up to n random people members of a group.
func (m *month) addRandomMembers(ctx context.Context, g *group, n int) error {
	args := []string{g.objectID}
	for range n {
		if p := m.choose(func(p *person) bool { return !p.deleted && !g.members[p] }); p != nil {
			g.members[p] = true
			args = append(args, p.objectID)
		}
	}
	if len(args) == 1 {
		return nil
	}
	_, err := m.source.rollcall(ctx, "directory group member add", args...)
	return err
}

// removeMembers removes some members from a group.
func (m *month) removeMembers(ctx context.Context) (bool, error) {
	g := m.chooseGroup(func(g *group) bool { return isOrdinary(g) && len(g.members) > 0 })
	if g == nil {
		return false, nil
	}
	args, n := []string{g.objectID}, 1+m.random.IntN(8)
	for _, p := range m.people {
		if g.members[p] && !p.deleted && len(args) <= n {
			delete(g.members, p)
			args = append(args, p.objectID)
		}
	}
	if len(args) == 1 {
		return false, nil
	}
	_, err := m.source.rollcall(ctx, "directory group member remove", args...)
	return true, err
}

// nestGroup makes one group a member of another group.
func (m *month) nestGroup(ctx context.Context) (bool, error) {
	outer := m.chooseGroup(isOrdinary)
	inner := m.chooseGroup(func(g *group) bool { return isOrdinary(g) && g != outer })
	if outer == nil || inner == nil || outer.memberGroups[inner] {
		return false, nil
	}
	outer.memberGroups[inner] = true
	_, err := m.source.rollcall(ctx, "directory group member add", outer.objectID, inner.objectID)
	return true, err
}

// editFilter sets the scoping filter of all applications. The filter leaves out the department
// excluded; if excluded is empty, it leaves out no one.
func (m *month) editFilter(ctx context.Context, excluded string) error {
	m.excluded = excluded
	m.timesPlayed["filter edit"]++
	for _, application := range m.applications {
		if err := m.source.setFilter(ctx, application, excluded); err != nil {
			return err
		}
	}
	return nil
}
