// An identity provider on samlp, with a sign-in form: node samlp.cjs PORT FOLDER
// Each request reads options.json and site-metadata.xml in FOLDER; site-metadata.xml is the metadata of the site.
// samlp makes and reads all messages of SAML; this file only asks who signs in, and remembers it.
const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const express = require("express");
const samlp = require("samlp");
const SessionParticipants = require("samlp/lib/sessionParticipants");
const { DOMParser } = require("@auth0/xmldom");

const [port, folder] = process.argv.slice(2);
const read = (name) => fs.readFileSync(path.join(folder, name), "utf8");
const people = JSON.parse(read("people.json"));
const own = { issuer: `http://127.0.0.1:${port}/idp`, cert: read("cert/idp.crt"), key: read("cert/idp.key") };
const bindings = "urn:oasis:names:tc:SAML:2.0:bindings:";

// site reads the metadata of the site.
function site() {
	const doc = new DOMParser().parseFromString(read("site-metadata.xml"), "text/xml");
	const all = (name) => Array.from(doc.getElementsByTagName(name));
	const certificate = (use) => {
		const text = all("KeyDescriptor").find((e) => e.getAttribute("use") === use)?.getElementsByTagName("X509Certificate")[0].textContent;
		return text && `-----BEGIN CERTIFICATE-----\n${text.match(/.{1,64}/g).join("\n")}\n-----END CERTIFICATE-----\n`;
	};
	return {
		entityID: doc.documentElement.getAttribute("entityID"),
		acs: all("AssertionConsumerService")[0].getAttribute("Location"),
		signOut: all("SingleLogoutService")[0]?.getAttribute("Location"),
		signing: certificate("signing"),
		encryption: certificate("encryption"),
	};
}

// A session for each browser, by its cookie.
const browsers = new Map();

function findBrowser(req, res, next) {
	const known = /(?:^|; )samlp=([0-9a-f]+)/.exec(req.headers.cookie ?? "")?.[1];
	if (!browsers.has(known)) {
		const made = crypto.randomBytes(16).toString("hex");
		browsers.set(made, { session: {}, participants: [] });
		res.cookie("samlp", made, { httpOnly: true });
		req.browser = browsers.get(made);
	} else {
		req.browser = browsers.get(known);
	}
	req.session = req.browser.session; // samlp keeps its state of a sign-out here
	next();
}

const escape = (s) => s.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

function askWho(res, returnTo, asked) {
	res.send(`<form method="post" action="/sign-in"><input type="hidden" name="to" value="${escape(returnTo)}"><input type="hidden" name="asked" value="${escape(asked ?? "")}">
		<input name="username"><input type="password" name="password"><button type="submit">Sign in</button></form>`);
}

function answer(req, res, next) {
	const options = JSON.parse(read("options.json"));
	const to = site();
	const { person, index } = req.browser;
	if (options.requireSignedRequests && req.query.SAMLRequest && !req.query.Signature) return res.status(400).send("The request must be signed.");
	req.browser.participants = [{
		serviceProviderId: to.entityID, nameId: person.id, nameIdFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent", sessionIndex: index,
		serviceProviderLogoutURL: to.signOut, cert: to.signing, binding: bindings + (options.signOutByPost ? "HTTP-POST" : "HTTP-Redirect"),
	}];
	samlp.auth({
		...own,
		getUserFromRequest: () => ({ id: person.id, displayName: person.name, emails: [{ value: person.email }], name: {}, title: person.title, department: person.department }),
		getPostURL: (_audience, _request, _req, callback) => callback(null, to.acs),
		audience: to.entityID, recipient: to.acs, destination: to.acs, sessionIndex: index,
		nameIdentifierFormat: "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
		signResponse: Boolean(options.signResponse), signAssertion: Boolean(options.signAssertion),
		...(options.requireSignedRequests && { signingCert: to.signing }),
		...(options.encrypt && { encryptionCert: to.encryption, encryptionPublicKey: new crypto.X509Certificate(to.encryption).publicKey.export({ type: "spki", format: "pem" }) }),
	})(req, res, next);
}

function signIn(req, res, next) {
	samlp.parseRequest(req, (err, asked) => {
		if (err) return next(err);
		if (!req.browser.person || (asked?.forceAuthn === "true" && req.browser.asked !== asked.id)) return askWho(res, req.originalUrl, asked?.id);
		answer(req, res, next);
	});
}

function signOut(req, res, next) {
	const options = JSON.parse(read("options.json"));
	samlp.logout({
		...own, deflate: true, protocolBinding: bindings + (options.signOutByPost ? "HTTP-POST" : "HTTP-Redirect"),
		sessionParticipants: new SessionParticipants(req.browser.participants),
		clearIdPSession: (done) => {
			req.browser.person = undefined;
			done();
		},
	})(req, res, next);
}

const app = express();
app.use(express.urlencoded({ extended: false }), findBrowser);
app.get("/metadata", samlp.metadata({ ...own, redirectEndpointPath: "/saml", postEndpointPath: "/saml", logoutEndpointPaths: { redirect: "/sign-out", post: "/sign-out" } }));
app.get("/saml", signIn);
app.get("/start", signIn);
app.post("/sign-in", (req, res) => {
	const person = people.find((p) => p.id === req.body.username && p.password === req.body.password);
	if (!person) return askWho(res, req.body.to, req.body.asked);
	Object.assign(req.browser, { person, index: `_${crypto.randomBytes(16).toString("hex")}`, asked: req.body.asked });
	res.redirect(303, req.body.to);
});
app.get("/sign-out", signOut);
app.post("/sign-out", signOut);
app.use((err, _req, res, _next) => {
	console.error(err);
	res.status(500).send(String(err.message ?? err));
});
app.listen(Number(port), "127.0.0.1");
