-- The AUDIT-001 scenario. Load after peerquest_schema.sql into an empty database.
-- 4 users, 11 quests, 11 approved applications, 8 participants.
-- Expected by the original command: users 4, applications 11, participants 8, issues 5
--   (3 approved without participant: q1+q2 student2, q3 student3; 2 assignment null: q8 -> student2, q4 -> student1).
-- After --fix-issues: participants 11, issues 0.
BEGIN;
INSERT INTO users_user (id,username,email,password,first_name,last_name,is_superuser,is_staff,is_active,date_joined,role,display_name,gender,location,social_links,settings,bio,level,is_admin,is_verified,verification_documents,preferred_language,timezone,notification_preferences,privacy_settings,email_verified,is_banned,two_factor_enabled,two_factor_method,backup_codes_generated,spending_limits) VALUES
  ('483ab258-e434-44f3-9da2-73409dd55f55','admin','admin@peerquest.test','!','','',true,true,true,'2025-06-20T08:00:00Z','admin','Admin','','','{}','{}','',1,true,true,'{}','en','UTC','{}','{}',true,false,false,'email',false,'{}'),
  ('11111111-1111-4111-8111-111111111111','student1','student1@peerquest.test','!','','',false,false,true,'2025-06-21T08:00:00Z','adventurer','Student1','','','{}','{}','',1,false,true,'{}','en','UTC','{}','{}',true,false,false,'email',false,'{}'),
  ('22222222-2222-4222-8222-222222222222','student2','student2@peerquest.test','!','','',false,false,true,'2025-06-22T08:00:00Z','adventurer','Student2','','','{}','{}','',1,false,true,'{}','en','UTC','{}','{}',true,false,false,'email',false,'{}'),
  ('33333333-3333-4333-8333-333333333333','student3','student3@peerquest.test','!','','',false,false,true,'2025-06-23T08:00:00Z','adventurer','Student3','','','{}','{}','',1,false,true,'{}','en','UTC','{}','{}',true,false,false,'email',false,'{}');
INSERT INTO quests_questcategory (id,name,description,created_at) VALUES (2,'Development','Programming work','2025-06-20T08:00:00Z') ON CONFLICT (id) DO NOTHING;
INSERT INTO quests_quest (id,title,description,difficulty,status,xp_reward,gold_reward,commission_fee,created_at,updated_at,due_date,completed_at,requirements,resources,slug,is_deleted,assigned_to_id,creator_id,category_id) VALUES
  (1,'Test 1','Test 1 description','initiate','open',25,0,0,'2025-06-28T09:00:00Z','2025-06-28T09:00:00Z',NULL,NULL,'','','test-1-0001',false,NULL,'483ab258-e434-44f3-9da2-73409dd55f55',2),
  (2,'Test 2','Test 2 description','initiate','open',25,0,0,'2025-06-28T09:30:00Z','2025-06-28T09:30:00Z',NULL,NULL,'','','test-2-0002',false,NULL,'483ab258-e434-44f3-9da2-73409dd55f55',2),
  (3,'Test 3 v2','Test 3 v2 description','initiate','open',25,0,0,'2025-06-28T10:00:00Z','2025-06-28T10:00:00Z',NULL,NULL,'','','test-3-v2-0003',false,NULL,'11111111-1111-4111-8111-111111111111',2),
  (4,'Test 4','Test 4 description','initiate','in-progress',25,0,0,'2025-06-28T10:30:00Z','2025-06-28T10:30:00Z',NULL,NULL,'','','test-4-0004',false,NULL,'22222222-2222-4222-8222-222222222222',2),
  (5,'Test 1.1','Test 1.1 description','initiate','in-progress',25,0,0,'2025-06-28T11:00:00Z','2025-06-28T11:00:00Z',NULL,NULL,'','','test-11-0005',false,'483ab258-e434-44f3-9da2-73409dd55f55','11111111-1111-4111-8111-111111111111',2),
  (6,'Test 5','Test 5 description','initiate','in-progress',25,0,0,'2025-06-28T11:30:00Z','2025-06-28T11:30:00Z',NULL,NULL,'','','test-5-0006',false,'11111111-1111-4111-8111-111111111111','483ab258-e434-44f3-9da2-73409dd55f55',2),
  (7,'Test 6','Test 6 description','initiate','in-progress',25,0,0,'2025-06-28T12:00:00Z','2025-06-28T12:00:00Z',NULL,NULL,'','','test-6-0007',false,'33333333-3333-4333-8333-333333333333','483ab258-e434-44f3-9da2-73409dd55f55',2),
  (8,'Test 123','Test 123 description','initiate','in-progress',25,0,0,'2025-06-29T09:00:00Z','2025-06-29T09:00:00Z',NULL,NULL,'','','test-123-0008',false,NULL,'33333333-3333-4333-8333-333333333333',2),
  (9,'Test 7','Test 7 description','initiate','completed',25,0,0,'2025-06-29T09:30:00Z','2025-07-01T15:00:00Z',NULL,'2025-07-01T15:00:00Z','','','test-7-0009',false,'11111111-1111-4111-8111-111111111111','22222222-2222-4222-8222-222222222222',2),
  (10,'Test 8','Test 8 description','initiate','completed',25,0,0,'2025-06-29T10:00:00Z','2025-07-01T15:30:00Z',NULL,'2025-07-01T15:30:00Z','','','test-8-0010',false,'33333333-3333-4333-8333-333333333333','22222222-2222-4222-8222-222222222222',2),
  (17,'Dummy 1','Dummy 1 description','initiate','in-progress',25,0,0,'2025-06-30T09:00:00Z','2025-06-30T09:00:00Z',NULL,NULL,'','','dummy-1-0017',false,'483ab258-e434-44f3-9da2-73409dd55f55','22222222-2222-4222-8222-222222222222',2);
