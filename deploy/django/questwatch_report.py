"""Tells Questwatch that an approval failed and was rolled back.

A rolled-back transaction leaves no trace in the database, so nobody who watches the database can see it. This module says
it in a logical message, which comes to Questwatch in the stream of changes and touches no table:

    with report_failed_approval(application):
        with transaction.atomic():
            application.approve(reviewer)

The error goes on to the caller as it was. What the message says is which application, quest and user, and the name of the
exception's class; never its text, which may hold personal data.

The message goes over a connection of its own, opened for it and closed again. The application's own connection cannot
speak when the caller is inside an outer atomic block (ATOMIC_REQUESTS): it would lose the message in the rollback, and
Django has no hook that runs after one. Nor can it when it is broken, which may be why the approval failed.

The message is transactional, alone in a transaction: it then has a place and a time among the commits, is on the disk when
the call returns, and the slot moves past it as past any other. A non-transactional one is none of these.

Reporting never makes things worse: it fails silently but for a log line, and gives up after a few seconds.
"""

import functools
import json
import logging
import re
from contextlib import contextmanager

from django.db import connections, router

PREFIX = "questwatch.approval_failed"
APPROVED = "approved"
CONNECT_TIMEOUT = 3  # seconds
STATEMENT_TIMEOUT = "3s"

_MAX_BYTES = 4096  # Questwatch reads no more
_CLASS_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}")

logger = logging.getLogger(__name__)


@contextmanager
def report_failed_approval(application, using=None):
    """Report it when the block, which approves the application, raises.

    The block holds the whole approval with its atomic block, and nothing else: what fails in it counts as the approval.
    `using` is the alias of the watched database, by default the one that applications are written to.
    """
    # Taken before the block, which may delete the object.
    alias = using or router.db_for_write(type(application), instance=application)
    ids = application.quest_id, application.pk, application.applicant_id
    try:
        yield
    except BaseException as error:
        _report(alias, type(application), *ids, type(error).__name__)
        raise


def reported_approval(function=None, *, using=None):
    """Decorate a function or method that approves the application which is its first argument.

    It stands outside @transaction.atomic.
    """
    if function is None:
        return functools.partial(reported_approval, using=using)

    @functools.wraps(function)
    def wrapper(application, *args, **kwargs):
        with report_failed_approval(application, using=using):
            return function(application, *args, **kwargs)

    return wrapper


def _report(alias, model, quest_id, application_id, user_id, error):
    try:
        _emit(alias, model, application_id, _content(quest_id, application_id, user_id, error))
    except Exception:
        logger.exception("the failed approval of application %s could not be reported to Questwatch", application_id)


def _content(quest_id, application_id, user_id, error):
    if not isinstance(quest_id, int) or not isinstance(application_id, int) or user_id is None:
        raise TypeError("quest and application need integer ids, and the user any")
    if not isinstance(user_id, int):
        user_id = str(user_id)
    content = {"quest_id": quest_id, "application_id": application_id, "user_id": user_id}
    if _CLASS_NAME.fullmatch(error):
        content["error"] = error
    text = json.dumps(content)
    if len(text) > _MAX_BYTES:
        raise ValueError("the message would be too long")
    return text


def _emit(alias, model, application_id, content):
    connection = connections[alias].copy()
    if connection.vendor != "postgresql":
        return
    options = connection.settings_dict["OPTIONS"]
    options.setdefault("connect_timeout", CONNECT_TIMEOUT)
    options.pop("pool", None)  # the pool may be what ran out
    quote = connection.ops.quote_name
    meta = model._meta
    # An application that is approved in the database did not fail: it was approved before, or what raised ran after the
    # commit, such as an on_commit hook. Where the approval was committed in part, Questwatch finds that in the tables.
    sql = (
        f"SELECT pg_logical_emit_message(true, %s::text, %s::text) WHERE NOT EXISTS (SELECT FROM {quote(meta.db_table)} "
        f"WHERE {quote(meta.pk.column)} = %s AND {quote(meta.get_field('status').column)} = %s)"
    )
    try:
        connection.set_autocommit(False)
        with connection.cursor() as cursor:
            # Nobody waits for us in vain: the outer transaction may hold a lock on the table, and it waits for us.
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [STATEMENT_TIMEOUT])
            cursor.execute(sql, [PREFIX, content, application_id, APPROVED])
        connection.commit()
    finally:
        connection.close()
