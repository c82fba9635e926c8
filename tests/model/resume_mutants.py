"""Guards of what bodies save, each removed on purpose."""

from __future__ import annotations

from functools import partial

from tests.contract import test_resume
from tests.model.contract_mutant import Mutant

RESUME_MUTANTS = {
    "a loser saves": Mutant("save", "and lease_token = %(token)s", "", test_resume.test_a_loser_saves_nothing),
    "one that has ended saves": Mutant(
        "save",
        "lease_token = %(token)s and status = 'running'",
        "status <> 'retrying'",
        test_resume.test_a_loser_saves_nothing,
    ),
    "an equal value advances": Mutant(
        "save",
        "case when saved.value = excluded.value then saved.gen else excluded.gen end",
        "excluded.gen",
        test_resume.test_saving_the_same_again_is_no_advance,
    ),
    "the first value stays": Mutant(
        "save", "value = excluded.value, max", "max", test_resume.test_the_next_attempt_gets_what_was_saved_last
    ),
    "a later attempt gets nothing": Mutant(
        "claim",
        "(select value from saved) as saved",
        "null as saved",
        test_resume.test_the_next_attempt_gets_what_was_saved_last,
    ),
    "progress is forgotten": Mutant(
        "claim",
        "case when exists (select from saved) then progress end",
        "null",
        test_resume.test_progress_stays_while_a_job_that_saved_waits_for_its_next_attempt,
    ),
    "an attempt that advanced counts": Mutant(
        "rescue", "saved.gen = lost.dispatch_gen", "false", test_resume.test_lost_attempts_that_advanced_do_not_count
    ),
    "one that did not advance does not count": Mutant(
        "rescue", "and saved.gen = lost.dispatch_gen", "", test_resume.test_saving_the_same_again_is_no_advance
    ),
    "a job resumes for ever": Mutant(
        "rescue", "and saved.resumes < saved.max_resumes", "", test_resume.test_no_job_resumes_for_ever
    ),
    "resumes are not counted": Mutant(
        "rescue",
        "set resumes = saved.resumes + 1",
        "set resumes = saved.resumes",
        test_resume.test_no_job_resumes_for_ever,
    ),
    "a timeout does not count": Mutant(
        "rescue",
        "(lease_until < clock_timestamp() and exists (",
        "(true and exists (",
        partial(test_resume.test_a_timeout_counts_and_a_cancel_ends, late="timeout"),
    ),
    "each error resumes": Mutant(
        "fail",
        "where %(resume)s and",
        "where",
        partial(test_resume.test_an_error_counts_unless_the_kind_resumes_after_errors, resume=False),
    ),
    "no error resumes": Mutant(
        "fail",
        "where %(resume)s and",
        "where false and",
        partial(test_resume.test_an_error_counts_unless_the_kind_resumes_after_errors, resume=True),
    ),
    "an error resumes too often": Mutant(
        "fail",
        "and saved.resumes < saved.max_resumes",
        "",
        partial(test_resume.test_resuming_after_errors_has_its_limits, reason="too often"),
    ),
}
