BEGIN TRANSACTION;
CREATE TABLE directory (
    id text not null primary key,
    name text not null unique,
    created bigint not null
);
INSERT INTO "directory" VALUES('c7d72573-04ef-45fc-a428-61c24e193008','contoso',1795925963137264);
CREATE TABLE directory_application (
    directory text not null references directory (id),
    id text not null,
    name text not null,
    name_folded text not null,
    created bigint not null,
    primary key (directory, id)
);
INSERT INTO "directory_application" VALUES('c7d72573-04ef-45fc-a428-61c24e193008','c7bd2bdf-b0df-4c4e-b6e9-2e49e4757403','Acme','acme',1795925963275378);
CREATE TABLE directory_assignment (
    directory text not null,
    application text not null,
    object_id text not null,
    created bigint not null,
    primary key (directory, application, object_id)
);
INSERT INTO "directory_assignment" VALUES('c7d72573-04ef-45fc-a428-61c24e193008','c7bd2bdf-b0df-4c4e-b6e9-2e49e4757403','6cce2c93-a2ce-4cfb-86c1-f009b3fdb9ec',1795925963335386);
INSERT INTO "directory_assignment" VALUES('c7d72573-04ef-45fc-a428-61c24e193008','c7bd2bdf-b0df-4c4e-b6e9-2e49e4757403','edd78581-200f-4796-af5b-3269410ca824',1795925963345798);
CREATE TABLE directory_user (
    directory text not null references directory (id),
    object_id text not null,
    upn_folded text not null,
    sort_key text not null,
    search_text text not null,
    account_enabled boolean not null,
    deleted bigint not null,
    manager text not null,
    version bigint not null,
    created bigint not null,
    modified bigint not null,
    attributes text not null,
    primary key (directory, object_id)
);
INSERT INTO "directory_user" VALUES('c7d72573-04ef-45fc-a428-61c24e193008','6cce2c93-a2ce-4cfb-86c1-f009b3fdb9ec','ada@contoso.example','ada lovelace','ada lovelace
ada@contoso.example
e1
',1,0,'',1,1795925963203783,1795925963203783,'{"displayName":"Ada Lovelace","employeeId":"E1","userPrincipalName":"ada@contoso.example"}');
INSERT INTO "directory_user" VALUES('c7d72573-04ef-45fc-a428-61c24e193008','edd78581-200f-4796-af5b-3269410ca824','bob@contoso.example','bob lund','bob lund
bob@contoso.example
e2
',1,0,'',1,1795925963205401,1795925963205401,'{"displayName":"Bob Lund","employeeId":"E2","userPrincipalName":"bob@contoso.example"}');
CREATE TABLE event (
    seq        integer primary key autoincrement,
    tx         bigint  not null default 0,
    time       bigint  not null,
    scope_kind text    not null,
    scope_id   text    not null,
    name       text    not null,
    actor      text    not null,
    subject    text    not null,
    text       text    not null,
    data       text    not null
);
INSERT INTO "event" VALUES(1,0,1795925963137264,'directory','c7d72573-04ef-45fc-a428-61c24e193008','directory.created','cli','c7d72573-04ef-45fc-a428-61c24e193008','Directory contoso was created','');
INSERT INTO "event" VALUES(2,0,1795925963203783,'directory','c7d72573-04ef-45fc-a428-61c24e193008','user.created','cli','6cce2c93-a2ce-4cfb-86c1-f009b3fdb9ec','Ada Lovelace (ada@contoso.example) was created','');
INSERT INTO "event" VALUES(3,0,1795925963205401,'directory','c7d72573-04ef-45fc-a428-61c24e193008','user.created','cli','edd78581-200f-4796-af5b-3269410ca824','Bob Lund (bob@contoso.example) was created','');
INSERT INTO "event" VALUES(4,0,1795925963275378,'directory','c7d72573-04ef-45fc-a428-61c24e193008','application.created','cli','c7bd2bdf-b0df-4c4e-b6e9-2e49e4757403','Application Acme was created','');
INSERT INTO "event" VALUES(5,0,1795925963285055,'directory','c7d72573-04ef-45fc-a428-61c24e193008','provisioning.created','cli','c7bd2bdf-b0df-4c4e-b6e9-2e49e4757403','Provisioning was set up: Automatic, status Off.','');
INSERT INTO "event" VALUES(6,0,1795925963335386,'directory','c7d72573-04ef-45fc-a428-61c24e193008','assignment.added','cli','6cce2c93-a2ce-4cfb-86c1-f009b3fdb9ec','Ada Lovelace (ada@contoso.example) was assigned to Acme','{"application":"c7bd2bdf-b0df-4c4e-b6e9-2e49e4757403"}');
INSERT INTO "event" VALUES(7,0,1795925963345798,'directory','c7d72573-04ef-45fc-a428-61c24e193008','assignment.added','cli','edd78581-200f-4796-af5b-3269410ca824','Bob Lund (bob@contoso.example) was assigned to Acme','{"application":"c7bd2bdf-b0df-4c4e-b6e9-2e49e4757403"}');
INSERT INTO "event" VALUES(8,0,1795925963411721,'site','650fe29600d723c7e55d6cbd857a78cb','site.created','cli','','Site acme was made with profile documented','');
INSERT INTO "event" VALUES(9,0,1795925963427000,'site','650fe29600d723c7e55d6cbd857a78cb','user.created','cli','01a2258772a3730cb53a2f0f457f9f06','kim@acme.example was created','{"version":1,"active":true,"userType":"Admin"}');
INSERT INTO "event" VALUES(10,0,1795925963453418,'site','650fe29600d723c7e55d6cbd857a78cb','sign_in.link_created','cli','01a2258772a3730cb53a2f0f457f9f06','One-time sign-in link made for kim@acme.example','');
INSERT INTO "event" VALUES(11,0,1795925963482239,'site','650fe29600d723c7e55d6cbd857a78cb','token.created','cli','3bd0e1c1fb5c802c7e3b4966bc82e842','Token …CmyH was generated','');
INSERT INTO "event" VALUES(12,0,1795925963482562,'site','650fe29600d723c7e55d6cbd857a78cb','site.scim_enabled','cli','','SCIM was switched on','');
CREATE TABLE event_base (
    base bigint not null
);
INSERT INTO "event_base" VALUES(0);
CREATE TABLE identity (
    site             text    not null references site (id) on delete cascade,
    user_identifier  text    not null,
    person           text    not null,
    created          bigint  not null,
    primary key (site, user_identifier)
);
CREATE TABLE job (
    directory text not null,
    app text not null,
    mode text not null,
    tenant_url text not null,
    secret text not null,
    status text not null,
    scope text not null,
    schema_document text not null,
    version bigint not null,
    revision bigint not null,
    credentials bigint not null,
    restarts bigint not null,
    target_no bigint not null,
    created bigint not null,
    modified bigint not null,
    primary key (directory, app)
);
INSERT INTO "job" VALUES('c7d72573-04ef-45fc-a428-61c24e193008','c7bd2bdf-b0df-4c4e-b6e9-2e49e4757403','Automatic','http://127.0.0.1:9/scim','AaPcIBWkMjcpgPQFoT+SNor8UoC5kKaLVTkkiok+8dISfxIZ1sAnqWjADP0t2IGr','Off','assigned','{
  "id": "53d23c0b-df43-4fb2-99fc-fc64e7aa8576",
  "version": "1.0",
  "synchronizationRules": [
    {
      "id": "c963cfe0-afae-4a3b-b909-6a04e7d80068",
      "name": "USERGROUP_OUTBOUND_USERGROUP",
      "editable": true,
      "priority": 1,
      "sourceDirectoryName": "Azure Active Directory",
      "targetDirectoryName": "customappsso",
      "objectMappings": [
        {
          "name": "Provision Azure Active Directory Groups",
          "enabled": true,
          "flowTypes": "Add,Update,Delete",
          "sourceObjectName": "Group",
          "targetObjectName": "urn:ietf:params:scim:schemas:core:2.0:Group",
          "scope": null,
          "attributeMappings": [
            {
              "targetAttributeName": "displayName",
              "source": {
                "expression": "[displayName]",
                "name": "displayName",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 1,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "externalId",
              "source": {
                "expression": "[objectId]",
                "name": "objectId",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "members",
              "source": {
                "expression": "[members]",
                "name": "members",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            }
          ],
          "metadata": [
            {
              "key": "IsCustomerDefined",
              "value": "false"
            },
            {
              "key": "DisableMonitoringForChanges",
              "value": "false"
            },
            {
              "key": "Disposition",
              "value": "\"Normal\""
            },
            {
              "key": "ExcludeFromReporting",
              "value": "false"
            },
            {
              "key": "EscrowBehavior",
              "value": "\"Default\""
            },
            {
              "key": "Unsynchronized",
              "value": "false"
            },
            {
              "key": "OriginalJoiningProperty",
              "value": "\"displayName\""
            }
          ]
        },
        {
          "name": "Provision Azure Active Directory Users",
          "enabled": true,
          "flowTypes": "Add,Update,Delete",
          "sourceObjectName": "User",
          "targetObjectName": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
          "scope": null,
          "attributeMappings": [
            {
              "targetAttributeName": "userName",
              "source": {
                "expression": "[userPrincipalName]",
                "name": "userPrincipalName",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 1,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "active",
              "source": {
                "expression": "Switch([IsSoftDeleted], , \"False\", \"True\", \"True\", \"False\")",
                "name": "Switch",
                "type": "Function",
                "parameters": [
                  {
                    "key": "source",
                    "value": {
                      "expression": "[IsSoftDeleted]",
                      "name": "IsSoftDeleted",
                      "type": "Attribute",
                      "parameters": []
                    }
                  },
                  {
                    "key": "switchValue",
                    "value": {
                      "expression": "\"False\"",
                      "name": "False",
                      "type": "Constant",
                      "parameters": []
                    }
                  },
                  {
                    "key": "switchValue",
                    "value": {
                      "expression": "\"True\"",
                      "name": "True",
                      "type": "Constant",
                      "parameters": []
                    }
                  },
                  {
                    "key": "switchValue",
                    "value": {
                      "expression": "\"True\"",
                      "name": "True",
                      "type": "Constant",
                      "parameters": []
                    }
                  },
                  {
                    "key": "switchValue",
                    "value": {
                      "expression": "\"False\"",
                      "name": "False",
                      "type": "Constant",
                      "parameters": []
                    }
                  }
                ]
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "displayName",
              "source": {
                "expression": "[displayName]",
                "name": "displayName",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "title",
              "source": {
                "expression": "[jobTitle]",
                "name": "jobTitle",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "emails[type eq \"work\"].value",
              "source": {
                "expression": "[mail]",
                "name": "mail",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "preferredLanguage",
              "source": {
                "expression": "[preferredLanguage]",
                "name": "preferredLanguage",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "name.givenName",
              "source": {
                "expression": "[givenName]",
                "name": "givenName",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "name.familyName",
              "source": {
                "expression": "[surname]",
                "name": "surname",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "name.formatted",
              "source": {
                "expression": "Join(\" \", [givenName], [surname])",
                "name": "Join",
                "type": "Function",
                "parameters": [
                  {
                    "key": "separator",
                    "value": {
                      "expression": "\" \"",
                      "name": " ",
                      "type": "Constant",
                      "parameters": []
                    }
                  },
                  {
                    "key": "source",
                    "value": {
                      "expression": "[givenName]",
                      "name": "givenName",
                      "type": "Attribute",
                      "parameters": []
                    }
                  },
                  {
                    "key": "source",
                    "value": {
                      "expression": "[surname]",
                      "name": "surname",
                      "type": "Attribute",
                      "parameters": []
                    }
                  }
                ]
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "addresses[type eq \"work\"].formatted",
              "source": {
                "expression": "[physicalDeliveryOfficeName]",
                "name": "physicalDeliveryOfficeName",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "addresses[type eq \"work\"].streetAddress",
              "source": {
                "expression": "[streetAddress]",
                "name": "streetAddress",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "addresses[type eq \"work\"].locality",
              "source": {
                "expression": "[city]",
                "name": "city",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "addresses[type eq \"work\"].region",
              "source": {
                "expression": "[state]",
                "name": "state",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "addresses[type eq \"work\"].postalCode",
              "source": {
                "expression": "[postalCode]",
                "name": "postalCode",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "addresses[type eq \"work\"].country",
              "source": {
                "expression": "[country]",
                "name": "country",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "phoneNumbers[type eq \"work\"].value",
              "source": {
                "expression": "[telephoneNumber]",
                "name": "telephoneNumber",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "phoneNumbers[type eq \"mobile\"].value",
              "source": {
                "expression": "[mobile]",
                "name": "mobile",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "phoneNumbers[type eq \"fax\"].value",
              "source": {
                "expression": "[facsimileTelephoneNumber]",
                "name": "facsimileTelephoneNumber",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            },
            {
              "targetAttributeName": "externalId",
              "source": {
                "expression": "[mailNickname]",
                "name": "mailNickname",
                "type": "Attribute",
                "parameters": []
              },
              "defaultValue": null,
              "matchingPriority": 0,
              "flowType": "Always",
              "flowBehavior": "FlowWhenChanged",
              "exportMissingReferences": false
            }
          ],
          "metadata": [
            {
              "key": "IsCustomerDefined",
              "value": "false"
            },
            {
              "key": "DisableMonitoringForChanges",
              "value": "false"
            },
            {
              "key": "Disposition",
              "value": "\"Normal\""
            },
            {
              "key": "ExcludeFromReporting",
              "value": "false"
            },
            {
              "key": "EscrowBehavior",
              "value": "\"Default\""
            },
            {
              "key": "Unsynchronized",
              "value": "false"
            },
            {
              "key": "OriginalJoiningProperty",
              "value": "\"userPrincipalName\""
            }
          ]
        }
      ],
      "containerFilter": null,
      "groupFilter": null,
      "metadata": [
        {
          "key": "defaultSourceObjectMappings",
          "value": "true"
        },
        {
          "key": "supportsProvisionOnDemand",
          "value": "true"
        }
      ]
    }
  ],
  "directories": [
    {
      "id": "26b563b1-e794-4e14-a145-4c40c439f34a",
      "name": "Azure Active Directory",
      "version": "1",
      "readOnly": false,
      "discoveryDateTime": null,
      "discoverabilities": "None",
      "objects": [
        {
          "name": "User",
          "attributes": [
            {
              "name": "objectId",
              "type": "String",
              "anchor": true,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "IsSoftDeleted",
              "type": "Boolean",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": true,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "accountEnabled",
              "type": "Boolean",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": true,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "appRoleAssignments",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": true,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "city",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "companyName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "country",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "department",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "dirSyncEnabled",
              "type": "Boolean",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "displayName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": true,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "employeeHireDate",
              "type": "DateTime",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "employeeId",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "employeeType",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute1",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute2",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute3",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute4",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute5",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute6",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute7",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute8",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute9",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute10",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute11",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute12",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute13",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute14",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "extensionAttribute15",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "facsimileTelephoneNumber",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "givenName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "jobTitle",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "mail",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "mailNickname",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "manager",
              "type": "Reference",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [
                {
                  "referencedObjectName": "User",
                  "referencedProperty": null
                }
              ],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "mobile",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "onPremisesSecurityIdentifier",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "originalUserPrincipalName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "otherMails",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": true,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "passwordProfile.password",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": true,
              "mutability": "WriteOnly",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "physicalDeliveryOfficeName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "postalCode",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "preferredLanguage",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": true,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "proxyAddresses",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": true,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "state",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "streetAddress",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "surname",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": true,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "telephoneNumber",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "usageLocation",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "userPrincipalName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": true,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            }
          ],
          "supportedApis": [],
          "metadata": [
            {
              "key": "IsSoftDeletionSupported",
              "value": "true"
            },
            {
              "key": "ConnectorDataStorageRequired",
              "value": "true"
            },
            {
              "key": "IsSynchronizeAllSupported",
              "value": "true"
            },
            {
              "key": "PropertyNameAccountEnabled",
              "value": "accountEnabled"
            },
            {
              "key": "PropertyNameSoftDeleted",
              "value": "IsSoftDeleted"
            }
          ]
        },
        {
          "name": "Group",
          "attributes": [
            {
              "name": "objectId",
              "type": "String",
              "anchor": true,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "description",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "displayName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": true,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "mail",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "mailEnabled",
              "type": "Boolean",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "mailNickname",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "members",
              "type": "Reference",
              "anchor": false,
              "caseExact": false,
              "multivalued": true,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [
                {
                  "referencedObjectName": "User",
                  "referencedProperty": null
                },
                {
                  "referencedObjectName": "Group",
                  "referencedProperty": null
                }
              ],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "onPremisesSecurityIdentifier",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "proxyAddresses",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": true,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "securityEnabled",
              "type": "Boolean",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            }
          ],
          "supportedApis": [],
          "metadata": [
            {
              "key": "ConnectorDataStorageRequired",
              "value": "true"
            },
            {
              "key": "IsSynchronizeAllSupported",
              "value": "true"
            }
          ]
        }
      ],
      "metadata": []
    },
    {
      "id": "d96e5adf-a2be-4e31-ac8b-e7d742840d2b",
      "name": "customappsso",
      "version": "1",
      "readOnly": false,
      "discoveryDateTime": null,
      "discoverabilities": "None",
      "objects": [
        {
          "name": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
          "attributes": [
            {
              "name": "id",
              "type": "String",
              "anchor": true,
              "caseExact": true,
              "multivalued": false,
              "required": false,
              "mutability": "ReadOnly",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "userName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": true,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "active",
              "type": "Boolean",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": true,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "displayName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "title",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "emails[type eq \"work\"].value",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "emails[type eq \"other\"].value",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "emails[type eq \"home\"].value",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "preferredLanguage",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "name.givenName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "name.familyName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "name.formatted",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "name.honorificPrefix",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "name.honorificSuffix",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"work\"].formatted",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"work\"].streetAddress",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"work\"].locality",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"work\"].region",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"work\"].postalCode",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"work\"].country",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"other\"].formatted",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"other\"].streetAddress",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"other\"].locality",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"other\"].region",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"other\"].postalCode",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "addresses[type eq \"other\"].country",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "phoneNumbers[type eq \"work\"].value",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "phoneNumbers[type eq \"mobile\"].value",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "phoneNumbers[type eq \"fax\"].value",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "phoneNumbers[type eq \"home\"].value",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "phoneNumbers[type eq \"other\"].value",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "phoneNumbers[type eq \"pager\"].value",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "externalId",
              "type": "String",
              "anchor": false,
              "caseExact": true,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:costCenter",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:organization",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:division",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
              "type": "Reference",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [
                {
                  "referencedObjectName": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
                  "referencedProperty": null
                }
              ],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "nickName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "userType",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "locale",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "timezone",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "roles",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": true,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            }
          ],
          "supportedApis": [],
          "metadata": [
            {
              "key": "ConnectorDataStorageRequired",
              "value": "true"
            }
          ]
        },
        {
          "name": "urn:ietf:params:scim:schemas:core:2.0:Group",
          "attributes": [
            {
              "name": "id",
              "type": "String",
              "anchor": true,
              "caseExact": true,
              "multivalued": false,
              "required": false,
              "mutability": "ReadOnly",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "displayName",
              "type": "String",
              "anchor": false,
              "caseExact": false,
              "multivalued": false,
              "required": true,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "externalId",
              "type": "String",
              "anchor": false,
              "caseExact": true,
              "multivalued": false,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [],
              "apiExpressions": [],
              "metadata": []
            },
            {
              "name": "members",
              "type": "Reference",
              "anchor": false,
              "caseExact": false,
              "multivalued": true,
              "required": false,
              "mutability": "ReadWrite",
              "defaultValue": null,
              "flowNullValues": false,
              "referencedObjects": [
                {
                  "referencedObjectName": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
                  "referencedProperty": null
                },
                {
                  "referencedObjectName": "urn:ietf:params:scim:schemas:core:2.0:Group",
                  "referencedProperty": null
                }
              ],
              "apiExpressions": [],
              "metadata": []
            }
          ],
          "supportedApis": [],
          "metadata": [
            {
              "key": "ConnectorDataStorageRequired",
              "value": "true"
            }
          ]
        }
      ],
      "metadata": []
    }
  ]
}
',1,1,1,0,1,1795925963285052,1795925963285052);
CREATE TABLE job_escrow (
    directory text not null,
    app text not null,
    object_id text not null,
    name text not null,
    first_failed bigint not null,
    last_failed bigint not null,
    next_at bigint not null,
    count bigint not null,
    code text not null,
    reason text not null,
    primary key (directory, app, object_id)
);
CREATE TABLE job_link (
    directory text not null,
    app text not null,
    object_id text not null,
    target_id text not null,
    how text not null,
    state text not null,
    hash text not null,
    name text not null,
    since bigint not null,
    updated bigint not null,
    primary key (directory, app, object_id)
);
CREATE TABLE job_op (
    directory text not null,
    app text not null,
    object_id text not null,
    id text not null,
    match_keys text not null,
    sent bigint not null,
    cycle text not null,
    primary key (directory, app, object_id)
);
CREATE TABLE job_pending (
    directory text not null,
    app text not null,
    object_id text not null,
    why text not null,
    not_before bigint not null,
    primary key (directory, app, object_id)
);
CREATE TABLE job_state (
    directory text not null,
    app text not null,
    state text not null,
    primary key (directory, app)
);
INSERT INTO "job_state" VALUES('c7d72573-04ef-45fc-a428-61c24e193008','c7bd2bdf-b0df-4c4e-b6e9-2e49e4757403','{}');
CREATE TABLE job_unmatched (
    directory text not null,
    app text not null,
    object_id text not null,
    primary key (directory, app, object_id)
);
CREATE TABLE lease (
    kind    text   not null,
    key     text   not null,
    owner   text   not null,
    epoch   bigint not null,
    until   bigint not null,
    next_at bigint not null,
    primary key (kind, key)
);
INSERT INTO "lease" VALUES('job','c7d72573-04ef-45fc-a428-61c24e193008/c7bd2bdf-b0df-4c4e-b6e9-2e49e4757403','',0,0,1795925963287297);
CREATE TABLE membership (
    site         text    not null references site (id) on delete cascade,
    group_id     text    not null,
    member       text    not null,
    member_kind  text    not null,
    added        bigint  not null,
    primary key (site, group_id, member)
);
CREATE TABLE migration (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO "migration" VALUES(1,0,1,'2026-11-29 04:19:23');
INSERT INTO "migration" VALUES(2,1,1,'2026-11-29 04:19:23');
INSERT INTO "migration" VALUES(3,2,1,'2026-11-29 04:19:23');
INSERT INTO "migration" VALUES(4,3,1,'2026-11-29 04:19:23');
INSERT INTO "migration" VALUES(5,4,1,'2026-11-29 04:19:23');
INSERT INTO "migration" VALUES(6,5,1,'2026-11-29 04:19:23');
INSERT INTO "migration" VALUES(7,6,1,'2026-11-29 04:19:23');
INSERT INTO "migration" VALUES(8,7,1,'2026-11-29 04:19:23');
INSERT INTO "migration" VALUES(9,10,1,'2026-11-29 04:19:23');
INSERT INTO "migration" VALUES(10,11,1,'2026-11-29 04:19:23');
INSERT INTO "migration" VALUES(11,12,1,'2026-11-29 04:19:23');
CREATE TABLE operator (
    id           text    not null primary key,
    name         text    not null,
    name_folded  text    not null unique,
    created      bigint  not null,
    last_sign_in bigint  not null
);
CREATE TABLE operator_link (
    hash        text    not null primary key,
    name        text    not null,
    name_folded text    not null,
    created     bigint  not null,
    expires     bigint  not null,
    used        bigint  not null default 0
);
CREATE TABLE operator_session (
    hash     text    not null primary key,
    operator text    not null references operator (id) on delete cascade,
    created  bigint  not null,
    expires  bigint  not null
);
CREATE TABLE provisioning_log (
    directory text not null,
    app text not null,
    time bigint not null,
    id text not null,
    object_id text not null,
    cycle text not null,
    action text not null,
    status text not null,
    search_text text not null,
    entry text not null,
    primary key (directory, app, time, id)
);
CREATE TABLE request_log (
    site         text    not null references site (id) on delete cascade,
    time         bigint  not null,
    id           text    not null,
    token        text    not null,
    token_last4  text    not null,
    method       text    not null,
    path         text    not null,
    status       bigint  not null,
    duration     bigint  not null,
    user_name    text    not null,
    subject      text    not null,
    sentence     text    not null,
    fixes        text    not null,
    ignored      text    not null,
    remote       text    not null,
    result       text    not null,
    change       boolean not null,
    primary key (site, time, id)
);
CREATE TABLE resource (
    site          text    not null references site (id) on delete cascade,
    kind          text    not null,
    id            text    not null,
    seq           bigint  not null,
    version       bigint  not null,
    user_name     text,
    external_id   text    not null,
    display_name  text    not null,
    active        boolean not null,
    role          text    not null,
    created       bigint  not null,
    modified      bigint  not null,
    last_by       text    not null,
    last_via      text    not null,
    last_at       bigint  not null,
    last_text     text    not null,
    active_by     text    not null,
    active_via    text    not null,
    active_at     bigint  not null,
    role_by       text    not null,
    role_via      text    not null,
    role_at       bigint  not null,
    last_sign_in  bigint  not null,
    doc           text    not null, list text not null default '',
    primary key (site, id)
);
INSERT INTO "resource" VALUES('650fe29600d723c7e55d6cbd857a78cb','User','01a2258772a3730cb53a2f0f457f9f06',1,1,'kim@acme.example','','kim@acme.example',1,'Admin',1795925963427000,1795925963427000,'cli','sign-in',1795925963427000,'Created','','',0,'','',0,0,'{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"01a2258772a3730cb53a2f0f457f9f06","userName":"kim@acme.example","displayName":"kim@acme.example","userType":"Admin","active":true,"emails":[{"value":"kim@acme.example","type":"work","primary":true}],"meta":{"resourceType":"User","created":"2026-11-29T04:19:23.427Z","lastModified":"2026-11-29T04:19:23.427Z","version":"W/\"1\""}}','650fe29600d723c7e55d6cbd857a78cb/User');
CREATE TABLE resource_count (
    site    text    not null references site (id) on delete cascade,
    kind    text    not null,
    bucket  bigint  not null,
    shard   bigint  not null,
    n       bigint  not null,
    primary key (site, kind, bucket, shard)
);
INSERT INTO "resource_count" VALUES('650fe29600d723c7e55d6cbd857a78cb','User',0,0,1);
CREATE TABLE resource_unique (
    site      text    not null references site (id) on delete cascade,
    kind      text    not null,
    path      text    not null,
    value     text    not null,
    resource  text    not null,
    element   bigint  not null,
    primary key (site, kind, path, value)
);
CREATE TABLE resource_value (
    site      text    not null references site (id) on delete cascade,
    path      text    not null,
    value     text    not null,
    resource  text    not null,
    element   bigint  not null,
    primary key (site, path, value, resource, element)
);
INSERT INTO "resource_value" VALUES('650fe29600d723c7e55d6cbd857a78cb','emails.value','kim@acme.example','01a2258772a3730cb53a2f0f457f9f06',0);
CREATE TABLE signin_link (
    site    text    not null,
    hash    text    not null,
    kind    text    not null,
    person  text    not null,
    created bigint  not null,
    expires bigint  not null,
    used    bigint  not null default 0,
    primary key (site, hash)
);
INSERT INTO "signin_link" VALUES('650fe29600d723c7e55d6cbd857a78cb','b85a90f6f9d5810b24c4a04e41cb185a9299aa5324a6f3711aca69428575c88f','person','01a2258772a3730cb53a2f0f457f9f06',1795925963453406,1795926863453406,0);
CREATE TABLE signing_key (
    name     text    not null primary key,
    secret   text    not null,
    created  bigint  not null
);
CREATE TABLE site (
    id            text    not null primary key,
    name          text    not null unique,
    profile       text    not null,
    scim_enabled  boolean not null,
    manage_roles  boolean not null,
    strict        boolean not null,
    matches       text    not null,
    created       bigint  not null
, creates boolean not null default false, deletes text not null default 'refuse', groups_on boolean not null default false, rate_limit bigint not null default 0, schemas text not null default '', searchable text not null default '', revives boolean not null default false);
INSERT INTO "site" VALUES('650fe29600d723c7e55d6cbd857a78cb','acme','documented',1,0,0,'display-name-assertion',1795925963411716,0,'refuse',0,0,'','',0);
CREATE TABLE site_session (
    site     text    not null references site (id) on delete cascade,
    hash     text    not null,
    person   text    not null,
    created  bigint  not null,
    expires  bigint  not null,
    primary key (site, hash)
);
CREATE TABLE token (
    site             text    not null references site (id) on delete cascade,
    id               text    not null,
    hash             text    not null,
    name             text    not null,
    last4            text    not null,
    created_by       text    not null,
    created          bigint  not null,
    expires          bigint  not null,
    revoked          bigint  not null,
    replaces_on_use  text    not null,
    last_used        bigint  not null,
    last_from        text    not null,
    primary key (site, id)
);
INSERT INTO "token" VALUES('650fe29600d723c7e55d6cbd857a78cb','3bd0e1c1fb5c802c7e3b4966bc82e842','f4672b63ea835e1e3ac383366ef74b642a90b4393f9b95f96d6bc1d07dedb7e7','','CmyH','cli',1795925963481586,0,0,'',0,'');
CREATE TABLE token_form (
    site    text    not null references site (id) on delete cascade,
    number  text    not null,
    used    bigint  not null,
    primary key (site, number)
);
CREATE TABLE value_index (
    site      text    not null references site (id) on delete cascade,
    id        text    not null,
    kind      text    not null,
    complete  boolean not null,
    seq       bigint  not null,
    resource  text    not null,
    done      bigint  not null,
    primary key (site, id)
);
CREATE INDEX event_scope on event (scope_kind, scope_id, tx, seq);
CREATE INDEX event_subject on event (scope_kind, scope_id, subject, tx, seq) where subject <> '';
CREATE INDEX lease_next on lease (kind, next_at);
CREATE UNIQUE INDEX token_hash on token (site, hash);
CREATE INDEX request_log_change on request_log (site, time, id) where change;
CREATE UNIQUE INDEX resource_user_name on resource (site, user_name);
CREATE INDEX resource_external_id on resource (site, external_id) where external_id <> '';
CREATE INDEX resource_display_name on resource (site, display_name) where display_name <> '';
CREATE INDEX resource_role on resource (site, role, active) where role in ('Moderator', 'Admin');
CREATE INDEX membership_member on membership (site, member, group_id);
CREATE UNIQUE INDEX identity_person on identity (site, person);
CREATE INDEX site_session_person on site_session (site, person);
CREATE INDEX operator_link_name on operator_link (name_folded);
CREATE INDEX operator_session_operator on operator_session (operator);
CREATE UNIQUE INDEX directory_user_upn on directory_user (directory, upn_folded) where deleted = 0;
CREATE INDEX directory_user_deleted_upn on directory_user (directory, upn_folded, deleted) where deleted > 0;
CREATE INDEX directory_user_list on directory_user (directory, sort_key, object_id, deleted, account_enabled, search_text);
CREATE INDEX directory_user_manager on directory_user (directory, manager) where manager > '';
CREATE UNIQUE INDEX directory_application_name on directory_application (directory, name_folded);
CREATE INDEX directory_assignment_user on directory_assignment (directory, object_id, application);
CREATE UNIQUE INDEX job_link_target on job_link (directory, app, target_id);
CREATE INDEX job_escrow_next on job_escrow (directory, app, next_at);
CREATE UNIQUE INDEX provisioning_log_id on provisioning_log (directory, app, id);
CREATE INDEX provisioning_log_object on provisioning_log (directory, app, object_id, time);
CREATE INDEX resource_list on resource (list, seq, id, active, role, last_sign_in);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('migration',11);
INSERT INTO "sqlite_sequence" VALUES('event',12);
COMMIT;
