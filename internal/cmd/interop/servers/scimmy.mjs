// A SCIM server on SCIMMY, with accounts in memory: node scimmy.mjs PORT TOKEN
// SCIMMY decides what a request means; this file only stores, and refuses user names that are taken.
import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const [port, token] = process.argv.slice(2);

class Storage {
	#unique;
	#rows = new Map();

	constructor(unique) {
		this.#unique = unique;
	}

	#find(id) {
		const row = this.#rows.get(id);
		if (row === undefined) throw new SCIMMY.Types.Error(404, null, `There is no resource ${id}.`);
		return row;
	}

	egress(resource) {
		if (resource.id) return this.#find(resource.id);
		const all = [...this.#rows.values()];
		return resource.filter ? resource.filter.match(all) : all;
	}

	ingress(resource, data) {
		const now = new Date().toISOString();
		const created = resource.id ? this.#find(resource.id).meta.created : now;
		const row = { ...JSON.parse(JSON.stringify(data)), id: resource.id ?? randomUUID(), meta: { created, lastModified: now } };
		this.#refuseDouble(row);
		this.#rows.set(row.id, row);
		return row;
	}

	#refuseDouble(row) {
		if (this.#unique === undefined) return;
		const value = row[this.#unique]?.toLowerCase();
		for (const other of this.#rows.values()) {
			if (other.id !== row.id && other[this.#unique]?.toLowerCase() === value) {
				throw new SCIMMY.Types.Error(409, "uniqueness", `Another resource has this ${this.#unique}.`);
			}
		}
	}

	degress(resource) {
		this.#find(resource.id);
		this.#rows.delete(resource.id);
	}

	handlers() {
		return {
			egress: async (resource) => this.egress(resource),
			ingress: async (resource, data) => this.ingress(resource, data),
			degress: async (resource) => this.degress(resource),
		};
	}
}

SCIMMY.Resources.declare(SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false), new Storage("userName").handlers());
SCIMMY.Resources.declare(SCIMMY.Resources.Group, new Storage().handlers());

function authenticate(request) {
	if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("The token is wrong.");
	return "provisioning";
}

const app = express();
app.use("/scim/v2", new SCIMMYRouters({ type: "bearer", handler: authenticate, baseUri: () => null }));
app.listen(Number(port), "127.0.0.1");