INSERT INTO applications_application (id,status,applied_at,reviewed_at,applicant_id,quest_id,reviewed_by_id) VALUES
  (1,'approved','2025-07-01T12:50:00Z','2025-07-01T13:22:32Z','22222222-2222-4222-8222-222222222222',1,'483ab258-e434-44f3-9da2-73409dd55f55'),
  (2,'approved','2025-07-01T06:30:00Z','2025-07-01T06:51:18Z','22222222-2222-4222-8222-222222222222',2,'483ab258-e434-44f3-9da2-73409dd55f55'),
  (3,'approved','2025-07-01T12:40:00Z','2025-07-01T13:09:29Z','33333333-3333-4333-8333-333333333333',3,'11111111-1111-4111-8111-111111111111'),
  (4,'approved','2025-06-30T06:00:00Z','2025-06-30T07:00:00Z','11111111-1111-4111-8111-111111111111',4,'22222222-2222-4222-8222-222222222222'),
  (5,'approved','2025-06-30T06:10:00Z','2025-06-30T07:10:00Z','483ab258-e434-44f3-9da2-73409dd55f55',5,'11111111-1111-4111-8111-111111111111'),
  (6,'approved','2025-06-30T06:20:00Z','2025-06-30T07:20:00Z','11111111-1111-4111-8111-111111111111',6,'483ab258-e434-44f3-9da2-73409dd55f55'),
  (7,'approved','2025-06-30T06:30:00Z','2025-06-30T07:30:00Z','33333333-3333-4333-8333-333333333333',7,'483ab258-e434-44f3-9da2-73409dd55f55'),
  (8,'approved','2025-06-30T06:40:00Z','2025-06-30T07:40:00Z','22222222-2222-4222-8222-222222222222',8,'33333333-3333-4333-8333-333333333333'),
  (9,'approved','2025-06-30T06:50:00Z','2025-06-30T07:50:00Z','11111111-1111-4111-8111-111111111111',9,'22222222-2222-4222-8222-222222222222'),
  (10,'approved','2025-06-30T06:55:00Z','2025-06-30T07:55:00Z','33333333-3333-4333-8333-333333333333',10,'22222222-2222-4222-8222-222222222222'),
  (11,'approved','2025-06-30T10:00:00Z','2025-06-30T10:30:00Z','483ab258-e434-44f3-9da2-73409dd55f55',17,'22222222-2222-4222-8222-222222222222');
INSERT INTO quests_questparticipant (id,status,joined_at,completed_at,progress_notes,application_id,application_date,application_message,review_notes,reviewed_at,quest_id,user_id) VALUES
  (1,'joined','2025-06-30T07:00:00Z',NULL,'',NULL,NULL,'','',NULL,4,'11111111-1111-4111-8111-111111111111'),
  (2,'joined','2025-06-30T07:10:00Z',NULL,'',NULL,NULL,'','',NULL,5,'483ab258-e434-44f3-9da2-73409dd55f55'),
  (3,'in_progress','2025-06-30T07:20:00Z',NULL,'',NULL,NULL,'','',NULL,6,'11111111-1111-4111-8111-111111111111'),
  (4,'joined','2025-06-30T07:30:00Z',NULL,'',NULL,NULL,'','',NULL,7,'33333333-3333-4333-8333-333333333333'),
  (5,'joined','2025-06-30T07:40:00Z',NULL,'',NULL,NULL,'','',NULL,8,'22222222-2222-4222-8222-222222222222'),
  (6,'completed','2025-06-30T07:50:00Z','2025-07-01T15:00:00Z','',NULL,NULL,'','',NULL,9,'11111111-1111-4111-8111-111111111111'),
  (7,'completed','2025-06-30T07:55:00Z','2025-07-01T15:30:00Z','',NULL,NULL,'','',NULL,10,'33333333-3333-4333-8333-333333333333'),
  (8,'joined','2025-06-30T10:30:00Z',NULL,'',NULL,NULL,'','',NULL,17,'483ab258-e434-44f3-9da2-73409dd55f55');
SELECT setval(pg_get_serial_sequence('quests_questcategory','id'), (SELECT max(id) FROM quests_questcategory));
SELECT setval(pg_get_serial_sequence('quests_quest','id'), (SELECT max(id) FROM quests_quest));
SELECT setval(pg_get_serial_sequence('applications_application','id'), (SELECT max(id) FROM applications_application));
SELECT setval(pg_get_serial_sequence('quests_questparticipant','id'), (SELECT max(id) FROM quests_questparticipant));
COMMIT;
