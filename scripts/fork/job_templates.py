"""The files of a new kind of job: its job, its test, its view. All of them pass the checks as they are."""

from __future__ import annotations

from collections.abc import Iterable

from scripts.fork.fields import Field
from scripts.fork.job_spec import FILE_FIELDS, JobSpec
from scripts.fork.kinds import JOBS, RENDERERS, SITE_TESTS, UNIT_TESTS
from scripts.fork.source import WIDTH, call, imports, model

_SAMPLE_FILE = 'b"Replace this by your file.\\n"'


def files_of(spec: JobSpec) -> dict[str, str]:
    """Return the new files, by their names in the checkout."""
    tests, test = (SITE_TESTS, site_test(spec)) if spec.file_result else (UNIT_TESTS, unit_test(spec))
    return {
        f"{JOBS}/{spec.module}.py": job(spec),
        f"{tests}/test_{spec.module}.py": test,
        f"{RENDERERS}/{spec.kind}.js": renderer(spec),
    }


def job(spec: JobSpec) -> str:
    """Return the source of the kind."""
    request, result = f"{spec.runner}Request", f"{spec.runner}Result" if spec.has_result else "None"
    models = [model(request, [field.declaration for field in spec.request], closed=True)]
    if spec.has_result:
        file_fields = [f"{name}: str" for name in FILE_FIELDS] if spec.file_result else []
        models.append(model(result, file_fields + [field.declaration for field in spec.result]))
    names = ["JobContext", "JobRunner", *(["QueuedJob", "ResultFile"] if spec.file_result else [])]
    head = [
        f'"""{spec.title}: say here what the job does."""\n\nfrom __future__ import annotations\n',
        _standard_imports(spec),
        "from pydantic import ConfigDict\n",
        imports("queued_jobs", names)
        + "from queued_jobs.push.view import Public\n"
        + ("from storage import RESULTS, blob_service, delete_blob\n" if spec.file_result else ""),
    ]
    body = _file_body(spec, request, result) if spec.file_result else _body(spec, request, result)
    attributes = [f'kind = "{spec.kind}"', f'queue = "{spec.kind}"']
    if spec.schedule is not None:
        attributes.append(f'schedule = "{spec.schedule}"  # in UTC: second minute hour day month day-of-week')
    if spec.priorities:
        comma = "," if len(spec.priorities) == 1 else ""
        attributes.append(f"priorities = ({', '.join(f'"{priority}"' for priority in spec.priorities)}{comma})")
    methods = [
        "".join(f"    {attribute}\n" for attribute in attributes),
        f"    @classmethod\n    def label(cls, request: {request}) -> str:\n"
        f'        return "{spec.title}"  # its name in the bell\n',
        *body,
    ]
    head_of_class = f"class {spec.runner}(JobRunner[{request}, {result}]):\n"
    if len(head_of_class) > WIDTH + 1:
        head_of_class = f"class {spec.runner}(\n    JobRunner[{request}, {result}]\n):\n"
    runner = head_of_class + "\n".join(methods)
    return "\n\n".join(["\n".join(filter(None, head)), *models, runner])


def _body(spec: JobSpec, request: str, result: str) -> list[str]:
    made = call(f"        return {result}(", _values(spec.result)) + "\n" if spec.has_result else ""
    return [
        *_scheduled_request(spec, request),
        _signature("async def", request, result)
        + '        ctx.report(0.5, "halfway")  # replace by your work\n'
        + made,
    ]


def _file_body(spec: JobSpec, request: str, result: str) -> list[str]:
    file = ["container=result.container", "blob=result.blob", f'file_name="{spec.kind}.txt"']
    values = ["container=RESULTS", "blob=name", *_values(spec.result)]
    return [
        *_scheduled_request(spec, request),
        f"    @classmethod\n    def file(cls, result: {result}) -> ResultFile:\n        return ResultFile(\n"
        + "".join(f"            {value},\n" for value in [*file, 'content_type="text/plain"'])
        + "        )\n",
        _signature("def", request, result)
        + '        ctx.report(0.5, "halfway")  # replace by your work\n'
        + '        name = f"{ctx.job.id}/{ctx.claim_id}.txt"  # unique to this attempt\n'
        + f"        blob_service().get_blob_client(RESULTS, name).upload_blob({_SAMPLE_FILE})\n"
        + call(f"        return {result}(", values)
        + "\n",
        f"    async def on_result_expired(self, job: QueuedJob, result: {result}) -> None:\n"
        "        await self.on_result_discarded(job, result)\n",
        f"    async def on_result_discarded(self, job: QueuedJob, result: {result}) -> None:\n"
        "        await asyncio.to_thread(delete_blob, result.container, result.blob)\n",
    ]


def _signature(kind: str, request: str, result: str) -> str:
    arguments = ["self", f"request: {request}", f"ctx: JobContext[{result}]"]
    return call(f"    {kind} on_execute(", arguments, f") -> {result}:") + "\n"


def _scheduled_request(spec: JobSpec, request: str) -> list[str]:
    required = [field for field in spec.request if not field.optional]
    if spec.schedule is None or not required:
        return []
    head = f"    @classmethod\n    def scheduled_request(cls, due: datetime) -> {request}:\n"
    return [head + call(f"        return {request}(", _values(required)) + "\n"]


def _values(fields: Iterable[Field]) -> list[str]:
    return [f"{field.name}={field.type.value}" for field in fields if not field.optional]


def _standard_imports(spec: JobSpec) -> str:
    needed = {name for field in (*spec.request, *spec.result) for name in _names(spec, field)}
    if _scheduled_request(spec, "Request"):
        needed.add("datetime")
    lines = "import asyncio\n" if spec.file_result else ""
    return lines + (imports("datetime", sorted(needed, key=_order)) if needed else "")


