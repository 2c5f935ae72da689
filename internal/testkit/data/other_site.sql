-- Another site's tables: integer user ids, other names, a schema that needs quotes, other words, several of them for one
-- role, and no column for a title or for when somebody applied. Load into an empty database; other_site.yaml says what is what.
CREATE SCHEMA "My App";
CREATE TABLE "My App".people (uid integer PRIMARY KEY, login text NOT NULL);
CREATE TABLE "My App"."Task" (
  task_id integer PRIMARY KEY, state text NOT NULL, "owner" integer, gone boolean NOT NULL DEFAULT false, touched timestamp
);
CREATE TABLE "My App".bids (bid_id serial PRIMARY KEY, task integer NOT NULL, bidder integer NOT NULL, state text NOT NULL);
CREATE TABLE "My App".members (
  id serial PRIMARY KEY, task integer NOT NULL, person integer NOT NULL, state text NOT NULL, note varchar(10) NOT NULL, since timestamp
);
INSERT INTO "My App".people VALUES (7, 'Bob'), (8, 'alice'), (9, 'Zoë');
