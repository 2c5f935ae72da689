-- One quest or more for each rule and for each thing that looks like one, beside AUDIT-001. Foreign keys are not checked:
-- quest 99 does not exist.
BEGIN;
SET LOCAL session_replication_role = replica;
INSERT INTO quests_quest (id,title,description,difficulty,status,xp_reward,gold_reward,commission_fee,created_at,updated_at,due_date,completed_at,requirements,resources,slug,is_deleted,assigned_to_id,creator_id,category_id)
  SELECT id, title, '', 'initiate', status, 25, 0, 0, at, at, NULL, NULL, '', '', 'q-'||id, deleted, assigned, '483ab258-e434-44f3-9da2-73409dd55f55', 2
  FROM (VALUES
    (21, 'Joined without applying',  'in-progress', false, '11111111-1111-4111-8111-111111111111'::uuid, '2025-07-01T08:00:00Z'::timestamptz),
    (22, 'Kicked',                   'open',        false, NULL,                                        '2025-07-01T09:00:00Z'),
    (23, 'Status stayed open',       'open',        false, '33333333-3333-4333-8333-333333333333',      '2025-07-01T10:00:00Z'),
    (24, 'Twice the same',           'in-progress', false, '33333333-3333-4333-8333-333333333333',      '2025-07-01T11:00:00Z'),
    (25, 'The assignee was kicked',  'in-progress', false, '22222222-2222-4222-8222-222222222222',      '2025-07-01T12:00:00Z'),
    (26, 'Assigned to a stranger',   'in-progress', false, '483ab258-e434-44f3-9da2-73409dd55f55',      '2025-07-01T13:00:00Z'),
    (27, 'Nobody is left',           'in-progress', false, NULL,                                        '2025-07-01T14:00:00Z'),
    (28, 'Dropped out',              'open',        false, NULL,                                        '2025-07-01T15:00:00Z'),
    (29, 'Half completed',           'completed',   false, '33333333-3333-4333-8333-333333333333',      '2025-07-01T16:00:00Z'),
    (30, 'Deleted softly',           'open',        true,  NULL,                                        '2025-07-01T17:00:00Z'),
    (31, 'Handed to a stranger',     'open',        false, '483ab258-e434-44f3-9da2-73409dd55f55',      '2025-07-01T18:00:00Z')
  ) AS q (id, title, status, deleted, assigned, at);
INSERT INTO applications_application (id,status,applied_at,reviewed_at,applicant_id,quest_id,reviewed_by_id)
  SELECT id, status, '2025-07-02T08:00:00Z', '2025-07-02T09:00:00Z', applicant, quest, '483ab258-e434-44f3-9da2-73409dd55f55'
  FROM (VALUES
    (21, 'kicked',   22, '22222222-2222-4222-8222-222222222222'::uuid),
    (22, 'approved', 23, '33333333-3333-4333-8333-333333333333'),
    (23, 'approved', 24, '33333333-3333-4333-8333-333333333333'),
    (24, 'approved', 25, '11111111-1111-4111-8111-111111111111'),
    (25, 'kicked',   25, '22222222-2222-4222-8222-222222222222'),
    (26, 'approved', 26, '11111111-1111-4111-8111-111111111111'),
    (27, 'kicked',   27, '22222222-2222-4222-8222-222222222222'),
    (28, 'approved', 28, '22222222-2222-4222-8222-222222222222'),
    (29, 'approved', 29, '33333333-3333-4333-8333-333333333333'),
    (30, 'approved', 29, '11111111-1111-4111-8111-111111111111'),
    (31, 'approved', 30, '11111111-1111-4111-8111-111111111111'),
    (32, 'approved', 99, '11111111-1111-4111-8111-111111111111'),
    (33, 'pending',  99, '22222222-2222-4222-8222-222222222222'),
    (34, 'approved', 31, '11111111-1111-4111-8111-111111111111')
  ) AS a (id, status, quest, applicant);
INSERT INTO quests_questparticipant (id,status,joined_at,completed_at,progress_notes,application_id,application_date,application_message,review_notes,reviewed_at,quest_id,user_id)
  SELECT id, status, '2025-07-02T09:00:00Z', NULL, '', NULL, NULL, '', '', NULL, quest, person
  FROM (VALUES
    (21, 'joined',      21, '11111111-1111-4111-8111-111111111111'::uuid),
    (22, 'dropped',     22, '22222222-2222-4222-8222-222222222222'),
    (23, 'joined',      23, '33333333-3333-4333-8333-333333333333'),
    (24, 'joined',      24, '33333333-3333-4333-8333-333333333333'),
    (25, 'dropped',     24, '33333333-3333-4333-8333-333333333333'),
    (26, 'joined',      25, '11111111-1111-4111-8111-111111111111'),
    (27, 'dropped',     25, '22222222-2222-4222-8222-222222222222'),
    (28, 'joined',      26, '11111111-1111-4111-8111-111111111111'),
    (29, 'dropped',     27, '22222222-2222-4222-8222-222222222222'),
    (30, 'dropped',     28, '22222222-2222-4222-8222-222222222222'),
    (31, 'joined',      29, '33333333-3333-4333-8333-333333333333'),
    (32, 'completed',   29, '11111111-1111-4111-8111-111111111111'),
    (33, 'joined',      30, '33333333-3333-4333-8333-333333333333'),
    (34, 'joined',      99, '11111111-1111-4111-8111-111111111111'),
    (35, 'joined',      31, '11111111-1111-4111-8111-111111111111')
  ) AS p (id, status, quest, person);
SELECT setval(pg_get_serial_sequence('quests_questparticipant','id'), 35);
COMMIT;
