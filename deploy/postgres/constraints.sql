-- Constraints that let the database refuse what Questwatch would otherwise find. They are optional: Questwatch needs none of
-- them, and they do not take its place (see "What they cannot catch").
--
-- For the default table names. Every section stands alone, may be applied again, and says how to remove it. Statements are
-- sent one by one, not in a transaction (CREATE INDEX CONCURRENTLY), by the tables' owner:
--
--   sed -n '/^-- section 2.1:/,/^-- end of 2.1$/p' constraints.sql | psql -v ON_ERROR_STOP=1 "$DSN"     # one section
--   psql -v ON_ERROR_STOP=1 -f constraints.sql "$DSN"                                                  # all of them
--
-- What they refuse of what the application does today, where approve, kick and leave are one transaction each:
--
--   1.1 1.3 1.4   nothing
--   1.2           the approval of somebody who was approved, left, and applied again (leaving lets the application stand)
--   2.1           nothing
--   2.2           join without application; every approval on a quest whose last participant was kicked (the status stays open)
--   2.3           unassign while somebody takes part
--   2.4           join without application
--   2.5           unassign while somebody takes part
--   3             nothing
--
-- Apply 2.2 to 2.5 when those workflows have been mended, not before: people get an error in the place of drift. The application
-- as it was before its fix, one transaction a statement, cannot approve anything under 2.1, which is what 2.1 is for.
--
-- The refusal of a section 2 trigger is a check_violation (23514) at COMMIT, in Django an IntegrityError out of the outermost
-- atomic block, with the trigger's name as the constraint's name. deploy/django reports it to Questwatch.
--
-- What they cost. Approvals as the application writes them, six statements in a transaction, by two clients on tables of 20,000
-- quests; Postgres 15 with fsync off, so that nothing hides the cost; 80 interleaved rounds of 100 approvals on two cores that
-- had much else to do; medians of the ratio to a database without any, 560 approvals a second, in the same round:
--
--   sections        approvals/s    the server's CPU time for one
--   1                   0.98            1.07
--   2.1                 0.84            1.19
--   1 and 2             0.72            1.51
--   1, 2 and 3          0.74            1.59
--
--   go test ./deploy/postgres -run '^$' -bench Approvals -benchtime 80x
--
-- What they cannot catch:
--   - Two READ COMMITTED transactions that commit at the same time. COMMIT judges before others can see what it commits, so each
--     sees the other's rows as they were: one takes part (the quest is in progress), the other releases the quest (nobody takes
--     part), both are right, both commit, and the quest is open with a participant. Where both write the quest's row, as approve
--     does, one waits for the other and is refused. Section 3 makes them wait always; SERIALIZABLE for all writers refuses it too.
--   - Drift that is there already: only writes are looked at.
--   - A participant that is deleted or dropped later. That is what leaving and kicking look like.
--   - An approval that a stale save undoes (approved to pending), a wrong assignee, a quest in progress with nobody in it.
--   - An approval that failed as a whole: nothing is written.
--   - Whoever goes round triggers: TRUNCATE, session_replication_role = replica, ALTER TABLE ... DISABLE TRIGGER.
-- Soft-deleted quests are left alone, as the checker leaves them. One that is restored is looked at by 2.3 and 2.5.


-- section 1.1: one participant row of a quest and a user
-- Django makes this constraint itself, by this name; where it is, nothing happens. Duplicate rows must go first: with any,
-- the index is not made, and the section can be applied again.
-- remove, if it is not Django's: ALTER TABLE public.quests_questparticipant DROP CONSTRAINT quests_questparticipant_quest_id_user_id_102f66b3_uniq;
SET lock_timeout = '2s';
DO $$
BEGIN -- what a CREATE INDEX CONCURRENTLY that failed has left
  IF EXISTS (SELECT FROM pg_index WHERE NOT indisvalid
      AND indexrelid = to_regclass('public.quests_questparticipant_quest_id_user_id_102f66b3_uniq')) THEN
    DROP INDEX public.quests_questparticipant_quest_id_user_id_102f66b3_uniq;
  END IF;
