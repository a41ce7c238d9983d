// Package demosignin is the sign-in page of the demo's company. Applications see it as Entra ID:
//
//	GET  /{tenant}/federationmetadata/2007-06/federationmetadata.xml?appid=…
//	                       describes the identity provider
//	GET  /{tenant}/saml2   takes an application's sign-in request, and lets the user pick an account
//	POST /{tenant}/saml2   sends the picked account to the application, as a signed response
//	GET, POST /{tenant}/signin/{app}  the same, for a sign-in without a request of the application
//
// The tenant is the id of a directory. The accounts are the users of that directory. There are no
// passwords: anyone who reaches the page can sign in as any user. So only the command "demo" starts
// it. It listens on a loopback address, and answers only requests for names of this machine.
//
// Each enterprise application has a Connection. It holds the identifier and the reply URL that an
// operator entered on the page Single sign-on, and the application's certificates. Connections are
// kept in memory while the demo runs.
package demosignin
