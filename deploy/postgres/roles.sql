-- Two roles for Questwatch, each with no more than it needs. For the default table names; run it by the tables' owner or another
-- who may grant on them and create roles, after `questwatch setup`, and again whenever something in it has changed:
--
--   psql -v ON_ERROR_STOP=1 -f roles.sql "$DSN"
--
-- Then give them passwords (\password questwatch_read), or another way to log in. `run` takes both:
--
--   postgres: {dsn: postgres://questwatch_read@db.example/site}
--   repair:   {dsn: postgres://questwatch_repair@db.example/site}
--
-- Without the second everything but repairing works. Neither may change what is published: the owner runs once what the README
-- lists under "Watch your own database", and `run` is given postgres.setup: false.
BEGIN;

DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'questwatch_read') THEN
    CREATE ROLE questwatch_read LOGIN REPLICATION;
  END IF;
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'questwatch_repair') THEN
    CREATE ROLE questwatch_repair LOGIN;
  END IF;
END
$$;

-- What both read. Texts that people wrote stay where they are, titles aside. With postgres.columns: all the first role needs
-- SELECT on the whole of the three tables.
GRANT USAGE ON SCHEMA public, questwatch TO questwatch_read, questwatch_repair;
GRANT SELECT (id, title, status, assigned_to_id, is_deleted, created_at, updated_at, completed_at)
  ON public.quests_quest TO questwatch_read, questwatch_repair;
GRANT SELECT (id, quest_id, applicant_id, status, applied_at, reviewed_at)
  ON public.applications_application TO questwatch_read, questwatch_repair;
GRANT SELECT (id, quest_id, user_id, status, joined_at)
  ON public.quests_questparticipant TO questwatch_read, questwatch_repair;
GRANT SELECT (id, username) ON public.users_user TO questwatch_read, questwatch_repair;
GRANT SELECT ON ALL TABLES IN SCHEMA questwatch TO questwatch_read, questwatch_repair;

-- What a repair writes: a participant, and who a quest is assigned to and how it stands. The rows of a quest are locked by
-- questwatch.hold, with the rights of who ran setup.
GRANT UPDATE (status, assigned_to_id, updated_at) ON public.quests_quest TO questwatch_repair;
GRANT INSERT (quest_id, user_id, status, joined_at, progress_notes) ON public.quests_questparticipant TO questwatch_repair;
GRANT EXECUTE ON FUNCTION questwatch.hold(bigint) TO questwatch_repair;

-- The journal and the brakes are added to, and by nobody changed. Numbers, times and transactions are the database's to say.
GRANT INSERT (namespace, instance, finding, rule, cause, action, quest, person, actor, reason, automatic, violated, undoes, rows)
  ON questwatch.repair TO questwatch_repair;
GRANT INSERT (namespace, halted, actor, reason, ends) ON questwatch.brake TO questwatch_repair;

-- For `repair undo`; leave these out and what was created stays. The whole row is read so that nobody's work on it is deleted:
-- of columns that it may not read, undo does not know whether they were changed.
GRANT DELETE, SELECT ON public.quests_questparticipant TO questwatch_repair;

-- For repair.reactivate, and to undo it.
GRANT UPDATE (status) ON public.quests_questparticipant TO questwatch_repair;

COMMIT;