END $$;
SET lock_timeout = 0;
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS quests_questparticipant_quest_id_user_id_102f66b3_uniq
  ON public.quests_questparticipant (quest_id, user_id);
SET lock_timeout = '2s';
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'public.quests_questparticipant'::regclass
      AND conname = 'quests_questparticipant_quest_id_user_id_102f66b3_uniq') THEN
    ALTER TABLE public.quests_questparticipant ADD CONSTRAINT quests_questparticipant_quest_id_user_id_102f66b3_uniq
      UNIQUE USING INDEX quests_questparticipant_quest_id_user_id_102f66b3_uniq;
  END IF;
END $$;
RESET lock_timeout;
-- end of 1.1


-- section 1.2: at most one approved application of a quest and a user
-- People may apply again, so only approved ones count. Nothing is deferred: the second approval is refused where it is written.
-- remove: DROP INDEX CONCURRENTLY IF EXISTS public.questwatch_one_approval;
SET lock_timeout = '2s';
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_index WHERE NOT indisvalid AND indexrelid = to_regclass('public.questwatch_one_approval')) THEN
    DROP INDEX public.questwatch_one_approval;
  END IF;
END $$;
SET lock_timeout = 0;
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS questwatch_one_approval
  ON public.applications_application (quest_id, applicant_id) WHERE status = 'approved';
RESET lock_timeout;
-- end of 1.2


-- section 1.3: the foreign keys that Questwatch's rules rely on
-- Django makes them, and those that are there are let be. A new one holds for new rows at once, for old rows when it is
-- validated, which reads the table without keeping writers out. Rows that point to nothing must be mended for that; then
-- apply the section again.
-- remove, those that are not Django's: ALTER TABLE public.quests_questparticipant DROP CONSTRAINT quests_questparticipant_quest_id_e4df2918_fk_quests_quest_id;
-- remove: ALTER TABLE public.quests_questparticipant DROP CONSTRAINT quests_questparticipant_user_id_c4587c84_fk_users_user_id;
-- remove: ALTER TABLE public.applications_application DROP CONSTRAINT applications_application_quest_id_a8fd4feb_fk_quests_quest_id;
-- remove: ALTER TABLE public.applications_application DROP CONSTRAINT applications_application_applicant_id_bad0be99_fk_users_user_id;
-- remove: ALTER TABLE public.quests_quest DROP CONSTRAINT quests_quest_assigned_to_id_85a83c8e_fk_users_user_id;
SET lock_timeout = '2s';
DO $$
DECLARE
  k record;
BEGIN
  FOR k IN
    SELECT v.* FROM (VALUES
      ('public.quests_questparticipant'::regclass, 'quest_id', 'public.quests_quest'::regclass,
        'quests_questparticipant_quest_id_e4df2918_fk_quests_quest_id'),
      ('public.quests_questparticipant', 'user_id', 'public.users_user',
        'quests_questparticipant_user_id_c4587c84_fk_users_user_id'),
      ('public.applications_application', 'quest_id', 'public.quests_quest',
        'applications_application_quest_id_a8fd4feb_fk_quests_quest_id'),
      ('public.applications_application', 'applicant_id', 'public.users_user',
        'applications_application_applicant_id_bad0be99_fk_users_user_id'),
      ('public.quests_quest', 'assigned_to_id', 'public.users_user',
        'quests_quest_assigned_to_id_85a83c8e_fk_users_user_id')) AS v (tab, col, target, name)
    JOIN pg_attribute a ON a.attrelid = v.tab AND a.attname = v.col
    WHERE NOT EXISTS (SELECT FROM pg_constraint c
      WHERE c.contype = 'f' AND c.conrelid = v.tab AND c.confrelid = v.target AND c.conkey = ARRAY[a.attnum])
  LOOP
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %s (id) DEFERRABLE INITIALLY DEFERRED NOT VALID',
      k.tab, k.name, k.col, k.target);
  END LOOP;
END $$;
DO $$
DECLARE
  k record;
