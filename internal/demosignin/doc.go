// Package demosignin is the sign-in page of the demo's company. From outside it looks like Entra ID:
//
//	GET  /{tenant}/federationmetadata/2007-06/federationmetadata.xml?appid=…  what an application needs to know
//	GET  /{tenant}/saml2   takes the sign-in request of an application, and lets the user pick an account
//	POST /{tenant}/saml2   sends the picked account to the application, as a signed response
//	GET, POST /{tenant}/signin/{app}  the same, for a sign-in that begins here
//
// The tenant is the id of a directory. The accounts are the users of that directory. There are no
// passwords: whoever reaches the page can sign in as anybody. So only the command "demo" starts it,
// it listens on loopback alone, and it answers requests for names of this machine alone.
//
// Each enterprise application has a Connection: the application's identifier and reply URL, as an
// operator typed them on the page Single sign-on, and certificates of its own. They are kept in
// memory, as long as the demo runs.
package demosignin