def _names(spec: JobSpec, field: Field) -> list[str]:
    """Return what the job file imports for a field: its type, and what the value that the body makes needs."""
    makes_a_value = not field.optional and (field in spec.result or spec.schedule is not None)
    return [name for name in field.type.imports if makes_a_value or name == field.type.name]


def _order(name: str) -> tuple[bool, str]:
    return not name.isupper(), name  # constants first


def _test_imports(fields: Iterable[Field]) -> set[str]:
    return {name for field in fields if not field.optional for name in field.type.imports}


def unit_test(spec: JobSpec) -> str:
    """Return a test that runs without a server."""
    request, result = f"{spec.runner}Request", f"{spec.runner}Result"
    needed = _test_imports((*spec.request, *spec.result)) | ({"UTC", "datetime"} if spec.schedule else set())
    names = [spec.runner, request, *([result] if spec.has_result else [])]
    made = call("REQUEST = " + request + "(", _values(spec.request)) + "\n"
    expected = call(f"    assert result == {result}(", _values(spec.result)) if spec.has_result else ""
    tests = [
        "async def test_its_result() -> None:\n"
        + f"    result = await run_inline({spec.runner}, REQUEST)\n"
        + expected
        + "\n"
        if expected
        else f"async def test_its_body_ends() -> None:\n    await run_inline({spec.runner}, REQUEST)\n",
        _bench_test(spec),
    ]
    if spec.schedule:
        tests.append(
            "def test_the_schedule_has_a_request() -> None:\n"
            f"    request = {spec.runner}.scheduled_request(datetime(2026, 1, 2, tzinfo=UTC))\n"
            f"    assert isinstance(request, {request})\n"
        )
    head = [
        f'"""{spec.title}, without a server."""\n\nfrom __future__ import annotations\n',
        imports("datetime", sorted(needed, key=_order)) if needed else "",
        imports(f"jobs.{spec.module}", names) + "from queued_jobs.testing import JobBench, run_inline\n",
        made,
    ]
    return "\n\n".join(["\n".join(filter(None, head)), *tests])


def _bench_test(spec: JobSpec) -> str:
    priority = [f'priority="{spec.priorities[0]}"'] if spec.priorities else []
    start = f"    handle = await bench.manager.queue_job({spec.runner}, "
    arguments = ["REQUEST", 'user_id="ann"', *priority]
    line = call(start, arguments)
    if "\n" in line:
        line = call("    handle = await bench.manager.queue_job(", [spec.runner, *arguments])
    return (
        "async def test_it_succeeds_in_a_worker() -> None:\n"
        f"    bench = JobBench({spec.runner})\n{line}\n    await bench.drain()\n"
        '    assert bench.job(handle).status == "succeeded"\n'
    )


def action(spec: JobSpec) -> str:
    """Return the lines of `actions.js` that give the kind its button on the demo page."""
    request = ", ".join(f"{name}: {value}" for name, value in json_request(spec))
    shown = f"{{ {request} }}" if request else "{}"
    parts = [f"kind: '{spec.kind}'", f"text: () => 'Start {spec.title.lower()}'", f"request: {shown}"]
    line = f"  {{ {', '.join(parts)} }},\n"
    return line if len(line) <= WIDTH else "  {\n" + "".join(f"    {part},\n" for part in parts) + "  },\n"


def json_request(spec: JobSpec) -> list[tuple[str, str]]:
    """Return the fields that a request over HTTP must have, with values, as JavaScript writes them."""
    return [(field.alias, field.type.json) for field in spec.request if not field.optional]


def _python_json(text: str) -> str:
    return {"true": "True"}.get(text, text.replace("'", '"'))


def site_test(spec: JobSpec) -> str:
    """Return a test with a real storage."""
    fields = [f'"{name}": {_python_json(value)}' for name, value in json_request(spec)]
    body = call("    body: dict[str, object] = {", fields, "}")
    return f'''"""{spec.title}, with a real database and a real storage."""

from __future__ import annotations

from types import ModuleType

import pytest

import jobs
from storage import blob_service
from tests.integration.functions.conftest import Site


@pytest.fixture
def kinds() -> ModuleType:
    return jobs


async def test_its_result_is_a_file(site: Site) -> None:
{body}
    answer = await site.call("ann", "POST", "/api/jobs/{spec.kind}", json=body)
    assert answer.status_code == 202, answer.text
    await site.deliver("{spec.kind}")
    job = await site.job("ann", answer.json()["id"])
    assert job["status"] == "succeeded"
    blob = blob_service().get_blob_client(job["result"]["container"], job["result"]["blob"])
    assert blob.download_blob().readall() == {_SAMPLE_FILE}
'''


def renderer(spec: JobSpec) -> str:
    """Return the view of the result in the bell and on the dashboard."""
    parts = []
    number = next((field for field in spec.result if field.type.name in ("int", "float") and not field.optional), None)
    if number is not None:
        parts.append(f"summary: ({{ result }}) => `{number.title}: ${{result.{number.alias}}}`,")
    rows = [f"h('li', {{}}, '{field.title}: ', bdi(String(result.{field.alias} ?? '-')))," for field in spec.result]
    if rows:
        lines = ["result: ({ result }, { h, bdi }) =>", "  h(", "    'ul',", "    {},"]
        parts.append("\n  ".join([*lines, *(f"    {row}" for row in rows), "  ),"]))
    if not parts:
        parts.append("title: (job) => job.label,")
    inside = "".join(f"  {part}\n" for part in parts)
    return (
        f"/** The view of {spec.kind}: its parts are described in docs/how-to/add-a-renderer.md. */\n\n"
        f"import {{ register }} from './registry.js';\n\nregister('{spec.kind}', {{\n{inside}}});\n"
    )
