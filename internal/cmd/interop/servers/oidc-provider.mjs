// An OpenID provider on oidc-provider, with its own forms for development: node oidc-provider.mjs PORT FOLDER
// people.json and client.json in FOLDER have the people and the client, which is the site.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Provider from "oidc-provider";

const [port, folder] = process.argv.slice(2);
const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
const people = read("people.json");

const provider = new Provider(`http://127.0.0.1:${port}`, {
	clients: [read("client.json")],
	claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "preferred_username", "title", "department"] },
	cookies: { keys: ["interop"] },
	pkce: { required: () => true },
	findAccount(_ctx, id) {
		const person = people.find((p) => p.id === id);
		if (!person) return undefined;
		const claims = { sub: person.id, preferred_username: person.name, name: person.name, email: person.email, email_verified: true, title: person.title, department: person.department };
		return { accountId: person.id, claims: async () => claims };
	},
});
provider.listen(Number(port), "127.0.0.1");
