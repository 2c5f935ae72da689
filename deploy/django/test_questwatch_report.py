"""Tests of questwatch_report on a real Postgres, which django_test.go starts: it needs wal_level logical and two databases
with PeerQuest's tables in QUESTWATCH_TEST_HOST, _PORT, _DATABASE and _OTHER."""

import json
import os
import re
import time
import unittest
import uuid
from unittest import mock

import django
from django.conf import settings


def postgres(name, **more):
    return {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["QUESTWATCH_TEST_HOST"],
        "PORT": os.environ["QUESTWATCH_TEST_PORT"],
        "USER": "postgres",
        "NAME": name,
        **more,
    }


settings.configure(
    DATABASES={
        "default": postgres(os.environ["QUESTWATCH_TEST_DATABASE"], ATOMIC_REQUESTS=True),
        "other": postgres(os.environ["QUESTWATCH_TEST_OTHER"]),
        "manual": postgres(os.environ["QUESTWATCH_TEST_DATABASE"], AUTOCOMMIT=False),
        "sqlite": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"},
    },
    ROOT_URLCONF=__name__,
    SECRET_KEY="test",
    ALLOWED_HOSTS=["testserver"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    LOGGING_CONFIG=None,
)
django.setup()

from django.db import connections, models, transaction  # noqa: E402
from django.db.utils import Error, IntegrityError, OperationalError  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402

import questwatch_report  # noqa: E402
from questwatch_report import report_failed_approval, reported_approval  # noqa: E402

SECRET = "student2@peerquest.test"
REVIEWER = "483ab258-e434-44f3-9da2-73409dd55f55"


class Broken(Exception):
    pass


class Application(models.Model):
    quest_id = models.BigIntegerField()
    applicant_id = models.UUIDField()
    status = models.CharField(max_length=15)
    applied_at = models.DateTimeField(default=timezone.now)

    class Meta:
        app_label, managed, db_table = "applications", False, "applications_application"

    def approve(self, fail=True):
        """Writes as the application does, and fails before the end."""
        self.status = "approved"
        self.save()
        Participant(quest_id=self.quest_id, user_id=self.applicant_id).save(using=self._state.db)
        if fail:
            raise Broken("no such user: " + SECRET)

    @reported_approval
    def approve_by_method(self, fail=True):
        with transaction.atomic():
            self.approve(fail)
        return self.status


class Participant(models.Model):
    quest_id = models.BigIntegerField()
    user_id = models.UUIDField()
    status = models.CharField(max_length=15, default="joined")
    joined_at = models.DateTimeField(default=timezone.now)
    progress_notes = models.TextField(default="")

    class Meta:
        app_label, managed, db_table = "quests", False, "quests_questparticipant"


def approve_view(request, pk):
    application = Application.objects.get(pk=pk)
    with report_failed_approval(application):
        application.approve()
    return HttpResponse()


urlpatterns = [path("approve/<int:pk>", approve_view)]


def execute(alias, sql, *args):
    with connections[alias].cursor() as cursor:
        cursor.execute(sql, args)
        return cursor.fetchall() if cursor.description else []


def messages(alias="default"):
    """What a logical slot has got since the last time: (transactional, prefix, content) of each message."""
    rows = execute(
        alias,
        "SELECT data FROM pg_logical_slot_get_binary_changes(%s, NULL, NULL,"
        " 'proto_version', '1', 'publication_names', 'python', 'messages', 'true')",
        "python_" + alias,
    )
    found = []
    for (data,) in rows:
        data = bytes(data)
        if data[:1] == b"M":  # flags, the position, the prefix, the content's length and the content
            prefix, rest = data[10:].split(b"\0", 1)
            found.append((data[1] == 1, prefix.decode(), rest[4:].decode()))
    return found


def setUpModule():
    for alias in "default", "other":
        execute(alias, "CREATE PUBLICATION python")
        execute(alias, "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", "python_" + alias)


def tearDownModule():
    for alias in "default", "other":
        execute(alias, "SELECT pg_drop_replication_slot(%s)", "python_" + alias)
    connections.close_all()


class ReportTest(unittest.TestCase):
    def setUp(self):
        for alias in "default", "other":
            messages(alias)

    def applied(self, alias="default"):
        user = uuid.uuid4()
        execute(
            alias,
            "INSERT INTO users_user SELECT (jsonb_populate_record(u, jsonb_build_object('id', %s::text, 'username', %s::text,"
            " 'email', %s::text))).* FROM users_user u WHERE id = %s",
            str(user), user.hex, user.hex, REVIEWER,
        )
        return Application.objects.using(alias).create(quest_id=1, applicant_id=user, status="pending")

    def assertCommitted(self, application, status, participants, alias="default"):
        """What others see, over a connection of its own: ours may be inside a transaction."""
        seen = connections[alias].copy()
        try:
            with seen.cursor() as cursor:
                cursor.execute("SELECT status FROM applications_application WHERE id = %s", [application.pk])
                self.assertEqual(cursor.fetchone(), (status,))
                cursor.execute("SELECT count(*) FROM quests_questparticipant WHERE user_id = %s", [application.applicant_id])
                self.assertEqual(cursor.fetchone(), (participants,))
        finally:
            seen.close()

    def assertReported(self, application, error="Broken", alias="default"):
        got = messages(alias)
        self.assertEqual(len(got), 1, got)
        transactional, prefix, content = got[0]
        self.assertTrue(transactional)
        self.assertEqual(prefix, "questwatch.approval_failed")
        want = {"quest_id": 1, "application_id": application.pk, "user_id": str(application.applicant_id), "error": error}
        self.assertEqual(json.loads(content), {k: v for k, v in want.items() if v})
        self.assertNotIn(SECRET, content)

    def test_success_says_nothing(self):
        application = self.applied()
        with report_failed_approval(application), transaction.atomic():
            application.approve(fail=False)
        self.assertCommitted(application, "approved", 1)
        self.assertEqual(messages(), [])

    def test_failure_is_rolled_back_and_reported(self):
        application = self.applied()
        with self.assertRaisesRegex(Broken, SECRET):
            with report_failed_approval(application), transaction.atomic():
                application.approve()
        self.assertCommitted(application, "pending", 0)
        self.assertReported(application)

    def test_decorator(self):
        application = self.applied()
        with self.assertRaises(Broken):
            application.approve_by_method()
        self.assertReported(application)
        self.assertEqual(application.approve_by_method(fail=False), "approved")
        self.assertEqual(messages(), [])

    def test_ids_are_taken_before_the_block(self):
        application = self.applied()
        pk = application.pk
        with self.assertRaises(Broken):
            with report_failed_approval(application), transaction.atomic():
                application.delete()
                raise Broken
        application.pk = pk
        self.assertReported(application)

    def test_nested_atomic_blocks(self):
        application = self.applied()
        with self.assertRaises(Broken):
            with report_failed_approval(application), transaction.atomic():
                with transaction.atomic():
                    application.approve()
        self.assertCommitted(application, "pending", 0)
        self.assertReported(application)

    def test_outer_atomic_block_that_fails(self):
        application = self.applied()
        with self.assertRaises(Broken):
            with transaction.atomic():
                try:
                    with report_failed_approval(application), transaction.atomic():
                        application.approve()
                finally:
                    self.assertTrue(connections["default"].in_atomic_block)
                    self.assertCommitted(application, "pending", 0)
        self.assertCommitted(application, "pending", 0)
        self.assertReported(application)

    def test_outer_atomic_block_that_goes_on(self):
        application, other = self.applied(), self.applied()
        with transaction.atomic():
            other.approve(fail=False)
            with self.assertRaises(Broken):
                with report_failed_approval(application), transaction.atomic():
                    application.approve()
            self.assertCommitted(other, "pending", 0)
        self.assertCommitted(other, "approved", 1)
        self.assertCommitted(application, "pending", 0)
        self.assertReported(application)

    def test_atomic_requests(self):
        application = self.applied()
        with self.assertLogs("django.request"):
            response = Client(raise_request_exception=False).get(f"/approve/{application.pk}")
        self.assertEqual(response.status_code, 500)
        self.assertCommitted(application, "pending", 0)
        self.assertReported(application)

    def test_without_autocommit(self):
        application = Application.objects.using("manual").get(pk=self.applied().pk)
        with self.assertRaises(Broken):
            with report_failed_approval(application):
                application.approve()
        connections["manual"].rollback()
        self.assertReported(application)

    def test_other_database(self):
        application = self.applied("other")
        with self.assertRaises(Broken):
            with report_failed_approval(application), transaction.atomic(using="other"):
                application.approve()
        self.assertCommitted(application, "pending", 0, "other")
        self.assertReported(application, alias="other")
        self.assertEqual(messages(), [])

    def test_using(self):
        application = self.applied()
        approve = reported_approval(using="other")(Application.approve)
        with self.assertRaises(Broken), transaction.atomic():
            approve(application)
        self.assertEqual(messages(), [])
        self.assertReported(application, alias="other")

    def test_connection_that_breaks(self):
        application = self.applied()
        pid = execute("default", "SELECT pg_backend_pid()")[0][0]
        with self.assertRaises(Error) as caught:
            with report_failed_approval(application), transaction.atomic():
                execute("other", "SELECT pg_terminate_backend(%s, 10000)", pid)
                application.approve()
        self.assertReported(application, type(caught.exception).__name__)

    def test_server_out_of_reach(self):
        application = self.applied()
        with mock.patch.dict(connections["default"].settings_dict, PORT="1"):
            with self.assertLogs("questwatch_report", "ERROR"), self.assertRaisesRegex(Broken, SECRET):
                with report_failed_approval(application), transaction.atomic():
                    application.approve()
        self.assertCommitted(application, "pending", 0)
        self.assertEqual(messages(), [])

    def test_lock_that_the_outer_block_holds(self):
        application = self.applied()
        begun = time.monotonic()
        with mock.patch.object(questwatch_report, "STATEMENT_TIMEOUT", "100ms"), self.assertLogs("questwatch_report", "ERROR"):
            with self.assertRaises(Broken), transaction.atomic():
                execute("default", "LOCK TABLE applications_application")
                with report_failed_approval(application):
                    application.approve()
        self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(messages(), [])

    def test_hook_that_fails_after_the_commit(self):
        application = self.applied()

        def fail():
            raise OperationalError

        with self.assertRaises(OperationalError):
            with report_failed_approval(application), transaction.atomic():
                application.approve(fail=False)
                transaction.on_commit(fail)
        self.assertCommitted(application, "approved", 1)
        self.assertEqual(messages(), [])

    def test_refused_at_commit(self):
        """What deploy/postgres's constraints refuse comes out of the atomic block's end."""
        with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "postgres", "constraints.sql")) as file:
            section = re.search(r"^-- section 2\.1:.*?^-- end of 2\.1$", file.read(), re.M | re.S).group()
        execute("default", section.replace("%", "%%"))
        self.addCleanup(execute, "default", "DROP FUNCTION questwatch_approved_takes_part() CASCADE")
        application = self.applied()
        with self.assertRaises(IntegrityError):
            with report_failed_approval(application), transaction.atomic():
                application.status = "approved"
                application.save()
        self.assertCommitted(application, "pending", 0)
        self.assertReported(application, "IntegrityError")

    def test_approved_before(self):
        application = self.applied()
        application.approve_by_method(fail=False)
        with self.assertRaises(Error):
            application.approve_by_method()  # the pair is unique
        self.assertEqual(messages(), [])

    def test_interrupt(self):
        application = self.applied()
        with self.assertRaises(KeyboardInterrupt):
            with report_failed_approval(application), transaction.atomic():
                raise KeyboardInterrupt
        self.assertReported(application, "KeyboardInterrupt")

    def test_class_with_a_name_of_its_own(self):
        for name in "Größe", "no name", "x" * 101, "":
            with self.subTest(name):
                application = self.applied()
                with self.assertRaises(Exception):
                    with report_failed_approval(application), transaction.atomic():
                        raise type(name, (Exception,), {})
                self.assertReported(application, None)

    def test_not_postgres(self):
        application = self.applied()
        application._state.db = "sqlite"
        with mock.patch.object(questwatch_report.logger, "exception", side_effect=AssertionError), self.assertRaises(Broken):
            with report_failed_approval(application):
                raise Broken


class ContentTest(unittest.TestCase):
    def test_ids(self):
        for quest, application, user, want in [
            (1, 2, 3, '{"quest_id": 1, "application_id": 2, "user_id": 3}'),
            (1, 2, uuid.UUID(int=3), '{"quest_id": 1, "application_id": 2, "user_id": "00000000-0000-0000-0000-000000000003"}'),
            (1, 2, "é", '{"quest_id": 1, "application_id": 2, "user_id": "\\u00e9"}'),
        ]:
            self.assertEqual(questwatch_report._content(quest, application, user, ""), want)

    def test_refused(self):
        for args in [(None, 2, 3), ("1", 2, 3), (1, None, 3), (1, 2, None), (1, 2, "x" * 4096)]:
            with self.assertRaises((TypeError, ValueError)):
                questwatch_report._content(*args, "Broken")


if __name__ == "__main__":
    unittest.main()
