-- +goose Up
-- A recipient gets mail about a directory, or about one application of it (application <> ''). topics is a list such as "held late".
-- last_sent, failing, stopped = 0: not. next_try is the earliest time of the next mail.
create table notification_recipient (
    directory   text   not null references directory (id),
    application text   not null,
    id          text   not null,
    address     text   not null,
    folded      text   not null,
    topics      text   not null,
    added_by    text   not null,
    added       bigint not null,
    last_sent   bigint not null,
    next_try    bigint not null,
    failing     bigint not null,
    failures    bigint not null,
    error       text   not null,
    stopped     bigint not null,
    primary key (directory, application, id)
);

create unique index notification_recipient_address on notification_recipient (directory, application, folded);

-- A message waits until it is sent to its recipient.
create table notification_message (
    directory   text   not null references directory (id),
    application text   not null,
    recipient   text   not null,
    time        bigint not null,
    id          text   not null,
    event       text   not null,
    about       text   not null,
    text        text   not null,
    primary key (directory, application, recipient, time, id)
);

alter table operator_key add column told_expiry bigint not null default 0;