BEGIN
  FOR k IN
    SELECT conrelid::regclass AS tab, conname AS name FROM pg_constraint WHERE contype = 'f' AND NOT convalidated
      AND conrelid IN ('public.quests_questparticipant'::regclass, 'public.applications_application'::regclass, 'public.quests_quest'::regclass)
  LOOP
    EXECUTE format('ALTER TABLE %s VALIDATE CONSTRAINT %I', k.tab, k.name);
  END LOOP;
END $$;
RESET lock_timeout;
-- end of 1.3


-- section 1.4: the statuses are words that somebody knows
-- For every row that is written from now on, old ones included. Add what your installation has besides, and remove the
-- constraint before the application learns a new word. VALIDATE CONSTRAINT checks the rest whenever you like.
-- remove: ALTER TABLE public.quests_quest DROP CONSTRAINT IF EXISTS questwatch_quest_status;
-- remove: ALTER TABLE public.applications_application DROP CONSTRAINT IF EXISTS questwatch_application_status;
-- remove: ALTER TABLE public.quests_questparticipant DROP CONSTRAINT IF EXISTS questwatch_participant_status;
SET lock_timeout = '2s';
DO $$
DECLARE
  k record;
BEGIN
  FOR k IN
    SELECT v.* FROM (VALUES
      ('public.quests_quest'::regclass, 'questwatch_quest_status', '{open,in-progress,completed}'::text[]),
      ('public.applications_application', 'questwatch_application_status', '{pending,approved,rejected,kicked}'),
      ('public.quests_questparticipant', 'questwatch_participant_status', '{joined,in_progress,completed,dropped}')
    ) AS v (tab, name, words)
    WHERE NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = v.tab AND c.conname = v.name)
  LOOP
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (status = ANY (%L::text[])) NOT VALID', k.tab, k.name, k.words);
  END LOOP;
END $$;
RESET lock_timeout;
-- end of 1.4


-- section 2.1: who is approved takes part
-- Fires only where an application becomes approved, so that leaving, which deletes the participant and lets the application
-- stand, is not refused, nor any later save of that application. A participant who has dropped out does not count: whoever
-- is approved again after a kick must have been taken in again.
-- remove: DROP TRIGGER IF EXISTS questwatch_approved_takes_part ON public.applications_application;
-- remove: DROP FUNCTION IF EXISTS public.questwatch_approved_takes_part();
SET lock_timeout = '2s';
CREATE OR REPLACE FUNCTION public.questwatch_approved_takes_part() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.status = 'approved' AND OLD.quest_id = NEW.quest_id AND OLD.applicant_id = NEW.applicant_id THEN
    RETURN NULL;
  END IF;
  -- Judged is the row as it is now, at the end: NEW is what one statement left.
  IF EXISTS (SELECT FROM public.applications_application a JOIN public.quests_quest q ON q.id = a.quest_id
      WHERE a.id = NEW.id AND a.status = 'approved' AND NOT q.is_deleted
      AND NOT EXISTS (SELECT FROM public.quests_questparticipant p
        WHERE p.quest_id = a.quest_id AND p.user_id = a.applicant_id AND p.status <> 'dropped')) THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME,
      MESSAGE = format('application %s is approved, but its applicant takes no part in quest %s', NEW.id, NEW.quest_id);
  END IF;
  RETURN NULL;
END $$;
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.applications_application'::regclass
      AND tgname = 'questwatch_approved_takes_part') THEN
    CREATE CONSTRAINT TRIGGER questwatch_approved_takes_part AFTER INSERT OR UPDATE ON public.applications_application
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status = 'approved')
      EXECUTE FUNCTION public.questwatch_approved_takes_part();
  END IF;
END $$;
RESET lock_timeout;
-- end of 2.1


