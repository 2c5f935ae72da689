-- Schema questwatch, version @version@: the journal of repairs, the brakes, and the function that locks a quest. It may be run
-- again at any time. It creates only, and touches no table of the application. Run it as a role that may lock the rows of the
-- application's tables, such as their owner: the function locks with that role's rights.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
DECLARE
  there integer;
BEGIN
  PERFORM pg_advisory_xact_lock(@lock@, 0); -- two of these at once would both find nothing
  IF to_regclass('questwatch.version') IS NOT NULL THEN
    SELECT max(version) INTO there FROM questwatch.version;
    IF there > @version@ THEN
      RAISE EXCEPTION 'schema questwatch is of version %, later than version @version@', there USING ERRCODE = '@later@';
    END IF;
  END IF;
END
$$;

CREATE SCHEMA IF NOT EXISTS questwatch;

CREATE TABLE IF NOT EXISTS questwatch.version (
  version integer PRIMARY KEY,
  made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One row is one repair, or the undoing of one. rows has the images: the written columns of each row before and after.
CREATE TABLE IF NOT EXISTS questwatch.repair (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  xid       xid8 NOT NULL DEFAULT pg_current_xact_id(),
  namespace text NOT NULL,
  instance  text NOT NULL,
  finding   text NOT NULL,
  rule      text NOT NULL,
  cause     text NOT NULL,
  action    text NOT NULL,
  quest     bigint NOT NULL,
  person    text NOT NULL, -- '' for a rule about the whole quest
  actor     text NOT NULL,
  reason    text NOT NULL,
  automatic boolean NOT NULL,
  violated  timestamptz,   -- when the violation was committed, where the stream saw it
  undoes    bigint UNIQUE REFERENCES questwatch.repair,
  rows      jsonb NOT NULL
);
-- Whoever tries, and however often: a finding is repaired once.
CREATE UNIQUE INDEX IF NOT EXISTS repair_finding ON questwatch.repair (namespace, finding) WHERE undoes IS NULL;
CREATE INDEX IF NOT EXISTS repair_quest ON questwatch.repair (quest);

-- One row is a stop of automatic repairs, or, with ends, the end of one.
CREATE TABLE IF NOT EXISTS questwatch.brake (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  namespace text NOT NULL,
  halted    boolean NOT NULL, -- by the program, not by a person
  actor     text NOT NULL,
  reason    text NOT NULL,
  ends      bigint UNIQUE REFERENCES questwatch.brake
);

CREATE OR REPLACE FUNCTION questwatch.append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'questwatch.% is only ever added to', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON questwatch.repair
  FOR EACH STATEMENT EXECUTE FUNCTION questwatch.append_only();
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON questwatch.brake
  FOR EACH STATEMENT EXECUTE FUNCTION questwatch.append_only();

-- Locks a quest and its applications and participants for the caller's transaction. A role that repairs needs no right to
-- change applications by this, and their inserts wait too: those lock the quest's row for their foreign key.
CREATE OR REPLACE FUNCTION questwatch.hold(quest bigint) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS @hold@;
REVOKE ALL ON FUNCTION questwatch.hold(bigint) FROM PUBLIC;
DO $$
BEGIN
  PERFORM questwatch.hold(NULL); -- fails here, and not at the first repair, if its owner may not lock
END
$$;

INSERT INTO questwatch.version (version) VALUES (@version@) ON CONFLICT DO NOTHING;
COMMIT;
