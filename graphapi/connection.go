package graphapi

import (
	"errors"
	"net/http"

	"github.com/rollcall-scim/rollcall/provision"
)

// connection is Graph's objectConnection: it says which account at the application belongs to a
// user or group of the directory. It has some properties that Graph does not have.
type connection struct {
	Context         string `json:"@odata.context,omitempty"`
	ID              string `json:"id"`
	ObjectID        string `json:"objectId"`
	SourceAnchor    string `json:"sourceAnchor"`
	TargetAnchor    string `json:"targetAnchor"`
	DisplayName     string `json:"displayName"`
	ObjectTypeName  string `json:"objectTypeName"`
	State           string `json:"state"`
	How             string `json:"how"` // how the connection was made, such as by matching; Graph does not have this property
	CreatedDateTime string `json:"createdDateTime"`
}

// connectionOf returns a connection in Graph's form.
func connectionOf(c provision.Connection) connection {
	return connection{
		ID: c.ObjectID, ObjectID: c.ObjectID, SourceAnchor: c.ObjectID, TargetAnchor: c.TargetID, DisplayName: c.Name, ObjectTypeName: string(c.Kind), State: string(c.State), How: c.How, CreatedDateTime: formatTime(c.Since),
	}
}

// connectionContext returns the @odata.context of a connection or a list of connections. rest is
// its end.
func (c *call) connectionContext(rest string) string {
	return c.odataContext("servicePrincipals('%s')/synchronization/jobs('%s')/objectConnections%s", c.app.ID, c.params["job"], rest)
}

// listConnections answers with a page of the job's connections. Graph has no such request.
func (c *call) listConnections() error {
	values, err := readQuery(c.r.URL.Query(), "$search", "$top", "$skiptoken")
	if err != nil {
		return err
	}
	q := provision.ConnectionQuery{Search: values.Get("$search"), After: values.Get("$skiptoken")}
	if q.Limit, err = readTop(values.Get("$top"), usualPage, maxPage); err != nil {
		return err
	}
	page, next, err := c.h.Jobs.Connections(c.r.Context(), c.key(), q)
	if err != nil {
		return err
	}
	out := collection[connection]{Context: c.connectionContext(""), Value: []connection{}}
	for _, one := range page {
		out.Value = append(out.Value, connectionOf(one))
	}
	if next != "" {
		values.Set("$skiptoken", next)
		out.Next = c.rootURL() + "/servicePrincipals/" + c.app.ID + "/synchronization/jobs/" + jobID(c.Handle, c.app) + "/objectConnections?" + encodeQuery(values)
	}
	return c.answerOK(out)
}

// getConnection answers with the connection whose object id or target id is in the path.
func (c *call) getConnection() error {
	found, err := c.h.Jobs.Connection(c.r.Context(), c.key(), c.params["objectConnection"])
	if err != nil {
		return err
	}
	out := connectionOf(found)
	out.Context = c.connectionContext("/$entity")
	return c.answerOK(out)
}

// deleteConnection deletes a connection, so that the job later searches for the account of the user
// or group again. As in Graph, the job must be paused, and deleting a connection that does not
// exist is not an error.
func (c *call) deleteConnection() error {
	if c.job.Status == provision.On {
		return provision.ErrNotPaused
	}
	_, err := c.h.Engine.Forget(c.r.Context(), c.key(), c.h.Owner, c.actor(), c.params["objectConnection"])
	if err != nil && !errors.Is(err, provision.ErrNoConnection) {
		return err
	}
	return c.answerNoContent()
}

// createConnection links an object to the account that the client names. Graph has no such request.
func (c *call) createConnection() error {
	var body struct {
		ObjectID string `json:"objectId"`
		Source   string `json:"sourceAnchor"`
		Target   string `json:"targetAnchor"`
	}
	if err := c.readJSON(&body, false); err != nil {
		return err
	}
	object := firstNonEmpty(body.ObjectID, body.Source)
	if object == "" || body.Target == "" {
		return refuse(http.StatusBadRequest, codeMissing, "objectId and targetAnchor are needed: the ids of the user or group, and of its account.")
	}
	made, err := c.h.Engine.Connect(c.r.Context(), c.key(), c.h.Owner, c.actor(), object, body.Target)
	if err != nil {
		return err
	}
	out := connectionOf(made)
	out.Context = c.connectionContext("/$entity")
	return c.answerCreated(out)
}