-- section 2.2: nobody comes to take part in an open quest
-- remove: DROP TRIGGER IF EXISTS questwatch_participant_in_open_quest ON public.quests_questparticipant;
-- remove: DROP FUNCTION IF EXISTS public.questwatch_participant_in_open_quest();
SET lock_timeout = '2s';
CREATE OR REPLACE FUNCTION public.questwatch_participant_in_open_quest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.status <> 'dropped' AND OLD.quest_id = NEW.quest_id THEN
    RETURN NULL; -- took part before
  END IF;
  IF EXISTS (SELECT FROM public.quests_questparticipant p JOIN public.quests_quest q ON q.id = p.quest_id
      WHERE p.id = NEW.id AND p.status <> 'dropped' AND q.status = 'open' AND NOT q.is_deleted) THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME,
      MESSAGE = format('participant %s takes part in quest %s, which is open', NEW.id, NEW.quest_id);
  END IF;
  RETURN NULL;
END $$;
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.quests_questparticipant'::regclass
      AND tgname = 'questwatch_participant_in_open_quest') THEN
    CREATE CONSTRAINT TRIGGER questwatch_participant_in_open_quest AFTER INSERT OR UPDATE ON public.quests_questparticipant
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status <> 'dropped')
      EXECUTE FUNCTION public.questwatch_participant_in_open_quest();
  END IF;
END $$;
RESET lock_timeout;
-- end of 2.2


-- section 2.3: a quest in which somebody takes part does not become open
-- The other side of 2.2. It also refuses a stale save that would write the old status over an approval.
-- remove: DROP TRIGGER IF EXISTS questwatch_open_quest_with_participants ON public.quests_quest;
-- remove: DROP FUNCTION IF EXISTS public.questwatch_open_quest_with_participants();
SET lock_timeout = '2s';
CREATE OR REPLACE FUNCTION public.questwatch_open_quest_with_participants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status = 'open' AND NOT OLD.is_deleted THEN
    RETURN NULL; -- was open before
  END IF;
  IF EXISTS (SELECT FROM public.quests_quest q JOIN public.quests_questparticipant p ON p.quest_id = q.id
      WHERE q.id = NEW.id AND q.status = 'open' AND NOT q.is_deleted AND p.status <> 'dropped') THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME,
      MESSAGE = format('quest %s is open, but somebody takes part in it', NEW.id);
  END IF;
  RETURN NULL;
END $$;
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.quests_quest'::regclass
      AND tgname = 'questwatch_open_quest_with_participants') THEN
    CREATE CONSTRAINT TRIGGER questwatch_open_quest_with_participants AFTER UPDATE ON public.quests_quest
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status = 'open' AND NOT NEW.is_deleted)
      EXECUTE FUNCTION public.questwatch_open_quest_with_participants();
  END IF;
END $$;
RESET lock_timeout;
-- end of 2.3


-- section 2.4: nobody comes to take part in a quest that is assigned to nobody
-- remove: DROP TRIGGER IF EXISTS questwatch_participant_in_unassigned_quest ON public.quests_questparticipant;
-- remove: DROP FUNCTION IF EXISTS public.questwatch_participant_in_unassigned_quest();
SET lock_timeout = '2s';
CREATE OR REPLACE FUNCTION public.questwatch_participant_in_unassigned_quest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.status <> 'dropped' AND OLD.quest_id = NEW.quest_id THEN
    RETURN NULL; -- took part before
  END IF;
  IF EXISTS (SELECT FROM public.quests_questparticipant p JOIN public.quests_quest q ON q.id = p.quest_id
      WHERE p.id = NEW.id AND p.status <> 'dropped' AND q.assigned_to_id IS NULL AND NOT q.is_deleted) THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME,
      MESSAGE = format('participant %s takes part in quest %s, which is assigned to nobody', NEW.id, NEW.quest_id);
  END IF;
  RETURN NULL;
END $$;
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.quests_questparticipant'::regclass
      AND tgname = 'questwatch_participant_in_unassigned_quest') THEN
    CREATE CONSTRAINT TRIGGER questwatch_participant_in_unassigned_quest AFTER INSERT OR UPDATE ON public.quests_questparticipant
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status <> 'dropped')
      EXECUTE FUNCTION public.questwatch_participant_in_unassigned_quest();
  END IF;
END $$;
RESET lock_timeout;
-- end of 2.4


