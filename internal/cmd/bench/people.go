package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// person is an employee of an invented company. All fields are computed from the number, so the
// same number always gives the same person.
type person struct {
	number               int // identifies the person
	given, family        string
	title, department    string
	office, street, city string
	region, zip, country string
	language             string
	phone, mobile, fax   string
}

// personOf returns the person with the number n.
func personOf(n int) person {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	number := func() string { return fmt.Sprintf("+49 30 %07d", r.IntN(10_000_000)) }
	p := person{
		number: n,
		given:  pick("Amara", "Björn", "Chiara", "Dmitri", "Esra", "Fatou", "Grace", "Hiroshi", "Ingrid", "João", "Katarzyna", "Liam", "Mei", "Nadia", "Oluwaseun", "Priya"),
		family: pick("Adler", "Baptiste", "Chowdhury", "Dąbrowski", "Eriksen", "Fernández", "Gómez", "Hakobyan", "Ivanova", "Jensen", "Kowalski",
			"Lindqvist", "Müller", "Nakamura", "Okonkwo", "Petrosyan"),
		title:      pick("Software Engineer", "Senior Software Engineer", "Product Manager", "Account Executive", "Data Analyst", "Site Reliability Engineer", "Technical Writer"),
		department: pick("Engineering", "Product", "Sales", "Finance", "Customer Success", "Human Resources"),
		office:     fmt.Sprintf("Building %d / %d.%02d", 1+r.IntN(9), r.IntN(6), r.IntN(60)),
		street:     fmt.Sprintf("%d %s Street", 1+r.IntN(200), pick("Station", "Mill", "Church", "Harbour", "Market")),
		city:       pick("Berlin", "Lisbon", "Kraków", "Malmö", "Yerevan", "Lagos"),
		region:     pick("Berlin", "Lisboa", "Małopolska", "Skåne", "Yerevan", "Lagos State"),
		zip:        fmt.Sprintf("%05d", r.IntN(100_000)),
		country:    pick("DE", "PT", "PL", "SE", "AM", "NG"),
		language:   pick("de-DE", "pt-PT", "pl-PL", "sv-SE", "hy-AM", "en-NG"),
		phone:      number(), mobile: number(), fax: number(),
	}
	if p.hasUniqueTitle() {
		p.title = fmt.Sprintf("Head of Team %06d", n/100)
	}
	return p
}

// hasUniqueTitle reports whether no other person has this person's title. One in a hundred people
// has such a title. The people that the measurements create repeatedly never have one.
func (p person) hasUniqueTitle() bool { return p.number%100 == 70 }

// These methods return the names of the person, and the id in the directory, which SCIM sends as
// externalId.
func (p person) displayName() string { return p.given + " " + p.family }
func (p person) userName() string    { return fmt.Sprintf("user%07d@contoso.example", p.number) }
func (p person) nickname() string    { return fmt.Sprintf("user%07d", p.number) }
func (p person) objectID() string    { return fmt.Sprintf("5e7ab1d2-90c4-4f6e-8a3b-%012d", p.number) }

// scimUser returns the person as a SCIM user with many attributes, as a provisioning client sends
// it. It has about 1.5 KB.
func (p person) scimUser() ([]byte, error) {
	type m = map[string]any
	return json.Marshal(m{
		"schemas":           []string{"urn:ietf:params:scim:schemas:core:2.0:User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"},
		"externalId":        p.objectID(),
		"userName":          p.userName(),
		"displayName":       p.displayName(),
		"nickName":          p.nickname(),
		"name":              m{"formatted": p.displayName(), "givenName": p.given, "familyName": p.family},
		"title":             p.title,
		"preferredLanguage": p.language,
		"locale":            p.language,
		"timezone":          "Europe/Berlin",
		"active":            true,
		"emails": []m{
			{"type": "work", "value": p.userName(), "primary": true},
			{"type": "other", "value": p.nickname() + "@mail.example"},
		},
		"phoneNumbers": []m{{"type": "work", "value": p.phone}, {"type": "mobile", "value": p.mobile}, {"type": "fax", "value": p.fax}},
		"addresses": []m{
			{
				"type": "work", "streetAddress": p.street, "locality": p.city, "region": p.region, "postalCode": p.zip, "country": p.country,
				"formatted": strings.Join([]string{p.office, p.street, p.zip + " " + p.city, p.country}, "\n"),
			},
			{"type": "other", "formatted": p.office},
		},
		"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": m{
			"employeeNumber": fmt.Sprintf("E%06d", p.number), "costCenter": "CC-4711", "organization": "Contoso", "division": "Europe", "department": p.department,
		},
	})
}

// attributes returns the person's attributes in the company's directory.
func (p person) attributes() map[string]any {
	return map[string]any{
		"userPrincipalName": p.userName(), "accountEnabled": true, "displayName": p.displayName(), "givenName": p.given, "surname": p.family,
		"mail": p.userName(), "mailNickname": p.nickname(), "jobTitle": p.title, "department": p.department, "companyName": "Contoso",
		"preferredLanguage": p.language, "physicalDeliveryOfficeName": p.office, "streetAddress": p.street, "city": p.city, "state": p.region,
		"postalCode": p.zip, "country": p.country, "telephoneNumber": p.phone, "mobile": p.mobile, "facsimileTelephoneNumber": p.fax,
	}
}

// directoryFile returns a file of n people for `rollcall directory import`.
func directoryFile(n int) ([]byte, error) {
	columns := []string{
		"userPrincipalName", "accountEnabled", "displayName", "givenName", "surname", "mail", "mailNickname", "jobTitle", "department", "companyName",
		"preferredLanguage", "physicalDeliveryOfficeName", "streetAddress", "city", "state", "postalCode", "country", "telephoneNumber", "mobile",
		"facsimileTelephoneNumber",
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	if err := w.Write(columns); err != nil {
		return nil, err
	}
	for i := range n {
		attributes := personOf(i).attributes()
		row := make([]string, len(columns))
		for c, name := range columns {
			row[c] = fmt.Sprint(attributes[name])
		}
		if err := w.Write(row); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return out.Bytes(), w.Error()
}
