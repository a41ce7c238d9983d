-- +goose Up
-- An endpoint that gets news about a directory, or about one application of it (application <> ''). secret and old_secret are sealed, in base64.
-- old_until, disabled, last_sent, failing = 0: not. stopped = 1: disabled because the endpoint took nothing for days.
create table webhook (
    directory   text   not null references directory (id),
    application text   not null,
    id          text   not null,
    url         text   not null,
    description text   not null,
    topics      text   not null,
    added_by    text   not null,
    added       bigint not null,
    secret      text   not null,
    old_secret  text   not null,
    old_until   bigint not null,
    form        text   not null,
    disabled    bigint not null,
    stopped     bigint not null,
    last_sent   bigint not null,
    failing     bigint not null,
    error       text   not null,
    primary key (directory, application, id)
);

-- The news about one event for one webhook: waiting, sent or failed. id is the webhook-id.
create table webhook_delivery (
    directory   text   not null references directory (id),
    application text   not null,
    webhook     text   not null,
    time        bigint not null,
    id          text   not null,
    event       text   not null,
    about       text   not null,
    text        text   not null,
    details     text   not null,
    state       text   not null,
    attempts    bigint not null,
    first_try   bigint not null,
    last_try    bigint not null,
    next_try    bigint not null,
    status      bigint not null,
    answer      text   not null,
    took        bigint not null,
    primary key (directory, application, webhook, time, id)
);

create index webhook_delivery_due on webhook_delivery (directory, application, webhook, next_try) where state = 'waiting';
