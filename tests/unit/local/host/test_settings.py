from __future__ import annotations

import json
import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tools.functions_host.errors import SettingsError
from tools.functions_host.settings import (
    HostSettings,
    apply_local_settings,
    load_host_settings,
    parse_time_span,
    resolve_placeholders,
)


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def load(environment: dict[str, str] | None = None, queues: Any = None, **document: Any) -> HostSettings:
        document = {"version": "2.0", **document}
        if queues is not None:
            document["extensions"] = {"queues": queues}
        (tmp_path / "host.json").write_text(json.dumps(document))
        return load_host_settings(tmp_path, environment or {})

    return load


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("00:00:30", timedelta(seconds=30)),
        ("1.02:03:04.5", timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("00:00:00.1000000", timedelta(milliseconds=100)),
    ],
)
def test_time_spans(text: str, span: timedelta) -> None:
    assert parse_time_span(text) == span


@pytest.mark.parametrize("text", ["", "30", "24:00:00", "00:60:00", "00:00:61", "-00:00:01", "00:00", "0:0:0:0"])
def test_what_is_no_time_span(text: str) -> None:
    with pytest.raises(ValueError, match=r"\[days\.\]hh:mm:ss"):
        parse_time_span(text)


def test_defaults_are_those_of_the_real_host(load: Any) -> None:
    settings = load()
    assert settings.route_prefix == "api"
    assert settings.function_timeout == timedelta(minutes=30)
    queues = settings.queues
    assert (queues.batch_size, queues.max_dequeue_count, queues.base64) == (16, 5, True)
    assert queues.new_batch_threshold == 8 * (os.cpu_count() or 1)
    assert (queues.max_polling_interval, queues.visibility_timeout) == (timedelta(minutes=1), timedelta())


def test_the_development_environment_polls_at_least_every_two_seconds(load: Any) -> None:
    settings = load({"AZURE_FUNCTIONS_ENVIRONMENT": "Development"})
    assert settings.queues.max_polling_interval == timedelta(seconds=2)


def test_all_values_are_read(load: Any) -> None:
    settings = load(
        functionTimeout="-1",
        extensions={
            "http": {"routePrefix": ""},
            "queues": {
                "batchSize": 4,
                "newBatchThreshold": 0,
                "maxPollingInterval": "00:00:02",
                "visibilityTimeout": "00:00:30",
                "maxDequeueCount": 3,
                "messageEncoding": "none",
            },
        },
    )
    assert settings.function_timeout is None
    assert settings.route_prefix == ""
    queues = settings.queues
    assert (queues.batch_size, queues.new_batch_threshold, queues.max_dequeue_count) == (4, 0, 3)
    assert (queues.max_polling_interval, queues.visibility_timeout) == (timedelta(seconds=2), timedelta(seconds=30))
    assert not queues.base64


def test_an_override_wins_and_ignores_case(load: Any) -> None:
    environment = {
        "AzureFunctionsJobHost__extensions__queues__BATCHSIZE": "7",
        "AzureFunctionsJobHost__functionTimeout": "00:01:00",
    }
    settings = load(environment, queues={"batchSize": 4})
    assert settings.queues.batch_size == 7
    assert settings.function_timeout == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batchSize", 0),
        ("batchSize", 33),
        ("batchSize", 1.5),
        ("batchSize", True),
        ("batchSize", "many"),
        ("newBatchThreshold", -1),
        ("maxDequeueCount", 0),
        ("maxPollingInterval", "00:00:00.05"),
        ("maxPollingInterval", 2),
        ("visibilityTimeout", "8.00:00:00"),
        ("messageEncoding", "utf-8"),
    ],
)
def test_a_value_out_of_range_is_named(load: Any, key: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=rf"host\.json: extensions\.queues\.{key}: "):
        load(queues={key: value})


def test_a_wrong_override_is_named(load: Any) -> None:
    with pytest.raises(SettingsError, match="batchSize"):
        load({"AzureFunctionsJobHost__extensions__queues__batchSize": "x"})


def test_an_unknown_queue_key_is_warned_of(load: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        load(queues={"batchSize": 4, "leaseTime": "00:00:01"})
    assert [record.getMessage() for record in caplog.records if "leasetime" in record.getMessage()]
    assert not [record for record in caplog.records if "batchsize" in record.getMessage()]


@pytest.mark.parametrize("text", ["{", "[]", '{"extensions": {}}', '{"version": "1.0"}', '{"version": 2.0}'])
def test_a_broken_host_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "host.json").write_text(text)
    with pytest.raises(SettingsError, match=r"host\.json"):
        load_host_settings(tmp_path, {})


def test_a_missing_host_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"host\.json is missing"):
        load_host_settings(tmp_path, {})


def test_local_settings_never_override_the_environment(tmp_path: Path) -> None:
    environment = {"KEPT": "from the environment"}
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": {"KEPT": "from the file", "NEW": "x"}}))
    apply_local_settings(tmp_path, environment)
    assert environment == {"KEPT": "from the environment", "NEW": "x"}


def test_no_local_settings_are_fine(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    apply_local_settings(tmp_path, environment)
    assert environment == {}


@pytest.mark.parametrize("document", [{"IsEncrypted": True}, {"Values": []}, {"Values": {"A": 1}}])
def test_broken_local_settings_are_refused(tmp_path: Path, document: Any) -> None:
    (tmp_path / "local.settings.json").write_text(json.dumps(document))
    with pytest.raises(SettingsError, match=r"local\.settings\.json"):
        apply_local_settings(tmp_path, {})


def test_placeholders() -> None:
    assert resolve_placeholders("%A%-%B%-c", {"A": "1", "B": "2"}) == "1-2-c"
    with pytest.raises(SettingsError, match=r"'%X%' does not resolve to a value"):
        resolve_placeholders("%X%", {})