-- section 2.5: a quest in which somebody takes part does not lose its assignee
-- The other side of 2.4.
-- remove: DROP TRIGGER IF EXISTS questwatch_unassigned_quest_with_participants ON public.quests_quest;
-- remove: DROP FUNCTION IF EXISTS public.questwatch_unassigned_quest_with_participants();
SET lock_timeout = '2s';
CREATE OR REPLACE FUNCTION public.questwatch_unassigned_quest_with_participants() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.assigned_to_id IS NULL AND NOT OLD.is_deleted THEN
    RETURN NULL; -- had none before
  END IF;
  IF EXISTS (SELECT FROM public.quests_quest q JOIN public.quests_questparticipant p ON p.quest_id = q.id
      WHERE q.id = NEW.id AND q.assigned_to_id IS NULL AND NOT q.is_deleted AND p.status <> 'dropped') THEN
    RAISE EXCEPTION USING ERRCODE = 'check_violation', SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME, CONSTRAINT = TG_NAME,
      MESSAGE = format('quest %s is assigned to nobody, but somebody takes part in it', NEW.id);
  END IF;
  RETURN NULL;
END $$;
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.quests_quest'::regclass
      AND tgname = 'questwatch_unassigned_quest_with_participants') THEN
    CREATE CONSTRAINT TRIGGER questwatch_unassigned_quest_with_participants AFTER UPDATE ON public.quests_quest
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.assigned_to_id IS NULL AND NOT NEW.is_deleted)
      EXECUTE FUNCTION public.questwatch_unassigned_quest_with_participants();
  END IF;
END $$;
RESET lock_timeout;
-- end of 2.5


-- section 3: one after the other
-- Makes section 2 hold between READ COMMITTED transactions too. Before it judges, a transaction that approves locks the
-- participant, and one that comes to take part locks the quest, against whoever is about to change it: it waits at COMMIT
-- until the other one is through, and then sees what that did. Whoever waits can deadlock; Postgres then ends one of the two, as
-- it does today where two approvals of a quest meet.
-- remove: DROP TRIGGER IF EXISTS questwatch_0_lock_participant ON public.applications_application;
-- remove: DROP TRIGGER IF EXISTS questwatch_0_lock_quest ON public.quests_questparticipant;
-- remove: DROP FUNCTION IF EXISTS public.questwatch_0_lock_participant();
-- remove: DROP FUNCTION IF EXISTS public.questwatch_0_lock_quest();
SET lock_timeout = '2s';
CREATE OR REPLACE FUNCTION public.questwatch_0_lock_participant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' OR OLD.status <> 'approved' OR OLD.quest_id <> NEW.quest_id OR OLD.applicant_id <> NEW.applicant_id THEN
    PERFORM FROM public.quests_questparticipant WHERE quest_id = NEW.quest_id AND user_id = NEW.applicant_id FOR SHARE;
  END IF;
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION public.questwatch_0_lock_quest() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' OR OLD.status = 'dropped' OR OLD.quest_id <> NEW.quest_id THEN
    PERFORM FROM public.quests_quest WHERE id = NEW.quest_id FOR SHARE;
  END IF;
  RETURN NULL;
END $$;
-- Triggers of one event fire in the order of their names: 0 comes first.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.applications_application'::regclass
      AND tgname = 'questwatch_0_lock_participant') THEN
    CREATE CONSTRAINT TRIGGER questwatch_0_lock_participant AFTER INSERT OR UPDATE ON public.applications_application
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status = 'approved')
      EXECUTE FUNCTION public.questwatch_0_lock_participant();
  END IF;
  IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'public.quests_questparticipant'::regclass
      AND tgname = 'questwatch_0_lock_quest') THEN
    CREATE CONSTRAINT TRIGGER questwatch_0_lock_quest AFTER INSERT OR UPDATE ON public.quests_questparticipant
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status <> 'dropped')
      EXECUTE FUNCTION public.questwatch_0_lock_quest();
  END IF;
END $$;
RESET lock_timeout;
-- end of 3
