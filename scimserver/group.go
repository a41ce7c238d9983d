package scimserver

import (
	"net/http"

	"github.com/rollcall-scim/rollcall/scim"
)

// Groups are not kept here. A client that looks for one finds an empty list, as a 404 would break its import; a client that
// would make one is told to stop.

func (x *exchange) listGroups() (answer, error) {
	q, err := parseQuery(x.place.query)
	if err != nil {
		return answer{}, err
	}
	return x.noGroups(q)
}

func (x *exchange) searchGroups() (answer, error) {
	body, err := readBody(x.w, x.r)
	if err != nil {
		return answer{}, err
	}
	q, err := parseSearch(body, x.mode)
	if err != nil {
		return answer{}, err
	}
	return x.noGroups(q)
}

func (x *exchange) noGroups(q query) (answer, error) {
	q.clamp()
	_, fixes, err := q.parseFilter(scim.GroupType(), x.mode)
	x.fixed(fixes)
	if err != nil {
		return answer{}, err
	}
	x.row.Sentence = "Not found (this site has no groups)"
	return answer{status: http.StatusOK, body: scim.ListResponse{StartIndex: q.startIndex}.Encode()}, nil
}

func (x *exchange) getGroup() (answer, error) {
	x.row.Subject = x.id()
	return answer{}, scim.NotFound("There is no group with the id %q: this site has no groups.", clip(x.id()))
}

func (x *exchange) refuseGroup() (answer, error) {
	return answer{}, scim.NotImplemented("Groups are not offered by this site. Switch the provisioning of groups off in the identity provider" +
		" (in Entra ID: Mappings, Provision Azure Active Directory Groups, Enabled: No).")
}
